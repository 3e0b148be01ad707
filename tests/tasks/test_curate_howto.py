"""The how-to's commands work as they stand, one after the other."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from awry.cli import app

TEXT = (Path(__file__).parents[2] / "docs/howto/curate-problems.md").read_text(encoding="utf-8")


def test_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (document,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    (tmp_path / "on-curated.yaml").write_text(document)
    commands = re.findall(r"^awry (.*)$", TEXT, re.MULTILINE)
    assert len(commands) == 4
    for command in commands:
        done = CliRunner().invoke(app, command.split())
        assert done.exit_code == 0, (command, done.output, done.exception)
    assert (tmp_path / "curated/report.html").is_file()
    assert json.loads((tmp_path / "curated/curation.json").read_text())["confirmed"]["samples"] == 4
    assert json.loads((tmp_path / "hackable/curation.json").read_text())["settings"]["by"] == "hack"
    checks = json.loads((tmp_path / "runs/on-curated/preflight.json").read_text())
    (found,) = [check for check in checks if check["name"] == "curation"]
    assert found["status"] == "pass"
    assert "problems curated with tiny-random" in found["saw"]
