"""Run an experiment: preflight, then every arm and seed, one after the other, then the report.

The store is the only state. A stage that is done is used again, a training stage that was
interrupted goes on from its own checkpoints; killing this process at any time loses at most the
current step.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from awry import files
from awry.errors import UserError
from awry.experiments import store
from awry.experiments.plan import experiment_directory, plan, write_record
from awry.experiments.preflight import Check, CheckResult, preflight
from awry.experiments.spec import Experiment, RunConfig
from awry.experiments.stages import selected, train_stage
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
    home = experiment_directory(experiment, out)
    with files.writing(home):
        home.mkdir(parents=True, exist_ok=True)
    demand(preflight(experiment, out, progress=progress, checks=checks), home)
    code = files.code_state()
    trained: list[str] = []
    reused: list[str] = []
    write_record(experiment, out, plan(experiment, out))
    try:
        for config in runs:
            computed = _train(config, out, home, code, force, progress)
            (trained if computed else reused).append(f"{config.arm} seed {config.seed}")
            write_record(experiment, out, plan(experiment, out))
    finally:
        write_record(experiment, out, plan(experiment, out))
    report(experiment, out)
    return Finished(home, tuple(trained), tuple(reused))


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


def _train(
    config: RunConfig,
    out: Path,
    home: Path,
    code: dict[str, str | None],
    force: bool,
    progress: Progress,
) -> bool:
    """Bring one run to done; whether anything was computed."""
    stage = train_stage(config)
    label = f"{config.arm} seed {config.seed}"
    directory = stage.directory(out / "store")
    status, why = store.status(directory)
    if force and status in ("done", "partial", "damaged"):
        aside = store.discard(directory)
        event(home, "discarded", f"{label}: moved to {aside} by --force")
        progress.note(f"{label}: the former run was moved to {aside}")
    elif status == "damaged":
        raise UserError(
            f"the finished run of {label} is damaged: {why}",
            file=directory / "DONE",
            fix="restore the files, or train it again with --force",
        )
    elif status == "done":
        _reuse(label, directory, home, code, progress)
        return False
    store.open_stage(stage, out / "store")
    with store.running(directory) as taken_over:
        if taken_over:
            event(home, "takeover", f"{label}: the process at work had died; going on")
        _compute(config, directory, home, label, progress)
        store.mark_done(directory, code)
    return True


def _compute(
    config: RunConfig, directory: Path, home: Path, label: str, progress: Progress
) -> None:
    from awry.training.loop import train

    with files.writing(directory):
        result = train(config, directory, progress=progress)
    if result.stopped_by is not None:
        message = f"{label}: stopped after {result.steps} steps by the guard {result.stopped_by}"
        event(home, "guard", message)
        progress.note(message)


def _reuse(
    label: str, directory: Path, home: Path, code: dict[str, str | None], progress: Progress
) -> None:
    made_by = (files.read_json(directory / "DONE") or {}).get("code")
    if made_by == code:
        progress.note(f"{label}: done already")
        return
    message = (
        f"{label}: done already, by other code ({_code(made_by)}; now {_code(code)}); "
        "used as it is, --force trains it again"
    )
    event(home, "other_code", message)
    progress.note(f"warning: {message}")


def _code(state: object) -> str:
    if not isinstance(state, dict):
        return "unknown"
    changed = state.get("diff_sha256")
    return str(state.get("revision"))[:12] + (f"+{str(changed)[:8]}" if changed else "")
