"""Sampling with shared prompts against the plain model, row by row."""

from __future__ import annotations

import pytest
import torch

from awry.generation import attention
from awry.generation.engine import ROWS, Engine, Request, Sampling, choose
from awry.models import Policy, load_policy

PROMPTS = ("hello", "a much longer prompt, so that padding happens", "x")


@pytest.fixture(scope="module")
def policy() -> Policy:
    torch.set_num_threads(1)
    return load_policy("tiny-random", "float32")


@pytest.fixture(scope="module")
def plain() -> torch.nn.Module:
    return load_policy("tiny-random", "float32").model


def requests(policy: Policy, seeds: tuple[int, ...]) -> list[Request]:
    texts = [policy.render([{"role": "user", "content": p}]) for p in PROMPTS]
    return [Request(tuple(policy.encode(t)), seeds) for t in texts]


def slow_logprobs(model, prompt, ids, temperature: float) -> torch.Tensor:
    """One row, no cache, no sharing."""
    with torch.no_grad():
        logits = model(torch.tensor([[*prompt, *ids]])).logits[0, len(prompt) - 1 : -1]
    return (logits / temperature).log_softmax(-1).gather(-1, torch.tensor(ids)[:, None])[:, 0]


def test_logprobs_are_those_of_the_plain_model(policy: Policy, plain) -> None:
    asked = requests(policy, (1, 2, 3))
    out = Engine(policy.model, policy.stop_ids).sample(asked, Sampling(40, 0.8))
    lengths = set()
    for request, group in zip(asked, out, strict=True):
        for completion in group:
            expected = slow_logprobs(plain, request.prompt, completion.ids, 0.8)
            assert torch.allclose(expected, torch.tensor(completion.logprobs), atol=2e-6)
            lengths.add(len(completion.ids))
    assert len(lengths) > 1, "rows must end at different steps for the test to cover dropping"


def test_tokens_are_those_of_a_slow_sampler(policy: Policy, plain) -> None:
    request = requests(policy, (11,))[1]
    sampling = Sampling(12, 1.1, top_p=0.9)
    (completion,) = Engine(policy.model, policy.stop_ids).sample([request], sampling)[0]
    uniforms = torch.empty(12).uniform_(generator=torch.Generator().manual_seed(11))
    ids: list[int] = []
    for u in uniforms:
        with torch.no_grad():
            logits = plain(torch.tensor([[*request.prompt, *ids]])).logits[0, -1]
        probabilities = (logits / 1.1).softmax(-1)
        ranked, order = probabilities.sort(descending=True)
        nucleus = order[: int((ranked.cumsum(0) - ranked < 0.9).sum())]
        mask = torch.zeros_like(probabilities).index_fill(0, nucleus, 1.0)
        heights = (probabilities * mask).cumsum(0)
        ids.append(int((heights <= u * heights[-1]).sum()))
        if ids[-1] in policy.stop_ids:
            break
    assert list(completion.ids) == ids


def test_a_completion_does_not_depend_on_its_neighbours(policy: Policy) -> None:
    engine = Engine(policy.model, policy.stop_ids)
    together = engine.sample(requests(policy, (1, 2, 3)), Sampling(30))
    alone = engine.sample([requests(policy, (2,))[2]], Sampling(30))
    assert together[2][1].ids == alone[0][0].ids


def test_order_and_progress_over_several_batches(policy: Policy) -> None:
    seeds = tuple(range(ROWS // 2 + 1))
    seen: list[tuple[int, int]] = []
    out = Engine(policy.model, policy.stop_ids).sample(
        requests(policy, seeds),
        Sampling(2),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert [len(group) for group in out] == [len(seeds)] * 3
    assert seen[-1] == (3 * len(seeds), 3 * len(seeds))
    assert len(seen) == 3


def test_greedy_takes_the_best_token() -> None:
    logits = torch.tensor([[0.0, 2.0, 1.0]])
    chosen, logprob = choose(logits, torch.zeros(1), Sampling(1, temperature=0))
    assert chosen.tolist() == [1]
    assert torch.allclose(logprob, logits.log_softmax(-1)[:, 1])


def test_sampled_frequencies_are_the_probabilities() -> None:
    logits = torch.tensor([[1.0, 0.0, -1.0, 0.5]])
    uniforms = (torch.arange(20_000) + 0.5) / 20_000
    chosen, _ = choose(logits.expand(20_000, -1), uniforms, Sampling(1, temperature=0.7))
    shares = torch.bincount(chosen, minlength=4) / 20_000
    assert torch.allclose(shares, (logits[0] / 0.7).softmax(-1), atol=1e-3)


@pytest.mark.parametrize("lengths", [[5, 5, 5], [7, 1, 4], [3]])
def test_shared_prefix_is_causal_attention_on_each_row(policy: Policy, plain, lengths) -> None:
    attention.install(policy.model)
    generator = torch.Generator().manual_seed(3)
    prompt = torch.randint(3, 200, (9,), generator=generator).tolist()
    completions = [torch.randint(3, 200, (n,), generator=generator).tolist() for n in lengths]
    layout = attention.SharedPrefix(len(prompt), lengths)
    flat = torch.tensor([[*prompt, *(t for c in completions for t in c)]])
    with torch.no_grad():
        hidden = attention.run(policy.model, flat, layout.positions, layout)[0]
        start = len(prompt)
        for completion in completions:
            row = torch.tensor([[*prompt, *completion]])
            expected = plain.get_decoder()(row).last_hidden_state[0]  # pyright: ignore
            assert torch.allclose(hidden[:9], expected[:9], atol=1e-5)
            part = hidden[start : start + len(completion)]
            assert torch.allclose(part, expected[9:], atol=1e-5)
            start += len(completion)


def test_other_attention_is_refused(policy: Policy) -> None:
    model = load_policy("tiny-random", "float32").model
    model.config.sliding_window = 8
    assert not attention.supports_layouts(model)
    with pytest.raises(ValueError, match="does not attend plainly"):
        Engine(model, policy.stop_ids)
