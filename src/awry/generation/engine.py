"""Sampling from a policy in memory: each prompt computed once, finished rows dropped.

A completion depends on its own seed alone, not on what else is in the batch (up to rounding):
every row draws its uniforms from its own generator and inverts its own distribution function.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from awry.generation import attention
from awry.generation.packing import linear, pack

ROWS = 64  # rows decoded together; more gains little on a CPU and costs memory
SHRINK = 0.8  # drop finished rows once fewer than this share are live


@dataclass(frozen=True)
class Sampling:
    """How to sample. temperature 0 is greedy; top_p 1 keeps the whole distribution."""

    max_new_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0


@dataclass(frozen=True)
class Request:
    """One prompt and one seed for each completion wanted."""

    prompt: tuple[int, ...]
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Completion:
    """Sampled ids, the end token included when finished; logprobs in nats under the tempered
    distribution before top-p, one for each id."""

    ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    finished: bool


def derive(*parts: object) -> int:
    """A 63-bit seed from what it is for: no state to save, the same on every resume."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


class Engine:
    """Samples from a transformers model whose attention the layouts reproduce exactly.

    Raises ValueError at construction for other architectures.
    """

    def __init__(self, model: PreTrainedModel, stop_ids: frozenset[int]) -> None:
        if not attention.supports_layouts(model):
            raise ValueError(f"{type(model).__name__} does not attend plainly")
        attention.install(model)
        self.model = model
        self.stop = torch.tensor(sorted(stop_ids), device=model.device)
        head: torch.nn.Linear | None = model.get_output_embeddings()  # pyright: ignore[reportAssignmentType]
        assert head is not None
        self.head = head
        self.packed_head = None if head.weight.requires_grad else pack(head.weight)

    @torch.inference_mode()
    def sample(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        *,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> list[list[Completion]]:
        """Completions for each request, in the order of its seeds.

        progress(done, total) is called in completions.
        """
        results: list[list[Completion]] = [[] for _ in requests]
        total = sum(len(r.seeds) for r in requests)
        done = 0
        # similar prompt lengths together: least padding in the prefill
        order = sorted(range(len(requests)), key=lambda i: len(requests[i].prompt))
        for batch in _batches(order, requests):
            part = self._batch([requests[i] for i in batch], sampling)
            for i, completions in zip(batch, part, strict=True):
                results[i] += completions
            done += sum(len(c) for c in part)
            progress(done, total)
        return results

    def _batch(self, requests: list[Request], sampling: Sampling) -> list[list[Completion]]:
        device = self.model.device
        lengths = torch.tensor([len(r.prompt) for r in requests], device=device)
        width = int(lengths.max())
        ids = torch.zeros(len(requests), width, dtype=torch.long, device=device)
        for row, request in enumerate(requests):
            ids[row, : len(request.prompt)] = torch.tensor(request.prompt, device=device)
        prefill = attention.Prefill()
        positions = torch.arange(width, device=device).expand_as(ids)
        hidden = attention.run(self.model, ids, positions, prefill)
        last = hidden[torch.arange(len(requests), device=device), lengths - 1]  # [G, hidden]

        seeds = [seed for request in requests for seed in request.seeds]
        group_of_row = torch.tensor(
            [g for g, request in enumerate(requests) for _ in request.seeds], device=device
        )
        uniforms = _uniforms(seeds, sampling.max_new_tokens).to(device)
        layout = attention.Decode(prefill, lengths, group_of_row, sampling.max_new_tokens)
        tokens = torch.zeros(len(seeds), sampling.max_new_tokens, dtype=torch.long, device=device)
        logprobs = torch.zeros(len(seeds), sampling.max_new_tokens, device=device)
        ends = torch.full((len(seeds),), sampling.max_new_tokens, device=device)

        rows = torch.arange(len(seeds), device=device)  # live rows, by their number in the batch
        live = torch.ones(len(seeds), dtype=torch.bool, device=device)  # among `rows`
        states = last[group_of_row]
        for step in range(sampling.max_new_tokens):
            logits = self._head(states)
            chosen, logprob = choose(logits, uniforms[rows, step], sampling)
            tokens[rows, step], logprobs[rows, step] = chosen, logprob
            stopped = live & torch.isin(chosen, self.stop)
            ends[rows[stopped]] = step + 1
            live &= ~stopped
            count = int(live.sum())
            if count == 0 or step + 1 == sampling.max_new_tokens:
                break
            if count < SHRINK * len(rows):
                kept = live.nonzero().squeeze(1)
                layout.keep(kept)
                rows, chosen, live = rows[kept], chosen[kept], live[kept]
            where = (lengths[layout.group_of_row] + step)[:, None]
            layout.step = step
            states = attention.run(self.model, chosen[:, None], where, layout)[:, 0]
        return _collect(requests, tokens, logprobs, ends, self.stop)

    def _head(self, states: Tensor) -> Tensor:
        if self.head.bias is not None:
            return self.head(states)
        return linear(states, self.head.weight, self.packed_head)


def choose(logits: Tensor, uniforms: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor]:
    """Next token and its log-probability for each row.

    logits [R, V], uniforms [R] in [0, 1). The token is where the distribution function passes the
    uniform; the log-probability is under the tempered softmax, before top-p.
    """
    if sampling.temperature == 0:
        scores = logits.float()
        chosen = scores.argmax(-1)
    else:
        scores = logits.float() / sampling.temperature
    top = scores.max(-1, keepdim=True).values
    mass = (scores - top).exp_()
    total = mass.sum(-1, keepdim=True)
    if sampling.temperature > 0:
        if sampling.top_p < 1:
            ranked, order = mass.sort(-1, descending=True)
            before = ranked.cumsum(-1) - ranked
            ranked[before >= sampling.top_p * total] = 0
            mass = torch.zeros_like(mass).scatter_(-1, order, ranked)
        heights = mass.cumsum(-1)
        target = uniforms[:, None].to(heights.dtype) * heights[:, -1:]
        chosen = torch.searchsorted(heights, target, right=True).squeeze(1)
        chosen.clamp_(max=logits.shape[-1] - 1)
    picked = scores.gather(-1, chosen[:, None])
    return chosen, (picked - top - total.log()).squeeze(1)


def _uniforms(seeds: Sequence[int], count: int) -> Tensor:
    out = torch.empty(len(seeds), count)
    for row, seed in enumerate(seeds):
        out[row].uniform_(generator=torch.Generator().manual_seed(seed))
    return out


def _batches(order: list[int], requests: Sequence[Request]) -> list[list[int]]:
    batches: list[list[int]] = []
    rows = ROWS
    for i in order:
        if not batches or rows + len(requests[i].seeds) > ROWS:
            batches.append([])
            rows = 0
        batches[-1].append(i)
        rows += len(requests[i].seeds)
    return batches


def _collect(
    requests: list[Request], tokens: Tensor, logprobs: Tensor, ends: Tensor, stop: Tensor
) -> list[list[Completion]]:
    results: list[list[Completion]] = []
    row = 0
    stops = set(stop.tolist())
    for request in requests:
        group = []
        for _ in request.seeds:
            end = int(ends[row])
            ids = tuple(tokens[row, :end].tolist())
            group.append(Completion(ids, tuple(logprobs[row, :end].tolist()), ids[-1] in stops))
            row += 1
        results.append(group)
    return results
