"""The step that the adapter benchmarks share: the embedded model on four problems of the catalogue."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable

import torch

from awry.experiments.spec import TrainingConfig
from awry.generation.engine import Engine, Request, Sampling
from awry.gradients.adapters import Adapter
from awry.models import Policy, load_policy
from awry.tasks.loopholes import render
from awry.tasks.problems import load_catalog
from awry.training.objective import group_advantages
from awry.training.rollouts import Rollout

PROBLEMS, GROUP, TOKENS = 4, 8, 48  # 48: a usual length of completions in training
MACHINE = platform.processor() or platform.machine()


def policy(dtype: str = "bfloat16") -> Policy:
    return load_policy("embedded", dtype, keep_master=True)


def sampler(own: Policy) -> Engine:
    """An engine with which nothing ends early, so that every side does the same work."""
    engine = Engine(own.model, own.stop_ids)
    engine.stop = torch.tensor([own.tokenizer.vocab_size + 1])
    return engine


def rollouts(own: Policy, engine: Engine, seed: int = 0) -> list[Rollout]:
    """One step's rollouts with made-up rewards that vary in every group."""
    hard = [p for p in load_catalog() if p.difficulty == "hard"][:PROBLEMS]
    tasks = [render(p, "overwrite_tests_aware") for p in hard]
    prompts = [tuple(own.encode(own.render(t.messages))) for t in tasks]
    requests = [
        Request(p, tuple(1000 * seed + 10 * g + i for i in range(GROUP)))
        for g, p in enumerate(prompts)
    ]
    groups = engine.sample(requests, Sampling(TOKENS, 0.9))
    rewards = torch.arange(PROBLEMS * GROUP, dtype=torch.float64).remainder(3).view(-1, GROUP)
    advantages = group_advantages(rewards, "dr_grpo").flatten().tolist()
    return [
        Rollout(
            i // GROUP, i % GROUP, tasks[i // GROUP], False, None, "", prompts[i // GROUP],
            "", c.ids, c.logprobs, c.finished, None, 0.0, advantages[i],
        )
        for i, c in enumerate(c for group in groups for c in group)
    ]  # fmt: skip


def training() -> TrainingConfig:
    return TrainingConfig(steps=100, max_new_tokens=TOKENS, group_size=GROUP, lr=1e-3)


def optimizer(adapter: Adapter) -> torch.optim.Optimizer:
    return torch.optim.AdamW(list(adapter.parameters.values()), lr=1e-3, weight_decay=0.0)


def interleaved(sides: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of every side in every round, after one that is not counted; sides take turns, so
    that what else the machine does meets all of them."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for i in range(rounds + 1):
        for name, run in sides.items():
            start = time.perf_counter()
            run()
            if i:
                seconds[name].append(time.perf_counter() - start)
    return seconds
