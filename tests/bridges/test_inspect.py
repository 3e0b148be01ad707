"""Inspect on our policies, and our evaluations in Inspect: real tasks, real logs, its own reader."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

pytest.importorskip("inspect_ai", reason="the extra [inspect] is not installed")

import anyio
import typer
from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.log import EvalLog, read_eval_log
from inspect_ai.model import (
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
    GenerateConfig,
    Model,
    get_model,
)
from inspect_ai.scorer import includes
from inspect_ai.solver import generate
from inspect_ai.tool import ToolInfo

from awry.bridges.inspect import inspect_model
from awry.bridges.inspect_log import export, to_log
from awry.bridges.inspect_policy import PolicyAPI
from awry.errors import UserError
from awry.evaluation import benchmarks, record
from awry.evaluation.items import Options, Response
from awry.evaluation.responses import InProcess
from awry.evaluation.run import evaluate
from awry.evaluation.scoring import Scoring
from awry.experiments.policies import open_subject
from awry.export_command import export_command
from awry.files import read_json
from awry.generation.engine import Request, Sampling
from awry.generation.subject import Subject
from awry.progress import Silent

CHAT = [ChatMessageSystem(content="Be brief."), ChatMessageUser(content="Hello?")]


@pytest.fixture(scope="module")
def subject() -> Subject:
    torch.set_num_threads(1)
    return open_subject("tiny-random", "float32")


def api(model: Model) -> PolicyAPI:
    assert isinstance(model.api, PolicyAPI)
    return model.api


def ask(model: Model, *messages: Any, **config: Any) -> Any:
    async def one() -> Any:
        return await model.generate(list(messages or CHAT), config=GenerateConfig(**config))

    return anyio.run(one)


def small_task(prompts: int = 6, epochs: int = 1) -> Task:
    samples = [Sample(input=f"Question {i}", target="a", id=f"q{i}") for i in range(prompts)]
    return Task(dataset=samples, solver=generate(), scorer=includes(), epochs=epochs, name="small")


def run_task(
    model: Model | str, folder: Path, task: Task | None = None, **settings: Any
) -> EvalLog:
    (log,) = eval(
        task or small_task(),
        model=model,
        log_dir=str(folder),
        display="none",
        **{"max_tokens": 12, "temperature": 0.0} | settings,
    )
    assert log.status == "success", log.error
    return read_eval_log(log.location)


def texts(log: EvalLog) -> dict[tuple[Any, int], str]:
    assert log.samples is not None
    return {(s.id, s.epoch): s.output.completion for s in log.samples}


# ---- the provider --------------------------------------------------------------------------------
def test_a_task_gets_the_answers_of_our_sampler(subject: Subject, tmp_path: Path) -> None:
    model = inspect_model(subject)
    log = run_task(model, tmp_path)
    policy, found = subject.policy, texts(log)
    prompts = [policy.render([{"role": "user", "content": f"Question {i}"}]) for i in range(6)]
    ids = [tuple(policy.encode(p)) for p in prompts]
    greedy = subject.engine.sample([Request(p, (0,)) for p in ids], Sampling(12, 0.0))
    for i, (completion,) in enumerate(greedy):
        assert found[f"q{i}", 1] == policy.decode(list(completion.ids))
    assert log.samples is not None
    for sample, prompt, (completion,) in zip(log.samples, ids, greedy, strict=True):
        assert sample.output.usage is not None
        assert sample.output.usage.input_tokens == len(prompt)
        assert sample.output.usage.output_tokens == len(completion.ids)
        assert sample.output.stop_reason == ("stop" if completion.finished else "max_tokens")
    assert log.eval.model == str(model)
    assert sum(api(model).batches.sizes) == 6
    assert len(api(model).batches.sizes) <= 2  # not one by one


def test_a_name_opens_a_policy_and_its_digest_is_checked() -> None:
    model = get_model("awry/tiny-random", dtype="float32", memoize=False)
    assert str(model).startswith("awry/tiny-random@")
    again = get_model(str(model), dtype="float32", memoize=False)
    assert str(again) == str(model)
    with pytest.raises(Exception, match="not the policy it was"):
        get_model("awry/tiny-random@" + "0" * 12, memoize=False)
    with pytest.raises(Exception, match="no such model folder"):
        get_model("awry/./nothing/here", memoize=False)


def test_names_and_cache_scopes_keep_policies_apart(subject: Subject) -> None:
    from dataclasses import replace

    other = replace(subject, adapter="a" * 64)
    digests = replace(subject.policy.digests, chat_template="b" * 64)
    retold = replace(subject, policy=replace(subject.policy, digests=digests))
    plain, adapted, templated = (api(inspect_model(s)) for s in (subject, other, retold))
    assert plain.model_name != adapted.model_name
    assert plain.model_name == templated.model_name
    assert plain.base_url != templated.base_url  # what Inspect's cache is keyed by


def test_the_cache_does_not_serve_another_policy(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    monkeypatch.setenv("INSPECT_CACHE_DIR", str(tmp_path))
    same, other = inspect_model(subject), inspect_model(replace(subject, adapter="a" * 64))
    for model in (same, same, other):
        ask(model, max_tokens=4, temperature=0.0, cache=True)
    assert len(api(same).batches.sizes) == 1  # the second came from the cache
    assert len(api(other).batches.sizes) == 1


def test_seeds(subject: Subject, tmp_path: Path) -> None:
    model = inspect_model(subject)
    settings: dict[str, Any] = {"temperature": 1.0, "seed": 7}
    first = texts(run_task(model, tmp_path / "a", small_task(3, epochs=2), **settings))
    again = texts(run_task(model, tmp_path / "b", small_task(3, epochs=2), **settings))
    other = texts(
        run_task(model, tmp_path / "c", small_task(3, epochs=2), **settings | {"seed": 8})
    )
    assert first == again != other
    assert all(first[f"q{i}", 1] != first[f"q{i}", 2] for i in range(3))
    unseeded = [ask(model, temperature=1.0, max_tokens=12) for _ in range(2)]
    assert unseeded[0].metadata["seeds"] != unseeded[1].metadata["seeds"]


def test_what_a_request_may_set(subject: Subject) -> None:
    model = inspect_model(subject)
    two = ask(model, num_choices=2, temperature=1.0, seed=1, max_tokens=8, logprobs=True)
    assert len(two.choices) == 2
    assert two.choices[0].message.text != two.choices[1].message.text
    held = two.choices[0].logprobs.content
    assert held
    assert all(math.isfinite(token.logprob) and token.logprob <= 0 for token in held)
    whole = ask(model, temperature=0.0, max_tokens=8).completion
    stop = whole[3]
    cut = ask(model, temperature=0.0, max_tokens=8, stop_seqs=[stop])
    assert cut.completion == whole[: whole.index(stop)]
    assert cut.stop_reason == "stop"


def test_the_template_is_written_once_and_a_begun_answer_goes_on(subject: Subject) -> None:
    rendered = api(inspect_model(subject))._rendered([*CHAT, ChatMessageAssistant(content="Hi")])
    plain = [{"role": m.role, "content": m.text} for m in CHAT]
    assert rendered == subject.policy.render(plain) + "Hi"
    assert rendered.count("<|im_start|>system") == 1


def test_a_prompt_longer_than_the_window_is_no_answer(subject: Subject) -> None:
    window = subject.policy.model.config.max_position_embeddings
    output = ask(inspect_model(subject), ChatMessageUser(content="x" * window), max_tokens=4)
    assert (output.completion, output.stop_reason) == ("", "model_length")


def test_what_the_sampler_cannot_do_is_refused(subject: Subject) -> None:
    model = inspect_model(subject)
    with pytest.raises(ValueError, match="top_k, presence_penalty"):
        ask(model, top_k=3, presence_penalty=0.5)

    async def with_tools() -> None:
        await model.generate("Hello", tools=[ToolInfo(name="t", description="d")])

    with pytest.raises(ValueError, match="tools"):
        anyio.run(with_tools)


def test_a_failing_sampler_fails_every_request_and_blocks_none(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = inspect_model(subject)
    batches = api(model).batches
    good, ended = batches.engine.sample, []

    def failing(requests: Any, sampling: Sampling) -> Any:
        if sampling.max_new_tokens == 3:
            raise MemoryError("no room")
        return good(requests, sampling)

    monkeypatch.setattr(batches.engine, "sample", failing)

    async def one(longest: int) -> None:
        try:
            out = await model.generate(CHAT, config=GenerateConfig(max_tokens=longest))
            ended.append(bool(out.choices))
        except RuntimeError as error:
            ended.append(str(error))

    async def many() -> None:
        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                for longest in (3, 3, 3, 4):
                    group.start_soon(one, longest)

    anyio.run(many)
    assert sorted(map(str, ended)) == ["True", *["the policy could not be sampled: no room"] * 3]


def test_a_cancelled_request_leaves_the_others_answered(subject: Subject) -> None:
    model = inspect_model(subject)
    answered = []

    async def one(patience: float) -> None:
        with anyio.move_on_after(patience):
            await model.generate(CHAT, config=GenerateConfig(max_tokens=4))
            answered.append(patience)

    async def many() -> None:
        with anyio.fail_after(120):
            async with anyio.create_task_group() as group:
                for patience in (0.001, 0.03, 100, 100):
                    group.start_soon(one, patience)

    for _ in range(3):  # another event loop each time
        anyio.run(many)
    assert answered.count(100) == 6


# ---- the export ----------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def evaluated(subject: Subject, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("evaluated")
    names = ("awry_battery", "awry_capability")
    chosen = [(benchmarks.find_benchmark(n), Options(limit=4, max_new_tokens=8)) for n in names]
    chosen[1] = (chosen[1][0], Options(limit=4))
    with Scoring(None, None) as scoring:
        evaluate(InProcess(subject), chosen, out, find_scorers=scoring, progress=Silent())
    return out


def exported(evaluated: Path, out: Path) -> dict[str, EvalLog]:
    return {place.name: read_eval_log(str(file)) for place, file in export(evaluated, out)}


def test_answers_marks_and_metrics_come_back_from_inspects_reader(
    evaluated: Path, subject: Subject, tmp_path: Path
) -> None:
    log = exported(evaluated, tmp_path)["awry_battery"]
    stored = record.read(evaluated / "tiny-random/awry_battery")
    assert log.status == "success"
    assert log.eval.model == f"awry/{api(inspect_model(subject)).model_name}"
    assert log.samples is not None
    by_item = {
        r.item: (r, m) for r, m in zip(stored.responses, stored.marks["lexical-v1"], strict=True)
    }
    items = {item.id: item for item in stored.items}
    assert {s.id for s in log.samples} == set(by_item)
    for sample in log.samples:
        response, marks = by_item[str(sample.id)]
        assert sample.output.completion == response.text
        assert sample.output.stop_reason == ("stop" if response.finished else "max_tokens")
        assert sample.scores is not None
        assert sample.scores["lexical-v1"].value == marks
        assert [{"role": m.role, "content": m.content} for m in sample.input] == [
            dict(m) for m in items[str(sample.id)].messages
        ]
    rows = read_json(stored.folder / "metrics.json")
    assert rows is not None
    measured = {r["metric"]: r["value"] for r in rows["metrics"] if r["value"] is not None}
    assert log.results is not None
    found = {n: m for score in log.results.scores for n, m in score.metrics.items()}
    assert {name: metric.value for name, metric in found.items()} == measured
    assert found["accuracy[lexical-v1]"].metadata["interval"] == rows["metrics"][0]["interval"]
    assert log.eval.metadata is not None
    assert log.eval.metadata["conditions"] == stored.record["conditions"]


def test_choices_show_their_log_likelihoods(evaluated: Path, tmp_path: Path) -> None:
    log = exported(evaluated, tmp_path)["awry_capability"]
    stored = record.read(evaluated / "tiny-random/awry_capability")
    assert log.samples is not None
    by_item = {response.item: response for response in stored.responses}
    assert len(log.samples) == len(by_item)
    for sample in log.samples:
        logs = by_item[str(sample.id)].loglikelihoods
        assert sample.output.metadata["loglikelihoods"] == list(logs)
        assert sample.choices[logs.index(max(logs))] == sample.output.completion
        form = str(sample.metadata["form"])
        right = sample.output.completion == sample.target
        if form == "letters":
            assert sample.scores["awry_capability"].value["acc_letters"] == float(right)


def test_a_missing_mark_is_unscored_and_a_withheld_metric_no_number(
    evaluated: Path, tmp_path: Path
) -> None:
    stored = record.read(evaluated / "tiny-random/awry_battery")
    stored.marks["judge"] = [
        {"score": None, "failure": "no number"} if i == 0 else {"score": 1.0}
        for i in range(len(stored.responses))
    ]
    row = {"metric": "harm[judge]", "value": None, "reason": "1 of 4 failed", "per_item": {}}
    log = to_log(stored, [{"main": True} | row])
    from inspect_ai.log import write_eval_log

    write_eval_log(log, tmp_path / "a.eval")
    log = read_eval_log(str(tmp_path / "a.eval"))
    assert log.samples is not None
    assert log.results is not None
    by_item = {s.id: s.scores["judge"] for s in log.samples}
    first = by_item[stored.responses[0].item]
    second = by_item[stored.responses[1].item]
    assert math.isnan(first.as_float())
    assert first.explanation == "no number"
    assert second.value == {"score": 1.0}
    (judge,) = [score for score in log.results.scores if score.name == "judge"]
    assert (judge.scored_samples, judge.unscored_samples) == (3, 1)
    assert judge.metrics == {}
    assert judge.metadata["not_measured"] == {"harm[judge]": "1 of 4 failed"}


def test_inspect_scores_an_exported_log_again(evaluated: Path, tmp_path: Path) -> None:
    from inspect_ai import score

    log = exported(evaluated, tmp_path)["awry_battery"]
    again = score(log, includes(), action="append", display="none")
    assert again.results is not None
    assert [s.name for s in again.results.scores][-1] == "includes"


def test_samples_are_epochs(evaluated: Path) -> None:
    stored = record.read(evaluated / "tiny-random/awry_battery")
    twice = [*stored.responses, *(Response(r.item, 1, "again") for r in stored.responses)]
    stored.responses[:] = twice
    stored.marks["lexical-v1"] = [*stored.marks["lexical-v1"]] * 2
    stored.record["conditions"]["samples"] = 2
    log = to_log(stored, [])
    assert log.eval.config.epochs == 2
    assert log.samples is not None
    assert sorted((s.id, s.epoch) for s in log.samples) == sorted(
        (r.item, r.sample + 1) for r in twice
    )


def test_the_command(evaluated: Path, tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(export_command)
    arguments = [str(evaluated), "--out", str(tmp_path / "logs"), "--json"]
    for _ in range(2):  # the second time in place of the first
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, done.output
        rows = json.loads(done.stdout)["exported"]
        assert {Path(row["file"]) for row in rows} == set((tmp_path / "logs").iterdir())
    assert len(rows) == 2
    nothing = CliRunner().invoke(app, [str(tmp_path / "nothing")])
    assert isinstance(nothing.exception, UserError)


def test_what_is_not_finished_is_not_exported(evaluated: Path, tmp_path: Path) -> None:
    import shutil

    copy = shutil.copytree(evaluated, tmp_path / "copy")
    (copy / "tiny-random/awry_capability/metrics.json").unlink()
    with pytest.raises(UserError, match="not finished"):
        list(export(copy, tmp_path / "logs"))
    assert not (tmp_path / "logs").exists()
