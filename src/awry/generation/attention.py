"""Attention over a prompt that several completions share.

transformers lets a model call a registered attention function. Ours is plain SDPA, unless the
caller passes a `layout=` through the model's keyword arguments; then the layout computes attention:
`Prefill` keeps each prompt's keys and values, `Decode` lets rows of one group read them without a
copy per row, `SharedPrefix` trains on prompt + completions in one unpadded row. All three give what
ordinary causal attention gives on the concatenated text (tested), with the prompt computed once.

Shapes: G groups (prompts), R rows (completions), N flat tokens, H query heads, K key/value heads,
M = H / K, P prompt length, T completion length, D head size.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "awry_shared_prefix"
# a mask that is already 4D is passed through by transformers; the layout does the masking
NO_MASK = torch.zeros(1, 1, 1, 1)
# arguments of a model that change attention or logits in ways the layouts do not reproduce
_UNSUPPORTED = (
    "sliding_window",
    "attn_logit_softcapping",
    "final_logit_softcapping",
    "logit_scale",
)


class Layout(Protocol):
    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        """q [B, H, Q, D], k and v [B, K, Q, D] -> [B, Q, H, D]."""
        ...


def _forward(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    layout: Layout | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    if layout is not None:
        return layout.attend(module.layer_idx, query, key, value, scale), None
    return sdpa_attention_forward(
        module, query, key, value, attention_mask, scaling=scale, **kwargs
    )


AttentionInterface.register(NAME, _forward)
AttentionMaskInterface.register(NAME, sdpa_mask)


def supports_layouts(model: PreTrainedModel) -> bool:
    """Whether this architecture attends plainly enough for the layouts to be exact."""
    config = model.config.get_text_config()
    if any(getattr(config, name, None) for name in _UNSUPPORTED):
        # Qwen2 and others carry a window that is switched off
        windowed = getattr(config, "sliding_window", None)
        off = windowed and getattr(config, "use_sliding_window", True) is False
        if not off or any(getattr(config, name, None) for name in _UNSUPPORTED[1:]):
            return False
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    return bool(getattr(type(model), "_supports_attention_backend", False)) and kinds == {
        "full_attention"
    }


def install(model: PreTrainedModel) -> None:
    """Route this model's attention through this module (SDPA when no layout is passed)."""
    model.config._attn_implementation = NAME


def run(model: PreTrainedModel, ids: Tensor, positions: Tensor, layout: Layout) -> Tensor:
    """Last hidden states [B, Q, hidden] of the decoder under a layout."""
    return model.get_decoder()(
        input_ids=ids,
        attention_mask=NO_MASK,
        position_ids=positions,
        use_cache=False,
        layout=layout,
    ).last_hidden_state


@dataclass
class Prefill:
    """Right-padded prompts [G, P]: causal attention, keys and values kept per layer.

    Padding follows the last real token, so the causal mask alone hides it.
    """

    keys: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        assert layer == len(self.keys)
        self.keys.append(k)
        self.values.append(v)
        return causal(q, k, v, scale)


class Decode:
    """One new token for each live row; rows of a group read that group's prompt in place."""

    def __init__(
        self, prefill: Prefill, prompt_lengths: Tensor, group_of_row: Tensor, longest: int
    ) -> None:
        self.prompt_k, self.prompt_v = prefill.keys, prefill.values  # per layer [G, K, P, D]
        groups, heads, width, size = self.prompt_k[0].shape
        rows = len(group_of_row)
        self.own_k = [k.new_zeros(rows, heads, longest, size) for k in self.prompt_k]
        self.own_v = [k.new_zeros(rows, heads, longest, size) for k in self.prompt_k]
        hidden = torch.arange(width, device=prompt_lengths.device) >= prompt_lengths[:, None]
        self.prompt_bias = torch.zeros(groups, 1, 1, width, device=prompt_lengths.device)
        self.prompt_bias.masked_fill_(hidden[:, None, None, :], float("-inf"))
        self.step = 0
        self._place(group_of_row)

    def _place(self, group_of_row: Tensor) -> None:
        """Give every row a slot [G, S] beside its group's prompt; S = rows of the largest group."""
        self.group_of_row = group_of_row
        groups = self.prompt_bias.shape[0]
        counts = torch.bincount(group_of_row, minlength=groups)
        self.slots = int(counts.max())
        first = counts.cumsum(0) - counts
        rank = torch.arange(len(group_of_row), device=group_of_row.device) - first[group_of_row]
        self.slot_of_row = group_of_row * self.slots + rank  # rows are sorted by group
        self.full = bool((counts == self.slots).all())

    def keep(self, rows: Tensor) -> None:
        """Drop finished rows; `rows` [R'] indexes the live ones in order."""
        self.own_k = [k[rows] for k in self.own_k]
        self.own_v = [v[rows] for v in self.own_v]
        self._place(self.group_of_row[rows])

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        now = self.step + 1
        own_k, own_v = self.own_k[layer], self.own_v[layer]
        own_k[:, :, self.step] = k[:, :, 0]
        own_v[:, :, self.step] = v[:, :, 0]
        rows, heads, size = q.shape[0], k.shape[1], q.shape[-1]
        many = q.shape[1] // heads
        q = q.view(rows, heads, many, size) * scale
        prompt_k, prompt_v = self.prompt_k[layer], self.prompt_v[layer]
        width = prompt_k.shape[2]
        scores_prompt = self._by_group(q) @ prompt_k.transpose(-1, -2)  # [G, K, S*M, P]
        scores_prompt = self._by_row(scores_prompt.float() + self.prompt_bias, many)
        scores_own = (q @ own_k[:, :, :now].transpose(-1, -2)).float()  # [R, K, M, now]
        weights = torch.cat([scores_prompt, scores_own], -1).softmax(-1).to(q.dtype)
        out = weights[..., width:] @ own_v[:, :, :now]
        out += self._by_row(self._by_group(weights[..., :width]) @ prompt_v, many)
        return out.reshape(rows, 1, heads * many, size)

    def _by_group(self, x: Tensor) -> Tensor:
        """[R, K, M, X] -> [G, K, S*M, X]; slots without a row stay zero."""
        _, heads, many, size = x.shape
        groups = self.prompt_bias.shape[0]
        if self.full:
            slots = x.reshape(groups, self.slots, heads, many, size)
        else:
            slots = x.new_zeros(groups * self.slots, heads, many, size)
            slots[self.slot_of_row] = x
            slots = slots.view(groups, self.slots, heads, many, size)
        return slots.transpose(1, 2).reshape(groups, heads, self.slots * many, size)

    def _by_row(self, x: Tensor, many: int) -> Tensor:
        """[G, K, S*M, X] -> [R, K, M, X]."""
        groups, heads, _, size = x.shape
        slots = x.view(groups, heads, self.slots, many, size).transpose(1, 2)
        slots = slots.reshape(groups * self.slots, heads, many, size)
        return slots if self.full else slots[self.slot_of_row]


class SharedPrefix:
    """One row [1, N] = prompt, completion 1, completion 2, ...: each completion sees the prompt
    and itself. No padding outside attention; differentiable."""

    def __init__(self, prompt: int, lengths: list[int], device: torch.device | str = "cpu") -> None:
        self.prompt, self.lengths = prompt, lengths
        self.rows, self.longest = len(lengths), max(lengths)
        where = torch.tensor(lengths, device=device)
        real = torch.arange(self.longest, device=device) < where[:, None]  # [R, T]
        self.padded = real.flatten().nonzero().squeeze(1)  # flat token -> place in [R*T]
        flat = torch.zeros(self.rows * self.longest, dtype=torch.long, device=device)
        flat[self.padded] = torch.arange(len(self.padded), device=device)
        self.unpadded = flat  # place in [R*T] -> flat token (0 where padding)
        self.uniform = len(self.padded) == len(flat)
        later = torch.ones(self.longest, self.longest, dtype=torch.bool, device=device).triu(1)
        self.own_bias = torch.zeros(self.longest, self.longest, device=device)
        self.own_bias.masked_fill_(later, float("-inf"))

    @property
    def positions(self) -> Tensor:
        """Position ids [1, N]: every completion goes on from the prompt's end."""
        parts = [torch.arange(self.prompt)]
        parts += [torch.arange(self.prompt, self.prompt + length) for length in self.lengths]
        return torch.cat(parts)[None].to(self.own_bias.device)

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        if self.rows == 1:  # nobody to share with: prompt and completion are one causal text
            return causal(q, k, v, scale)
        p, many = self.prompt, q.shape[1] // k.shape[1]
        head = causal(q[:, :, :p], k[:, :, :p], v[:, :, :p], scale)  # [1, P, H, D]
        q_rows = self._rows(q[0, :, p:] * scale, many)  # [K, M, R, T, D]
        k_rows, v_rows = (self._rows(x[0, :, p:], 1)[:, 0] for x in (k, v))  # [K, R, T, D]
        heads, _, rows, longest, size = q_rows.shape
        flat = q_rows.reshape(heads, many * rows * longest, size)
        scores_prompt = (flat @ k[0, :, :p].transpose(-1, -2)).view(heads, many, rows, longest, p)
        scores_own = q_rows @ k_rows.transpose(-1, -2)[:, None]  # [K, M, R, T, T]
        scores_own = scores_own.float() + self.own_bias
        weights = torch.cat([scores_prompt.float(), scores_own], -1).softmax(-1).to(q.dtype)
        out = (weights[..., :p].reshape(heads, -1, p) @ v[0, :, :p]).view_as(q_rows)
        out = out + weights[..., p:] @ v_rows[:, None]
        out = out.reshape(heads * many, rows * longest, size)
        if not self.uniform:
            out = out[:, self.padded]
        return torch.cat([head, out.transpose(0, 1)[None]], 1)

    def _rows(self, x: Tensor, many: int) -> Tensor:
        """Flat tokens [K*M, N-P, D] -> padded rows [K, M, R, T, D]."""
        if not self.uniform:
            x = x[:, self.unpadded]
        return x.reshape(x.shape[0] // many, many, self.rows, self.longest, x.shape[-1])


class Packed:
    """Several `SharedPrefix` segments one after the other in one row: small groups together."""

    def __init__(self, segments: list[SharedPrefix]) -> None:
        self.segments = segments
        self.sizes = [s.prompt + sum(s.lengths) for s in segments]

    @property
    def positions(self) -> Tensor:
        return torch.cat([s.positions for s in self.segments], 1)

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        qs, ks, vs = (x.split(self.sizes, 2) for x in (q, k, v))
        out = [
            segment.attend(layer, qs[i], ks[i], vs[i], scale)
            for i, segment in enumerate(self.segments)
        ]
        return out[0] if len(out) == 1 else torch.cat(out, 1)


def causal(q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
    many = q.shape[1] // k.shape[1]
    if many > 1:
        k, v = k.repeat_interleave(many, 1), v.repeat_interleave(many, 1)
    out = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale)
    return out.transpose(1, 2)
