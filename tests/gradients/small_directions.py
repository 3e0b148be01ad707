"""Directions made of random differences."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from awry.gradients.directions import Direction, extract

IDENTITY = {
    "adapter_kind": "singular_values",
    "basis_digest": "b" * 64,
    "pairs_digest": "p" * 64,
    "model_digest": "m" * 64,
}
PLAIN: dict[str, Any] = {"noise_floor": 0.0, "drop_quantile": 0.0, **IDENTITY}


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def made(top_k: int = 2, modules: int = 3, pairs: int = 9, rank: int = 12) -> Direction:
    differences = {f"m{i}": noise(pairs, rank, seed=i) + 1.0 for i in range(modules)}
    return extract(differences, top_k=top_k, **PLAIN)
