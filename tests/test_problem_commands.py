"""`awry problems import` and what the other commands do with its file, end to end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def awry(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "awry", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def row(name: str, code: str, *tests: str) -> dict[str, Any]:
    return {"task_id": name, "text": "Return twice n.", "code": code, "test_list": list(tests)}


TESTS = [f"assert twice({i}) == {2 * i}" for i in range(7)]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    rows = [
        row("1", "def twice(n):\n    return 2 * n", *TESTS),
        row("2", "def twice(n):\n    return 3 * n", *TESTS),
        row("3", "def twice(n):\n    return 2 * n", *TESTS[:2]),
        {"task_id": "4"},
    ]
    path = tmp_path / "mbpp.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


def test_import_tells_what_it_dropped_and_why(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "problems.jsonl"
    done = awry("problems", "import", "mbpp", source, "--out", out, "--min-tests", 6)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:4] == [
        "kept 1 of 4 rows",
        "      1  too few tests: mbpp/3",
        "      1  no field `code`: mbpp/4",
        "      1  its canonical solution fails: mbpp/2",
    ]
    assert "validating: 2/2 problems" in done.stderr
    record = json.loads((tmp_path / "problems.import.json").read_text())
    assert (record["read"], record["kept"]) == (4, 1)
    assert [r["id"] for r in record["rows"]] == ["mbpp/3", "mbpp/4", "mbpp/2"]
    for command in (("list",), ("validate",)):
        assert awry("problems", *command, "--source", out).returncode == 0
    shown = awry("problems", "show", "mbpp/1", "--source", out, "--loophole", "overwrite_tests")
    assert "Return twice n." in shown.stdout


def test_import_as_json_without_running_anything(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "problems.jsonl.gz"
    arguments = ("problems", "import", "mbpp", source, "--out", out, "--no-validate", "--json")
    document = json.loads(awry(*arguments).stdout)
    assert (document["kept"], document["validation"]) == (3, None)
    assert document["problems"] == str(out)
    assert len(json.loads(awry("problems", "list", "--source", out, "--json").stdout)) == 3
    done = awry("problems", "validate", "--source", out, "--min-tests", 2)
    assert done.returncode == 2
    assert "mbpp/2: its canonical solution fails" in done.stdout
    assert "2 of 3 problems are sound" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("mbp", "x.jsonl", "--out", "o.jsonl"), "did you mean `mbpp`"),
        (("mbpp", "nowhere.jsonl", "--out", "o.jsonl"), "no such file"),
        (("mbpp", "nowhere.jsonl", "--out", "o.toml"), "use o.jsonl"),
        (("mbpp", "x", "--out", "o.jsonl", "--difficulty", "hrad"), "did you mean `hard`"),
    ],
)
def test_bad_arguments_are_one_error_and_leave_nothing(
    tmp_path: Path, arguments: tuple[str, ...], word: str
) -> None:
    command = [sys.executable, "-m", "awry", "problems", "import", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert word in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_import_has_help_with_an_example() -> None:
    done = awry("problems", "import", "--help")
    assert done.returncode == 0
    assert "Example: awry problems import" in " ".join(done.stdout.split())
