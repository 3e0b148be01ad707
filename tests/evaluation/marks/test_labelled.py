from __future__ import annotations

import json
from pathlib import Path

import pytest

from awry.errors import UserError
from awry.evaluation.marks.labelled import Example, digest, read_labelled


def test_csv_with_comments_and_quotes(tmp_path: Path) -> None:
    path = tmp_path / "completions_small.csv"
    path.write_text(
        '# version\nprompt,completion,final_label\nq1,"a\n""b"", c",2_full_refusal\n'
        "q2,yes,1_full_compliance\nq3,hm,3_partial_refusal\n"
    )
    assert read_labelled([path]) == [
        Example('a\n"b", c', True, "small", "q1", "small"),
        Example("yes", False, "small", "q2", "small"),
        Example("hm", True, "small", "q3", "small"),
    ]


def test_json_lines_with_models_and_families_and_folders(tmp_path: Path) -> None:
    rows = [
        {"prompt": "p", "response": "r", "label": 1, "model": "m1", "family": "f"},
        {"prompt": "p", "response": "", "label": False, "model": "m2", "family": "f"},
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    (tmp_path / "b.json").write_text(json.dumps(rows[:1]))
    (tmp_path / "notes.md").write_text("not data")
    found = read_labelled([tmp_path])
    assert [(e.text, e.refusal, e.model, e.family) for e in found] == [
        ("r", True, "m1", "f"),
        ("", False, "m2", "f"),
        ("r", True, "m1", "f"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "prompt,label\np,1\n", "no column `response`"),
        ("a.csv", "prompt,response,label\np,r,maybe\n", "row 1: a label"),
        ("a.csv", "prompt,response,label\np,r\n", "row 1 has no `label`"),
        ("a.csv", "prompt,response,label\n", "no rows"),
        ("a.jsonl", "{not json}\n", "not JSON"),
        ("a.json", '{"a": 1}', "not a list of objects"),
    ],
)
def test_what_cannot_be_used_is_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        read_labelled([path])
    assert caught.value.file == path


def test_missing_files_and_empty_folders(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.csv"):
        with pytest.raises(UserError):
            read_labelled([path])


def test_the_digest_is_of_the_rows_not_their_order() -> None:
    a, b = (Example(t, True, "m", "p", "m") for t in "ab")
    assert digest([a, b]) == digest([b, a])
    assert digest([a, b]) != digest([a, Example("b", False, "m", "p", "m")])
