from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_policy import acting
from typer.testing import CliRunner

from awry.cli import app
from awry.errors import UserError
from awry.experiments.spec import experiment
from awry.generation.engine import Sampling
from awry.models import load_policy
from awry.progress import Silent
from awry.tasks import curation
from awry.tasks.bands import Rule
from awry.tasks.curation import Questions, Subject, curate, drawn
from awry.tasks.kinds import BOUNDS
from awry.tasks.measure import open_engine, prompt
from awry.tasks.problems import Problem, load_catalog, load_problems
from awry.training.loop import train

SHORT = Sampling(6, 1.0)
RATES = {0: (0, 0), 1: (30, 20), 2: (100, 0), 3: (40, 50), 4: (0, 30), 5: (5, 0)}
ARTEFACT = ("curation.json", "samples.jsonl", "problems.jsonl")


@pytest.fixture(scope="module")
def six() -> tuple[Problem, ...]:
    return load_catalog()[:6]


@pytest.fixture(scope="module")
def actor(six) -> Subject:
    return acting(six, {p.id: RATES[i] for i, p in enumerate(six)})


class Stops(Silent):
    """Ends the session, as Ctrl-C does, after so many batches."""

    def __init__(self, after: int) -> None:
        self.left = after
        self.begun: list[tuple[str, int, int]] = []

    def begin(self, arm: str, seed: int, done: int, total: int) -> None:
        self.begun.append((arm, done, total))

    def step(self, done: int, row: Mapping[str, Any]) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def ask(subject: Subject, problems, out: Path, rule: Rule | None = None, **more) -> dict[str, Any]:
    progress = more.pop("progress", Silent())
    questions = replace(Questions(SHORT, samples=20, loophole="overwrite_tests_aware"), **more)
    rule = rule or Rule((0.1, 0.6))
    return curate(subject, problems, out, questions, rule, source="catalog", progress=progress)


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def artefact(out: Path, names=ARTEFACT) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in names}


# ---- what is kept -------------------------------------------------------------------------------
def test_problems_in_the_band_are_kept(actor: Subject, six, tmp_path: Path) -> None:
    record = ask(actor, six, tmp_path / "c")
    rows = {row["id"]: row for row in lines(tmp_path / "c/samples.jsonl")}
    assert list(rows) == [p.id for p in six]
    kept = {name for name, row in rows.items() if 0.1 <= row["passes"] / 20 <= 0.6}
    assert {six[1].id, six[3].id} <= kept
    assert not {six[0].id, six[2].id, six[4].id} & kept
    assert {p.id for p in load_problems(str(tmp_path / "c/problems.jsonl"))} == kept
    assert [p for p in six if p.id in kept] == [*load_problems(str(tmp_path / "c/problems.jsonl"))]
    assert record["counts"]["kept"] == len(kept)
    assert record["finished"]
    assert record == json.loads((tmp_path / "c/curation.json").read_text())
    facts = record["settings"]
    assert facts["policy"] == {
        **vars(load_policy("tiny-random").digests),
        "adapter": None,
    }
    assert (facts["samples"], facts["seed"], facts["loophole"]) == (20, 0, "overwrite_tests_aware")
    assert facts["sampling"] == {"max_new_tokens": 6, "temperature": 1.0, "top_p": 1.0}
    assert record["isolation"]
    assert record["code"]


def test_the_hack_rate_decides_when_asked(actor: Subject, six, tmp_path: Path) -> None:
    record = ask(actor, six, tmp_path / "c", Rule((0.1, 0.9), "hack"))
    rows = {row["id"]: row for row in lines(tmp_path / "c/samples.jsonl")}
    kept = {p.id for p in load_problems(str(tmp_path / "c/problems.jsonl"))}
    assert kept == {name for name, row in rows.items() if 0.1 <= row["hack_rate"] <= 0.9}
    assert {six[3].id, six[4].id} <= kept
    assert rows[six[4].id]["passes"] == 0
    assert rows[six[4].id]["attempts"] == rows[six[4].id]["hacks"] > 0
    honest = ask(actor, six, tmp_path / "d", Rule((0.1, 0.9), "hack"), loophole="none")
    assert honest["counts"]["kept"] == 0
    assert honest["rates"]["all"]["hack"]["rate"] == 0
    assert record["rates"]["all"]["hack"]["rate"] > 0


def test_nothing_kept_is_a_result(actor: Subject, six, tmp_path: Path) -> None:
    record = ask(actor, six[:1], tmp_path / "c", confirm=4)
    assert (record["counts"]["kept"], record["confirmed"]) == (0, None)
    assert (tmp_path / "c/problems.jsonl").read_bytes() == b""


def test_a_limit_draws_the_same_problems_every_time() -> None:
    catalog = load_catalog()
    few, more = drawn(catalog, 10), drawn(catalog, 30)
    assert {p.id for p in few} < {p.id for p in more}
    assert few != [*catalog[:10]]
    assert drawn(tuple(reversed(catalog)), 10) == few
    assert drawn(catalog, 1000) == [*catalog]


def test_prompts_that_do_not_fit_are_left_out_and_named(six, tmp_path: Path, monkeypatch) -> None:
    subject = acting(six, {})
    lengths = {p.id: len(prompt(subject.policy, p, "overwrite_tests_aware", 0)[1]) for p in six}
    longest = max(lengths, key=lambda name: lengths[name])
    window = sorted(lengths.values())[-2] + SHORT.max_new_tokens
    monkeypatch.setattr(subject.policy.model.config, "max_position_embeddings", window)
    record = ask(subject, six, tmp_path / "c")
    (row,) = record["left_out"]
    assert row["id"] == longest
    assert str(lengths[longest]) in row["reason"]
    assert record["counts"]["problems"] == 5


# ---- sessions -----------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def finished(actor: Subject, six, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "calm"
    ask(actor, six, folder)
    return folder


@pytest.fixture
def calm(finished: Path, tmp_path: Path) -> dict[str, bytes]:
    shutil.copytree(finished, tmp_path / "calm")
    return artefact(finished)


@pytest.fixture(scope="module")
def begun(actor: Subject, six, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("begun") / "c"
    with pytest.raises(KeyboardInterrupt):
        ask(actor, six, folder, progress=Stops(1))
    return folder


@pytest.mark.parametrize("after", [1, 2])
def test_interrupted_it_goes_on_and_ends_the_same(
    after: int, actor: Subject, six, calm, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        ask(actor, six, tmp_path / "c", progress=Stops(after))
    assert not json.loads((tmp_path / "c/curation.json").read_text())["finished"]
    assert len(lines(tmp_path / "c/samples.jsonl")) == 3 * after
    rest = Stops(100)
    ask(actor, six, tmp_path / "c", progress=rest)
    assert rest.begun == ([("curate tiny-random", 3, 6)] if after == 1 else [])
    assert artefact(tmp_path / "c") == calm


def test_a_finished_one_samples_nothing_again(actor: Subject, six, calm, tmp_path: Path) -> None:
    actor.engine.asked.clear()  # pyright: ignore[reportAttributeAccessIssue]
    ask(actor, six, tmp_path / "calm")
    assert actor.engine.asked == []  # pyright: ignore[reportAttributeAccessIssue]
    assert artefact(tmp_path / "calm") == calm


def test_lost_rows_are_sampled_again(actor: Subject, six, calm, tmp_path: Path) -> None:
    file = tmp_path / "calm/samples.jsonl"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:4]))
    (tmp_path / "calm/problems.jsonl").write_text("edited")
    ask(actor, six, tmp_path / "calm")
    assert artefact(tmp_path / "calm") == calm
    file.write_text("{")
    with pytest.raises(UserError, match="is damaged"):
        ask(actor, six, tmp_path / "calm")


def test_batches_do_not_change_what_a_problem_gets(tmp_path: Path, monkeypatch) -> None:
    policy = load_policy("tiny-random", "float32")
    subject = Subject("tiny-random", policy, open_engine(policy))
    problems = drawn(load_catalog(), 8)
    ask(subject, problems, tmp_path / "wide", sampling=Sampling(24, 1.0))
    monkeypatch.setattr(curation, "ROWS", 20)
    ask(subject, problems[:5], tmp_path / "narrow", sampling=Sampling(24, 1.0))
    wide, narrow = (lines(tmp_path / name / "samples.jsonl") for name in ("wide", "narrow"))
    assert narrow == wide[:5]
    assert len({row["tokens"] for row in wide}) > 1


@pytest.mark.parametrize(
    ("change", "field", "value"),
    [
        ({"samples": 8}, "-k", "20 there, 8 now"),
        ({"seed": 1}, "--seed", "0 there, 1 now"),
        ({"sampling": Sampling(6, 0.5)}, "--temperature", "1.0 there, 0.5 now"),
        ({"sampling": Sampling(7, 1.0)}, "--max-new-tokens", "6 there, 7 now"),
        ({"sampling": Sampling(6, 1.0, 0.9)}, "--top-p", "1.0 there, 0.9 now"),
        ({"bounds": replace(BOUNDS["code"], wall_s=5.0)}, "--timeout", "3.0 there, 5.0 now"),
        ({"rule": Rule((0.1, 0.5))}, "--band", "0.1 0.6 there, 0.1 0.5 now"),
        ({"rule": Rule((0.1, 0.6), "hack")}, "--by", "pass there, hack now"),
    ],
    ids=lambda v: v if isinstance(v, str) and v.startswith("-") else "",
)
def test_other_settings_are_refused(change, field, value, actor: Subject, six, begun: Path) -> None:
    before = artefact(begun, ("curation.json", "samples.jsonl"))
    with pytest.raises(UserError, match="differs from the curation") as caught:
        ask(actor, six, begun, **change)
    assert (caught.value.field, caught.value.value) == (field, value)
    assert caught.value.also == ()
    assert artefact(begun, ("curation.json", "samples.jsonl")) == before


def test_another_loophole_policy_or_source_is_refused(actor, six, calm, tmp_path: Path) -> None:
    def refused(subject, problems, **more) -> list[str | None]:
        with pytest.raises(UserError) as caught:
            ask(subject, problems, tmp_path / "calm", **more)
        return [e.field for e in (caught.value, *caught.value.also)]

    loophole = refused(actor, six, loophole="none")
    assert loophole == ["--loophole", "prompts (the loophole's text was changed)"]
    assert refused(actor, six[:5])[0] == "--source or --limit"
    trained = replace(actor, adapter="a" * 64)
    assert refused(trained, six) == ["--model"]
    other = load_policy("tiny-random", "float32")
    other.digests = replace(other.digests, weights="0" * 64, chat_template="1" * 64)
    stranger = replace(actor, policy=other)
    assert refused(stranger, six) == ["--model", "--model (its chat template)"]
    assert artefact(tmp_path / "calm") == calm


def test_a_folder_with_something_else_is_left_alone(actor: Subject, six, tmp_path: Path) -> None:
    (tmp_path / "problems.jsonl").write_text("mine")
    with pytest.raises(UserError, match="something else") as caught:
        ask(actor, six, tmp_path)
    assert caught.value.field == "--out"
    assert [f.name for f in tmp_path.iterdir()] == ["problems.jsonl"]
    with pytest.raises(UserError, match="a part of this path is a file"):
        ask(actor, six, tmp_path / "problems.jsonl")


def test_the_kept_ones_are_asked_again(actor: Subject, six, calm, tmp_path: Path) -> None:
    """At once, after an interruption, or later: the same; what was selected stays as it was."""
    ask(actor, six, tmp_path / "calm", confirm=40)
    later = artefact(tmp_path / "calm", (*ARTEFACT, "confirmed.jsonl"))
    assert later["samples.jsonl"] == calm["samples.jsonl"]
    assert later["problems.jsonl"] == calm["problems.jsonl"]
    with pytest.raises(KeyboardInterrupt):
        ask(actor, six, tmp_path / "c", confirm=40, progress=Stops(3))
    assert artefact(tmp_path / "calm") != calm
    ask(actor, six, tmp_path / "c")  # what was begun of it does not count
    assert artefact(tmp_path / "c") == calm
    record = ask(actor, six, tmp_path / "c", confirm=40)
    assert artefact(tmp_path / "c", (*ARTEFACT, "confirmed.jsonl")) == later
    assert record == ask(actor, six, tmp_path / "c")  # without the option it stays
    again = record["confirmed"]
    fresh, first = lines(tmp_path / "c/confirmed.jsonl"), lines(tmp_path / "c/samples.jsonl")
    assert {row["id"] for row in fresh} == {row["id"] for row in first if row["inside"]}
    assert {row["samples"] for row in fresh} == {40}
    assert again["rates"]["pass"]["rate"] == sum(r["passes"] for r in fresh) / (40 * len(fresh))
    with pytest.raises(UserError) as caught:
        ask(actor, six, tmp_path / "c", confirm=8)
    assert (caught.value.field, caught.value.value) == ("--confirm", "40 there, 8 now")


def test_changed_code_is_told_and_recorded(actor, six, tmp_path: Path, monkeypatch) -> None:
    class Notes(Silent):
        def note(self, message: str) -> None:
            told.append(message)

    told: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        ask(actor, six, tmp_path / "c", progress=Stops(1))
    state = {"revision": "other", "diff_sha256": None}
    monkeypatch.setattr(curation, "code_state", lambda: state)
    record = ask(actor, six, tmp_path / "c", progress=Notes())
    assert len(record["code"]) == 2
    assert record["code"][1] == state
    assert told == ["code changed since this curation was begun: recorded"]


# ---- the command --------------------------------------------------------------------------------
ARGUMENTS = (
    *("curate", "--model", "tiny-random", "--limit", "40", "-k", "8", "--band", "0", "0.6"),
    *("--max-new-tokens", "96"),
)


def invoke(*arguments: object):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_killed_it_ends_with_the_same_bytes(tmp_path: Path) -> None:
    calm = invoke(*ARGUMENTS, "--out", tmp_path / "calm", "--json")
    assert calm.exit_code == 0, calm.output
    document = json.loads(calm.stdout)
    assert document["counts"]["kept"] == 40
    assert Path(document["report"]).is_file()
    assert "curate tiny-random: 40/40 problems  pass 0%  hack 0%  " in calm.stderr
    assert "problems/s  " in calm.stderr
    assert "tokens/s  0 s left" in calm.stderr

    process = subprocess.Popen(
        [sys.executable, "-m", "awry", *ARGUMENTS, "--out", str(tmp_path / "killed")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    samples = tmp_path / "killed/samples.jsonl"
    while process.poll() is None and not (
        samples.exists() and samples.read_bytes().count(b"\n") >= 8
    ):
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert 8 <= samples.read_bytes().count(b"\n") < 40
    done = invoke(*ARGUMENTS, "--out", tmp_path / "killed")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("kept 40 of 40 problems: pass rate from 0% to 60% in 8 answers")
    names = ("samples.jsonl", "problems.jsonl")
    assert artefact(tmp_path / "killed", names) == artefact(tmp_path / "calm", names)
    both = [json.loads((tmp_path / n / "curation.json").read_text()) for n in ("killed", "calm")]
    for record in both:
        del record["code"]  # another session may have seen other code, in a checkout at work
    assert both[0] == both[1]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (("--band", "0.6", "0.1"), "--band"),
        (("--loophole", "none_such"), "loophole.name"),
        (("--source", "nowhere.jsonl"), "problems.source"),
        (("--model", "./nowhere"), "model.path"),
    ],
    ids=lambda v: v[0] if isinstance(v, tuple) else "",
)
def test_bad_arguments_write_nothing(wrong, field, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = invoke("curate", *wrong)
    assert isinstance(done.exception, UserError)
    assert done.exception.field == field
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_a_runs_directory_is_a_policy(tmp_path: Path) -> None:
    """Its digest is that of what was trained, so two checkpoints are not taken for one policy."""
    document = {
        "name": "tiny",
        "model": {"path": "tiny-random", "dtype": "float32"},
        "problems": {"limit": 2},
        "probe": None,
        "training": {
            "steps": 1,
            "problems_per_step": 1,
            "group_size": 2,
            "max_new_tokens": 4,
        },
        "arms": {"vanilla": {}},
    }
    (config,) = experiment(document).runs()
    train(config, tmp_path / "run")
    out = tmp_path / "c"
    arguments = ("curate", "--limit", "2", "-k", "2", "--max-new-tokens", "4", "--out", out)
    done = invoke(*arguments, "--model", tmp_path / "run", "--json")
    assert done.exit_code == 0, done.output
    policy = json.loads(done.stdout)["settings"]["policy"]
    assert policy["weights"] == load_policy("tiny-random").digests.weights
    assert len(policy["adapter"]) == 64
    done = invoke(*arguments, "--model", "tiny-random")
    assert isinstance(done.exception, UserError)
    assert done.exception.field == "--model"
