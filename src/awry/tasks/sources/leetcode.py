"""LeetCodeDataset (newfacade/LeetCodeDataset), both layouts: v0.2.0 with `meta`, and v0.3."""

from __future__ import annotations

import ast
import re
import textwrap

from awry.tasks.problems import Problem
from awry.tasks.sources.conversion import (
    Harvest,
    as_check,
    defined_names,
    from_check,
    signature,
)
from awry.tasks.sources.rows import (
    Format,
    Row,
    Unusable,
    cleaned,
    difficulty,
    numbered,
    parsed,
    table,
    text,
    texts,
)
from awry.tasks.starters import complete

LICENCE = "MIT"
_REQUEST = "Please complete the following python code precisely"
_CALL = re.compile(r"(?:Solution\(\)\.)?[A-Za-z_]\w*")


def _id(row: Row, number: int) -> str:
    return "leetcode/" + numbered(row, number, "task_id", "question_id")


def _problem(row: Row, number: int) -> Problem:
    meta = table(row, "meta")
    setup, call = text(row, "prompt"), entry_point(text(row, "entry_point"))
    canonical = text(row, "completion").strip() + "\n"
    parsed(setup, "the setup")
    parsed(canonical, "the canonical solution")
    try:
        found = from_check(text(row, "test"), call, defined_names(setup))
    except ValueError as error:
        raise Unusable("the tests cannot be read", str(error)) from error
    return Problem(
        id=_id(row, number),
        statement=_statement(row, meta),
        starter=starter(row.get("starter_code") or meta.get("lang_code"), canonical, call),
        entry_point=call,
        tests=found.tests,
        canonical=canonical,
        wrong="",
        setup=setup.strip() + "\n",
        check=remaining(found, setup),
        phrasing="description",
        difficulty=difficulty(row.get("difficulty") or meta.get("difficulty")),
        tags=texts(row, "tags"),
        source="leetcode",
        licence=LICENCE,
    )


def entry_point(name: str) -> str:
    name = name.strip()
    if not _CALL.fullmatch(name):
        raise Unusable("the entry point is no function and no method of Solution()", name)
    return name


def remaining(found: Harvest, setup: str) -> str:
    """The check for what the tests leave out; empty when they say all."""
    return as_check(found.left, "candidate", setup) if found.left else ""


def _statement(row: Row, meta: Row) -> str:
    if row.get("problem_description"):
        return cleaned(text(row, "problem_description"))
    # v0.2.0: `question_title` holds the examples, and the examples are the hidden tests. The data
    # set's own prompt leaves them out.
    query = row.get("query")
    if isinstance(query, str) and _REQUEST in query:
        return cleaned(query.partition(_REQUEST)[0])
    return cleaned(text(meta, "question_title"))


def starter(given: object, canonical: str, call: str) -> str:
    """The given starter where a body can follow it, else one from the canonical solution."""
    owner, _, name = call.rpartition("().")
    shown = given.strip("\n").rstrip() + "\n" if isinstance(given, str) else ""
    if _ends_in(shown, owner, name):  # the benchmark's starters may have tests after the function
        return shown
    body = parsed(canonical, "the canonical solution").body
    if owner:
        body = [n for c in body if isinstance(c, ast.ClassDef) and c.name == owner for n in c.body]
    for node in body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            line = signature(node)
            return f"class {owner}:\n{textwrap.indent(line, '    ')}" if owner else line
    raise Unusable("no starter, and the canonical solution does not define the entry point", call)


def _ends_in(starter: str, owner: str, name: str) -> bool:
    """Would a body put after it be that function's?"""
    try:
        node: ast.AST = ast.parse(complete(starter, "pass")).body[-1]
    except (SyntaxError, ValueError):
        return False
    if owner:
        if not isinstance(node, ast.ClassDef) or node.name != owner:
            return False
        node = node.body[-1]
    return isinstance(node, ast.FunctionDef) and node.name == name


FORMAT = Format(
    name="leetcode",
    looks="rows of LeetCodeDataset (task_id, prompt, completion, entry_point, test, ...)",
    identify=_id,
    problem=_problem,
    hub_file="LeetCodeDataset-train.jsonl",
)
