"""`awry export`: stored evaluations in the formats of other tools."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from awry.errors import UserError
from awry.output import Json, print_result

EXPORT_EPILOG = "Example: awry export evaluations --to inspect --out logs"


class Format(StrEnum):
    inspect = "inspect"


def export_command(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="What `awry evaluate` wrote, or a part of it."),
    ] = Path("evaluations"),
    to: Annotated[
        Format, typer.Option("--to", help="inspect: a log (.eval) for each evaluation.")
    ] = Format.inspect,
    out: Annotated[Path, typer.Option("--out", help="Folder of the exported files.")] = Path(
        "logs"
    ),
    as_json: Json = False,
) -> None:
    """Write stored evaluations for other tools: answers, marks, metrics and conditions.

    Read Inspect logs with `inspect view --log-dir logs`, or `inspect_ai.log.read_eval_log`.
    """
    del to  # one so far
    try:
        from awry.bridges.inspect_log import export
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "inspect_ai":
            raise
        raise UserError(
            "Inspect logs are written by inspect_ai, which is not installed",
            field="--to",
            value="inspect",
            fix='pip install "awry[inspect]"',
        ) from error
    done = [(str(place), str(file)) for place, file in export(folder, out)]
    rows = [{"evaluation": place, "file": file} for place, file in done]
    lines = [f"{place} -> {file}" for place, file in done]
    print_result(as_json, {"exported": rows}, lines)
