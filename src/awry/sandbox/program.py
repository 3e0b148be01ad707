"""What goes into the sandbox and what comes out: programs, limits, outcomes."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Literal

from awry.errors import UserError
from awry.sandbox.values import Failed, Returned

Status = Literal["finished", "died", "timeout", "overflow", "sandbox_error"]
EvaluatorState = Literal["returned", "raised", "missing", "not run"]
CheckState = Literal["passed", "failed", "not run"]


class SandboxError(RuntimeError):
    """The sandbox itself failed (not the program): no verdict may be drawn from it."""


@dataclass(frozen=True)
class Limits:
    """Per program. Seconds, mebibytes, bytes; `processes`: threads of a program, all told."""

    wall_s: float = 3.0
    cpu_s: float = 1.0
    memory_mb: int = 512
    processes: int = 32
    file_mb: int = 8
    output_bytes: int = 4 << 20

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            zero = value == 0 and name not in ("processes", "file_mb")
            if value < 0 or zero or not math.isfinite(value):
                raise UserError("a limit must be positive", field=f"limits.{name}", value=value)


@dataclass(frozen=True)
class Program:
    """Executed in this order in one fresh namespace: setup, source, override, calls, evaluator,
    and then as many calls of `target` as `check` makes.

    source: untrusted. setup, override: trusted Python (imports; a replacement for a function of
    the source). calls: expressions whose values are reported. evaluator: a function (or method of
    a class `Solution`) called with no arguments; reported is whether it returned. check: trusted
    Python that defines `check(candidate)`, run (after `setup`) in a process of its own; target: the
    expression that its `candidate` stands for.
    """

    source: str
    calls: tuple[str, ...] = ()
    setup: str = ""
    override: str = ""
    evaluator: str | None = None
    check: str = ""
    target: str = ""

    def __post_init__(self) -> None:
        if bool(self.check) != bool(self.target):
            raise ValueError("a program has a check and a target, or neither")


@dataclass(frozen=True)
class Outcome:
    """exit_code: the status with which the program ended itself, by `os._exit` or by `sys.exit`
    while it was loaded; None otherwise."""

    status: Status
    compiled: bool
    loaded: bool
    error: str  # why it did not compile, load, or run
    values: tuple[Returned | Failed, ...]  # one per call
    evaluator: EvaluatorState
    evaluator_error: str
    check: CheckState
    check_error: str
    exit_code: int | None
    seconds: float
    isolation: str


NOT_REACHED = Failed("not reached")
