"""Linear layers with weights already in the layout oneDNN computes in: faster decoding on CPUs.

With few rows a plain bf16 product spends a third of its time reordering the weights on every call;
packed once per optimizer step they are read as they are. The results are the same bits (tested).
Elsewhere (GPU, fp32, a torch build without oneDNN) nothing is packed and the plain product is used.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROWS = 128  # with more rows than this the reordering is lost in the product


def pack(weight: Tensor) -> Tensor | None:
    """`weight` [O, I] in oneDNN's own layout, or None where that does not exist or pay."""
    if weight.device.type != "cpu" or weight.dtype != torch.bfloat16:
        return None
    if not torch.backends.mkldnn.is_available() or not hasattr(
        torch.ops.mkldnn, "_reorder_linear_weight"
    ):
        return None
    return torch.ops.mkldnn._reorder_linear_weight(weight.detach(), 32)


def linear(x: Tensor, weight: Tensor, packed: Tensor | None) -> Tensor:
    """x [..., I] times weight^T -> [..., O], without gradients."""
    if packed is None or x.numel() > ROWS * x.shape[-1]:
        return F.linear(x, weight)
    return torch.ops.mkldnn._linear_pointwise(x, packed, None, "none", [], "")


@contextlib.contextmanager
def packed_weights(model: nn.Module) -> Iterator[None]:
    """Within it the model's own frozen linear layers compute with packed weights, for sampling.

    A layer is packed when it is first called and packed anew once its weight has changed.
    """
    layers = [
        m
        for m in model.modules()
        if type(m) is nn.Linear
        and m.bias is None
        and not (m.weight.requires_grad or m.weight.is_inference())  # no version: cannot be watched
        and m.weight.dtype == torch.bfloat16
        and m.weight.device.type == "cpu"
        and "forward" not in vars(m)
    ]
    for layer in layers:
        layer.forward = _Forward(layer)  # pyright: ignore[reportAttributeAccessIssue]
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


class _Forward:
    def __init__(self, layer: nn.Linear) -> None:
        self.layer = layer

    def __call__(self, x: Tensor) -> Tensor:
        layer, weight = self.layer, self.layer.weight
        if x.numel() > ROWS * x.shape[-1]:
            return F.linear(x, weight)
        state = (weight.data_ptr(), weight._version)
        held: tuple[tuple[int, int], Tensor | None] | None = vars(layer).get("awry_weight")
        if held is None or held[0] != state:
            held = (state, pack(weight))
            vars(layer)["awry_weight"] = held
        return linear(x, weight, held[1])
