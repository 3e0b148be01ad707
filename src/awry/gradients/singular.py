"""The singular-value adapter, as a PEFT method: W' = U diag(S + dS) V^T with dS trained.

dS starts at zero, so the adapter is the identity, and it lives in the coordinates of W itself: the
directions of `gradients.directions` are vectors of dS. (After SVF and AntiPaSTO's delta-S; PEFT has
none.) U and V come from an SVD cached on disk by the weight's digest; a saved adapter holds dS
alone and the digest of its basis, and refuses another base.

Two forwards compute the same: the branch `x W^T + ((x V^T) * dS) U^T`, and the merged one, `x W_eff^T`
with `W_eff = round(W + U diag(dS) V)` rebuilt from the pristine W whenever dS has changed. Both share
one backward, `dS = sum_t (U^T g_t) * (V x_t)`, which can record per-sample gradients.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from peft.config import PeftConfig
from peft.mapping import (
    PEFT_TYPE_TO_CONFIG_MAPPING,
    PEFT_TYPE_TO_PREFIX_MAPPING,
    PEFT_TYPE_TO_TUNER_MAPPING,
)
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer, check_adapters_to_merge
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from awry.errors import UserError
from awry.generation.packing import linear, pack
from awry.gradients.per_sample import Recorder, product_sum
from awry.models import cache_folder


class _MethodName(str):
    """What PEFT and transformers expect of a member of PEFT's closed enumeration of methods."""

    @property
    def value(self) -> str:
        return str(self)


PEFT_TYPE = _MethodName("AWRY_SINGULAR_VALUES")
CACHED_FROM = 1 << 16  # elements; below, an SVD is quicker than a file

_originals: ContextVar[Mapping[str, Tensor] | None] = ContextVar("originals", default=None)
_steps = 0  # of all optimizers in this process: fused ones change dS without raising its version


def _count(*_: Any) -> None:
    global _steps
    _steps += 1


register_optimizer_step_post_hook(_count)


@contextlib.contextmanager
def original_weights(weights: Mapping[str, Tensor] | None) -> Iterator[None]:
    """Within it, adapters take their bases from these fp32 weights (module name -> [O, I])
    instead of the model's own, rounded ones."""
    token = _originals.set(weights)
    try:
        yield
    finally:
        _originals.reset(token)


@dataclass
class SingularValueConfig(PeftConfig):
    """An ordinary PEFT config. r: the r largest singular values, or all of them (None)."""

    r: int | None = field(default=None)
    target_modules: list[str] | set[str] | str | None = field(default="all-linear")
    exclude_modules: list[str] | set[str] | str | None = field(default=None)
    layers_to_transform: list[int] | int | None = field(default=None)
    layers_pattern: list[str] | str | None = field(default=None)
    bias: str = field(default="none")
    modules_to_save: list[str] | None = field(default=None)
    basis_digest: str | None = field(default=None)  # filled when attached, checked when loaded

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = PEFT_TYPE  # pyright: ignore[reportAttributeAccessIssue]
        for name in ("target_modules", "exclude_modules"):
            if isinstance(value := getattr(self, name), list):
                setattr(self, name, set(value))
        if self.r is not None and self.r < 1:
            raise UserError("must be at least 1", field="r", value=self.r)
        if isinstance(self.target_modules, str) and self.layers_to_transform is not None:
            raise UserError(
                "would be passed over: PEFT reads it with a list of module names only",
                field="layers_to_transform",
                value=self.layers_to_transform,
                fix="list the modules in target_modules, such as [q_proj, v_proj]",
            )


class _SingularValues(torch.autograd.Function):
    """x [..., I], weight [O, I] (W_eff when merged, else W), u [O, R], v [R, I], total [R] -> [..., O].

    `deltas` are the trainable dS [r_a] of the active adapters; total is their padded sum. spectrum:
    S + dS [R] where the basis spans the whole input: then dx = ((g U) * (S + dS)) V, which for a tall
    layer is cheaper than g W_eff, since g U is needed anyway.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        basis: tuple[Tensor, Tensor],
        total: Tensor | None,
        spectrum: Tensor | None,
        recording: tuple[Recorder, str] | None,
        *deltas: Tensor,
    ) -> Tensor:
        u, v = basis
        ctx.save_for_backward(x, weight, u, v, total, spectrum)
        ctx.recording, ctx.ranks = recording, [len(d) for d in deltas]
        y = F.linear(x, weight)
        if total is not None:
            y = y + F.linear(F.linear(x, v) * total, u)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, u, v, total, spectrum = ctx.saved_tensors
        g = grads[0]
        # under autocast the products of both passes are in its type, the stored ones in theirs
        weight, u, v = (t.to(g.dtype) for t in (weight, u, v))
        x2, g2 = x.reshape(-1, x.shape[-1]).to(g.dtype), g.reshape(-1, g.shape[-1])
        gu, gx = g2 @ u, None
        if ctx.needs_input_grad[0] and spectrum is not None:
            gx = ((gu * spectrum.to(g.dtype)) @ v).view_as(x).to(x.dtype)
        elif ctx.needs_input_grad[0]:
            gx = g @ weight
            if total is not None:
                gx = gx + ((gu * total.to(g.dtype)) @ v).view_as(gx)
            gx = gx.to(x.dtype)
        xv = x2 @ v.T
        recorder, name = ctx.recording or (None, "")
        if recorder is not None and recorder.active:
            d = recorder.singular(name, gu, xv)
        else:
            d = product_sum(gu, xv)
        return gx, None, None, None, None, None, *(d[:r] for r in ctx.ranks)


class SingularValueLinear(nn.Module, BaseTunerLayer):
    """An adapted linear layer. The basis is shared by all adapters on it, so they differ in dS only.

    merged_forward: compute with W_eff instead of the branch. recorder, module_name: set by
    `gradients.adapters` for per-sample gradients.
    """

    adapter_layer_names = ("singular_delta",)
    other_param_names = ("singular_rank",)

    def __init__(
        self, base_layer: nn.Module, adapter_name: str, config: SingularValueConfig, name: str
    ) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.singular_delta = nn.ParameterDict({})
        self.singular_rank: dict[str, int] = {}
        self._disable_adapters = False
        self.merged_adapters: list[str] = []
        self._active_adapter = adapter_name
        self._unmerged: Tensor | None = None  # the base weight, bit for bit, while merged
        self.out_features, self.in_features = base_layer.weight.shape  # pyright: ignore
        original = (_originals.get() or {}).get(name)
        weight = base_layer.weight.detach()  # pyright: ignore
        self.master = (
            weight if original is None else original.to(weight.device)
        )  # W, as exact as known
        self.weight_digest = weight_digest(self.master)
        self.register_buffer("basis_u", None, persistent=False)  # [O, R], R the largest rank
        self.register_buffer("basis_v", None, persistent=False)  # [R, I]
        self.register_buffer("effective", None, persistent=False)  # W_eff
        self.basis_u: Tensor
        self.basis_v: Tensor
        self.effective: Tensor
        self.register_buffer("_singular_values", None, persistent=False)  # S [R] of tall layers
        self._singular_values: Tensor | None
        self._spectrum: Tensor | None = None
        self._packed: Tensor | None = None
        self._built_for: tuple[Any, ...] | None = None
        self.merged_forward = False
        self.recorder: Recorder | None = None
        self.module_name = name
        self.update_layer(adapter_name, config)

    def update_layer(self, adapter_name: str, config: SingularValueConfig) -> None:
        full = min(self.master.shape)
        rank = full if config.r is None else min(config.r, full)
        if self.basis_u is None or self.basis_u.shape[1] < rank:
            u, s, v = decompose(self.master, self.weight_digest)
            dtype, device = self.base_layer.weight.dtype, self.base_layer.weight.device  # pyright: ignore
            self.basis_u = u[:, :rank].to(device, dtype).contiguous()  # pyright: ignore
            self.basis_v = v[:rank].to(device, dtype).contiguous()  # pyright: ignore
            outputs, inputs = self.master.shape
            if outputs > inputs == rank:
                self._singular_values = s.to(device)  # pyright: ignore
        self.singular_rank[adapter_name] = rank
        zeros = torch.zeros(rank, device=self.basis_u.device)
        self.singular_delta[adapter_name] = nn.Parameter(zeros)
        self.set_adapter(self.active_adapters, inference_mode=config.inference_mode)

    def active_deltas(self) -> list[Tensor]:
        """dS [r] of every active adapter on this layer."""
        return [self.singular_delta[a] for a in self.active_adapters if a in self.singular_delta]

    def get_delta_weight(self, adapter: str) -> Tensor:
        """U diag(dS) V [O, I] in fp32."""
        d = self.singular_delta[adapter].detach().float()
        r = len(d)
        return (self.basis_u[:, :r].float() * d) @ self.basis_v[:r].float()

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Put W + U diag(dS) V into the base layer; `unmerge` restores the old bits."""
        names = [
            n for n in check_adapters_to_merge(self, adapter_names) if n in self.singular_delta
        ]
        if not names:
            return
        weight = self.get_base_weight()
        if self._unmerged is None:
            self._unmerged = weight.clone()
        total = self._unmerged.float()
        for name in (*self.merged_adapters, *names):
            total = total + self.get_delta_weight(name)
        if safe_merge and not torch.isfinite(total).all():
            self._unmerged = self._unmerged if self.merged_adapters else None
            raise ValueError(
                f"NaNs detected in the merged weights. The adapter {names[0]} seems to be broken"
            )
        self.set_base_weight(total.to(weight.dtype))
        self.merged_adapters += names

    def unmerge(self) -> None:
        if self._unmerged is not None:
            self.set_base_weight(self._unmerged)
            self._unmerged = None
        self.merged_adapters = []

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if self.disable_adapters and self.merged:
            self.unmerge()
        deltas = [] if self.disable_adapters or self.merged else self.active_deltas()
        if not deltas:
            return self.base_layer(x, *args, **kwargs)
        bias = self.base_layer.bias
        kind = x.device.type
        autocast = torch.is_autocast_enabled(kind)
        x = x.to(torch.get_autocast_dtype(kind) if autocast else self.basis_v.dtype)
        if self.merged_forward:
            self.refresh(deltas)
            if not torch.is_grad_enabled():
                y = linear(x, self.effective, self._packed)
                return y if bias is None else y + bias  # pyright: ignore
            weight, total, spectrum = self.effective, None, self._spectrum
        else:
            weight, total = self.base_layer.weight, self._total(deltas).to(x.dtype)
            spectrum = self._spectrum_of(total, x.dtype)
        recording = None if self.recorder is None else (self.recorder, self.module_name)
        basis = (self.basis_u, self.basis_v)
        y = _SingularValues.apply(x, weight, basis, total, spectrum, recording, *deltas)
        return y if bias is None else y + bias  # pyright: ignore

    @torch.no_grad()
    def refresh(self, deltas: list[Tensor] | None = None, *, force: bool = False) -> None:
        """Rebuild W_eff from the pristine W if an active dS has changed since it was built.

        Changes through `.data` outside of optimizers are not seen: then force.
        """
        deltas = self.active_deltas() if deltas is None else deltas
        now = (_steps, self.basis_u.dtype, *((id(d), d._version) for d in deltas))
        if now == self._built_for and not force:
            return
        dtype = self.basis_u.dtype
        total = self._total(deltas)
        self.master = self.master.to(total.device)
        weight = self.master.float()
        if total.any():
            with torch.autocast(total.device.type, enabled=False):
                weight = weight + (self.basis_u * total.to(dtype)) @ self.basis_v
        self.effective = weight.to(dtype)
        self._packed = pack(self.effective)
        self._spectrum = self._spectrum_of(total, dtype)
        self._built_for = now

    def _spectrum_of(self, total: Tensor, dtype: torch.dtype) -> Tensor | None:
        s = self._singular_values
        return None if s is None else (s.float() + total.float()).to(dtype)

    def _total(self, deltas: list[Tensor]) -> Tensor:
        total = torch.zeros(self.basis_u.shape[1], device=self.basis_u.device)
        for d in deltas:
            total[: len(d)] += d.detach()
        return total


class SingularValueModel(BaseTuner):
    """PEFT's tuner of the method."""

    prefix = "singular_"
    tuner_layer_cls = SingularValueLinear
    target_module_mapping: ClassVar[dict[str, Any]] = {}

    def _create_and_replace(
        self,
        peft_config: SingularValueConfig,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        **kwargs: Any,
    ) -> None:
        if isinstance(target, SingularValueLinear):
            target.update_layer(adapter_name, peft_config)
            return
        if not isinstance(target, nn.Linear) or type(target).__name__.startswith(
            ("Linear4", "Linear8")
        ):
            raise ValueError(
                f"Target module {current_key} ({type(target).__name__}) is not supported. The "
                "singular-value adapter works on unquantised `torch.nn.Linear` layers."
            )
        new = SingularValueLinear(target, adapter_name, peft_config, current_key)
        if adapter_name not in self.active_adapters:
            new.requires_grad_(False)
        self._replace_module(parent, target_name, new, target)

    def inject_adapter(
        self, model: nn.Module, adapter_name: str, *args: Any, **kwargs: Any
    ) -> None:
        super().inject_adapter(model, adapter_name, *args, **kwargs)
        config = self.peft_config[adapter_name]
        found = basis_digest(model, adapter_name)
        if config.basis_digest not in (None, found):  # pyright: ignore
            raise UserError(
                "this adapter was trained on another base: its singular values are not these weights'",
                field="basis_digest",
                value=f"{config.basis_digest[:12]}, here {found[:12]}",  # pyright: ignore
                fix="load the base in the dtype and revision that it was trained on",
            )
        config.basis_digest = found  # pyright: ignore


PEFT_TYPE_TO_CONFIG_MAPPING[PEFT_TYPE] = SingularValueConfig  # pyright: ignore
PEFT_TYPE_TO_TUNER_MAPPING[PEFT_TYPE] = SingularValueModel  # pyright: ignore
PEFT_TYPE_TO_PREFIX_MAPPING[PEFT_TYPE] = SingularValueModel.prefix  # pyright: ignore


def layers_of(model: nn.Module) -> dict[str, SingularValueLinear]:
    """The adapted layers by the names of the modules they adapt."""
    return {m.module_name: m for m in model.modules() if isinstance(m, SingularValueLinear)}


def basis_digest(model: nn.Module, adapter_name: str) -> str:
    """sha256 over the adapted modules' names, ranks and weights."""
    total = hashlib.sha256()
    for name, layer in sorted(layers_of(model).items()):
        if (rank := layer.singular_rank.get(adapter_name)) is not None:
            total.update(f"{name} {rank} {layer.weight_digest}\n".encode())
    return total.hexdigest()


def decompose(weight: Tensor, digest: str | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """U [O, R], S [R], V [R, I] in fp32 with weight = U diag(S) V, R = min(O, I).

    Kept in the cache under the weight's digest; a damaged file is computed again.
    """
    file = cache_folder() / "svd" / f"{digest or weight_digest(weight)}.safetensors"
    if weight.numel() >= CACHED_FROM and file.exists():
        with contextlib.suppress(Exception):  # whatever is wrong with it, the remedy is the same
            kept = load_file(file)
            return kept["u"], kept["s"], kept["v"]
    u, s, v = torch.linalg.svd(weight.detach().float(), full_matrices=False)
    if weight.numel() >= CACHED_FROM:
        with contextlib.suppress(OSError):  # a full or read-only cache only costs time
            _keep(file, {"u": u.cpu().contiguous(), "s": s.cpu(), "v": v.cpu().contiguous()})
    return u, s, v


def _keep(file: Path, tensors: dict[str, Tensor]) -> None:
    import os

    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(f".{os.getpid()}")
    try:
        save_file(tensors, partial)
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def weight_digest(weight: Tensor) -> str:
    """sha256 of a weight's shape and values, whatever float type they are stored in."""
    flat = weight.detach().float().cpu().contiguous()
    total = hashlib.sha256(str(tuple(flat.shape)).encode())
    total.update(flat.view(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()
