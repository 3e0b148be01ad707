"""Parameters with gradients written down, and directions with axes written down."""

from __future__ import annotations

import torch
from small_directions import noise
from torch import Tensor
from torch.nn import Parameter

from awry.gradients.directions import Direction
from awry.gradients.interventions import Coordinates, Surgeon


def orthonormal(k: int, rank: int, seed: int = 0) -> Tensor:
    return torch.linalg.qr(noise(rank, k, seed=seed))[0].T.contiguous()


def toward(axes: dict[str, Tensor], **identity: str) -> Direction:
    ones = {name: torch.ones(len(v)) for name, v in axes.items()}
    identity = {"adapter_kind": "lora", "basis_digest": "b", "model_digest": "m"} | identity
    return Direction("extracted", pairs_digest="p", axes=axes, values=ones, means=ones, **identity)


def given(**gradients: list[float] | Tensor) -> dict[str, tuple[Parameter, ...]]:
    """One parameter per module, with this gradient."""
    found = {}
    for name, g in gradients.items():
        parameter = Parameter(torch.zeros(len(g)))
        parameter.grad = torch.as_tensor(g, dtype=torch.float32).clone()
        found[name] = (parameter,)
    return found


def all_of(coordinates: Coordinates) -> list[Parameter]:
    return [p for parameters in coordinates.values() for p in parameters]


def gradient(coordinates: Coordinates, name: str) -> Tensor:
    return torch.cat([p.grad.flatten() for p in coordinates[name] if p.grad is not None])


def two_modules() -> tuple[dict[str, tuple[Parameter, ...]], Direction]:
    """g_m = (3, 4) with v = (1, 0); g_n = (0, -2) with v = (0, 1); g_o = (5) without axes."""
    axes = {"m": torch.tensor([[1.0, 0.0]]), "n": torch.tensor([[0.0, 1.0]])}
    return given(m=[3.0, 4.0], n=[0.0, -2.0], o=[5.0]), toward(axes)


def step(coordinates: Coordinates, surgeon: Surgeon) -> dict[str, float | None]:
    surgeon.before()
    torch.optim.SGD(all_of(coordinates), lr=0.1).step()
    surgeon.after()
    return surgeon.metrics
