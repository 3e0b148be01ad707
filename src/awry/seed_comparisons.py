"""Two arms on the same items, several training runs each: one run is one draw, however many items
it answers. Pure.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from awry.comparisons import (
    PairedDifference,
    Source,
    Test,
    Values,
    deviation,
    equivalence_p,
    label_test,
    mean_error,
    sign_flip_test,
    student,
)
from awry.statistics import LEVEL, Interval


@dataclass(frozen=True)
class SeedDifference:
    """`after` minus `before` where a side holds several training runs: seed -> values per item.

    Seeds that both sides have are paired; else each side's seeds are averaged. Seeds and items are
    crossed: the spread of each adds to the interval, which counts the noise of single answers twice
    and so errs on the wide side. Student's t for each, the half-widths added as squares. Only items
    that every run answered count.
    Sources: A. B. Owen, Annals of Applied Statistics 1 (2007), on resampling rows and columns; G. Y.
    Zou and A. Donner, Statistics in Medicine 27 (2008), on adding half-widths.
    """

    before: Mapping[int, Values]
    after: Mapping[int, Values]
    groups: Mapping[str, str] | None = None
    span: float = 1.0
    seed: int = 0

    @cached_property
    def paired(self) -> tuple[int, ...]:
        """Seeds on both sides; none unless there are two."""
        both = tuple(sorted(self.before.keys() & self.after.keys()))
        return both if len(both) > 1 else ()

    @cached_property
    def items(self) -> tuple[str, ...]:
        every = [set(values) for side in (self.before, self.after) for values in side.values()]
        return tuple(sorted(set.intersection(*every)))

    @cached_property
    def _over_items(self) -> PairedDifference:
        sides = [
            [side[s] for s in self.paired] if self.paired else list(side.values())
            for side in (self.before, self.after)
        ]
        means = [
            {i: math.fsum(run[i] for run in runs) / len(runs) for i in self.items} for runs in sides
        ]
        return PairedDifference(means[0], means[1], self.groups, self.span, self.seed)

    def _per_seed(self, side: Mapping[int, Values]) -> dict[int, float]:
        weights = self._over_items.weights
        return {
            s: math.fsum(weights[i] * values[i] for i in self.items) for s, values in side.items()
        }

    @cached_property
    def seed_values(self) -> tuple[dict[int, float], dict[int, float]]:
        """Of each side the metric per seed, over the common items."""
        return self._per_seed(self.before), self._per_seed(self.after)

    @property
    def estimate(self) -> float:
        return self._over_items.estimate

    @cached_property
    def sources(self) -> tuple[Source, ...]:
        before, after = self.seed_values
        if self.paired:
            sides = [[after[s] - before[s] for s in self.paired]]
        else:
            sides = [list(v.values()) for v in (before, after) if len(v) > 1]
        return (*((mean_error(v), len(v) - 1) for v in sides), *self._over_items.sources)

    def interval(self, level: float = LEVEL) -> Interval:
        if not self.items:
            return Interval(-self.span, self.span, level)
        half = math.hypot(*(student(level, degrees) * error for error, degrees in self.sources))
        low, high = self.estimate - half, self.estimate + half
        return Interval(max(-self.span, low), min(self.span, high), level)

    @cached_property
    def test(self) -> Test:
        """Labels of seeds are permuted; against a single policy, the signs of its differences."""
        before, after = ([*side.values()] for side in self.seed_values)
        if min(len(before), len(after)) > 1:
            return label_test(before, after, seed=self.seed)
        return sign_flip_test([a - b for b, a in itertools.product(before, after)], seed=self.seed)

    def equivalence_p(self, margin: float) -> float:
        return equivalence_p(self.interval, self.estimate, margin)

    @property
    def effect(self) -> tuple[str, float | None]:
        """Difference in standard deviations between seeds, d; None where seeds do not differ."""
        sides = [list(v.values()) for v in self.seed_values if len(v) > 1]
        squares = math.fsum(deviation(v) ** 2 * (len(v) - 1) for v in sides)
        spread = math.sqrt(squares / sum(len(v) - 1 for v in sides)) if sides else 0.0
        return "d", self.estimate / spread if spread > 1e-12 else None
