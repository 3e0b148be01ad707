"""Log-likelihoods against the plain model, one text at a time."""

from __future__ import annotations

import pytest
import torch

from awry.errors import UserError
from awry.generation import layouts, likelihood
from awry.generation.engine import Engine
from awry.generation.likelihood import Likelihood, encode_pair, score
from awry.models import Policy, load_policy

PRIMER = "Q: what is it?\nA: It is that which it is.\n\n" * 3
PAIRS = [
    (PRIMER + "Q: why?\nA:", (" Because.", " b", " For no reason at all")),
    ("A question of its own:", (" A", " B", " C", " D")),
    (PRIMER + "Q: when was it, and where?\nA:", (" Then", " There, and for a long time")),
    ("spaces at the end  ", ("one", "two")),
    ("", ("without a context", "x")),
]


@pytest.fixture(scope="module")
def policy() -> Policy:
    torch.set_num_threads(1)
    return load_policy("tiny-random", "float32")


@pytest.fixture(scope="module")
def plain() -> torch.nn.Module:
    return load_policy("tiny-random", "float32").model


def slow(plain, context: list[int], continuation: list[int]) -> Likelihood:
    """One text, no sharing."""
    with torch.no_grad():
        logits = plain(torch.tensor([[*context, *continuation]])).logits[0, len(context) - 1 : -1]
    ids = torch.tensor(continuation)
    total = logits.log_softmax(-1).gather(-1, ids[:, None]).sum()
    return Likelihood(float(total), bool((logits.argmax(-1) == ids).all()), len(ids))


def same(found: Likelihood, expected: Likelihood) -> bool:
    return found == Likelihood(
        pytest.approx(expected.total, abs=2e-5), expected.greedy, expected.tokens
    )


def test_every_continuation_has_the_plain_models_likelihood(policy: Policy, plain) -> None:
    calls: list[tuple[int, int]] = []
    saved: dict[int, list[Likelihood]] = {}
    engine = Engine(policy.model, policy.stop_ids)
    out = score(
        policy, engine, PAIRS, progress=lambda *at: calls.append(at), done=saved.__setitem__
    )
    for (context, continuations), found in zip(PAIRS, out, strict=True):
        for continuation, one in zip(continuations, found, strict=True):
            tokens = encode_pair(policy.tokenizer, context, continuation)
            assert same(one, slow(plain, *tokens)), (context, continuation)
    assert saved == dict(enumerate(out))
    assert calls[-1] == (5, 5)
    assert len(calls) == 5


def test_greedy_is_what_the_model_would_say(policy: Policy, plain) -> None:
    context = policy.encode("hello there")
    ids = list(context)
    for _ in range(4):
        with torch.no_grad():
            ids.append(int(plain(torch.tensor([ids])).logits[0, -1].argmax()))
    said = policy.tokenizer.decode(ids[len(context) :])
    # the weights are fixed: what they say here is text that reads back as the same tokens
    assert encode_pair(policy.tokenizer, "hello there", said)[1] == ids[len(context) :]
    engine = Engine(policy.model, policy.stop_ids)
    ((own, other),) = score(policy, engine, [("hello there", (said, said[:-1] + "~"))])
    assert own.greedy
    assert not other.greedy


def test_what_contexts_share_is_read_once(policy: Policy, monkeypatch) -> None:
    read: list[int] = []
    plain_read = layouts.read

    def counted(model, ids, layout):
        read.append(len(ids))
        return plain_read(model, ids, layout)

    monkeypatch.setattr(layouts, "read", counted)
    pairs = [(f"{PRIMER}Q: {i}?\nA:", (" A", " B", " C", " D")) for i in range(9)]
    score(policy, Engine(policy.model, policy.stop_ids), pairs)
    # one primer, and the rest of each question with four answers of which the last token is not read
    assert sum(read) <= len(PRIMER) + 9 * (len("Q: 1?\nA:") + 4)


def test_more_than_a_pass_holds(policy: Policy, monkeypatch) -> None:
    engine = Engine(policy.model, policy.stop_ids)
    expected = score(policy, engine, PAIRS)
    monkeypatch.setattr(likelihood, "TOKENS", 40)
    monkeypatch.setattr(likelihood, "LOGITS", 3)
    found = score(policy, engine, PAIRS)
    assert all(
        same(a, b) for x, y in zip(found, expected, strict=True) for a, b in zip(x, y, strict=True)
    )


def test_less_is_read_together_when_memory_runs_out(policy: Policy, monkeypatch) -> None:
    engine = Engine(policy.model, policy.stop_ids)
    pairs = [(f"{i} question {i}:", (" yes", " no")) for i in range(20)]
    expected = score(policy, engine, pairs)
    plain_read = layouts.read

    def short_of_memory(model, ids, layout):
        if len(ids) > 100:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return plain_read(model, ids, layout)

    monkeypatch.setattr(layouts, "read", short_of_memory)
    saved: list[int] = []
    found = score(policy, engine, pairs, done=lambda i, _: saved.append(i))
    assert sorted(saved) == list(range(20))
    assert engine.reading.limit == 64
    assert all(
        same(a, b) for x, y in zip(found, expected, strict=True) for a, b in zip(x, y, strict=True)
    )


def test_too_long_a_text_loses_its_beginning(policy: Policy, plain, monkeypatch) -> None:
    monkeypatch.setattr(likelihood, "longest_text", lambda model, tokenizer: 30)
    context, continuations = "abcdefgh" * 8, (" x", " longer")
    (found,) = score(policy, Engine(policy.model, policy.stop_ids), [(context, continuations)])
    for continuation, one in zip(continuations, found, strict=True):
        left, own = encode_pair(policy.tokenizer, context, continuation)
        assert same(one, slow(plain, left[len(own) - 31 :], own))


@pytest.mark.parametrize(
    ("context", "continuation"), [("a context", ""), ("", ""), ("   ", "x"), ("a", "x" * 5000)]
)
def test_what_has_no_likelihood_is_refused(policy: Policy, context: str, continuation: str) -> None:
    engine = Engine(policy.model, policy.stop_ids)
    with pytest.raises(UserError, match="token"):
        score(policy, engine, [(context, (continuation,))])


def test_nothing_asked(policy: Policy) -> None:
    engine = Engine(policy.model, policy.stop_ids)
    assert score(policy, engine, []) == []
    assert score(policy, engine, [("x", ())]) == [[]]
