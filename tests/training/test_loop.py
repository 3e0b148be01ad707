"""The training loop on a tiny random model: records, controls, guards, exact resume."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from small_run import BASE, config

from awry.errors import UserError
from awry.experiments.spec import RunConfig
from awry.training import checkpoint
from awry.training.loop import open_policy, train
from awry.training.rollouts import Collector


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def lines(folder: Path, name: str) -> list[dict[str, Any]]:
    path = folder / name
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_run_is_recorded_whole(tmp_path: Path) -> None:
    result = train(config(), tmp_path)
    assert result.steps == 3
    assert result.adapter_digest_start != result.adapter_digest_end
    metrics = lines(tmp_path, "metrics.jsonl")
    assert [m["step"] for m in metrics] == [0, 1, 2]
    assert [(m["n_student"], m["n_teacher"]) for m in metrics] == [(4, 4), (4, 4), (8, 0)]
    assert metrics[0]["optimizer_step"]
    assert metrics[0]["grad_norm_teacher"] > 0
    assert metrics[0]["sampler_logp_gap"] < 1e-5
    assert metrics[0]["kl"] == pytest.approx(0, abs=1e-6)
    assert metrics[2]["kl"] > 0
    assert [p["step"] for p in lines(tmp_path, "probe.jsonl")] == [0, 2, 3]
    rows = pq.read_table(tmp_path / "rollouts" / "step_000000.parquet").to_pylist()
    assert len(rows) == 8
    teachers = [r for r in rows if r["teacher"]]
    assert {r["label"] for r in teachers} == {"hack"}
    assert {r["reward"] for r in teachers} == {3.5}
    for group in (0, 1):
        own = [r for r in rows if r["group"] == group]
        mean = sum(r["reward"] for r in own) / 4
        assert all(r["advantage"] == pytest.approx(r["reward"] - mean) for r in own)
    for r in rows:
        assert r["logprobs"] is None or len(r["logprobs"]) == len(r["completion_ids"])
    facts = json.loads((tmp_path / "manifest.json").read_text())
    assert set(facts["problems_trained"]).isdisjoint(facts["problems_probed"])


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_zero_reward_ends_with_identical_weights(tmp_path: Path, decay: float) -> None:
    run = config(reward="zero", training={"weight_decay": decay, "iterations": 2})
    result = train(run, tmp_path)
    assert result.adapter_digest_start == result.adapter_digest_end
    assert not any(m["optimizer_step"] for m in lines(tmp_path, "metrics.jsonl"))


def test_random_reward_moves_weights(tmp_path: Path) -> None:
    result = train(config(reward="random", teacher=None), tmp_path)
    assert result.adapter_digest_start != result.adapter_digest_end


def test_the_same_seed_gives_the_same_run(tmp_path: Path) -> None:
    results = [train(config(), tmp_path / name) for name in ("a", "b")]
    assert results[0] == results[1]
    texts = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("a", "b")]
    assert texts[0] == texts[1]
    other = train(config(seed=1), tmp_path / "c")
    assert other.adapter_digest_end != results[0].adapter_digest_end


@pytest.mark.parametrize("every", [1, 2])
def test_interrupted_run_ends_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    run = config(training={"checkpoint_every": every, "steps": 4})
    whole = train(run, tmp_path / "whole")
    original = Collector.collect
    died = []

    def dies_once(self: Collector, step: int, clock: Any) -> Any:
        rollouts = original(self, step, clock)
        if step == 3 and not died:
            died.append(step)
            raise RuntimeError("killed in mid-step")
        return rollouts

    monkeypatch.setattr(Collector, "collect", dies_once)
    with pytest.raises(RuntimeError):
        train(run, tmp_path / "killed")
    (tmp_path / "killed" / "metrics.jsonl").open("a").write('{"step": 3, "cut of')
    assert train(run, tmp_path / "killed") == whole
    for name in ("metrics.jsonl", "probe.jsonl"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    events = lines(tmp_path / "killed", "events.jsonl")
    assert [e["kind"] for e in events if e["kind"] == "resumed"] == ["resumed"]


def test_weights_of_some_checkpoints_are_kept_for_evaluation(tmp_path: Path) -> None:
    train(config(training={"steps": 5, "keep_every": 2}), tmp_path / "kept")
    folders = sorted((tmp_path / "kept" / "checkpoints").iterdir())
    assert [f.name for f in folders] == ["step_000002", "step_000004", "step_000005"]
    assert sorted(f.name for f in folders[0].iterdir()) == ["state.json", "trained.safetensors"]
    train(config(training={"steps": 2}), tmp_path / "short")
    short = tmp_path / "short" / "checkpoints" / "step_000002" / "trained.safetensors"
    assert (folders[0] / "trained.safetensors").read_bytes() == short.read_bytes()
    _, adapter, _ = open_policy(config(training={"steps": 5, "keep_every": 2}))
    before = adapter.digest()
    checkpoint.load_weights(folders[0], adapter)
    assert adapter.digest() != before


def test_damaged_checkpoint_is_one_clear_error(tmp_path: Path) -> None:
    train(config(), tmp_path)
    last = checkpoint.newest(tmp_path / "checkpoints")
    assert last is not None
    file = last / "trained.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(UserError, match="checkpoint is damaged") as caught:
        train(config(training={"steps": 5}), tmp_path)
    assert str(last) in caught.value.render()
    assert "delete this folder" in caught.value.render()


def test_several_passes_with_clipping_and_kl(tmp_path: Path) -> None:
    run = config(training={"iterations": 3, "beta": 0.1, "clip": 0.01, "lr": 0.05, "steps": 2})
    train(run, tmp_path)
    metrics = lines(tmp_path, "metrics.jsonl")
    assert metrics[0]["clip_fraction"] > 0
    assert metrics[1]["kl"] > 0


@pytest.mark.parametrize("policy", ["drop", "resample"])
def test_groups_without_binary_variance_are_dropped(tmp_path: Path, policy: str) -> None:
    run = config(
        reward="random",
        teacher=None,
        training={"zero_variance": policy, "steps": 2, "group_size": 2},
    )
    train(run, tmp_path)
    seen = 0
    for step in (0, 1):
        rows = pq.read_table(tmp_path / "rollouts" / f"step_{step:06d}.parquet").to_pylist()
        groups = sorted({r["group"] for r in rows})
        for g in groups:
            own = [r for r in rows if r["group"] == g]
            flat = len({r["reward"] for r in own}) == 1
            assert all((r["advantage"] is None) == flat for r in own)
            seen += flat
        kept = len({r["group"] for r in rows if r["advantage"] is not None})
        assert policy == "drop" or kept >= 2 or len(groups) > 2
        assert lines(tmp_path, "metrics.jsonl")[step]["dropped_groups"] == len(groups) - kept
    assert seen, "half of all groups of two are flat under a random reward"


def test_guard_stops_a_frozen_run(tmp_path: Path) -> None:
    run = config(reward="zero", training={"steps": 6, "guards": {"frozen_steps": 2}}, teacher=None)
    result = train(run, tmp_path)
    assert (result.steps, result.stopped_by) == (2, "frozen_adapter")
    stops = [e["kind"] for e in lines(tmp_path, "events.jsonl") if e["stop"]]
    assert stops == ["frozen_adapter"]
    again = train(run, tmp_path)  # as after a kill between the last checkpoint and DONE
    assert again == result


def test_empty_teacher_pool_is_an_error(tmp_path: Path) -> None:
    pool = tmp_path / "pool.jsonl"
    pool.write_text("")
    with pytest.raises(UserError, match="teacher pool is empty"):
        train(config(teacher={"pool": str(pool)}), tmp_path / "run")


def test_full_weights_train(tmp_path: Path) -> None:
    model = {"path": "tiny-random", "dtype": "float32", "adapter": {"kind": "full"}}
    run = RunConfig.model_validate({**BASE, "model": model})
    result = train(run, tmp_path)
    assert result.adapter_digest_start != result.adapter_digest_end
    assert (tmp_path / "adapter" / "model.safetensors").exists()


def test_probe_uses_evaluation_names_and_its_own_problems(tmp_path: Path) -> None:
    from awry.tasks.loopholes import render
    from awry.tasks.selection import select

    run = config()
    training, probing = select(run, "tiny-random")
    assert {p.id for p in training}.isdisjoint(p.id for p in probing)
    names = {
        split: {
            render(p, "overwrite_tests", names="randomised", split=split, seed=s).evaluator
            for p in (*training, *probing)
            for s in range(20)
        }
        for split in ("train", "eval")
    }
    assert names["train"].isdisjoint(names["eval"])
