from __future__ import annotations

import math
from pathlib import Path

import pytest

from awry.errors import UserError
from awry.evaluation import record
from awry.evaluation.items import Ask, Choose, Loaded, Response

ITEMS = (
    Ask("a", ({"role": "user", "content": "é\u2028 \ud7ff"},), prefix=" x", facts={"n": (1, 2)}),
    Ask("b", text="raw\n", facts={}),
    Choose("c", "context ", (" one", " two"), {"gold": 1}),
)
ANSWERS = [
    Response("a", 0, "words", 3, True),
    Response("a", 1, "", 0, False),
    Response("c", 0, None, 4, True, (-1.5, -math.pi), (True, False)),
]


def test_items_come_back_as_they_are_scored(tmp_path: Path) -> None:
    file = tmp_path / "items.jsonl"
    written = record.write_items(file, ITEMS)
    assert record.read_items(file) == written
    assert written[1:] == list(ITEMS[1:])
    assert written[0].facts == {"n": [1, 2]}  # JSON has no tuples, on either way in
    # the digest is of what is asked and counted, however it came
    assert Loaded(tuple(written), {}).digest == Loaded(ITEMS, {}).digest


def test_a_benchmark_with_two_items_of_one_id_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="same id"):
        record.write_items(tmp_path / "items.jsonl", (ITEMS[0], ITEMS[0]))
    assert list(tmp_path.iterdir()) == []


def test_answers_come_back_exactly_and_in_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        record.write_responses(tmp_path / name, ANSWERS)
    assert record.read_responses(tmp_path / "one") == ANSWERS
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    record.write_responses(tmp_path / "none", [])
    assert record.read_responses(tmp_path / "none") == []


def test_parts_are_added_and_never_rewritten(tmp_path: Path) -> None:
    record.add_part(tmp_path, ANSWERS[:1])
    first = tmp_path / "parts/000000.parquet"
    before = first.stat()
    record.add_part(tmp_path, ANSWERS[1:])
    assert first.stat() == before
    assert record.read_parts(tmp_path) == {(r.item, r.sample): r for r in ANSWERS}
    record.add_part(tmp_path, ANSWERS[:1])
    with pytest.raises(UserError, match="was answered before") as found:
        record.read_parts(tmp_path)
    assert str(found.value.file).endswith("000002.parquet")
    record.drop_parts(tmp_path)
    assert list(tmp_path.iterdir()) == []
    record.drop_parts(tmp_path)


@pytest.mark.parametrize("damage", [b"", b"PAR1", b"no parquet at all"])
def test_a_damaged_part_is_named(damage: bytes, tmp_path: Path) -> None:
    record.add_part(tmp_path, ANSWERS)
    file = tmp_path / "parts/000000.parquet"
    file.write_bytes(damage)
    with pytest.raises(UserError, match="is damaged") as found:
        record.read_parts(tmp_path)
    assert found.value.file == file
    assert "delete it" in (found.value.fix or "")


def test_marks_are_of_these_answers(tmp_path: Path) -> None:
    marks = [{"class": "refusal", "p": 0.25}, {"class": None, "failure": "no"}, {}]
    file = tmp_path / record.marks_file("judge:org/model:strongreject-v1")
    assert file.relative_to(tmp_path) == Path("scores/judge-org-model-strongreject-v1.parquet")
    record.write_marks(file, ANSWERS, marks)
    assert record.read_marks(file, ANSWERS) == marks
    assert record.read_marks(file, ANSWERS[::-1]) == marks[::-1]
    assert record.missing_marks(marks) == 1
    with pytest.raises(UserError, match="no marks of d"):
        record.read_marks(file, [*ANSWERS, Response("d", 0, "")])
    with pytest.raises(ValueError, match="JSON compliant"):
        record.write_marks(file, ANSWERS[:1], [{"p": math.nan}])


def test_a_folder_is_held_by_one(tmp_path: Path) -> None:
    with (
        record.alone(tmp_path),
        pytest.raises(UserError, match="another process"),
        record.alone(tmp_path),
    ):
        pass
    with record.alone(tmp_path):
        pass
