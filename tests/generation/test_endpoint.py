"""The HTTP client against a real server around a real (tiny) model."""

from __future__ import annotations

import math
import socket
import time

import pytest
import torch

from awry.errors import UserError
from awry.generation.endpoint import Chat, Endpoint, RequestFailed
from awry.generation.engine import Engine, Request, Sampling, derive
from awry.models import Policy, load_policy
from serving import Fault, Script, serve

GREEDY = Sampling(8, temperature=0)


@pytest.fixture(scope="module")
def policy() -> Policy:
    torch.set_num_threads(1)
    return load_policy("tiny-random", "float32")


def endpoint(base_url: str, **settings) -> Endpoint:
    return Endpoint(base_url, "tiny-random", **{"pause": 0.01, "retries": 3, **settings})


def test_a_seeded_reply_is_the_engines_own_sample(policy: Policy) -> None:
    sampling = Sampling(12, 0.9)
    with serve(policy) as base_url, endpoint(base_url) as model:
        replies = model.chat("hello", sampling, seed=7, n=2)
    prompt = tuple(policy.encode(policy.render([{"role": "user", "content": "hello"}])))
    seeds = tuple(derive("serve", 7, i) for i in range(2))
    (group,) = Engine(policy.model, policy.stop_ids).sample([Request(prompt, seeds)], sampling)
    assert [r.text for r in replies] == [policy.decode(list(c.ids)) for c in group]
    assert [r.finished for r in replies] == [c.finished for c in group]
    assert replies[0].text != replies[1].text


def test_top_logprobs_are_those_of_the_model(policy: Policy) -> None:
    with serve(policy) as base_url, endpoint(base_url) as model:
        (reply,) = model.chat(
            [{"role": "system", "content": "Be short."}, {"role": "user", "content": "hm"}],
            Sampling(3, temperature=0),
            top_logprobs=5,
        )
        assert model.usage.requests == 1
        assert model.usage.completion_tokens == reply.tokens == 3
    messages = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "hm"}]
    ids = torch.tensor([policy.encode(policy.render(messages))])
    with torch.no_grad():
        expected = policy.model(ids).logits[0, -1].log_softmax(-1)
    assert len(reply.top_logprobs) == len(reply.logprobs) == 3
    first = sorted(reply.top_logprobs[0].values())
    # one-byte tokens beyond ASCII decode to the same text and are added up
    best = expected.topk(5)
    texts = {policy.tokenizer.decode([int(i)]) for i in best.indices}
    assert set(reply.top_logprobs[0]) == texts
    assert math.isclose(
        sum(math.exp(x) for x in first), float(best.values.exp().sum()), rel_tol=1e-5
    )
    assert reply.logprobs[0] == pytest.approx(float(best.values[0]), abs=1e-5)


def test_raw_prompts_and_given_beginnings_reach_the_model_as_they_are(policy: Policy) -> None:
    engine = Engine(policy.model, policy.stop_ids)
    rendered = policy.render([{"role": "user", "content": "hi"}])
    with serve(policy) as base_url, endpoint(base_url) as model:
        (raw,) = model.chat("Once upon", GREEDY, raw=True, top_logprobs=2)
        (begun,) = model.chat("hi", GREEDY, prefix="Sure")
    for reply, text in ((raw, "Once upon"), (begun, rendered + "Sure")):
        ((own,),) = engine.sample([Request(tuple(policy.encode(text)), (0,))], GREEDY)
        assert reply.text == policy.decode(list(own.ids))
    assert len(raw.top_logprobs) == len(raw.logprobs) == raw.tokens


@pytest.mark.parametrize(
    "fault",
    [Fault(429, headers=(("Retry-After", "0"),)), Fault(500), Fault(503), Fault(0),
     Fault(200, "not json")],
)  # fmt: skip
def test_what_passes_is_tried_again(policy: Policy, fault: Fault) -> None:
    script = Script(faults=[fault, fault])
    with serve(policy, script) as base_url, endpoint(base_url) as model:
        (reply,) = model.chat("hi", GREEDY)
        assert (model.usage.requests, model.usage.retries) == (1, 2)
    assert reply.tokens == 8
    assert script.requests[0] == script.requests[2]


def test_a_slow_answer_is_given_up_and_asked_again(policy: Policy) -> None:
    script = Script(faults=[Fault(200, wait=30)])
    begun = time.monotonic()
    with serve(policy, script) as base_url, endpoint(base_url) as model:
        assert model.chat("hi", GREEDY, timeout=1.0)[0].tokens == 8
        assert time.monotonic() - begun < 25
    assert len(script.requests) == 2


def test_retries_end_and_say_why(policy: Policy) -> None:
    script = Script(faults=[Fault(503, '{"error": {"message": "loading the model"}}')] * 9)
    asked = r"503: loading the model \(asked 3 times\)"
    with (
        serve(policy, script) as base_url,
        endpoint(base_url, retries=2) as model,
        pytest.raises(RequestFailed, match=asked),
    ):
        model.chat("hi", GREEDY)
    assert len(script.requests) == 3


def test_many_requests_keep_their_places_and_a_failed_one_stands_in_its_own(
    policy: Policy,
) -> None:
    def reply(body) -> str | None:
        time.sleep(0.02)
        return body["messages"][0]["content"].upper()

    script = Script(reply=reply)
    chats = [Chat(f"m{i}", GREEDY) for i in range(12)]
    chats[5] = Chat("m5", GREEDY, top_logprobs=50)  # more than the server allows: 400
    seen: list[int] = []
    with serve(policy, script) as base_url, endpoint(base_url, concurrency=4) as model:
        results = model.chat_all(chats, done=lambda i, _: seen.append(i))
    failed = results.pop(5)
    assert isinstance(failed, RequestFailed)
    assert "400: top_logprobs is at most 20" in str(failed)
    assert [r[0].text for r in results if not isinstance(r, RequestFailed)] == [
        f"M{i}" for i in range(12) if i != 5
    ]
    assert sorted(seen) == list(range(12))
    assert 1 < script.most_at_once <= 4
    assert len(script.requests) == 12, "a request that is itself wrong is not repeated"


@pytest.mark.parametrize(
    "body",
    ['{"choices": []}', '{"choices": [{"index": 0}]}', '{"choices": null}', "{}",
     '{"choices": [{"message": {"content": 3}}]}'],
)  # fmt: skip
def test_an_answer_in_another_format_is_a_failure_not_an_empty_text(policy, body: str) -> None:
    with (
        serve(policy, Script(faults=[Fault(200, body)])) as base_url,
        endpoint(base_url) as model,
        pytest.raises(RequestFailed, match=r"format|came"),
    ):
        model.chat("hi", GREEDY)


def test_the_key_comes_from_the_environment_and_a_wrong_one_is_said(policy, monkeypatch) -> None:
    script = Script(key="s3cret")
    with serve(policy, script) as base_url:
        with endpoint(base_url, api_key_env="AWRY_TEST_KEY") as model:
            with pytest.raises(UserError, match="not set") as missing:
                model.chat("hi", GREEDY)
            assert missing.value.value == "AWRY_TEST_KEY"
            monkeypatch.setenv("AWRY_TEST_KEY", "s3cret")
            assert model.chat("hi", GREEDY)
            monkeypatch.setenv("AWRY_TEST_KEY", "wr0ng")
            with pytest.raises(UserError, match="refused the key") as wrong:
                model.chat("hi", GREEDY)
            assert "wr0ng" not in wrong.value.render()
        with endpoint(base_url) as model, pytest.raises(UserError, match="401"):
            model.chat("hi", GREEDY)
    assert not [r for r in script.requests if "s3cret" in str(r)]


def test_an_unknown_model_stops_the_whole_batch(policy: Policy) -> None:
    script = Script(model="another")
    with (
        serve(policy, script) as base_url,
        endpoint(base_url, concurrency=1) as model,
        pytest.raises(UserError, match="no such model") as error,
    ):
        model.chat_all([Chat("hi", GREEDY)] * 50)
    assert "tiny-random" in error.value.render()
    assert len(script.requests) < 50


def test_where_nothing_listens_is_said_at_once() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (
        endpoint(f"http://127.0.0.1:{port}/v1", pause=60) as model,
        pytest.raises(UserError, match="nothing answers at this address"),
    ):
        model.chat("hi", GREEDY)


@pytest.mark.parametrize(
    "text", ["", "localhost:8000/v1", "ftp://x/v1", "http://", "http://x/?a=1"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="not the address"):
        Endpoint(text, "m")


def test_the_address_of_the_route_is_understood_too() -> None:
    with Endpoint("http://127.0.0.1:1/v1/chat/completions/", "m") as model:
        assert model.base_url == "http://127.0.0.1:1/v1"
