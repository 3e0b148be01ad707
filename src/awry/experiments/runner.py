"""Run an experiment: directions, preflight, every arm and seed one after the other, the report.

The store is the only state. A stage that is done is used again, a training stage that was
interrupted goes on from its own checkpoints (an extraction starts over); killing this process at
any time loses at most the current step.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from awry import files
from awry.errors import UserError
from awry.experiments import store
from awry.experiments.plan import experiment_directory, plan, write_record
from awry.experiments.preflight import Check, CheckResult, preflight
from awry.experiments.spec import Experiment, RunConfig
from awry.experiments.stages import direction_stage, direction_stages, selected, train_stage
from awry.experiments.store import Stage
from awry.experiments.verification import write_page
from awry.progress import Progress


@dataclass(frozen=True)
class Finished:
    """What `run` did. trained: the runs that were computed now; reused: those that were done."""

    directory: Path
    trained: tuple[str, ...]
    reused: tuple[str, ...]


def run(
    experiment: Experiment,
    out: Path,
    *,
    arms: Sequence[str] = (),
    seeds: Sequence[int] = (),
    force: bool = False,
    progress: Progress,
    checks: Sequence[Check] | None = None,
) -> Finished:
    """Bring every selected stage to done. force: train the selected runs again from nothing; what
    was there is moved aside. Raises UserError when preflight fails or a stage is held or damaged.
    """
    runs = selected(experiment.runs(), arms, seeds)
    work = _work(experiment, out, progress)
    again = {stage.key for stage, _ in direction_stages(runs)} if force else ()
    extract_directions(experiment, out, again=again, progress=progress)
    demand(preflight(experiment, out, progress=progress, checks=checks), work.home)
    trained: list[str] = []
    reused: list[str] = []
    write_record(experiment, out, plan(experiment, out))
    try:
        for config in runs:
            computed = _train(config, work, force)
            (trained if computed else reused).append(f"{config.arm} seed {config.seed}")
            write_record(experiment, out, plan(experiment, out))
    finally:
        write_record(experiment, out, plan(experiment, out))
    report(experiment, out)
    return Finished(work.home, tuple(trained), tuple(reused))


def report(experiment: Experiment, out: Path) -> None:
    """Write report.html and report.json from what there is, and remember from which runs."""
    from awry.report import build_report, write_report

    home = experiment_directory(experiment, out)
    with files.writing(home):
        write_report(build_report(home), home)
    write_record(experiment, out, plan(experiment, out), reported=True)


def demand(results: Sequence[CheckResult], home: Path) -> None:
    """Raise UserError for the checks that failed."""
    failed = [
        UserError(
            result.saw,
            field=f"preflight: {result.name}",
            fix=result.fix,
            file=home / "preflight.json",
        )
        for result in results
        if result.status == "fail"
    ]
    if failed:
        first, *rest = failed
        first.also = tuple(rest)
        raise first


def event(home: Path, kind: str, message: str) -> None:
    """Append to the experiment's own events.jsonl."""
    row = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "kind": kind}
    with (
        files.writing(home / "events.jsonl"),
        (home / "events.jsonl").open("a", encoding="utf-8") as stream,
    ):
        stream.write(json.dumps({**row, "message": message}, ensure_ascii=False) + "\n")


def extract_directions(
    experiment: Experiment, out: Path, *, again: Collection[str] = (), progress: Progress
) -> None:
    """Bring every direction of the experiment to done, before preflight judges them. again: keys
    of those to extract afresh. Raises UserError when pairs or a model cannot be used.
    """
    stages = direction_stages(experiment.runs())
    work = _work(experiment, out, progress)
    for number, (stage, (config, *_)) in enumerate(stages, start=1):
        label = "direction" if len(stages) == 1 else f"direction {number} of {len(stages)}"
        compute = partial(_extract, config, progress, f"{label.capitalize()} of {experiment.name}")
        work.bring(stage, label, compute, force=stage.key in again)


def _extract(config: RunConfig, progress: Progress, title: str, directory: Path) -> None:
    from awry.gradients.extraction import extract_stage

    store.clear(directory)  # an extraction is short and keeps no checkpoints
    with files.writing(directory):
        extract_stage(config, directory, progress=progress)
    write_page(directory, title)


def _train(config: RunConfig, work: _Work, force: bool) -> bool:
    """Bring one run to done; whether anything was computed."""
    direction = direction_stage(config).directory(work.root) if config.direction else None
    label = f"{config.arm} seed {config.seed}"

    def compute(directory: Path) -> None:
        from awry.training.loop import train

        with files.writing(directory):
            result = train(config, directory, direction=direction, progress=work.progress)
        if result.stopped_by is not None:
            message = (
                f"{label}: stopped after {result.steps} steps by the guard {result.stopped_by}"
            )
            work.event("guard", message)
            work.progress.note(message)

    return work.bring(train_stage(config), label, compute, force=force)


def _work(experiment: Experiment, out: Path, progress: Progress) -> _Work:
    home = experiment_directory(experiment, out)
    with files.writing(home):
        home.mkdir(parents=True, exist_ok=True)
    return _Work(home, out / "store", files.code_state(), progress)


@dataclass(frozen=True)
class _Work:
    """What bringing stages to done needs."""

    home: Path
    root: Path
    code: dict[str, str | None]
    progress: Progress

    def bring(
        self, stage: Stage, label: str, compute: Callable[[Path], None], *, force: bool
    ) -> bool:
        """Bring one stage to done; whether anything was computed."""
        directory = stage.directory(self.root)
        status, why = store.status(directory)
        if force and status in ("done", "partial", "damaged"):
            aside = store.discard(directory)
            self.event("discarded", f"{label}: moved to {aside} by --force")
            self.progress.note(f"{label}: the former one was moved to {aside}")
        elif status == "damaged":
            raise UserError(
                f"what is stored of {label} is damaged: {why}",
                file=directory / "DONE",
                fix="restore the files, or make it again with --force",
            )
        elif status == "done":
            self._reuse(label, directory)
            return False
        store.open_stage(stage, self.root)
        with store.running(directory) as taken_over:
            if taken_over:
                self.event("takeover", f"{label}: the process at work had died; going on")
            compute(directory)
            store.mark_done(directory, self.code)
        return True

    def event(self, kind: str, message: str) -> None:
        event(self.home, kind, message)

    def _reuse(self, label: str, directory: Path) -> None:
        made_by = (files.read_json(directory / "DONE") or {}).get("code")
        if made_by == self.code:
            self.progress.note(f"{label}: done already")
            return
        message = (
            f"{label}: done already, by other code ({_code(made_by)}; now {_code(self.code)}); "
            "used as it is, --force makes it again"
        )
        self.event("other_code", message)
        self.progress.note(f"warning: {message}")


def _code(state: object) -> str:
    if not isinstance(state, dict):
        return "unknown"
    changed = state.get("diff_sha256")
    return str(state.get("revision"))[:12] + (f"+{str(changed)[:8]}" if changed else "")
