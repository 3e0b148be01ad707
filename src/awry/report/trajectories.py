"""Two training curves beside each other: does one stay below the other, or only rise later? Pure.

A curve is, per step, the outcomes counted per problem. Windows are `WINDOW` steps long, counted
back from the last step that both curves have, and do not overlap.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from awry.report import findings
from awry.report.counts import WINDOW, pooled
from awry.statistics import Counts, Difference, Interval, rate

Curve = Mapping[int, Counts]

REACHED = 0.25


@dataclass(frozen=True)
class Gap:
    """Arm minus reference over the steps first..last; rates: (reference, arm)."""

    first: int
    last: int
    rates: tuple[float, float]
    estimate: float
    interval: Interval


@dataclass(frozen=True)
class Trajectory:
    """reached: the step at which (reference, arm) first hack in 25 % of rollouts, None if never;
    area: mean over common steps of arm minus reference; earlier: the window before the last in
    which the arm lies furthest below the reference, with an interval that excludes 0; end: the last
    window; delays: the arm lay below, rose, and met the reference at the end.
    """

    steps: int
    reached: tuple[int | None, int | None]
    area: float
    earlier: Gap | None
    end: Gap
    delays: bool


def trace(reference: Curve, arm: Curve, *, icc: float = 1.0) -> Trajectory | None:
    """None without a common step. What the reference did after the arm's last step is left out."""
    steps = sorted(reference.keys() & arm.keys())
    if not steps:
        return None
    blocks = windows(steps)
    # every earlier window is a chance to find a gap: the level is divided among them (Bonferroni)
    level = 1 - findings.ALPHA / max(1, len(blocks) - 1)
    below = [
        gap
        for block in blocks[:-1]
        if (gap := _gap(reference, arm, block, icc, level)).interval.high < 0
    ]
    earlier = min(below, key=lambda gap: gap.estimate, default=None)
    end = _gap(reference, arm, blocks[-1], icc, 1 - findings.ALPHA)
    return Trajectory(
        steps=len(steps),
        reached=(
            first_reaching({s: reference[s] for s in steps}),
            first_reaching({s: arm[s] for s in steps}),
        ),
        area=area_between(reference, arm),
        earlier=earlier,
        end=end,
        delays=earlier is not None and meets(earlier, end),
    )


def meets(earlier: Gap, end: Gap) -> bool:
    """At the end the arm is less than `MARGIN` below (by its interval, or with 0 in it), and got
    there by rising.

    Rising: it closed at least half of the earlier gap itself. Where the reference fell to meet the
    arm, nothing was delayed.
    """
    near = end.estimate > -findings.MARGIN
    level = near and (end.interval.high >= 0 or end.interval.low > -findings.MARGIN)
    rise = end.rates[1] - earlier.rates[1]
    return level and rise >= -earlier.estimate / 2


def first_reaching(curve: Curve, level: float = REACHED, window: int = WINDOW) -> int | None:
    """The last step of the first `window` consecutive measured steps with this pooled rate."""
    steps = sorted(curve)
    for i in range(window - 1, len(steps)):
        if rate(pooled(curve[s] for s in steps[i - window + 1 : i + 1])) >= level:
            return steps[i]
    return None


def area_between(reference: Curve, arm: Curve) -> float:
    """Mean over the common steps of the difference in rate: the area between the curves per step."""
    steps = reference.keys() & arm.keys()
    gaps = [rate(arm[s]) - rate(reference[s]) for s in sorted(steps)]
    known = [gap for gap in gaps if not math.isnan(gap)]
    return math.fsum(known) / len(known) if known else math.nan


def windows(steps: Sequence[int], width: int = WINDOW) -> list[list[int]]:
    """Blocks of `width` steps counted back from the last; an incomplete first block is left out."""
    first = len(steps) % width if len(steps) >= width else 0
    return [list(steps[i : i + width]) for i in range(first, len(steps), width)]


def _gap(reference: Curve, arm: Curve, steps: Sequence[int], icc: float, level: float) -> Gap:
    before, after = (pooled(curve[s] for s in steps) for curve in (reference, arm))
    difference = Difference(before, after, icc)
    return Gap(
        first=steps[0],
        last=steps[-1],
        rates=(rate(before), rate(after)),
        estimate=difference.estimate,
        interval=difference.interval(level),
    )
