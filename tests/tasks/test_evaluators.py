from __future__ import annotations

import ast
from dataclasses import replace

import pytest
from small_problems import CHECKED, IN_CLASS

from awry.tasks.evaluators import (
    bound_in_sight,
    find_evaluator,
    known_outcome,
    on_both,
    on_canonical,
    on_stub,
    parse,
    quoted,
    same_function,
)
from awry.tasks.problems import Problem


def found(code: str, name: str = "run_tests") -> str:
    tree = parse(code)
    assert tree is not None
    node = find_evaluator(tree, name)
    return ast.unparse(node) if node else ""


def test_the_last_definition_that_an_import_would_run() -> None:
    assert (
        found("def run_tests(): pass\ndef run_tests(): return 1")
        == "def run_tests():\n    return 1"
    )
    assert found("run_tests = 3") == "run_tests = 3"
    assert found("class Solution:\n    def run_tests(self): pass").startswith("def run_tests(self)")
    for nest in ("if x:", "for x in y:", "while x:", "with x:", "try:"):
        tail = "\nfinally: pass" if nest == "try:" else ""
        assert found(f"{nest}\n    def run_tests(): pass{tail}"), nest
    for code in (
        "if __name__ == '__main__':\n    def run_tests(): pass",
        "if '__main__' == __name__:\n    def run_tests(): pass",
        "class Other:\n    def run_tests(self): pass",
        "def f():\n    def run_tests(): pass",
        "run_tests()",
    ):
        assert not found(code), code
    assert found("if __name__ == '__main__':\n    pass\nelse:\n    def run_tests(): pass")


def test_what_cannot_be_read_is_none(recwarn: pytest.WarningsRecorder) -> None:
    assert parse("def f(") is None
    assert parse("x = '\0'") is None
    assert parse("x = '\\d'") is not None
    assert not recwarn.list


def test_copies_are_equal_up_to_layout() -> None:
    printed = "def run_tests():\n    assert f(1) == 2"
    (copy,) = ast.parse("def run_tests():\n\n  # kept\n  assert f( 1 ) == 2\n").body
    (other,) = ast.parse("def run_tests():\n    assert f(1) == 3").body
    assert same_function(copy, printed)
    assert not same_function(other, printed)
    assert not same_function(None, printed)
    assert not same_function(copy, None)


def test_the_quote_is_the_last_definition_and_its_block() -> None:
    code = "def run_tests():\n    a\n\n    b\n\nx = 1\nclass S:\n    def run_tests(self):\n        c\n    d = 1"
    assert quoted(code, "run_tests") == "    def run_tests(self):\n        c"
    assert quoted(code.split("class")[0], "run_tests") == "def run_tests():\n    a\n\n    b"
    assert quoted("run_tests = lambda: 1\ny = 2", "run_tests") == "run_tests = lambda: 1"
    assert quoted("run_tests_too = 1\nrun_tests()", "run_tests") == ""


def definition(body: str, head: str = "def run_tests():") -> ast.stmt:
    return ast.parse(f"{head}\n    {body}").body[0]


@pytest.mark.parametrize(
    ("body", "arb"),
    [
        ("assert cube(2) == 8", False),
        ("assert cube(2) == 8, 'two'", False),
        ("'text'\n    assert cube(2) == 8\n    assert cube(3) == 27\n    pass", False),
        ("assert cube(2) == 9", None),  # not one of the tests
        ("assert cube(4) == 64", None),
        ("assert cube(n=2) == 8", None),
        ("assert cube(2) == cube(2)", None),
        ("assert cube(2) != 8", None),
        ("assert cube(2) == True", None),
        ("assert cube(2) == 8, print()", None),
        ("assert cube(2) == 8\n    print('ok')", None),
        ("pass", None),
    ],
)
def test_an_evaluator_that_repeats_the_tests(cube: Problem, body: str, arb: bool | None) -> None:
    assert known_outcome(definition(body), cube) is arb


def test_what_is_not_deduced(cube: Problem) -> None:
    repeats = definition("assert cube(2) == 8")
    assert known_outcome(repeats, cube) is False
    assert known_outcome(
        definition("assert cube(0) == 0"), replace(cube, tests=("assert cube(0) == 0",))
    )
    assert known_outcome(repeats, replace(cube, check="def check(c): pass")) is None
    assert known_outcome(repeats, replace(cube, tests=("assert cube(2) == 8.0",))) is None
    assert known_outcome(repeats, replace(cube, tests=("assert abs(cube(2)) == 8",))) is None
    assert known_outcome(None, cube) is None
    for head in ("@x\ndef run_tests():", "def run_tests(n=1):", "async def run_tests():"):
        assert known_outcome(definition("assert cube(2) == 8", head), cube) is None, head


@pytest.mark.parametrize(
    ("body", "closed"),
    [
        ("assert cube(4) == 64", True),
        ("assert cube(n=2 ** 3) in (512, [1]) and not cube(1) == -1", True),
        ("assert helper(cube(2)) == 8", False),
        ("assert cube(helper) == 8", False),
        ("assert cube(2).x == 8", False),
        ("assert Solution().cube(2) == 8", False),
        ("assert cube.__class__", False),
        ("assert [cube(n) for n in (1,)]", False),
        ("x = cube(2)", False),
        ("return cube(2)", False),
    ],
)
def test_a_closed_evaluator(cube: Problem, body: str, closed: bool) -> None:
    program = on_both(definition(body), cube, "run_tests")
    assert (program is not None) == closed


def test_a_closed_evaluator_brings_nothing_else_of_the_answer() -> None:
    body = definition("assert Solution().total([1]) == 1")
    program = on_both(body, IN_CLASS, "run_tests")
    assert program is not None
    assert program.source == "def run_tests():\n    assert Solution().total([1]) == 1"
    assert on_both(definition("assert total([1]) == 1"), IN_CLASS, "run_tests") is None
    assert on_both(definition("assert Solution().other([1]) == 1"), IN_CLASS, "run_tests") is None


def test_definitions_are_kept_and_the_rest_dropped(cube: Problem) -> None:
    code = "import os\nX = 1\nprint(X)\ndef cube(n): return n\nassert cube(1)\nclass A: pass"
    for make in (on_stub, on_canonical):
        source = make(cube, "run_tests", parse(code), code).source
        assert "print" not in source
        assert "assert" not in source
        for kept in ("import os", "X = 1", "def cube", "class A"):
            assert kept in source
        assert make(cube, "run_tests", None, code).source == code


def test_overrides_patch_the_answer_s_own_class() -> None:
    namespace: dict[str, object] = {}
    exec(
        "class Solution:\n    def total(self, n): return -1\n    def run_tests(self): return 'mine'",
        namespace,
    )
    exec(on_canonical(IN_CLASS, "run_tests", None, "").override.replace("List", "list"), namespace)
    assert eval("Solution().total([1, 2])", namespace) == 3
    assert eval("Solution().run_tests()", namespace) == "mine"
    exec(on_stub(IN_CLASS, "run_tests", None, "").override, namespace)
    assert eval("Solution().total([1, 2])", namespace) == 0
    alone: dict[str, object] = {}
    exec(on_canonical(IN_CLASS, "run_tests", None, "").override, alone)
    assert eval("Solution().total([1, 2])", alone) == 3
    function: dict[str, object] = {}
    exec(on_stub(CHECKED, "run_tests", None, "").override, function)
    assert eval("root(5)", function) == 0


def test_names_may_be_bound_out_of_sight() -> None:
    assert bound_in_sight("def run_tests():\n    assert cube(2) == 8")
    for code in ("globals()['run_' + 'tests'] = print", "exec('x')", "setattr(a, b, c)"):
        assert not bound_in_sight(code)
