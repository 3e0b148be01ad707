"""Evaluations of an experiment's runs in its report: which belong, what is said or refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from fake_evaluated import BASE, NAME, WEIGHTS, evaluate_base, evaluate_run, run_places
from fake_experiment import write_experiment

from awry.errors import UserError
from awry.evaluation.comparison.compare import Margins
from awry.report import build_report, to_json, write_report
from fake_evaluations import items, row, write


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    return write_experiment(tmp_path_factory.mktemp("runs"), seeds=(0, 1), steps=4)


@pytest.fixture
def home(template: Path) -> Path:
    """An experiment without evaluations; whatever a test puts there is removed before the next."""
    import shutil

    shutil.rmtree(template / "evaluations", ignore_errors=True)
    return template


def section(page: Path) -> str:
    text = page.read_text()
    found = re.search(r'<section id="evaluation".*?</section>', text, re.S)
    assert found is not None
    assert '<a href="#evaluation">' in text
    return re.sub(r"\s+", " ", found[0])


def document(home: Path, **options):
    data = build_report(home, **options)
    write_report(data)
    return json.loads((home / "report.json").read_text())["evaluations"]


def test_arms_are_compared_with_the_model_they_started_from(evaluated, evaluated_html) -> None:
    own = evaluated.evaluations
    assert own.comparison.baseline.name.startswith("base ")
    sides = [(side.name, len(side.runs)) for side in own.comparison.others]
    assert sides == [("vanilla", 2), ("baseline", 2), ("zero", 1)]
    assert all(run.step == 20 for side in own.comparison.others for run in side.runs)
    rows = [row for row in own.comparison.rows if row.metric == NAME]
    assert [row.before.value for row in rows] == [0.8] * 3
    assert rows[0].after.value == pytest.approx(0.4)
    assert rows[0].over_seeds
    text = section(evaluated_html)
    assert "6 comparisons: " in text
    assert text.count('<svg class="where"') == 3
    assert text.count('<svg class="chart"') == 1
    assert "vanilla, mean over seeds" in text
    assert "p, Holm" in text
    assert "template</td><td>bbbbbbbbbbbb</td>" in text


def test_what_is_not_there_and_what_does_not_belong_is_named(evaluated, evaluated_html) -> None:
    own = evaluated.evaluations
    assert own.notes == ("zero, seed 1 was not evaluated",)
    ((folder, why),) = own.left_out
    assert folder == "another"
    assert why.startswith("of another experiment, another ")
    text = section(evaluated_html)
    assert "zero, seed 1 was not evaluated" in text
    assert "Left out of " in text
    assert "<img" not in text


def test_json_is_that_of_compare(evaluated) -> None:
    found = to_json(evaluated)["evaluations"]
    assert found["refused"] is None
    assert found["comparison"]["rows"][0]["benchmark"] == "xstest"
    assert [side["name"] for side in found["comparison"]["against"]] == [
        *("vanilla", "baseline", "zero")
    ]
    assert len(found["checkpoints"]["rows"]) == 11
    json.dumps(found, allow_nan=False)


def test_colours_are_those_of_the_experiments_arms(home: Path) -> None:
    for seed in (0, 1):
        for step in (2, 4):
            evaluate_run(home, "zero", seed, step)
            evaluate_run(home, "baseline", seed, step)
    found = build_report(home)
    text = section(write_report(found))
    (chart,) = re.findall(r'<svg class="chart".*?</svg>', text)
    assert set(re.findall(r"line arm-(\d)", chart)) == {"1", "2"}
    own = found.evaluations
    assert own is not None
    assert own.comparison is not None
    assert own.comparison.baseline.name == "baseline"  # no base model: the first arm


def test_other_conditions_are_refused_and_the_report_is_written(home: Path) -> None:
    evaluate_base(home)
    evaluate_run(home, "vanilla", 0, 4, conditions={"dtype": "float32"})
    found = document(home)
    assert found["comparison"] is None
    assert found["checkpoints"] is None
    assert found["refused"]["message"].endswith("same conditions: dtype")
    assert found["refused"]["also"][0]["field"] == "dtype"
    assert "bfloat16 in base" in found["refused"]["also"][0]["message"]
    text = section(home / "report.html")
    assert "Not compared" in text
    assert "<p>These evaluations were not made under the same conditions: dtype." in text
    assert "float32 in vanilla, seed 0, step 4" in text
    assert "0.8" not in text
    whole = (home / "report.html").read_text()
    assert "The evaluations are not compared: these evaluations were not made" in whole
    assert '<section id="rollouts"' in whole


def test_an_earlier_checkpoint_under_other_conditions_is_not_charted(home: Path) -> None:
    evaluate_base(home)
    evaluate_run(home, "vanilla", 0, 2, conditions={"limit": 7})
    evaluate_run(home, "vanilla", 0, 4)
    found = document(home)
    assert found["comparison"]["rows"]
    assert found["checkpoints"] is None
    assert found["checkpoints_refused"]["also"][0]["field"] == "limit"
    assert "Not beside each other" in section(home / "report.html")


def test_runs_that_the_first_policy_cannot_vouch_for_are_checked_too(home: Path) -> None:
    write(
        home / "evaluations" / "base", [row(NAME, items(BASE))], benchmark="mmlu", weights=WEIGHTS
    )
    evaluate_run(home, "vanilla", 0, 4)
    evaluate_run(home, "zero", 0, 4, conditions={"samples": 3})
    found = document(home)
    assert found["refused"]["message"] == "these evaluations have no metric in common"
    assert found["checkpoints_refused"]["also"][0]["field"] == "samples"
    assert "samples" in section(home / "report.html")


def test_one_arm_alone_shows_its_numbers(home: Path) -> None:
    evaluate_run(home, "vanilla", 0, 2)
    found = document(home)
    assert found["refused"]["message"] == "there is only one arm here"
    assert found["checkpoints"]["rows"][0]["values"] == [0.8, None]
    assert "vanilla, seed 0 was last evaluated at step 2 of 4" in found["notes"]
    assert "0.800" in section(home / "report.html")


def test_each_folder_that_is_left_out_says_why(home: Path) -> None:
    evaluate_base(home)
    evaluate_base(home, name="copy", folder="copy")
    evaluate_base(home, name="tuned", folder="tuned", adapter="f" * 64)
    evaluate_base(home, name="other", folder="other", weights="0" * 64)
    evaluate_run(home, "vanilla", 0, 4)
    rows = [row(NAME, items(BASE))]
    run = {"experiment": "quickstart", "arm": "vanilla", "step": 4}
    write(home / "evaluations" / "old", rows, **run, seed=0, run="/elsewhere/store/train/0ld")
    write(home / "evaluations" / "more", rows, **run, seed=7)
    begun = write(home / "evaluations" / "begun", rows, **run, seed=1, run=None)
    (begun / "xstest" / "metrics.json").unlink()
    half = home / "evaluations" / "base"
    write(half, rows, benchmark="mmlu", name="base", weights=WEIGHTS)
    (half / "mmlu" / "metrics.json").unlink()
    found = document(home)
    assert {row["folder"]: row["why"] for row in found["left_out"]} == {
        "begun": "there is no evaluation here: it was begun and not finished",
        "base/mmlu": "begun and not finished",
        "copy": "the same model as base",
        "more": "of an arm and seed that this experiment does not have",
        "old": "of an earlier run of this arm and seed",
        "other": "neither a run nor the model that the runs started from",
        "tuned": "neither a run nor the model that the runs started from",
    }
    assert found["refused"] is None
    text = section(home / "report.html")
    assert all(f"<li>{name}: " in text for name in ("begun", "base/mmlu", "copy", "more", "old"))


@pytest.mark.parametrize(("digest", "kept"), [("vanilla-0-4", True), ("0" * 64, False)])
def test_a_checkpoint_that_is_there_decides_by_its_weights(
    home: Path, digest: str, kept: bool
) -> None:
    evaluate_base(home)
    evaluate_run(home, "vanilla", 0, 4)
    folder = Path(run_places(home)["vanilla", 0]) / "checkpoints" / "step_000004"
    folder.mkdir(parents=True)
    (folder / "state.json").write_text(json.dumps({"digests": {"trained.safetensors": digest}}))
    found = build_report(home).evaluations
    (folder / "state.json").unlink()
    folder.rmdir()
    assert found is not None
    assert (found.comparison is not None) == kept
    assert len(found.left_out) == (not kept)


def test_a_model_with_the_name_of_an_arm_is_no_arm(home: Path) -> None:
    evaluate_base(home, name="vanilla", folder="model")
    evaluate_run(home, "vanilla", 0, 4)
    found = build_report(home).evaluations
    assert found is not None
    assert found.comparison is not None
    assert found.comparison.baseline.name == "model vanilla"


def test_without_evaluations_there_is_no_section(home: Path) -> None:
    (home / "evaluations").mkdir()
    assert document(home) is None
    assert 'id="evaluation"' not in (home / "report.html").read_text()


def test_a_given_folder_must_hold_evaluations(home: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        build_report(home, evaluations=tmp_path)
    assert caught.value.field == "--evaluations"
    with pytest.raises(UserError):
        build_report(home, margins=Margins(0.05))
    write(tmp_path / "some", [row(NAME, items(BASE))])
    found = document(home, evaluations=tmp_path)
    assert found["refused"]["message"] == "no run of this experiment was evaluated here"
    assert found["left_out"][0]["folder"] == "some"


def test_a_policys_folder_is_one_too(home: Path) -> None:
    place = evaluate_run(home, "vanilla", 0, 4)
    found = document(home, evaluations=place)
    assert len(found["checkpoints"]["rows"]) == 1


def test_margins_are_those_of_compare(home: Path) -> None:
    evaluate_base(home)
    evaluate_run(home, "zero", 0, 4)
    found = document(home, margins=Margins(0.05))
    assert found["comparison"]["margin"] == {"everywhere": 0.05}
    assert 'class="band"' in section(home / "report.html")
    with pytest.raises(UserError) as caught:
        build_report(home, margins=Margins(None, {"xstest.acuracy": 0.1}))
    assert caught.value.field == "--margin"
