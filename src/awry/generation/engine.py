"""Sampling from a policy in memory: each prompt computed once, finished rows dropped or replaced.

A completion depends on its own seed alone, not on what else is in the batch (up to rounding):
every row draws its uniforms from its own generator and inverts its own distribution function. The
rounding depends on which rows are computed together, and so on the list of requests and on how many
rows fit into memory; the same call on the same machine gives the same bits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from awry.generation import attention, refilling
from awry.generation.batching import Room, clusters, cut
from awry.generation.packing import linear, pack, packed_weights

ROWS = 64  # rows decoded together; more gains little on a CPU and costs memory
ROWS_GPU = 256
GROUPED = 4  # completions of a prompt from which reading its keys in place beats refilling rows
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
        # found while sampling, and while reading texts
        self.room, self.reading = Room("completions"), Room("texts")

    @torch.inference_mode()
    def sample(
        self,
        requests: Sequence[Request],
        sampling: Sampling,
        *,
        progress: Callable[[int, int], None] = lambda done, total: None,
        done: Callable[[int, list[Completion]], None] = lambda request, completions: None,
    ) -> list[list[Completion]]:
        """Completions for each request, in the order of its seeds.

        progress(done, total) is called in completions; done(request, completions) once for each
        request, as they end. Rows are halved when memory runs out; what was done stays.
        """
        found = _Found(requests, progress, done)
        many = len(found.left()) >= GROUPED * len(requests)
        work = self._grouped if many else self._refilled
        wanted = ROWS if self.model.device.type == "cpu" else ROWS_GPU
        with packed_weights(self.model):
            self.room.attempt(wanted, lambda rows: work(requests, sampling, rows, found))
        return [found.completions(i) for i in range(len(requests))]

    def _grouped(
        self, requests: Sequence[Request], sampling: Sampling, rows: int, found: _Found
    ) -> None:
        """Several completions for each prompt, whose keys its rows read in place."""
        numbers: dict[int, list[int]] = {}
        for i, number in found.left():
            numbers.setdefault(i, []).append(number)
        # similar prompt lengths together: least padding in the prefill
        order = sorted(numbers, key=lambda i: len(requests[i].prompt))
        parts = [
            (i, numbers[i][start : start + rows])
            for i in order
            for start in range(0, len(numbers[i]), rows)
        ]
        for batch in cut([len(own) for _, own in parts], rows):
            asked = [
                Request(requests[i].prompt, tuple(requests[i].seeds[n] for n in own))
                for i, own in (parts[place] for place in batch)
            ]
            for place, completions in zip(batch, self._batch(asked, sampling), strict=True):
                i, own = parts[place]
                for number, completion in zip(own, completions, strict=True):
                    found.add((i, number), completion)

    def _refilled(
        self, requests: Sequence[Request], sampling: Sampling, rows: int, found: _Found
    ) -> None:
        """Few completions for each of many prompts: rows go to the next prompt as they end."""
        left = found.left()
        if not left:
            return
        prompts = [r.prompt for r in requests]
        alike = clusters(prompts)
        place = {i: at for at, i in enumerate(i for c in alike for i in c.members)}
        left.sort(key=lambda key: (place[key[0]], key[1]))
        refilling.generate(
            self.model,
            prompts,
            alike,
            left,
            rows=rows,
            longest=sampling.max_new_tokens,
            stop=self.stop,
            draws=lambda key: self._draws(requests[key[0]].seeds[key[1]], sampling),
            choose=lambda states, uniforms: choose(self.head_logits(states), uniforms, sampling),
            made=lambda key, ids, logprobs, finished: found.add(
                key, Completion(ids, logprobs, finished)
            ),
        )

    def _draws(self, seed: int, sampling: Sampling) -> Tensor | None:
        if sampling.temperature == 0:
            return None
        return _uniforms([seed], sampling.max_new_tokens)[0]

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
            logits = self.head_logits(states)
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

    def head_logits(self, states: Tensor) -> Tensor:
        """Last hidden states [..., hidden] -> logits [..., V] in the model's dtype."""
        if self.head.bias is not None:
            return self.head(states)
        return linear(states, self.head.weight, self.packed_head)


class _Found:
    """The completions so far, by (request, number of its seed)."""

    def __init__(
        self,
        requests: Sequence[Request],
        progress: Callable[[int, int], None],
        done: Callable[[int, list[Completion]], None],
    ) -> None:
        self.requests, self.progress, self.done = requests, progress, done
        self.total = sum(len(r.seeds) for r in requests)
        self.told = 0
        self._all: dict[tuple[int, int], Completion] = {}
        self._missing = {i: len(r.seeds) for i, r in enumerate(requests)}

    def left(self) -> list[tuple[int, int]]:
        keys = ((i, n) for i, r in enumerate(self.requests) for n in range(len(r.seeds)))
        return [key for key in keys if key not in self._all]

    def add(self, key: tuple[int, int], completion: Completion) -> None:
        self._all[key] = completion
        self._missing[key[0]] -= 1
        if not self._missing[key[0]]:
            own = self.completions(key[0])
            self.told += len(own)
            self.done(key[0], own)
            self.progress(self.told, self.total)

    def completions(self, request: int) -> list[Completion]:
        return [self._all[request, n] for n in range(len(self.requests[request].seeds))]


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
