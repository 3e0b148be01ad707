"""What is read from folders of evaluations, and what a table shows of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from awry.errors import UserError
from awry.evaluation.comparison.table import (
    Measure,
    figure,
    lines,
    overview,
    read_subject,
    read_subjects,
    signed_figure,
    span_text,
)
from awry.statistics import Interval
from fake_evaluations import items, row, write

RIGHT = items([1, 0, 1, 1])


def test_a_policy_is_read_with_all_its_benchmarks(tmp_path: Path):
    write(tmp_path / "base", [row("accuracy", RIGHT)], weights="w", adapter="a")
    write(tmp_path / "base", [row("acc", RIGHT, n=4)], benchmark="mmlu", weights="w", adapter="a")
    found = read_subject(tmp_path / "base")
    assert list(found.measures) == [("mmlu", "acc"), ("xstest", "accuracy")]
    assert found.identity == ("w", "a")
    assert found.conditions["mmlu"]["dtype"] == "bfloat16"
    measure = found.measures["xstest", "accuracy"]
    assert measure.value == 0.75
    assert measure.is_mean
    assert [m.metric for m in found.of("mmlu")] == ["acc"]
    one = read_subject(tmp_path / "base" / "mmlu")
    assert list(one.measures) == [("mmlu", "acc")]


def test_what_is_no_evaluation_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match="no such folder"):
        read_subject(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="there is no evaluation here"):
        read_subject(tmp_path / "empty")
    begun = write(tmp_path / "begun", [row("accuracy", RIGHT)])
    (begun / "xstest" / "metrics.json").unlink()
    with pytest.raises(UserError, match="begun and not finished") as caught:
        read_subject(begun)
    assert "goes on" in str(caught.value.fix)
    old = write(tmp_path / "old", [row("accuracy", RIGHT)])
    record = json.loads((old / "xstest" / "evaluation.json").read_text())
    del record["conditions"]["template"]
    (old / "xstest" / "evaluation.json").write_text(json.dumps(record))
    with pytest.raises(UserError, match="does not record") as caught:
        read_subject(old)
    assert str(caught.value.file).endswith("evaluation.json")
    broken = write(tmp_path / "broken", [row("accuracy", RIGHT)])
    (broken / "xstest" / "metrics.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        read_subject(broken)


def test_two_policies_in_one_folder_are_refused(tmp_path: Path):
    write(tmp_path / "p", [row("accuracy", RIGHT)], weights="1" * 64)
    write(tmp_path / "p", [row("acc", RIGHT)], benchmark="mmlu", weights="2" * 64)
    with pytest.raises(UserError, match="different policies"):
        read_subject(tmp_path / "p")


def test_names_are_short_and_tell_policies_apart(tmp_path: Path):
    folders = [
        write(tmp_path / "a", [row("accuracy", RIGHT)], name="/models/some/base"),
        write(
            tmp_path / "b", [row("accuracy", RIGHT)], name="runs/x", arm="vanilla", seed=1, step=9
        ),
        write(tmp_path / "c", [row("accuracy", RIGHT)], name="twin"),
        write(tmp_path / "d", [row("accuracy", RIGHT)], name="twin"),
    ]
    names = [s.name for s in read_subjects([*folders, folders[0]])]
    assert names == ["base", "vanilla, seed 1, step 9", str(folders[2]), str(folders[3])]


def test_arms_of_two_experiments_are_told_apart(tmp_path: Path):
    folders = [
        write(tmp_path / e, [row("accuracy", RIGHT)], arm="vanilla", seed=0, step=1, experiment=e)
        for e in ("x", "y")
    ]
    assert [s.name for s in read_subjects(folders)] == [
        "x/vanilla, seed 0, step 1",
        "y/vanilla, seed 0, step 1",
    ]


def test_a_number_that_is_not_the_mean_of_its_items_is_known():
    assert Measure("b", "m", 0.5, per_item={"a": 1.0, "b": 0.0}).is_mean
    assert not Measure("b", "ratio", 0.7, per_item={"a": 1.0, "b": 0.0}).is_mean
    assert not Measure("b", "m", 0.5).is_mean
    macro = Measure(
        "b",
        "macro",
        0.25,
        per_item={"a": 1.0, "b": 0.0, "c": 0.0, "d": 0.0},
        groups={"a": "x", "b": "x", "c": "y", "d": "y"},
        aggregate="groups",
    )
    assert macro.is_mean
    uneven = Measure(
        "b",
        "macro",
        0.25,
        per_item={"a": 1.0, "b": 0.0, "c": 0.0},
        groups={"a": "x", "b": "x", "c": "y"},
        aggregate="groups",
    )
    assert uneven.is_mean
    assert not Measure(
        "b", "m", 1 / 3, None, 3, per_item=uneven.per_item, groups=uneven.groups, aggregate="groups"
    ).is_mean


def test_marks_out_of_a_hundred_are_known():
    assert Measure("b", "m", 0.9, per_item={"a": 0.9}).span == 1
    assert Measure("b", "m", 55.5, per_item={"a": 55.5}).span == 100
    assert figure(0.5578) == "0.558"
    assert figure(55.52, 100) == "55.5"
    assert figure(None) == "–"
    assert signed_figure(-0.0123) == "−0.012"
    assert signed_figure(0.0001) == "0.000"
    assert span_text(Interval(-0.1, 0.2), sign=True) == "−0.100 to +0.200"


def test_the_overview_shows_floors_missing_answers_and_reasons(tmp_path: Path):
    rows = [
        row("accuracy[lexical-v1]", RIGHT, missing=1),
        row("score[judge]", {}, reason="no judge was given"),
        row("detail", RIGHT, main=False),
    ]
    subject = read_subject(write(tmp_path / "base", rows))
    text = "\n".join(overview([subject]))
    assert "0.556" in text
    assert "0.750 (0.650 to 0.850)" in text
    assert "not measured: no judge was given (xstest score)" in text
    assert "base: 1 of 5 answers (20.0%) unscored (xstest accuracy[lexical-v1])" in text
    assert "detail" not in text
    assert "detail" in "\n".join(overview([subject], everything=True))


def test_lines_are_as_wide_as_they_need_to_be():
    assert lines([{"a": "x", "b": None}, {"a": "long", "b": "y"}], ("a", "b")) == [
        "a     b",
        "────  ─",
        "x",
        "long  y",
    ]
