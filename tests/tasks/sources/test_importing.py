from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from small_rows import CHECKED, HUMAN, MBPP, NEW, OLD, TOLERANT, steering_row

from awry.errors import UserError
from awry.tasks.code import Grader
from awry.tasks.problems import load_problems
from awry.tasks.sources.importing import Wanted, keep_sound, read_problems, write


def written(folder: Path, *rows: dict[str, Any]) -> str:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_every_dropped_row_is_counted_with_its_reason(tmp_path: Path) -> None:
    rows = [OLD, NEW, OLD, OLD | {"task_id": "no-tests", "test": "x"}, {"task_id": "empty"}]
    found = read_problems("leetcode", written(tmp_path, *rows), Wanted(difficulty=("medium",)))
    assert [p.id for p in found.problems] == ["leetcode/rest-of-list"]
    assert found.read == 5
    assert found.counts == {
        "not of the wanted difficulty": 2,
        "the tests cannot be read": 1,
        "no field `prompt`": 1,
    }
    assert [row.id for row in found.dropped][-1] == "leetcode/empty"


def test_ids_are_unique_and_the_limit_counts_what_it_leaves_out(tmp_path: Path) -> None:
    source = written(tmp_path, OLD, OLD, NEW)
    assert read_problems("leetcode", source).counts == {"another row has this id": 1}
    found = read_problems("leetcode", source, Wanted(limit=1))
    assert len(found.problems) == 1
    assert found.counts == {"another row has this id": 1, "over the limit": 1}


def test_number_and_length_are_filtered(tmp_path: Path) -> None:
    source = written(tmp_path, OLD, NEW)
    kept = read_problems("leetcode", source, Wanted(min_tests=7)).problems
    assert [p.id for p in kept] == ["leetcode/rest-of-list"]
    kept = read_problems("leetcode", source, Wanted(max_statement=20)).problems
    assert [p.id for p in kept] == ["leetcode/double-all"]
    for problem in read_problems("leetcode", source, Wanted(max_tests=2)).problems:
        whole = {p.id: p for p in read_problems("leetcode", source).problems}[problem.id]
        assert problem.tests == (whole.tests[0], whole.tests[-1])


def test_a_problem_with_a_check_needs_no_tests(tmp_path: Path) -> None:
    row = CHECKED | {"test": "def check(candidate):\n    assert abs(candidate(4) - 1) < 0.1\n"}
    (found,) = read_problems("humaneval", written(tmp_path, row), Wanted(min_tests=3)).problems
    assert found.tests == ()
    assert found.check


def test_the_steering_split_is_medium_and_hard() -> None:
    assert Wanted(split="steering").difficulties == ("medium", "hard")
    assert Wanted(split="steering", difficulty=("hard",)).difficulties == ("hard",)
    for options, word in (
        ({"split": "steering", "difficulty": ("easy",)}, "no difficulty is left"),
        ({"split": "steerin"}, "did you mean `steering`"),
        ({"difficulty": ("hrad",)}, "did you mean `hard`"),
        ({"min_tests": 5, "max_tests": 4}, "is below --min-tests"),
    ):
        with pytest.raises(UserError) as caught:
            Wanted(**options)
        assert word in caught.value.render()


def test_rows_of_another_data_set_are_one_error_that_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        read_problems("mbpp", written(tmp_path, OLD, NEW))
    assert "2 x no field `code`" in caught.value.render()
    assert "rows of MBPP" in caught.value.render()
    with pytest.raises(UserError, match="unknown format"):
        read_problems("mbp", "x")


@pytest.mark.parametrize(
    ("form", "rows"),
    [
        ("leetcode", [OLD, NEW]),
        ("steering", [steering_row(NEW)]),
        ("humaneval", [HUMAN, CHECKED]),
        ("mbpp", [MBPP]),
    ],
)
def test_what_is_written_is_what_was_read(tmp_path: Path, form: str, rows: list[Any]) -> None:
    found = read_problems(form, written(tmp_path, *rows))
    assert len(found.problems) == len(rows)
    for name in ("out.jsonl", "out.jsonl.gz"):
        record = json.loads(write(found, tmp_path / name).read_text())
        assert load_problems(str(tmp_path / name)) == tuple(
            sorted(found.problems, key=lambda p: p.id)
        )
        data = (tmp_path / name).read_bytes()
        assert record["problems_sha256"] == hashlib.sha256(data).hexdigest()
        assert (record["problems"], record["read"], record["kept"]) == (name, *[len(rows)] * 2)
    assert gzip.decompress(data) == (tmp_path / "out.jsonl").read_bytes()
    write(found, tmp_path / "out.jsonl.gz")
    assert (tmp_path / "out.jsonl.gz").read_bytes() == data


def test_a_line_separator_within_a_statement_ends_no_line(tmp_path: Path) -> None:
    row = NEW | {"problem_description": "Drop\u2028the head."}
    write(read_problems("leetcode", written(tmp_path, row)), tmp_path / "out.jsonl")
    (found,) = load_problems(str(tmp_path / "out.jsonl"))
    assert found.statement == "Drop\u2028the head."


def test_a_damaged_problem_file_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "out.jsonl.gz").write_bytes(gzip.compress(b"{}" * 9999)[:-20])
    with pytest.raises(UserError, match="cannot read problems"):
        load_problems(str(tmp_path / "out.jsonl.gz"))
    with pytest.raises(UserError, match="holds no curation"):
        load_problems(str(tmp_path))


def test_the_record_says_where_the_rows_came_from(tmp_path: Path) -> None:
    source = written(tmp_path, OLD, {"task_id": "empty"})
    record = write(read_problems("leetcode", source), tmp_path / "deep" / "out.jsonl")
    assert record == tmp_path / "deep" / "out.import.json"
    document = json.loads(record.read_text())
    assert document["sha256"] == hashlib.sha256(Path(source).read_bytes()).hexdigest()
    assert (document["format"], document["source"], document["revision"]) == (
        *("leetcode", source),
        None,
    )
    assert document["validation"] is None
    assert document["rows"] == [
        {"id": "leetcode/empty", "reason": "no field `prompt`", "detail": ""}
    ]
    with pytest.raises(UserError, match="written as"):
        write(read_problems("leetcode", source), tmp_path / "out.json")


def test_validation_drops_what_does_not_hold(tmp_path: Path, grader: Grader) -> None:
    wrong = OLD["completion"].replace("2 * n", "3 * n")
    zeros = "".join(f"    assert candidate(nums=[{i}]) == 0\n" for i in range(6))
    zero = "class Solution:\n    def double(self, nums):\n        return 0\n"
    rows = [
        OLD,
        NEW,
        OLD | {"task_id": "wrong", "completion": wrong},
        OLD | {"task_id": "nothing", "completion": zero, "test": f"def check(candidate):\n{zeros}"},
    ]
    seen: list[tuple[int, int]] = []
    found = read_problems("leetcode", written(tmp_path, *rows))
    sound = keep_sound(found, grader, lambda done, total: seen.append((done, total)))
    assert [p.id for p in sound.problems] == ["leetcode/double-all", "leetcode/rest-of-list"]
    reasons = {row.id: row for row in sound.dropped}
    assert reasons["leetcode/wrong"].reason == "its canonical solution fails"
    assert "double" in reasons["leetcode/wrong"].detail
    assert reasons["leetcode/nothing"].reason == "its stub returning 0 passes"
    assert seen[-1] == (4, 4)
    assert sound.validation is not None
    assert sound.validation["isolation"] == grader.sandbox.isolation
    assert sound.validation["limits"]["wall_s"] == grader.sandbox.limits.wall_s


@pytest.mark.parametrize(("form", "rows"), [("humaneval", [HUMAN, CHECKED]), ("mbpp", [TOLERANT])])
def test_problems_with_a_check_are_validated(
    tmp_path: Path, grader: Grader, form: str, rows: list[Any]
) -> None:
    sound = keep_sound(read_problems(form, written(tmp_path, *rows)), grader)
    assert sound.dropped == ()
