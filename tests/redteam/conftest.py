"""The corpus is run once per level, in batches; the tests look at what was found for each attack."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import (
    LEVELS,
    LIMITS,
    NOT_OURS,
    WEAKEST,
    WORKERS,
    Run,
    Scene,
    descendants,
    end_strays,
    run_corpus,
    run_open,
    stray_processes,
)

import awry
from awry.sandbox.python import PythonSandbox

USER = 54321  # an ordinary user that owns nothing


Elsewhere = subprocess.Popen[str] | str


@pytest.fixture(scope="session")
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    made.close()


@pytest.fixture(scope="session")
def here(scene: Scene, elsewhere: Elsewhere) -> dict[str, Run]:
    """Level -> what came of the corpus, run as whoever runs the tests."""
    runs: dict[str, Run] = {}
    for level in (*LEVELS, WEAKEST):
        before = descendants()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sandbox = PythonSandbox(workers=WORKERS, limits=LIMITS, isolation=level)
        with sandbox:
            run = run_open if level == WEAKEST else run_corpus
            isolation, report = sandbox.isolation, run(scene, sandbox)
        runs[level] = Run(isolation, report, stray_processes(before))
        end_strays(before)
    return runs


@pytest.fixture(scope="session")
def as_user(elsewhere: Elsewhere) -> dict[str, Run]:
    """The same, run by an ordinary user."""
    if isinstance(elsewhere, str):
        pytest.skip(elsewhere)
    output, errors = elsewhere.communicate(timeout=600)
    assert elsewhere.returncode == 0, errors[-3000:]
    return {level: Run(**told) for level, told in json.loads(output).items()}


@pytest.fixture(scope="session")
def elsewhere() -> Iterator[Elsewhere]:
    """An ordinary user's process that runs the corpus, from a copy it can read; or why there is
    none. It is begun first: most attacks wait, so both runs go side by side."""
    interpreter = "" if os.geteuid() else _interpreter()
    if not interpreter:
        yield (
            f"no interpreter that user {USER} may run"
            if os.geteuid() == 0
            else ("the tests are run by an ordinary user already")
        )
        return
    folder = Path(tempfile.mkdtemp(prefix="redteam-user-"))
    folder.chmod(0o755)
    ignored = shutil.ignore_patterns("__pycache__", "catalog", "report", "*.gguf")
    shutil.copytree(Path(awry.__file__).parent, folder / "awry", ignore=ignored)
    shutil.copytree(Path(__file__).parent, folder / "redteam", ignore=ignored)
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    started = subprocess.Popen(
        [interpreter, "-B", str(folder / "redteam" / "as_user.py"), *LEVELS, WEAKEST],
        user=USER,
        group=USER,
        extra_groups=[],
        cwd="/",
        env={"PYTHONPATH": str(folder), "PATH": os.defpath},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    NOT_OURS.add(started.pid)
    yield started
    if started.poll() is None:
        started.terminate()
        started.communicate()
    shutil.rmtree(folder)


def _interpreter() -> str:
    """A Python that user may run: root's own may be out of reach, below /root."""
    wanted = ".".join(map(str, sys.version_info[:2]))
    check = f"import ctypes, sys; assert sys.version_info >= {sys.version_info[:2]}"
    for name in (sys.executable, shutil.which(f"python{wanted}", path=os.defpath)):
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            subprocess.run(
                [name or "", "-c", check],
                user=USER,
                group=USER,
                extra_groups=[],
                cwd="/",
                check=True,
                capture_output=True,
            )
            return name or ""
    return ""
