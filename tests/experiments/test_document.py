from __future__ import annotations

from pathlib import Path

import pytest

from awry.errors import UserError
from awry.experiments.document import dotted, present, read_yaml


def read(tmp_path: Path, text: str) -> dict:
    file = tmp_path / "a.yaml"
    file.write_text(text, encoding="utf-8")
    return read_yaml(file)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("5e-4", 0.0005),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("-2", -2),
        ("010", 10),
        ("1.", 1.0),
        ("true", True),
        ("null", None),
        ("~", None),
        ("", None),
        ("no", "no"),
        ("on", "on"),
        ("yes", "yes"),
        ("1:30", "1:30"),
        ("2020-01-01", "2020-01-01"),
        ("1_000", "1_000"),
        ("0x10", "0x10"),
        ("'5e-4'", "5e-4"),
    ],
)
def test_scalars_follow_yaml_1_2(tmp_path, written, meant) -> None:
    value = read(tmp_path, f"a: {written}")["a"]
    assert value == meant
    assert type(value) is type(meant)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1\nb: 2", "line 2"),
        ("a: 1\nb:\n  c: 1\n  c: 2", "line 4, column 3: the key `c` appears twice"),
        ("a: 1\n1: 2", "line 2, column 1: the key `1` is not text"),
        ("true: 2", "is not text"),
        ("? [a]\n: 2", "a key must be a word"),
        ("a: &x 1\nb: *x", "line 2, column 4: aliases"),
        ("a: {<<: {b: 1}}\n---\nb: 2", "single document"),
        ("a: !!python/object:os.system 1", "constructor"),
        ("a: \x00", "not YAML"),
        ("a: " + "[" * 5000, "not YAML"),
        ("\ta: 1", "line 1"),
    ],
)
def test_bad_yaml_is_a_user_error_that_says_where(tmp_path, text, words) -> None:
    with pytest.raises(UserError) as caught:
        read(tmp_path, text)
    assert words in caught.value.render()
    assert str(tmp_path / "a.yaml") in caught.value.render()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("# only a comment\n", "empty"),
        ("- 1", "not a list"),
        ("hello", "not a str"),
    ],
)
def test_a_document_must_be_a_mapping(tmp_path, text, words) -> None:
    with pytest.raises(UserError, match=words):
        read(tmp_path, text)


def test_a_merge_key_is_an_ordinary_key(tmp_path) -> None:
    assert read(tmp_path, "a: {<<: {b: 1}}") == {"a": {"<<": {"b": 1}}}


def test_missing_file_names_a_near_one(tmp_path) -> None:
    (tmp_path / "quickstart.yaml").write_text("a: 1")
    with pytest.raises(UserError, match="no such file") as caught:
        read_yaml(tmp_path / "quickstrat.yaml")
    assert caught.value.fix == f"did you mean {tmp_path / 'quickstart.yaml'}?"


def test_a_directory_and_bytes_are_no_documents(tmp_path) -> None:
    with pytest.raises(UserError, match="directory"):
        read_yaml(tmp_path)
    (tmp_path / "b.yaml").write_bytes(b"a: \xff\xfe")
    with pytest.raises(UserError, match="UTF-8"):
        read_yaml(tmp_path / "b.yaml")
    with pytest.raises(UserError, match="no such file"):
        read_yaml(tmp_path / "no" / "where.yaml")


def test_paths() -> None:
    document = {"a": {"b": [1, {"c": None}]}}
    assert dotted(("a", "b", 1, "c")) == "a.b[1].c"
    assert present(document, ("a", "b", 1, "c"))
    assert present(document, ())
    assert not present(document, ("a", "b", 2))
    assert not present(document, ("a", "b", "c"))
    assert not present(document, ("a", "b", 0, "c"))
