"""A folder that `awry curate` wrote, as others read it. Loads nothing heavy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from awry.errors import UserError
from awry.files import file_sha256, read_json

RECORD, SAMPLES, PROBLEMS, CONFIRMED = (
    *("curation.json", "samples.jsonl", "problems.jsonl"),
    "confirmed.jsonl",
)


def record(source: str) -> dict[str, Any] | None:
    """The curation behind a source of problems, or None for any other source.

    A source is curated when it is the folder, or the problems.jsonl in it as it was written.
    """
    path = Path(source)
    folder = path.parent if path.name == PROBLEMS else path
    found = read_json(folder / RECORD) if folder.is_dir() else None
    if found is None or not found.get("finished"):
        return None
    same = path == folder or found["files"][PROBLEMS] == file_sha256(path)
    return found if same else None


def digest(source: str) -> str | None:
    """sha256 of the record of the curation behind a source, or None when there is none."""
    if record(source) is None:
        return None
    path = Path(source)
    return file_sha256((path.parent if path.name == PROBLEMS else path) / RECORD)


def problems_file(folder: Path) -> Path:
    """The kept problems of a curated folder. Raises UserError when they are not to be had whole."""
    found = read_json(folder / RECORD)
    if found is None:
        raise UserError(
            f"this folder holds no curation ({RECORD})",
            field="problems.source",
            value=folder,
            fix='use "catalog", a .toml or .jsonl file, or a folder that `awry curate` wrote',
        )
    if not found.get("finished"):
        raise UserError(
            "this curation is not finished",
            field="problems.source",
            value=folder,
            fix="run the same `awry curate` again: it goes on where it stopped",
        )
    file = folder / PROBLEMS
    if not file.is_file() or file_sha256(file) != found["files"][PROBLEMS]:
        raise UserError(
            "the kept problems are not those that the curation wrote",
            field="problems.source",
            value=file,
            fix="run the same `awry curate` again, or use the edited file itself as the source",
        )
    if not found["counts"]["kept"]:
        raise UserError(
            "this curation kept no problem",
            field="problems.source",
            value=folder,
            fix="curate again with a wider --band into another folder",
        )
    return file
