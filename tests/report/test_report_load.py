"""Reading directories as they are found: finished, unfinished, damaged, or no experiment at all."""

from __future__ import annotations

import json
import shutil

import fake_direction
import pytest
from fake_experiment import VANILLA, write_experiment

from awry.errors import UserError
from awry.report.load import load_experiment, read_texts

ONE = {"vanilla": VANILLA}


def run_dir(experiment):
    return load_experiment(experiment).runs[0].directory


@pytest.mark.parametrize("absolute", [False, True])
def test_run_directories_may_be_relative_to_the_output_or_absolute(tmp_path, absolute):
    directory = write_experiment(tmp_path, arms=ONE, steps=2, absolute=absolute)
    (run,) = load_experiment(directory).runs
    assert run.steps_done == 2
    assert len(run.rollouts) == 64
    assert run.problems == ()


def test_the_experiment_directory_may_be_given_relative(tmp_path, monkeypatch):
    write_experiment(tmp_path, arms=ONE, steps=2)
    monkeypatch.chdir(tmp_path / "quickstart")
    from pathlib import Path

    assert load_experiment(Path(".")).runs[0].steps_done == 2


def test_an_unfinished_run_keeps_its_partial_curves(tmp_path):
    directory = write_experiment(tmp_path, arms=ONE, steps=9, stop_after={"vanilla": 4})
    (run,) = load_experiment(directory).runs
    assert (run.steps_done, run.steps_planned, run.done) == (4, 9, None)
    assert run.status == "running"


def test_a_run_that_never_started_is_listed_with_a_note(tmp_path):
    directory = write_experiment(tmp_path, arms=ONE, steps=2)
    shutil.rmtree(run_dir(directory))
    (run,) = load_experiment(directory).runs
    assert run.rollouts == ()
    assert any("not started" in note for note in run.problems)


def test_a_line_cut_off_by_a_kill_is_noted_and_the_rest_is_kept(tmp_path):
    directory = write_experiment(tmp_path, arms=ONE, steps=3)
    path = run_dir(directory) / "metrics.jsonl"
    path.write_text(path.read_text()[:-30])
    (run,) = load_experiment(directory).runs
    assert run.steps_done == 2
    assert any("middle of a line" in note for note in run.problems)


def test_line_separators_inside_a_message_do_not_split_the_line(tmp_path):
    directory = write_experiment(tmp_path, arms=ONE, steps=2)
    path = run_dir(directory) / "events.jsonl"
    path.write_text(json.dumps({"step": 0, "kind": "x", "message": "a\u2028b"}, ensure_ascii=False))
    (run,) = load_experiment(directory).runs
    assert [event["message"] for event in run.events] == ["a\u2028b"]


def test_a_repeated_step_after_a_resume_counts_once_and_the_last_one_wins(tmp_path):
    directory = write_experiment(tmp_path, arms=ONE, steps=3)
    path = run_dir(directory) / "metrics.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text(path.read_text() + json.dumps({**rows[1], "hack_rate": 0.123}) + "\n")
    (run,) = load_experiment(directory).runs
    assert [row["step"] for row in run.metrics] == [0, 1, 2]
    assert run.metrics[1]["hack_rate"] == 0.123


@pytest.mark.parametrize("content", [b"not parquet", b""])
def test_an_unreadable_rollout_file_is_named(tmp_path, content):
    directory = write_experiment(tmp_path, arms=ONE, steps=3)
    (run_dir(directory) / "rollouts" / "step_000001.parquet").write_bytes(content)
    (run,) = load_experiment(directory).runs
    assert {r.step for r in run.rollouts} == {0, 2}
    assert any("step_000001.parquet" in note for note in run.problems)
    assert {row["step"] for row in read_texts(run, [0, 1, 2])} == {0, 2}


def test_texts_carry_the_number_of_completion_tokens(tmp_path):
    import pyarrow.parquet as pq

    directory = write_experiment(tmp_path, arms=ONE, steps=2)
    (run,) = load_experiment(directory).runs
    raw = pq.read_table(run.directory / "rollouts" / "step_000001.parquet").to_pylist()
    rows = list(read_texts(run, [1]))
    assert [row["tokens"] for row in rows] == [len(row["completion_ids"]) for row in raw]
    assert [row["completion"] for row in rows] == [row["completion"] for row in raw]


def test_cosines_are_read_where_a_run_has_them(tmp_path):
    import pyarrow.parquet as pq

    section = fake_direction.SECTION
    new = write_experiment(tmp_path / "new", arms=ONE, steps=2, direction=section)
    old = write_experiment(tmp_path / "old", arms=ONE, steps=2)
    (run,) = load_experiment(new).runs
    raw = pq.read_table(run.directory / "rollouts" / "step_000000.parquet").to_pylist()
    first = [r for r in run.rollouts if r.step == 0]
    assert [r.cosine for r in first] == [row["cosine"] for row in raw]
    assert [r.alignment for r in first] == [row["alignment"] for row in raw]
    assert {r.cosine for r in run.rollouts if r.step == 1} == {None}
    assert [row["cosine"] for row in read_texts(run, [0])] == [row["cosine"] for row in raw]
    (run,) = load_experiment(old).runs
    assert {r.cosine for r in run.rollouts} == {None}
    assert {row["alignment"] for row in read_texts(run, [0])} == {None}
    assert run.problems == ()


def test_missing_preflight_is_told_apart_from_an_empty_one(tmp_path):
    directory = write_experiment(tmp_path, arms=ONE, steps=2)
    (directory / "preflight.json").write_text("[]")
    assert load_experiment(directory).preflight == ()
    (directory / "preflight.json").unlink()
    assert load_experiment(directory).preflight is None


@pytest.mark.parametrize("content", ["{", "{}", "[3]", '[{"name": "x"}]'])
def test_a_broken_preflight_is_refused_with_the_file_named(tmp_path, content):
    directory = write_experiment(tmp_path, arms=ONE, steps=2)
    (directory / "preflight.json").write_text(content)
    with pytest.raises(UserError) as caught:
        load_experiment(directory)
    assert "preflight.json" in caught.value.render()


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (None, "no experiment.json"),
        ("{", "not readable"),
        ("[]", "not a JSON object"),
        ('{"runs": 3}', "not a list"),
        ('{"runs": []}', "no training run"),
        ('{"runs": [{"arm": "a"}]}', "lacks seed, dir"),
        ('{"runs": ["a"]}', "lacks arm"),
    ],
)
def test_a_directory_that_is_no_experiment_is_refused_with_the_file_named(tmp_path, content, word):
    if content is not None:
        (tmp_path / "experiment.json").write_text(content)
    with pytest.raises(UserError, match=word) as caught:
        load_experiment(tmp_path)
    assert "experiment.json" in caught.value.render()


def test_stages_other_than_training_are_left_alone(tmp_path):
    directory = write_experiment(tmp_path, arms=ONE, steps=2)
    path = directory / "experiment.json"
    record = json.loads(path.read_text())
    record["runs"].append({"arm": "vanilla", "seed": 0, "stage": "evaluate", "dir": "elsewhere"})
    path.write_text(json.dumps(record))
    assert len(load_experiment(directory).runs) == 1
