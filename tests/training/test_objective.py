"""Advantages and losses against loops that follow the papers' sums term by term."""

from __future__ import annotations

import math

import pytest
import torch

from awry.training.logprobs import CHUNK, linear_logprobs
from awry.training.objective import group_advantages, k3, reduce_loss, token_loss


def slow_advantages(rewards: list[float], loss: str) -> list[float]:
    known = [r for r in rewards if not math.isnan(r)]
    mean = sum(known) / len(known)
    std = math.sqrt(sum((r - mean) ** 2 for r in known) / max(len(known) - 1, 1))
    out = []
    for r in rewards:
        a = 0.0 if math.isnan(r) else r - mean
        out.append(a / (std + 1e-4) if loss == "grpo" else a)
    return out


@pytest.mark.parametrize("loss", ["grpo", "dr_grpo"])
def test_advantages(loss: str) -> None:
    groups = [[3.5, 0.5, 0.0, 0.5], [1.0, 1.0, 1.0, 1.0], [0.0, math.nan, 3.0, math.nan]]
    got = group_advantages(torch.tensor(groups, dtype=torch.float64), loss)
    expected = [slow_advantages(group, loss) for group in groups]
    assert torch.allclose(got, torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("loss", ["grpo", "dr_grpo"])
@pytest.mark.parametrize("beta", [0.0, 0.1])
def test_loss_is_the_sum_in_the_paper(loss: str, beta: float) -> None:
    generator = torch.Generator().manual_seed(0)
    lengths = [3, 1, 5]
    new, old, ref = (-torch.rand(9, generator=generator) * 2 for _ in range(3))
    advantage = [1.5, -0.5, -1.0]
    spread = torch.cat([torch.full((n,), a) for n, a in zip(lengths, advantage, strict=True)])
    tokens = token_loss(new, old, spread, clip_low=0.2, clip_high=0.3, beta=beta, reference=ref)
    got = reduce_loss(tokens.loss, lengths, loss=loss, samples=4, max_new_tokens=8)

    total, at, clipped = 0.0, 0, 0
    for n, a in zip(lengths, advantage, strict=True):
        inner = 0.0
        for t in range(at, at + n):
            ratio = math.exp(new[t] - old[t])
            bounded = min(max(ratio, 0.8), 1.3)
            clipped += (a > 0 and ratio > 1.3) or (a < 0 and ratio < 0.8)
            gap = float(ref[t] - new[t])
            inner += -min(ratio * a, bounded * a) + beta * (math.exp(gap) - gap - 1)
        total += inner / (n if loss == "grpo" else 8)
        at += n
    assert got.item() == pytest.approx(total / 4, rel=1e-5)
    assert int(tokens.clipped.sum()) == clipped > 0


def test_micro_batches_add_up() -> None:
    tokens = torch.arange(6.0)
    for loss in ("grpo", "dr_grpo"):
        whole = reduce_loss(tokens, [2, 4], loss=loss, samples=2, max_new_tokens=4)
        parts = [
            reduce_loss(part, [len(part)], loss=loss, samples=2, max_new_tokens=4)
            for part in tokens.split([2, 4])
        ]
        assert whole.item() == pytest.approx(float(sum(parts)))


def test_k3_is_zero_at_the_reference_and_estimates_kl() -> None:
    p, q = torch.tensor([0.7, 0.2, 0.1]), torch.tensor([0.5, 0.25, 0.25])
    assert k3(p.log(), p.log()).abs().max() == 0
    exact = float((p * (p / q).log()).sum())
    assert float((p * k3(p.log(), q.log())).sum()) == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize("tokens", [5, CHUNK + 3])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_linear_logprobs_match_autograd(tokens: int, temperature: float) -> None:
    generator = torch.Generator().manual_seed(0)
    h = torch.randn(tokens, 16, generator=generator, requires_grad=True)
    w = torch.randn(40, 16, generator=generator, requires_grad=True)
    targets = torch.randint(0, 40, (tokens,), generator=generator)
    weights = torch.randn(tokens, generator=generator)
    got = linear_logprobs(h, w, targets, temperature)
    fast = torch.autograd.grad((got * weights).sum(), (h, w))
    plain = ((h @ w.T) / temperature).log_softmax(-1).gather(-1, targets[:, None])[:, 0]
    slow = torch.autograd.grad((plain * weights).sum(), (h, w))
    assert torch.allclose(got, plain, atol=1e-5)
    for a, b in zip(fast, slow, strict=True):
        assert torch.allclose(a, b, atol=1e-4)
