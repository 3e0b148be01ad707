"""Log-probabilities of completions, each group's prompt computed once, with exact gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from awry.generation import attention

TOKENS = 1024  # of one backward: enough for full-speed products, about 3 GB of activations
CHUNK = 256  # rows of one product with the head
CACHED = 32  # rows whose fp32 logits stay in cache while they are worked on


class _LinearLogProb(torch.autograd.Function):
    """log softmax(h W^T / temperature)[target] without keeping fp32 logits.

    h [N, d], W [V, d], targets [N] -> [N] fp32. d logp / d logit = (1[target] - p) / temperature;
    p is kept for it in h's dtype.
    """

    @staticmethod
    def forward(ctx: Any, h: Tensor, w: Tensor, targets: Tensor, temperature: float) -> Tensor:
        kept = torch.empty(h.shape[0], w.shape[0], dtype=h.dtype, device=h.device)
        logprobs = torch.empty(h.shape[0], dtype=torch.float32, device=h.device)
        for part in _parts(len(h), CHUNK):
            logits = h[part] @ w.T
            into, out = kept[part], logprobs[part]
            for rows in _parts(len(logits), CACHED):
                scaled = logits[rows].to(torch.float32, copy=True).mul_(1 / temperature)
                top, where = scaled.max(-1, keepdim=True)
                p = scaled.softmax(-1)
                normaliser = top - p.gather(-1, where).log()  # the largest p is 1 / sum
                picked = scaled.gather(-1, targets[part][rows, None])
                out[rows] = (picked - normaliser).squeeze(1)
                into[rows] = p
        ctx.save_for_backward(h, w, targets, kept)
        ctx.temperature = temperature
        return logprobs

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        h, w, targets, kept = ctx.saved_tensors
        g = (grads[0] / ctx.temperature).to(h.dtype)
        gh = torch.empty_like(h)
        gw = torch.zeros_like(w) if ctx.needs_input_grad[1] else None
        for part in _parts(len(h), CHUNK):
            d = kept[part] * -g[part, None]
            d.scatter_add_(-1, targets[part, None], g[part, None])
            gh[part] = d @ w
            if gw is not None:
                gw += d.T @ h[part]
        return gh, gw, None, None


def linear_logprobs(h: Tensor, w: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """h [N, d], W [V, d], targets [N] -> log-probabilities [N], fp32, nats."""
    return _LinearLogProb.apply(h, w, targets, temperature)  # pyright: ignore[reportReturnType]


def batches(sizes: Sequence[int]) -> list[list[int]]:
    """Indices in order, cut where `TOKENS` would be exceeded."""
    found: list[list[int]] = []
    room = 0
    for i, size in enumerate(sizes):
        if not found or size > room:
            found.append([])
            room = TOKENS
        found[-1].append(i)
        room -= size
    return found


def packed_logprobs(
    model: PreTrainedModel,
    groups: Sequence[tuple[Sequence[int], Sequence[Sequence[int]]]],
    temperature: float,
) -> Tensor:
    """Log-probabilities [sum of lengths] of all completions of (prompt, completions) groups.

    In order; each prompt is computed once, all groups in one row. The model must attend through
    `generation.attention` (see `attention.install`).
    """
    device = model.device
    layout = attention.Packed(
        [
            attention.SharedPrefix(len(prompt), [len(c) for c in completions], device)
            for prompt, completions in groups
        ]
    )
    flat: list[int] = []  # tokens of the row
    source: list[int] = []  # for each completion token, the place that predicts it
    targets: list[int] = []
    for prompt, completions in groups:
        flat += prompt
        last = len(flat) - 1  # every first token is predicted by the prompt's last
        for completion in completions:
            start = len(flat)
            source += [last, *range(start, start + len(completion) - 1)]
            flat += completion
            targets += completion
    hidden = attention.run(model, torch.tensor([flat], device=device), layout.positions, layout)[0]
    head = model.get_output_embeddings()
    assert head is not None
    return linear_logprobs(
        hidden[torch.tensor(source, device=device)],
        head.weight,
        torch.tensor(targets, device=device),
        temperature,
    )


def _parts(count: int, size: int) -> list[slice]:
    return [slice(i, min(i + size, count)) for i in range(0, count, size)]
