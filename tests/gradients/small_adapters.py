"""Adapters on the tiny random model, away from their start by the same amounts everywhere."""

from __future__ import annotations

import torch
from torch import Tensor

from awry.gradients.adapters import Adapter, attach_lora, attach_singular_values
from awry.models import load_policy

KINDS = ("singular_values", "lora")
IDS = torch.arange(3, 43).view(2, 20)


def attached(
    kind: str,
    *,
    merged: bool | None = None,
    dtype: str = "float32",
    by: float = 0.05,
    targets: str | tuple[str, ...] = "all-linear",
    r: int | None = None,
) -> Adapter:
    """by: how far every trained number is from its start (standard deviation); 0 leaves it there."""
    policy = load_policy("tiny-random", dtype, keep_master=True)
    if kind == "lora":
        adapter = attach_lora(policy, r=r or 4, alpha=8, targets=targets, seed=1, merged=merged)
    else:
        adapter = attach_singular_values(policy, r=r, targets=targets, merged=merged)
    if by:
        move(adapter, by)
    return adapter


def move(adapter: Adapter, by: float = 0.05, seed: int = 0) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, parameter in sorted(adapter.parameters.items()):
            parameter.add_(torch.randn(parameter.shape, generator=generator) * by)
    adapter.refresh()


def loss_of(logits: Tensor) -> Tensor:
    """Some loss in which every token has a different say."""
    weights = torch.linspace(-1, 2, logits.shape[0] * logits.shape[1]).view(logits.shape[:2])
    return (logits.float().log_softmax(-1)[..., 7] * weights).sum()


def gradients(adapter: Adapter) -> dict[str, Tensor]:
    found = torch.autograd.grad(
        loss_of(adapter.policy.model(IDS).logits), list(adapter.parameters.values())
    )
    return dict(zip(adapter.parameters, found, strict=True))


def coordinates_of(adapter: Adapter) -> dict[str, Tensor]:
    """module -> its .grad in the order of its coordinates."""
    return {
        name: torch.cat([p.grad.flatten() for p in ps if p.grad is not None])
        for name, ps in adapter.modules.items()
    }


def distance(found: Tensor, expected: Tensor) -> float:
    """|found - expected| / |expected|."""
    gap = (found.detach() - expected.detach()).norm()
    return float(gap / expected.detach().norm().clamp(min=1e-12))
