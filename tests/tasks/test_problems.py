from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from awry.errors import UserError
from awry.tasks.problems import Problem, load_catalog, load_problems, tier

ROW = {
    "id": "double",
    "statement": "returns twice n",
    "starter": "def double(n):\n",
    "entry_point": "double",
    "tests": ["assert double(1) == 2", "assert double(4) == 8"],
    "canonical": "def double(n):\n    return 2 * n\n",
    "wrong": "def double(n):\n    return n + 1\n",
}


def written(folder: Path, *rows: object) -> str:
    path = folder / "problems.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_a_file_of_problems_is_read_in_the_order_of_ids(tmp_path: Path) -> None:
    other = {**ROW, "id": "another", "setup": "import math", "tags": ["x"], "difficulty": "hard"}
    first, second = load_problems(written(tmp_path, ROW, other))
    assert (first.id, second.id) == ("another", "double")
    assert first.tags == ("x",)
    assert second.tests == tuple(ROW["tests"])
    assert second.setup == ""


def test_toml_and_jsonl_give_the_same_problem(tmp_path: Path) -> None:
    lines = [f"{key} = {json.dumps(value)}" for key, value in ROW.items()]
    path = tmp_path / "problems.toml"
    path.write_text("\n".join(["[[problem]]", *lines]))
    assert load_problems(str(path)) == load_problems(written(tmp_path, ROW))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"id": ""}, "id"),
        ({"tests": []}, "tests"),
        ({"tests": "assert double(1) == 2"}, "tests"),
        ({"tests": ["assert double(1)"]}, "tests[0]"),
        ({"tests": ["assert double(1) == 2", "assert triple(1) == 3"]}, "tests[1]"),
        ({"canonical": "def double(n:"}, "canonical"),
        ({"setup": "import ("}, "setup"),
        ({"canonical": ""}, "canonical"),
        ({"phrasing": "poem"}, "phrasing"),
        ({"entry_point": "Solution().1"}, "entry_point"),
        ({"entry_point": "a b"}, "entry_point"),
        ({"difficulty": "brutal"}, "difficulty"),
        ({"kind": "proof"}, "kind"),
        ({"statement": 5}, "statement"),
        ({"canonicle": "x"}, "canonicle"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, change: dict[str, object], field: str) -> None:
    path = written(tmp_path, ROW, {**ROW, "id": "second", **change})
    with pytest.raises(UserError) as error:
        load_problems(path)
    assert error.value.field == f"problem[1].{field}"
    assert error.value.file == path


def test_missing_files_kinds_and_repeated_ids(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read"):
        load_problems(str(tmp_path / "none.jsonl"))
    (tmp_path / "problems.csv").write_text("id")
    with pytest.raises(UserError, match="unknown kind"):
        load_problems(str(tmp_path / "problems.csv"))
    with pytest.raises(UserError, match="two problems"):
        load_problems(written(tmp_path, ROW, ROW))
    with pytest.raises(UserError, match="not a table"):
        load_problems(written(tmp_path, 5))
    (tmp_path / "problems.jsonl").write_text("{")
    with pytest.raises(UserError, match="readable"):
        load_problems(str(tmp_path / "problems.jsonl"))
    (tmp_path / "problems.jsonl").write_text("")
    with pytest.raises(UserError, match="no problems"):
        load_problems(str(tmp_path / "problems.jsonl"))


def test_the_digest_covers_every_field(cube: Problem) -> None:
    changes: dict[str, object] = {
        **{name: "changed" for name in cube.__dataclass_fields__ if name not in ("tests", "tags")},
        "tests": cube.tests[1:],
        "tags": ("changed",),
    }
    digests = {replace(cube, **{name: value}).digest for name, value in changes.items()}  # type: ignore[arg-type]
    assert len(digests) == len(cube.__dataclass_fields__)
    assert cube.digest not in digests
    assert replace(cube).digest == cube.digest


def test_the_catalogue_loads() -> None:
    problems = load_catalog()
    assert len(problems) >= 60
    assert load_problems("catalog") == problems
    assert len({problem.digest for problem in problems}) == len(problems)


@pytest.mark.parametrize(
    ("passes", "samples", "expected"),
    [
        *((0, 8, "unsolved"), (1, 8, "between"), (2, 8, "between"), (3, 8, "solvable")),
        *((1, 20, "unsolved"), (3, 10, "solvable"), (8, 8, "solvable")),
    ],
)
def test_tiers(passes: int, samples: int, expected: str) -> None:
    assert tier(passes, samples) == expected


@pytest.mark.parametrize(("passes", "samples"), [(0, 0), (-1, 8), (9, 8)])
def test_impossible_counts(passes: int, samples: int) -> None:
    with pytest.raises(ValueError, match="passes of"):
        tier(passes, samples)
