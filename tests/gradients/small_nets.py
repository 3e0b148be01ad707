"""Two linear layers with biases, and the singular-value adapter on them."""

from __future__ import annotations

from typing import Any

import torch
from peft import PeftModel, get_peft_model
from torch import nn

from awry.gradients.singular import SingularValueConfig, layers_of


class Net(nn.Module):
    """Two layers with biases, wide in one direction and in the other."""

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            self.a, self.b = nn.Linear(6, 10), nn.Linear(10, 4)
        self.to(dtype)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.b(torch.tanh(self.a(x)))


def wrapped(net: Net | None = None, **options: Any) -> PeftModel:
    options.setdefault("target_modules", ["a", "b"])
    return get_peft_model(net or Net(), SingularValueConfig(**options))  # type: ignore[return-value]


def inputs(rows: int = 5, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(rows, 6, generator=torch.Generator().manual_seed(1)).to(dtype)


def spread(model: nn.Module, adapter: str = "default", by: float = 0.3, seed: int = 0) -> None:
    generator = torch.Generator().manual_seed(seed)
    for layer in layers_of(model).values():
        if adapter in layer.singular_delta:
            d = layer.singular_delta[adapter]
            with torch.no_grad():
                d.add_(torch.randn(d.shape, generator=generator) * by)


def dense(net: Net, model: nn.Module, adapters: tuple[str, ...] = ("default",)) -> Net:
    """`net` with W + U diag(dS) V in place of W, by an SVD of its own."""
    for name, layer in layers_of(model).items():
        linear = getattr(net, name)
        u, s, v = torch.linalg.svd(linear.weight.detach().float(), full_matrices=False)
        total = torch.zeros_like(s)
        for adapter in adapters:
            d = layer.singular_delta[adapter].detach()
            total[: len(d)] += d
        linear.weight.data = ((u * (s + total)) @ v).to(linear.weight.dtype)
    return net
