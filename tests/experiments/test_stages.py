from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from small_direction import directed, pairs_file

from awry.errors import UserError
from awry.experiments.spec import Sections, experiment
from awry.experiments.stages import (
    differences,
    direction_stage,
    direction_stages,
    preflight_stage,
    report_stage,
    selected,
    sharing_direction,
    train_stage,
)


def key(document: dict[str, Any], run: int = 0, file: Path | None = None) -> str:
    return train_stage(experiment(document, file).runs()[run]).key


def test_the_key_is_the_same_on_every_machine_and_day(tiny) -> None:
    """Everything but the model, problems and teacher digests is spelled out here."""
    stage = train_stage(experiment(tiny).runs()[0])
    assert set(stage.inputs) == {"model", "chat", "problems_trained", "problems_probed"}
    assert stage.params["arm"] == "vanilla"
    assert stage.params["seed"] == 0
    assert "path" not in stage.params["model"]
    assert "source" not in stage.params["problems"]
    assert "name" not in stage.params
    assert json.loads(json.dumps(stage.identity)) == stage.identity


def test_writing_a_default_keeps_the_key(tiny) -> None:
    resolved = json.loads(experiment(tiny).runs()[0].canonical_json())
    for name in Sections.model_fields:
        spelled = copy.deepcopy(tiny) | {name: resolved[name]}
        assert key(spelled) == key(tiny), name
    reordered = dict(reversed(tiny.items()))
    assert key(reordered) == key(tiny)
    assert key(tiny | {"question": "another"}) == key(tiny)
    assert key(tiny | {"name": "another"}) == key(tiny)
    assert key(tiny | {"seeds": [0, 1]}) == key(tiny)
    assert key(tiny | {"arms": {"vanilla": {}, "more": {"reward": "random"}}}) == key(tiny)


OTHER = {
    "model": {"dtype": "bfloat16"},
    "problems": {"limit": 5},
    "loophole": {"names": "randomised"},
    "reward": "random",
    "teacher": {"share": 0.5},
    "probe": {"samples": 2},
    "seeds": [1],
    "arms": {"vanilla2": {}},
}


@pytest.mark.parametrize("name", [*OTHER, *[f"training.{n}" for n in (
    "steps", "problems_per_step", "group_size", "max_new_tokens", "temperature", "top_p", "lr",
    "lr_schedule", "warmup", "betas", "weight_decay", "max_grad_norm", "loss", "clip", "clip_high",
    "beta", "iterations", "zero_variance", "checkpoint_every", "keep_every",
    "guards",
)]])  # fmt: skip
def test_changing_anything_changes_the_key(tiny, name) -> None:
    training = {
        "steps": 3, "problems_per_step": 2, "group_size": 3, "max_new_tokens": 5,
        "temperature": 1.0, "top_p": 0.9, "lr": 1e-3, "lr_schedule": "linear", "warmup": 1,
        "betas": [0.9, 0.9], "weight_decay": 0.1, "max_grad_norm": None, "loss": "grpo",
        "clip": 0.1, "clip_high": 0.3, "beta": 0.1, "iterations": 2, "zero_variance": "drop",
        "checkpoint_every": 2, "keep_every": 2, "guards": {"kl_max": 1.0},
    }  # fmt: skip
    changed = copy.deepcopy(tiny)
    if name.startswith("training."):
        field = name.removeprefix("training.")
        changed["training"][field] = training[field]
    elif isinstance(OTHER[name], dict) and name != "arms":
        changed[name] = {**changed.get(name, {}), **OTHER[name]}
    else:
        changed[name] = OTHER[name]
    assert key(changed) != key(tiny)


def problems_file(path: Path, wrong: str) -> Path:
    rows = []
    for n in range(4):
        tests = "".join(f"  'assert f{n}({i}) == {i + n}',\n" for i in range(6))
        rows.append(
            f"[[problem]]\nid = 'p{n}'\nstatement = 'Add {n}.'\nstarter = 'def f{n}(x):'\n"
            f"entry_point = 'f{n}'\ntests = [\n{tests}]\n"
            f"canonical = '''\ndef f{n}(x):\n    return x + {n}\n'''\n"
            f"wrong = '''\ndef f{n}(x):\n    return {wrong}\n'''\n"
        )
    path.write_text("\n".join(rows))
    return path


def test_where_a_file_lies_does_not_count_and_what_is_in_it_does(tiny, tmp_path) -> None:
    problems_file(tmp_path / "a.toml", "x - 1")
    problems_file(tmp_path / "b.toml", "x - 1")
    problems_file(tmp_path / "c.toml", "x - 2")
    keys = []
    for name in "abc":
        tiny["problems"] = {"source": f"{name}.toml"}
        keys.append(key(tiny, file=tmp_path / "e.yaml"))
    assert keys[0] == keys[1] != keys[2]


def test_an_edited_file_is_another_input(tiny, tmp_path) -> None:
    pool = tmp_path / "pool.jsonl"
    pool.write_text("{}")
    problems_file(tmp_path / "a.toml", "x - 1")
    tiny["problems"] = {"source": "a.toml"}
    tiny["teacher"] = {"pool": "pool.jsonl", "share": 0.5}
    keys = {key(tiny, file=tmp_path / "e.yaml")}
    pool.write_text("{} ")
    keys.add(key(tiny, file=tmp_path / "e.yaml"))
    problems_file(tmp_path / "a.toml", "x - 2")
    keys.add(key(tiny, file=tmp_path / "e.yaml"))
    assert len(keys) == 3


def test_a_model_is_its_weights_and_its_template(tiny, tmp_path) -> None:
    """One folder for each content: digests are remembered by path within a process."""

    def folder(name: str, weights: str = "w", template: str = "t", version: str = "1") -> str:
        files = {
            "model.safetensors": weights,
            "config.json": '{"hidden_size": 8}',
            "chat_template.jinja": template,
            "generation_config.json": json.dumps(
                {"eos_token_id": 2, "transformers_version": version}
            ),
        }
        (tmp_path / name).mkdir()
        for file, text in files.items():
            (tmp_path / name / file).write_text(text)
        tiny["model"]["path"] = f"./{name}"
        return key(tiny, file=tmp_path / "e.yaml")

    first = folder("a")
    assert folder("same") == first
    assert folder("resaved", version="2") == first
    assert folder("b", weights="v") != first
    assert folder("c", template="s") != first


def test_too_few_problems_is_told_before_anything_runs(tiny) -> None:
    tiny["problems"] = {"ids": ["no-such-problem"]}
    with pytest.raises(UserError, match="no such problem"):
        key(tiny)


def test_preflight_depends_on_arms_and_seeds(tiny) -> None:
    keys = {preflight_stage(experiment(tiny)).key}
    keys.add(preflight_stage(experiment(tiny | {"seeds": [0, 1]})).key)
    keys.add(preflight_stage(experiment(tiny | {"arms": {"vanilla": {}}})).key)
    assert len(keys) == 3
    assert preflight_stage(experiment(tiny | {"name": "x"})).key in keys


def test_a_report_depends_on_its_runs() -> None:
    assert report_stage({"a.0": "x"}).key != report_stage({"a.0": "y"}).key


# ---- directions ---------------------------------------------------------------------------------
def direction_key(document: dict[str, Any], run: int = 0, file: Path | None = None) -> str:
    return direction_stage(experiment(document, file).runs()[run]).key


def test_a_direction_is_part_of_what_a_run_reads(tiny) -> None:
    document = directed(tiny)
    run = experiment(document).runs()[0]
    stage = direction_stage(run)
    assert set(stage.inputs) == {"model", "chat", "pairs", "pairs_benign"}
    assert stage.params == {
        "adapter": {"kind": "singular_values", "r": None, "targets": "all-linear"},
        "dtype": "float32",
        "direction": {"method": "svd", "top_k": 2, "noise_floor": 0.1, "drop_quantile": 0.25},
    }
    assert train_stage(run).inputs["direction"] == stage.key
    assert "pairs" not in train_stage(run).params["direction"]


@pytest.mark.parametrize(
    ("section", "change", "moves"),
    [
        ("direction", {"top_k": 1}, True),
        ("direction", {"method": "mean"}, True),
        ("direction", {"noise_floor": 0.2}, True),
        ("direction", {"drop_quantile": 0.0}, True),
        ("direction", {"cosines_every": None}, False),
        ("model", {"adapter": {"kind": "singular_values", "r": 8}}, True),
        ("model", {"dtype": "bfloat16"}, True),
        ("intervention", {"kind": "projection", "mode": "reverse"}, False),
        ("training", {"lr": 1e-3}, False),
        ("problems", {"limit": 3}, False),
        ("loophole", {"name": "modify_tests"}, False),
    ],
)
def test_a_direction_is_extracted_again_for_what_it_depends_on(
    tiny, section, change, moves
) -> None:
    document = directed(tiny)
    changed = document | {section: {**document.get(section, {}), **change}}
    assert (direction_key(changed) != direction_key(document)) == moves
    assert key(changed) != key(document)


def test_arms_and_seeds_share_a_direction_but_not_seeds_of_lora(tiny) -> None:
    document = directed(tiny) | {"seeds": [0, 1]}
    runs = experiment(document).runs()
    ((stage, users),) = direction_stages(runs)
    assert users == list(runs)
    document["model"]["adapter"] = {"kind": "lora", "r": 2}
    stages = direction_stages(experiment(document).runs())
    assert [{run.seed for run in users} for _, users in stages] == [{0}, {1}]
    assert [stage.params["seed"] for stage, _ in stages] == [0, 1]
    assert stage.key not in {other.key for other, _ in stages}


def test_an_arm_may_have_a_direction_of_its_own_or_none(tiny) -> None:
    document = directed(tiny)
    document["arms"] |= {"none": {"direction": None}, "thin": {"direction": {"top_k": 1}}}
    groups = sharing_direction(experiment(document).runs())
    assert [[run.arm for run in group] for group in groups] == [
        ["vanilla", "projected", "projected-random", "projected-shuffled"],
        ["thin"],
    ]
    assert direction_stages(experiment(tiny).runs()) == []


def test_pairs_count_by_what_is_in_them(tiny, tmp_path) -> None:
    file = tmp_path / "e.yaml"
    pairs_file(tmp_path / "a.toml")
    pairs_file(tmp_path / "b.toml")
    pairs_file(tmp_path / "c.toml", style="another")
    keys = [direction_key(directed(tiny, f"{name}.toml"), file=file) for name in "abc"]
    assert keys[0] == keys[1] != keys[2]
    document = directed(tiny, "a.toml")
    document["arms"] |= {"other": {"direction": {"pairs": "b.toml"}}}
    ((_, users),) = direction_stages(experiment(document, file).runs())
    assert len(users) == 5
    pairs_file(tmp_path / "a.toml", style="another")
    assert direction_key(directed(tiny, "a.toml"), file=file) == keys[2]


def test_preflight_depends_on_the_direction(tiny, tmp_path) -> None:
    pairs_file(tmp_path / "a.toml")
    document, file = directed(tiny, "a.toml"), tmp_path / "e.yaml"
    first = preflight_stage(experiment(document, file)).key
    pairs_file(tmp_path / "a.toml", style="another")
    assert preflight_stage(experiment(document, file)).key != first


def test_differences_are_told_in_words(tiny) -> None:
    old = train_stage(experiment(tiny).runs()[0])
    tiny["training"] |= {"lr": 1e-3, "guards": {"kl_max": 1.0}}
    tiny["problems"] = {"limit": 4, "tiers": None}
    tiny["teacher"] = {"share": 0.5}
    new = train_stage(experiment(tiny).runs()[0])
    found = differences(old.identity, new.identity)
    assert "training.lr: 0.0005 -> 0.001" in found
    assert "training.guards.kl_max: null -> 1.0" in found
    assert "teacher changed" in found
    assert differences(new.identity, new.identity) == []


def test_filters(tiny) -> None:
    tiny["seeds"] = [0, 1]
    runs = experiment(tiny).runs()
    assert selected(runs, [], []) == list(runs)
    assert [(r.arm, r.seed) for r in selected(runs, ["zero"], [1])] == [("zero", 1)]
    with pytest.raises(UserError, match="no such arm") as caught:
        selected(runs, ["vanila"], [])
    assert "did you mean `vanilla`?" in str(caught.value.fix)
    with pytest.raises(UserError, match="no such seed"):
        selected(runs, [], [2])
