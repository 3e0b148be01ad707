"""Which evaluations in a folder are of an experiment's runs, and what comparing its arms says.

The comparison is that of `awry compare --group arm`. What it refuses is refused here in the same
words, and the rest of the report is written all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from awry.errors import UserError
from awry.evaluation.comparison.compare import Comparison, Margins, compare
from awry.evaluation.comparison.sides import Side, check
from awry.evaluation.comparison.table import (
    METRICS,
    RECORD,
    Evaluated,
    Key,
    read_subject,
    read_subjects,
)
from awry.evaluation.comparison.trajectories import Checkpoints, checkpoints
from awry.files import read_json
from awry.report.load import Experiment, Run

FOLDER = "evaluations"  # in the experiment's directory


@dataclass(frozen=True)
class Evaluations:
    """The policies of an experiment that were evaluated, the model its runs started from first.

    left_out: (folder, why). refused: why they are not compared; found: the numbers of every
    checkpoint, None where they do not belong beside each other: found_refused says why.
    """

    folder: Path
    policies: tuple[Evaluated, ...]
    left_out: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    comparison: Comparison | None
    refused: UserError | None
    found: Checkpoints | None
    found_refused: UserError | None

    @property
    def warnings(self) -> tuple[str, ...]:
        if self.refused is None:
            return ()
        return (f"The evaluations are not compared: {self.refused.message}.",)


def evaluations(
    experiment: Experiment, folder: Path | None = None, margins: Margins | None = None
) -> Evaluations | None:
    """None when there are none where they are looked for by default.

    Raises UserError for a given folder without evaluations, and for margins that fit no metric.
    """
    home = experiment.directory / FOLDER if folder is None else folder
    places = policy_folders(home)
    if not places:
        if folder is not None or margins is not None:
            raise UserError(
                "there is no evaluation here",
                field="--evaluations",
                value=home,
                fix=f"awry evaluate {experiment.directory} --suite NAME --out {home}",
            )
        return None
    policies, left_out = _own(experiment, places)
    notes = _unevaluated(experiment, policies)
    return _compared(home, policies, left_out, notes, margins or Margins())


def policy_folders(home: Path) -> list[Path]:
    """Every policy's folder in what `awry evaluate` wrote; or the folder itself, being one."""
    if any(home.glob(f"*/{RECORD}")):
        return [home]
    return sorted({record.parent.parent for record in home.glob(f"*/*/{RECORD}")})


def _compared(
    home: Path,
    policies: Sequence[Evaluated],
    left_out: Sequence[tuple[str, str]],
    notes: Sequence[str],
    margins: Margins,
) -> Evaluations:
    comparison = found = refused = found_refused = None
    try:
        if all(policy.arm is None for policy in policies):
            raise UserError(
                "no run of this experiment was evaluated here",
                value=str(home),
                fix="give awry evaluate the experiment's directory",
            )
        comparison = compare(policies, by_arm=True, margins=margins)
    except UserError as error:
        if error.field == "--margin":
            raise
        refused = error
    try:
        # the comparison has looked at the last checkpoints only
        for benchmark in dict.fromkeys(name for p in policies for name in p.conditions):
            check([Side(p.name, (p,)) for p in policies if benchmark in p.conditions], ())
        if policies:
            found = checkpoints(policies, _columns(comparison, policies))
    except UserError as error:
        found_refused = error
    return Evaluations(
        folder=home,
        policies=tuple(policies),
        left_out=tuple(left_out),
        notes=tuple(notes),
        comparison=comparison,
        refused=refused,
        found=found,
        found_refused=found_refused,
    )


def _columns(comparison: Comparison | None, policies: Sequence[Evaluated]) -> list[Key]:
    """The metrics compared; without a comparison the main ones."""
    if comparison is None:
        return list(dict.fromkeys(m.key for p in policies for m in p.measures.values() if m.main))
    return list(dict.fromkeys((row.benchmark, row.metric) for row in comparison.rows))


# ---- whose they are ------------------------------------------------------------------------------
def _own(
    experiment: Experiment, places: Iterable[Path]
) -> tuple[list[Evaluated], list[tuple[str, str]]]:
    """The experiment's policies in its own order, and what else lies there."""
    runs = {(run.arm, run.seed): run for run in experiment.runs}
    order = {arm: i for i, arm in enumerate(experiment.arms)}
    kept: dict[Path, tuple[int, int, int]] = {}
    left_out: list[tuple[str, str]] = []
    starts: dict[Any, str] = {}
    for place in places:
        records = {file.parent: read_json(file) or {} for file in sorted(place.glob(f"*/{RECORD}"))}
        subject = next(iter(records.values())).get("subject") or {}
        why = _foreign(subject, experiment, runs)
        start = subject.get("weights") if subject.get("arm") is None else None
        if not why and start in starts:
            why = f"the same model as {starts[start]}"
        try:
            if not why:
                read_subject(place)
        except UserError as error:
            why = error.message
        if why:
            left_out.append((place.name, why))
            continue
        if start is not None:
            starts[start] = place.name
        arm, seed, step = (subject.get(name) for name in ("arm", "seed", "step"))
        kept[place] = (-1 if arm is None else order[arm], seed or 0, step or 0)
        left_out += [
            (f"{place.name}/{folder.name}", "begun and not finished")
            for folder in records
            if not (folder / METRICS).is_file()
        ]
    found = read_subjects(sorted(kept, key=kept.__getitem__))
    # a model may have the name of an arm, and is none
    return [
        replace(p, name=f"model {p.name}") if p.arm is None and p.name in order else p
        for p in found
    ], left_out


def _foreign(
    subject: Mapping[str, Any], experiment: Experiment, runs: Mapping[tuple[str, int], Run]
) -> str:
    """Why a policy is no part of the experiment, or nothing."""
    if subject.get("arm") is None:
        digests = [(run.manifest.get("digests") or {}).get("weights") for run in runs.values()]
        if subject.get("adapter") is None and subject.get("weights") in {*digests} - {None}:
            return ""
        return "neither a run nor the model that the runs started from"
    if subject.get("experiment") != experiment.name:
        return f"of another experiment, {subject.get('experiment')}"
    run = runs.get((subject["arm"], subject.get("seed", 0)))
    if run is None:
        return "of an arm and seed that this experiment does not have"
    return "" if _same_run(subject, run) else "of an earlier run of this arm and seed"


def _same_run(subject: Mapping[str, Any], run: Run) -> bool:
    """By the weights where the checkpoint is still there, else by the run's directory."""
    state = read_json(
        run.directory / "checkpoints" / f"step_{subject.get('step') or 0:06d}" / "state.json"
    )
    if state is not None and subject.get("adapter"):
        return (state.get("digests") or {}).get("trained.safetensors") == subject["adapter"]
    name = Path(subject.get("run") or "").name
    return name in ("", "..", run.directory.name)  # a relative path need not tell


def _unevaluated(experiment: Experiment, policies: Sequence[Evaluated]) -> list[str]:
    """Runs of which nothing, or not the last step, was evaluated."""
    last: dict[tuple[str | None, int | None], int] = {}
    for policy in policies:
        run = policy.arm, policy.seed
        last[run] = max(last.get(run, 0), policy.step or 0)
    notes = []
    for run in experiment.runs:
        step = last.get((run.arm, run.seed))
        if step is None:
            notes.append(f"{run.arm}, seed {run.seed} was not evaluated")
        elif step < run.steps_done:
            notes.append(
                f"{run.arm}, seed {run.seed} was last evaluated at step {step} of {run.steps_done}"
            )
    return notes
