"""Linear layers with weights already in the layout oneDNN computes in: faster decoding on CPUs.

With few rows a plain bf16 product spends a third of its time reordering the weights on every call;
packed once per optimizer step they are read as they are. The results are the same bits (tested).
Elsewhere (GPU, fp32, a torch build without oneDNN) nothing is packed and the plain product is used.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

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
