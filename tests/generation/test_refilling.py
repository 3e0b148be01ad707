"""Rows that go to the next prompt when they end, against the plain model and each prompt alone."""

from __future__ import annotations

import random

import pytest
import torch

from awry.generation import attention, layouts
from awry.generation import engine as engine_module
from awry.generation.engine import Engine, Request, Sampling
from awry.models import Policy, load_policy

STOPS = frozenset(range(2, 24))  # many, so that rows end at different steps
SHARED = "You are asked by many, and all of them begin like this. "


@pytest.fixture(scope="module")
def policy() -> Policy:
    torch.set_num_threads(1)
    return load_policy("tiny-random", "float32")


@pytest.fixture(scope="module")
def plain() -> torch.nn.Module:
    return load_policy("tiny-random", "float32").model


def mixed(policy: Policy, count: int) -> list[Request]:
    """Lengths from a few tokens to a hundred, half of them behind one beginning, some with two
    completions."""
    rng = random.Random(1)
    requests = []
    for i in range(count):
        own = "".join(rng.choice("abcde fgh") for _ in range(rng.randrange(1, 60)))
        content = SHARED * (i % 2) + own
        ids = policy.encode(policy.render([{"role": "user", "content": content}]))
        requests.append(Request(tuple(ids), tuple(range(2 * i, 2 * i + 1 + (i % 5 == 0)))))
    return requests


def check(plain, request: Request, completions, temperature: float) -> None:
    for completion in completions:
        row = torch.tensor([[*request.prompt, *completion.ids]])
        with torch.no_grad():
            logits = plain(row).logits[0, len(request.prompt) - 1 : -1] / temperature
        ids = torch.tensor(completion.ids)[:, None]
        expected = logits.log_softmax(-1).gather(-1, ids)[:, 0]
        assert torch.allclose(expected, torch.tensor(completion.logprobs), atol=3e-6)


def test_every_row_computes_its_own_text(policy: Policy, plain, monkeypatch) -> None:
    monkeypatch.setattr(engine_module, "ROWS", 8)
    requests = mixed(policy, 40)
    calls: list[tuple[int, int]] = []
    ended: list[int] = []
    out = Engine(policy.model, STOPS).sample(
        requests,
        Sampling(24, 0.9),
        progress=lambda done, total: calls.append((done, total)),
        done=lambda i, completions: ended.append(i),
    )
    assert [len(group) for group in out] == [len(r.seeds) for r in requests]
    lengths = {len(c.ids) for group in out for c in group}
    assert len(lengths) > 4, "rows must end at different steps for the test to cover refilling"
    for request, group in zip(requests, out, strict=True):
        check(plain, request, group, 0.9)
        for completion in group:
            assert completion.finished == (completion.ids[-1] in STOPS)
            assert completion.finished or len(completion.ids) == 24
    assert sorted(ended) == list(range(40))
    assert ended != sorted(ended)
    total = sum(len(r.seeds) for r in requests)
    assert calls[-1] == (total, total)


def test_greedy_texts_are_those_of_transformers(policy: Policy, plain, monkeypatch) -> None:
    monkeypatch.setattr(engine_module, "ROWS", 8)
    requests = [Request(r.prompt, (0,)) for r in mixed(policy, 20)]
    sampling = Sampling(16, temperature=0)
    out = Engine(policy.model, STOPS).sample(requests, sampling)
    for request, (completion,) in zip(requests, out, strict=True):
        ids = torch.tensor([request.prompt])
        theirs = plain.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=16,
            do_sample=False,
            eos_token_id=sorted(STOPS),
            pad_token_id=2,
        )
        assert theirs[0, ids.shape[1] :].tolist() == list(completion.ids)


def test_the_same_call_gives_the_same_bits(policy: Policy) -> None:
    engine = Engine(policy.model, STOPS)
    first, second = (engine.sample(mixed(policy, 30), Sampling(10)) for _ in range(2))
    assert first == second


def test_a_beginning_that_prompts_share_is_read_once(policy: Policy, monkeypatch) -> None:
    read: list[int] = []
    plain_read = layouts.read

    def counted(model, ids, layout):
        read.append(len(ids))
        return plain_read(model, ids, layout)

    monkeypatch.setattr(layouts, "read", counted)
    requests = mixed(policy, 12)[1::2]
    Engine(policy.model, STOPS).sample(requests, Sampling(1))
    everything = sum(len(r.prompt) for r in requests)
    assert sum(read) <= everything - (len(requests) - 1) * len(SHARED)


def test_rows_are_halved_when_memory_runs_out_and_nothing_is_made_twice(
    policy: Policy, monkeypatch
) -> None:
    requests = mixed(policy, 30)
    expected = Engine(policy.model, STOPS).sample(requests, Sampling(12))
    engine = Engine(policy.model, STOPS)
    monkeypatch.setattr(engine_module, "ROWS", 16)
    plain_run, calls = attention.run, 0

    def short_of_memory(model, ids, positions, layout):
        nonlocal calls
        calls += 1
        if calls > 14 and len(ids) > 4:  # after a few rows have ended
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return plain_run(model, ids, positions, layout)

    monkeypatch.setattr(attention, "run", short_of_memory)
    ended: list[int] = []
    out = engine.sample(requests, Sampling(12), done=lambda i, _: ended.append(i))
    assert engine.room.limit == 4
    assert sorted(ended) == list(range(30))
    assert [[c.ids for c in g] for g in out] == [[c.ids for c in g] for g in expected]


def test_more_completions_of_a_prompt_than_rows(policy: Policy, plain, monkeypatch) -> None:
    monkeypatch.setattr(engine_module, "ROWS", 4)
    request = Request(mixed(policy, 1)[0].prompt, tuple(range(10)))
    (group,) = Engine(policy.model, STOPS).sample([request], Sampling(6))
    assert len(group) == 10
    check(plain, request, group, 1.0)


def test_nothing_asked_is_nothing_done(policy: Policy) -> None:
    engine = Engine(policy.model, STOPS)
    assert engine.sample([], Sampling(4)) == []
    assert engine.sample([Request((3, 4), ())], Sampling(4)) == [[]]


@pytest.mark.parametrize("continuations", [(), (4,), (3, 1, 5)])
def test_segments_behind_a_prefix_are_causal_attention(
    policy: Policy, plain, continuations
) -> None:
    attention.install(policy.model)
    generator = torch.Generator().manual_seed(5)

    def tokens(count: int) -> list[int]:
        return torch.randint(3, 200, (count,), generator=generator).tolist()

    start, prompts = tokens(20), [tokens(7), tokens(1)]
    endings = [[tokens(n) for n in continuations] for _ in prompts]
    with torch.no_grad():
        before = layouts.Segments([layouts.Segment(20)], keep=True)
        layouts.read(policy.model, start, before)
        segments = [
            layouts.Segment(len(p), continuations, prefix)
            for p in prompts
            for prefix in (before.prefix(0), None)
        ]
        flat = [
            token
            for p, own in zip(prompts, endings, strict=True)
            for _ in range(2)
            for part in (p, *own)
            for token in part
        ]
        hidden = layouts.read(policy.model, flat, layouts.Segments(segments))
        at = 0
        for p, own in zip(prompts, endings, strict=True):
            for behind in (start, []):
                ends = [*behind, *p]
                expected = plain.get_decoder()(torch.tensor([ends])).last_hidden_state[0]
                assert torch.allclose(hidden[at : at + len(p)], expected[len(behind) :], atol=1e-5)
                at += len(p)
                for ending in own:
                    row = torch.tensor([[*ends, *ending]])
                    expected = plain.get_decoder()(row).last_hidden_state[0, len(ends) :]
                    assert torch.allclose(hidden[at : at + len(ending)], expected, atol=1e-5)
                    at += len(ending)
    assert at == len(hidden)
