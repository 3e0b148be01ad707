from __future__ import annotations

import hashlib
import json
from importlib import metadata
from pathlib import Path

import pytest

from awry.errors import UserError
from awry.evaluation.data import Place, find, limited, no_shots, own, subset
from awry.evaluation.items import Ask, Loaded, Options

PLACE = Place("demo", files=("demo*.csv", "demo*.jsonl"), package="demo-data", hub="a/demo",
              hub_files=("test.parquet",))  # fmt: skip
CSV = 'prompt,label\n"one, two\nthree",safe\nfour,unsafe\n'


def test_a_file_and_a_folder_give_rows_and_a_record(tmp_path: Path) -> None:
    file = tmp_path / "demo.csv"
    file.write_text("\ufeff" + CSV, encoding="utf-8")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    for path in (file, tmp_path):
        found = find(Options(path=path), PLACE)
        (table,) = found.tables
        assert table.rows[0] == {"prompt": "one, two\nthree", "label": "safe"}
        assert list(found.source["files"].values()) == [digest]
        assert found.source["published"] is None
    known = Place("demo", files=("demo.csv",), known=frozenset({digest}))
    assert find(Options(path=file), known).source["published"] is True
    file.write_text(CSV + "five,safe\n")
    assert find(Options(path=file), known).source["published"] is False


def test_an_installed_package_is_read_without_importing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "demo_data-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: demo-data\nVersion: 1.2\n")
    package = tmp_path / "demo_data"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "demo.jsonl").write_text('{"prompt": "hello"}\n')
    (info / "RECORD").write_text("demo_data/__init__.py,,\ndemo_data/demo.jsonl,,\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert metadata.version("demo-data") == "1.2"
    found = find(Options(), PLACE)
    assert found.tables[0].rows == ({"prompt": "hello"},)
    assert found.source["kind"] == "package"
    assert found.source["revision"] == "1.2"


def test_what_is_nowhere_is_an_error_that_names_every_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError) as caught:
        find(Options(), PLACE)
    text = caught.value.render()
    assert "the data of demo is not here" in text
    for way in ("--benchmark demo=PATH", "pip install demo-data", "a/demo"):
        assert way in text


def test_a_hub_id_with_a_revision_is_told_from_a_missing_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str, str | None]] = []

    def download(name: str, file: str, *, repo_type: str, revision: str | None) -> str:
        asked.append((name, file, revision))
        place = tmp_path / "snapshots/abc123" / "rows.jsonl"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text('{"prompt": "from the hub"}\n')
        return str(place)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    found = find(Options(path=Path("other/demo@v2")), PLACE)
    assert asked == [("other/demo", "test.parquet", "v2")]
    assert found.source["revision"] == "abc123"
    assert found.tables[0].rows == ({"prompt": "from the hub"},)
    with pytest.raises(UserError, match="no such file or folder"):
        find(Options(path=tmp_path / "none.csv"), PLACE)
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("name", "text", "word"),
    [
        ("demo.csv", "a,b\n1\n", "number of columns"),
        ("demo.csv", "a,b\n", "no rows"),
        ("demo.csv", 'a,b\n"open,1\n', "damaged"),
        ("demo.jsonl", '{"a": 1}\n[]\n', "not an object"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, name: str, text: str, word: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError) as caught:
        find(Options(path=tmp_path / name), PLACE)
    assert word in caught.value.render()
    assert name in caught.value.render()


def test_a_folder_without_the_files_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text(CSV)
    with pytest.raises(UserError) as caught:
        find(Options(path=tmp_path), PLACE)
    assert "demo*.csv" in caught.value.render()


def test_our_own_items_take_no_other_data(tmp_path: Path) -> None:
    assert len(own("awry_probes", "probes.toml", "probe", Options()).tables[0].rows) == 48
    with pytest.raises(UserError, match="brings its own items"):
        own("awry_probes", "probes.toml", "probe", Options(path=tmp_path))


def test_options_that_a_benchmark_does_not_have_are_refused() -> None:
    assert subset(Options(subset=("b",)), "demo", ("a", "b")) == ("b",)
    assert subset(Options(), "demo", ("a", "b")) == ("a", "b")
    with pytest.raises(UserError, match="no such subset"):
        subset(Options(subset=("c",)), "demo", ("a", "b"))
    with pytest.raises(UserError, match="has no subsets"):
        subset(Options(subset=("c",)), "demo", ())
    with pytest.raises(UserError, match="fixed"):
        no_shots(Options(shots=5), "demo")


def test_a_limit_takes_from_the_groups_in_turn() -> None:
    words = ["a1", "a2", "a3", "b1", "c1", "c2"]
    assert limited(words, 3, lambda w: w[0]) == ("a1", "b1", "c1")
    assert limited(words, 4, lambda w: w[0]) == ("a1", "a2", "b1", "c1")
    assert limited(words, 99, lambda w: w[0]) == tuple(words)
    assert limited(words, None) == tuple(words)
    with pytest.raises(UserError):
        limited(words, 0)


def test_the_digest_covers_the_question_and_what_counts_as_right() -> None:
    def digest(text: str, gold: int) -> str:
        item = Ask("x", ({"role": "user", "content": text},), facts={"gold": gold})
        return Loaded((item,), {}).digest

    assert digest("q", 0) == digest("q", 0)
    assert len({digest("q", 0), digest("q", 1), digest("r", 0)}) == 3
    assert json.dumps(digest("q", 0))
