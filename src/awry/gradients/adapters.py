"""What is trained: a LoRA adapter (PEFT's) or all weights; the base policy stays reachable.

The LoRA forward is merged: `y = x W_eff^T` with `W_eff = round(W + s B A)` rebuilt once per optimizer
step from the pristine fp32 `W`, never in place; the backward is LoRA's own,
`dB = s g^T (x A^T)`, `dA = s (g B)^T x`, `dx = g W_eff`. Sampling and training then run on the same
weights, and the adapter's branch costs nothing forward. Where the base is only known on a bf16 grid
rounding would swallow small updates, so PEFT's ordinary branch is used instead (`merged=False`).
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import types
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import Linear as LoraLinear
from torch import Tensor
from torch.nn import Parameter

from awry.errors import UserError
from awry.generation.packing import linear, pack
from awry.models import Policy, quiet

NAME = "default"


class _MergedLora(torch.autograd.Function):
    """x [..., I], w_eff [O, I], A [r, I], B [O, r] -> x w_eff^T [..., O]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w_eff: Tensor, a: Tensor, b: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(x, w_eff, a, b)
        ctx.scale = scale
        return F.linear(x, w_eff)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, w_eff, a, b = ctx.saved_tensors
        g = grads[0]
        gx = g @ w_eff if ctx.needs_input_grad[0] else None
        x2, g2 = x.flatten(0, -2), g.flatten(0, -2)
        # the scale goes on the narrow [N, r] products
        down = (x2 @ a.to(x.dtype).T).mul_(ctx.scale)
        up = (g2 @ b.to(x.dtype)).mul_(ctx.scale)
        return gx, None, (up.T @ x2).to(a.dtype), (g2.T @ down).to(b.dtype), None


def _merged_forward(self: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    base = self.get_base_layer()
    if self.disable_adapters:
        return F.linear(x, base.weight, base.bias)
    w_eff: Tensor = self.awry_merged
    if torch.is_grad_enabled():
        a, b = self.lora_A[NAME].weight, self.lora_B[NAME].weight
        y = _MergedLora.apply(x, w_eff, a, b, self.scaling[NAME])
    else:
        y = linear(x, w_eff, self.awry_packed)
    return y if base.bias is None else y + base.bias


@dataclass
class Adapter:
    """The trainable part of a policy. Call `refresh()` after every change of `parameters`."""

    policy: Policy
    kind: str
    parameters: dict[str, Parameter]
    merged: bool
    peft: PeftModel | None = None
    base: Any = None  # frozen copy of the base policy, for `full`
    _master: Mapping[str, Tensor] = field(default_factory=dict)

    @torch.no_grad()
    def refresh(self) -> None:
        """Rebuild the merged weights from the pristine base and the adapter, in full precision."""
        if not self.merged:
            return
        for name, layer in self._lora_layers():
            a, b = layer.lora_A[NAME].weight, layer.lora_B[NAME].weight
            total = torch.addmm(self._master[name], b, a, alpha=layer.scaling[NAME])
            layer.awry_merged.copy_(total)
            layer.awry_packed = pack(layer.awry_merged)

    @contextlib.contextmanager
    def reference(self) -> Iterator[Any]:
        """The model as it was before training: the adapter disabled, or the frozen copy."""
        if self.peft is not None:
            with self.peft.disable_adapter():
                yield self.policy.model
        elif self.base is not None:
            yield self.base
        else:
            raise ValueError("full training keeps no reference unless keep_reference is set")

    def digest(self) -> str:
        """sha256 over names and bytes of what is trained."""
        total = hashlib.sha256()
        for name, parameter in sorted(self.parameters.items()):
            flat = parameter.detach().cpu().contiguous().view(-1).view(torch.uint8)
            total.update(name.encode() + flat.numpy().tobytes())
        return total.hexdigest()

    def save(self, folder: Path) -> None:
        """Write in the ordinary format: a PEFT adapter, or a whole model with its tokenizer."""
        with quiet():
            if self.peft is not None:
                self.peft.save_pretrained(str(folder))
            else:
                self.policy.model.save_pretrained(folder)
                self.policy.tokenizer.save_pretrained(folder)

    def _lora_layers(self) -> Iterator[tuple[str, Any]]:
        for name, module in self.policy.model.named_modules():
            if isinstance(module, LoraLinear):
                yield name, module


def attach_lora(
    policy: Policy,
    *,
    r: int,
    alpha: float,
    targets: str | tuple[str, ...] = "all-linear",
    seed: int = 0,
    merged: bool | None = None,
) -> Adapter:
    """Put a LoRA adapter (identity at the start: B = 0) on the policy, in place.

    merged: None takes the merged forward where it is exact enough (see the module docstring).
    Raises UserError when no module has a target's name.
    """
    config = LoraConfig(
        r=r,
        lora_alpha=alpha,  # pyright: ignore[reportArgumentType]
        target_modules=targets if isinstance(targets, str) else list(targets),
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # PEFT 0.21 asks transformers 5.23 for an attribute by its old name
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")
        torch.manual_seed(seed)
        try:
            wrapped = get_peft_model(policy.model, config)
        except ValueError as error:
            raise UserError(
                f"no adapter could be attached: {error}",
                field="model.adapter.targets",
                value=targets,
                fix="use all-linear, or names of linear modules of this model such as q_proj",
            ) from error
    parameters = {n: p for n, p in wrapped.named_parameters() if p.requires_grad}
    for parameter in parameters.values():
        parameter.data = parameter.data.float()
    exact = policy.master is not None or policy.dtype == torch.float32
    adapter = Adapter(policy, "lora", parameters, exact if merged is None else merged, wrapped)  # pyright: ignore[reportArgumentType]
    if adapter.merged:
        master: dict[str, Tensor] = {}
        for name, layer in adapter._lora_layers():
            weight = layer.get_base_layer().weight
            known = (policy.master or {}).get(name)
            master[name] = weight.float() if known is None else known.to(weight.device)
            layer.register_buffer("awry_merged", weight.detach().clone(), persistent=False)
            layer.forward = types.MethodType(_merged_forward, layer)
        adapter._master = master
        adapter.refresh()
    return adapter


def attach_full(policy: Policy, *, keep_reference: bool) -> Adapter:
    """Train all weights. The policy must be in float32: bf16 weights swallow small updates."""
    if policy.dtype != torch.float32:
        raise UserError(
            "training all weights needs float32 weights: bfloat16 ones swallow small updates",
            field="model.dtype",
            value=str(policy.dtype).removeprefix("torch."),
            fix="set model.dtype: float32, or train an adapter (kind: lora)",
        )
    base = copy.deepcopy(policy.model) if keep_reference else None
    policy.model.requires_grad_(True)
    return Adapter(policy, "full", dict(policy.model.named_parameters()), False, base=base)
