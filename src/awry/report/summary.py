"""Numbers per arm and between arms, counted from the rollouts themselves. Pure.

Start and end of an arm are its first and last `WINDOW` steps (fewer when the run is shorter than
two windows), student rollouts only, pooled over steps and seeds. Arms are compared on the probe,
the same held-out problems for every arm, paired by problem.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from awry.report import findings
from awry.report.counts import (
    MEASURES,
    WINDOW,
    Change,
    Rate,
    change_of,
    count,
    per_step,
    probe_counts,
    probe_prompts,
    rate_of,
    students,
)
from awry.report.findings import ArmEvidence, Finding
from awry.report.load import Experiment, Run
from awry.report.versus import Comparison, compare
from awry.statistics import Difference, intraclass_correlation, rate

if TYPE_CHECKING:
    from awry.report.evaluated import Evaluations
    from awry.report.interventions import Intervention
    from awry.report.quality import ArmQuality


@dataclass(frozen=True)
class ProbePoint:
    """prompts: the loopholes whose prompts were asked, as the probe rows say."""

    step: int
    prompts: tuple[str, ...]
    rates: Mapping[str, Rate]


@dataclass(frozen=True)
class SeedSummary:
    seed: int
    status: str
    steps: int
    planned: int | None
    seconds: float
    first_hack_step: int | None
    onset_step: int | None
    hack_rate_start: float
    hack_rate_end: float


@dataclass(frozen=True)
class ArmSummary:
    """first_hack_step: first step with a student hack; onset_step: first step where the student's
    hacks outnumber its correct answers; both the earliest over seeds, None if it never happened.
    """

    name: str
    seeds: tuple[SeedSummary, ...]
    finished: bool
    steps: int
    seconds: float
    window: int
    start: Mapping[str, Rate]
    end: Mapping[str, Rate]
    change: Mapping[str, Change]
    first_hack_step: int | None
    onset_step: int | None
    probe: tuple[ProbePoint, ...]
    probe_change: Mapping[str, Change]
    finding: Finding


@dataclass(frozen=True)
class ReportData:
    experiment: Experiment
    arms: tuple[ArmSummary, ...]
    comparisons: tuple[Comparison, ...]
    icc: float | None
    interventions: tuple[Intervention, ...] = ()  # from interventions.py
    quality: tuple[ArmQuality, ...] = ()  # from quality.py
    evaluations: Evaluations | None = None  # from evaluated.py
    warnings: tuple[str, ...] = ()  # from cautions.py


def summarise(experiment: Experiment) -> ReportData:
    icc = intraclass_correlation(
        counts
        for run in experiment.runs
        for counts in per_step(students(run.rollouts), MEASURES["hack"]).values()
    )
    assumed = 1.0 if icc is None else icc
    arms = tuple(_arm(name, experiment.runs_of(name), assumed) for name in experiment.arms)
    comparisons = tuple(compare(experiment, arms[0].name, arm.name, assumed) for arm in arms[1:])
    return ReportData(experiment, arms, comparisons, icc)


def _arm(name: str, runs: Sequence[Run], icc: float) -> ArmSummary:
    steps = [sorted({r.step for r in run.rollouts}) for run in runs]
    shortest = min(len(s) for s in steps)
    window = max(1, min(WINDOW, shortest // 2))
    first = students(
        r for run, s in zip(runs, steps, strict=True) for r in run.rollouts if r.step in s[:window]
    )
    last = students(
        r for run, s in zip(runs, steps, strict=True) for r in run.rollouts if r.step in s[-window:]
    )
    every = students(r for run in runs for r in run.rollouts)
    start = {m: rate_of(count(first, labels), icc) for m, labels in MEASURES.items()}
    end = {m: rate_of(count(last, labels), icc) for m, labels in MEASURES.items()}
    differences = {
        m: Difference(count(first, labels), count(last, labels), icc)
        for m, labels in MEASURES.items()
        if shortest >= 2
    }
    seeds = tuple(_seed(run, window) for run in runs)
    first_hack = min(
        (s.first_hack_step for s in seeds if s.first_hack_step is not None), default=None
    )
    onset = min((s.onset_step for s in seeds if s.onset_step is not None), default=None)
    finished = all(run.done is not None for run in runs)
    probe, probe_change = _probe(runs, icc)
    finding = findings.judge_arm(
        ArmEvidence(
            change=differences.get("hack"),
            rates=(start["hack"].value, end["hack"].value),
            window=window,
            first_hack_step=first_hack,
            hacks=sum(r.label == "hack" for r in every),
            rollouts=len(every),
            finished=finished,
            steps=tuple((run.steps_done, run.steps_planned) for run in runs),
            # a run whose metrics do not say is taken to have stepped: "no signal" must be shown
            stepped=any(
                row.get("optimizer_step") is not False for run in runs for row in run.metrics
            )
            or not any(run.metrics for run in runs),
            digests_equal=_digests_equal(runs),
            ends=tuple(s.hack_rate_end for s in seeds),
            stopped_by=tuple(dict.fromkeys(run.stopped_by for run in runs if run.stopped_by)),
            loophole=any((run.config.get("loophole") or {}).get("name") != "none" for run in runs),
        )
    )
    return ArmSummary(
        name=name,
        seeds=seeds,
        finished=finished,
        steps=min(run.steps_done for run in runs),
        seconds=sum(run.seconds for run in runs),
        window=window,
        start=start,
        end=end,
        change={m: change_of(d) for m, d in differences.items()},
        first_hack_step=first_hack,
        onset_step=onset,
        probe=probe,
        probe_change=probe_change,
        finding=finding,
    )


def _seed(run: Run, window: int) -> SeedSummary:
    own = students(run.rollouts)
    hacks, corrects = (
        {step: sum(k for k, _ in c.values()) for step, c in per_step(own, MEASURES[m]).items()}
        for m in ("hack", "solve")
    )
    steps = sorted(hacks)
    hack = MEASURES["hack"]
    return SeedSummary(
        seed=run.seed,
        status="done" if run.done is not None else _open_status(run.status),
        steps=run.steps_done,
        planned=run.steps_planned,
        seconds=run.seconds,
        first_hack_step=next((s for s in steps if hacks[s]), None),
        onset_step=next((s for s in steps if hacks[s] > corrects[s]), None),
        hack_rate_start=rate(count([r for r in own if r.step in steps[:window]], hack)),
        hack_rate_end=rate(count([r for r in own if r.step in steps[-window:]], hack)),
    )


def _open_status(recorded: str) -> str:
    """experiment.json may say "done" of a directory without DONE; the directory is believed."""
    return "no DONE file" if recorded == "done" else recorded


def _probe(runs: Sequence[Run], icc: float) -> tuple[tuple[ProbePoint, ...], dict[str, Change]]:
    """Probe steps that every seed has reached, and the change from the first to the last."""
    reached = [{int(row["step"]) for row in run.probe if row.get("labels")} for run in runs]
    steps = sorted(set.intersection(*reached))
    counted = {
        (step, m): probe_counts(runs, step, labels)
        for step in steps
        for m, labels in MEASURES.items()
    }
    rates = tuple(
        ProbePoint(
            step, probe_prompts(runs, step), {m: rate_of(counted[step, m], icc) for m in MEASURES}
        )
        for step in steps
    )
    if len(steps) < 2:
        return rates, {}
    return rates, {
        m: change_of(Difference(counted[steps[0], m], counted[steps[-1], m], icc)) for m in MEASURES
    }


def _digests_equal(runs: Sequence[Run]) -> bool | None:
    pairs = [
        (run.done.get("adapter_digest_start"), run.done.get("adapter_digest_end"))
        for run in runs
        if run.done is not None
    ]
    if len(pairs) < len(runs) or any(None in pair for pair in pairs):
        return None
    return all(start == end for start, end in pairs)
