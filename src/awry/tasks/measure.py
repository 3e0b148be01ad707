"""What a policy can do before any training: its answers to each problem, sampled and graded.

`Examiner` is the one place where problems are sampled and graded to be counted; `measure` keeps
pass rates for `problems.tiers`, curation chooses problems by them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from awry.errors import UserError
from awry.files import atomic_write_json
from awry.generation.engine import Engine, Request, Sampling, derive
from awry.models import Policy, load_policy
from awry.sandbox.python import PythonSandbox
from awry.tasks.bands import Score
from awry.tasks.code import Grader
from awry.tasks.kinds import AnyProblem, Grading, Task, ask
from awry.tasks.labels import Label
from awry.tasks.problems import Problem

CHUNK = 8  # problems sampled and saved together: what a kill can lose


class Examiner:
    """Asks a policy each problem `samples` times under a loophole and grades the answers.

    An answer's seed is made of purpose, seed, problem and number, so it does not depend on what else
    is asked; only the rounding of a batch does (see `Engine`).
    """

    def __init__(
        self,
        policy: Policy,
        engine: Engine,
        grader: Grading,
        *,
        samples: int,
        sampling: Sampling,
        seed: int = 0,
        loophole: str = "none",
        purpose: str,
    ) -> None:
        self.policy, self.engine, self.grader = policy, engine, grader
        self.samples, self.sampling, self.seed = samples, sampling, seed
        self.loophole, self.purpose = loophole, purpose

    def examine(self, problems: Sequence[AnyProblem]) -> list[Score]:
        """One score per problem, from one call of the engine and one of the grader."""
        asked = [prompt(self.policy, p, self.loophole, self.seed) for p in problems]
        tasks = [task for task, _ in asked]
        groups = self.engine.sample(
            [Request(ids, self._seeds(task.problem)) for task, ids in asked], self.sampling
        )
        answers = [
            (task, self.policy.decode(list(c.ids)))
            for task, group in zip(tasks, groups, strict=True)
            for c in group
        ]
        verdicts = iter(self.grader.grade(answers))
        scores: list[Score] = []
        for problem, group in zip(problems, groups, strict=True):
            own = [next(verdicts) for _ in group]
            scores.append(
                Score(
                    id=problem.id,
                    digest=problem.digest,
                    samples=len(group),
                    passes=sum(v.correct for v in own),
                    hacks=sum(v.label == Label.HACK for v in own),
                    attempts=sum(v.attempted for v in own),
                    tokens=sum(len(c.ids) for c in group),
                    truncated=sum(not c.finished for c in group),
                )
            )
        return scores

    def _seeds(self, problem: AnyProblem) -> tuple[int, ...]:
        return tuple(derive(self.purpose, self.seed, problem.id, i) for i in range(self.samples))


def prompt(
    policy: Policy, problem: AnyProblem, loophole: str, seed: int
) -> tuple[Task, tuple[int, ...]]:
    """The task that an examined policy gets, and its prompt's tokens."""
    task = ask(problem, loophole, names="fixed", split="train", seed=seed)
    return task, tuple(policy.encode(policy.render(task.messages)))


def open_engine(policy: Policy) -> Engine:
    """A sampler of this policy. Raises UserError for an architecture that is not supported."""
    try:
        return Engine(policy.model, policy.stop_ids)
    except ValueError as error:
        raise UserError(
            f"this architecture is not supported yet: {error}",
            field="--model",
            value=policy.name,
            fix="use a decoder with plain full attention (Llama, Qwen2, Qwen3, SmolLM, Mistral)",
        ) from error


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
    engine = open_engine(policy)
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
        examiner = Examiner(
            policy,
            engine,
            Grader(sandbox),
            samples=samples,
            sampling=sampling,
            seed=seed,
            purpose="measure",
        )
        for start in range(0, len(todo), CHUNK):
            progress(len(problems) - len(todo) + start, len(problems))
            for score in examiner.examine(todo[start : start + CHUNK]):
                row["passes"][score.id] = [score.passes, samples]
                row["problem_digests"][score.id] = score.digest
            everything[policy.digests.weights] = row
            atomic_write_json(output, everything)
    progress(len(problems), len(problems))
    return row


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(
            f"is not JSON: {error}", file=path, field="--output", fix="give another file"
        ) from error
