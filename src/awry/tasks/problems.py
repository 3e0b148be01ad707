"""Problems: what they are, where they come from, and the checks every row passes on load."""

from __future__ import annotations

import ast
import hashlib
import json
import tomllib
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from importlib import resources
from typing import Any, Literal

from awry.errors import UserError
from awry.tasks.assertions import Case, parse_test
from awry.tasks.problem_files import distinct, read_rows

DIFFICULTIES = ("easy", "medium", "hard")
SOLVABLE, UNSOLVED = 0.30, 0.05  # pass rates of the measuring policy


@dataclass(frozen=True)
class Problem:
    """One task. canonical passes its tests; wrong is a plausible mistake that does not.

    entry_point: "f" or "Solution().f". tests: each `assert CALL == LITERAL`. check: Python that
    defines `check(candidate)`, for tests of another form; an answer must pass both. phrasing: a
    "phrase" reads on from "Complete this function so that it ...", a "description" stands alone.
    """

    id: str
    statement: str
    starter: str
    entry_point: str
    tests: tuple[str, ...]
    canonical: str
    wrong: str
    setup: str = ""
    difficulty: str = "easy"
    tags: tuple[str, ...] = ()
    source: str = "catalog"
    licence: str = "Apache-2.0"
    kind: Literal["code"] = "code"
    check: str = ""
    phrasing: Literal["phrase", "description"] = "phrase"

    @cached_property
    def digest(self) -> str:
        """sha256 (hex) of all fields, as JSON with sorted keys."""
        values = asdict(self)
        for name, default in _ADDED.items():  # so that older digests stay what they were
            if values[name] == default:
                del values[name]
        text = json.dumps(values, sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def cases(self) -> tuple[Case, ...]:
        return tuple(parse_test(test) for test in self.tests)

    @property
    def in_class(self) -> bool:
        return self.entry_point.startswith(IN_CLASS)

    @property
    def function_name(self) -> str:
        return self.entry_point.removeprefix(IN_CLASS)


IN_CLASS = "Solution()."
_ADDED = {"check": "", "phrasing": "phrase"}
REQUIRED = ("id", "statement", "starter", "entry_point", "canonical")
PHRASINGS = ("phrase", "description")


def load_catalog() -> tuple[Problem, ...]:
    """The built-in problems, ordered by id."""
    folder = resources.files("awry.tasks") / "catalog" / "problems"
    problems: list[Problem] = []
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(".toml"):
            rows = tomllib.loads(file.read_text("utf-8"))["problem"]
            place = f"catalog/{file.name}"
            problems += [_problem(row, f"problem[{n}]", place) for n, row in enumerate(rows)]
    return distinct(problems, "catalog")


def load_problems(source: str) -> tuple[Problem, ...]:
    """ "catalog", a .toml (`[[problem]]`), .jsonl or .jsonl.gz file with the same fields, or a
    folder that `awry curate` wrote.

    Raises UserError naming the file, the row and the field of whatever is wrong.
    """
    if source == "catalog":
        return load_catalog()
    rows = enumerate(read_rows(source, "catalog"))
    return distinct([_problem(row, f"problem[{number}]", source) for number, row in rows], source)


def _problem(row: object, where: str, file: str) -> Problem:
    if not isinstance(row, dict):
        raise UserError("not a table", field=where, value=row, file=file)
    names = [field.name for field in fields(Problem)]
    for name in row:
        if name not in names:
            raise UserError(
                "unknown key",
                field=f"{where}.{name}",
                file=file,
                fix="use " + ", ".join(names),
            )
    for name in REQUIRED:
        if not row.get(name):
            raise UserError("missing or empty", field=f"{where}.{name}", file=file)
    if not row.get("tests") and not row.get("check"):
        raise UserError("neither tests nor a check", field=f"{where}.tests", file=file)
    row = {"tests": [], "wrong": "", **row}
    listed = {"tests", "tags"}
    for name, value in row.items():
        if name in listed:
            good = isinstance(value, list) and all(isinstance(item, str) for item in value)
        else:
            good = isinstance(value, str)
        if not good:
            expected = "a list of strings" if name in listed else "a string"
            raise UserError(f"not {expected}", field=f"{where}.{name}", value=value, file=file)
    values: dict[str, Any] = {k: tuple(v) if k in listed else v for k, v in row.items()}
    problem = Problem(**values)
    for name, reason in _mistakes(problem):
        raise UserError(reason, field=f"{where}.{name}", value=problem.id, file=file)
    return problem


def _mistakes(problem: Problem) -> list[tuple[str, str]]:
    """(field, reason) for everything wrong that needs no execution to see."""
    found: list[tuple[str, str]] = []
    if problem.kind != "code":
        found.append(("kind", "is not code"))
    if problem.difficulty not in DIFFICULTIES:
        found.append(("difficulty", "is not one of " + ", ".join(DIFFICULTIES)))
    if problem.phrasing not in PHRASINGS:
        found.append(("phrasing", "is not one of " + ", ".join(PHRASINGS)))
    if not problem.function_name.isidentifier():
        found.append(("entry_point", "is not a function name, f or Solution().f"))
    for number, test in enumerate(problem.tests):
        try:
            case = parse_test(test)
        except ValueError as error:
            found.append((f"tests[{number}]", str(error)))
            continue
        if not _calls(case.call, problem.function_name):
            found.append((f"tests[{number}]", f"does not call {problem.function_name}"))
    for name in ("setup", "canonical", "wrong", "check"):
        try:
            ast.parse(getattr(problem, name))
        except SyntaxError as error:
            found.append((name, f"is not Python: {error.msg}"))
    return found


def _calls(expression: str, name: str) -> bool:
    nodes = ast.walk(ast.parse(expression, mode="eval"))
    return any(
        isinstance(node, ast.Name | ast.Attribute)
        and (node.id if isinstance(node, ast.Name) else node.attr) == name
        for node in nodes
    )


def tier(passes: int, samples: int) -> str:
    """ "solvable" (pass rate >= .30), "unsolved" (<= .05) or "between", for a measured problem."""
    if samples <= 0 or not 0 <= passes <= samples:
        raise ValueError(f"{passes} passes of {samples} samples")
    rate = passes / samples
    return "solvable" if rate >= SOLVABLE else "unsolved" if rate <= UNSOLVED else "between"
