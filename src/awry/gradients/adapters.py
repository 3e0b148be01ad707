"""What is trained: a LoRA adapter, a singular-value adapter or all weights; the base stays reachable.

The forward is merged where that is exact enough: `y = x W_eff^T`, with `W_eff` rebuilt once per
optimizer step from the pristine fp32 `W`, never in place. The backward is the adapter's own; for
LoRA `dB = s g^T (x A^T)`, `dA = s (g B)^T x`, `dx = g W_eff`. Sampling and training then run on the
same weights, and the adapter's branch costs nothing forward. Where the base is only known on a bf16
grid rounding would swallow small updates, so the branch is computed beside it (`merged=False`).
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
from peft.config import PeftConfig
from peft.tuners.lora import Linear as LoraLinear
from torch import Tensor, nn
from torch.nn import Parameter

from awry.errors import UserError
from awry.generation.packing import linear, pack
from awry.gradients import singular
from awry.gradients.per_sample import Recorder
from awry.gradients.singular import SingularValueConfig, original_weights, weight_digest
from awry.models import Policy, quiet

NAME = "default"


class _Lora(torch.autograd.Function):
    """x [..., I], weight [O, I] (W_eff when merged, else W), A [r, I], B [O, r] -> [..., O]."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        a: Tensor,
        b: Tensor,
        scale: float,
        merged: bool,
        recording: tuple[Recorder, str] | None,
    ) -> Tensor:
        ctx.save_for_backward(x, weight, a, b)
        ctx.scale, ctx.merged, ctx.recording = scale, merged, recording
        y = F.linear(x, weight)
        if not merged:
            y = y + (F.linear(F.linear(x.to(a.dtype), a), b) * scale).to(y.dtype)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, a, b = ctx.saved_tensors
        g = grads[0]
        # a branch works in its own precision, a merged layer in the model's
        exact = x.dtype if ctx.merged else a.dtype
        x2 = x.reshape(-1, x.shape[-1]).to(exact)
        g2 = g.reshape(-1, g.shape[-1]).to(exact)
        # the scale goes on the narrow [N, r] products
        down = (x2 @ a.to(exact).T).mul_(ctx.scale)
        up = (g2 @ b.to(exact)).mul_(ctx.scale)
        gx = None
        if ctx.needs_input_grad[0]:
            gx = g @ weight.to(g.dtype)  # they differ under autocast
            if not ctx.merged:
                gx = gx + (up @ a.to(exact)).view_as(gx).to(gx.dtype)
            gx = gx.to(x.dtype)
        recorder, name = ctx.recording or (None, "")
        if recorder is not None and recorder.active:
            ga, gb = recorder.low_rank(name, x2, g2, down, up)
        else:
            ga, gb = up.T @ x2, g2.T @ down
        return gx, None, ga.to(a.dtype), gb.to(b.dtype), None, None, None


def _lora_forward(self: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    base = self.get_base_layer()
    if list(self.active_adapters) != [NAME]:  # such as the copy that TRL keeps as its reference
        return type(self).forward(self, x, *args, **kwargs)
    if self.disable_adapters or self.merged:
        return F.linear(x, base.weight, base.bias)
    merged = self.awry_merged is not None
    if torch.is_grad_enabled() or not merged:
        weight = self.awry_merged if merged else base.weight
        a, b = self.lora_A[NAME].weight, self.lora_B[NAME].weight
        recording = None if self.recorder is None else (self.recorder, self.module_name)
        y = _Lora.apply(x, weight, a, b, self.scaling[NAME], merged, recording)
    else:
        y = linear(x, self.awry_merged, self.awry_packed)
    return y if base.bias is None else y + base.bias  # pyright: ignore[reportOptionalOperand]


@dataclass
class Adapter:
    """The trainable part of a policy. Call `refresh()` after every change of `parameters`.

    modules: for each adapted module the parameters whose gradients, flattened in this order, are
    its coordinates. basis_digest: what these coordinates mean; None without adapted modules.
    """

    policy: Policy
    kind: str
    parameters: dict[str, Parameter]
    merged: bool
    peft: PeftModel | None = None
    base: Any = None  # frozen copy of the base policy, for `full`
    modules: Mapping[str, tuple[Parameter, ...]] = field(default_factory=dict)
    basis_digest: str | None = None
    _master: Mapping[str, Tensor] = field(default_factory=dict)

    @torch.no_grad()
    def refresh(self) -> None:
        """Rebuild the merged weights from the pristine base and the adapter, in full precision."""
        if not self.merged:
            return
        for layer in singular.layers_of(self.policy.model).values():
            layer.refresh(force=True)
        for name, layer in lora_layers(self.policy.model).items():
            a, b = layer.lora_A[NAME].weight, layer.lora_B[NAME].weight
            total = torch.addmm(self._master[name], b, a, alpha=layer.scaling[NAME])
            layer.awry_merged.copy_(total)
            layer.awry_packed = pack(layer.awry_merged)

    @contextlib.contextmanager
    def recording(self, recorder: Recorder) -> Iterator[None]:
        """Within it, forwards note for the backward that `recorder` may want its gradients."""
        set_recorder(self.policy.model, recorder)
        try:
            yield
        finally:
            recorder.stop()
            set_recorder(self.policy.model, None)

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
    wrapped = _wrap(policy, config, targets, seed)
    layers = lora_layers(wrapped)
    adapter = _adapter(policy, "lora", wrapped, merged)
    known = policy.master or {}
    master = {
        name: known[name] if name in known else layer.get_base_layer().weight.detach().float()
        for name, layer in layers.items()
    }
    for name, layer in layers.items():
        layer.awry_weight_digest = weight_digest(master[name])
    adapter.basis_digest = basis_of(wrapped)[1]
    for name, layer in layers.items():
        _check_plain(name, layer)
        adopt(layer)
    if adapter.merged:
        adapter._master = {
            name: weight.to(layers[name].get_base_layer().weight.device)
            for name, weight in master.items()
        }
        for layer in layers.values():
            layer.awry_merged = layer.get_base_layer().weight.detach().clone()
        adapter.refresh()
    return adapter


def attach_singular_values(
    policy: Policy,
    *,
    r: int | None = None,
    targets: str | tuple[str, ...] = "all-linear",
    merged: bool | None = None,
) -> Adapter:
    """Put a singular-value adapter (identity at the start: dS = 0) on the policy, in place.

    r: the r largest singular values of every module, or all. Raises UserError as `attach_lora`.
    """
    config = SingularValueConfig(
        r=r,
        target_modules=targets if isinstance(targets, str) else list(targets),
        task_type="CAUSAL_LM",  # pyright: ignore[reportArgumentType]
    )
    with original_weights(policy.master):
        wrapped = _wrap(policy, config, targets, seed=0)
    adapter = _adapter(policy, "singular_values", wrapped, merged)
    adapter.basis_digest = config.basis_digest
    for layer in singular.layers_of(wrapped).values():
        layer.merged_forward = adapter.merged
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


def _wrap(
    policy: Policy, config: PeftConfig, targets: str | tuple[str, ...], seed: int
) -> PeftModel:
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # PEFT 0.21 asks transformers 5.23 for an attribute by its old name
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")
        torch.manual_seed(seed)
        try:
            return get_peft_model(policy.model, config)  # pyright: ignore[reportReturnType]
        except ValueError as error:
            raise UserError(
                f"no adapter could be attached: {error}",
                field="model.adapter.targets",
                value=targets,
                fix="use all-linear, or names of linear modules of this model such as q_proj",
            ) from error


def _adapter(policy: Policy, kind: str, wrapped: PeftModel, merged: bool | None) -> Adapter:
    parameters = {n: p for n, p in wrapped.named_parameters() if p.requires_grad}
    for parameter in parameters.values():
        parameter.data = parameter.data.float()
    exact = policy.master is not None or policy.dtype == torch.float32
    return Adapter(
        policy,
        kind,
        parameters,
        exact if merged is None else merged,
        wrapped,
        modules=coordinates(wrapped),
    )


def coordinates(model: nn.Module) -> dict[str, tuple[Parameter, ...]]:
    """module -> its trained parameters in the order of its coordinates: (dS,) or (A, B).

    Raises UserError when the model has no adapter with coordinates.
    """
    found: dict[str, tuple[Parameter, ...]] = {
        name: (layer.singular_delta[NAME],)
        for name, layer in singular.layers_of(model).items()
        if NAME in layer.singular_delta
    }
    for name, layer in lora_layers(model).items():
        found[name] = (layer.lora_A[NAME].weight, layer.lora_B[NAME].weight)
    if not found:
        raise UserError(
            "the model has no LoRA or singular-value adapter, so a direction has no coordinates",
            field="model.adapter.kind",
            fix="train an adapter (kind: lora or singular_values)",
        )
    return found


def lora_layers(model: nn.Module) -> dict[str, Any]:
    """LoRA layers by the names of the modules they adapt (PEFT's own prefix left out)."""
    return {
        name.removeprefix("base_model.model."): module
        for name, module in model.named_modules()
        if isinstance(module, LoraLinear) and NAME in module.lora_A
    }


def adopt(layer: Any) -> None:
    """Give one of PEFT's LoRA layers our forward, which can record per-sample gradients."""
    layer.register_buffer("awry_merged", None, persistent=False)
    layer.awry_packed, layer.recorder, layer.module_name = None, None, ""
    layer.forward = types.MethodType(_lora_forward, layer)


def _check_plain(name: str, layer: Any) -> None:
    """Raises UserError for a LoRA layer that computes something else than our forward does."""
    found = {
        "lora_dropout": getattr(layer.lora_dropout[NAME], "p", 0) > 0,
        "use_dora or another variant": NAME in layer.lora_variant,
        "lora_bias": layer.lora_B[NAME].bias is not None,
        "several adapters active": list(layer.active_adapters) != [NAME],
        "a base that is not nn.Linear": not isinstance(layer.get_base_layer(), nn.Linear),
    }
    if any(found.values()):
        raise UserError(
            "our LoRA forward, which can record per-sample gradients, is that of plain LoRA",
            field="model.adapter",
            value=f"{name} has {', '.join(what for what, there in found.items() if there)}",
            fix="train LoRA on nn.Linear without dropout, variants and bias, or per_sample=False",
        )


def set_recorder(model: nn.Module, recorder: Recorder | None) -> None:
    """Whom adapted layers report to during a backward; None for nobody."""
    for layer in singular.layers_of(model).values():
        layer.recorder = recorder
    for name, layer in lora_layers(model).items():
        if not hasattr(layer, "awry_merged"):
            _check_plain(name, layer)
            adopt(layer)
        layer.recorder, layer.module_name = recorder, name


def basis_of(model: nn.Module) -> tuple[str, str]:
    """(adapter kind, basis digest) of a model that somebody else put an adapter on."""
    if singular.layers_of(model):
        return "singular_values", singular.basis_digest(model, NAME)
    total = hashlib.sha256()
    for name, layer in sorted(lora_layers(model).items()):
        # LoRA's coordinates mean something else for every draw of A, and drift as it is trained
        a = weight_digest(layer.lora_A[NAME].weight)
        known = getattr(
            layer, "awry_weight_digest", None
        )  # of fp32 weights the base was rounded from
        base = known or weight_digest(layer.get_base_layer().weight)
        total.update(f"{name} {layer.scaling[NAME]} {a} {base}\n".encode())
    return "lora", total.hexdigest()
