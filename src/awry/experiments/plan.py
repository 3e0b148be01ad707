"""Which stages an experiment has, how far each is, and why one would run again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from awry import files
from awry.experiments import store
from awry.experiments.placebos import pairings
from awry.experiments.spec import Experiment, RunConfig
from awry.experiments.stages import (
    differences,
    direction_stages,
    model_at_hand,
    preflight_stage,
    report_stage,
    sharing_direction,
    train_stage,
)
from awry.experiments.store import Stage, Status
from awry.files import atomic_write_json, read_json


@dataclass(frozen=True)
class PlannedStage:
    """key and directory are None while the model is not at hand: its digest is part of the key.

    arm and seed of a direction: None where all of the experiment that has one shares it.
    steps and seconds: done so far, for training; planned: steps in all. added: the kind of placebo
    that an arm is which the file does not name.
    """

    name: str
    arm: str | None
    seed: int | None
    key: str | None
    directory: Path | None
    status: Status
    why: str
    steps: int | None = None
    planned: int | None = None
    seconds: float | None = None
    added: str | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"directory": self.directory and str(self.directory)}


def experiment_directory(experiment: Experiment, out: Path) -> Path:
    """`<out>/<name>`."""
    return out / experiment.name


def plan(experiment: Experiment, out: Path, *, digests: bool = False) -> list[PlannedStage]:
    """Every stage in the order in which it runs. digests: read all outputs of what is done.

    Writes nothing, fetches nothing. Raises UserError when something the experiment names cannot
    be read.
    """
    runs = experiment.runs()
    if not all(model_at_hand(run.model.path) for run in runs):
        return _without_keys(experiment)
    home = experiment_directory(experiment, out)
    former = _former_keys(home)
    planned: list[PlannedStage] = []
    directions = direction_stages(runs)
    for stage, users in directions:
        status, why = store.status(stage.directory(out / "store"), digests=digests)
        arm, seed = _shared_by(users, len(directions))
        planned.append(_staged("direction", arm, seed, stage, out, status, why))
    first = preflight_stage(experiment)
    status, why = store.status(first.directory(out / "store"), digests=digests)
    planned.append(_staged("preflight", None, None, first, out, status, why))
    marks: dict[str, str] = {}
    for run in runs:
        stage = train_stage(run)
        directory = stage.directory(out / "store")
        status, why = store.status(directory, digests=digests)
        if status == "todo":
            why = _why_todo(stage, former.get((run.arm, run.seed)), out)
        steps, seconds = progress(directory)
        planned.append(
            PlannedStage(
                *("train", run.arm, run.seed, stage.key, directory, status, why),
                *(steps, run.training.steps, seconds, _added(experiment, run.arm)),
            )
        )
        done = directory / "DONE"
        name = f"{run.arm}.{run.seed}"
        marks[name] = files.file_sha256(done) if status == "done" else f"{status} {steps}"
    last = report_stage(marks)
    record = read_json(home / "experiment.json") or {}
    current = record.get("report") == last.key and (home / "report.json").is_file()
    todo = "never written" if "report" not in record else "the runs have changed since"
    status, why = ("done", "") if current else ("todo", todo)
    return [*planned, PlannedStage("report", None, None, last.key, home, status, why)]


def write_record(
    experiment: Experiment, out: Path, planned: Sequence[PlannedStage], *, reported: bool = False
) -> None:
    """Write `experiment.json`: what the experiment is and where each of its runs lies.

    reported: the report was just written from these runs.
    """
    home = experiment_directory(experiment, out)
    with files.writing(home):
        home.mkdir(parents=True, exist_ok=True)
    before = read_json(home / "experiment.json") or {}
    report = planned[-1].key if reported else before.get("report")
    record = {
        "name": experiment.name,
        "question": experiment.question,
        "config": {
            "base": experiment.base.model_dump(mode="json"),
            "arms": experiment.overrides,
            "seeds": list(experiment.seeds),
            "without_placebos": list(experiment.without_placebos),
            "added": {a: {"of": of, "kind": k} for a, (of, k) in experiment.added.items()},
            "placebos": pairings(experiment.arms),
            "file": str(experiment.file) if experiment.file else None,
        },
        "runs": [
            {
                "arm": stage.arm,
                "seed": stage.seed,
                "stage": stage.name,
                "key": stage.key,
                "dir": stage.directory.relative_to(out).as_posix() if stage.directory else None,
                "status": stage.status,
            }
            for stage in planned
            if stage.name == "train"
        ],
        "directions": _directions(experiment, out) if planned[0].key else [],
        "report": report,
    }
    atomic_write_json(home / "experiment.json", record)


def progress(directory: Path) -> tuple[int, float]:
    """Steps recorded so far and the seconds they took; a repeated step counts once."""
    steps = {row.get("step") for row in _rows(directory / "metrics.jsonl")}
    seconds = {
        row.get("step"): row.get("total_s") or 0.0 for row in _rows(directory / "timings.jsonl")
    }
    return len(steps), round(sum(seconds.values()), 3)


def last_metrics(directory: Path) -> dict[str, Any]:
    """The last complete row of metrics.jsonl, or {}."""
    rows = _rows(directory / "metrics.jsonl")
    return rows[-1] if rows else {}


def _rows(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return rows
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:  # the line being written
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows


def _staged(
    name: str, arm: str | None, seed: int | None, stage: Stage, out: Path, status: Status, why: str
) -> PlannedStage:
    return PlannedStage(name, arm, seed, stage.key, stage.directory(out / "store"), status, why)


def _without_keys(experiment: Experiment) -> list[PlannedStage]:
    why = "the model is not fetched yet: awry models fetch"
    runs = experiment.runs()
    groups = sharing_direction(runs)
    return [
        *(
            PlannedStage("direction", *_shared_by(users, len(groups)), None, None, "todo", why)
            for users in groups
        ),
        PlannedStage("preflight", None, None, None, None, "todo", why),
        *(
            PlannedStage(
                *("train", r.arm, r.seed, None, None, "todo", why),
                *(0, r.training.steps, 0.0, _added(experiment, r.arm)),
            )
            for r in runs
        ),
        PlannedStage("report", None, None, None, None, "todo", "never written"),
    ]


def _shared_by(users: Sequence[RunConfig], directions: int) -> tuple[str | None, int | None]:
    """(arms, seed) that tell one of several directions from the others."""
    if directions == 1:
        return None, None
    seeds = {run.seed for run in users}
    return ", ".join(dict.fromkeys(r.arm for r in users)), seeds.pop() if len(seeds) == 1 else None


def _added(experiment: Experiment, arm: str) -> str | None:
    return experiment.added[arm][1] if arm in experiment.added else None


def _directions(experiment: Experiment, out: Path) -> list[dict[str, Any]]:
    return [
        {
            "key": stage.key,
            "dir": stage.directory(out / "store").relative_to(out).as_posix(),
            "runs": [{"arm": run.arm, "seed": run.seed} for run in users],
        }
        for stage, users in direction_stages(experiment.runs())
    ]


def _former_keys(home: Path) -> dict[tuple[str, int], str]:
    """Where the last command found the run of each arm and seed."""
    record = read_json(home / "experiment.json") or {}
    runs = [run for run in record.get("runs", []) if isinstance(run, dict) and run.get("dir")]
    return {(str(run.get("arm")), int(run.get("seed", -1))): str(run["dir"]) for run in runs}


def _why_todo(stage: Stage, former: str | None, out: Path) -> str:
    if former is None or out / former == stage.directory(out / "store"):
        return "never run"
    old = read_json(out / former / "stage.json")
    if old is None:
        return "never run"
    changed = differences(old, stage.identity)
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    return "changed since its last run: " + "; ".join(changed[:3]) + more
