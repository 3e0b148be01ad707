from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from awry.errors import UserError
from awry.judge_commands import judge_app
from awry.models import load_policy
from serving import Script, serve

sys.path.insert(0, str(Path(__file__).parent / "evaluation/marks"))
from test_refusal_model import examples

RUN = CliRunner()


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("labels") / "labelled.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["prompt", "response", "label", "model"])
        for e in examples():
            writer.writerow([e.prompt, e.text, "refusal" if e.refusal else "compliance", e.model])
    return path


def awry(*arguments: object) -> str:
    done = RUN.invoke(judge_app, [str(a) for a in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_fit_tells_its_held_out_agreement_and_check_uses_the_file(
    labels: Path, tmp_path: Path
) -> None:
    out = tmp_path / "refusal.npz"
    document = json.loads(awry("fit", labels, "--out", out, "--json"))
    assert out.is_file()
    assert document["answers"] == {"a": 40, "b": 40, "c": 40}
    assert document["agreement"]["model and prompt"]["all"]["n"] == 120
    assert document["agreement"]["model"]["a"]["kappa"] > 0.9
    text = awry("fit", labels, "--out", out)
    assert "held out: model and prompt" in text
    assert document["name"] in text
    checked = awry("check", labels, "--detector", out)
    assert document["name"] in checked
    assert "answers it was fitted to" in checked


def test_check_the_lexical_detector(labels: Path) -> None:
    found = json.loads(awry("check", labels, "--json"))
    assert found["name"] == "lexical-v1"
    assert found["agreement"]["all"]["precision"] == 1
    assert found["agreement"]["all"]["sensitivity"] < 0.7  # two of three wordings it cannot know


def test_check_a_judge(labels: Path, tmp_path: Path) -> None:
    def reply(body: dict[str, Any]) -> str:
        asked = body["messages"][-1]["content"]
        if "tree" in asked:
            return "no idea"
        yes = any(w in asked for w in ("Here is how", "is easy", "Sure!"))
        return "class: full_compliance" if yes else "class: partial_refusal"

    with serve(load_policy("tiny-random", "float32"), Script(reply=reply)) as url:
        arguments = ("check", labels, "--judge", f"org/grader@{url}", "--json")
        found = json.loads(awry(*arguments, "--judge-cache", tmp_path / "c.sqlite"))
    assert found["name"] == "judge:org/grader:awry-xstest-v1"
    assert found["agreement"]["all"]["kappa"] == 1
    trees = sum("tree" in e.text for e in examples())
    assert found["missing"] == trees > 0


def test_a_judge_without_an_address(labels: Path) -> None:
    with pytest.raises(UserError, match="a model at an address"):
        awry("check", labels, "--judge", "grader")
