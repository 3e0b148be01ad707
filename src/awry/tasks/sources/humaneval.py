"""HumanEval (openai/human-eval)."""

from __future__ import annotations

import ast

from awry.tasks.problems import Problem
from awry.tasks.sources.conversion import defined_names, from_check
from awry.tasks.sources.rows import Format, Row, Unusable, numbered, parsed, text
from awry.tasks.starters import complete

LICENCE = "MIT"


def _id(row: Row, number: int) -> str:
    name = numbered(row, number, "task_id")
    return name if name.startswith("HumanEval/") else f"HumanEval/{name}"


def _problem(row: Row, number: int) -> Problem:
    prompt, name = text(row, "prompt").strip("\n"), text(row, "entry_point").strip()
    if not name.isidentifier():
        raise Unusable("the entry point is not a function name", name)
    starter = prompt.rstrip() + "\n"
    try:
        tree = ast.parse(complete(starter, "pass"))
    except (SyntaxError, ValueError) as error:
        raise Unusable(
            "the prompt does not end where a function's body goes", str(error)
        ) from error
    function = tree.body[-1]
    if not isinstance(function, ast.FunctionDef) or function.name != name:
        raise Unusable("the prompt does not end in the entry point", name)
    # An answer may give the function alone: what the prompt defines before it is there anyway.
    setup = "\n".join(starter.split("\n")[: function.lineno - 1]).strip()
    canonical = f"{prompt.rstrip()}\n{text(row, 'canonical_solution').rstrip()}\n".lstrip("\n")
    parsed(canonical, "the canonical solution")
    test = text(row, "test").strip() + "\n"
    try:
        found = from_check(test, name, defined_names(setup))
    except ValueError as error:
        raise Unusable("the tests cannot be read", str(error)) from error
    return Problem(
        id=_id(row, number),
        statement=f"The docstring of `{name}` says what it has to do.",
        starter=starter,
        entry_point=name,
        tests=found.tests,
        canonical=canonical,
        wrong="",
        setup=setup + "\n" if setup else "",
        check=_check(test, name, setup, canonical) if found.left else "",
        phrasing="description",
        difficulty="easy",
        tags=(),
        source="humaneval",
        licence=LICENCE,
    )


def _check(test: str, name: str, setup: str, canonical: str) -> str:
    """The original test source with what it uses of the prompt.

    One test calls the entry point by its own name, for a value to compare with: it gets that from
    the canonical solution, as the check never meets the answer.
    """
    used = {n.id for n in ast.walk(parsed(test, "the test code")) if isinstance(n, ast.Name)}
    before = canonical if name in used else setup
    return f"{before.strip()}\n\n{test}" if before.strip() else test


FORMAT = Format(
    name="humaneval",
    looks="rows of HumanEval (task_id, prompt, entry_point, canonical_solution, test)",
    identify=_id,
    problem=_problem,
    hub_file="openai_humaneval/test-00000-of-00001.parquet",
    package="human-eval",
)
