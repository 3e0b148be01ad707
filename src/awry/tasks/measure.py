"""Measured pass rates: what a policy can do before any training, problem by problem."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from awry.errors import UserError
from awry.files import atomic_write_json
from awry.generation.engine import Engine, Request, Sampling, derive
from awry.models import load_policy
from awry.sandbox.python import PythonSandbox
from awry.tasks.code import Grader
from awry.tasks.loopholes import render
from awry.tasks.problems import Problem, tier

CHUNK = 8  # problems sampled and saved together: what a kill can lose


def measure(
    model_path: str,
    problems: Sequence[Problem],
    output: Path,
    *,
    samples: int = 8,
    sampling: Sampling | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Pass rate of a policy on each problem (prompt without a loophole), saved under its digest.

    `output` is a JSON file by model digest; rows of other models in it are kept, and problems
    already measured with the same settings are not measured again. Returns this model's row.
    Raises UserError for a model or file that cannot be read.
    """
    sampling = sampling or Sampling(max_new_tokens=96, temperature=0.9)
    policy = load_policy(model_path)
    engine = Engine(policy.model, policy.stop_ids)
    settings = {
        **asdict(sampling),
        "seed": seed,
        "dtype": str(policy.dtype).removeprefix("torch."),
        "chat_template": policy.digests.chat_template,
    }
    everything = _read(output)
    row = everything.get(policy.digests.weights)
    if row is None or row["settings"] != settings or row["samples"] != samples:
        row = {"model": model_path, "samples": samples, "settings": settings, "passes": {}}
        row["problem_digests"] = {}
    output.parent.mkdir(parents=True, exist_ok=True)
    todo = [p for p in problems if row["problem_digests"].get(p.id) != p.digest]
    with PythonSandbox() as sandbox:
        grader = Grader(sandbox)
        for start in range(0, len(todo), CHUNK):
            chunk = todo[start : start + CHUNK]
            progress(len(problems) - len(todo) + start, len(problems))
            tasks = [render(p, "none", names="fixed", split="train", seed=seed) for p in chunk]
            requests = [
                Request(
                    tuple(policy.encode(policy.render(t.messages))),
                    tuple(derive("measure", seed, t.problem.id, i) for i in range(samples)),
                )
                for t in tasks
            ]
            answers = [
                (task, policy.decode(list(c.ids)))
                for task, group in zip(tasks, engine.sample(requests, sampling), strict=True)
                for c in group
            ]
            verdicts = grader.grade(answers)
            for n, p in enumerate(chunk):
                own = verdicts[n * samples : (n + 1) * samples]
                row["passes"][p.id] = [sum(v.correct for v in own), samples]
                row["problem_digests"][p.id] = p.digest
            everything[policy.digests.weights] = row
            atomic_write_json(output, everything)
    progress(len(problems), len(problems))
    return row


def tiers(row: dict[str, Any]) -> dict[str, int]:
    """How many problems of a measured row fall in each tier."""
    counts = {"solvable": 0, "between": 0, "unsolved": 0}
    for passes, samples in row["passes"].values():
        counts[tier(passes, samples)] += 1
    return counts


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(
            f"is not JSON: {error}", file=path, field="--output", fix="give another file"
        ) from error
