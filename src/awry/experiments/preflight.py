"""Are the instruments sound? Checks that run before any training and become part of the report.

A check looks at one thing and says `pass`, `warn` or `fail`, what it saw and what to do. One
failure stops `awry run`. Results are kept in the store and used again while neither the experiment,
its inputs nor the code has changed; what depends on the machine is looked at every time.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from awry import files
from awry.errors import UserError
from awry.experiments import store
from awry.experiments.spec import Experiment, RunConfig
from awry.experiments.stages import preflight_stage
from awry.files import atomic_write_json
from awry.progress import Progress

if TYPE_CHECKING:
    from awry.tasks.kinds import AnyProblem, Grading, Kind


@dataclass(frozen=True)
class CheckResult:
    """saw: what the check found, with its numbers; fix: what to do, empty when it passed."""

    name: str
    status: Literal["pass", "warn", "fail"]
    saw: str
    fix: str = ""


@dataclass(frozen=True)
class Check:
    """volatile: depends on this machine at this moment, so an earlier result says nothing."""

    name: str
    run: Callable[[Setting], CheckResult]
    volatile: bool = False


class Setting:
    """What checks look at. The sandbox and the policy are opened when first asked for."""

    def __init__(self, experiment: Experiment, out: Path) -> None:
        self.experiment, self.out = experiment, out
        self.runs = experiment.runs()
        self._open = contextlib.ExitStack()
        self._graders: dict[Kind, Grading] = {}
        self._opened: tuple[str, Any] | None = None

    def __enter__(self) -> Setting:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()
        self._opened = None
        gc.collect()  # the policy is large and training opens its own

    @property
    def arms(self) -> list[RunConfig]:
        """One run of each arm: its first seed."""
        return [run for run in self.runs if run.seed == self.experiment.seeds[0]]

    @property
    def policies(self) -> list[RunConfig]:
        """One run for each different model and adapter."""
        return list({run.model.model_dump_json(): run for run in reversed(self.arms)}.values())[
            ::-1
        ]

    def grader(self, kind: Kind) -> Grading:
        """Opened once for each kind of problem."""
        if kind not in self._graders:
            from awry.tasks.kinds import open_grader

            opening = open_grader(kind, self.experiment.base.bounds(kind))
            self._graders[kind] = self._open.enter_context(opening)
        return self._graders[kind]

    def grader_of(self, run: RunConfig) -> Grading:
        from awry.tasks.kinds import source_kind

        return self.grader(source_kind(run.problems.source))

    def problems(self, run: RunConfig) -> tuple[tuple[AnyProblem, ...], tuple[AnyProblem, ...]]:
        """(training, probe) problems of a run. Raises UserError when there are too few."""
        from awry.tasks.selection import select

        return select(run, run.model.path)

    @cached_property
    def all_problems(self) -> tuple[AnyProblem, ...]:
        """Every problem that any arm trains on or is probed with."""
        used = {p.id: p for run in self.arms for part in self.problems(run) for p in part}
        return tuple(used.values())

    @property
    def kinds(self) -> list[Kind]:
        """Those of the problems in use."""
        return sorted({problem.kind for problem in self.all_problems})

    def opened(self, run: RunConfig) -> Any:
        """(policy, adapter, engine) as training opens them; one model at a time is kept."""
        name = run.model.model_dump_json()
        if self._opened is None or self._opened[0] != name:
            from awry.training.loop import open_policy

            self._opened = None
            gc.collect()
            self._opened = (name, open_policy(run))
        return self._opened[1]


def preflight(
    experiment: Experiment,
    out: Path,
    *,
    progress: Progress,
    checks: Sequence[Check] | None = None,
    afresh: bool = False,
) -> list[CheckResult]:
    """Run the checks and write preflight.json to the experiment's directory. afresh: use no earlier
    result. Raises UserError only when the experiment's inputs cannot be read.
    """
    from awry.experiments.checks import CHECKS
    from awry.experiments.direction_checks import DIRECTION_CHECKS
    from awry.experiments.gate_checks import GATE_CHECKS
    from awry.experiments.model_checks import MODEL_CHECKS

    if checks is None:
        gated = experiment.gates is not None
        directed = any(sections.direction for sections in experiment.arms.values())
        checks = [*CHECKS, *MODEL_CHECKS, *(DIRECTION_CHECKS if directed else ())]
        checks += GATE_CHECKS if gated else ()
    stage = preflight_stage(experiment)
    code = files.code_state()
    directory = store.open_stage(stage, out / "store")
    with store.running(directory), Setting(experiment, out) as setting:
        earlier = {} if afresh else _earlier(directory, code)
        (directory / "DONE").unlink(missing_ok=True)
        results: list[CheckResult] = []
        for check in checks:
            known = None if check.volatile else earlier.get(check.name)
            result = known or _run(check, setting)
            results.append(result)
            if known is None:
                progress.note(line(result))
        rows = [asdict(result) for result in results]
        atomic_write_json(directory / "preflight.json", {"results": rows})
        store.mark_done(directory, code)
    home = out / experiment.name
    with files.writing(home):
        home.mkdir(parents=True, exist_ok=True)
    atomic_write_json(home / "preflight.json", rows)
    return results


def line(result: CheckResult) -> str:
    """One line for a person."""
    fix = f"; {result.fix}" if result.fix else ""
    return f"preflight {result.status}: {result.name}: {result.saw}{fix}"


def _run(check: Check, setting: Setting) -> CheckResult:
    from awry.sandbox.python import SandboxError

    try:
        return check.run(setting)
    except UserError as error:
        where = f"{error.field}: " if error.field else ""
        value = f" (got {error.value})" if error.value is not None else ""
        return CheckResult(check.name, "fail", f"{where}{error.message}{value}", error.fix or "")
    except SandboxError as error:
        return CheckResult(check.name, "fail", str(error), "run `awry preflight` with --debug")


def _earlier(directory: Path, code: dict[str, str | None]) -> dict[str, CheckResult]:
    """What did not fail when the same code looked at the same experiment."""
    done = files.read_json(directory / "DONE")
    if done is None or done.get("code") != code or store.damage(directory, digests=True):
        return {}
    rows = (files.read_json(directory / "preflight.json") or {}).get("results", [])
    results = [CheckResult(**row) for row in rows]
    return {result.name: result for result in results if result.status != "fail"}
