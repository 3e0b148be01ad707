from __future__ import annotations

import copy
from typing import Any

import pytest
from small_direction import directed

from awry.errors import UserError
from awry.experiments.placebos import pairings
from awry.experiments.spec import Experiment, experiment

PROJECTION = {"kind": "projection"}


def direction_of(loaded: Experiment, arm: str) -> str | None:
    intervention = loaded.arms[arm].intervention
    return intervention and intervention.direction


@pytest.fixture
def document(tiny) -> dict[str, Any]:
    return directed(tiny)


def test_an_arm_on_the_extracted_direction_gets_its_placebos_after_it(document) -> None:
    document["arms"] = {"projected": document["arms"]["projected"], "vanilla": {}}
    loaded = experiment(document)
    assert list(loaded.arms) == ["projected", "projected-random", "projected-shuffled", "vanilla"]
    assert [direction_of(loaded, arm) for arm in loaded.arms] == [
        *("extracted", "random", "shuffled"),
        None,
    ]
    assert loaded.added == {
        "projected-random": ("projected", "random"),
        "projected-shuffled": ("projected", "shuffled"),
    }
    assert [run.arm for run in loaded.runs()] == list(loaded.arms)
    assert pairings(loaded.arms) == {
        "projected": {"random": "projected-random", "shuffled": "projected-shuffled"}
    }


def test_a_placebo_differs_in_its_direction_only(document) -> None:
    strange = {**PROJECTION, "mode": "two_sided", "at": "both", "overshoot": 0.5, "top_k": 1}
    document["arms"]["projected"] = {"intervention": strange, "training": {"lr": 1.0e-3}}
    loaded = experiment(document)
    arm, placebo = (loaded.arms[name] for name in ("projected", "projected-shuffled"))
    assert arm.intervention is not None
    other = arm.intervention.model_copy(update={"direction": "shuffled"})
    assert placebo == arm.model_copy(update={"intervention": other})
    written = loaded.overrides["projected-shuffled"]
    assert written["intervention"] == {**strange, "direction": "shuffled"}
    assert written["training"] == {"lr": 1.0e-3}


def test_overrides_of_a_placebo_spell_it_out(document) -> None:
    """Written into the file, they make the same arm, also where the intervention is the base's."""
    document["intervention"] = {**PROJECTION, "mode": "reverse"}
    document["arms"] = {"vanilla": {"intervention": None}, "projected": {}}
    loaded = experiment(document)
    assert loaded.overrides["projected-random"] == {"intervention": {"direction": "random"}}
    spelled = copy.deepcopy(document) | {"arms": loaded.overrides}
    again = experiment(spelled)
    assert again.arms == loaded.arms
    assert again.added == {}


@pytest.mark.parametrize(
    ("without", "added"),
    [
        (["random"], ["projected-shuffled"]),
        (["shuffled"], ["projected-random"]),
        (["random", "shuffled"], []),
    ],
)
def test_placebos_are_switched_off_by_name(document, without, added) -> None:
    loaded = experiment({**document, "without_placebos": without})
    assert list(loaded.added) == added
    assert loaded.without_placebos == tuple(without)


def test_a_placebo_that_is_there_is_not_added_whatever_its_name(document) -> None:
    document["arms"]["placebo"] = {"intervention": {**PROJECTION, "direction": "random"}}
    document["arms"]["harmless"] = {"intervention": {**PROJECTION, "direction": "benign"}}
    loaded = experiment(document)
    assert list(loaded.arms) == [
        *("vanilla", "projected", "projected-shuffled", "placebo", "harmless")
    ]
    assert pairings(loaded.arms) == {
        "projected": {"random": "placebo", "shuffled": "projected-shuffled", "benign": "harmless"}
    }


def test_twins_share_their_placebos(document) -> None:
    document["arms"]["twin"] = document["arms"]["projected"]
    loaded = experiment(document)
    assert list(loaded.added) == ["projected-random", "projected-shuffled"]
    assert pairings(loaded.arms)["twin"] == pairings(loaded.arms)["projected"]


def test_every_variant_gets_its_own(document) -> None:
    document["arms"]["turned"] = {"intervention": {**PROJECTION, "mode": "reverse"}}
    added = experiment(document).added
    assert {name for name, (arm, _) in added.items() if arm == "turned"} == {
        "turned-random",
        "turned-shuffled",
    }


def test_a_direction_without_intervention_adds_nothing(document) -> None:
    document["arms"] = {"vanilla": {}}
    loaded = experiment(document)
    assert (list(loaded.arms), loaded.added) == (["vanilla"], {})


def test_another_arm_of_that_name_is_an_error(document) -> None:
    document["arms"]["projected-random"] = {"reward": "random"}
    with pytest.raises(UserError) as caught:
        experiment(document)
    error = caught.value
    assert error.field == "arms.projected-random"
    assert "the placebo of `projected` gets this name" in error.message
    assert "without_placebos" in str(error.fix)
    document["without_placebos"] = ["random"]
    assert list(experiment(document).added) == ["projected-shuffled"]


def test_a_name_too_long_for_its_placebo_is_an_error(document) -> None:
    document["arms"] = {"a" * 57: {"intervention": PROJECTION}}
    with pytest.raises(UserError) as caught:
        experiment(document)
    assert [error.field for error in (caught.value, *caught.value.also)] == [f"arms.{'a' * 57}"]
    assert f"{'a' * 57}-shuffled" in caught.value.message
    document["arms"] = {"a" * 55: {"intervention": PROJECTION}}
    assert len(experiment(document).added) == 2
