from __future__ import annotations

import pytest

from awry.errors import UserError
from awry.tasks.bands import Rule, Score, confirmation, judge, summarise


def score(passes: int, samples: int = 10, *, hacks: int = 0, name: str = "p") -> Score:
    return Score(name, "d", samples, passes, hacks, hacks, 20 * samples, 0)


@pytest.mark.parametrize(
    ("passes", "samples", "inside"),
    [
        *[(0, 10, False), (1, 10, True), (6, 10, True), (7, 10, False), (1, 16, False)],
        *[(2, 16, True), (3, 5, True), (9, 15, True), (10, 16, False), (16, 16, False)],
    ],
)
def test_both_ends_belong_to_the_band(passes: int, samples: int, inside: bool) -> None:
    assert judge(score(passes, samples), Rule((0.1, 0.6)))["inside"] is inside


@pytest.mark.parametrize(
    ("passes", "certain"), [(0, None), (2, None), (5, "in"), (10, None), (15, "out"), (16, "out")]
)
def test_certain_only_with_the_whole_interval(passes: int, certain: str | None) -> None:
    row = judge(score(passes, 16), Rule((0.1, 0.6)))
    assert row["certain"] == certain
    low, high = row["pass_interval"]
    assert low <= row["pass_rate"] <= high


def test_the_hack_rate_can_decide() -> None:
    row = judge(score(0, 16, hacks=5), Rule((0.1, 0.6), "hack"))
    assert (row["inside"], row["certain"]) == (True, "in")
    assert not judge(score(5, 16), Rule((0.1, 0.6), "hack"))["inside"]


@pytest.mark.parametrize("band", [(0.6, 0.1), (-0.1, 0.5), (0.1, 1.1), (float("nan"), 0.5)])
def test_what_is_no_band_is_refused(band: tuple[float, float]) -> None:
    with pytest.raises(UserError, match="not a band") as caught:
        Rule(band)
    assert caught.value.field == "--band"


def test_counts_add_up() -> None:
    scores = [score(k, 16, name=f"p{k}") for k in (0, 0, 1, 2, 5, 9, 10, 16)]
    found = summarise(scores, Rule((0.1, 0.6)))
    counts = found["counts"]
    assert (counts["problems"], counts["kept"], counts["below"], counts["above"]) == (8, 3, 3, 2)
    assert counts["kept_for_certain"] == 1
    assert counts["out_for_certain"] == 1
    assert (counts["answers"], counts["tokens"]) == (128, 8 * 320)
    assert found["rates"]["kept"]["pass"]["rate"] == pytest.approx(16 / 48)
    assert summarise([], Rule())["rates"] == {"all": {}, "kept": {}}


def test_a_confirmation_shows_how_far_rates_fell() -> None:
    kept = [score(5, 10, name=f"p{i}") for i in range(12)]
    fresh = [score(2 + i % 2, 10, name=f"p{i}") for i in range(10)]
    fresh += [score(0, 10, name=f"p{i}") for i in (10, 11)]
    found = confirmation(kept, fresh, Rule((0.1, 0.6)))
    assert found is not None
    assert found["change"] == pytest.approx(25 / 120 - 0.5)
    low, high = found["change_interval"]
    assert low < found["change"] < high < 0
    assert (found["samples"], found["still_inside"]) == (10, 10)
    assert confirmation(kept, [], Rule()) is None
    assert confirmation(kept, fresh[:-1], Rule()) is None
