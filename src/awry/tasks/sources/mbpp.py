"""MBPP, and files in its style: a request, a solution, a list of assertions."""

from __future__ import annotations

import ast

from awry.tasks.problems import Problem
from awry.tasks.sources.conversion import (
    as_check,
    defined_names,
    from_statements,
    signature,
)
from awry.tasks.sources.rows import (
    Format,
    Row,
    Unusable,
    cleaned,
    numbered,
    optional,
    parsed,
    text,
    texts,
)

LICENCE = "CC-BY-4.0"


def _id(row: Row, number: int) -> str:
    return "mbpp/" + numbered(row, number, "task_id")


def _problem(row: Row, number: int) -> Problem:
    code = text(row, "code").strip() + "\n"
    tree = parsed(code, "the solution")
    tests = (*texts(row, "test_list"), *texts(row, "challenge_test_list"))
    function, used = _entry_point(tree, tests)
    given = "\n".join([*texts(row, "test_imports"), optional(row, "test_setup_code")]).strip()
    parsed(given, "the setup")
    helpers = _helpers(tree, function, used)
    setup = "\n\n".join(part for part in (given, helpers) if part)
    try:
        found = from_statements(tests, function.name, function.name, defined_names(setup))
    except ValueError as error:
        raise Unusable("the tests cannot be read", str(error)) from error
    return Problem(
        id=_id(row, number),
        statement=cleaned(text(row, "text", "prompt")),
        starter=(f"{helpers}\n\n\n" if helpers else "") + signature(function),
        entry_point=function.name,
        tests=found.tests,
        canonical=code,
        wrong="",
        setup=setup + "\n" if setup else "",
        check=as_check(found.left, function.name, setup) if found.left else "",
        phrasing="description",
        difficulty="easy",
        tags=(),
        source="mbpp",
        licence=LICENCE,
    )


def _entry_point(tree: ast.Module, tests: tuple[str, ...]) -> tuple[ast.FunctionDef, set[str]]:
    """The function that the tests call, and every name that they use."""
    if not tests:
        raise Unusable("no field `test_list`")
    functions = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef)}
    used: set[str] = set()
    called: list[str] = []
    for number, test in enumerate(tests):
        try:
            nodes = list(ast.walk(ast.parse(test.strip())))
        except (SyntaxError, ValueError) as error:
            raise Unusable("the tests cannot be read", f"test {number}: {error}") from error
        used |= {n.id for n in nodes if isinstance(n, ast.Name)}
        called += [
            n.func.id for n in nodes if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
        ]
    for name in called:
        if name in functions:
            return functions[name], used
    raise Unusable("the tests call no function of the solution", ", ".join(dict.fromkeys(called)))


def _helpers(tree: ast.Module, function: ast.FunctionDef, used: set[str]) -> str:
    """What the tests need of the solution besides the function, such as the class of an argument."""
    kept = [
        node
        for node in tree.body
        if isinstance(node, ast.ClassDef | ast.FunctionDef)
        and node is not function
        and node.name in used
    ]
    return "\n\n\n".join(ast.unparse(node) for node in kept)


FORMAT = Format(
    name="mbpp",
    looks="rows of MBPP (task_id, text or prompt, code, test_list)",
    identify=_id,
    problem=_problem,
    hub_file="full/train-00000-of-00001.parquet",
)
