"""Attention for evaluation: many texts in one row without padding, and rows that come and go.

`Segments` reads whole texts: prompts, each with the continuations that are scored under it, behind a
prefix that several of them share. `Slots` writes one token a row, every row at its own place in a
text of its own. Both give what ordinary causal attention gives on each whole text (tested).

Shapes as in `attention`: N flat tokens, R rows, H query heads, K key/value heads, M = H / K, P prefix
length, D head size, W the longest text so far.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import PreTrainedModel

from awry.generation import attention
from awry.generation.batching import Cluster

GROWTH = 64  # columns by which the rows' memory grows: few copies, little of it unused


@dataclass(frozen=True)
class Prefix:
    """Tokens that several texts begin with: keys and values for each layer [K, P, D]."""

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]

    @property
    def length(self) -> int:
        return self.keys[0].shape[1]


@dataclass(frozen=True)
class Segment:
    """How many tokens: a prompt and continuations that each go on from its end. All see `prefix`,
    the prompt and themselves."""

    prompt: int
    continuations: tuple[int, ...] = ()
    prefix: Prefix | None = None

    @property
    def size(self) -> int:
        return self.prompt + sum(self.continuations)

    @property
    def behind(self) -> int:
        return self.prefix.length if self.prefix else 0


class Segments:
    """One row [1, N] = segment 1, segment 2, ...; with `keep` its keys and values are kept."""

    def __init__(self, segments: Sequence[Segment], *, keep: bool = False) -> None:
        self.segments, self.keep = segments, keep
        self.sizes = [s.size for s in segments]
        self.keys: list[Tensor] = []  # per layer [K, N, D]
        self.values: list[Tensor] = []
        self._bias: list[Tensor | None] = []

    @property
    def positions(self) -> Tensor:
        """Position ids [1, N]: every continuation goes on from its prompt's end."""
        parts: list[Tensor] = []
        for s in self.segments:
            end = s.behind + s.prompt
            parts.append(torch.arange(s.behind, end))
            parts += [torch.arange(end, end + length) for length in s.continuations]
        return torch.cat(parts)[None]

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        if self.keep:
            self.keys.append(k[0])
            self.values.append(v[0])
        if not self._bias:
            many = q.shape[1] // k.shape[1]
            self._bias = [_bias(s, many, q) for s in self.segments]
        qs, ks, vs = (x.split(self.sizes, 2) for x in (q, k, v))
        out = [
            _attend(qs[i], ks[i], vs[i], segment.prefix, layer, self._bias[i], scale)
            for i, segment in enumerate(self.segments)
        ]
        return out[0] if len(out) == 1 else torch.cat(out, 1)

    def prefix(self, segment: int) -> Prefix:
        """The kept keys and values of a segment, for texts that begin with it."""
        start = sum(self.sizes[:segment])
        end = start + self.sizes[segment]
        return Prefix(
            tuple(k[:, start:end].contiguous() for k in self.keys),
            tuple(v[:, start:end].contiguous() for v in self.values),
        )


def read(model: PreTrainedModel, ids: Sequence[int], layout: Segments) -> Tensor:
    """Last hidden states [N, hidden] of the segments' flat tokens."""
    tokens = torch.tensor([ids], device=model.device)
    positions = layout.positions.to(model.device)
    return attention.run(model, tokens, positions, layout)[0]


class Prefixes:
    """What each cluster of texts begins with, read once, when it is first wanted."""

    def __init__(
        self,
        model: PreTrainedModel,
        texts: Sequence[tuple[int, ...]],
        clusters: Sequence[Cluster],
        order: Sequence[int],
    ) -> None:
        """order: the texts as they will be asked for; a prefix is dropped after its last."""
        self.model, self.texts, self.clusters = model, texts, clusters
        self._cluster = {i: c for c, cluster in enumerate(clusters) for i in cluster.members}
        self._last = {self._cluster[i]: at for at, i in enumerate(order)}
        self._read: dict[int, Prefix] = {}
        self._passed = 0

    def shared(self, text: int) -> int:
        """How many tokens of a text its prefix has."""
        return self.clusters[self._cluster[text]].shared

    def of(self, texts: Sequence[int]) -> list[Prefix | None]:
        for c in dict.fromkeys(self._cluster[i] for i in texts):
            shared = self.clusters[c].shared
            if shared and c not in self._read:
                layout = Segments([Segment(shared)], keep=True)
                read(self.model, self.texts[self.clusters[c].members[0]][:shared], layout)
                self._read[c] = layout.prefix(0)
        return [self._read.get(self._cluster[i]) for i in texts]

    def passed(self, count: int) -> None:
        """So many more of the order have been computed."""
        self._passed += count
        for c in [c for c in self._read if self._last[c] < self._passed]:
            del self._read[c]


def _bias(segment: Segment, many: int, like: Tensor) -> Tensor | None:
    """What is hidden from whom [M * n, P + n], 0 or -inf; None where that is plain causality."""
    if not segment.prefix and not segment.continuations:
        return None
    n, behind = segment.size, segment.behind
    seen = torch.ones(n, behind + n, dtype=torch.bool, device=like.device).tril(behind)
    start = segment.prompt
    for length in segment.continuations:
        seen[start : start + length, behind + segment.prompt : behind + start] = False
        start += length
    bias = torch.zeros(n, behind + n, dtype=like.dtype, device=like.device)
    return bias.masked_fill_(~seen, float("-inf")).repeat(many, 1)


def _attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    prefix: Prefix | None,
    layer: int,
    bias: Tensor | None,
    scale: float,
) -> Tensor:
    """q [1, H, n, D], k and v [1, K, n, D] -> [1, n, H, D]."""
    if bias is None:
        return attention.causal(q, k, v, scale)
    if prefix is not None:
        k = torch.cat([prefix.keys[layer][None], k], 2)
        v = torch.cat([prefix.values[layer][None], v], 2)
    heads, n, size = q.shape[1], q.shape[2], q.shape[3]
    # the queries of the heads that share keys stand one after the other: no copy of the keys
    folded = q.reshape(1, k.shape[1], -1, size)
    out = F.scaled_dot_product_attention(folded, k, v, attn_mask=bias, scale=scale)
    return out.reshape(1, heads, n, size).transpose(1, 2)


class Slots:
    """One new token for each of R rows. A row's text is `lengths[row]` tokens long so far."""

    def __init__(self, rows: int, device: torch.device) -> None:
        self.lengths = torch.zeros(rows, dtype=torch.long, device=device)
        self.keys: list[Tensor] = []  # per layer [R, K, W or more, D]
        self.values: list[Tensor] = []
        self._rows = torch.arange(rows, device=device)
        self._width = 0
        self._bias = torch.empty(0)

    def fill(self, rows: Sequence[int], texts: Segments, which: Sequence[int]) -> None:
        """Give each row the kept text of a segment (a prompt, its prefix included)."""
        starts = [0]
        for size in texts.sizes:
            starts.append(starts[-1] + size)
        if not self.keys:
            shape = (len(self.lengths), texts.keys[0].shape[0], 0, texts.keys[0].shape[2])
            self.keys = [k.new_empty(shape) for k in texts.keys]
            self.values = [v.new_empty(shape) for v in texts.values]
        ends = [texts.segments[i].behind + texts.sizes[i] for i in which]
        self._reserve(max(ends))
        for row, i, end in zip(rows, which, ends, strict=True):
            prefix = texts.segments[i].prefix
            own = slice(starts[i], starts[i + 1])
            behind = end - texts.sizes[i]
            for layer, (keys, values) in enumerate(zip(self.keys, self.values, strict=True)):
                if prefix is not None:
                    keys[row, :, :behind] = prefix.keys[layer]
                    values[row, :, :behind] = prefix.values[layer]
                keys[row, :, behind:end] = texts.keys[layer][:, own]
                values[row, :, behind:end] = texts.values[layer][:, own]
        at = torch.tensor(list(rows), device=self.lengths.device)
        self.lengths[at] = torch.tensor(ends, device=self.lengths.device)

    def keep(self, rows: Tensor) -> None:
        """Drop all other rows; `rows` [R'] in order."""
        self.lengths = self.lengths[rows]
        self._rows = torch.arange(len(rows), device=rows.device)
        width = int(self.lengths.max())
        for held in (self.keys, self.values):
            for layer in range(len(held)):
                held[layer] = held[layer][:, :, :width][rows]

    def begin(self, dtype: torch.dtype) -> None:
        """Before a token is added to every row."""
        self._width = int(self.lengths.max()) + 1
        self._reserve(self._width)
        columns = torch.arange(self._width, device=self.lengths.device)
        hidden = columns > self.lengths[:, None]
        self._bias = torch.zeros(hidden.shape, dtype=dtype, device=hidden.device)
        self._bias = self._bias.masked_fill_(hidden, float("-inf"))[:, None, None]

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        keys, values = self.keys[layer], self.values[layer]
        keys[self._rows, :, self.lengths] = k[:, :, 0]
        values[self._rows, :, self.lengths] = v[:, :, 0]
        rows, heads, _, size = q.shape
        folded = q.view(rows, k.shape[1], heads // k.shape[1], size)
        out = F.scaled_dot_product_attention(
            folded,
            keys[:, :, : self._width],
            values[:, :, : self._width],
            attn_mask=self._bias.expand(-1, -1, folded.shape[2], -1),
            scale=scale,
        )
        return out.reshape(rows, 1, heads, size)

    def _reserve(self, width: int) -> None:
        have = self.keys[0].shape[2]
        if width <= have:
            return
        more = -(-(width - have) // GROWTH) * GROWTH
        for held in (self.keys, self.values):
            for layer in range(len(held)):
                # zeros: what is masked must still be finite, 0 * NaN is NaN
                held[layer] = F.pad(held[layer], (0, 0, 0, more))
