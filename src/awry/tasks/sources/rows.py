"""What every format of rows shares: reading a field, cleaning a statement, reasons to drop a row."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from awry.tasks.problems import DIFFICULTIES, Problem
from awry.tasks.theorems import ProofProblem

Row = Mapping[str, Any]
Made = TypeVar("Made", bound=Problem | ProofProblem, covariant=True)


class Unusable(Exception):
    """A row that gives no problem. reason: the same for all rows with this fault; detail: its own."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


@dataclass(frozen=True)
class Format(Generic[Made]):
    """One kind of data set.

    identify: the id of a row, whatever else is wrong with it. problem: the row as one; raises
    Unusable. looks: a word that says what the rows must be. hub_file: the file taken from a hub;
    package: an installed package that may bring the data. kind: of what the problems are; grouped:
    makes the rows of problems from those of the file, where these are others.
    """

    name: str
    looks: str
    identify: Callable[[Row, int], str]
    problem: Callable[[Row, int], Made]
    hub_file: str | None = None
    package: str | None = None
    kind: Literal["code", "proof"] = "code"
    grouped: Callable[[Sequence[Row]], list[Row]] | None = None


def text(row: Row, *names: str) -> str:
    """The first of these fields that holds text. Raises Unusable."""
    for name in names:
        value = row.get(name)
        if isinstance(value, str) and value.strip():
            return value.replace("\r\n", "\n")
    raise Unusable(f"no field `{names[0]}`")


def optional(row: Row, name: str) -> str:
    value = row.get(name)
    return value.replace("\r\n", "\n") if isinstance(value, str) else ""


def table(row: Row, name: str) -> Row:
    value = row.get(name)
    return value if isinstance(value, dict) else {}


def texts(row: Row, name: str) -> tuple[str, ...]:
    """A field with a list of strings, empty when there is none."""
    value = row.get(name)
    return tuple(v for v in value if isinstance(v, str)) if isinstance(value, list | tuple) else ()


def difficulty(value: object) -> str:
    name = value.strip().lower() if isinstance(value, str) else ""
    if name not in DIFFICULTIES:
        raise Unusable("unknown difficulty", str(value))
    return name


def numbered(row: Row, number: int, *names: str) -> str:
    """The row's own id, or its number in the file where it has none."""
    for name in names:
        value = row.get(name)
        if isinstance(value, int) or (isinstance(value, str) and value.strip()):
            return str(value).strip()
    return f"row-{number}"


def cleaned(statement: str) -> str:
    """Ordinary spaces, no blanks at line ends, at most one empty line in a row."""
    lines = [line.rstrip() for line in statement.replace("\xa0", " ").split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def parsed(source: str, what: str) -> ast.Module:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError) as error:
        raise Unusable(f"{what} is not Python", str(error)) from error
