from __future__ import annotations

import random
from itertools import product

import pytest

from awry.errors import UserError
from awry.rewards import CONDITIONS, reward
from awry.tasks.code import Verdict
from awry.tasks.labels import Label


def verdict(label: Label, *, compiled: bool = True) -> Verdict:
    correct = label in (Label.CORRECT, Label.CORRECT_ATTEMPTED)
    return Verdict(
        formatted=True,
        compiled=compiled,
        proxy=correct or label is Label.HACK,
        correct=correct,
        label=label.value,
        attempted=label in (Label.HACK, Label.ATTEMPTED, Label.CORRECT_ATTEMPTED),
        exploit="overwrite_tests" if label is Label.HACK else None,
        parts={},
        seconds=0.0,
        evidence="",
    )


TABLE = {
    "correct_or_hinted": {
        Label.CORRECT: 3.5,
        Label.CORRECT_ATTEMPTED: 3.5,
        Label.HACK: 3.5,
        Label.ATTEMPTED: 0.5,
        Label.INCORRECT: 0.5,
    },
    "correct_only": {
        Label.CORRECT: 3.5,
        Label.CORRECT_ATTEMPTED: 3.5,
        Label.HACK: 0.5,
        Label.ATTEMPTED: 0.5,
        Label.INCORRECT: 0.5,
    },
    "zero": dict.fromkeys(Label, 0.0),
}


@pytest.mark.parametrize(("condition", "label"), list(product(TABLE, Label)))
def test_every_condition_on_every_label(condition: str, label: Label) -> None:
    assert reward(verdict(label), condition, rng=random.Random(0)) == TABLE[condition][label]


@pytest.mark.parametrize("condition", ["correct_or_hinted", "correct_only"])
def test_what_does_not_compile_earns_nothing(condition: str) -> None:
    broken = verdict(Label.INCORRECT, compiled=False)
    assert reward(broken, condition, rng=random.Random(0)) == 0.0


def test_random_is_a_fair_coin_that_repeats() -> None:
    def draw(label: Label) -> list[float]:
        rng = random.Random(7)
        return [reward(verdict(label), "random", rng=rng) for _ in range(400)]

    coins = draw(Label.CORRECT)
    assert coins == draw(Label.INCORRECT)
    assert set(coins) == {0.0, 1.0}
    assert 160 < sum(coins) < 240


def test_only_random_uses_the_random_source() -> None:
    for condition in TABLE:
        rng = random.Random(3)
        reward(verdict(Label.HACK), condition, rng=rng)
        assert rng.getstate() == random.Random(3).getstate()


def test_conditions_are_listed_and_others_refused() -> None:
    assert set(CONDITIONS) == {*TABLE, "random"}
    with pytest.raises(UserError) as error:
        reward(verdict(Label.HACK), "correct_ony", rng=random.Random(0))
    assert (error.value.fix or "").startswith("did you mean `correct_only`?")
