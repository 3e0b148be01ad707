"""Runs with a direction: what each arm does and records, and that a killed one ends the same."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from small_run import config
from test_loop import lines

from awry.errors import UserError
from awry.experiments.spec import RunConfig
from awry.gradients.directions import load_direction, overlap, save_direction
from awry.gradients.interventions import Projection, Surgeon
from awry.progress import Silent
from awry.tasks.pairs import load_pairs
from awry.training.loop import open_policy, train
from awry.training.rollouts import Collector, Rollout
from awry.training.surgery import open_surgeon, records_cosines, surgery_metrics

ALWAYS = {
    "grad_norm_projected",
    "direction_auroc",
    "direction_cosine_hack",
    "direction_cosine_other",
}
STEPPED = {  # where an optimizer step was taken
    "direction_cosine_in",
    "direction_cosine_out",
    "direction_energy_in",
    "direction_energy_out",
    "direction_leak",
    "direction_leak_share",
}
OWN = {"direction_removed_share", "direction_fired_share"}
PLACEBO = {
    "placebo_cosine_in",
    "placebo_cosine_out",
    "placebo_removed_share",
    "placebo_fired_share",
}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A few of the built-in pairs as a file."""
    chosen = [p for p in load_pairs() if p.split == "extraction"][:4]
    chosen += [p for p in load_pairs() if p.split == "heldout"][:2]
    text = ""
    for pair in chosen:
        row = {
            "id": pair.id, "problem": pair.problem_id, "loophole": pair.loophole,
            "evaluator_seed": pair.evaluator_seed, "style": pair.style, "split": pair.split,
            "honest": pair.honest, "hack": pair.hack,
        }  # fmt: skip
        text += "[[pair]]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in row.items())
    path = tmp_path_factory.mktemp("pairs") / "pairs.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def directed(pairs: str, kind: str = "singular_values", **changes: Any) -> RunConfig:
    """A small run with a direction; intervention: what it does with it."""
    options = {} if kind == "singular_values" else {"r": 4, "alpha": 8}
    changes["model"] = {"adapter": {"kind": kind, **options}}
    changes["direction"] = {"pairs": pairs, "top_k": 2, **changes.get("direction", {})}
    if "intervention" in changes:
        changes["intervention"] = {"kind": "projection", **changes["intervention"]}
    changes["training"] = {"lr": 0.01, "max_new_tokens": 8, **changes.get("training", {})}
    return config(probe=None, **changes)


@pytest.fixture(scope="module")
def stage(pairs: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The direction stage that the runs share, made by a run that had none."""
    folder = tmp_path_factory.mktemp("stage")
    run = directed(pairs, training={"steps": 1})
    train(run, folder)
    return folder / "direction"


def rollouts_of(folder: Path, step: int) -> list[dict[str, Any]]:
    return pq.read_table(folder / "rollouts" / f"step_{step:06d}.parquet").to_pylist()


# ---- a run without a stage makes its own ----------------------------------------------------------
def test_a_run_without_a_stage_extracts_for_itself(pairs: str, stage: Path, tmp_path: Path) -> None:
    run = directed(pairs, intervention={})
    alone = train(run, tmp_path / "alone")
    given = train(run, tmp_path / "given", direction=stage)
    assert alone == given
    names = {"direction.safetensors", "shuffled.safetensors", "benign.safetensors"}
    assert {f.name for f in (tmp_path / "alone" / "direction").iterdir()} == {
        *names, "verification.json",
    }  # fmt: skip
    assert not (tmp_path / "given" / "direction").exists()
    for name in names:
        one, other = (load_direction(f / name) for f in (stage, tmp_path / "alone" / "direction"))
        assert all(torch.equal(v, other.axes[m]) for m, v in one.axes.items())


# ---- what the arms record --------------------------------------------------------------------------
def test_measuring_alone_changes_nothing(pairs: str, stage: Path, tmp_path: Path) -> None:
    run = directed(pairs, direction={"cosines_every": None})
    measured = train(run, tmp_path / "measured", direction=stage)
    plain = train(run.model_copy(update={"direction": None}), tmp_path / "plain")
    assert measured == plain
    recorded = train(directed(pairs), tmp_path / "recorded", direction=stage)
    assert recorded.adapter_digest_start == plain.adapter_digest_start
    for row, bare in zip(
        lines(tmp_path / "measured", "metrics.jsonl"),
        lines(tmp_path / "plain", "metrics.jsonl"),
        strict=True,
    ):
        assert {k: row[k] for k in bare} == bare
        assert row["direction_cosine_hack"] is None, "nothing was recorded"
        if not row["optimizer_step"]:
            assert row.keys() - bare.keys() == ALWAYS
            continue
        assert row.keys() - bare.keys() == ALWAYS | STEPPED
        assert row["direction_cosine_in"] == row["direction_cosine_out"]
        assert row["direction_energy_in"] == row["direction_energy_out"] > 0
        assert row["grad_norm"] == pytest.approx(row["grad_norm_projected"], rel=1e-6)
    for row in lines(tmp_path / "recorded", "metrics.jsonl"):
        assert not OWN & row.keys()
        assert row["direction_cosine_other"] is not None


def test_a_projected_arm(pairs: str, stage: Path, tmp_path: Path) -> None:
    train(directed(pairs, intervention={}), tmp_path, direction=stage)
    metrics = lines(tmp_path, "metrics.jsonl")
    assert len(metrics) == 3
    acted = 0
    for row in metrics:
        assert row.keys() >= ALWAYS | OWN | {"direction_overlap"}
        assert not PLACEBO & row.keys()
        assert row["direction_overlap"] is None
        if not row["optimizer_step"]:
            continue
        acted += 1
        assert row.keys() >= STEPPED
        assert 0 < row["direction_removed_share"] < 1
        assert 0 < row["direction_fired_share"] <= 1
        assert row["grad_norm_projected"] < row["grad_norm"]
        assert row["direction_energy_out"] < 1e-5 < row["direction_energy_in"]
    assert acted >= 2
    facts = json.loads((tmp_path / "manifest.json").read_text())["direction"]
    kept = load_direction(stage / "direction.safetensors")
    assert facts["modules"] == list(kept.axes)
    assert (facts["top_k"], facts["projected_off"]) == (2, "extracted")
    assert facts["basis_digest"] == kept.basis_digest
    for step in range(3):
        for row in rollouts_of(tmp_path, step):
            assert len(row["cosine_modules"]) == len(facts["modules"])
            mean = math.fsum(row["cosine_modules"]) / len(facts["modules"])
            assert row["cosine"] == pytest.approx(mean, abs=1e-6)
            assert abs(row["cosine"]) <= 1
            assert abs(row["alignment"]) <= len(facts["modules"]) ** 0.5


@pytest.mark.parametrize("direction", ["random", "shuffled", "benign"])
def test_a_placebo_arm(direction: str, pairs: str, stage: Path, tmp_path: Path) -> None:
    train(directed(pairs, intervention={"direction": direction}), tmp_path, direction=stage)
    rows = [r for r in lines(tmp_path, "metrics.jsonl") if r["optimizer_step"]]
    assert rows
    for row in rows:
        assert row.keys() >= ALWAYS | STEPPED | PLACEBO
        assert not OWN & row.keys(), "that would be the removal of the extracted one"
        assert 0 < row["placebo_removed_share"] < 1
        assert row["placebo_cosine_out"] < row["placebo_cosine_in"]
        assert row["direction_energy_out"] > 1e-4, "the extracted one is not what was removed"
    facts = json.loads((tmp_path / "manifest.json").read_text())["direction"]
    assert facts["projected_off"] == direction
    # all arms are measured with the same ruler
    assert facts["modules"] == list(load_direction(stage / "direction.safetensors").axes)


def test_arms_differ_and_seeds_draw_other_placebos(pairs: str, stage: Path, tmp_path: Path) -> None:
    ends, first = {}, {}
    for name, direction, seed in (
        ("projected", "extracted", 0), ("random", "random", 0), ("random again", "random", 0),
        ("shuffled", "shuffled", 0), ("benign", "benign", 0), ("random 1", "random", 1),
    ):  # fmt: skip
        run = directed(
            pairs, intervention={"direction": direction}, training={"steps": 1}, seed=seed
        )
        ends[name] = train(run, tmp_path / name, direction=stage).adapter_digest_end
        first[name] = lines(tmp_path / name, "metrics.jsonl")[0]
    assert ends.pop("random again") == ends["random"]
    assert len(set(ends.values())) == len(ends)
    # before anything was trained the arms of one seed saw the same gradient
    norms = {first[name]["grad_norm"] for name in first if name != "random 1"}
    assert len(norms) == 1


@pytest.mark.parametrize("mode", ["one_sided", "two_sided"])
def test_a_projected_update_does_not_leak(
    mode: str, pairs: str, stage: Path, tmp_path: Path
) -> None:
    leaks = {}
    for at in ("gradient", "update", "both"):
        run = directed(pairs, intervention={"mode": mode, "at": at})
        train(run, tmp_path / at, direction=stage)
        rows = [r for r in lines(tmp_path / at, "metrics.jsonl") if r["optimizer_step"]]
        leaks[at] = max(r["direction_leak_share"] for r in rows)
        assert all(r["direction_removed_share"] > 0 for r in rows)
        if at == "update":
            assert all(r["direction_energy_in"] == r["direction_energy_out"] for r in rows)
    assert leaks["update"] <= 1e-6
    assert leaks["both"] <= 1e-6
    assert leaks["gradient"] > 0.01, "AdamW puts it back"


def test_lora_arms(pairs: str, tmp_path: Path) -> None:
    for direction in ("extracted", "shuffled"):
        run = directed(pairs, "lora", intervention={"direction": direction, "at": "both"})
        folder = tmp_path / direction
        result = train(run, folder, direction=tmp_path / "stage")
        assert result.adapter_digest_start != result.adapter_digest_end
        rows = [r for r in lines(folder, "metrics.jsonl") if r["optimizer_step"]]
        prefix = "direction" if direction == "extracted" else "placebo"
        assert all(r[f"{prefix}_fired_share"] > 0 for r in rows)
        if direction == "extracted":
            assert max(r["direction_leak_share"] for r in rows) <= 1e-6
        assert all(r["cosine"] is not None for r in rollouts_of(folder, 0))
    assert (tmp_path / "stage" / "verification.json").exists(), "made by the first arm"


def test_the_zero_arm_stays_frozen_and_is_recorded(pairs: str, stage: Path, tmp_path: Path) -> None:
    run = directed(
        pairs,
        reward="zero",
        intervention={"at": "both"},
        training={"weight_decay": 0.1, "beta": 0.0},
    )
    result = train(run, tmp_path, direction=stage)
    assert result.adapter_digest_start == result.adapter_digest_end
    for step, row in enumerate(lines(tmp_path, "metrics.jsonl")):
        assert not row["optimizer_step"]
        assert row["direction_cosine_other"] is not None
        assert row.get("direction_leak") is None
        assert row.get("direction_cosine_in") is None
        assert all(r["cosine"] is not None for r in rollouts_of(tmp_path, step))


def test_cosines_are_measured_as_often_as_asked_and_at_the_end(
    pairs: str, stage: Path, tmp_path: Path
) -> None:
    run = directed(pairs, direction={"cosines_every": 2}, training={"steps": 4})
    train(run, tmp_path, direction=stage)
    seen = [all(r["cosine"] is not None for r in rollouts_of(tmp_path, s)) for s in range(4)]
    assert seen == [True, False, True, True]
    assert [records_cosines(run, s) for s in range(4)] == seen
    metrics = lines(tmp_path, "metrics.jsonl")
    assert [m["direction_cosine_other"] is not None for m in metrics] == seen
    assert all(m["direction_cosine_in"] is not None for m in metrics if m["optimizer_step"])
    assert not records_cosines(run.model_copy(update={"direction": None}), 0)


# ---- refreshing, and going on after a kill ---------------------------------------------------------
@pytest.mark.parametrize(
    ("direction", "checkpoint_every"), [("extracted", 1), ("extracted", 2), ("random", 2)]
)
def test_an_interrupted_refresh_arm_ends_the_same(
    direction: str,
    checkpoint_every: int,
    pairs: str,
    stage: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = directed(
        pairs,
        intervention={"direction": direction, "at": "both", "refresh_every": 2, "top_k": 1},
        teacher={"share": 0.5, "steps": 9},
        training={"steps": 5, "checkpoint_every": checkpoint_every},
    )
    whole = train(run, tmp_path / "whole", direction=stage)
    rows = lines(tmp_path / "whole", "metrics.jsonl")
    overlaps = [row["direction_overlap"] for row in rows]
    assert [o is not None for o in overlaps] == [False, True, False, True, False]
    assert all(0 <= o < 0.9999 for o in overlaps if o is not None), "it has changed"

    original = Collector.collect
    died: list[int] = []

    def dies_once(self: Collector, step: int, clock: Any) -> Any:
        rollouts = original(self, step, clock)
        if step == 3 and not died:
            died.append(step)
            raise RuntimeError("killed in mid-step")
        return rollouts

    monkeypatch.setattr(Collector, "collect", dies_once)
    with pytest.raises(RuntimeError):
        train(run, tmp_path / "killed", direction=stage)
    assert train(run, tmp_path / "killed", direction=stage) == whole
    names = ("metrics.jsonl", "manifest.json")
    one, other = ([(tmp_path / n / f).read_text() for f in names] for n in ("whole", "killed"))
    assert one[0] == other[0]
    assert json.loads(one[1])["direction"] == json.loads(other[1])["direction"]
    for step in range(5):
        a, b = (rollouts_of(tmp_path / n, step) for n in ("whole", "killed"))
        assert [r["cosine"] for r in a] == [r["cosine"] for r in b]


def test_a_fixed_and_a_refreshed_arm_part_ways(pairs: str, stage: Path, tmp_path: Path) -> None:
    """Until the first refresh they are the same run."""
    found = {}
    for name, every in (("fixed", None), ("refreshed", 1)):
        run = directed(
            pairs, intervention={"refresh_every": every}, teacher={"share": 0.5, "steps": 9}
        )
        train(run, tmp_path / name, direction=stage)
        found[name] = lines(tmp_path / name, "metrics.jsonl")
    same = [a["grad_norm_projected"] == b["grad_norm_projected"] for a, b in zip(*found.values())]  # noqa: B905
    assert same == [True, False, False]


@pytest.mark.parametrize("kind", ["singular_values", "lora"])
def test_a_refresh_sees_the_weights_as_they_are(kind: str, pairs: str, tmp_path: Path) -> None:
    """It comes between the optimizer's step and the rebuilding of merged weights."""
    run = directed(pairs, kind, intervention={"refresh_every": 1})
    _, adapter, _ = open_policy(run)
    surgeon = open_surgeon(run, adapter, tmp_path, Silent())
    projection = surgeon.intervention
    assert isinstance(projection, Projection)
    assert projection.refresh is not None
    start = projection.direction
    same = projection.refresh()
    assert all(torch.equal(v, same.axes[name]) for name, v in start.axes.items())
    with torch.no_grad():
        for parameter in adapter.parameters.values():
            parameter.add_(0.1)
    found = projection.refresh()
    adapter.refresh()
    expected = projection.refresh()
    assert all(torch.equal(v, found.axes[name]) for name, v in expected.axes.items())
    assert overlap(start, found) < 0.999


# ---- what does not fit ------------------------------------------------------------------------------
def test_a_direction_of_another_adapter_is_refused(pairs: str, stage: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="another kind of adapter"):
        train(directed(pairs, "lora"), tmp_path, direction=stage)
    for name in ("direction", "shuffled", "benign"):
        kept = load_direction(stage / f"{name}.safetensors")
        save_direction(replace(kept, basis_digest="0" * 64), tmp_path / f"{name}.safetensors")
    (tmp_path / "verification.json").write_text("{}")
    with pytest.raises(UserError, match="another model or adapter"):
        train(directed(pairs), tmp_path / "run", direction=tmp_path)
    (tmp_path / "direction.safetensors").unlink()
    with pytest.raises(UserError, match="no such direction file"):
        train(directed(pairs), tmp_path / "run", direction=tmp_path)


# ---- the numbers of one step, by hand ---------------------------------------------------------------
def seen(cosine: float | None, label: str, teacher: bool = False) -> Rollout:
    blank = Rollout(0, 0, None, teacher, None, "", (1,), "", (2,), None, True)  # type: ignore[arg-type]
    return replace(blank, cosine=cosine, verdict=SimpleNamespace(label=label))  # type: ignore[arg-type]


def test_a_steps_numbers(pairs: str, stage: Path) -> None:
    _, adapter, _ = open_policy(directed(pairs))
    meter = load_direction(stage / "direction.safetensors")
    parameters = list(adapter.parameters.values())
    surgeon = Surgeon(adapter.modules, parameters, meter=meter)
    rollouts = [
        seen(0.5, "hack"), seen(0.1, "hack"), seen(0.2, "correct"), seen(-0.3, "wrong"),
        seen(0.9, "hack", teacher=True), seen(None, "hack"),
    ]  # fmt: skip
    row = surgery_metrics(surgeon, rollouts)
    assert row["direction_cosine_hack"] == pytest.approx(0.3), "students that were measured"
    assert row["direction_cosine_other"] == pytest.approx(-0.05)
    assert row["direction_auroc"] == pytest.approx(3 / 4)
    assert row["grad_norm_projected"] is None, "no step was taken"
    one_class = surgery_metrics(surgeon, rollouts[2:])
    assert one_class["direction_auroc"] is None
    assert one_class["direction_cosine_hack"] is None
    assert surgery_metrics(Surgeon(adapter.modules, parameters), rollouts) == {}
    surgeon.intervention = Projection(replace(meter, kind="shuffled"))
    surgeon.metrics = {"removed_share": 0.25, "cosine_in": 0.1, "direction_leak": 0.5}
    row = surgery_metrics(surgeon, [])
    assert row["placebo_removed_share"] == 0.25
    assert row["placebo_cosine_in"] == 0.1
    assert row["direction_leak"] == 0.5
    assert "removed_share" not in row
    assert not OWN & row.keys()
