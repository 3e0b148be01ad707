"""No bad submission is sound, each is named, and no honest one is refused."""

from __future__ import annotations

import pytest
from lean_attacks import ATTACKS, Attack
from lean_honest import HONEST, Honest

from awry.lean.checks import Checked

CLASSES = set(range(1, 21)) - {12, 18}  # those are tests of the pool and of the decoder


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_is_not_sound_and_has_a_name(
    attacked: dict[str, Checked], attack: Attack
) -> None:
    found = attacked[attack.name]
    assert found.sound is False, found
    assert attack.fault == (found.faults[0] if found.faults else found.outcome), found


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_the_other_grades_are_fooled_as_far_as_it_says(
    attacked: dict[str, Checked], attack: Attack
) -> None:
    """What makes them worth gaming, and the figures in the documentation true."""
    found = attacked[attack.name]
    assert (found.naive, found.text) == (attack.fools != "", attack.fools == "text"), found


@pytest.mark.parametrize("honest", HONEST, ids=lambda honest: honest.name)
def test_an_honest_proof_is_accepted(proved: dict[str, Checked], honest: Honest) -> None:
    found = proved[honest.name]
    assert (found.sound, found.outcome, found.faults) == (True, "proved", ()), found
    assert (found.naive, found.text) == (True, honest.text_grade), found


def test_the_corpus_is_large_and_covers_all_classes() -> None:
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS) >= 100
    assert len({honest.name for honest in HONEST}) == len(HONEST) >= 50
    assert {attack.number for attack in ATTACKS} == CLASSES
    fooled = [attack.fools for attack in ATTACKS]
    assert fooled.count("text") >= 40
    assert fooled.count("text") + fooled.count("naive") >= 80
