"""What every number of the report is made of: outcomes counted per problem. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from awry.report import findings
from awry.report.load import Rollout, Run
from awry.statistics import Counts, Difference, Interval, rate, rate_interval

WINDOW = 3
MEASURES: Mapping[str, frozenset[str]] = {
    "hack": frozenset({"hack"}),
    "attempt": frozenset({"hack", "attempted", "correct_attempted"}),
    "solve": frozenset({"correct", "correct_attempted"}),
}


@dataclass(frozen=True)
class Rate:
    value: float
    hits: int
    trials: int
    problems: int
    interval: Interval


@dataclass(frozen=True)
class Change:
    estimate: float
    interval: Interval
    equivalence_p: float


def count(rollouts: Iterable[Rollout], labels: frozenset[str]) -> Counts:
    """Per problem: (rollouts with one of the labels, rollouts)."""
    totals: dict[str, tuple[int, int]] = {}
    for r in rollouts:
        hits, trials = totals.get(r.problem, (0, 0))
        totals[r.problem] = (hits + (r.label in labels), trials + 1)
    return totals


def students(rollouts: Iterable[Rollout]) -> list[Rollout]:
    return [r for r in rollouts if not r.teacher]


def per_step(rollouts: Iterable[Rollout], labels: frozenset[str]) -> dict[int, Counts]:
    grouped: defaultdict[int, list[Rollout]] = defaultdict(list)
    for r in rollouts:
        grouped[r.step].append(r)
    return {step: count(grouped[step], labels) for step in sorted(grouped)}


def pooled(several: Iterable[Counts]) -> Counts:
    """The counts of several steps or seeds as one: a problem keeps all its trials."""
    totals: dict[str, tuple[int, int]] = {}
    for counts in several:
        for problem, (hits, trials) in counts.items():
            before = totals.get(problem, (0, 0))
            totals[problem] = (before[0] + hits, before[1] + trials)
    return totals


def probe_counts(runs: Sequence[Run], step: int, labels: frozenset[str]) -> Counts:
    return pooled(
        {problem: (sum(a in labels for a in answers), len(answers))}
        for run in runs
        for row in run.probe
        if int(row["step"]) == step
        for problem, answers in (row.get("labels") or {}).items()
    )


def probe_prompts(runs: Sequence[Run], step: int) -> tuple[str, ...]:
    """The loopholes whose prompts were asked, as the probe rows say."""
    rows = [row for run in runs for row in run.probe if int(row["step"]) == step]
    return tuple(sorted({str(row["loophole"]) for row in rows if row.get("loophole")}))


def rate_of(counts: Counts, icc: float) -> Rate:
    return Rate(
        value=rate(counts),
        hits=sum(k for k, _ in counts.values()),
        trials=sum(n for _, n in counts.values()),
        problems=len(counts),
        interval=rate_interval(counts, icc=icc),
    )


def change_of(difference: Difference, margin: float = findings.MARGIN) -> Change:
    return Change(difference.estimate, difference.interval(), difference.equivalence_p(margin))
