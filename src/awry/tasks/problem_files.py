"""Problem files of either kind: the rows of a .toml, .jsonl or .jsonl.gz file or a curated folder."""

from __future__ import annotations

import gzip
import json
import tomllib
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol, TypeVar

from awry.errors import UserError
from awry.tasks.curated import problems_file


class Named(Protocol):
    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=Named)


def read_rows(source: str, catalog: str) -> list[object]:
    """What `[[problem]]` tables or lines of JSON hold. catalog: the source to name in advice.

    Raises UserError for what cannot be read, and for a file without a row.
    """
    path = Path(source)
    if path.is_dir():
        path = problems_file(path)
    zipped = path.suffix == ".gz"
    kind = path.with_suffix("").suffix if zipped else path.suffix
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if zipped else data).decode("utf-8")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise UserError(
            f"cannot read problems: {error}",
            field="problems.source",
            value=source,
            fix=f'use "{catalog}" or the path of a .toml or .jsonl file',
        ) from error
    try:
        if kind == ".toml":
            rows: object = tomllib.loads(text).get("problem")
        elif kind == ".jsonl":
            # not splitlines: a string in JSON may hold U+2028, which that takes for a line's end
            rows = [json.loads(line) for line in text.split("\n") if line.strip()]
        else:
            raise UserError(
                "unknown kind of problem file",
                field="problems.source",
                value=source,
                fix="use .toml, .jsonl or .jsonl.gz",
            )
    except ValueError as error:
        raise UserError(f"not a readable problem file: {error}", file=path) from error
    if not isinstance(rows, list) or not rows:
        raise UserError("no problems in this file", file=path, fix="write [[problem]] tables")
    return rows


def distinct(problems: Iterable[T], file: str) -> tuple[T, ...]:
    """By id. Raises UserError when two have the same."""
    found: dict[str, T] = {}
    for problem in problems:
        if problem.id in found:
            raise UserError("two problems have this id", field="id", value=problem.id, file=file)
        found[problem.id] = problem
    return tuple(found[name] for name in sorted(found))
