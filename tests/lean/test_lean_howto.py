"""The how-to's commands work as they stand, as far as they need no Mathlib."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import lean_serving
import pytest
from typer.testing import CliRunner

from awry.lean import doctor
from awry.lean.doctor import Finding
from awry.lean.toolchains import FORMS
from awry.lean_commands import lean_app

TEXT = (Path(__file__).parents[2] / "docs/howto/lean.md").read_text(encoding="utf-8")


def test_commands_run(needs_lean: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (answer,) = re.findall(r"```lean\n(.*?)```", TEXT, re.DOTALL)
    (tmp_path / "answer.lean").write_text(answer, encoding="utf-8")
    tools = lean_serving.install(tmp_path / "elan")
    folder = lean_serving.project(tmp_path / "my-project")
    # what it finds is test_doctor's, and takes its time
    monkeypatch.setattr(doctor, "examine", lambda named: [Finding(n, "works") for n in named])
    commands = re.findall(r"^awry lean (.*)$", TEXT, re.MULTILINE)
    assert len(commands) == 4
    with lean_serving.on_path(tools):
        for command in commands:
            words = shlex.split(command.replace("~/my-project", str(folder)))
            done = CliRunner().invoke(lean_app, words)
            assert done.exit_code == 0, (command, done.output, done.exception)


def test_every_kind_of_toolchain_is_described() -> None:
    for form in FORMS:
        assert f"`{form}`" in TEXT
