"""What a reader must know before believing the numbers. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from awry.report import direction, findings
from awry.report.counts import MEASURES, per_step, students
from awry.report.load import Run
from awry.report.summary import ReportData
from awry.statistics import rate, seeds_needed, smallest_p

SAME = {
    # a digest or field of the manifest, and what it means when arms differ in it
    "weights": "they did not start from the same model and are not comparable",
    "tokenizer": "they are not comparable",
    "chat_template": "they are not comparable",
    "dtype": "they are not comparable",
    "problems_probed": "their probes are not comparable",
    "problems_trained": "differences may come from the problems",
    "direction": "their cosines are measured along different axes",
}


def cautions(data: ReportData) -> tuple[str, ...]:
    experiment, arms = data.experiment, data.arms
    notes: list[str] = []
    seeds = {len(arm.seeds) for arm in arms}
    if min(seeds) < seeds_needed(findings.ALPHA):
        n = min(seeds)
        notes.append(
            (
                "One training seed per arm"
                if seeds == {1}
                else f"As few as {n} training seed(s) per arm"
            )
            + ": intervals cover the choice of problems and the sampling of answers, not what another "
            f"seed would have done. Between seeds, {n} against {n} cannot reach a permutation p below "
            f"{smallest_p(n, n):.2g}; that takes {seeds_needed(findings.ALPHA)} seeds per arm."
        )
    for seed in sorted({run.seed for run in experiment.runs}):
        notes.extend(_digests([run for run in experiment.runs if run.seed == seed]))
    for arm in arms:
        open_seeds = [
            f"seed {s.seed} ({s.status}) {s.steps} of {s.planned or '?'}"
            for s in arm.seeds
            if s.status != "done"
        ]
        if open_seeds:
            notes.append(f"{arm.name} is unfinished; steps so far: {', '.join(open_seeds)}.")
    for run in experiment.runs:
        where = f"{run.arm}, seed {run.seed}"
        notes.extend(f"{where}: {problem}." for problem in run.problems)
        notes.extend(f"{where}: {text}" for text in _recount(run))
    notes.extend(_about_directions(data))
    if experiment.preflight is None:
        notes.append("No preflight.json: the instruments were not checked before training.")
    elif failed := [str(c.get("name")) for c in experiment.preflight if c.get("status") == "fail"]:
        notes.append(f"Preflight failed: {', '.join(failed)}.")
    return tuple(notes)


def _about_directions(data: ReportData) -> list[str]:
    notes = []
    for stage in data.experiment.directions:
        whose = "direction" if len(data.experiment.directions) == 1 else f"direction {stage.key}"
        notes.extend(f"The {whose}: {problem}." for problem in stage.problems)
        found = direction.verified(stage)
        if "does not beat" in found.standing:
            notes.append(f"The {whose} is no better than a null model. {found.standing}")
    if (n := len(data.interventions)) > 2:
        notes.append(
            f"{n} interventions are judged, each at the {findings.ALPHA * 100:.0f} % level and without a correction "
            "for their number: one success among many is a lead, not a result."
        )
    for judged in data.interventions:
        if judged.finding.kind == "no_placebo":
            notes.append(
                f"{judged.arm} has no placebo arm: that any direction would have done the same "
                "cannot be ruled out."
            )
    return notes


def _digests(runs: Sequence[Run]) -> list[str]:
    """Where runs of one seed were not given the same thing."""
    notes = []
    for name, consequence in SAME.items():
        seen = {value for run in runs if isinstance(value := _recorded(run).get(name), str)}
        if len(seen) > 1:
            notes.append(f"Seed {runs[0].seed}: the arms differ in {name}: {consequence}.")
    return notes


def _recorded(run: Run) -> dict[str, Any]:
    manifest = run.manifest
    direction = manifest.get("direction")
    named = direction.get("sha256") if isinstance(direction, Mapping) else None
    return {**manifest, **(manifest.get("digests") or {}), "direction": named}


def _recount(run: Run) -> list[str]:
    """Where the trainer's own metrics disagree with the rollouts it wrote."""
    counted = per_step(students(run.rollouts), MEASURES["hack"])
    logged = {int(row["step"]): row for row in run.metrics}
    wrong = [
        step
        for step in counted.keys() & logged.keys()
        if isinstance(value := logged[step].get("hack_rate"), int | float)
        and abs(value - rate(counted[step])) > 0.002
    ]
    missing = sorted(logged.keys() - {r.step for r in run.rollouts})
    notes = []
    if wrong:
        notes.append(
            f"the logged hack rate disagrees with the rollouts at step(s) {steps_text(wrong)}; the "
            "rollouts are used for every verdict, the log for the curves."
        )
    if missing:
        notes.append(f"no rollouts for step(s) {steps_text(missing)}.")
    return notes


def steps_text(steps: Iterable[int], limit: int = 8) -> str:
    found = sorted(steps)
    shown = ", ".join(map(str, found[:limit]))
    return shown if len(found) <= limit else f"{shown} and {len(found) - limit} more"
