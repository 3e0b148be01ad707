"""Every estimator against a slow, obvious reference, and its behaviour where data say nothing."""

from __future__ import annotations

import itertools
import math
import random
import statistics as stdlib

import numpy as np
import pytest

from awry.statistics import (
    Difference,
    Interval,
    answer_noise,
    detectable_effect,
    detectable_rate_difference,
    effective_trials,
    intraclass_correlation,
    permutation_p,
    rate,
    rate_interval,
    seeds_needed,
    smallest_p,
    wilson,
)


def clustered(rng: random.Random, problems: int, size: int, low: float, high: float):
    """Counts whose problems differ: each has its own rate between low and high."""
    out = {}
    for i in range(problems):
        p = rng.uniform(low, high)
        out[f"p{i}"] = (sum(rng.random() < p for _ in range(size)), size)
    return out


# ---- Wilson ------------------------------------------------------------------------------------
@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 10), (10, 10), (1, 1), (48, 96), (5, 640)])
@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_wilson_is_the_set_of_rates_a_score_test_accepts(k, n, level):
    z = stdlib.NormalDist().inv_cdf(0.5 + level / 2)
    grid = np.linspace(0, 1, 200_001)
    accepted = grid[np.abs(k / n - grid) <= z * np.sqrt(grid * (1 - grid) / n) + 1e-12]
    interval = wilson(k, n, level)
    assert interval.low == pytest.approx(accepted.min(), abs=1e-5)
    assert interval.high == pytest.approx(accepted.max(), abs=1e-5)


def test_wilson_agrees_with_a_published_value():
    # 81 of 263: Newcombe (1998), table I
    interval = wilson(81, 263)
    assert (round(interval.low, 4), round(interval.high, 4)) == (0.2553, 0.3662)


def test_wilson_without_trials_knows_nothing_and_rejects_nonsense():
    assert wilson(0, 0) == Interval(0.0, 1.0)
    with pytest.raises(ValueError, match="not within"):
        wilson(3, 2)


# ---- cluster bootstrap --------------------------------------------------------------------------
def slow_bootstrap(before, after, draws, rng):
    problems = sorted({*before, *after})
    out = []
    while len(out) < draws:
        chosen = [rng.choice(problems) for _ in problems]
        totals = [0, 0, 0, 0]
        for p in chosen:
            (bk, bn), (ak, an) = before.get(p, (0, 0)), after.get(p, (0, 0))
            totals = [t + x for t, x in zip(totals, (bk, bn, ak, an), strict=True)]
        if totals[1] and totals[3]:
            out.append(totals[2] / totals[3] - totals[0] / totals[1])
    return sorted(out)


def test_difference_interval_equals_a_plain_loop_over_resampled_problems():
    rng = random.Random(1)
    before = clustered(rng, 20, 4, 0.0, 0.5)
    after = {p: c for p, c in clustered(rng, 25, 6, 0.2, 0.9).items() if p != "p3"}
    draws = slow_bootstrap(before, after, 4000, random.Random(2))
    interval = Difference(before, after).interval()
    assert interval.low == pytest.approx(draws[100], abs=0.02)
    assert interval.high == pytest.approx(draws[3899], abs=0.02)
    assert Difference(before, after).estimate == rate(after) - rate(before)


def test_rate_interval_equals_a_plain_loop_over_resampled_problems():
    rng = random.Random(3)
    counts = clustered(rng, 30, 5, 0.0, 1.0)
    totals = []
    for _ in range(4000):
        chosen = [counts[rng.choice(sorted(counts))] for _ in counts]
        totals.append(sum(k for k, _ in chosen) / sum(n for _, n in chosen))
    totals.sort()
    interval = rate_interval(counts)
    assert interval.low == pytest.approx(totals[100], abs=0.02)
    assert interval.high == pytest.approx(totals[3899], abs=0.02)


def test_the_bootstrap_is_seeded_and_blind_to_the_order_of_problems():
    counts = clustered(random.Random(4), 12, 4, 0.1, 0.9)
    other = clustered(random.Random(5), 12, 4, 0.1, 0.9)
    shuffled = dict(sorted(counts.items(), reverse=True))
    assert Difference(counts, other).interval() == Difference(shuffled, other).interval()
    assert (
        Difference(counts, other, seed=1).interval() != Difference(counts, other, seed=2).interval()
    )


def test_pairing_removes_what_problems_share():
    rng = random.Random(6)
    before = {f"p{i}": (0 if i % 2 else 10, 10) for i in range(40)}
    after = {p: (min(10, k + rng.randint(0, 2)), n) for p, (k, n) in before.items()}
    renamed = {f"other-{p}": c for p, c in after.items()}
    paired, unpaired = Difference(before, after).interval(), Difference(before, renamed).interval()
    assert paired.high - paired.low < 0.4 * (unpaired.high - unpaired.low)


def test_cluster_intervals_cover_the_truth_where_independent_ones_do_not():
    rng = random.Random(7)
    covered = naive = 0
    for _ in range(200):
        counts = clustered(rng, 24, 8, 0.0, 0.0)
        for p in counts:  # half of the problems always hack: rollouts of a problem are copies
            counts[p] = (8 * (rng.random() < 0.5), 8)
        inside = rate_interval(counts)
        covered += inside.low <= 0.5 <= inside.high
        plain = wilson(sum(k for k, _ in counts.values()), 24 * 8)
        naive += plain.low <= 0.5 <= plain.high
    assert covered >= 180
    assert naive <= 120


def test_problems_that_agree_too_well_by_chance_are_not_certainty():
    even = {f"p{i}": (1, 2) for i in range(6)}
    interval = rate_interval(even)
    assert interval.low == pytest.approx(0.5 - 1.96 * math.sqrt(6) / 12, abs=1e-3)
    assert Difference(even, even).interval().high > 0.4
    assert Difference(even, even).equivalence_p(0.05) > 0.3


def test_answer_noise_is_the_unbiased_variance_over_resampled_answers():
    rng = np.random.default_rng(3)
    rates, size = np.linspace(0.1, 0.9, 5), 4
    draws = rng.binomial(size, rates, (20_000, 5))
    truth = float((draws.sum(axis=1) / (5 * size)).var())
    found = [
        answer_noise({str(i): (int(k), size) for i, k in enumerate(row)}) for row in draws[:4000]
    ]
    assert stdlib.fmean(found) == pytest.approx(truth, rel=0.05)
    assert answer_noise({"a": (1, 1), "b": (0, 1)}) == 0.0


# ---- flat sides ---------------------------------------------------------------------------------
def test_all_zeros_get_wilson_on_effective_trials_and_never_a_width_of_zero():
    flat = {f"p{i}": (0, 8) for i in range(12)}
    assert rate_interval(flat, icc=1.0) == wilson(0, 12)
    assert rate_interval(flat, icc=0.0) == wilson(0, 96)
    between = rate_interval(flat, icc=0.2)
    assert wilson(0, 96).high < between.high < wilson(0, 12).high


def test_a_single_problem_is_never_resampled():
    assert rate_interval({"only": (4, 8)}, icc=1.0) == wilson(0.5, 1)


@pytest.mark.parametrize(("k", "after"), [(0, 96), (0, 0), (96, 96)])
def test_flat_differences_follow_newcombes_square_and_add(k, after):
    spread = lambda total: {f"p{i}": (total // 12, 8) for i in range(12)}  # noqa: E731
    difference = Difference(spread(k), spread(after), icc=0.0)
    b, a = wilson(k, 96), wilson(after, 96)
    pb, pa = k / 96, after / 96
    interval = difference.interval()
    assert interval.low == pytest.approx(
        max(-1, (pa - pb) - math.sqrt((pa - a.low) ** 2 + (b.high - pb) ** 2))
    )
    assert interval.high == pytest.approx(
        min(1, (pa - pb) + math.sqrt((a.high - pa) ** 2 + (pb - b.low) ** 2))
    )


def test_identical_answers_on_both_sides_are_not_certainty():
    counts = clustered(random.Random(8), 12, 4, 0.1, 0.9)
    interval = Difference(counts, counts).interval()
    assert interval.low < -0.05
    assert interval.high > 0.05


def test_a_missing_side_leaves_everything_possible():
    difference = Difference({}, {"a": (1, 2), "b": (0, 2)})
    assert difference.interval() == Interval(-1.0, 1.0)
    assert difference.equivalence_p(0.05) == 1.0


# ---- design effect -------------------------------------------------------------------------------
def test_effective_trials_for_equal_clusters_is_kishs_formula():
    counts = {f"p{i}": (1, 8) for i in range(10)}
    assert effective_trials(counts, 0.3) == pytest.approx(80 / (1 + 7 * 0.3))
    assert effective_trials({}, 0.5) == 0


def slow_icc(groups):
    """ANOVA from the raw zeros and ones of one stratum with equal clusters."""
    size, flat = len(groups[0]), [x for g in groups for x in g]
    mean = sum(flat) / len(flat)
    msb = sum(size * (sum(g) / size - mean) ** 2 for g in groups) / (len(groups) - 1)
    msw = sum((x - sum(g) / size) ** 2 for g in groups for x in g) / (len(flat) - len(groups))
    return (msb - msw) / (msb + (size - 1) * msw)


def test_icc_equals_the_anova_of_the_raw_outcomes():
    rng = random.Random(9)
    groups = [[int(rng.random() < p) for _ in range(6)] for p in np.linspace(0.05, 0.95, 15)]
    counts = {str(i): (sum(g), len(g)) for i, g in enumerate(groups)}
    assert intraclass_correlation([counts]) == pytest.approx(slow_icc(groups))
    assert 0.1 < slow_icc(groups) < 0.6


def test_icc_ignores_drift_between_strata_and_says_when_it_cannot_know():
    rng = random.Random(10)
    steps = [
        {f"p{i}": (sum(rng.random() < p for _ in range(8)), 8) for i in range(40)}
        for p in (0.1, 0.9)
    ]
    pooled = {f"{s}{p}": c for s, step in enumerate(steps) for p, c in step.items()}
    within, overall = intraclass_correlation(steps), intraclass_correlation([pooled])
    assert within is not None
    assert overall is not None
    assert within < 0.06
    assert overall > 0.5
    assert intraclass_correlation([{"a": (0, 8), "b": (0, 8)}]) is None
    assert intraclass_correlation([{"a": (0, 1), "b": (1, 1)}]) is None
    assert intraclass_correlation([{"a": (0, 8), "b": (8, 8)}]) == 1.0


# ---- equivalence --------------------------------------------------------------------------------
def test_equivalence_p_is_where_the_interval_just_fits_into_the_margin():
    rng = random.Random(11)
    before, after = clustered(rng, 200, 8, 0.2, 0.4), clustered(rng, 200, 8, 0.2, 0.4)
    difference = Difference(before, after)
    p = difference.equivalence_p(0.05)
    assert 0 < p < 0.5
    assert difference.interval(1 - 2 * min(0.49, p + 0.01)).inside(-0.05, 0.05)
    assert not difference.interval(1 - 2 * max(0.0, p - 0.002)).inside(-0.05, 0.05)


def test_equivalence_p_equals_the_larger_tail_of_the_replicates():
    rng = random.Random(12)
    before, after = clustered(rng, 60, 8, 0.2, 0.4), clustered(rng, 60, 8, 0.2, 0.4)
    draws = slow_bootstrap(before, after, 4000, random.Random(13))
    for margin in (0.05, 0.08):
        tails = sum(d <= -margin for d in draws), sum(d >= margin for d in draws)
        assert Difference(before, after).equivalence_p(margin) == pytest.approx(
            max(tails) / 4000, abs=0.02
        )


def test_few_zeros_are_no_proof_of_absence_and_many_are():
    def zeros(problems):
        return {f"p{i}": (0, 8) for i in range(problems)}

    assert Difference(zeros(12), zeros(12), icc=1.0).equivalence_p(0.05) > 0.05
    assert Difference(zeros(200), zeros(200), icc=1.0).equivalence_p(0.05) < 0.05


def test_a_large_difference_is_never_equivalent_and_a_margin_must_be_positive():
    low = {f"p{i}": (i % 2, 8) for i in range(30)}
    high = {f"p{i}": (6 + i % 2, 8) for i in range(30)}
    assert Difference(low, high).equivalence_p(0.05) == 1.0
    with pytest.raises(ValueError, match="margin"):
        Difference(low, high).equivalence_p(0.0)


# ---- seeds --------------------------------------------------------------------------------------
def slow_permutation(a, b):
    values, n = [*a, *b], len(a)
    observed = abs(sum(a) / n - sum(b) / len(b))
    hits = total = 0
    for order in itertools.permutations(range(len(values))):
        x, y = [values[i] for i in order[:n]], [values[i] for i in order[n:]]
        hits += abs(sum(x) / n - sum(y) / len(b)) >= observed - 1e-9
        total += 1
    return hits / total


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((0.1, 0.2, 0.3), (0.9, 0.8, 0.7)),
        ((0.1, 0.5, 0.3), (0.4, 0.2)),
        ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
        ((0.1, 0.1, 0.9, 0.3), (0.1, 0.9, 0.9)),
    ],
)
def test_permutation_p_counts_every_ordering(a, b):
    assert permutation_p(a, b) == pytest.approx(slow_permutation(a, b))


@pytest.mark.parametrize(("n", "m"), [(1, 1), (3, 3), (4, 4), (2, 5), (1, 6)])
def test_smallest_p_is_reached_by_complete_separation(n, m):
    low, high = [i / 100 for i in range(n)], [1 + (i / 10) ** 2 for i in range(m)]
    assert smallest_p(n, m) == pytest.approx(permutation_p(low, high))


def test_three_against_three_can_never_be_significant():
    assert smallest_p(3, 3) == pytest.approx(0.1)
    assert seeds_needed(0.05) == 4
    assert smallest_p(3, 3) >= 0.05 > smallest_p(4, 4)


def test_permutation_refuses_what_it_cannot_enumerate():
    with pytest.raises(ValueError, match="labellings"):
        permutation_p([0.0] * 15, [1.0] * 15)
    with pytest.raises(ValueError, match="at least one"):
        permutation_p([], [1.0])
    with pytest.raises(ValueError, match="at least one"):
        smallest_p(0, 3)


# ---- power --------------------------------------------------------------------------------------
@pytest.mark.parametrize("n", [3, 5, 10])
def test_detectable_effect_has_the_promised_power_in_simulation(n):
    effect = detectable_effect(n, n, power=0.8)
    assert effect is not None
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, (20_000, n)), rng.normal(effect, 1, (20_000, n))
    pooled = np.sqrt((a.var(axis=1, ddof=1) + b.var(axis=1, ddof=1)) / 2)
    t = (b.mean(axis=1) - a.mean(axis=1)) / (pooled * math.sqrt(2 / n))
    critical = {3: 2.776, 5: 2.306, 10: 2.101}[n]  # two-sided 5 % points of t
    assert float((t > critical).mean()) == pytest.approx(0.8, abs=0.015)


def test_detectable_effect_needs_two_seeds_a_side():
    assert detectable_effect(1, 4) is None


def simulated_power(base, rise, trials):
    rng = np.random.default_rng(1)
    a = rng.binomial(trials, base, 20_000) / trials
    b = rng.binomial(trials, base + rise, 20_000) / trials
    mean = (a + b) / 2
    z = (b - a) / np.sqrt(np.maximum(2 * mean * (1 - mean) / trials, 1e-12))
    return float((z > 1.96).mean())


@pytest.mark.parametrize(("base", "problems", "samples"), [(0.5, 80, 1), (0.2, 100, 2)])
def test_detectable_rise_has_the_promised_power_in_simulation(base, problems, samples):
    rise = detectable_rate_difference(base, problems, samples, icc=0.0)
    assert rise is not None
    assert simulated_power(base, rise, problems * samples) == pytest.approx(0.8, abs=0.04)


def test_detectable_rise_from_zero_is_cautious():
    rise = detectable_rate_difference(0.0, 48, 1)
    assert rise is not None
    assert simulated_power(0.0, rise, 48) > 0.8


def test_clustering_and_few_problems_cost_power():
    loose = detectable_rate_difference(0.1, 24, 8, icc=0.0)
    tight = detectable_rate_difference(0.1, 24, 8, icc=0.5)
    assert loose is not None
    assert tight is not None
    assert loose < tight
    assert detectable_rate_difference(0.9, 2, 1) is None
    with pytest.raises(ValueError, match="base rate"):
        detectable_rate_difference(1.2, 10, 1)
