"""One arm against another: on the last probe, over the end of training, and over seeds. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from awry.report import findings
from awry.report.counts import (
    MEASURES,
    WINDOW,
    Change,
    change_of,
    count,
    per_step,
    pooled,
    probe_counts,
    probe_prompts,
    students,
)
from awry.report.findings import Finding
from awry.report.load import Experiment, Run
from awry.report.trajectories import Trajectory, trace
from awry.statistics import (
    Counts,
    Difference,
    Interval,
    answer_noise,
    permutation_p,
    rate,
    smallest_p,
)

PROBE_BASIS = "on the same held-out problems at the last probe"
SOLVE_MARGIN = 0.10

Sides = tuple[Sequence[Run], Sequence[Run]]
"""Runs of the reference, runs of the arm."""
Counter = Callable[[Sequence[Run]], Counts]
"""The hacks that a comparison rests on, counted per problem."""


@dataclass(frozen=True)
class Comparison:
    arm: str
    reference: str
    change: Change | None
    seed_p: float | None  # exact permutation over seeds; None with one seed on a side
    smallest_p: float
    finding: Finding


@dataclass(frozen=True)
class Measured:
    """One measure on both sides; rates: (reference, arm)."""

    rates: tuple[float, float]
    change: Change


@dataclass(frozen=True)
class SeedSpread:
    """Hack rates, arm minus reference, over the seeds that both arms have.

    interval (95 %) and narrow (90 %, for the equivalence test) are Student's t over the paired
    seeds; None when the seeds do not differ at all. p: exact permutation over all seeds,
    None where there are too many to count.
    """

    seeds: tuple[int, ...]
    differences: tuple[float, ...]
    interval: Interval | None
    narrow: Interval | None
    p: float | None
    smallest_p: float

    @property
    def estimate(self) -> float:
        return math.fsum(self.differences) / len(self.differences)


@dataclass(frozen=True)
class Versus:
    """An arm against a reference. kind: as `findings.judge_pair` says of the hack rate; solving:
    matched, less, more, unclear, not_measured; measured_on: probe, training or nothing. compiling:
    share of answers to the last probe that compile, (reference, arm).
    """

    arm: str
    reference: str
    kind: str
    finding: Finding
    measured_on: str
    hack: Measured | None
    solve: Measured | None
    solving: str
    training: Measured | None  # hack rate in the last window of steps that both have
    seeds: SeedSpread | None  # None with fewer than two seeds in common
    course: Trajectory | None
    compiling: tuple[float, float] | None = None

    @property
    def over_seeds(self) -> str:
        """Whether the kind also holds over seeds: one_seed, holds or open."""
        if self.seeds is None:
            return "one_seed"
        wide, narrow = self.seeds.interval, self.seeds.narrow
        if wide is None or narrow is None:
            return "open"
        held = {
            "lower": wide.high < 0,
            "higher": wide.low > 0,
            "equivalent": narrow.inside(-findings.MARGIN, findings.MARGIN),
        }
        return "holds" if held.get(self.kind, False) else "open"


def compare(experiment: Experiment, reference: str, arm: str, icc: float) -> Comparison:
    sides = (experiment.runs_of(reference), experiment.runs_of(arm))
    measured, why = _on_probe(sides, MEASURES["hack"], icc)
    values = [[_last_probe_rate(run) for run in side] for side in sides]
    return Comparison(
        arm=arm,
        reference=reference,
        change=change_of(measured) if measured else None,
        seed_p=_permuted(*values) if measured and min(map(len, values)) > 1 else None,
        smallest_p=smallest_p(len(sides[0]), len(sides[1])),
        finding=findings.judge_pair(arm, reference, measured, _rates(measured), why),
    )


def versus(experiment: Experiment, reference: str, arm: str, icc: float) -> Versus:
    """The probe decides; where neither arm has any, the last steps of training do."""
    sides = (experiment.runs_of(reference), experiment.runs_of(arm))
    hack, why = _on_probe(sides, MEASURES["hack"], icc)
    solve, _ = _on_probe(sides, MEASURES["solve"], icc)
    curves = [_curve(side, MEASURES["hack"]) for side in sides]
    last = sorted(curves[0].keys() & curves[1].keys())[-WINDOW:]
    training = _over(sides, last, "hack", icc)
    measured_on, counted = "probe" if hack else "nothing", _last_probe
    if training and not any(run.probe for side in sides for run in side):
        hack, solve = training, _over(sides, last, "solve", icc)
        measured_on, why = "training", f"at steps {last[0]} to {last[-1]} of training (no probe)"
        counted = _counter(last)
    finding = findings.judge_pair(arm, reference, hack, _rates(hack), why)
    return Versus(
        arm=arm,
        reference=reference,
        kind=finding.kind,
        finding=finding,
        measured_on=measured_on,
        hack=_measured(hack),
        solve=_measured(solve, SOLVE_MARGIN),
        solving=judge_solving(solve),
        training=_measured(training),
        seeds=_spread(sides, counted) if hack else None,
        course=trace(*curves, icc=icc),
        compiling=_compiling(sides) if measured_on == "probe" else None,
    )


def judge_solving(difference: Difference | None) -> str:
    """Two one-sided tests with `SOLVE_MARGIN` first, then the 95 % interval."""
    if difference is None:
        return "not_measured"
    interval = difference.interval(1 - findings.ALPHA)
    if difference.equivalence_p(SOLVE_MARGIN) < findings.ALPHA:
        return "matched"
    if interval.high < 0:
        return "less"
    return "more" if interval.low > 0 else "unclear"


def seed_spread(
    before: Sequence[float], after: Sequence[float], noise: float = 0.0
) -> tuple[tuple[float, ...], Interval | None, Interval | None]:
    """Paired differences and Student's t intervals of their mean (95 % and 90 %).

    noise: variance of that mean from the sampling of answers alone, a floor for few seeds that
    agree too well by chance. Without any variance there is no interval.
    """
    from scipy import stats

    differences = tuple(a - b for b, a in zip(before, after, strict=True))
    n = len(differences)
    mean = math.fsum(differences) / n
    spread = math.fsum((d - mean) ** 2 for d in differences) / (n - 1) / n
    error = math.sqrt(max(spread, noise))
    if error < 1e-9:
        return differences, None, None

    def around(level: float) -> Interval:
        half = float(stats.t.ppf(0.5 + level / 2, n - 1)) * error
        return Interval(max(-1.0, mean - half), min(1.0, mean + half), level)

    return differences, around(1 - findings.ALPHA), around(1 - 2 * findings.ALPHA)


def _spread(sides: Sides, counted: Counter) -> SeedSpread | None:
    by_seed = [{run.seed: run for run in side} for side in sides]
    seeds = tuple(sorted(by_seed[0].keys() & by_seed[1].keys()))
    if len(seeds) < 2:
        return None
    paired = [[counted([side[seed]]) for seed in seeds] for side in by_seed]
    noise = sum(answer_noise(counts) for side in paired for counts in side) / len(seeds) ** 2
    before, after = ([rate(counts) for counts in side] for side in paired)
    differences, interval, narrow = seed_spread(before, after, noise)
    every = [[rate(counted([run])) for run in side] for side in sides]
    return SeedSpread(
        seeds=seeds,
        differences=differences,
        interval=interval,
        narrow=narrow,
        p=_permuted(*every),
        smallest_p=smallest_p(*map(len, every)),
    )


def _permuted(a: Sequence[float], b: Sequence[float]) -> float | None:
    try:
        return permutation_p(a, b)
    except ValueError:  # more labellings than can be counted, from 11 seeds a side
        return None


def _on_probe(sides: Sides, labels: frozenset[str], icc: float) -> tuple[Difference | None, str]:
    """The difference at the last probe and what it rests on, or None and why there is none."""
    last = [{max((int(row["step"]) for row in run.probe), default=-1) for run in s} for s in sides]
    if last[0] != last[1] or len(last[0]) != 1 or -1 in last[0]:
        return None, "The last probes are missing or at different steps."
    step = last[0].pop()
    asked = [probe_prompts(side, step) for side in sides]
    if asked[0] != asked[1]:
        return None, (
            f"The probes used different prompts ({', '.join(asked[1])} against "
            f"{', '.join(asked[0])}); with probe.loophole set, every arm is asked the same."
        )
    before, after = (probe_counts(side, step, labels) for side in sides)
    if set(before) != set(after) or not before:
        return None, f"The probes at step {step} do not share the same problems."
    return Difference(before, after, icc), PROBE_BASIS


def _over(sides: Sides, steps: Sequence[int], measure: str, icc: float) -> Difference | None:
    """The difference over these steps of training."""
    if not steps:
        return None
    before, after = (_counter(steps, measure)(side) for side in sides)
    return Difference(before, after, icc)


def _counter(steps: Sequence[int], measure: str = "hack") -> Counter:
    wanted = frozenset(steps)
    return lambda runs: count(
        students(r for run in runs for r in run.rollouts if r.step in wanted), MEASURES[measure]
    )


def _curve(runs: Sequence[Run], labels: frozenset[str]) -> dict[int, Counts]:
    """Student counts per step, seeds pooled; only steps that every seed has reached."""
    curves = [per_step(students(run.rollouts), labels) for run in runs]
    steps = set.intersection(*(set(curve) for curve in curves)) if curves else set()
    return {step: pooled(curve[step] for curve in curves) for step in sorted(steps)}


def _measured(difference: Difference | None, margin: float = findings.MARGIN) -> Measured | None:
    if difference is None:
        return None
    return Measured(_rates(difference), change_of(difference, margin))


def _rates(difference: Difference | None) -> tuple[float, float]:
    if difference is None:
        return math.nan, math.nan
    return rate(difference.before), rate(difference.after)


def _last_probe(runs: Sequence[Run]) -> Counts:
    return pooled(
        probe_counts([run], int(run.probe[-1]["step"]), MEASURES["hack"])
        for run in runs
        if run.probe
    )


def _compiling(sides: Sides) -> tuple[float, float] | None:
    """Described, not tested: a probe says how many of its answers compile, not which."""
    rates = [[run.probe[-1].get("compile_rate") for run in side] for side in sides]
    known = [[rate for rate in side if isinstance(rate, int | float)] for side in rates]
    if known != rates:
        return None
    reference, arm = (math.fsum(side) / len(side) for side in known)
    return reference, arm


def _last_probe_rate(run: Run) -> float:
    return rate(_last_probe([run]))
