"""What commands print on stdout: one JSON document, or text."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def print_result(as_json: bool, document: Any, lines: list[str]) -> None:
    print(
        json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
        if as_json
        else "\n".join(lines)
    )


def text_of(value: object) -> str:
    return "\n".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def print_table(
    as_json: bool,
    rows: list[dict[str, Any]],
    columns: tuple[str, ...],
    shown: list[dict[str, Any]] | None = None,
    document: Any = None,
) -> None:
    if as_json:
        print(
            json.dumps(
                rows if document is None else document,
                indent=1,
                ensure_ascii=False,
                allow_nan=False,
            )
        )
        return
    import io
    import shutil

    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    drawn = Table(*columns, box=SIMPLE_HEAD, pad_edge=False)
    for row in rows if shown is None else shown:
        drawn.add_row(*("" if row.get(c) is None else str(row[c]) for c in columns))
    # not straight to stdout: rich ends the process with status 1 when a pipe is closed
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 240
    text = io.StringIO()
    Console(file=text, width=width, highlight=False, markup=False).print(drawn)
    print("\n".join(line.rstrip() for line in text.getvalue().split("\n")).strip("\n"))
