"""Log-probabilities of completions, each group's prompt computed once, with exact gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from awry.generation import attention

CHUNK = 256  # tokens whose logits are in fp32 at a time


class _LinearLogProb(torch.autograd.Function):
    """log softmax(h W^T / temperature)[target] without keeping fp32 logits.

    h [N, d], W [V, d], targets [N] -> [N] fp32. d logp / d logit = (1[target] - p) / temperature.
    """

    @staticmethod
    def forward(ctx: Any, h: Tensor, w: Tensor, targets: Tensor, temperature: float) -> Tensor:
        logits = torch.empty(h.shape[0], w.shape[0], dtype=h.dtype, device=h.device)
        logprobs = torch.empty(h.shape[0], dtype=torch.float32, device=h.device)
        normaliser = torch.empty_like(logprobs)
        for part in _parts(len(h)):
            logits[part] = h[part] @ w.T
            scaled = logits[part].float() / temperature  # a copy: logits are kept
            normaliser[part] = scaled.logsumexp(-1)
            picked = scaled.gather(-1, targets[part, None]).squeeze(1)
            logprobs[part] = picked - normaliser[part]
        ctx.save_for_backward(h, w, targets, logits, normaliser)
        ctx.temperature = temperature
        return logprobs

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        h, w, targets, logits, normaliser = ctx.saved_tensors
        g = grads[0] / ctx.temperature
        gh = torch.empty_like(h)
        gw = torch.zeros_like(w) if ctx.needs_input_grad[1] else None
        for part in _parts(len(h)):
            d = (logits[part].float() / ctx.temperature).sub_(normaliser[part, None]).exp_()
            d.mul_(-g[part, None])
            d.scatter_add_(-1, targets[part, None], g[part, None])
            d = d.to(h.dtype)
            gh[part] = d @ w
            if gw is not None:
                gw += d.T @ h[part]
        return gh, gw, None, None


def linear_logprobs(h: Tensor, w: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """h [N, d], W [V, d], targets [N] -> log-probabilities [N], fp32, nats."""
    return _LinearLogProb.apply(h, w, targets, temperature)  # pyright: ignore[reportReturnType]


def group_logprobs(
    model: PreTrainedModel,
    prompt: Sequence[int],
    completions: Sequence[Sequence[int]],
    temperature: float,
) -> Tensor:
    """Log-probabilities [sum of lengths] of a group's completions, in order, prompt shared.

    The model must attend through `generation.attention` (see `attention.install`).
    """
    device = model.device
    lengths = [len(c) for c in completions]
    layout = attention.SharedPrefix(len(prompt), lengths, device)
    flat = [token for completion in completions for token in completion]
    ids = torch.tensor([[*prompt, *flat]], device=device)
    hidden = attention.run(model, ids, layout.positions, layout)[0]
    source = torch.arange(len(prompt) - 1, len(prompt) - 1 + len(flat), device=device)
    starts = torch.tensor([0, *lengths[:-1]], device=device).cumsum(0)
    source[starts] = len(prompt) - 1  # every first token is predicted by the prompt's last
    head = model.get_output_embeddings()
    assert head is not None
    return linear_logprobs(
        hidden[source], head.weight, torch.tensor(flat, device=device), temperature
    )


def _parts(count: int) -> list[slice]:
    return [slice(i, min(i + CHUNK, count)) for i in range(0, count, CHUNK)]
