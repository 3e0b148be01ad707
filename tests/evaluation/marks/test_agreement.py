from __future__ import annotations

import math

import numpy as np
import pytest

from awry.evaluation.marks.agreement import Agreement, Error, by_group, corrected, error_of


def test_figures_of_a_table_done_by_hand() -> None:
    a = Agreement(tp=20, fp=5, fn=10, tn=15)
    assert a.n == 50
    assert a.accuracy == pytest.approx(0.7)
    assert a.kappa == pytest.approx(0.4)  # chance is .5
    assert a.sensitivity == pytest.approx(2 / 3)
    assert a.specificity == pytest.approx(0.75)
    assert a.precision == pytest.approx(0.8)
    assert a.bias == pytest.approx(-0.1)


def test_kappa_at_its_ends() -> None:
    assert Agreement(3, 0, 0, 4).kappa == 1
    assert Agreement(0, 0, 3, 4).kappa == 0
    assert math.isnan(Agreement(0, 0, 0, 4).kappa)


def test_groups() -> None:
    found, truth = [True, True, False], [True, False, False]
    groups = by_group(found, truth, ["b", "a", "b"])
    assert groups == {"b": Agreement(1, 0, 0, 1), "a": Agreement(0, 1, 0, 0)}
    assert sum(groups.values(), Agreement(0, 0, 0, 0)) == Agreement.of(found, truth)


def test_a_known_error_is_taken_out() -> None:
    exact = Error(0.9, 0.8, 1e9, 1e9)
    found = corrected(410, 1000, exact)  # .3 * .9 + .7 * .2
    assert found is not None
    assert found.rate == pytest.approx(0.3)
    assert found.low < 0.3 < found.high
    nothing = corrected(410, 1000, Error(1.0, 1.0, 1e9, 1e9))
    assert nothing is not None
    assert nothing.rate == pytest.approx(0.41)
    # with an error that is known exactly, only the binomial spread is left, stretched by 1 / .7
    assert found.high - found.low == pytest.approx((nothing.high - nothing.low) / 0.7, rel=0.03)


def test_fewer_labels_make_wider_intervals() -> None:
    widths = []
    for labels in (30, 300, 3000):
        found = corrected(410, 1000, Error(0.9, 0.8, labels, labels))
        assert found is not None
        widths.append(found.high - found.low)
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 2 * widths[2]


def test_what_cannot_be_corrected() -> None:
    assert corrected(0, 0, Error(0.9, 0.9, 50, 50)) is None
    assert corrected(3, 10, Error(0.5, 0.55, 50, 50)) is None
    assert corrected(3, 10, Error(math.nan, 0.9, 0, 50)) is None


def test_rates_stay_within_0_and_1() -> None:
    for positive in (0, 20):
        found = corrected(positive, 20, Error(0.9, 0.9, 40, 40))
        assert found is not None
        assert 0 <= found.low <= found.rate <= found.high <= 1


@pytest.mark.parametrize("rate", [0.02, 0.3, 0.9])
def test_the_interval_covers(rate: float) -> None:
    """95 % intervals, 1,500 simulated studies each: labels and rates are both drawn."""
    generator = np.random.default_rng(1)
    inside = total = 0
    for _ in range(1500):
        tp, tn = generator.binomial(80, 0.88), generator.binomial(120, 0.93)
        shown = generator.binomial(300, rate * 0.88 + (1 - rate) * 0.07)
        found = corrected(int(shown), 300, Error(tp / 80, tn / 120, 80, 120))
        assert found is not None
        inside += found.low <= rate <= found.high
        total += 1
    assert inside / total > 0.93


def test_models_that_differ_count_for_fewer_labels() -> None:
    alike = error_of({m: Agreement(90, 10, 10, 90) for m in "abc"})
    assert alike == Error(0.9, 0.9, 300, 300)
    unlike = error_of(
        {
            "a": Agreement(99, 10, 1, 90),
            "b": Agreement(90, 10, 10, 90),
            "c": Agreement(81, 10, 19, 90),
        }
    )
    assert unlike.sensitivity == pytest.approx(0.9)
    assert unlike.positives == pytest.approx(300 / (18 / 2), rel=0.03)  # chi-square 18 on 2
    assert unlike.negatives == 300
    assert error_of({"a": Agreement(90, 10, 10, 90)}).positives == 100
