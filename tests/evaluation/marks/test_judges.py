"""Judges against a real HTTP server around a policy."""

from __future__ import annotations

import ast
import csv
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from awry.errors import UserError
from awry.evaluation.items import Ask, Choose, Response
from awry.evaluation.marks.judge_cache import JudgeCache, key
from awry.evaluation.marks.judges import Judge, JudgeConfig, JudgeScorer
from awry.evaluation.marks.rubrics import find_rubric
from awry.generation.endpoint import Chat, ChatReply
from awry.generation.engine import Sampling
from awry.models import Policy, load_policy
from serving import Fault, Script, serve

DATA = Path(__file__).parents[4] / "shared/data"
GOOD = "It helps.\nrefused: 0\nconvincing: 4\nspecific: 3"


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load_policy("tiny-random", "float32")


def asked(count: int) -> tuple[list[Ask], list[Response]]:
    items = [Ask(f"i{n}", ({"role": "user", "content": f"question {n}"},)) for n in range(count)]
    return items, [Response(item.id, 0, f"answer to {item.id}") for item in items]


def config(base_url: str, **options: Any) -> JudgeConfig:
    return JudgeConfig(base_url, "grader", **({"retries": 1, "pause": 0.001} | options))


def grade(
    judge_config: JudgeConfig, count: int = 4, kind: str = "strongreject"
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    items, responses = asked(count)
    with Judge(judge_config) as judge:
        scorer = JudgeScorer(judge, find_rubric(kind, "own", judge_config.numbers))
        return scorer.score(items, responses), judge.costs()


def said(text: str | Callable[[dict[str, Any]], str]) -> Script:
    return Script(reply=text if callable(text) else lambda body: text)


def chat_body(text: str, top: dict[str, float] | None = None) -> str:
    tokens = [{"token": token, "logprob": value} for token, value in (top or {}).items()]
    content = [{"token": text, "logprob": 0.0, "top_logprobs": tokens}] if top else None
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": "stop",
        "logprobs": {"content": content} if content else None,
    }
    return json.dumps({"choices": [choice], "usage": {"prompt_tokens": 10, "completion_tokens": 1}})


def test_a_judge_marks_answers_and_counts_its_cost(policy: Policy) -> None:
    script = said(GOOD)
    with serve(policy, script) as url:
        seen: list[tuple[int, int]] = []
        items, responses = asked(3)
        with Judge(config(url, prices=(1.0, 1000.0))) as judge:
            scorer = JudgeScorer(judge, find_rubric("strongreject", "own"))
            marks = scorer.score(items, responses, lambda d, t: seen.append((d, t)))
            costs = judge.costs()
    assert marks == [{"refused": 0, "convincing": 4, "specific": 3, "score": 0.625}] * 3
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert scorer.name == "judge:grader:awry-strongreject-v1"
    assert costs["requests"] == 3
    assert costs["dollars"] == pytest.approx(
        (costs["prompt_tokens"] + 1000 * costs["completion_tokens"]) / 1e6
    )
    body = script.requests[0]
    assert (body["model"], body["temperature"], body["seed"]) == ("grader", 0.0, 0)
    texts = sorted(b["messages"][-1]["content"] for b in script.requests)
    for n, text in enumerate(texts):
        assert f"question {n}" in text
        assert f"answer to i{n}" in text


def test_requests_run_at_once_up_to_the_limit(policy: Policy) -> None:
    script = said(GOOD)
    script.faults = [Fault(200, wait=0.2) for _ in range(8)]
    with serve(policy, script) as url:
        grade(config(url, concurrency=4), 8)
    assert 2 <= script.most_at_once <= 4


def test_malformed_answers_are_missing_not_zero(policy: Policy) -> None:
    def reply(body: dict[str, Any]) -> str:
        return "I will not grade this." if "question 1" in str(body) else GOOD

    with serve(policy, said(reply)) as url:
        marks, costs = grade(config(url))
    assert [m["score"] for m in marks] == [0.625, None, 0.625, 0.625]
    assert set(marks[1]) == {"refused", "convincing", "specific", "score", "failure"}
    assert "malformed" in marks[1]["failure"]
    assert "I will not grade this." in marks[1]["failure"]
    assert "failure" not in marks[0]
    assert costs["malformed"] == 1


def test_failed_requests_are_missing_and_asked_again_later(policy: Policy, tmp_path: Path) -> None:
    script = said(GOOD)
    script.faults = [Fault(503)] * 4  # two requests, each asked twice
    with serve(policy, script) as url:
        options = config(url, concurrency=1, cache=tmp_path / "cache.sqlite")
        marks, costs = grade(options)
        assert [m["score"] for m in marks] == [None, None, 0.625, 0.625]
        assert "503" in marks[0]["failure"]
        assert costs["failed"] == 2
        marks, costs = grade(options)
        assert [m["score"] for m in marks] == [0.625] * 4
        assert (costs["requests"], costs["cached"], costs["failed"]) == (2, 2, 0)


def test_the_cache_answers_without_the_server(policy: Policy, tmp_path: Path) -> None:
    cache = tmp_path / "deep/cache.sqlite"
    with serve(policy, said(GOOD)) as url:
        first, _ = grade(config(url, cache=cache))
    again, costs = grade(config(url, cache=cache))  # the server is gone
    assert again == first
    assert (costs["requests"], costs["cached"]) == (0, 4)
    with pytest.raises(UserError, match="nothing answers"):
        grade(config(url, cache=cache), 5)


def test_what_came_before_an_error_is_kept(policy: Policy, tmp_path: Path) -> None:
    script = said(GOOD)
    script.faults = [Fault(200), Fault(200), Fault(401)]
    cache = tmp_path / "cache.sqlite"
    with serve(policy, script) as url:
        with pytest.raises(UserError, match="401"):
            grade(config(url, concurrency=1, cache=cache), 6)
        before = len(script.requests)
        _, costs = grade(config(url, concurrency=1, cache=cache), 6)
    assert costs["cached"] >= 2
    assert len(script.requests) - before == 6 - costs["cached"]


def test_equal_requests_are_sent_once(policy: Policy) -> None:
    script = said(GOOD)
    item = Ask("i", ({"role": "user", "content": "q"},))
    responses = [Response("i", n, "the same") for n in range(5)]
    with serve(policy, script) as url, Judge(config(url)) as judge:
        marks = JudgeScorer(judge, find_rubric("xstest", "own")).score([item], responses)
        assert len(script.requests) == 1
        assert judge.malformed == 5
    assert len(marks) == 5


def test_everything_that_matters_is_in_the_key() -> None:
    chat = Chat([{"role": "user", "content": "a"}], Sampling(5, 0.0), 0)
    others = [
        replace(chat, messages=[{"role": "user", "content": "b"}]),
        replace(chat, messages=[{"role": "system", "content": "a"}]),
        replace(chat, sampling=Sampling(6, 0.0)),
        replace(chat, sampling=Sampling(5, 0.5)),
        replace(chat, sampling=Sampling(5, 0.0, 0.9)),
        replace(chat, seed=1),
        replace(chat, n=2),
        replace(chat, logprobs=True),
        replace(chat, top_logprobs=5),
        replace(chat, prefix="x"),
        replace(chat, raw=True),
    ]
    keys = {key("http://a/v1", "m", c) for c in [chat, *others]}
    keys |= {key("http://b/v1", "m", chat), key("http://a/v1", "n", chat)}
    assert len(keys) == len(others) + 3
    assert key("http://a/v1", "m", replace(chat)) in keys


def test_replies_come_back_from_the_cache_as_they_were(tmp_path: Path) -> None:
    cache = JudgeCache(tmp_path / "c.sqlite")
    replies = [ChatReply("é\n", "stop", 3, (-0.1, -2.5), ({"8": -0.25, "é": -1.0},))]
    cache.put("k", replies)
    other = JudgeCache(tmp_path / "c.sqlite")  # another process
    assert other.get("k") == replies
    assert other.get("none") is None
    assert len(other) == 1


def test_a_file_that_is_no_cache(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    path.write_text("this is a text, and long enough to be no empty database\n" * 50)
    with pytest.raises(UserError, match="cache of judged answers"):
        JudgeCache(path)


@pytest.mark.skipif(not DATA.is_dir(), reason="no public benchmark files here")
def test_released_scores_come_out_of_the_wire(policy: Policy, tmp_path: Path) -> None:
    """Betley et al.'s 140 probabilities sent as log-probabilities by a server, read by the scorer."""
    path = DATA / "betley/qwen_25_coder_32b_instruct_insecure_examples.csv"
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    judged = {"aligned": "Rate {question}: {answer}", "coherent": "Coherent? {question}: {answer}"}
    items = [
        Ask(str(n), ({"role": "user", "content": r["question"]},), facts={"judge": judged})
        for n, r in enumerate(rows)
    ]
    responses = [Response(str(n), 0, f"{n}. {r['answer']}") for n, r in enumerate(rows)]
    faults = [Fault(200, chat_body("85", {"85": -0.01}))]  # whole numbers are tokens
    for name in ("aligned", "coherent"):
        for row in rows:
            top = {t: math.log(p) for t, p in ast.literal_eval(row[f"judge_{name}"]).items()}
            faults.append(Fault(200, chat_body(max(top, key=lambda t: top[t]), top)))
    script = Script(faults=faults)
    with serve(policy, script) as url, Judge(config(url, concurrency=1)) as judge:
        for name in ("aligned", "coherent"):
            scorer = JudgeScorer(judge, find_rubric(f"betley_{name}"))
            assert scorer.name == f"judge:grader:betley_{name}-v1"
            marks = scorer.score(items, responses)
            worst = max(
                abs(float(m["score"] or -1) - float(r[name]))
                for m, r in zip(marks, rows, strict=True)
            )
            assert worst < 1e-9
    body = script.requests[1]
    assert (body["max_tokens"], body["temperature"], body["top_logprobs"]) == (1, 0.0, 20)


def test_no_number_is_an_answer_and_no_logprobs_is_none(policy: Policy) -> None:
    faults = [
        Fault(200, chat_body("85", {"85": -0.01})),
        Fault(200, chat_body("CODE", {"CODE": -0.1, "90": -3.0})),
        Fault(200, chat_body("90")),
    ]
    with serve(policy, Script(faults=faults)) as url:
        marks, _ = grade(config(url, concurrency=1), 2, "betley_aligned")
    assert marks[0] == {"score": None, "mass": pytest.approx(math.exp(-3))}
    assert marks[1]["score"] is None
    assert "no log-probabilities" in marks[1]["failure"]


def test_a_judge_that_writes_digits_is_found_out(policy: Policy) -> None:
    for probe in (chat_body("8", {"8": -0.01, "9": -5.0}), chat_body("8")):
        with (
            serve(policy, Script(faults=[Fault(200, probe)])) as url,
            pytest.raises(UserError, match="digit by digit"),
        ):
            grade(config(url), 1, "betley_coherent")


def test_sampled_numbers(policy: Policy) -> None:
    script = said("70")
    with serve(policy, script) as url:
        marks, _ = grade(config(url, numbers="samples", number_samples=3), 2, "betley_aligned")
    assert marks == [{"score": 70.0, "mass": 1.0}] * 2
    assert (script.requests[0]["n"], script.requests[0]["temperature"]) == (3, 1.0)


def test_a_random_model_as_judge_gives_missing_marks_only(policy: Policy) -> None:
    with serve(policy) as url:
        marks, costs = grade(config(url, max_new_tokens=8), 3, "xstest")
    assert [m["class"] for m in marks] == [None] * 3
    assert costs["malformed"] == 3
    assert costs["completion_tokens"] > 0


def test_the_question_is_the_items_own_and_the_answer_whole(policy: Policy) -> None:
    script = said("class: full_refusal")
    messages = (
        {"role": "system", "content": "SYSTEM"},
        {"role": "user", "content": "FIRST"},
        {"role": "assistant", "content": "MIDDLE"},
        {"role": "user", "content": "LAST"},
    )
    items = [
        Ask("a", messages, prefix="Well, "),
        Ask("b", messages, facts={"question": "OWN"}),
        Choose("c", "x", (" y",)),
    ]
    responses = [Response("a", 0, "no."), Response("b", 0, "no."), Response("c", 0)]
    with serve(policy, script) as url, Judge(config(url, concurrency=1)) as judge:
        marks = JudgeScorer(judge, find_rubric("xstest", "own")).score(items, responses)
    first, second = (r["messages"][-1]["content"] for r in script.requests)
    assert "\nLAST\n" in first
    assert "\nWell, no.\n" in first
    assert "\nOWN\n" in second
    assert "LAST" not in second
    assert marks[:2] == [{"class": "full_refusal"}] * 2
    assert marks[2] == {"class": None, "failure": "not an answer in words"}


def test_the_identity_tells_what_changes_marks(policy: Policy) -> None:
    with serve(policy) as url, Judge(config(url, key_env="SECRET_NAME")) as judge:
        rubric = find_rubric("strongreject", "own")
        identity = JudgeScorer(judge, rubric).identity
    assert json.loads(json.dumps(identity)) == identity
    assert (identity["judge"], identity["rubric_digest"]) == ("grader", rubric.digest)
    assert "SECRET_NAME" not in json.dumps(identity)
