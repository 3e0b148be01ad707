"""Every kernel against a slow, obvious reference or a textbook, and how often its intervals cover."""

from __future__ import annotations

import itertools
import math
import random
import statistics as stdlib

import numpy as np
import pytest
from scipy import optimize, stats

from awry.comparisons import (
    PairedDifference,
    detectable_difference,
    equivalence_p,
    holm,
    label_test,
    mean_interval,
    paired_score_interval,
    sign_flip_test,
    square_and_add,
)
from awry.seed_comparisons import SeedDifference
from awry.statistics import Interval, smallest_p, wilson


def ids(values) -> dict[str, float]:
    return {f"i{k:03d}": float(v) for k, v in enumerate(values)}


# ---- Holm ----------------------------------------------------------------------------------------
def slow_holm(ps, alpha):
    """Which hypotheses Holm rejects, step by step."""
    rejected = set()
    for rank, i in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        if ps[i] > alpha / (len(ps) - rank):
            break
        rejected.add(i)
    return rejected


def test_holm_textbook():
    # Wikipedia's and Holm's own kind of example: 0.01, 0.04, 0.03, 0.005
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.6, 0.7]) == [1.0, 1.0]


def test_holm_rejects_what_the_steps_reject():
    rng = random.Random(0)
    for _ in range(200):
        ps = [rng.random() ** 3 for _ in range(rng.randint(1, 8))]
        alpha = rng.choice([0.01, 0.05, 0.2])
        adjusted = holm(ps)
        assert {i for i, p in enumerate(adjusted) if p <= alpha} == slow_holm(ps, alpha)


def test_holm_against_statsmodels():
    multitest = pytest.importorskip(
        "statsmodels.stats.multitest", reason="the oracle statsmodels is not installed"
    )
    ps = [0.001, 0.8, 0.02, 0.02, 0.04, 0.3]
    assert holm(ps) == pytest.approx(list(multitest.multipletests(ps, method="holm")[1]))


# ---- sign flips ----------------------------------------------------------------------------------
def slow_sign_flip(differences):
    observed = abs(sum(differences)) - 1e-9
    flips = list(itertools.product((1, -1), repeat=len(differences)))
    return sum(
        abs(sum(s * d for s, d in zip(signs, differences, strict=True))) >= observed
        for signs in flips
    ) / len(flips)


@pytest.mark.parametrize(
    "differences",
    [
        [1, 1, 1, -1, 0, 0],
        [0.5, 0.25, -0.1, 0.3, 0.7, -0.2, 0.05],
        [0.1, 0.2, 0.3],  # 0.1 + 0.2 ties with 0.3 but for rounding
        [0.1, 0.2, -0.3],
        [0, 0, 0.4],
        [1 / 3, -1 / 3, 1 / 3, 2 / 3, 1 / 3, 1 / 3, -2 / 3, 1],
    ],
)
def test_sign_flips_equal_all_flips(differences):
    found = sign_flip_test(differences)
    assert found.exact
    assert found.p == pytest.approx(slow_sign_flip(differences))
    every_one_up = slow_sign_flip([abs(d) for d in differences])
    assert found.smallest == pytest.approx(every_one_up)


@pytest.mark.parametrize(("gained", "lost"), [(5, 0), (10, 3), (40, 60), (1500, 1600), (1, 1)])
def test_on_zeros_and_ones_it_is_mcnemars_exact_test(gained, lost):
    found = sign_flip_test([1.0] * gained + [-1.0] * lost + [0.0] * 50)
    assert found.p == pytest.approx(stats.binomtest(gained, gained + lost).pvalue)
    contingency = pytest.importorskip(
        "statsmodels.stats.contingency_tables", reason="the oracle statsmodels is not installed"
    )
    table = [[20, lost], [gained, 30]]
    assert found.p == pytest.approx(contingency.mcnemar(table, exact=True).pvalue)


def test_without_a_differing_item_nothing_can_be_found():
    for differences in ([], [0.0, 0.0]):
        found = sign_flip_test(differences)
        assert (found.p, found.smallest) == (1.0, 1.0)


def test_drawn_flips_agree_with_counted_ones():
    rng = random.Random(3)
    values = [rng.gauss(0.15, 1) for _ in range(16)]
    counted = sign_flip_test(values)
    assert counted.exact
    drawn = sign_flip_test([*values, *(x * 1e-7 for x in values)])  # too many sizes to count
    assert not drawn.exact
    assert drawn.p == pytest.approx(counted.p, abs=0.015)
    assert drawn.smallest == pytest.approx(1 / 20_001)
    assert drawn == sign_flip_test([*values, *(x * 1e-7 for x in values)])


def test_sign_flips_find_what_is_not_there_no_more_often_than_they_should():
    rng = np.random.default_rng(0)
    ps = [sign_flip_test(list(rng.normal(0, 1, 12))).p for _ in range(400)]
    assert np.mean(np.array(ps) <= 0.05) < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)
    assert np.mean(np.array(ps) <= 0.5) == pytest.approx(0.5, abs=0.08)


def test_label_test_counts_or_draws():
    a, b = [0.1, 0.2, 0.3], [0.6, 0.7, 0.9]
    found = label_test(a, b)
    assert (found.p, found.smallest, found.exact) == (pytest.approx(0.1), smallest_p(3, 3), True)
    rng = random.Random(1)
    many = [[rng.gauss(m, 1) for _ in range(14)] for m in (0.0, 0.9)]
    drawn = label_test(*many)
    assert not drawn.exact
    t = stats.ttest_ind(*many).pvalue
    assert drawn.p == pytest.approx(t, abs=0.01)


# ---- the paired score interval -----------------------------------------------------------------
def slow_score_interval(gained, lost, pairs, level):
    """Differences that a score test accepts, the rest of the table fitted by maximum likelihood."""
    z = stdlib.NormalDist().inv_cdf(0.5 + level / 2)

    def likelihood(q, d):
        cells = ((gained, q + d), (lost, q), (pairs - gained - lost, 1 - d - 2 * q))
        if any(k and p <= 0 for k, p in cells):
            return -1e18
        return sum(k * math.log(p) for k, p in cells if k)

    def accepted(d):
        low, high = max(0.0, -d), (1 - d) / 2
        bounds = {"bounds": (low, high), "method": "bounded", "options": {"xatol": 1e-13}}
        q = optimize.minimize_scalar(lambda q: -likelihood(q, d), **bounds).x
        q = max([q, low + 1e-15, high - 1e-15], key=lambda q: likelihood(q, d))
        variance = pairs * (2 * q + d - d * d)
        return abs(gained - lost - pairs * d) <= z * math.sqrt(max(variance, 0.0)) + 1e-9

    found = [d for d in np.linspace(-1, 1, 801) if accepted(d)]
    return min(found), max(found)


@pytest.mark.parametrize(
    ("gained", "lost", "pairs"), [(0, 0, 20), (5, 1, 30), (0, 3, 50), (12, 9, 60), (10, 0, 10)]
)
def test_score_interval_is_what_a_score_test_accepts(gained, lost, pairs):
    low, high = slow_score_interval(gained, lost, pairs, 0.95)
    found = paired_score_interval(gained, lost, pairs)
    assert found.low == pytest.approx(low, abs=0.003)
    assert found.high == pytest.approx(high, abs=0.003)


def test_score_interval_mirrors_and_knows_something_without_a_difference():
    a, b = paired_score_interval(7, 2, 40), paired_score_interval(2, 7, 40)
    assert (a.low, a.high) == pytest.approx((-b.high, -b.low))
    nothing = paired_score_interval(0, 0, 50)
    assert nothing.high == pytest.approx(wilson(0, 50).high)
    with pytest.raises(ValueError, match="of 3 pairs"):
        paired_score_interval(2, 2, 3)


# ---- one policy against another ------------------------------------------------------------------
def test_estimate_and_weights_of_means_and_of_group_means():
    before, after = ids([0, 0, 1, 1, 0]), ids([1, 0, 1, 0, 1])
    plain = PairedDifference(before, after)
    assert plain.estimate == pytest.approx((1 + 0 + 0 - 1 + 1) / 5)
    assert plain.counts == (2, 1)
    groups = dict(zip(before, "aaabb", strict=True))
    macro = PairedDifference(before, after, groups)
    assert macro.estimate == pytest.approx(((1 + 0 + 0) / 3 + (-1 + 1) / 2) / 2)
    assert sum(macro.weights.values()) == pytest.approx(1)


def test_items_of_one_side_only_are_left_out():
    found = PairedDifference({"a": 1.0, "b": 0.0, "x": 1.0}, {"a": 0.0, "b": 0.0, "y": 1.0})
    assert found.items == ("a", "b")
    assert found.estimate == -0.5
    nothing = PairedDifference({"a": 1.0}, {"b": 1.0})
    assert math.isnan(nothing.estimate)
    assert nothing.interval() == Interval(-1.0, 1.0)


def slow_expanded_bootstrap(values, level, draws, rng):
    n = len(values)
    mean = sum(values) / n
    stretched = [mean + math.sqrt(n / (n - 1)) * (v - mean) for v in values]
    means = [sum(rng.choices(stretched, k=n)) / n for _ in range(draws)]
    tail = stats.norm.cdf(-stats.t.ppf(0.5 + level / 2, n - 1))
    return np.quantile(means, [tail, 1 - tail])


def test_interval_of_shares_is_a_plain_loop_over_resampled_items():
    rng = random.Random(5)
    before = [rng.random() for _ in range(25)]
    after = [min(1.0, b + rng.choice([0.0, 0.3, -0.1, 0.2])) for b in before]
    found = PairedDifference(ids(before), ids(after)).interval()
    values = [a - b for b, a in zip(before, after, strict=True)]
    low, high = slow_expanded_bootstrap(values, 0.95, 8000, rng)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.012)
    t = mean_interval(values)
    assert t is not None
    assert (found.low, found.high) == pytest.approx((t.low, t.high), abs=0.02)


def test_the_order_of_items_does_not_matter():
    rng = random.Random(2)
    before, after = (ids(rng.random() for _ in range(30)) for _ in range(2))
    turned = dict(reversed(before.items())), dict(reversed(after.items()))
    assert PairedDifference(before, after).interval() == PairedDifference(*turned).interval()


def test_identical_answers_are_not_certainty():
    same = ids([0.2, 0.4, 1.0] * 10)
    found = PairedDifference(same, same)
    assert found.estimate == 0
    assert found.interval().high == pytest.approx(wilson(0, 30).high)
    assert found.equivalence_p(0.05) > 0.05  # thirty items cannot show so narrow a margin
    assert found.equivalence_p(0.2) < 0.05
    assert found.test.p == 1.0
    assert found.sources[0][0] > 0


def test_one_differing_item_widens_both_ways():
    before = ids([0.5] * 40)
    found = PairedDifference(before, before | {"i000": 1.0}).interval()
    assert found.low < 0 < found.high


def binary(n, rng):
    before = rng.random(n) < 0.3
    after = np.where(rng.random(n) < 0.7, before, rng.random(n) < 0.4)
    return PairedDifference(ids(before), ids(after))


def grouped(groups, size, rng):
    base = np.repeat(np.linspace(0.2, 0.8, groups), size)
    rise = np.repeat(np.linspace(0, 0.2, groups), size)
    names = {f"i{k:03d}": f"g{k // size}" for k in range(groups * size)}
    draws = [rng.random(groups * size) < p for p in (base, base + rise)]
    return PairedDifference(ids(draws[0]), ids(draws[1]), names)


@pytest.mark.parametrize(
    ("make", "truth"),
    [
        (lambda rng: binary(40, rng), 0.03),
        (lambda rng: grouped(6, 5, rng), 0.1),
        (lambda rng: grouped(10, 1, rng), 0.1),  # one item a group: groups are resampled
    ],
)
def test_95_percent_intervals_cover_about_95_percent(make, truth):
    rng = np.random.default_rng(11)
    found = [make(rng).interval() for _ in range(300)]
    covered = np.mean([i.low <= truth <= i.high for i in found])
    assert 0.9 <= covered <= 0.995


def test_effects():
    found = PairedDifference(ids([0, 0, 0, 1]), ids([1, 1, 0, 1]))
    name, h = found.effect
    assert name == "h"
    assert h == pytest.approx(2 * math.asin(math.sqrt(0.75)) - 2 * math.asin(math.sqrt(0.25)))
    name, dz = PairedDifference(ids([0.1, 0.2, 0.3]), ids([0.2, 0.2, 0.6])).effect
    values = [0.1, 0.0, 0.3]
    assert name == "dz"
    assert dz == pytest.approx(stdlib.mean(values) / stdlib.stdev(values))
    assert PairedDifference(ids([0.1, 0.2]), ids([0.2, 0.3])).effect == ("dz", None)


# ---- equivalence and power -------------------------------------------------------------------------
def test_equivalence_is_two_one_sided_tests():
    rng = random.Random(4)
    values = [rng.gauss(0.02, 0.1) for _ in range(30)]
    mean, error = stdlib.mean(values), stdlib.stdev(values) / math.sqrt(30)

    def interval(level):
        half = stats.t.ppf(0.5 + level / 2, 29) * error if level > 0 else 0.0
        return Interval(mean - half, mean + half, level)

    p = equivalence_p(interval, mean, 0.06)
    by_hand = max(
        stats.ttest_1samp(values, -0.06, alternative="greater").pvalue,
        stats.ttest_1samp(values, 0.06, alternative="less").pvalue,
    )
    assert p == pytest.approx(by_hand, abs=1e-6)
    weightstats = pytest.importorskip(
        "statsmodels.stats.weightstats", reason="the oracle statsmodels is not installed"
    )
    assert p == pytest.approx(
        weightstats.ttost_paired(np.array(values), np.zeros(30), -0.06, 0.06)[0]
    )
    assert equivalence_p(interval, mean, abs(mean)) == 1.0
    with pytest.raises(ValueError, match="positive"):
        equivalence_p(interval, mean, 0.0)


def test_two_policies_that_differ_by_the_margin_are_seldom_called_equivalent():
    rng = np.random.default_rng(7)
    called = 0
    for _ in range(300):
        before = rng.random(60) < 0.5
        after = np.where(rng.random(60) < 0.15, True, before)  # rises by 0.075 on average
        called += PairedDifference(ids(before), ids(after)).equivalence_p(0.075) < 0.05
    assert called / 300 < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 300)


def test_detectable_difference_has_the_power_it_names():
    error, degrees = 0.04, 40
    effect = detectable_difference([(error, degrees)], alpha=0.05, power=0.8)
    critical = stats.t.ppf(0.975, degrees)
    power = stats.nct.sf(critical, degrees, effect / error)
    assert power == pytest.approx(0.8, abs=0.01)
    assert detectable_difference([(0.03, 10**6), (0.04, 10**6)]) == pytest.approx(
        detectable_difference([(0.05, 10**6)])
    )


def test_square_and_add_textbook():
    # Newcombe (1998), method 10: 56 of 70 against 48 of 80 gives 0.0524 to 0.3339
    found = square_and_add(48 / 80, wilson(48, 80), 56 / 70, wilson(56, 70))
    assert (round(found.low, 4), round(found.high, 4)) == (0.0524, 0.3339)


# ---- seeds -------------------------------------------------------------------------------------------
def arms(seeds, count, spread, rng, one):
    item = rng.normal(0.5, 0.1, count)
    gain = rng.normal(0.1, 0.05, count)

    def run(extra):
        return ids(item + extra + rng.normal(0, spread) + rng.normal(0, 0.1, count))

    before = (
        {0: ids(item + rng.normal(0, 0.1, count))} if one else {s: run(0.0) for s in range(seeds)}
    )
    return SeedDifference(before, {s: run(gain) for s in range(seeds)})


@pytest.mark.parametrize("one", [True, False])
@pytest.mark.parametrize("spread", [0.0, 0.05])
def test_intervals_over_seeds_cover_seeds_and_items(one, spread):
    rng = np.random.default_rng(5)
    found = [arms(3, 30, spread, rng, one).interval() for _ in range(150)]
    covered = np.mean([i.low <= 0.1 <= i.high for i in found])
    assert covered >= 0.91


def test_treating_seeds_as_items_would_not_cover():
    rng = np.random.default_rng(6)
    hits = 0
    for _ in range(150):
        found = arms(3, 30, 0.15, rng, True)
        pooled = found._over_items.interval()
        hits += pooled.low <= 0.1 <= pooled.high
    assert hits / 150 < 0.8


def test_common_seeds_are_paired_and_others_are_not():
    low, high = ids([0.1, 0.3, 0.2]), ids([0.4, 0.6, 0.5])
    paired = SeedDifference({0: low, 1: high}, {0: low, 1: high, 2: high})
    assert paired.paired == (0, 1)
    assert paired.estimate == 0
    apart = SeedDifference({0: low, 1: high}, {5: low, 6: high, 7: high})
    assert apart.paired == ()
    assert apart.estimate == pytest.approx((0.2 + 0.5 + 0.5) / 3 - 0.35)
    assert [df for _, df in apart.sources[:2]] == [1, 2]
    assert apart.test.smallest == pytest.approx(1 / 10)


def test_against_one_policy_the_signs_of_seeds_are_flipped():
    base = {0: ids([0.5, 0.5])}
    runs = {s: ids([0.6, 0.7 + s / 100]) for s in range(3)}
    found = SeedDifference(base, runs)
    assert (found.test.p, found.test.smallest) == pytest.approx((0.25, 0.25))


def test_only_items_that_all_runs_answered_count():
    found = SeedDifference({0: {"a": 0.0, "b": 0.0}}, {0: {"a": 1.0}, 1: {"a": 1.0, "b": 0.0}})
    assert found.items == ("a",)
    assert found.estimate == 1.0
    name, value = found.effect
    assert (name, value) == ("d", None)
