"""Checkpoints along training: metrics by step, areas, and when a threshold was first reached. Pure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import NormalDist
from typing import Any

from awry.comparisons import Test, label_test, mean_interval
from awry.evaluation.comparison.table import Evaluated, Key
from awry.statistics import LEVEL, Interval

Curve = Mapping[int, float]
"""Step -> value."""


@dataclass(frozen=True)
class Survived:
    """One step of a Kaplan-Meier curve: the share still without the event after `time`."""

    time: float
    at_risk: int
    events: int
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Run:
    """One metric along one training run. missing: checkpoints without a number for it. area: per
    step, None for a run that does not cover the steps that the longest one covers.
    """

    seed: int | None
    curve: Curve
    missing: tuple[int, ...]
    area: float | None
    crossed: float | None  # at which step, between checkpoints linearly; None when never
    seen: int | None  # the first checkpoint at or beyond the threshold


@dataclass(frozen=True)
class Course:
    """One metric of one arm. area_p: exact permutation over seeds against the first arm; survival:
    of the runs that had not reached the threshold, where one was given.
    """

    arm: str
    metric: Key
    runs: tuple[Run, ...]
    area: float | None
    area_interval: Interval | None
    area_test: Test | None
    threshold: float | None
    rising: bool | None
    survival: tuple[Survived, ...] = ()
    median: float | None = None
    span: float = 1.0


@dataclass(frozen=True)
class Mean:
    """The last checkpoints of an arm's seeds: per metric (mean, seeds that have it, seeds)."""

    arm: str
    values: Mapping[Key, tuple[float | None, int, int]]


@dataclass(frozen=True)
class Checkpoints:
    """Rows: policies, by arm, seed and step; columns: metrics."""

    metrics: tuple[Key, ...]
    rows: tuple[Evaluated, ...]
    means: tuple[Mean, ...] = ()
    courses: tuple[Course, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        return {
            "metrics": [list(key) for key in self.metrics],
            "rows": [
                {"name": s.name, "arm": s.arm, "seed": s.seed, "step": s.step}
                | {"values": [_value(s, key) for key in self.metrics]}
                for s in self.rows
            ],
            "means": [
                {"arm": mean.arm, "values": [list(mean.values[key]) for key in self.metrics]}
                for mean in self.means
            ],
            "courses": [asdict(course) for course in self.courses],
        }


# ---- of one curve --------------------------------------------------------------------------------
def area_per_step(curve: Curve) -> float | None:
    """Trapezoid area under step -> value divided by the steps spanned; None below two points."""
    points = sorted(curve.items())
    if len(points) < 2:
        return None
    area = math.fsum((b - a) * (u + v) / 2 for (a, u), (b, v) in itertools.pairwise(points))
    return area / (points[-1][0] - points[0][0])


def crossing(curve: Curve, threshold: float, *, rising: bool) -> float | None:
    """The step at which the curve first reaches the threshold, between points linearly."""
    seen = first_seen(curve, threshold, rising=rising)
    if seen is None:
        return None
    earlier = [step for step in curve if step < seen]
    if not earlier:
        return float(seen)
    step = max(earlier)
    share = (threshold - curve[step]) / (curve[seen] - curve[step])
    return step + (seen - step) * share


def first_seen(curve: Curve, threshold: float, *, rising: bool) -> int | None:
    """The first step measured at or beyond the threshold."""
    sign = 1 if rising else -1
    return next((s for s, v in sorted(curve.items()) if sign * (v - threshold) >= 0), None)


def kaplan_meier(times: Sequence[float], observed: Sequence[bool]) -> list[Survived]:
    """Share without the event, at each time with one; censored at their time where not observed.

    95 % intervals by Greenwood's variance on the log-log scale. Source: Kaplan and Meier, JASA 53
    (1958); Kalbfleisch and Prentice, The Statistical Analysis of Failure Time Data (1980).
    """
    curve: list[Survived] = []
    share, greenwood, z = 1.0, 0.0, NormalDist().inv_cdf(0.5 + LEVEL / 2)
    pairs = list(zip(times, observed, strict=True))
    for time in sorted({t for t, seen in pairs if seen}):
        at_risk = sum(t >= time for t in times)
        events = sum(seen and t == time for t, seen in pairs)
        share *= 1 - events / at_risk
        if events == at_risk:  # nobody is left, and Greenwood's variance has no value
            curve.append(
                Survived(time, at_risk, events, 0.0, 0.0, curve[-1].high if curve else 1.0)
            )
            break
        greenwood += events / (at_risk * (at_risk - events))
        spread = z * math.sqrt(greenwood) / abs(math.log(share))
        low, high = share ** math.exp(spread), share ** math.exp(-spread)
        curve.append(Survived(time, at_risk, events, share, low, high))
    return curve


def median_time(curve: Sequence[Survived]) -> float | None:
    """First time at which at most half are left without the event; None when that never happens."""
    return next((step.time for step in curve if step.share <= 0.5 + 1e-12), None)


# ---- of evaluations ------------------------------------------------------------------------------
def checkpoints(
    subjects: Sequence[Evaluated],
    metrics: Sequence[Key],
    thresholds: Mapping[Key, float] | None = None,
) -> Checkpoints:
    """The table of all policies, means over seeds, and what happens along each run.

    A policy that is of no run and comes first is where every run starts: its step is 0.
    """
    order = {arm: i for i, arm in enumerate(dict.fromkeys(s.arm for s in subjects))}
    rows = sorted(subjects, key=lambda s: (order[s.arm], _number(s.seed), _number(s.step)))
    start = subjects[0] if subjects and subjects[0].arm is None else None
    arms = list(dict.fromkeys(s.arm for s in rows if s.arm is not None))
    means = tuple(_mean(arm, rows, metrics) for arm in arms)
    return Checkpoints(
        tuple(metrics),
        tuple(rows),
        tuple(m for m in means if next(iter(m.values.values()), (None, 0, 0))[2] > 1),
        tuple(
            course
            for key in metrics
            for course in _courses_of(arms, rows, key, start, (thresholds or {}).get(key))
        ),
    )


def _courses_of(
    arms: Sequence[str],
    rows: Sequence[Evaluated],
    key: Key,
    start: Evaluated | None,
    threshold: float | None,
) -> list[Course]:
    """One per arm that has a run with two checkpoints (the start counts as one)."""
    curves: dict[str, list[tuple[int | None, dict[int, float], tuple[int, ...]]]] = {}
    for arm in arms:
        seeds = dict.fromkeys(s.seed for s in rows if s.arm == arm)
        for seed in seeds:
            run = [s for s in rows if s.arm == arm and s.seed == seed and s.step is not None]
            curve = {s.step or 0: v for s in run if (v := _value(s, key)) is not None}
            missing = tuple(s.step or 0 for s in run if _value(s, key) is None)
            if start is not None and (v := _value(start, key)) is not None:
                curve.setdefault(0, v)
            if len(curve) > 1:
                curves.setdefault(arm, []).append((seed, curve, missing))
    rising = _rises([c for found in curves.values() for _, c, _ in found], threshold)
    every = [step for found in curves.values() for _, curve, _ in found for step in curve]
    areas: dict[str, list[float]] = {}
    out: list[Course] = []
    for arm, found in curves.items():
        runs = tuple(
            Run(
                seed,
                curve,
                missing,
                area_per_step(curve) if {min(every), max(every)} <= curve.keys() else None,
                None if threshold is None else crossing(curve, threshold, rising=rising),
                None if threshold is None else first_seen(curve, threshold, rising=rising),
            )
            for seed, curve, missing in found
        )
        areas[arm] = own = [run.area for run in runs if run.area is not None]
        first = next(iter(areas.values()))
        survival = _survival(runs) if threshold is not None else []
        comparable = own is not first and min(len(first), len(own)) > 1
        out.append(
            Course(
                arm=arm,
                metric=key,
                runs=runs,
                area=math.fsum(own) / len(own) if own else None,
                area_interval=mean_interval(own),
                area_test=label_test(first, own) if comparable else None,
                threshold=threshold,
                rising=None if threshold is None else rising,
                survival=tuple(survival),
                median=median_time(survival),
                span=max((s.measures[key].span for s in rows if key in s.measures), default=1.0),
            )
        )
    return out


def _rises(curves: Sequence[Curve], threshold: float | None) -> bool:
    """Whether the threshold is reached from below: by where the runs start, on average."""
    starts = [curve[min(curve)] for curve in curves]
    return not starts or threshold is None or math.fsum(starts) / len(starts) <= threshold


def _survival(runs: Sequence[Run]) -> list[Survived]:
    """Runs that never reached the threshold are censored at their last checkpoint."""
    times = [max(run.curve) if run.seen is None else run.seen for run in runs]
    return kaplan_meier(times, [run.seen is not None for run in runs])


def _mean(arm: str, rows: Sequence[Evaluated], metrics: Sequence[Key]) -> Mean:
    last: dict[int | None, Evaluated] = {}
    for subject in rows:  # by step, so that the last stays
        if subject.arm == arm:
            last[subject.seed] = subject
    values: dict[Key, tuple[float | None, int, int]] = {}
    for key in metrics:
        known = [v for s in last.values() if (v := _value(s, key)) is not None]
        values[key] = (math.fsum(known) / len(known) if known else None, len(known), len(last))
    return Mean(arm, values)


def _value(subject: Evaluated, key: Key) -> float | None:
    measure = subject.measures.get(key)
    return None if measure is None else measure.value


def _number(value: int | None) -> int:
    return -1 if value is None else value
