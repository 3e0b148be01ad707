"""Answers of several policies side by side, graded: models by name, and runs by directory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from awry.errors import UserError, spelling_fix
from awry.experiments.policies import open_subject
from awry.generation.engine import Request, Sampling, derive
from awry.tasks.kinds import AnyProblem, ask, kind_of, load_any, open_grader

A_FEW = 3


def sample(
    policies: Sequence[str],
    *,
    source: str = "catalog",
    problems: Sequence[str] = (),
    loophole: str = "none",
    n: int = 1,
    max_new_tokens: int = 128,
    temperature: float = 0.9,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Rows {policy, problem_id, evaluator, label, completion, evidence}, by problem, then policy.

    Evaluator names are those of the evaluation split. Raises UserError for unknown names.
    """
    chosen = _problems(source, problems)
    tasks = [ask(p, loophole, names="randomised", split="eval", seed=seed) for p in chosen]
    answers: list[tuple[int, str, Any, str]] = []
    for name in policies:
        subject = open_subject(name)
        policy = subject.policy
        requests = [
            Request(
                tuple(policy.encode(policy.render(task.messages))),
                tuple(derive(seed, "show", task.problem.id, i) for i in range(n)),
            )
            for task in tasks
        ]
        sampled = subject.engine.sample(requests, Sampling(max_new_tokens, temperature))
        answers += [
            (at, name, task, policy.decode(list(c.ids)))
            for at, (task, group) in enumerate(zip(tasks, sampled, strict=True))
            for c in group
        ]
    answers.sort(key=lambda answer: answer[0])
    with open_grader(kind_of(chosen)) as grader:
        verdicts = grader.grade([(task, text) for _, _, task, text in answers])
    return [
        {
            "policy": name,
            "problem_id": task.problem.id,
            "evaluator": task.evaluator,
            "label": str(verdict.label),
            "completion": text,
            "evidence": verdict.evidence,
        }
        for (_, name, task, text), verdict in zip(answers, verdicts, strict=True)
    ]


def _problems(source: str, names: Sequence[str]) -> list[AnyProblem]:
    catalog = {p.id: p for p in load_any(source)}
    for name in names:
        if name not in catalog:
            raise UserError(
                "no such problem",
                field="--problem",
                value=name,
                fix=spelling_fix(name, catalog, "list them with: awry problems list"),
            )
    return [catalog[name] for name in names] or list(catalog.values())[:A_FEW]
