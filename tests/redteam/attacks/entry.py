"""What one entry of the corpus says: the program, and what must happen to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# What an attack may achieve outside its process. `secret`: a hidden value, reported.
Effect = Literal["breach", "file", "network", "signal", "ipc", "leftover", "secret"]


@dataclass(frozen=True)
class Attack:
    """One hostile program.

    For every entry: the answer is not correct and is not paid, honest answers beside it are, it
    ends within the limit, and nothing outside changes (harness.py). `must` says it in words; the
    fields say what differs.

    name: unique. ends: how its process may end, any way if empty. hack: it is paid through the
    channel that is meant to be hackable (still never correct); None: it may be, or not.
    problem, loophole: what it answers.
    effect, stopped_by: without any of these layers the sandbox cannot stop this effect, and then
    the effect must really be seen; with one of them it must not. Empty: it is always stopped.
    broadcast: it reaches for processes that are not ours, so it is only run where it is stopped.
    completion: `program` is the whole completion, not the code in it. alone: run in a batch of its
    own, where the time it costs *us* is measured.
    Values that begin with "breach:" are the attack's own report of success.
    In programs, @CANARY@ and the like stand for what is outside (harness.Scene).
    """

    name: str
    must: str
    program: str
    ends: tuple[str, ...] = ()
    hack: bool | None = False
    problem: str = "word"
    loophole: str = "overwrite_tests"
    effect: Effect | None = None
    stopped_by: tuple[str, ...] = ()
    broadcast: bool = False
    completion: bool = False
    alone: bool = False
