from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from small_policy import acting

from awry.errors import UserError
from awry.generation.engine import Sampling
from awry.progress import Silent
from awry.tasks import curated
from awry.tasks.bands import Rule
from awry.tasks.curation import Questions, curate
from awry.tasks.problems import load_catalog, load_problems


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    four = load_catalog()[:4]
    subject = acting(four, {p.id: (rate, 0) for p, rate in zip(four, (0, 40, 30, 99), strict=True)})
    folder = tmp_path_factory.mktemp("made") / "curated"
    questions = Questions(Sampling(6, 1.0), samples=16)
    curate(subject, four, folder, questions, Rule(), source="catalog", progress=Silent())
    return folder


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    shutil.copytree(original, tmp_path / "curated")
    return tmp_path / "curated"


def change(folder: Path, **values: object) -> None:
    record = json.loads((folder / "curation.json").read_text())
    (folder / "curation.json").write_text(json.dumps(record | values))


def test_a_folder_is_a_source(folder: Path) -> None:
    kept = load_problems(str(folder))
    assert [*kept] == [*load_catalog()[1:3]]
    assert [p.digest for p in kept] == [p.digest for p in load_catalog()[1:3]]


def test_the_record_is_found_by_folder_and_by_file(folder: Path) -> None:
    record = curated.record(str(folder))
    assert record is not None
    assert record["settings"]["samples"] == 16
    file = folder / "problems.jsonl"
    assert curated.record(str(file)) == record
    assert curated.digest(str(file)) == curated.digest(str(folder)) is not None
    for other in ("catalog", str(folder / "samples.jsonl"), str(folder.parent), "nowhere"):
        assert curated.record(other) is None
        assert curated.digest(other) is None
    file.write_text(file.read_text() + "\n")
    assert curated.record(str(file)) is None


def test_edited_problems_are_refused_as_a_curation(folder: Path) -> None:
    file = folder / "problems.jsonl"
    file.write_text(file.read_text().splitlines()[0] + "\n")
    with pytest.raises(UserError, match="not those that the curation wrote"):
        load_problems(str(folder))
    assert len(load_problems(str(file))) == 1


def test_an_unfinished_or_empty_one_is_refused(folder: Path) -> None:
    change(folder, finished=False)
    with pytest.raises(UserError, match="not finished") as caught:
        load_problems(str(folder))
    assert caught.value.field == "problems.source"
    assert curated.record(str(folder)) is None
    change(folder, finished=True, counts={"kept": 0})
    with pytest.raises(UserError, match="kept no problem"):
        load_problems(str(folder))
    (folder / "curation.json").unlink()
    with pytest.raises(UserError, match="holds no curation"):
        load_problems(str(folder))
