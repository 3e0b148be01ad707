"""`awry compare`: folders of evaluations in, what differs and what does not out."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from awry.errors import UserError
from awry.output import Json, print_result

if TYPE_CHECKING:
    from awry.evaluation.comparison.compare import Comparison, Margins
    from awry.evaluation.comparison.table import Evaluated, Key


class Layout(StrEnum):
    summary = "summary"
    checkpoints = "checkpoints"


class Group(StrEnum):
    policy = "policy"
    arm = "arm"


EPILOG = "Example: awry compare evaluations/base evaluations/trained --margin 0.05"


def compare_command(
    folders: Annotated[
        list[Path],
        typer.Argument(
            help="Policies' folders that `awry evaluate` wrote; the first is the baseline.",
            show_default=False,
        ),
    ],
    table: Annotated[
        Layout, typer.Option("--table", help="Differences, or all policies beside each other.")
    ] = Layout.summary,
    group: Annotated[
        Group, typer.Option("--group", help="What is compared; arm: runs that differ by seed.")
    ] = Group.policy,
    margin: Annotated[
        list[str] | None,
        typer.Option(
            "--margin",
            help="Too small to matter, decided before looking: a share of the scale, or "
            "BENCHMARK.METRIC=VALUE; repeat.",
        ),
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option("--allow", help="A condition that may differ, by name; repeat."),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", help="Only BENCHMARK or BENCHMARK.METRIC; repeat."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every metric, not only the main ones.")
    ] = False,
    threshold: Annotated[
        list[str] | None,
        typer.Option("--threshold", help="BENCHMARK.METRIC=VALUE: when did runs reach it; repeat."),
    ] = None,
    alpha: Annotated[
        float, typer.Option("--alpha", min=1e-6, max=0.5, help="Level of the whole table.")
    ] = 0.05,
    html: Annotated[
        Path | None, typer.Option("--html", help="Also write one self-contained page here.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare evaluations item by item. Refuses those that were made under different conditions."""
    from awry.evaluation.comparison.compare import compare
    from awry.evaluation.comparison.layout import checkpoint_lines, summary_lines
    from awry.evaluation.comparison.sides import Side, check
    from awry.evaluation.comparison.table import read_subjects
    from awry.evaluation.comparison.trajectories import checkpoints

    margins = parsed_margins(margin or ())
    limits = dict(_named(text, "--threshold") for text in threshold or ())
    subjects = read_subjects(folders)
    comparison = compare(
        subjects,
        by_arm=group is Group.arm,
        margins=margins,
        allowed=allow or (),
        chosen=metric or (),
        everything=everything,
        alpha=alpha,
    )
    # the comparison has looked at the last checkpoint of each arm only; the table shows them all
    check([Side(s.name, (s,)) for s in subjects], allow or ())
    keys = _columns(comparison, subjects)
    found = checkpoints(subjects, keys, _thresholds(limits, keys))
    document = comparison.to_json() | {"checkpoints": found.to_json()}
    lines = summary_lines(comparison)
    if table is Layout.checkpoints:
        lines = checkpoint_lines(found)
    if html is not None:
        from awry.report.evaluation import write_page

        document["report"] = str(write_page(html, comparison, found))
        lines += ["", f"report: {html}"]
    print_result(as_json, document, lines)


def _columns(comparison: Comparison, subjects: Sequence[Evaluated]) -> list[Key]:
    """The metrics compared, as some policy measured them."""
    measured = {key for subject in subjects for key in subject.measures}
    rows = dict.fromkeys((row.benchmark, row.metric) for row in comparison.rows)
    return [key for key in rows if key in measured]


def _thresholds(named: dict[str, float], keys: Sequence[Key]) -> dict[Key, float]:
    from awry.evaluation.comparison.compare import check_names, spellings

    check_names(named, keys, "--threshold")
    return {key: value for key in keys for n, value in named.items() if n in spellings(key)}


def parsed_margins(texts: Sequence[str]) -> Margins:
    from awry.evaluation.comparison.compare import Margins

    everywhere: float | None = None
    named: dict[str, float] = {}
    for text in texts:
        if "=" in text:
            name, value = _named(text, "--margin")
            named[name] = value
        else:
            everywhere = value = _number(text, text, "--margin")
        if not value > 0:
            raise UserError("a margin must be positive", field="--margin", value=text)
    return Margins(everywhere, named)


def _named(text: str, field: str) -> tuple[str, float]:
    name, equals, value = text.rpartition("=")
    if not (name and equals):
        raise UserError(
            "this needs a name and a value",
            field=field,
            value=text,
            fix=f"write BENCHMARK.METRIC=VALUE, as in {field} xstest.accuracy=0.6",
        )
    return name, _number(value, text, field)


def _number(value: str, text: str, field: str) -> float:
    from math import isfinite

    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not isfinite(number):
        raise UserError("this is not a number", field=field, value=text, fix="write it as 0.05")
    return number
