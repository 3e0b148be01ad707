"""Packed products give the bits of plain ones."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from awry.generation.packing import ROWS, linear, pack, packed_weights


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


def small_net() -> torch.nn.Sequential:
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Linear(96, 64, bias=False), torch.nn.ReLU(), torch.nn.Linear(64, 48)
    )
    return net.to(torch.bfloat16).requires_grad_(False)


def test_frozen_layers_give_the_same_bits_while_packed_and_are_left_as_they_were() -> None:
    net, x = small_net(), torch.randn(9, 96).to(torch.bfloat16)
    expected = net(x)
    with packed_weights(net):
        assert "forward" in vars(net[0])
        assert "forward" not in vars(net[2]), "one with a bias is left alone"
        assert torch.equal(net(x), expected)
    assert "forward" not in vars(net[0])
    assert torch.equal(net(x), expected)


def test_a_changed_weight_is_packed_anew() -> None:
    net, x = small_net(), torch.randn(3, 96).to(torch.bfloat16)
    with packed_weights(net):
        net(x)
    with torch.no_grad():
        net[0].weight.mul_(2)
    expected = net(x)
    with packed_weights(net):
        assert torch.equal(net(x), expected)
    net[0].weight = torch.nn.Parameter(-net[0].weight, requires_grad=False)
    expected = net(x)
    with packed_weights(net):
        assert torch.equal(net(x), expected)


def test_what_is_trained_is_not_packed() -> None:
    net = small_net().requires_grad_(True)
    with packed_weights(net):
        assert "forward" not in vars(net[0])
        assert net(torch.randn(2, 96).to(torch.bfloat16)).requires_grad
