"""What this machine gives to the sandbox: every level tried for real, with hostile probes and times."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from typing import Any

from awry.errors import UserError
from awry.sandbox.isolation import REQUIRED, Isolation
from awry.sandbox.python import Program, PythonSandbox, Returned, SandboxError

LEVELS: tuple[Isolation, ...] = ("namespaces", "landlock", "rlimits")
TIMED = 100  # programs

# Each is an expression that is True when the answer could do what it must not.
_PROBES = {
    "reads files outside": "works(lambda: open({file!r}).read(1))",
    "lists the file system": "works(lambda: os.listdir('/usr'))",
    "sees other processes": "works(lambda: os.listdir(f'/proc/{{os.getppid()}}'))",
    "signals other processes": "works(lambda: os.kill({pid}, 0))",
    "opens a network socket": "works(lambda: socket.socket(socket.AF_INET).connect(('127.0.0.1', 9)))",
    "starts processes": "works(lambda: os.waitpid(os.fork() or os._exit(0), 0))",
    "traces processes": "ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0) == 0",
    "makes namespaces": "ctypes.CDLL(None).unshare(0x10000000) == 0",
}
_SETUP = """
import ctypes, os, socket
def works(act):
    try:
        act()
    except ConnectionRefusedError:
        return True
    except Exception:
        return False
    return True
"""


@dataclass(frozen=True)
class Level:
    """One level of isolation, as it is here. allowed: what hostile probes could do."""

    name: str
    layers: str
    missing: tuple[str, ...]
    allowed: tuple[str, ...]
    milliseconds: float  # per empty program, one worker


def examine() -> tuple[dict[str, Any], list[Level]]:
    """(the system's facts, what each level gives). Raises SandboxError when no server starts."""
    levels: list[Level] = []
    for name in LEVELS:
        with PythonSandbox(workers=1, isolation=name) as sandbox:
            place = {"file": os.path.abspath(__file__), "pid": os.getpid()}
            probes = tuple(probe.format(**place) for probe in _PROBES.values())
            (outcome,) = sandbox.run([Program("", setup=_SETUP, calls=probes)])
            if len(outcome.values) != len(probes) or not outcome.loaded:
                raise SandboxError(f"the probes did not run: {outcome.error}")
            allowed = [
                what
                for what, value in zip(_PROBES, outcome.values, strict=True)
                if value == Returned(True)
            ]
            begun = time.perf_counter()
            sandbox.run([Program("")] * TIMED)
            milliseconds = 1000 * (time.perf_counter() - begun) / TIMED
            layers, missing = sandbox.isolation, sandbox.missing
        levels.append(Level(name, layers, missing, tuple(allowed), round(milliseconds, 2)))
    return _facts(), levels


def _facts() -> dict[str, Any]:
    return {
        "kernel": platform.release(),
        "processor": platform.machine(),
        "user": "root" if os.geteuid() == 0 else f"uid {os.geteuid()}",
        "python": platform.python_version(),
        "unprivileged user namespaces": _switch("/proc/sys/kernel/unprivileged_userns_clone", "0"),
        "restricted by AppArmor": _switch(
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "0", absent="no"
        ),
        "user namespaces at most": _read("/proc/sys/user/max_user_namespaces"),
    }


def _switch(path: str, off: str, absent: str = "yes") -> str:
    value = _read(path)
    return absent if value == "unknown" else "no" if value == off else "yes"


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return "unknown"


def advice(level: Level) -> str:
    """What to do about the strongest level; empty when nothing is missing."""
    lacking = [name for name in REQUIRED if name not in level.layers.split("+")]
    if not lacking:
        return ""
    return (
        f"no {', '.join(lacking)}: {'; '.join(level.missing) or 'not available here'}. Allow user "
        "namespaces (sysctl kernel.unprivileged_userns_clone=1 or "
        "kernel.apparmor_restrict_unprivileged_userns=0; in Docker --security-opt "
        "seccomp=unconfined or --cap-add SYS_ADMIN), or run on a machine that does"
    )


def insist(levels: list[Level]) -> None:
    """Raises UserError unless the strongest level is complete and no probe got through."""
    best = levels[0]
    if fault := advice(best):
        raise UserError(
            "this machine does not isolate code completely", value=best.layers, fix=fault
        )
    if best.allowed:
        raise UserError(
            f"the strongest isolation let answers through: {', '.join(best.allowed)}",
            value=best.layers,
            fix="report this as a bug of awry",
        )
