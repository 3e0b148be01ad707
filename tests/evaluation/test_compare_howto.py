"""The how-to's commands work as they stand, one after the other."""

from __future__ import annotations

import glob
import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from awry.cli import app

TEXT = (Path(__file__).parents[2] / "docs/howto/compare-checkpoints.md").read_text(encoding="utf-8")


def words(command: str) -> list[str]:
    """As a shell would split it, with its wildcards."""
    return [
        w for word in command.split() for w in (sorted(glob.glob(word)) if "*" in word else [word])
    ]


def test_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (document,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    (tmp_path / "short.yaml").write_text(document)
    commands = re.findall(r"^awry (.*)$", TEXT, re.MULTILINE)
    assert len(commands) == 6
    said: list[str] = []
    for command in commands:
        done = CliRunner().invoke(app, words(command))
        assert done.exit_code == 0, (command, done.output, done.exception)
        said.append(done.stdout)
    assert "verdict" in said[2]
    assert "smallest p" in said[4]
    assert (tmp_path / "checkpoints.html").read_text().count("<h2") == 5
    assert "vanilla, mean of 2 seeds" in said[5]
    assert "area per step" in said[5]
    every = sorted(glob.glob("evaluations/short-*"))
    wanted = {
        f"short-{a}-seed{s}-step{t}" for a in ("vanilla", "zero") for s in (0, 1) for t in (2, 4)
    }
    assert wanted <= {Path(place).name for place in every}
    done = CliRunner().invoke(app, ["compare", *every[:2], "--json"])
    assert json.loads(done.stdout)["rows"]
