"""Packed products give the bits of plain ones."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from awry.generation.packing import ROWS, linear, pack


@pytest.mark.parametrize("rows", [1, 7, 32, ROWS, ROWS + 1])
def test_the_same_bits(rows: int) -> None:
    generator = torch.Generator().manual_seed(rows)
    w = torch.randn(96, 64, generator=generator).bfloat16()
    x = torch.randn(rows, 64, generator=generator).bfloat16()
    with torch.inference_mode():
        assert torch.equal(linear(x, w, pack(w)), F.linear(x, w))
        assert torch.equal(linear(x[:, None], w, pack(w)), F.linear(x[:, None], w))


def test_fp32_is_not_packed() -> None:
    assert pack(torch.randn(8, 8)) is None
