"""Levels of isolation, what they refuse, and what `awry sandbox doctor` says of them."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import awry.sandbox.isolation as isolation
from awry.errors import UserError
from awry.sandbox import seccomp
from awry.sandbox.doctor import advice, examine, insist
from awry.sandbox.python import (
    Failed,
    IsolationWarning,
    Limits,
    Program,
    PythonSandbox,
    Returned,
)

CALLS = """
import ctypes, os, socket, threading
libc = ctypes.CDLL(None, use_errno=True)
def attempt(name, *arguments):
    ctypes.set_errno(0)
    result = getattr(libc, name)(*arguments)
    return (result, ctypes.get_errno())
def works(act):
    try:
        return act() or True
    except OSError as error:
        return error.errno
"""


def values(sandbox: PythonSandbox, *calls: str) -> list[object]:
    (outcome,) = sandbox.run([Program("", setup=CALLS, calls=calls)])
    assert outcome.loaded, outcome.error
    return [value.value if isinstance(value, Returned) else value for value in outcome.values]


def test_forbidden_system_calls_fail_with_eperm(sandbox: PythonSandbox) -> None:
    assert "seccomp" in sandbox.isolation
    forbidden = (
        "attempt('ptrace', 0, 0, 0, 0)",
        "attempt('unshare', 0x10000000)",
        "attempt('mount', b'none', b'/', b'tmpfs', 0, None)",
        "attempt('chroot', b'/')",
        "attempt('socket', 2, 1, 0)",
        "attempt('socket', 1, 1, 0)",
        "attempt('memfd_create', b'x', 0)",
        "attempt('personality', 0)",
        "attempt('fork')",
        "attempt('syscall', 321, 0, 0, 0)",
        "attempt('syscall', 425, 1, 0)",
    )
    got = values(sandbox, *forbidden)
    assert got == [(-1, 1)] * len(forbidden)


def test_calls_of_the_32_bit_interface_are_refused(sandbox: PythonSandbox) -> None:
    """The same number means another call there: the filter must not take one for the other."""
    if seccomp._machine() != "x86_64":
        pytest.skip("only x86-64 has a second numbering")
    assert values(sandbox, "attempt('syscall', 0x40000000 + 39)") == [(-1, 1)]


def test_what_honest_programs_use_is_allowed(sandbox: PythonSandbox) -> None:
    program = Program(
        "import os, socket, threading, time, signal\n"
        "def threads():\n"
        "    out = []\n"
        "    ts = [threading.Thread(target=out.append, args=(i,)) for i in range(8)]\n"
        "    [t.start() for t in ts]; [t.join() for t in ts]\n    return sorted(out)\n"
        "def alarm():\n"
        "    heard = []\n    signal.signal(signal.SIGALRM, lambda *a: heard.append(1))\n"
        "    signal.setitimer(signal.ITIMER_REAL, 0.01)\n    time.sleep(0.05)\n    return heard\n",
        calls=(
            "threads()",
            "alarm()",
            "len(os.urandom(4))",
            "os.kill(os.getpid(), 0)",
            "time.perf_counter() > 0",
        ),
    )
    (outcome,) = sandbox.run([program])
    assert outcome.values == (
        Returned(list(range(8))),
        Returned([1]),
        Returned(4),
        Returned(None),
        Returned(True),
    )


@pytest.mark.parametrize(
    ("source", "call", "expected"),
    [
        ("import numpy as np\ndef f(): return [np.int64(3), np.float64(0.5), np.bool_(True)]", "f()", [3, 0.5, True]),
        ("from sortedcontainers import SortedList", "list(SortedList([2, 1]))", [1, 2]),
        ("import asyncio\nasync def g(): return 5", "asyncio.run(g())", 5),
        (
            "from concurrent.futures import ThreadPoolExecutor",
            "list(ThreadPoolExecutor(2).map(abs, [-1, 2]))",
            [1, 2],
        ),
    ],
    ids=["numpy", "sortedcontainers", "asyncio", "futures"],
)  # fmt: skip
def test_modules_beyond_the_usual_are_there_for_who_names_them(
    sandbox: PythonSandbox, source: str, call: str, expected: object
) -> None:
    if "asyncio" in source and "tmpfs-root" not in sandbox.isolation:
        pytest.skip("an event loop opens descriptors, which nothing may here")
    (outcome,) = sandbox.run([Program(source, calls=(call,))])
    assert outcome.values == (Returned(expected),)


def test_a_numpy_array_is_not_plain_data(sandbox: PythonSandbox) -> None:
    (outcome,) = sandbox.run([Program("import numpy", calls=("numpy.arange(3)",))])
    assert outcome.values == (Failed("returned a ndarray object"),)


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("import sys\nsys.exit()", 0),
        ("import sys\nsys.exit(0)", 0),
        ("import sys\nsys.exit(5)", 5),
        ("import sys\nsys.exit('words')", 1),
        ("raise SystemExit(True)", 1),
        ("import os\nos._exit(0)", 0),
        ("import os\nos._exit(3)", 3),
        ("1 // 0", None),
        ("", None),
        ("while True: pass", None),
        ("import os\nos.kill(os.getpid(), 9)", None),
    ],
)
def test_how_a_program_ended_itself(sandbox: PythonSandbox, source: str, code: int | None) -> None:
    (outcome,) = sandbox.run([Program(source)])
    assert outcome.exit_code == code


def test_the_weakest_level_still_has_limits_and_says_so() -> None:
    limits = Limits(wall_s=1.0, cpu_s=1.0, memory_mb=256)
    with PythonSandbox(workers=1, limits=limits, isolation="rlimits") as sandbox:
        assert sandbox.isolation.endswith("no-open+rlimits")
        (spin, opens) = sandbox.run(
            [Program("while True: pass"), Program("", calls=("open('/etc/passwd')",))]
        )
    assert spin.status == "timeout"
    assert isinstance(opens.values[0], Failed)


def test_a_level_that_is_unknown_is_an_error() -> None:
    with pytest.raises(UserError, match="unknown isolation"):
        PythonSandbox(workers=1, isolation="strong")  # type: ignore[arg-type]


def test_require_refuses_and_auto_warns_where_a_layer_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(isolation, "REQUIRED", (*isolation.REQUIRED, "moat"))
    with pytest.raises(UserError, match="no moat"):
        PythonSandbox(workers=1, isolation="require")
    with pytest.warns(IsolationWarning, match="missing"):
        PythonSandbox(workers=1).close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        PythonSandbox(workers=1, isolation="landlock").close()


def test_the_doctor_tries_every_level_for_real() -> None:
    facts, levels = examine()
    assert [level.name for level in levels] == ["namespaces", "landlock", "rlimits"]
    assert all(level.milliseconds > 0 for level in levels)
    assert facts["kernel"]
    if not advice(levels[0]):
        assert levels[0].allowed == ()
        insist(levels)
    # the probes can succeed: with nothing but limits some do
    assert levels[-1].allowed


def test_the_doctors_command_prints_and_insists(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "awry", "sandbox", "doctor", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    document = json.loads(done.stdout)
    assert done.returncode == 0
    assert [level["name"] for level in document["levels"]] == ["namespaces", "landlock", "rlimits"]
