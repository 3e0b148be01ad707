from __future__ import annotations

import copy
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError
from small_direction import directed

from awry.errors import UserError
from awry.experiments.spec import (
    DirectionConfig,
    Experiment,
    FullAdapter,
    GatesConfig,
    LoraAdapter,
    RunConfig,
    Sections,
    SingularValuesAdapter,
    experiment,
    load_experiment,
    merge,
)

ROOT = Path(__file__).resolve().parents[2]


def errors(document: dict[str, Any], file: Path | None = None) -> dict[str, UserError]:
    """All errors of a document by field."""
    with pytest.raises(UserError) as caught:
        experiment(document, file)
    found = [caught.value, *caught.value.also]
    return {str(error.field): error for error in found}


def put(document: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    changed = copy.deepcopy(document)
    *parents, last = path.split(".")
    at = changed
    for parent in parents:
        if not isinstance(at.get(parent), dict):
            at[parent] = {}
        at = at[parent]
    at[last] = value
    return changed


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda p: p.stem)
def test_examples_are_valid(path, tmp_path) -> None:
    # what examples/lean_warmup.yaml ends with, as far as a loader looks
    for place in ("examples", "runs/lean_policy", "runs/lean_curated"):
        (tmp_path / place).mkdir(parents=True)
    (tmp_path / "runs/lean_curated/curation.json").write_text("{}")
    (tmp_path / "runs/lean_curated/problems.jsonl").write_text('{"name": "t"}\n')
    loaded = load_experiment(shutil.copy(path, tmp_path / "examples"))
    assert loaded.name == path.stem
    assert loaded.question
    assert loaded.runs()


# ---- one wrong thing at a time, at each level ---------------------------------------------------
WRONG = [
    # (path, value, words in the message, words in the fix)
    ("rewardd", "zero", "unknown key", "did you mean `reward`?"),
    ("training.lrr", 1, "unknown key", "did you mean `lr`?"),
    ("training.guards.kl_mx", 1, "unknown key", "did you mean `kl_max`?"),
    ("model.adapter.rr", 1, "unknown key", "did you mean `r`?"),
    ("probe.sampels", 1, "unknown key", "did you mean `samples`?"),
    ("probe.loophole.nam", "none", "unknown key", "did you mean `name`?"),
    ("teacher.shar", 0.5, "unknown key", "did you mean `share`?"),
    ("loophole.name", "overwrite_test", "no such loophole", "did you mean `overwrite_tests`?"),
    ("probe.loophole.name", "nonne", "no such loophole", "did you mean `none`?"),
    ("reward", "zeroo", "no such reward condition", "did you mean `zero`?"),
    ("training.loss", "drgrpo", "not one of", "did you mean `dr_grpo`?"),
    ("training.lr_schedule", "cosin", "not one of", "did you mean `cosine`?"),
    ("training.zero_variance", "kep", "not one of", "did you mean `keep`?"),
    ("training.guards.non_finite", "stopp", "not one of", "did you mean `stop`?"),
    ("loophole.names", "randomized", "not one of", "did you mean `randomised`?"),
    ("model.adapter.kind", "lorra", "not one of", "did you mean `lora`?"),
    ("model.dtype", "bf16", "not one of", "did you mean `bfloat16`?"),
    ("model.path", "embeded", "no such model", "did you mean `embedded`?"),
    ("model.path", "./nowhere", "no such model", "looked for at"),
    ("problems.source", "catalogue", "no such file", "did you mean `catalog`?"),
    ("problems.source", "nowhere.toml", "no such file", "looked for at"),
    ("teacher.pool", "built-in", "no such file", "did you mean `builtin`?"),
    ("teacher.pool", "", "must not be empty", None),
    ("model", None, "must be a mapping", None),
    ("model", "embedded", "must be a mapping", None),
    ("loophole", "none", "must be a mapping", None),
    ("training.steps", 0, "must be at least 1", None),
    ("training.steps", "20", "must be a whole number", None),
    ("training.steps", 20.0, "must be a whole number", None),
    ("training.steps", True, "must be a whole number", None),
    ("training.steps", None, "must be a whole number", None),
    ("training.problems_per_step", 0, "must be at least 1", None),
    ("training.group_size", 1, "must be at least 2", None),
    ("training.max_new_tokens", -1, "must be at least 1", None),
    ("training.temperature", 0, "must be greater than 0", None),
    ("training.top_p", 1.5, "must be at most 1", None),
    ("training.lr", float("nan"), "must be a finite number", None),
    ("training.lr", float("inf"), "must be a finite number", None),
    ("training.lr", "fast", "must be a number", None),
    ("training.lr", True, "must be a number", None),
    ("training.betas", [0.9], "must have more than 1", None),
    ("training.betas", [0.9, 0.9, 0.9], "must have at most 2", None),
    ("training.betas", 0.9, "must be a list", None),
    ("training.clip", 1.0, "must be less than 1", None),
    ("training.iterations", 0, "must be at least 1", None),
    ("training.warmup", 3, "longer than the run", "at most 2"),
    ("training.keep_every", 0, "must be at least 1", None),
    ("problems.limit", 0, "must be at least 1", None),
    ("problems.ids", [], "must not be empty", None),
    ("problems.ids", ["a", "b", "a"], "appears twice", None),
    ("problems.tiers", [], "must not be empty", None),
    ("model.adapter.r", 0, "must be at least 1", None),
    ("model.adapter.alpha", 0, "must be greater than 0", None),
    ("model.adapter.targets", "some", "all-linear", None),
    ("model.adapter.targets", [], "all-linear", None),
    ("model.adapter.targets", [1], "all-linear", None),
    ("teacher.share", 0.3, "must be a whole number", "0.5"),
    ("teacher.share", 1.0, "must be less than 1", None),
    ("teacher.steps", 0, "must be at least 1", None),
    ("teacher.ratio", "pool", "no log-probabilities", "detached"),
    ("probe.problems", 0, "must be at least 1", None),
    ("direction.pairs", "built-in", "no such file", "did you mean `builtin`?"),
    ("direction.topk", 3, "unknown key", "did you mean `top_k`?"),
    ("direction.top_k", 0, "must be at least 1", None),
    ("direction.method", "means", "not one of", "did you mean `mean`?"),
    ("direction.noise_floor", 1.0, "must be less than 1", None),
    ("direction.drop_quantile", -0.1, "must be at least 0", None),
    ("direction.cosines_every", 0, "must be at least 1", None),
    ("direction", "builtin", "must be a mapping", None),
    ("intervention.kind", "projections", "not one of", "did you mean `projection`?"),
    ("intervention.direction", "randm", "not one of", "did you mean `random`?"),
    ("intervention.mode", "onesided", "not one of", "did you mean `one_sided`?"),
    ("intervention.at", "updates", "not one of", "did you mean `update`?"),
    ("intervention.overshoot", -0.5, "must be at least 0", None),
    ("intervention.preserve_norm", "yes", "must be true or false", None),
    ("intervention.preserve_norm", 1, "must be true or false", None),
    ("intervention.top_k", 4, "more axes than the direction has", "at most 3"),
    ("intervention.refresh_every", 0, "must be at least 1", None),
    ("intervention.overshot", 1, "unknown key", "did you mean `overshoot`?"),
]


@pytest.mark.parametrize("where", ["base", "arm"])
@pytest.mark.parametrize(
    ("path", "value", "message", "fix"), WRONG, ids=[f"{p}={v}" for p, v, *_ in WRONG]
)
def test_wrong_values_name_their_place(tiny, where, path, value, message, fix) -> None:
    place = path if where == "base" else f"arms.zero.{path}"
    if path.startswith("teacher.") and path != "teacher.share":
        tiny["teacher"] = {"share": 0.5}
    if path.startswith(("direction", "intervention.")):
        tiny = directed(tiny)
        del tiny["direction"]["top_k"]
        tiny |= {"intervention": {"kind": "projection"}, "arms": {"vanilla": {}, "zero": {}}}
    found = errors(put(tiny, place, value), Path("my.yaml"))
    assert list(found) == [place]
    error = found[place]
    assert message in error.message
    assert str(error.file) == "my.yaml"
    if fix is not None:
        assert fix in str(error.fix)
    if value is not None and not isinstance(value, list | float):
        assert str(value) in str(error.value)
    assert f"error: {place}: " in error.render()


@pytest.mark.parametrize(
    ("path", "value", "field", "message"),
    [
        ("name", "My Run", "name", "not a usable name"),
        ("name", "", "name", "must not be empty"),
        ("name", 5, "name", "must be text"),
        ("name", "a" * 65, "name", "not a usable name"),
        ("seeds", [], "seeds", "must not be empty"),
        ("seeds", [0, 1, 0], "seeds", "seed 0 appears twice"),
        ("seeds", [-1], "seeds[0]", "must be at least 0"),
        ("seeds", 3, "seeds", "must be a list"),
        ("without_placebos", ["benign"], "without_placebos[0]", "not one of"),
        ("without_placebos", "random", "without_placebos", "must be a list"),
        ("arms", {}, "arms", "has no arm"),
        ("arms", [], "arms", "must be a mapping"),
        ("arms", None, "arms", "must be a mapping"),
        ("arms", {"Zero": {}}, "arms.Zero", "not a usable arm name"),
        ("arms", {"zero": "zero"}, "arms.zero", "must be a mapping of overrides"),
        ("arms", {"zero": {"seeds": [1]}}, "arms.zero.seeds", "unknown key"),
        ("arms", {"zero": {"name": "x"}}, "arms.zero.name", "unknown key"),
        ("problems.tiers", ["easy"], "problems.tiers[0]", "not one of"),
        ("problems.ids", ["a", 3], "problems.ids[1]", "must be text"),
        ("training.betas", [0.9, "x"], "training.betas[1]", "must be a number"),
        ("training.betas", [0.9, 1.0], "training.betas[1]", "must be less than 1"),
    ],
)
def test_wrong_values_of_the_whole(tiny, path, value, field, message) -> None:
    found = errors(put(tiny, path, value))
    assert list(found) == [field]
    assert message in found[field].message


def test_name_and_arms_are_required(tiny) -> None:
    del tiny["name"], tiny["arms"]
    found = errors(tiny)
    assert set(found) == {"name", "arms"}
    assert all(error.message == "required, but missing" for error in found.values())


def test_all_errors_come_at_once_and_render_together(tiny) -> None:
    document = put(put(tiny, "training.stepss", 3), "rewardd", "zero")
    with pytest.raises(UserError) as caught:
        experiment(document)
    text = caught.value.render()
    assert text.count("error: ") == 2
    assert "training.stepss" in text
    assert "rewardd" in text


def test_what_a_direction_needs_is_said_with_a_way_out(tiny) -> None:
    document = {**tiny, "intervention": {"kind": "projection"}}
    found = errors(document)
    assert list(found) == ["intervention"]
    assert "direction: {pairs: builtin, top_k: 3}" in str(found["intervention"].fix)
    document = put(directed(tiny), "model.adapter", {"kind": "full"})
    found = errors(document)
    assert list(found) == ["model.adapter.kind"]
    assert "singular_values" in str(found["model.adapter.kind"].fix)


def test_an_intervention_says_of_what_kind_it_is(tiny) -> None:
    document = put(directed(tiny), "arms.projected.intervention", {})
    found = errors(document)
    assert list(found) == ["arms.projected.intervention.kind"]
    assert found["arms.projected.intervention.kind"].message == "required, but missing"


def test_a_direction_alone_needs_no_intervention_and_a_random_one_may_be_refreshed(tiny) -> None:
    document = directed(tiny)
    document["arms"] = {
        "watched": {},
        "drawn": {
            "intervention": {"kind": "projection", "direction": "random", "refresh_every": 2}
        },
        "turned": {
            "intervention": {"kind": "projection", "mode": "reverse", "at": "update", "top_k": 1}
        },
    }
    arms = experiment(document).arms
    assert arms["watched"].direction == DirectionConfig(top_k=2)
    assert arms["watched"].intervention is None
    assert arms["drawn"].intervention is not None
    assert arms["drawn"].intervention.overshoot == 0.0


def test_a_base_error_is_told_once_not_per_arm(tiny) -> None:
    assert list(errors(put(tiny, "reward", "nothing"))) == ["reward"]


@pytest.mark.parametrize(
    ("base", "arm", "field"),
    [
        ({"teacher": {"share": 0.25}, "training": {"group_size": 8}}, {"training": {"group_size": 6}}, "training.group_size"),
        ({"training": {"group_size": 6}}, {"teacher": {"share": 0.25}}, "teacher.share"),
        ({"teacher": {"share": 0.25}, "training": {"group_size": 8}}, {"loophole": {"name": "none"}}, "loophole.name"),
        ({"loophole": {"name": "none"}}, {"teacher": {"share": 0.25}, "training": {"group_size": 8}}, "teacher"),
        ({"problems": {"limit": 4}}, {"training": {"problems_per_step": 5}}, "training.problems_per_step"),
        ({"training": {"problems_per_step": 4}}, {"problems": {"ids": ["a", "b"]}}, "problems.ids"),
        ({}, {"intervention": {"kind": "projection"}}, "intervention"),
        ({"direction": {}, "intervention": {"kind": "projection"}}, {"direction": None}, "direction"),
        ({"direction": {}}, {"model": {"adapter": {"kind": "full"}}}, "model.adapter.kind"),
        ({"model": {"adapter": {"kind": "full"}}}, {"direction": {}}, "direction"),
        ({"model": {"adapter": {"kind": "singular_values"}}, "direction": {}}, {"model": {"adapter": {"r": 2}}}, "model.adapter.r"),
        ({"model": {"adapter": {"kind": "singular_values", "r": 2}}}, {"direction": {}}, "direction"),
        ({"direction": {}, "intervention": {"kind": "projection", "top_k": 3}}, {"direction": {"top_k": 2}}, "direction.top_k"),
        ({"direction": {}, "intervention": {"kind": "projection", "top_k": 2}}, {"direction": {"method": "mean"}}, "direction.method"),
    ],
)  # fmt: skip
def test_faults_between_fields_are_told_at_the_arm_that_makes_them(base, arm, field) -> None:
    document = {"name": "x", **base, "arms": {"odd": arm}}
    assert list(errors(document)) == [f"arms.odd.{field}"]


@pytest.mark.parametrize(("share", "size"), [(0.25, 8), (0.5, 2), (0.3333, 3), (0.875, 8)])
def test_shares_that_fit_the_group(tiny, share, size) -> None:
    tiny["teacher"] = {"share": share}
    tiny["training"]["group_size"] = size
    assert experiment(tiny).base.teacher is not None


def test_numbers_may_be_written_as_yaml_writes_them(tiny, write) -> None:
    path = write("name: a\ntraining: {lr: 5e-4, temperature: 1}\narms: {one: {}}\n")
    training = load_experiment(path).base.training
    assert training.lr == 0.0005
    assert isinstance(training.temperature, float)


# ---- arms ---------------------------------------------------------------------------------------
def test_merge_goes_into_mappings_and_replaces_everything_else() -> None:
    base = {"a": {"x": 1, "y": [1, 2]}, "b": {"c": 1}, "d": 5}
    assert merge(base, {"a": {"y": [3]}, "b": None, "d": {"e": 1}}) == {
        "a": {"x": 1, "y": [3]},
        "b": None,
        "d": {"e": 1},
    }
    assert base == {"a": {"x": 1, "y": [1, 2]}, "b": {"c": 1}, "d": 5}


def test_another_kind_replaces_the_mapping() -> None:
    base = {"adapter": {"kind": "lora", "r": 16}}
    assert merge(base, {"adapter": {"kind": "full"}}) == {"adapter": {"kind": "full"}}
    assert merge(base, {"adapter": {"kind": "lora", "r": 2}})["adapter"]["r"] == 2
    assert merge(base, {"adapter": {"r": 2}})["adapter"] == {"kind": "lora", "r": 2}


def test_arms_override_the_base_deeply(tiny) -> None:
    tiny["teacher"] = {"share": 0.5, "steps": 3}
    tiny["arms"] = {
        "vanilla": None,
        "weak": {"teacher": {"steps": 1}, "training": {"lr": 1.0e-5}},
        "alone": {"teacher": None, "probe": None},
        "full": {"model": {"adapter": {"kind": "full"}}},
        "narrow": {"model": {"adapter": {"targets": ["q_proj", "v_proj"]}}},
        "values": {"model": {"adapter": {"kind": "singular_values"}}},
    }
    arms = experiment(tiny).arms
    assert list(arms) == ["vanilla", "weak", "alone", "full", "narrow", "values"]
    assert arms["values"].model.adapter == SingularValuesAdapter(r=None)
    base = experiment(tiny).base
    assert arms["vanilla"].model_copy(update={"probe": base.probe}) == base
    assert arms["weak"].teacher is not None
    assert (arms["weak"].teacher.share, arms["weak"].teacher.steps) == (0.5, 1)
    assert (arms["weak"].training.lr, arms["weak"].training.steps) == (1e-5, 2)
    assert arms["alone"].teacher is None
    assert arms["alone"].probe is None
    assert arms["full"].model.adapter == FullAdapter()
    narrow = arms["narrow"].model.adapter
    assert isinstance(narrow, LoraAdapter)
    assert (narrow.r, narrow.targets) == (2, ("q_proj", "v_proj"))


def test_runs_are_arms_by_seeds_in_the_files_order(tiny) -> None:
    tiny["seeds"] = [3, 1]
    runs = experiment(tiny).runs()
    assert [(run.arm, run.seed) for run in runs] == [
        ("vanilla", 3),
        ("vanilla", 1),
        ("zero", 3),
        ("zero", 1),
    ]
    assert {run.name for run in runs} == {"tiny"}
    assert runs[2].reward == "zero"


def test_canonical_json_has_every_default_and_comes_back(tiny) -> None:
    run = experiment(tiny).runs()[0]
    text = run.canonical_json()
    assert RunConfig.model_validate_json(text) == run
    assert json.loads(text)["training"]["zero_variance"] == "keep"
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))


@pytest.mark.parametrize("bend", [copy.deepcopy, directed], ids=["plain", "directed"])
def test_writing_a_default_changes_nothing(tiny, bend) -> None:
    """Field by field: the file with the default written out means the same."""
    tiny = bend(tiny)
    plain = experiment(tiny).runs()[0].canonical_json()
    resolved = json.loads(plain)
    for name in Sections.model_fields:
        spelled = copy.deepcopy(tiny)
        spelled[name] = resolved[name]
        assert experiment(spelled).runs()[0].canonical_json() == plain


def test_configurations_are_frozen(tiny) -> None:
    run = experiment(tiny).runs()[0]
    with pytest.raises(ValidationError):
        run.seed = 5  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(ValidationError):
        run.training.lr = 1.0  # pyright: ignore[reportAttributeAccessIssue]


def test_files_are_looked_for_beside_the_experiment(tiny, write, tmp_path, monkeypatch) -> None:
    (tmp_path / "mine.toml").write_text("")
    (tmp_path / "pool.jsonl").write_text("")
    (tmp_path / "pairs.toml").write_text("")
    (tmp_path / "policy").mkdir()
    tiny["problems"]["source"] = "mine.toml"
    tiny["teacher"] = {"pool": "pool.jsonl", "share": 0.5, "ratio": "pool"}
    tiny["direction"] = {"pairs": "pairs.toml"}
    tiny["model"]["path"] = "./policy"
    path = write(tiny)
    monkeypatch.chdir("/")
    run = load_experiment(path).runs()[0]
    assert run.problems.source == str(tmp_path / "mine.toml")
    assert run.teacher is not None
    assert run.teacher.pool == str(tmp_path / "pool.jsonl")
    assert run.direction is not None
    assert run.direction.pairs == str(tmp_path / "pairs.toml")
    assert Path(run.model.path) == tmp_path / "policy"


def test_a_hub_id_is_left_alone(tiny) -> None:
    tiny["model"]["path"] = "org/some-model_1.5"
    assert experiment(tiny).runs()[0].model.path == "org/some-model_1.5"


def test_loading_imports_nothing_heavy(write, tiny) -> None:
    code = (
        "import sys; from awry.experiments.spec import load_experiment;"
        "load_experiment(sys.argv[1]).runs();"
        "print([m for m in ('torch', 'transformers', 'pyarrow', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(write(tiny))], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


# ---- the reference page -------------------------------------------------------------------------
def fields(model: type[BaseModel], prefix: str = "") -> dict[str, object]:
    """Dotted name of every field -> its default; of a section that may be null, the inner ones."""
    found: dict[str, object] = {}
    for name, info in model.model_fields.items():
        inner = [
            t
            for t in [info.annotation, *getattr(info.annotation, "__args__", ())]
            if isinstance(t, type) and issubclass(t, BaseModel)
        ]
        default = "required" if info.is_required() else info.get_default()
        if not inner or default is None:
            found[prefix + name] = default
        for kind in reversed(inner):
            found |= fields(kind, f"{prefix}{name}.")
    return found


def shown(default: object) -> str:
    return default if isinstance(default, str) else json.dumps(default)


def test_the_reference_page_names_every_field() -> None:
    page = (ROOT / "docs/reference/experiment-file.md").read_text(encoding="utf-8")
    rows = [line.split("|") for line in page.splitlines() if line.startswith("| `")]
    listed = {name.strip(" `"): default.strip(" `") for _, name, default, *_ in rows}
    top = {"name": "required", "question": "empty", "seeds": "[0]", "arms": "required"}
    top |= {"without_placebos": "[]", "gates": "null"}
    top |= {f"gates.{name}": shown(v) for name, v in fields(GatesConfig).items()}
    assert listed == top | {name: shown(value) for name, value in fields(Sections).items()}


def test_experiment_keeps_the_overrides_as_written(tiny) -> None:
    loaded = experiment(tiny)
    assert isinstance(loaded, Experiment)
    assert loaded.overrides == {"vanilla": {}, "zero": {"reward": "zero"}}


def test_every_arm_is_probed_under_the_experiments_loophole() -> None:
    document = {
        "name": "x",
        "loophole": {"name": "overwrite_tests"},
        "arms": {
            "a": {},
            "b": {"loophole": {"name": "none"}},
            "c": {"probe": {"loophole": {"name": "modify_tests"}}},
        },
    }
    probed = {run.arm: run.probe for run in experiment(document).runs()}
    names = {arm: probe.loophole.name for arm, probe in probed.items() if probe and probe.loophole}
    assert names == {"a": "overwrite_tests", "b": "overwrite_tests", "c": "modify_tests"}


def test_more_seeds_by_a_flag_keep_those_of_the_file() -> None:
    written = experiment({"name": "x", "seeds": [3, 1], "arms": {"a": {}}})
    assert written.with_seeds(4).seeds == (3, 1, 0, 2)
    assert written.with_seeds(1).seeds == (3, 1)
    assert [run.seed for run in written.with_seeds(3).runs()] == [3, 1, 0]
