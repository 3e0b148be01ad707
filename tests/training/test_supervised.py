"""Supervised training: the solutions' own likelihood, beside answers that are only looked at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch

from awry.errors import UserError
from awry.experiments.spec import RunConfig, experiment
from awry.models import load_policy
from awry.tasks.kinds import ask, solution
from awry.training.loop import train


def run(**training: Any) -> RunConfig:
    document = {
        "name": "small",
        "model": {"path": "tiny-random", "dtype": "float32", "adapter": {"kind": "full"}},
        "problems": {"limit": 2},
        "loophole": {"name": "none"},
        "probe": None,
        "teacher": None,
        "training": {
            "method": "supervised",
            "steps": 1,
            "problems_per_step": 2,
            "group_size": 2,
            "max_new_tokens": 4,
            "temperature": 0.5,
            "max_grad_norm": None,
            **training,
        },
        "arms": {"warmup": {}},
    }
    return experiment(document).runs()[0]


def rows(directory: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / name).read_text().splitlines()]


def nll(prompt: list[int], answer: list[int]) -> torch.Tensor:
    """Of an answer's tokens, plainly: one row, no cache, no packing."""
    model = load_policy("tiny-random", "float32").model.requires_grad_(True)
    logits = model(input_ids=torch.tensor([[*prompt, *answer]])).logits[0, len(prompt) - 1 : -1]
    return torch.nn.functional.cross_entropy(logits, torch.tensor(answer), reduction="sum"), model  # pyright: ignore[reportReturnType]


def test_a_step_follows_the_gradient_of_the_solutions_likelihood(tmp_path: Path) -> None:
    config = run(problems_per_step=1)
    train(config, tmp_path)
    (file,) = (tmp_path / "rollouts").glob("*.parquet")
    (shown,) = [r for r in pq.read_table(file).to_pylist() if r["teacher"]]
    (answered,) = [r for r in pq.read_table(file).to_pylist() if not r["teacher"]]
    assert (shown["advantage"], answered["advantage"]) == (1.0, None)
    assert (shown["label"], shown["style"]) == ("correct", "solution")
    loss, model = nll(shown["prompt_ids"], shown["completion_ids"])  # pyright: ignore[reportGeneralTypeIssues]
    (loss / config.training.max_new_tokens).backward()  # one sample, as dr_grpo sums
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in grads]))
    (metrics,) = rows(tmp_path, "metrics.jsonl")
    assert metrics["grad_norm"] == pytest.approx(float(norm), rel=1e-4)
    assert metrics["n_student"] == metrics["n_teacher"] == 1


def test_the_solutions_become_likelier(tmp_path: Path) -> None:
    config = run(steps=12, lr=3e-3)
    train(config, tmp_path / "run")
    before, after = [
        load_policy(p, "float32") for p in ("tiny-random", str(tmp_path / "run/adapter"))
    ]
    from awry.tasks.selection import select

    for problem in select(config, "tiny-random")[0]:
        task = ask(problem, "none")
        ids, answer = before.encode(before.render(task.messages)), before.encode(solution(task))
        likelihoods = []
        for policy in (before, after):
            with torch.inference_mode():
                out = policy.model(input_ids=torch.tensor([[*ids, *answer]])).logits[0]
            own = out[len(ids) - 1 : -1].log_softmax(-1)[range(len(answer)), answer]
            likelihoods.append(float(own.mean()))
        assert likelihoods[1] > likelihoods[0] + 1.0


def test_a_teacher_of_hacks_has_no_place_in_it() -> None:
    document = {
        "name": "small",
        "training": {"method": "supervised"},
        "teacher": {"share": 0.25},
        "arms": {"a": {}},
    }
    with pytest.raises(UserError, match="groups that a reward compares"):
        experiment(document)
