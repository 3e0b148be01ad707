"""Packed rows give the log-probabilities and gradients of one row per completion."""

from __future__ import annotations

import torch

from awry.generation.engine import Engine, Request, Sampling
from awry.gradients.adapters import attach_lora
from awry.models import load_policy
from awry.training.grpo import micro_batches
from awry.training.logprobs import TOKENS, batches, packed_logprobs
from awry.training.rollouts import Rollout


def test_groups_in_one_row_equal_single_rows() -> None:
    torch.set_num_threads(1)
    policy = load_policy("tiny-random", "float32")
    adapter = attach_lora(policy, r=4, alpha=8, seed=1)
    with torch.no_grad():
        for parameter in adapter.parameters.values():
            parameter.add_(0.02)
    adapter.refresh()
    texts = [policy.render([{"role": "user", "content": t}]) for t in ("a", "bcd", "efghij")]
    prompts = [tuple(policy.encode(text)) for text in texts]
    requests = [Request(p, tuple(range(n))) for p, n in zip(prompts, (3, 1, 2), strict=True)]
    sampled = Engine(policy.model, policy.stop_ids).sample(requests, Sampling(20, 0.9))
    groups = [(p, [c.ids for c in g]) for p, g in zip(prompts, sampled, strict=True)]

    packed = packed_logprobs(policy.model, groups, 0.9)
    weights = torch.randn(len(packed), generator=torch.Generator().manual_seed(0))
    fast = torch.autograd.grad((packed * weights).sum(), list(adapter.parameters.values()))

    rows = []
    for prompt, completions in groups:
        for ids in completions:
            logits = policy.model(torch.tensor([[*prompt, *ids]])).logits[0, len(prompt) - 1 : -1]
            logprobs = (logits / 0.9).log_softmax(-1)
            rows.append(logprobs.gather(-1, torch.tensor(ids)[:, None])[:, 0])
    single = torch.cat(rows)
    slow = torch.autograd.grad((single * weights).sum(), list(adapter.parameters.values()))
    assert torch.allclose(packed, single, atol=1e-5)
    for a, b in zip(fast, slow, strict=True):
        assert torch.allclose(a, b, atol=1e-4 * float(b.abs().max()) + 1e-7)


def test_micro_batches_keep_groups_whole_and_bounded() -> None:
    def rollout(group: int, tokens: int) -> Rollout:
        return Rollout(group, 0, None, False, None, "", (1,) * 100, "", (2,) * tokens, None, True)  # pyright: ignore[reportArgumentType]

    rollouts = [
        rollout(g, n) for g, n in ((0, 50), (0, 50), (1, 500), (2, 900), (3, 10), (3, 2000))
    ]
    batches = micro_batches(rollouts)
    assert [[rows[0].group for rows in batch] for batch in batches] == [[0, 1], [2], [3]]
    assert sorted(id(r) for b in batches for rows in b for r in rows) == sorted(map(id, rollouts))
    for batch in batches[:2]:
        assert sum(100 + sum(len(r.ids) for r in rows) for rows in batch) <= TOKENS


def test_batches_are_cut_where_they_would_be_too_long() -> None:
    sizes = [400, 500, 200, TOKENS + 50, 10, TOKENS - 10, 1]
    assert batches(sizes) == [[0, 1], [2], [3], [4, 5], [6]]
    assert batches([]) == []
