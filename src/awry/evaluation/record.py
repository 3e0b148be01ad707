"""The folder of one benchmark asked of one policy: what is in it, written and read.

`evaluation.json` says what was asked of whom and under which conditions, `items.jsonl` holds the
items as they were asked, `parts/` the answers as they came (numbered files, never rewritten),
`responses.parquet` all of them once there are no more to come, `scores/` the marks of each scorer,
`metrics.json` the numbers. Without the policy and without the benchmark's data all of it can be
scored again.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from awry.errors import UserError
from awry.evaluation.items import Ask, Choose, Item, Mark, Response
from awry.files import atomic_write, atomic_write_json, file_sha256, read_json, writing

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

RECORD, ITEMS, RESPONSES, METRICS = (
    *("evaluation.json", "items.jsonl", "responses.parquet"),
    "metrics.json",
)
PARTS, SCORES = "parts", "scores"
Marks = list[Mapping[str, Mark]]


@dataclass(frozen=True)
class Stored:
    """A finished evaluation as it lies on disk. marks: by scorer, one mapping per response."""

    folder: Path
    record: dict[str, Any]
    items: list[Item]
    responses: list[Response]
    marks: dict[str, Marks]


def read(folder: Path) -> Stored:
    """Everything in the folder of a benchmark. Raises UserError when it is not complete."""
    record = read_json(folder / RECORD)
    if record is None or record.get("kind") != "evaluation":
        raise UserError(
            f"this folder holds no evaluation ({RECORD})",
            field="DIR",
            value=folder,
            fix="give a folder that `awry evaluate` wrote",
        )
    responses = RESPONSES in record.get("files", {})
    if not responses or not (folder / RESPONSES).is_file():
        raise UserError(
            "this evaluation is not finished: answers are missing",
            field="DIR",
            value=folder,
            fix="run the same `awry evaluate` again: it goes on where it stopped",
        )
    for name in (ITEMS, RESPONSES):
        if file_sha256(folder / name) != record["files"][name]:
            raise UserError(
                "was changed after it was written",
                file=folder / name,
                fix="restore it, or delete the folder and evaluate again",
            )
    answers = read_responses(folder / RESPONSES)
    marks = {
        name: read_marks(folder / found["file"], answers)
        for name, found in record["scores"].items()
    }
    return Stored(folder, record, read_items(folder / ITEMS), answers, marks)


def read_metrics(folder: Path) -> dict[str, dict[str, Any]]:
    """metrics.json of every benchmark of one policy, by the benchmark's name."""
    found = {file.parent.name: read_json(file) for file in sorted(folder.glob(f"*/{METRICS}"))}
    return {name: document for name, document in found.items() if document is not None}


# ---- items ---------------------------------------------------------------------------------------
def item_json(item: Item) -> dict[str, Any]:
    kind = "ask" if isinstance(item, Ask) else "choose"
    return {"kind": kind, **{k: v for k, v in vars(item).items() if v not in (None, "", (), {})}}


def item_of(row: Mapping[str, Any]) -> Item:
    values: dict[str, Any] = _tupled({k: v for k, v in row.items() if k != "kind"})
    return Ask(**values) if row["kind"] == "ask" else Choose(**values)


def _tupled(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(v) if isinstance(v, list) else v for name, v in row.items()}


def write_items(path: Path, items: Sequence[Item]) -> list[Item]:
    """Save items; they come back as they will be read. Raises ValueError when they are not JSON
    or two have one id, which is a fault of the benchmark.
    """
    if len({item.id for item in items}) != len(items):
        raise ValueError("two items of this benchmark have the same id")
    lines = [json.dumps(item_json(item), ensure_ascii=False, allow_nan=False) for item in items]
    atomic_write(path, "".join(line + "\n" for line in lines))
    return [item_of(json.loads(line)) for line in lines]


def read_items(path: Path) -> list[Item]:
    return [item_of(json.loads(line)) for line in _text(path).split("\n") if line]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot be read: {error}", file=path, fix="evaluate again") from error


# ---- answers -------------------------------------------------------------------------------------
def _response_schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema(
        [
            ("item", pa.string()),
            ("sample", pa.int32()),
            ("text", pa.string()),
            ("tokens", pa.int32()),
            ("finished", pa.bool_()),
            ("loglikelihoods", pa.list_(pa.float64())),
            ("greedy", pa.list_(pa.bool_())),
        ]
    )


def write_responses(path: Path, responses: Sequence[Response]) -> None:
    """The same answers give the same bytes."""
    _write_table(path, [asdict(r) for r in responses], _response_schema())


def read_responses(path: Path) -> list[Response]:
    """Raises UserError for a file that is not whole."""
    rows = _read_table(path)
    try:
        return [Response(**_tupled(row)) for row in rows]
    except TypeError as error:
        raise _damaged(path, error) from error


def read_parts(folder: Path) -> dict[tuple[str, int], Response]:
    """Answers saved so far, by item and sample."""
    found: dict[tuple[str, int], Response] = {}
    for file in sorted((folder / PARTS).glob("*.parquet")):
        for response in read_responses(file):
            if (response.item, response.sample) in found:
                raise _damaged(file, f"{response.item} was answered before")
            found[response.item, response.sample] = response
    return found


def add_part(folder: Path, responses: Sequence[Response]) -> None:
    """Save answers in a new file, whole or not at all."""
    parts = folder / PARTS
    with writing(parts):
        parts.mkdir(exist_ok=True)
    numbers = [int(file.stem) for file in parts.glob("*.parquet")]
    write_responses(parts / f"{max(numbers, default=-1) + 1:06d}.parquet", responses)


def drop_parts(folder: Path) -> None:
    """Remove the parts, once the record says that one file holds all of them."""
    parts = folder / PARTS
    for file in parts.glob("*.parquet"):
        file.unlink()
    if parts.is_dir():
        for left_over in parts.glob(".*.partial"):
            left_over.unlink()
        parts.rmdir()


# ---- marks ---------------------------------------------------------------------------------------
def marks_file(scorer: str) -> str:
    return f"{SCORES}/{re.sub(r'[^A-Za-z0-9._-]+', '-', scorer).strip('-.')}.parquet"


def write_marks(path: Path, responses: Sequence[Response], marks: Sequence[Mapping]) -> None:
    import pyarrow as pa

    with writing(path.parent):
        path.parent.mkdir(exist_ok=True)
    rows = [
        {
            "item": response.item,
            "sample": response.sample,
            "marks": json.dumps(dict(found), ensure_ascii=True, allow_nan=False),
        }
        for response, found in zip(responses, marks, strict=True)
    ]
    schema = pa.schema([("item", pa.string()), ("sample", pa.int32()), ("marks", pa.string())])
    _write_table(path, rows, schema)


def read_marks(path: Path, responses: Sequence[Response]) -> Marks:
    """Marks in the order of `responses`. Raises UserError when they are of other answers."""
    rows = {(row["item"], row["sample"]): json.loads(row["marks"]) for row in _read_table(path)}
    try:
        return [rows[r.item, r.sample] for r in responses]
    except KeyError as error:
        raise UserError(
            f"has no marks of {error.args[0][0]}", file=path, fix="run `awry score` on this folder"
        ) from error


def missing_marks(marks: Iterable[Mapping[str, Mark]]) -> int:
    """Responses without a mark: the scorer failed, and nothing stands in for what it did not say."""
    return sum(1 for found in marks if found.get("failure"))


# ---- tables --------------------------------------------------------------------------------------
def _write_table(path: Path, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), buffer, compression="zstd")
    atomic_write(path, buffer.getvalue())


def _read_table(path: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path).read().to_pylist()
    except Exception as error:  # Arrow raises many kinds for an unreadable file
        raise _damaged(path, error) from error


def _damaged(path: Path, error: object) -> UserError:
    return UserError(
        f"is damaged: {error}", file=path, fix="delete it: what it held is asked or scored again"
    )


# ---- one process at a time -----------------------------------------------------------------------
@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a folder for this process; a process that dies lets go of it. Raises UserError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(
                "another process is writing this evaluation",
                file=folder,
                fix="wait for it, or give another --out",
            ) from error
        yield
    finally:
        os.close(descriptor)


def save_record(folder: Path, record: Mapping[str, Any]) -> None:
    atomic_write_json(folder / RECORD, record)
