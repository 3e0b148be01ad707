"""Intervals, equivalence, permutation and power for rates measured on a set of problems. Pure.

The unit of independence is the *problem*: rollouts of one problem resemble each other, so
intervals resample problems, not rollouts. Where two conditions met the same problems, a problem
is resampled with both of its sides (paired). All randomness is seeded. Rates are fractions in
[0, 1]; differences are fractions in [-1, 1].
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

Counts = Mapping[str, tuple[int, int]]
"""Per problem: (successes, trials)."""

RESAMPLES = 4000
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A two-sided confidence interval of nominal coverage `level`."""

    low: float
    high: float
    level: float = LEVEL

    def inside(self, low: float, high: float) -> bool:
        return low < self.low and self.high < high


def wilson(successes: float, trials: float, level: float = LEVEL) -> Interval:
    """Wilson's score interval for independent trials; [0, 1] without trials.

    `trials` may be fractional (an effective number of trials). Source: E. B. Wilson, JASA 22 (1927).
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"successes {successes} not within 0..{trials}")
    if trials == 0:
        return Interval(0.0, 1.0, level)
    z = _z(level)
    rate = successes / trials
    scale = 1 + z * z / trials
    centre = (rate + z * z / (2 * trials)) / scale
    half = z / scale * math.sqrt(rate * (1 - rate) / trials + (z / (2 * trials)) ** 2)
    # at the ends centre and half cancel exactly; rounding must not leave 1e-18 there
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == trials else min(1.0, centre + half)
    return Interval(low, high, level)


def rate(counts: Counts) -> float:
    """Pooled rate: all successes over all trials; NaN without trials."""
    trials = sum(n for _, n in counts.values())
    return sum(k for k, _ in counts.values()) / trials if trials else math.nan


def is_flat(counts: Counts) -> bool:
    """True when every trial had the same outcome, so that resampling cannot show any uncertainty."""
    return rate(counts) in (0.0, 1.0)


def effective_trials(counts: Counts, icc: float) -> float:
    """Trials divided by Kish's design effect 1 + (m - 1) icc, m the trial-weighted cluster size.

    icc = 1 counts problems, icc = 0 counts rollouts. Source: L. Kish, Survey Sampling (1965).
    """
    trials = sum(n for _, n in counts.values())
    if not trials:
        return 0.0
    size = sum(n * n for _, n in counts.values()) / trials
    return trials / (1 + (size - 1) * icc)


def rate_interval(
    counts: Counts, *, level: float = LEVEL, icc: float = 1.0, seed: int = 0
) -> Interval:
    """Cluster bootstrap over problems (percentile); see `Difference` for what `icc` is for."""
    if len(counts) < 2 or is_flat(counts):
        return _flat_interval(counts, level, icc)
    draws = _replicates(counts, counts, seed)[0]
    return _widened(_percentile(draws, level), rate(counts), answer_noise(counts), (0.0, 1.0))


def answer_noise(counts: Counts) -> float:
    """Variance of the pooled rate from the sampling of answers alone, problems held fixed.

    Unbiased; problems with a single answer cannot contribute. Resampling problems includes this
    noise on average, but few problems may by chance agree too well: it is used as a floor.
    """
    trials = sum(n for _, n in counts.values())
    inner = sum(k * (n - k) / (n - 1) for k, n in counts.values() if n > 1)
    return inner / trials**2 if trials else 0.0


@dataclass(frozen=True)
class Difference:
    """`after` minus `before`, resampling problems; a problem present in both keeps both sides.

    Never narrower than the sampling of answers alone makes it (`answer_noise`). Where a side is
    flat (0 of n, or n of n) the bootstrap has nothing to resample and would claim certainty. That
    side then gets Wilson's interval on its effective number of trials, for which `icc`, the assumed
    intraclass correlation within problems, is needed (1, the default, is the most cautious), and
    the sides are combined by Newcombe's square-and-add rule, ignoring pairing.
    Source: R. G. Newcombe, Statistics in Medicine 17 (1998), method 10.
    """

    before: Counts
    after: Counts
    icc: float = 1.0
    seed: int = 0

    @property
    def estimate(self) -> float:
        return rate(self.after) - rate(self.before)

    @cached_property
    def _drawn(self) -> tuple[np.ndarray, np.ndarray]:
        return _replicates(self.before, self.after, self.seed)

    @cached_property
    def _resamples(self) -> bool:
        """Whether the paired bootstrap can be used at all."""
        if is_flat(self.before) or is_flat(self.after):
            return False
        if len(self.before) < 2 or len(self.after) < 2:
            return False
        before, after = self._drawn
        return float((after - before).std()) > 1e-9  # identical answers on both sides: no spread

    def interval(self, level: float = LEVEL) -> Interval:
        """[-1, 1] when a side has no trials."""
        if math.isnan(self.estimate):
            return Interval(-1.0, 1.0, level)
        if self._resamples:
            before, after = self._drawn
            noise = answer_noise(self.before) + answer_noise(self.after)
            drawn = _percentile(after - before, level)
            return _widened(drawn, self.estimate, noise, (-1.0, 1.0))
        b, a = (
            rate_interval(counts, level=level, icc=self.icc, seed=self.seed)
            for counts in (self.before, self.after)
        )
        pb, pa = rate(self.before), rate(self.after)
        low = self.estimate - math.hypot(pa - a.low, b.high - pb)
        high = self.estimate + math.hypot(a.high - pa, pb - b.low)
        return Interval(max(-1.0, low), min(1.0, high), level)

    def equivalence_p(self, margin: float) -> float:
        """Two one-sided tests (TOST): p of 'the true difference is at least `margin` in size'.

        The smallest alpha at which the 1 - 2 alpha interval lies strictly within +-margin; 1.0 when
        even the estimate does not. Source: D. J. Schuirmann, J. Pharmacokin. Biopharm. 15 (1987).
        """
        if margin <= 0:
            raise ValueError("margin must be positive")
        if math.isnan(self.estimate) or abs(self.estimate) >= margin:
            return 1.0
        low, high = 0.0, 0.5
        for _ in range(40):
            alpha = (low + high) / 2
            if self.interval(1 - 2 * alpha).inside(-margin, margin):
                high = alpha
            else:
                low = alpha
        # with finitely many resamples no smaller p than 1/(resamples + 1) can be claimed
        return max(high, 1 / (RESAMPLES + 1)) if self._resamples else high


def intraclass_correlation(strata: Iterable[Counts]) -> float | None:
    """One-way ANOVA estimate for binary outcomes, pooled over strata (e.g. the steps of a run).

    Clusters are compared within their stratum only, so a rate that drifts from step to step does
    not count as clustering. Clipped to [0, 1]. None when no stratum has both outcomes, two
    clusters, and a cluster of two. Source: Fleiss, Statistical Methods (1981), ch. 13.
    """
    between = within = between_df = within_df = size = 0.0
    for counts in strata:
        clusters = [(k, n) for k, n in counts.values() if n]
        total = sum(n for _, n in clusters)
        if len(clusters) < 2 or total <= len(clusters) or is_flat(counts):
            continue
        mean = sum(k for k, _ in clusters) / total
        between += sum(n * (k / n - mean) ** 2 for k, n in clusters)
        within += sum(k * (1 - k / n) for k, n in clusters)
        between_df += len(clusters) - 1
        within_df += total - len(clusters)
        size += total - sum(n * n for _, n in clusters) / total
    if not between_df or not within_df:
        return None
    typical = size / between_df
    msb, msw = between / between_df, within / within_df
    denominator = msb + (typical - 1) * msw
    return min(1.0, max(0.0, (msb - msw) / denominator)) if denominator > 0 else None


def permutation_p(a: Sequence[float], b: Sequence[float], *, limit: int = 200_000) -> float:
    """Exact two-sided permutation p for a difference of means (one value per seed).

    Raises ValueError for an empty side or more than `limit` labellings.
    """
    if not a or not b:
        raise ValueError("both sides need at least one value")
    if math.comb(len(a) + len(b), len(a)) > limit:
        raise ValueError(f"more than {limit} labellings of {len(a)} against {len(b)} values")
    values, total = [*a, *b], math.fsum([*a, *b])
    tolerance = 1e-12 * (1 + max(abs(v) for v in values))

    def gap(chosen: Sequence[float]) -> float:
        first = math.fsum(chosen)
        return abs(first / len(a) - (total - first) / len(b))

    observed = gap(a)
    gaps = [gap(chosen) for chosen in itertools.combinations(values, len(a))]
    return sum(g >= observed - tolerance for g in gaps) / len(gaps)


def smallest_p(n_a: int, n_b: int) -> float:
    """The smallest two-sided permutation p that n_a against n_b distinct values can reach.

    Equal sides have a mirror labelling with the same |difference|, hence the 2: 3 against 3
    gives 0.1, 4 against 4 gives 0.029.
    """
    if min(n_a, n_b) < 1:
        raise ValueError("both sides need at least one value")
    return (2 if n_a == n_b else 1) / math.comb(n_a + n_b, n_a)


def seeds_needed(alpha: float = 0.05) -> int:
    """Smallest number of seeds per arm whose permutation test can reach p < alpha."""
    return next(n for n in itertools.count(2) if smallest_p(n, n) < alpha)


def detectable_effect(
    n_a: int, n_b: int, *, alpha: float = 0.05, power: float = 0.8
) -> float | None:
    """Smallest standardised mean difference between arms (in standard deviations between seeds)
    that a two-sided t-test finds, with the right sign, with this power; None below two seeds on
    a side.
    """
    if min(n_a, n_b) < 2:
        return None
    from scipy import stats

    df, scale = n_a + n_b - 2, math.sqrt(n_a * n_b / (n_a + n_b))
    critical = float(stats.t.ppf(1 - alpha / 2, df))

    def reached(effect: float) -> float:
        # the opposite tail, significant with the wrong sign, is no success (and NaN far out)
        return float(stats.nct.sf(critical, df, effect * scale))

    return _bisect(reached, power, 0.0, 50.0)


def detectable_rate_difference(
    base: float,
    problems: int,
    samples: int,
    *,
    icc: float = 1.0,
    alpha: float = 0.05,
    power: float = 0.8,
) -> float | None:
    """Smallest rise above rate `base` that two samples of this size tell apart with this power.

    Two-sided z test of two proportions, normal approximation, unpaired: cautious where problems
    are shared and where `base` is near 0 or 1. None when even a rise to 1.0 would be missed.
    """
    if problems < 1 or samples < 1 or not 0 <= base <= 1:
        raise ValueError("need problems >= 1, samples >= 1 and a base rate within [0, 1]")
    trials = problems * samples / (1 + (samples - 1) * icc)
    z_alpha = _z(1 - alpha)

    def reached(rise: float) -> float:
        other = base + rise
        mean = (base + other) / 2
        null = math.sqrt(2 * mean * (1 - mean) / trials)
        spread = math.sqrt((base * (1 - base) + other * (1 - other)) / trials)
        if spread == 0:
            return 1.0 if rise > z_alpha * null else 0.0
        return NormalDist().cdf((rise - z_alpha * null) / spread)

    return _bisect(reached, power, 0.0, 1.0 - base)


def _bisect(power_at, wanted: float, low: float, high: float) -> float | None:
    if high <= low or power_at(high) < wanted:
        return None
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if power_at(middle) >= wanted else (middle, high)
    return high


def _z(level: float) -> float:
    return NormalDist().inv_cdf(0.5 + level / 2) if level > 0 else 0.0


def _flat_interval(counts: Counts, level: float, icc: float) -> Interval:
    trials = effective_trials(counts, icc)
    value = rate(counts)
    return wilson(0.0 if math.isnan(value) else value * trials, trials, level)


def _percentile(draws: np.ndarray, level: float) -> Interval:
    import numpy as np

    tail = max(0.0, (1 - level) / 2)
    low, high = np.quantile(draws, [tail, 1 - tail])
    return Interval(float(low), float(high), level)


def _widened(
    interval: Interval, estimate: float, variance: float, bounds: tuple[float, float]
) -> Interval:
    """At least as wide as a normal interval of this variance."""
    half = _z(interval.level) * math.sqrt(variance)
    return Interval(
        max(bounds[0], min(interval.low, estimate - half)),
        min(bounds[1], max(interval.high, estimate + half)),
        interval.level,
    )


def _replicates(before: Counts, after: Counts, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rates of both sides under resampling of the union of problems.

    A draw that leaves a side without trials says nothing about it and is left out; the union is
    sorted so that the result does not depend on the order of the mappings.
    """
    import numpy as np

    problems = sorted({*before, *after})
    table = np.array(
        [[*before.get(p, (0, 0)), *after.get(p, (0, 0))] for p in problems], dtype=np.float64
    )
    generator = np.random.default_rng(seed)
    weights = generator.multinomial(
        len(problems), np.full(len(problems), 1 / len(problems)), size=RESAMPLES
    )
    sums = weights @ table
    kept = sums[(sums[:, 1] > 0) & (sums[:, 3] > 0)]
    return kept[:, 0] / kept[:, 1], kept[:, 2] / kept[:, 3]
