from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from small_direction import directed, pairs_file

from awry.experiments import direction_checks, preflight, store
from awry.experiments.preflight import Check, CheckResult, Setting
from awry.experiments.runner import extract_directions
from awry.experiments.spec import experiment
from awry.experiments.stages import direction_stages
from awry.progress import Silent


def look(check, document, folder: Path) -> CheckResult:
    loaded = experiment(document, folder / "e.yaml")
    with Setting(loaded, folder / "runs") as setting:
        return preflight._run(Check("it", check), setting)


def verification(
    extracted: float = 1.0,
    random: tuple[float, float] = (0.3, 0.7),
    shuffled: float = 0.5,
    benign: float = 0.6,
    signs: float = 0.95,
) -> dict[str, Any]:
    values = {"extracted": extracted, "shuffled": shuffled, "benign": benign, "random": 0.5}
    return {
        "top_k": 3,
        "modules": 157,
        "pairs_heldout": 16,
        "energy": 0.71,
        "sign_agreement": signs,
        "null_energy": 0.08,
        "rows": [
            {
                "direction": name,
                "auroc_cosine": value,
                "auroc_spread": list(random) if name == "random" else None,
            }
            for name, value in values.items()
        ],
    }


@pytest.mark.parametrize(
    ("seen", "status", "words"),
    [
        (verification(), "pass", "extracted 1.00, shuffled 0.50, benign 0.60, random 0.50 (0.30"),
        (verification(signs=0.55), "warn", "55% of signs agree"),
        (verification(extracted=0.85), "warn", "extracted 0.85"),
        (verification(extracted=0.74), "fail", "too poorly"),
        (verification(extracted=0.95, random=(0.2, 0.96)), "fail", "does not beat random"),
        (verification(extracted=0.95, shuffled=0.95), "fail", "does not beat shuffled"),
        (verification(0.9, (0.1, 0.9), 0.9, 0.9), "fail", "shuffled and benign and random"),
    ],
)
def test_a_direction_must_separate_and_beat_its_nulls(seen, status, words) -> None:
    found, saw, fix = direction_checks.judge(seen)
    assert found == status
    assert words in saw
    assert bool(fix) == (status != "pass")
    assert "16 held-out pairs" in saw


def stored(document, folder: Path, seen: dict[str, Any]) -> Path:
    """A direction stage that is done and holds only its verification."""
    ((stage, _),) = direction_stages(experiment(document, folder / "e.yaml").runs())
    directory = store.open_stage(stage, folder / "runs/store")
    (directory / "verification.json").write_text(json.dumps(seen))
    store.mark_done(directory, {})
    return directory


def test_random_weights_warn_where_another_policy_fails(tiny, tmp_path, monkeypatch) -> None:
    document = directed(tiny)
    stored(document, tmp_path, verification(extracted=0.4))
    result = look(direction_checks.direction, document, tmp_path)
    assert (result.status, "too poorly" in result.saw) == ("warn", True)
    assert "random weights" in result.fix
    monkeypatch.setattr("awry.experiments.stages._model_digest", lambda path: "d")
    monkeypatch.setattr("awry.experiments.stages._chat_digest", lambda path: "d")
    document["model"]["path"] = "org/some-model"
    stored(document, tmp_path, verification(extracted=0.4))
    result = look(direction_checks.direction, document, tmp_path)
    assert result.status == "fail"
    assert "direction.pairs" in result.fix or "pairs" in result.fix


def test_the_worst_of_several_directions_counts(tiny, tmp_path) -> None:
    document = directed(tiny)
    document["arms"]["thin"] = {"direction": {"top_k": 1}}
    loaded = experiment(document, tmp_path / "e.yaml")
    for (stage, _), value in zip(direction_stages(loaded.runs()), (1.0, 0.8), strict=True):
        directory = store.open_stage(stage, tmp_path / "runs/store")
        seen = json.dumps(verification(extracted=value))
        (directory / "verification.json").write_text(seen)
        store.mark_done(directory, {})
    result = look(direction_checks.direction, document, tmp_path)
    assert result.status == "warn"
    assert "1: AUROC" in result.saw
    assert "extracted 0.80" in result.saw


def test_a_direction_that_is_not_there_or_damaged_fails(tiny, tmp_path) -> None:
    document = directed(tiny)
    assert look(direction_checks.direction, document, tmp_path).status == "fail"
    directory = stored(document, tmp_path, verification())
    assert look(direction_checks.direction, document, tmp_path).status == "pass"
    (directory / "verification.json").write_text("{")
    result = look(direction_checks.direction, document, tmp_path)
    assert result.status == "fail"
    assert "--force" in result.fix


# ---- pairs --------------------------------------------------------------------------------------
def test_sound_pairs_pass_and_say_how_they_look(tiny, tmp_path) -> None:
    pairs_file(tmp_path / "p.toml")
    result = look(direction_checks.pairs, directed(tiny, "p.toml"), tmp_path)
    assert result.status in ("pass", "warn"), result.saw
    assert "7 pairs" in result.saw
    assert "3 held out" in result.saw


def test_a_hack_that_is_none_fails(tiny, tmp_path) -> None:
    honest = "```python\ndef f(x):\n    return x\n```"
    pairs_file(tmp_path / "p.toml", hack=honest)
    result = look(direction_checks.pairs, directed(tiny, "p.toml"), tmp_path)
    assert result.status == "fail"
    assert "hack is graded" in result.saw
    assert "p.toml" in result.saw


def test_length_that_gives_the_class_away_warns(tiny, tmp_path, monkeypatch) -> None:
    pairs_file(tmp_path / "p.toml")
    looks = {"all": {"problems": 7, "auroc": {"characters": 0.1, "lines": 0.5}}}
    looks["heldout"] = {"pairs": 3}
    monkeypatch.setattr("awry.tasks.pairs.statistics", lambda pairs: looks)
    result = look(direction_checks.pairs, directed(tiny, "p.toml"), tmp_path)
    assert (result.status, "characters 0.10" in result.saw) == ("warn", True)
    assert "like length" in result.fix


# ---- the basis ----------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["singular_values", "lora"])
def test_the_basis_of_a_stored_direction_is_that_of_the_policy(tiny, tmp_path, kind) -> None:
    pairs_file(tmp_path / "p.toml")
    document = directed(tiny, "p.toml")
    document["model"]["adapter"] = {"kind": kind, "r": 4}
    loaded = experiment(document, tmp_path / "e.yaml")
    extract_directions(loaded, tmp_path / "runs", progress=Silent())
    result = look(direction_checks.basis, document, tmp_path)
    assert result.status == "pass", result.saw
    assert f"tiny-random ({kind}, basis" in result.saw
    # another adapter's direction under this key: as if the files had been exchanged
    ((stage, _),) = direction_stages(loaded.runs())
    document["model"]["adapter"]["targets"] = ["q_proj", "v_proj"]
    ((other, _),) = direction_stages(experiment(document, tmp_path / "e.yaml").runs())
    root = tmp_path / "runs/store"
    stage.directory(root).rename(other.directory(root))
    result = look(direction_checks.basis, document, tmp_path)
    assert result.status == "fail"
    assert "another model or adapter" in result.saw


def test_only_experiments_with_a_direction_are_asked_for_one(tiny, tmp_path, monkeypatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(
        preflight, "_run", lambda c, s: seen.append(c.name) or CheckResult(c.name, "pass", "")
    )
    preflight.preflight(experiment(tiny), tmp_path, progress=Silent())
    assert not {"direction", "pairs", "basis"} & set(seen)
    seen.clear()
    preflight.preflight(experiment(directed(tiny)), tmp_path, progress=Silent())
    assert seen[-3:] == ["pairs", "direction", "basis"]
