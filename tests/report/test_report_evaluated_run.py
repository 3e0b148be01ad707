"""Runs of a model with random weights, evaluated for real and shown in their report."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from awry.cli import app
from awry.experiments import runner
from awry.experiments.spec import experiment
from awry.progress import Silent

DOCUMENT: dict[str, Any] = {
    "name": "short",
    "model": {"path": "tiny-random"},
    "problems": {"limit": 2},
    "training": {
        "steps": 2,
        "keep_every": 1,
        "problems_per_step": 1,
        "group_size": 2,
        "max_new_tokens": 4,
    },
    "probe": None,
    "seeds": [0, 1],
    "arms": {"vanilla": {}, "zero": {"reward": "zero"}},
}
ASK = ("--benchmark", "awry_probes", "--benchmark", "awry_capability", "--max-new-tokens", 8)


def awry(*arguments: object) -> Any:
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    assert done.exit_code == 0, (done.output, done.exception)
    return json.loads(done.stdout) if "--json" in arguments else done.stdout


def run(out: Path) -> Path:
    return runner.run(experiment(DOCUMENT), out, progress=Silent(), checks=()).directory


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its runs, two checkpoints of one of them and the model they started from, evaluated."""
    directory = run(tmp_path_factory.mktemp("runs"))
    early = sorted(directory.parent.glob("store/train/*/checkpoints/step_000001"))[0]
    awry(
        *("evaluate", "tiny-random", directory, early, *ASK, "--limit", 6),
        *("--out", directory / "evaluations"),
    )
    return directory


def test_the_report_says_what_compare_says(home: Path) -> None:
    found = awry("report", home, "--margin", "0.1", "--json")["evaluations"]
    folders = sorted((home / "evaluations").glob("short-*-step2"))
    assert len(folders) == 4
    base = home / "evaluations" / "tiny-random"
    last = awry("compare", base, *folders, "--group", "arm", "--margin", "0.1", "--json")
    assert found["refused"] is None
    assert found["left_out"] == []
    last.pop("checkpoints")
    assert found["comparison"] == last
    assert [len(course["runs"]) for course in found["checkpoints"]["courses"][:2]] == [2, 2]
    assert '<svg class="chart"' in (home / "report.html").read_text().split('id="evaluation"')[1]


def test_a_run_again_finds_them(home: Path) -> None:
    (home / "report.json").unlink()
    assert run(home.parent) == home
    found = json.loads((home / "report.json").read_text())["evaluations"]
    assert found["comparison"]["baseline"]["name"] == "tiny-random"


def test_what_was_asked_otherwise_is_refused(home: Path, tmp_path: Path) -> None:
    given = tmp_path / "given"
    shutil.copytree(home / "evaluations", given)
    shutil.rmtree(given / "tiny-random")
    awry("evaluate", "tiny-random", *ASK, "--limit", 4, "--out", given)
    found = awry("report", home, "--evaluations", given, "--json")["evaluations"]
    assert found["comparison"] is None
    assert "limit" in found["refused"]["message"]
    assert {row["field"] for row in found["refused"]["also"]} >= {"limit", "items"}
    page = (home / "report.html").read_text()
    assert "Not compared" in page
    assert "<b>limit</b>: 4 in tiny-random, 6 in " in page
