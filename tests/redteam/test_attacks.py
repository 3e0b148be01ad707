"""No attack is found correct, paid where it must not be, or has an effect outside."""

from __future__ import annotations

import pytest
from attacks import CORPUS, FAMILIES
from harness import LEVELS, WEAKEST, Run

EVERY = [*CORPUS, *(f"family: {name}" for name in FAMILIES)]


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("level", LEVELS)
def test_an_attack_is_withstood(here: dict[str, Run], level: str, name: str) -> None:
    assert here[level].report[name] == []


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("level", LEVELS)
def test_an_attack_is_withstood_by_an_ordinary_user(
    as_user: dict[str, Run], level: str, name: str
) -> None:
    assert as_user[level].report[name] == []


@pytest.mark.parametrize("level", LEVELS)
def test_nothing_is_left_when_the_sandbox_is_closed(here: dict[str, Run], level: str) -> None:
    assert here[level].strays == []


@pytest.mark.parametrize("level", LEVELS)
def test_nothing_of_an_ordinary_user_is_left(as_user: dict[str, Run], level: str) -> None:
    assert as_user[level].strays == []


def test_what_the_weakest_level_cannot_stop_has_its_effect(here: dict[str, Run]) -> None:
    """The corpus says of each attack which layers stop it: without any, the effect is seen."""
    report = here[WEAKEST].report
    assert {name: faults for name, faults in report.items() if faults} == {}
    if "setuid" in here[WEAKEST].isolation:
        assert "removes a file outside" in report
        assert "opens a file outside to the world" not in report


def test_what_the_weakest_level_cannot_stop_for_an_ordinary_user(as_user: dict[str, Run]) -> None:
    report = as_user[WEAKEST].report
    assert {name: faults for name, faults in report.items() if faults} == {}
    assert {"removes a file outside", "stops a process outside"} <= report.keys()


def test_the_levels_are_what_they_are_called(here: dict[str, Run]) -> None:
    assert "pidns" not in here["landlock"].isolation
    assert "rlimits" in here["landlock"].isolation


def test_the_corpus_is_large_and_says_what_must_happen() -> None:
    assert len(CORPUS) == sum(len(family) for family in FAMILIES.values()) >= 110
    assert all(len(attack.must) > 5 and attack.program for attack in CORPUS.values())
    assert all(attack.effect for attack in CORPUS.values() if attack.stopped_by)
