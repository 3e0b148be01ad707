"""Curves whose story is known: met later, never met, always the same, met because the other fell."""

from __future__ import annotations

import random

import pytest

from awry.report.trajectories import area_between, first_reaching, trace, windows

STEPS = 18


def curve(rate, *, problems=8, size=24, steps=STEPS, offset=0):
    """Exactly `rate(step)` of `size` answers on every problem, rounded, spread over problems."""
    out = {}
    for step in range(steps):
        hits = round(rate(step) * problems * size)
        out[step] = {
            f"p{(step * 3 + i + offset) % 40}": (hits // problems + (i < hits % problems), size)
            for i in range(problems)
        }
    return out


def rises(at: float):
    return lambda step: min(0.9, max(0.0, (step - at) * 0.2))


def test_an_arm_that_meets_the_reference_later_delays():
    found = trace(curve(rises(3)), curve(rises(9)), icc=0.1)
    assert found is not None
    assert found.delays
    assert found.earlier is not None
    assert (found.earlier.first, found.earlier.last) == (6, 8)
    assert found.earlier.rates == pytest.approx((0.767, 0), abs=0.01)
    assert (found.end.first, found.end.last) == (15, 17)
    assert found.end.estimate == pytest.approx(0)
    assert found.reached == (6, 12)
    assert found.area < -0.2


def test_an_arm_that_stays_below_does_not_delay():
    found = trace(curve(rises(3)), curve(lambda s: 0.05), icc=0.1)
    assert found is not None
    assert found.earlier is not None
    assert not found.delays
    assert found.reached == (6, None)


def test_equal_curves_show_no_gap_at_all():
    found = trace(curve(rises(3)), curve(rises(3)), icc=0.1)
    assert found is not None
    assert found.earlier is None
    assert not found.delays
    assert found.area == 0
    assert found.reached[0] == found.reached[1]


def test_an_arm_still_on_its_way_up_does_not_delay_yet():
    found = trace(curve(rises(3)), curve(rises(13.5)), icc=0.1)
    assert found is not None
    assert found.end.estimate < -0.2
    assert not found.delays


def test_a_reference_that_falls_to_meet_the_arm_was_not_delayed():
    falling = curve(lambda s: 0.8 if s < 12 else 0.05)
    found = trace(falling, curve(lambda s: 0.05), icc=0.1)
    assert found is not None
    assert found.earlier is not None
    assert not found.delays


def test_an_arm_that_ends_above_has_met_the_reference():
    found = trace(curve(lambda s: 0.5), curve(lambda s: 0.0 if s < 9 else 0.9), icc=0.1)
    assert found is not None
    assert found.delays


def test_only_common_steps_count():
    found = trace(curve(rises(3)), curve(rises(9), steps=10), icc=0.1)
    assert found is not None
    assert found.steps == 10
    assert (found.end.first, found.end.last) == (7, 9)
    assert not found.delays
    assert trace(curve(rises(3)), {}) is None


def test_a_run_of_one_step_has_an_end_and_nothing_earlier():
    found = trace(curve(lambda s: 0.5, steps=1), curve(lambda s: 0.1, steps=1))
    assert found is not None
    assert found.earlier is None
    assert (found.end.first, found.end.last) == (0, 0)


def test_noise_around_one_curve_hardly_ever_looks_like_a_delay():
    """40 pairs of noisy copies of one rising curve, sized like a small run."""
    rng = random.Random(3)

    def noisy():
        rate = rises(3)
        return {
            step: {
                f"p{(step * 3 + i) % 40}": (sum(rng.random() < rate(step) for _ in range(8)), 8)
                for i in range(4)
            }
            for step in range(STEPS)
        }

    found = [trace(noisy(), noisy(), icc=0.1) for _ in range(40)]
    assert sum(f.delays for f in found if f) <= 3


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ([0, 0, 0, 0], None),
        ([1, 1, 1, 1], 2),  # the first step at which three are known
        ([0, 0, 0.5, 0.5, 0.5], 3),
        ([0, 0.75, 0, 0], 2),
        ([0.9, 0.9], None),  # never a whole window
        ([0, 0, 0.2, 0.2, 0.2, 0.2], None),
    ],
)
def test_first_reaching(rates, expected):
    steps = {step: {"p": (round(rate * 40), 40)} for step, rate in enumerate(rates)}
    assert first_reaching(steps) == expected


def test_area_is_the_mean_gap_whatever_the_number_of_answers():
    many = {0: {"p": (0, 1000)}, 1: {"p": (500, 1000)}}
    few = {0: {"p": (4, 4)}, 1: {"p": (2, 4)}, 2: {"p": (4, 4)}}
    assert area_between(many, few) == pytest.approx((1.0 + 0.0) / 2)


def test_windows_end_at_the_last_step():
    assert windows(range(7)) == [[1, 2, 3], [4, 5, 6]]
    assert windows([4, 5]) == [[4, 5]]
    assert windows([0, 2, 4, 6, 8, 10]) == [[0, 2, 4], [6, 8, 10]]
