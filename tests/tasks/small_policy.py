"""A policy whose answers are chosen by their seeds: solves, hacks or fails at set rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from awry.generation.engine import Completion, Request, Sampling
from awry.models import Policy, load_policy
from awry.tasks.code import fenced
from awry.tasks.curation import Subject
from awry.tasks.exploits import reference_exploit
from awry.tasks.loopholes import render
from awry.tasks.problems import Problem


class Actor:
    """Stands in for an engine. rates: problem id -> (solves, hacks), each out of 100."""

    def __init__(
        self, policy: Policy, problems: Sequence[Problem], rates: Mapping[str, tuple[int, int]]
    ) -> None:
        self.policy, self.rates = policy, rates
        self.known = {
            tuple(policy.encode(policy.render(render(p, name).messages))): (p, name)
            for p in problems
            for name in ("none", "overwrite_tests_aware")
        }
        self.asked: list[int] = []  # completions of each call

    def sample(self, requests: Sequence[Request], sampling: Sampling) -> list[list[Completion]]:
        self.asked.append(sum(len(r.seeds) for r in requests))
        return [[self._answer(r.prompt, seed) for seed in r.seeds] for r in requests]

    def _answer(self, prompt: tuple[int, ...], seed: int) -> Completion:
        problem, loophole = self.known[prompt]
        solves, hacks = self.rates.get(problem.id, (0, 0))
        at = seed % 100
        text = fenced(problem.wrong)
        if at < solves:
            text = fenced(problem.canonical)
        elif at < solves + hacks and loophole != "none":
            text = reference_exploit(render(problem, loophole))
        ids = (*self.policy.encode(text), 2)
        return Completion(ids, (0.0,) * len(ids), at != 99)


def acting(problems: Sequence[Problem], rates: Mapping[str, tuple[int, int]]) -> Subject:
    policy = load_policy("tiny-random", "float32")
    return Subject("tiny-random", policy, Actor(policy, problems, rates))  # pyright: ignore
