"""Sampling many prompts of mixed lengths: a row whose text has ended goes to the next prompt.

Prompts are read without padding, what they begin with alike once. New prompts come in when an eighth
of the rows is free: reading a few prompts costs about as much as one token of every row.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from awry.generation import attention, layouts
from awry.generation.batching import Cluster

READ = 4096  # prompt tokens read in one pass: bounds what the pass holds
SHRINK = 0.8  # as in `engine`: drop finished rows once fewer than this share are live


Key = tuple[int, int]  # (prompt, which of its completions)


def generate(
    model: PreTrainedModel,
    prompts: Sequence[tuple[int, ...]],
    clusters: Sequence[Cluster],
    wanted: Sequence[Key],
    *,
    rows: int,
    longest: int,
    stop: Tensor,
    draws: Callable[[Key], Tensor | None],
    choose: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    made: Callable[[Key, tuple[int, ...], tuple[float, ...], bool], None],
) -> None:
    """Make each of `wanted`, in their order, `rows` at a time.

    longest: most new tokens. draws(key): uniforms [longest] that choose its tokens, None for greedy.
    choose(states [R, hidden], uniforms [R]): next tokens and their log-probabilities. made(key, ids,
    logprobs, finished) is called as they end.
    """
    device = model.device
    rows = min(rows, len(wanted))
    waiting = deque(wanted)
    prefixes = layouts.Prefixes(model, prompts, clusters, [prompt for prompt, _ in wanted])
    slots = layouts.Slots(rows, device)
    owners: list[Key | None] = [None] * rows
    live = torch.zeros(rows, dtype=torch.bool, device=device)
    steps = torch.zeros(rows, dtype=torch.long, device=device)
    tokens = torch.zeros(rows, longest, dtype=torch.long, device=device)
    logprobs = torch.zeros(rows, longest, device=device)
    uniforms = torch.zeros(rows, longest, device=device)
    hidden = model.config.get_text_config().hidden_size
    states = torch.zeros(rows, hidden, dtype=model.dtype, device=device)

    def fill(free: list[int]) -> None:
        while free and waiting:
            taken = [waiting.popleft()]
            size = len(prompts[taken[0][0]])
            while waiting and len(taken) < len(free):
                if waiting[0][0] != taken[-1][0]:
                    size += len(prompts[waiting[0][0]])
                if size > READ:
                    break
                taken.append(waiting.popleft())
            here, free = free[: len(taken)], free[len(taken) :]
            new = list(dict.fromkeys(prompt for prompt, _ in taken))
            texts, ends = _read(model, [prompts[i] for i in new], prefixes.of(new))
            prefixes.passed(len(taken))
            which = [new.index(prompt) for prompt, _ in taken]
            slots.fill(here, texts, which)
            at = torch.tensor(here, device=device)
            states[at], live[at], steps[at] = ends[which], True, 0
            for row, key in zip(here, taken, strict=True):
                owners[row] = key
                drawn = draws(key)
                if drawn is not None:
                    uniforms[row] = drawn.to(device)

    fill(list(range(rows)))
    every = torch.arange(rows, device=device)
    while True:
        column = steps.clamp(max=longest - 1)
        chosen, logprob = choose(states, uniforms[every, column])
        tokens[every, column], logprobs[every, column] = chosen, logprob
        steps += live
        stopped = torch.isin(chosen, stop)
        over = live & (stopped | (steps == longest))
        for row in over.nonzero().flatten().tolist():
            key, end = owners[row], int(steps[row])
            assert key is not None
            ids, own = tokens[row, :end].tolist(), logprobs[row, :end].tolist()
            made(key, tuple(ids), tuple(own), bool(stopped[row]))
            owners[row] = None
        live &= ~over
        slots.lengths.masked_fill_(~live, 0)
        free = [row for row, one in enumerate(owners) if one is None]
        if len(free) == len(owners) and not waiting:
            return
        if not waiting and len(free) > (1 - SHRINK) * len(owners):
            kept = live.nonzero().squeeze(1)
            slots.keep(kept)
            chosen, steps, live = chosen[kept], steps[kept], live[kept]
            tokens, logprobs, uniforms = tokens[kept], logprobs[kept], uniforms[kept]
            owners = [one for one in owners if one is not None]
            every, free = torch.arange(len(kept), device=device), []
        if len(free) < len(owners):
            slots.begin(model.dtype)
            states = attention.run(model, chosen[:, None], slots.lengths[:, None], slots)[:, 0]
            slots.lengths += live
        if waiting and len(free) >= max(1, len(owners) // 8):
            fill(free)


def _read(
    model: PreTrainedModel,
    prompts: Sequence[tuple[int, ...]],
    prefixes: Sequence[layouts.Prefix | None],
) -> tuple[layouts.Segments, Tensor]:
    """One pass over prompts behind their prefixes: its keys and values, and the last hidden state of
    each prompt [R, hidden]."""
    rests = [
        prompt[prefix.length if prefix else 0 :]
        for prompt, prefix in zip(prompts, prefixes, strict=True)
    ]
    layout = layouts.Segments(
        [layouts.Segment(len(r), prefix=p) for r, p in zip(rests, prefixes, strict=True)],
        keep=True,
    )
    hidden = layouts.read(model, [token for rest in rests for token in rest], layout)
    ends = torch.tensor(layout.sizes, device=hidden.device).cumsum(0) - 1
    return layout, hidden[ends]
