"""Two policies on the same items: paired differences, tests, equivalence. Pure.

The unit of independence is the *item*: answers to one item resemble each other. (Above it is the
*seed*, see `seed_comparisons`.) Values are in the metric's own unit, mostly fractions. All
randomness is seeded.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

import numpy as np

from awry.statistics import LEVEL, RESAMPLES, Interval, permutation_p, smallest_p

Values = Mapping[str, float]
"""Item id -> its value (the mean over its samples)."""

Source = tuple[float, int]
"""What a difference is uncertain from: its standard error, with its degrees of freedom."""

DRAWS = 20_000  # of a permutation test that cannot be counted out
COUNTABLE = 200_000
SPARSE = 10  # below so many differing items the bootstrap is not left alone


@dataclass(frozen=True)
class Test:
    """A permutation test. smallest: the smallest p that these data could have reached."""

    p: float
    smallest: float
    exact: bool


# ---- p values ----------------------------------------------------------------------------------
def holm(ps: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment, in the order given. Source: S. Holm, Scand. J. Stat. 6 (1979)."""
    order = sorted(range(len(ps)), key=lambda i: ps[i])
    adjusted, so_far = [0.0] * len(ps), 0.0
    for rank, i in enumerate(order):
        so_far = max(so_far, min(1.0, (len(ps) - rank) * ps[i]))
        adjusted[i] = so_far
    return adjusted


def sign_flip_test(differences: Sequence[float], *, seed: int = 0) -> Test:
    """Two-sided paired permutation test: each difference might as well have had the other sign.

    For differences of -1, 0 and 1 this is McNemar's exact test. Counted out over the sizes that
    occur where that is possible, else drawn (p is then at least 1 / (draws + 1)).
    """
    top = max((abs(d) for d in differences), default=0.0)
    tolerance = 1e-9 * (top or 1.0)
    # differences that are equal but for rounding count as one size, which keeps the count small
    sizes = Counter(round(abs(d) / tolerance) for d in differences if abs(d) > tolerance)
    differing = sum(sizes.values())
    if not differing:
        return Test(1.0, 1.0, True)
    observed = abs(math.fsum(differences)) - tolerance * (1 + len(differences))
    least = 2.0 ** (1 - differing)
    units = {size * tolerance: count for size, count in sizes.items()}
    if math.prod(count + 1 for count in units.values()) <= COUNTABLE:
        return Test(max(least, min(1.0, _counted(units, observed))), least, True)
    generator = np.random.default_rng(seed)
    sums = np.zeros(DRAWS)
    for size, count in units.items():
        sums += size * (2 * generator.binomial(count, 0.5, DRAWS) - count)
    hits = int((np.abs(sums) >= observed).sum())
    return Test((hits + 1) / (DRAWS + 1), max(least, 1 / (DRAWS + 1)), False)


def _counted(units: Mapping[float, int], observed: float) -> float:
    """P(|sum of signed sizes| >= observed), from the binomial count of plus signs of each size."""
    from scipy import stats

    sums, weights = np.zeros(1), np.ones(1)
    for size, count in units.items():
        plus = np.arange(count + 1)
        chance = stats.binom.pmf(plus, count, 0.5)
        sums = np.add.outer(sums, size * (2 * plus - count)).ravel()
        weights = np.multiply.outer(weights, chance).ravel()
    return math.fsum(weights[np.abs(sums) >= observed])


def label_test(a: Sequence[float], b: Sequence[float], *, seed: int = 0) -> Test:
    """Two-sided permutation of labels (one value per seed), drawn where it cannot be counted."""
    least = smallest_p(len(a), len(b))
    try:
        return Test(permutation_p(a, b, limit=COUNTABLE), least, True)
    except ValueError:
        pass
    generator = np.random.default_rng(seed)
    values = np.array([*a, *b])
    drawn = generator.permuted(np.broadcast_to(values, (DRAWS, len(values))), axis=1)
    gaps = np.abs(drawn[:, : len(a)].mean(axis=1) - drawn[:, len(a) :].mean(axis=1))
    observed = abs(values[: len(a)].mean() - values[len(a) :].mean())
    hits = int((gaps >= observed - 1e-12 * (1 + np.abs(values).max())).sum())
    return Test((hits + 1) / (DRAWS + 1), max(least, 1 / (DRAWS + 1)), False)


def equivalence_p(interval: Callable[[float], Interval], estimate: float, margin: float) -> float:
    """Two one-sided tests (TOST) from intervals: p of 'the true difference is `margin` or more'.

    interval: of a level. The smallest alpha at which the 1 - 2 alpha interval lies strictly within
    +-margin, 1.0 when even the estimate does not. Source: Schuirmann (1987).
    """
    if margin <= 0:
        raise ValueError("margin must be positive")
    if math.isnan(estimate) or abs(estimate) >= margin:
        return 1.0
    low, high = 0.0, 0.5
    for _ in range(40):
        alpha = (low + high) / 2
        if interval(1 - 2 * alpha).inside(-margin, margin):
            high = alpha
        else:
            low = alpha
    return high


# ---- intervals -----------------------------------------------------------------------------------
def paired_score_interval(gained: int, lost: int, pairs: int, level: float = LEVEL) -> Interval:
    """Score interval of (gained - lost) / pairs for paired 0/1 outcomes, the paired Wilson interval.

    gained: pairs that went 0 -> 1, lost: 1 -> 0. Not degenerate where no pair differs.
    Source: T. Tango, Statistics in Medicine 17 (1998).
    """
    if min(gained, lost) < 0 or gained + lost > pairs or not pairs:
        raise ValueError(f"{gained} gained and {lost} lost of {pairs} pairs")
    z = _normal(level)
    estimate = (gained - lost) / pairs

    def score(difference: float) -> float:
        b = -gained - lost + (2 * pairs - gained + lost) * difference
        c = -lost * difference * (1 - difference)
        fewer = (math.sqrt(max(0.0, b * b - 8 * pairs * c)) - b) / (4 * pairs)
        variance = pairs * (2 * fewer + difference * (1 - difference))
        gap = gained - lost - pairs * difference
        return gap / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, gap)

    def end(outside: float, sign: int) -> float:
        inside = estimate
        for _ in range(60):
            middle = (inside + outside) / 2
            if sign * score(middle) > z:
                outside = middle
            else:
                inside = middle
        return inside

    low = -1.0 if estimate == -1 else end(-1.0, 1)
    high = 1.0 if estimate == 1 else end(1.0, -1)
    return Interval(low, high, level)


def square_and_add(
    before: float, before_interval: Interval, after: float, after_interval: Interval
) -> Interval:
    """Interval of after - before from the two sides' own intervals, as if independent.

    Source: R. G. Newcombe, Statistics in Medicine 17 (1998), method 10.
    """
    low = math.hypot(after - after_interval.low, before_interval.high - before)
    high = math.hypot(after_interval.high - after, before - before_interval.low)
    return Interval(after - before - low, after - before + high, after_interval.level)


def detectable_difference(
    sources: Sequence[Source], *, alpha: float = 0.05, power: float = 0.8
) -> float:
    """Smallest true difference that a two-sided test finds so often, from what it is uncertain of.

    Per source the sum of its t quantiles, times its standard error; added as squares.
    """
    from scipy import stats

    return math.hypot(
        *(
            error * (stats.t.ppf(1 - alpha / 2, df) + stats.t.ppf(power, df))
            for error, df in sources
        )
    )


def mean_interval(values: Sequence[float], level: float = LEVEL) -> Interval | None:
    """Student's t interval of a mean, one value per seed; None below two values or without spread."""
    if len(values) < 2 or (error := mean_error(values)) < 1e-12:
        return None
    mean, half = math.fsum(values) / len(values), student(level, len(values) - 1) * error
    return Interval(mean - half, mean + half, level)


# ---- one policy against another --------------------------------------------------------------------
@dataclass(frozen=True)
class PairedDifference:
    """`after` minus `before`, averaged over the items that both have.

    groups: item -> group where the metric is the mean of group means, else None. span: the width of
    the metric's scale. Interval: `paired_score_interval` for 0/1 values; else items are resampled
    within their groups (across groups where one has a single item), the residuals and tails
    corrected for few items. Source: T. Hesterberg, The American Statistician 69 (2015), sect. 5.3;
    J. N. K. Rao and C. F. J. Wu, JASA 83 (1988).
    """

    before: Values
    after: Values
    groups: Mapping[str, str] | None = None
    span: float = 1.0
    seed: int = 0

    @cached_property
    def items(self) -> tuple[str, ...]:
        return tuple(sorted(self.before.keys() & self.after.keys()))

    @cached_property
    def differences(self) -> dict[str, float]:
        return {item: self.after[item] - self.before[item] for item in self.items}

    @cached_property
    def weights(self) -> dict[str, float]:
        """What each item counts for in the estimate; they sum to 1."""
        if self.groups is None:
            return dict.fromkeys(self.items, 1 / max(1, len(self.items)))
        sizes = Counter(self.groups[item] for item in self.items)
        return {item: 1 / (len(sizes) * sizes[self.groups[item]]) for item in self.items}

    @property
    def estimate(self) -> float:
        """NaN without a common item."""
        if not self.items:
            return math.nan
        return math.fsum(self.weights[i] * d for i, d in self.differences.items())

    @property
    def counts(self) -> tuple[int, int]:
        """How many items rose, how many fell."""
        values = self.differences.values()
        return sum(d > 1e-12 for d in values), sum(d < -1e-12 for d in values)

    @cached_property
    def is_binary(self) -> bool:
        values = {self.before[i] for i in self.items} | {self.after[i] for i in self.items}
        return self.groups is None and values <= {0.0, 1.0}

    def interval(self, level: float = LEVEL) -> Interval:
        """The whole scale when there is no item."""
        if not self.items:
            return Interval(-self.span, self.span, level)
        gained, lost = self.counts
        score = paired_score_interval(gained, lost, len(self.items), level)
        if self.is_binary:
            return score
        drawn = self._bootstrap(level)
        if gained + lost >= SPARSE:
            return drawn
        # so few items differ that resampling them sees too little: their signs, times the largest
        sizes = [abs(d) for d in self.differences.values()]
        scale = max(sizes) if gained + lost else self.span
        low, high = min(drawn.low, score.low * scale), max(drawn.high, score.high * scale)
        return Interval(max(-self.span, low), min(self.span, high), level)

    @cached_property
    def test(self) -> Test:
        return sign_flip_test(
            [self.weights[i] * d for i, d in self.differences.items()], seed=self.seed
        )

    @cached_property
    def _degrees(self) -> int:
        return max(1, sum(map(len, self._strata)) - len(self._strata))

    @cached_property
    def sources(self) -> tuple[Source, ...]:
        """The standard error is the interval's, so that it is not 0 where no item differs."""
        found = self.interval()
        quantile = _normal(LEVEL) if self.is_binary else student(LEVEL, self._degrees)
        return (((found.high - found.low) / 2 / quantile, self._degrees),)

    def equivalence_p(self, margin: float) -> float:
        p = equivalence_p(self.interval, self.estimate, margin)
        # with finitely many resamples no smaller p can be claimed
        return p if self.is_binary else max(p, 1 / (RESAMPLES + 1))

    @property
    def effect(self) -> tuple[str, float | None]:
        """Cohen's h for 0/1 values, else the mean difference in its own standard deviations, dz."""
        if not self.items:
            return "dz", None
        if self.is_binary:
            sides = [math.fsum(s[i] for i in self.items) for s in (self.before, self.after)]
            low, high = (2 * math.asin(math.sqrt(s / len(self.items))) for s in sides)
            return "h", high - low
        values = list(self.differences.values())
        spread = deviation(values)
        return "dz", math.fsum(values) / len(values) / spread if spread > 1e-12 else None

    @cached_property
    def _strata(self) -> list[list[tuple[float, float]]]:
        """(weight, residual) of what is resampled together: items of a group, or whole groups."""
        if self.groups is None:
            grouped = [list(self.items)]
        else:
            by_group: dict[str, list[str]] = {}
            for item in self.items:
                by_group.setdefault(self.groups[item], []).append(item)
            grouped = list(by_group.values())
        means = [math.fsum(self.differences[i] for i in g) / len(g) for g in grouped]
        if len(grouped) > 1 and min(map(len, grouped)) < 2:
            centre = math.fsum(means) / len(means)
            return [[(1 / len(means), mean - centre) for mean in means]]
        return [
            [(self.weights[i], self.differences[i] - mean) for i in group]
            for group, mean in zip(grouped, means, strict=True)
        ]

    @cached_property
    def _draws(self) -> np.ndarray:
        """[RESAMPLES] resampled estimates; equal residuals are drawn together, for speed."""
        generator = np.random.default_rng(self.seed)
        drawn = np.full(RESAMPLES, self.estimate)
        for stratum in self._strata:
            n = len(stratum)
            if n < 2:
                continue
            sizes = Counter((weight, round(rest, 12)) for weight, rest in stratum)
            values = np.array([weight * rest for weight, rest in sizes])
            shares = np.array([count / n for count in sizes.values()])
            counts = generator.multinomial(n, shares / shares.sum(), size=RESAMPLES)
            drawn += math.sqrt(n / (n - 1)) * (counts @ values)
        return drawn

    def _bootstrap(self, level: float) -> Interval:
        if sum(map(len, self._strata)) < 2:
            return Interval(-self.span, self.span, level)
        tail = NormalDist().cdf(-student(level, self._degrees))
        low, high = np.quantile(self._draws, [tail, 1 - tail])
        return Interval(max(-self.span, float(low)), min(self.span, float(high)), level)


def _normal(level: float) -> float:
    return NormalDist().inv_cdf(0.5 + level / 2) if level > 0 else 0.0


def student(level: float, degrees: float) -> float:
    from scipy import stats

    return float(stats.t.ppf(0.5 + level / 2, degrees)) if level > 0 else 0.0


def deviation(values: Sequence[float]) -> float:
    if len(values) < 2:
        return 0.0
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))


def mean_error(values: Sequence[float]) -> float:
    return deviation(values) / math.sqrt(len(values))
