"""`awry compare` as a user types it: tables, JSON, the page, refusals."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from awry.cli import app
from awry.errors import UserError
from fake_evaluations import items, row, write

NAME = "accuracy[lexical-v1]"


def invoke(*arguments: object):
    return CliRunner().invoke(app, ["compare", *map(str, arguments)])


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    base = [float(i % 5 > 0) for i in range(100)]
    worse = [v * (i % 2) for i, v in enumerate(base)]
    return [
        write(tmp_path / "base", [row(NAME, items(base))], weights="1"),
        write(tmp_path / "new", [row(NAME, items(worse))], weights="2", arm="a", seed=0, step=10),
    ]


def test_the_summary_table(folders: list[Path]) -> None:
    done = invoke(*folders)
    assert done.exit_code == 0, done.output
    head = done.stdout.split("\n")[0]
    assert re.split(r"  +", head) == [
        *("benchmark", "metric", "floor", "base", "a, seed 0, step 10"),
        *("delta", "95 % interval", "verdict"),
    ]
    assert re.search(r"xstest +accuracy\[lexical-v1\] +0.556 +0.800 +0.400 +−0.400 ", done.stdout)
    assert "differs, worse" in done.stdout
    assert "no margin was set" in done.stdout
    assert "one training run a side" in done.stdout


def test_the_checkpoint_table(folders: list[Path]) -> None:
    done = invoke(*folders, "--table", "checkpoints", "--threshold", "xstest.accuracy=0.6")
    assert done.exit_code == 0, done.output
    assert re.search(r"a, seed 0, step 10 +0.400", done.stdout)
    assert re.search(r"xstest accuracy\[lexical-v1\] +a +0 +2 +0.600 +5\n", done.stdout)


def test_an_earlier_checkpoint_under_other_conditions_is_refused(
    folders: list[Path], tmp_path: Path
) -> None:
    """By arm the last checkpoint stands for the run, but the tables show all of them."""
    values = items([1.0, 0.0] * 50)
    early = write(
        tmp_path / "early",
        [row(NAME, values)],
        weights="3",
        arm="a",
        seed=0,
        step=5,
        conditions={"limit": 7},
    )
    done = invoke(folders[0], early, folders[1], "--group", "arm")
    assert isinstance(done.exception, UserError)
    assert done.exception.message.endswith("conditions: limit")
    assert invoke(*folders, "--group", "arm").exit_code == 0


def test_json_holds_both_tables_and_the_page_is_whole(folders: list[Path], tmp_path: Path) -> None:
    page = tmp_path / "deep" / "page.html"
    done = invoke(*folders, "--json", "--html", page, "--margin", "0.05")
    document = json.loads(done.stdout)
    assert document["rows"][0]["verdict"] == "differs"
    assert document["checkpoints"]["rows"][1]["values"] == [0.4]
    assert document["report"] == str(page)
    assert "<h1>1 comparisons: 1 different</h1>" in page.read_text()


def test_a_changed_template_is_refused_and_named(folders: list[Path], tmp_path: Path) -> None:
    other = write(tmp_path / "other", [row(NAME, items([1, 0]))], conditions={"template": None})
    done = invoke(folders[0], other)
    assert isinstance(done.exception, UserError)
    text = done.exception.render()
    assert "template: bbbbbbbbbbbb in base, none in other (xstest)" in text
    assert "--allow template" in text
    done = invoke(folders[0], other, "--allow", "template")
    assert done.exit_code == 0
    assert "allowed to differ: template" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("--margin", "wide"), "--margin"),
        (("--margin", "-0.1"), "--margin"),
        (("--margin", "nan"), "--margin"),
        (("--margin", "xstest.acuracy=0.1"), "--margin"),
        (("--threshold", "0.5"), "--threshold"),
        (("--threshold", "xstest.nothing=0.5"), "--threshold"),
        (("--metric", "mmlu"), "--metric"),
        (("--allow", "weights"), "--allow"),
    ],
)
def test_bad_options_are_named(folders: list[Path], arguments, field) -> None:
    done = invoke(*folders, *arguments)
    assert isinstance(done.exception, UserError)
    assert done.exception.field == field
    assert done.stdout == ""
