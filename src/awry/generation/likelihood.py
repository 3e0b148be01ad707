"""Log-likelihoods of continuations, as EleutherAI's lm-evaluation-harness 0.4.13 defines them.

A continuation's tokens are those of the whole text minus those of its context; spaces at the end of
the context belong to the continuation; special tokens are added as the tokenizer does by default; too
long a text loses tokens on the left. What contexts begin with alike (few-shot examples) is computed
once, and each context once for all its continuations. Agreement with the harness is tested.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from awry.errors import UserError
from awry.generation import layouts
from awry.generation.batching import clusters, cut
from awry.generation.engine import Engine
from awry.generation.packing import packed_weights
from awry.models import Policy

TOKENS = 2048  # tokens computed together: a CPU gains nothing from more
TOKENS_GPU = 16384
LOGITS = 256  # rows of logits held at once: 50 MB at 49,152 tokens in fp32


@dataclass(frozen=True)
class Likelihood:
    """total: log p(continuation | context) in nats. greedy: every token was the likeliest. tokens:
    how many there were."""

    total: float
    greedy: bool
    tokens: int


@dataclass(frozen=True)
class _Text:
    """A context's tokens and those of some of the pair's continuations, by their numbers."""

    pair: int
    context: tuple[int, ...]
    continuations: tuple[tuple[int, ...], ...]
    numbers: tuple[int, ...]

    @property
    def size(self) -> int:
        """Tokens to compute: nothing is read off after a continuation's last."""
        return len(self.context) + sum(len(c) - 1 for c in self.continuations)


def encode_pair(
    tokenizer: PreTrainedTokenizerBase, context: str, continuation: str
) -> tuple[list[int], list[int]]:
    """Tokens of a context and of one continuation."""
    first = tokenizer.bos_token_id
    first = tokenizer.eos_token_id if first is None else first
    assert isinstance(first, int)
    if context == "":
        own = list(tokenizer.encode(continuation, add_special_tokens=False))
        return ([first], own) if own[:1] != [first] else (own[:1], own[1:])
    stripped = context.rstrip()
    continuation = context[len(stripped) :] + continuation
    whole = _encode(tokenizer, stripped + continuation, first)
    left = _encode(tokenizer, stripped, first)
    return left, whole[len(left) :]


def _encode(tokenizer: PreTrainedTokenizerBase, text: str, first: int) -> list[int]:
    if text.startswith(str(tokenizer.decode([first]))):  # already begins with it
        return list(tokenizer.encode(text, add_special_tokens=False))
    return list(tokenizer.encode(text))


def longest_text(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """Most tokens that the model was made for."""
    config = model.config.get_text_config()
    for name in ("n_positions", "max_position_embeddings", "n_ctx"):
        if isinstance(found := getattr(config, name, None), int):
            return found
    limit: Any = tokenizer.model_max_length
    return int(limit) if limit and limit < 10**9 else 2048


@torch.inference_mode()
def score(
    policy: Policy,
    engine: Engine,
    pairs: Sequence[tuple[str, Sequence[str]]],
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
    done: Callable[[int, list[Likelihood]], None] = lambda pair, found: None,
) -> list[list[Likelihood]]:
    """One list for each (context, continuations), in their order.

    progress(done, total) counts pairs; done(pair, found) is called once for each, as they end. Fewer
    tokens are taken together when memory runs out. Raises UserError for a continuation without
    tokens or longer than the model's texts.
    """
    limit = longest_text(policy.model, policy.tokenizer)
    texts = [t for i, pair in enumerate(pairs) for t in _texts(policy, i, pair, limit)]
    missing = {i: len(continuations) for i, (_, continuations) in enumerate(pairs)}
    results: list[list[Likelihood | None]] = [[None] * n for n in missing.values()]
    ended = 0

    def add(text: _Text, found: list[Likelihood]) -> None:
        nonlocal ended
        for number, one in zip(text.numbers, found, strict=True):
            results[text.pair][number] = one
        missing[text.pair] -= len(found)
        if not missing[text.pair]:
            ended += 1
            done(text.pair, [x for x in results[text.pair] if x is not None])
            progress(ended, len(pairs))

    alike = clusters([t.context for t in texts], [t.size for t in texts])
    order = [i for cluster in alike for i in cluster.members]
    prefixes = layouts.Prefixes(policy.model, [t.context for t in texts], alike, order)
    at = 0

    def work(most: int) -> None:
        nonlocal at
        while at < len(order):
            sizes = [texts[i].size - prefixes.shared(i) for i in order[at : at + most]]
            part = [order[at + i] for i in cut(sizes, most)[0]]
            found = _read(engine, [texts[i] for i in part], prefixes.of(part))
            at += len(part)
            prefixes.passed(len(part))
            for i, own in zip(part, found, strict=True):
                add(texts[i], own)

    with packed_weights(policy.model):
        engine.reading.attempt(TOKENS if policy.model.device.type == "cpu" else TOKENS_GPU, work)
    return [[x for x in row if x is not None] for row in results]


def _read(
    engine: Engine, texts: Sequence[_Text], prefixes: Sequence[layouts.Prefix | None]
) -> list[list[Likelihood]]:
    """One pass over these texts."""
    segments: list[layouts.Segment] = []
    ids: list[int] = []
    rows: list[int] = []  # flat tokens whose next token is scored
    asked: list[tuple[int, int]] = []  # (place in rows, token) of each scored token, in order
    for text, prefix in zip(texts, prefixes, strict=True):
        rest = text.context[prefix.length if prefix else 0 :]
        inputs = [c[:-1] for c in text.continuations]
        segments.append(layouts.Segment(len(rest), tuple(len(c) for c in inputs), prefix))
        end, at = len(rows), len(ids) + len(rest)
        rows.append(at - 1)
        ids += rest
        for continuation, given in zip(text.continuations, inputs, strict=True):
            asked.append((end, continuation[0]))
            asked += [(len(rows) + j, token) for j, token in enumerate(continuation[1:])]
            rows += range(at, at + len(given))
            ids += given
            at += len(given)
    hidden = layouts.read(engine.model, ids, layouts.Segments(segments))
    states = hidden[torch.tensor(rows, device=hidden.device)]
    totals, greedy = _scored(engine, states, torch.tensor(asked, device=hidden.device))
    out: list[list[Likelihood]] = []
    start = 0
    for text in texts:
        own: list[Likelihood] = []
        for continuation in text.continuations:
            end = start + len(continuation)
            total = float(totals[start:end].sum())
            own.append(Likelihood(total, bool(greedy[start:end].all()), len(continuation)))
            start = end
        out.append(own)
    return out


def _scored(engine: Engine, states: Tensor, asked: Tensor) -> tuple[Tensor, Tensor]:
    """states [S, hidden], asked [A, 2] (row of states, token) -> log-probability and whether it was
    the likeliest, each [A]."""
    where, tokens = asked.unbind(1)
    logprobs = torch.zeros(len(asked), device=states.device)
    greedy = torch.zeros(len(asked), dtype=torch.bool, device=states.device)
    for start in range(0, len(states), LOGITS):
        own = ((where >= start) & (where < start + LOGITS)).nonzero().squeeze(1)
        logits = engine.head_logits(states[start : start + LOGITS])
        rows, wanted = where[own] - start, tokens[own]
        logprobs[own] = logits.float().log_softmax(-1)[rows, wanted]
        greedy[own] = logits.argmax(-1)[rows] == wanted
    return logprobs.cpu(), greedy.cpu()


def _texts(policy: Policy, number: int, pair: tuple[str, Sequence[str]], limit: int) -> list[_Text]:
    """A pair's texts: one, or more where a limit cuts the contexts of its continuations apart."""
    context, continuations = pair
    by_context: dict[tuple[int, ...], list[tuple[int, tuple[int, ...]]]] = {}
    for i, continuation in enumerate(continuations):
        left, own = encode_pair(policy.tokenizer, context, continuation)
        if not own or not left or len(own) > limit:
            message = (
                "a context and its continuation must each have a token of their own"
                if not own or not left
                else f"a continuation has {len(own)} tokens and the model's texts at most {limit}"
            )
            raise UserError(
                message,
                value=repr((context[-80:], continuation[:80])),
                fix="mend the item, or shorten the continuation",
            )
        too_many = max(0, len(left) + len(own) - (limit + 1))
        by_context.setdefault(tuple(left[too_many:]), []).append((i, tuple(own)))
    return [
        _Text(number, left, tuple(own for _, own in rows), tuple(i for i, _ in rows))
        for left, rows in by_context.items()
    ]
