from __future__ import annotations

import os
import signal

import pytest

from awry.errors import UserError
from awry.lean.builtin.limits import LeanLimits, Resident, how_it_ended, pack, unpack


def header(word: str = "ended", **more: object) -> dict[str, object]:
    return {"word": word, "exit": 0, "seconds": 1.0, "cpu": 0.5, "peak_mb": 100.0, **more}


@pytest.mark.parametrize(
    ("told", "complaint", "ended"),
    [
        (header(), "", "finished"),
        (header(exit=1 << 8), "", "finished"),
        (header(exit=3 << 8), "", "finished"),
        (header("timeout", exit=signal.SIGKILL), "", "timeout"),
        (header("memory", exit=signal.SIGKILL), "", "memory"),
        (header("flood", exit=signal.SIGKILL), "", "finished"),
        (header(exit=signal.SIGXCPU), "", "timeout"),
        (header(exit=signal.SIGKILL, cpu=11.0), "", "timeout"),
        (header(exit=signal.SIGKILL, cpu=1.0), "", "crashed"),
        (header(exit=signal.SIGSEGV), "", "crashed"),
        (header(exit=signal.SIGABRT), "Stack overflow detected. Aborting.", "crashed"),
        (header(exit=1 << 8), "INTERNAL PANIC: out of memory", "memory"),
        (header(exit=signal.SIGABRT), "exception: failed to create thread", "failed"),
        # what a text has written while it went well is no reason to doubt
        (header(), "failed to create thread", "finished"),
    ],
)
def test_how_a_check_ended(told: dict[str, object], complaint: str, ended: str) -> None:
    assert how_it_ended(told, complaint, cpu_s=10.0)[0] == ended


def test_a_crash_says_what_the_process_said() -> None:
    _, why = how_it_ended(header(exit=signal.SIGABRT), "Stack overflow\n" * 1000, cpu_s=10.0)
    assert why.startswith("Aborted: Stack overflow")
    assert len(why) <= 400


@pytest.mark.parametrize("wrong", [{"wall_s": 0}, {"cpu_s": float("inf")}, {"memory_mb": 100}])
def test_limits_that_cannot_work_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UserError) as caught:
        LeanLimits(**wrong)  # type: ignore[arg-type]
    assert caught.value.field in wrong


def test_three_parts_come_back_as_they_were() -> None:
    parts = [b"\0" * 9, b"", "∀".encode()]
    assert unpack(pack(*parts)) == parts


def test_resident_memory_of_a_process() -> None:
    processes = os.open("/proc", os.O_PATH | os.O_DIRECTORY)
    try:
        own, nobody = Resident(processes, str(os.getpid())), Resident(processes, "nobody")
        assert 5 < own.megabytes() < 100_000
        assert nobody.megabytes() == 0
        assert Resident(-1, str(os.getpid())).megabytes() == 0
        own.close()
    finally:
        os.close(processes)
