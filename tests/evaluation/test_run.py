from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_benchmark import LOST, PICKS, WORDS_BENCHMARK, Counting, Letters, contents, odd, tiny

from awry.errors import UserError
from awry.evaluation import record
from awry.evaluation.items import Ask, Benchmark, Loaded, Options
from awry.evaluation.responses import InProcess, Served, open_endpoint
from awry.evaluation.run import evaluate, load_all, rescore
from awry.models import load_policy
from awry.progress import Silent
from serving import Fault, Script, serve

PLAIN = Options()
RESULTS = ("evaluation.json", "items.jsonl", "responses.parquet", "metrics.json")


@pytest.fixture(scope="module")
def respondent() -> InProcess:
    return tiny()


class Stops(Silent):
    """Ends the session, as Ctrl-C does, when so many answers are saved or on the way."""

    def __init__(self, at: int) -> None:
        self.at = at

    def step(self, done: int, row: Mapping[str, Any]) -> None:
        if done >= self.at:
            raise KeyboardInterrupt


def run(
    respondent: Any,
    out: Path,
    *chosen: tuple[Benchmark, Options],
    scorers: Any = lambda benchmark: [Letters()],
    **options: Any,
) -> dict[str, Any]:
    return evaluate(
        respondent,
        chosen or ((WORDS_BENCHMARK, PLAIN), (PICKS, PLAIN)),
        out,
        find_scorers=scorers,
        **{"progress": Silent(), "batch": 4} | options,
    )


@pytest.fixture(scope="module")
def calm(respondent: InProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("calm")
    run(respondent, out)
    return out


def test_what_a_folder_holds(calm: Path, respondent: InProcess) -> None:
    folder = calm / "tiny-random/words"
    assert sorted(f.name for f in folder.iterdir()) == sorted((*RESULTS, "scores", "timings.jsonl"))
    stored = record.read(folder)
    assert [(r.item, r.sample) for r in stored.responses[:3]] == [
        *(("word/apple", 0), ("word/apple", 1), ("word/bread", 0)),
    ]
    assert len(stored.responses) == 18
    asked = stored.record["conditions"]
    assert asked["prompt"] == "chat and raw"
    assert asked["template"] == respondent.policy.digests.chat_template
    assert asked["sampling"] == {"max_new_tokens": 6, "temperature": 1.0, "top_p": 1.0}
    assert asked["scorers"] == {"letters:a": {"letter": "a", "version": 1}}
    assert stored.record["finished"]
    texts = {r.text for r in stored.responses}
    assert len(texts) > 9  # each sample has its own seed
    raw = record.read(calm / "tiny-random/picks").record["conditions"]
    assert (raw["prompt"], raw["template"], raw["sampling"]) == ("raw", None, None)


def test_metrics_have_intervals_of_their_items(calm: Path) -> None:
    document = record.read_metrics(calm / "tiny-random")["words"]
    (row,) = [r for r in document["metrics"] if r["metric"] == "rate[letters:a]"]
    assert row["value"] == pytest.approx(sum(row["per_item"].values()) / 9)
    assert row["interval"][0] < row["value"] < row["interval"][1]
    assert row["groups"]["word/apple"] == "even"
    assert document["conditions"]["scorers"]["letters:a"]["letter"] == "a"


def test_log_likelihoods_are_those_of_the_model(calm: Path, respondent: InProcess) -> None:
    stored = record.read(calm / "tiny-random/picks")
    item, response = stored.items[0], stored.responses[0]
    policy = respondent.policy
    context = policy.tokenizer.encode(item.context)
    for text, found in zip(item.continuations, response.loglikelihoods, strict=True):
        ids = policy.tokenizer.encode(item.context + text)
        with torch.inference_mode():
            logits = policy.model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
        own = [logits[i - 1, ids[i]].item() for i in range(len(context), len(ids))]
        assert found == pytest.approx(sum(own), abs=1e-4)


@pytest.mark.parametrize("at", [1, 4, 5, 11, 17, 18])
def test_an_interrupted_evaluation_ends_the_same(
    at: int, calm: Path, respondent: InProcess, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(respondent, tmp_path, progress=Stops(at))
    engine = respondent.engine
    assert isinstance(engine, Counting)
    saved = record.read_parts(tmp_path / "tiny-random/words")
    engine.asked.clear()
    run(respondent, tmp_path)
    assert contents(tmp_path) == contents(calm)
    assert sum(len(seeds) for call in engine.asked for _, seeds in call) == 18 - len(saved)


def test_batches_stay_those_of_the_first_session(
    calm: Path, respondent: InProcess, tmp_path: Path
) -> None:
    """They decide how answers round: another machine's own size must not change them midway."""
    with pytest.raises(KeyboardInterrupt):
        run(respondent, tmp_path, (WORDS_BENCHMARK, PLAIN), progress=Stops(5))
    engine = respondent.engine
    assert isinstance(engine, Counting)
    engine.asked.clear()
    run(respondent, tmp_path, (WORDS_BENCHMARK, PLAIN), batch=14)
    assert {len(call) for call in engine.asked} == {1, 2}
    words = "tiny-random/words"
    assert contents(tmp_path / words) == contents(calm / words)


def test_what_is_done_is_not_asked_again(calm: Path, respondent: InProcess, tmp_path: Path) -> None:
    shutil.copytree(calm, tmp_path / "again")
    engine = respondent.engine
    assert isinstance(engine, Counting)
    engine.asked.clear()
    scorer = Letters()
    run(respondent, tmp_path / "again", scorers=lambda benchmark: [scorer])
    assert (engine.asked, scorer.scored) == ([], 0)
    assert contents(tmp_path / "again") == contents(calm)


def test_a_kill_between_one_file_and_its_parts_loses_nothing(
    calm: Path, respondent: InProcess, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(respondent, tmp_path, (WORDS_BENCHMARK, PLAIN), progress=Stops(17))
    folder = tmp_path / "tiny-random/words"
    # as a kill leaves it after the one file, before the record names it
    shutil.copy(calm / "tiny-random/words/responses.parquet", folder)
    (folder / ".evaluation.json.123.partial").write_text("{")
    run(respondent, tmp_path)
    assert contents(tmp_path) == contents(calm)


def test_other_settings_in_the_same_folder_are_refused(
    calm: Path, respondent: InProcess, tmp_path: Path
) -> None:
    shutil.copytree(calm, tmp_path / "there")
    before = contents(tmp_path / "there")

    def refused(who: Any = respondent, options: Options = PLAIN, **more: Any) -> list[str | None]:
        with pytest.raises(UserError) as found:
            run(who, tmp_path / "there", (WORDS_BENCHMARK, options), **more)
        return [found.value.field, *(error.field for error in found.value.also)]

    assert refused(seed=1) == ["--seed"]
    assert refused(options=Options(limit=3)) == [
        *("--benchmark (its data)", "--limit", "--benchmark (how it asks)"),
    ]
    assert refused(options=Options(max_new_tokens=5, temperature=0.5, samples=3)) == [
        *("--max-new-tokens", "--temperature", "--samples"),
    ]
    other = tiny()
    other.policy = replace(
        other.policy,
        dtype=torch.bfloat16,
        digests=replace(other.policy.digests, chat_template="other", weights="more"),
    )
    assert refused(other) == ["PATH (its chat template)", "--dtype", "PATH (its weights)"]
    assert contents(tmp_path / "there") == before


def test_a_foreign_folder_is_left_alone(respondent: InProcess, tmp_path: Path) -> None:
    folder = tmp_path / "tiny-random/words"
    folder.mkdir(parents=True)
    (folder / "thesis.tex").write_text("mine")
    with pytest.raises(UserError, match="something else") as found:
        run(respondent, tmp_path, (WORDS_BENCHMARK, PLAIN))
    assert found.value.field == "--out"
    assert [f.name for f in folder.iterdir()] == ["thesis.tex"]


def test_two_processes_do_not_write_one_folder(respondent: InProcess, tmp_path: Path) -> None:
    folder = tmp_path / "tiny-random/words"
    folder.mkdir(parents=True)
    with record.alone(folder), pytest.raises(UserError, match="another process"):
        run(respondent, tmp_path, (WORDS_BENCHMARK, PLAIN))


def test_missing_data_is_told_at_once_and_nothing_is_written(
    respondent: InProcess, tmp_path: Path
) -> None:
    lost = ((LOST, PLAIN), (WORDS_BENCHMARK, PLAIN), (replace(LOST, name="too"), PLAIN))
    with pytest.raises(UserError, match="not here") as found:
        run(respondent, tmp_path, *lost)
    assert len(found.value.also) == 1
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UserError):
        load_all(lost)


def test_prompts_longer_than_the_window_are_left_out_and_counted(
    respondent: InProcess, tmp_path: Path
) -> None:
    def load(options: Options) -> Loaded:
        long = Ask("long", ({"role": "user", "content": "x" * 5000},), facts={"kind": "odd"})
        return Loaded((long, *WORDS_BENCHMARK.load(options).items[:2]), {})

    done = run(respondent, tmp_path, (replace(WORDS_BENCHMARK, load=load), PLAIN))
    stored = record.read(Path(done["folder"]) / "words")
    assert [row["id"] for row in stored.record["left_out"]] == ["long"]
    assert "exceed 4096 tokens" in stored.record["left_out"][0]["reason"]
    assert {r.item for r in stored.responses} == {"word/apple", "word/bread"}
    (row, _) = done["benchmarks"]["words"]["metrics"]
    assert row["n"] == 4


def test_several_samples_of_one_greedy_answer_are_refused(
    respondent: InProcess, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="the same answer") as found:
        run(respondent, tmp_path, (WORDS_BENCHMARK, Options(temperature=0.0)))
    assert found.value.field == "--samples"
    run(respondent, tmp_path, (WORDS_BENCHMARK, Options(temperature=0.0, samples=1)))


# ---- scoring -------------------------------------------------------------------------------------
def find(name: str) -> Benchmark:
    return {"words": WORDS_BENCHMARK, "picks": PICKS}[name]


def rates(document: Mapping[str, Any]) -> dict[str, float | None]:
    return {r["metric"]: r["value"] for r in document["metrics"] if r["metric"] != "finished"}


def test_answers_are_scored_again_without_the_policy(calm: Path, tmp_path: Path) -> None:
    shutil.copytree(calm, tmp_path / "again")
    folder = tmp_path / "again/tiny-random/words"
    answers = (folder / "responses.parquet").read_bytes()
    place, scorer = tmp_path / "again", Letters("e")
    done = rescore(place, find, lambda b: [scorer] if b.name == "words" else [], Silent())
    texts = [r.text or "" for r in record.read(folder).responses]
    found = rates(done[str(folder)])
    assert found.keys() == {"rate[letters:a]", "rate[letters:e]"}  # the other scorer's stays
    assert found["rate[letters:e]"] == pytest.approx(sum(odd(t, "e") for t in texts) / 18)
    assert (folder / "responses.parquet").read_bytes() == answers
    again = Letters("e")
    rescore(folder, find, lambda b: [again], Silent())
    assert again.scored == 0  # nothing about it changed
    newer = Letters("e", version=2)
    rescore(folder, find, lambda b: [newer], Silent())
    assert newer.scored == 18
    assert record.read(folder).record["conditions"]["scorers"]["letters:e"]["version"] == 2


def test_failed_marks_are_missing_and_are_asked_for_again(calm: Path, tmp_path: Path) -> None:
    shutil.copytree(calm / "tiny-random/words", tmp_path / "words")
    failing = Letters("e", fails=("word/apple",))
    (document,) = rescore(tmp_path, find, lambda b: [failing], Silent()).values()
    (row,) = [r for r in document["metrics"] if r["metric"] == "rate[letters:e]"]
    assert (row["value"], row["missing"], row["per_item"]) == (None, 2, {})  # 2 of 18: withheld
    assert "11.1%" in row["reason"]
    assert record.read(tmp_path / "words").record["scores"]["letters:e"]["missing"] == 2
    (document,) = rescore(tmp_path, find, lambda b: [Letters("e")], Silent()).values()
    assert rates(document)["rate[letters:e]"] is not None


def test_only_what_is_whole_is_scored(calm: Path, respondent: InProcess, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no evaluation here"):
        rescore(tmp_path, find, lambda b: [], Silent())
    with pytest.raises(KeyboardInterrupt):
        run(respondent, tmp_path / "half", (WORDS_BENCHMARK, PLAIN), progress=Stops(5))
    with pytest.raises(UserError, match="not finished"):
        rescore(tmp_path / "half", find, lambda b: [], Silent())
    shutil.copytree(calm / "tiny-random/words", tmp_path / "words")
    newer = replace(WORDS_BENCHMARK, version=2)
    with pytest.raises(UserError, match="version 2 of words"):
        rescore(tmp_path / "words", lambda name: newer, lambda b: [], Silent())
    with (tmp_path / "words/items.jsonl").open("a") as stream:
        stream.write("\n")
    with pytest.raises(UserError, match="was changed"):
        rescore(tmp_path / "words", find, lambda b: [], Silent())


# ---- endpoints -----------------------------------------------------------------------------------
CHATS = replace(
    WORDS_BENCHMARK, load=lambda options: Loaded(WORDS_BENCHMARK.load(options).items[1:8:2], {})
)


def test_an_endpoint_answers_and_what_failed_is_asked_again(tmp_path: Path) -> None:
    policy = load_policy("tiny-random", "float32")
    # one retry: three faults in a row fail at least one request
    script = Script(faults=[Fault(400, "no")])
    with serve(policy, script) as url:
        served = open_endpoint(f"openai:tiny@{url}", key_env=None, concurrency=2)
        served.endpoint.pause = 0.01
        with pytest.raises(UserError, match="1 of 8 answers did not come: 400") as found:
            run(served, tmp_path, (CHATS, PLAIN))
        assert "only what is missing" in (found.value.fix or "")
        assert len(script.requests) == 8
        done = run(served, tmp_path, (CHATS, PLAIN))
        assert len(script.requests) == 9  # the failed one alone
    stored = record.read(Path(done["folder"]) / "words")
    assert [(r.item, r.sample) for r in stored.responses] == [
        (item.id, i) for item in stored.items for i in range(2)
    ]
    conditions = stored.record["conditions"]
    assert (conditions["engine"], conditions["template"]) == ("endpoint", None)
    assert len({body["seed"] for body in script.requests}) == 8
    assert stored.record["subject"]["slug"] == "tiny-at-127.0.0.1"


def test_an_endpoint_cannot_tell_log_likelihoods(tmp_path: Path) -> None:
    served = open_endpoint("openai:a/b@http://127.0.0.1:1/v1", key_env=None, concurrency=1)
    assert isinstance(served, Served)
    assert served.endpoint.model == "a/b"
    with pytest.raises(UserError, match="does not tell") as found:
        run(served, tmp_path, (PICKS, PLAIN))
    assert found.value.field == "--benchmark"
    for wrong in ("openai:model", "openai:@http://x", "openai:m@ftp://x"):
        with pytest.raises(UserError, match="not an endpoint"):
            open_endpoint(wrong, key_env=None, concurrency=1)


def test_records_are_json(calm: Path) -> None:
    for file in calm.rglob("*.json"):
        json.loads(file.read_text(), parse_constant=lambda name: pytest.fail(name))
