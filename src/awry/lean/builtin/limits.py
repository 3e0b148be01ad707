"""What a check may use, and how its end is read. Standard library only: the fork server loads it."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import struct
from dataclasses import asdict, dataclass
from typing import Any

from awry.errors import UserError
from awry.lean.checks import Ended

# Lean maps far more than it uses, 1 GB a thread alone: what is scarce is watched, not this.
ADDRESS_SPACE_MB = 1 << 16
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / (1 << 20)
_HEAD = struct.Struct("!QQQ")
_FAILURES = ("failed to create thread", "failed to initialize")
_OUT_OF_MEMORY = ("out of memory", "excessive memory consumption")
_SHOWN = 400  # characters of what a dying process said


@dataclass(frozen=True)
class LeanLimits:
    """Per check. Seconds, mebibytes, bytes; `threads` of a check, all told.

    memory_mb counts what is resident: about 80 MB of that is Lean itself, shared by all checks.
    """

    wall_s: float = 20.0
    cpu_s: float = 10.0
    memory_mb: int = 1024
    threads: int = 32
    file_mb: int = 32
    message_bytes: int = 1 << 20

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value <= 0 or not math.isfinite(value):
                raise UserError("a limit must be positive", field=name, value=value)
        if self.memory_mb < 160:
            raise UserError(
                "Lean needs more memory than that",
                field="memory_mb",
                value=self.memory_mb,
                fix="give it at least 160",
            )

    def for_child(self) -> dict[str, Any]:
        """In the names that `sandbox.confinement.confine` knows."""
        return {
            "wall_s": self.wall_s,
            "cpu_s": self.cpu_s,
            "memory_mb": ADDRESS_SPACE_MB,
            "processes": self.threads,
            "file_mb": self.file_mb,
        }


class Resident:
    """The resident memory of one process, read through a view of /proc that outlives a chroot."""

    def __init__(self, processes: int, number: str) -> None:
        """number: of the process, as `processes` (a descriptor of /proc, or -1) counts."""
        self._file = -1
        if processes >= 0 and number.isdecimal():
            with contextlib.suppress(OSError):
                self._file = os.open(f"{number}/statm", os.O_RDONLY, dir_fd=processes)

    def megabytes(self) -> float:
        """0 where it cannot be known."""
        if self._file < 0:
            return 0.0
        with contextlib.suppress(OSError, ValueError, IndexError):
            return int(os.pread(self._file, 128, 0).split()[1]) * _PAGE_MB
        return 0.0

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)


def how_it_ended(header: dict[str, Any], complaint: str, cpu_s: float) -> tuple[Ended, str]:
    """(what the server's word and the wait status amount to, why).

    complaint: what the process wrote to its standard error. A text can end its own process, so
    an exit status proves nothing; a death by signal is told apart because it may be ours.
    """
    word, code = header["word"], os.waitstatus_to_exitcode(header["exit"])
    if word == "timeout":
        return "timeout", f"longer than {header['seconds']:.1f} s"
    if word == "memory":
        return "memory", f"{header['peak_mb']:.0f} MB in use"
    if word == "flood":
        return "finished", "too many messages"
    if code == -signal.SIGXCPU or (code == -signal.SIGKILL and header["cpu"] >= cpu_s):
        return "timeout", f"{header['cpu']:.1f} s of processor time"
    complaint = complaint.strip()
    if code and any(words in complaint for words in _OUT_OF_MEMORY):
        return "memory", complaint[:_SHOWN]
    if code and any(words in complaint for words in _FAILURES):
        return "failed", complaint[:_SHOWN]
    if code < 0:
        name = signal.strsignal(-code) or f"signal {-code}"
        return "crashed", f"{name}: {complaint}"[:_SHOWN].rstrip(": ")
    return "finished", complaint[:_SHOWN]


def pack(*parts: bytes) -> bytes:
    """Up to three byte strings as the body of a request."""
    padded = [*parts, *[b""] * (3 - len(parts))]
    return _HEAD.pack(*map(len, padded)) + b"".join(padded)


def unpack(body: bytes) -> list[bytes]:
    parts: list[bytes] = []
    place = _HEAD.size
    for size in _HEAD.unpack_from(body):
        parts.append(body[place : place + size])
        place += size
    return parts
