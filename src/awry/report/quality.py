"""How well the per-sample cosines tell hacks from other answers in the run's own rollouts. Pure.

Students only: teachers were written by others and hack by construction. AUROC is the chance that a
hack lies above an answer that is none. Pooled over a run it also rewards a cosine that merely
drifts while the hack rate rises, so it is given a second time for pairs within one step.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from awry.report.counts import MEASURES, students
from awry.report.load import COSINE_COLUMNS, Experiment, Rollout, Run
from awry.statistics import LEVEL, RESAMPLES, Interval, wilson

if TYPE_CHECKING:
    import numpy as np

METRICS = (
    *("direction_cosine_in", "direction_cosine_out", "direction_energy_in"),
    *("direction_energy_out", "direction_removed_share", "direction_fired_share"),
    *("direction_leak", "direction_leak_share", "direction_overlap", "direction_auroc"),
)
"""Per-step metrics that the summary of an arm gives the mean of."""

Score = tuple[str, tuple[int, int], bool, float]
"""problem, (seed, step), hack?, score of one answer."""
Scores = Sequence[Score]


@dataclass(frozen=True)
class Auroc:
    value: float
    interval: Interval


@dataclass(frozen=True)
class Separation:
    """within: over pairs of the same step (and seed) only; None where no step has both classes."""

    hacks: int
    others: int
    mean_hack: float
    mean_other: float
    pooled: Auroc
    within: Auroc | None


@dataclass(frozen=True)
class ArmQuality:
    """scores: column -> its separation, None without both classes; metrics: name -> mean over the
    run, only those that were measured.
    """

    arm: str
    scores: Mapping[str, Separation | None]
    metrics: Mapping[str, float]

    @property
    def measured(self) -> bool:
        return any(self.scores.values())


def quality(experiment: Experiment) -> tuple[ArmQuality, ...]:
    """One per arm in which anything was measured."""
    found = []
    for arm in experiment.arms:
        runs = experiment.runs_of(arm)
        scores = {column: separation(scored(runs, column)) for column in COSINE_COLUMNS}
        metrics = {name: value for name in METRICS if (value := _mean(runs, name)) is not None}
        if any(scores.values()) or metrics:
            found.append(ArmQuality(arm, scores, metrics))
    return tuple(found)


def scored(runs: Iterable[Run], column: str) -> list[Score]:
    rows: list[Score] = []
    for run in runs:
        rows += [
            (r.problem, (run.seed, r.step), r.label in MEASURES["hack"], value)
            for r in students(run.rollouts)
            if (value := _value(r, column)) is not None
        ]
    return rows


def separation(scores: Scores, seed: int = 0) -> Separation | None:
    """None without both classes. The interval resamples problems; see `_interval` for its limits."""
    hacks = [s for _, _, hack, s in scores if hack]
    others = [s for _, _, hack, s in scores if not hack]
    if not hacks or not others:
        return None
    judged = _judged(scores, [scores], seed)
    assert judged is not None
    steps: defaultdict[tuple[int, int], list[Score]] = defaultdict(list)
    for row in scores:
        steps[row[1]].append(row)
    within = _judged(scores, [steps[s] for s in sorted(steps)], seed)
    return Separation(
        hacks=len(hacks),
        others=len(others),
        mean_hack=math.fsum(hacks) / len(hacks),
        mean_other=math.fsum(others) / len(others),
        pooled=judged,
        within=within,
    )


def _judged(scores: Scores, strata: Sequence[Scores], seed: int) -> Auroc | None:
    """Over the pairs within strata; None when no stratum has both classes."""
    problems = sorted({problem for problem, *_ in scores})
    wins, pairs = _tables(strata, {problem: i for i, problem in enumerate(problems)})
    if not pairs.sum():
        return None
    value = float(wins.sum() / pairs.sum())
    return Auroc(value, _interval(value, wins, pairs, seed))


def _tables(strata: Sequence[Scores], index: Mapping[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """wins[p, q], pairs[p, q]: over pairs of a hack on problem p and another answer on q in the
    same stratum, how many the hack wins (a tie is half a win), and how many there are.
    """
    import numpy as np

    wins, pairs = (np.zeros((len(index), len(index))) for _ in range(2))
    for rows in strata:
        hacks = [row for row in rows if row[2]]
        if not hacks:
            continue
        p = np.array([index[problem] for problem, *_ in hacks])
        score = np.array([s for *_, s in hacks])
        by_problem: defaultdict[str, list[float]] = defaultdict(list)
        for problem, _, hack, s in rows:
            if not hack:
                by_problem[problem].append(s)
        for problem, values in by_problem.items():
            ordered = np.sort(values)
            below = np.searchsorted(ordered, score, side="left")
            upto = np.searchsorted(ordered, score, side="right")
            q = index[problem]
            np.add.at(wins[:, q], p, (below + upto) / 2)
            np.add.at(pairs[:, q], p, len(values))
    return wins, pairs


def _interval(auroc: float, wins: np.ndarray, pairs: np.ndarray, seed: int) -> Interval:
    """Percentile bootstrap over problems. Where every pair is won (or lost) there is nothing to
    resample: then Wilson's interval on as many trials as the rarer class has problems.
    """
    import numpy as np

    fewest = int(min((pairs.sum(axis=1) > 0).sum(), (pairs.sum(axis=0) > 0).sum()))
    if auroc in (0.0, 1.0) or fewest < 2:
        return wilson(auroc * fewest, fewest)
    n = len(wins)
    weights = (
        np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=RESAMPLES).astype(float)
    )
    total = ((weights @ pairs) * weights).sum(axis=1)
    drawn = ((weights @ wins) * weights).sum(axis=1)
    kept = drawn[total > 0] / total[total > 0]
    low, high = np.quantile(kept, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))


def _value(rollout: Rollout, column: str) -> float | None:
    return rollout.cosine if column == "cosine" else rollout.alignment


def _mean(runs: Sequence[Run], metric: str) -> float | None:
    values = [
        float(value)
        for run in runs
        for row in run.metrics
        if isinstance(value := row.get(metric), int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
    ]
    return math.fsum(values) / len(values) if values else None
