from __future__ import annotations

import ast

import pytest

from awry.tasks.sources.conversion import (
    as_check,
    evenly,
    from_check,
    from_statements,
    signature,
)


def harvest(*lines: str, call: str = "f", known: tuple[str, ...] = ()) -> tuple[list[str], int]:
    body = "".join(f"    {line}\n" for line in lines)
    found = from_check(f"def check(candidate):\n{body}", call, known)
    return list(found.tests), len(found.left)


@pytest.mark.parametrize(
    ("line", "test"),
    [
        ("assert candidate(n = 7,q=[[0,5]]) == [2]", "assert f(n=7, q=[[0, 5]]) == [2]"),
        ("assert candidate(1) == 2, 'why'", "assert f(1) == 2"),
        ("assert 2 == candidate(1)", "assert f(1) == 2"),
        ("assert candidate(1) is None", "assert f(1) == None"),
        ("assert sorted(candidate(1)) == [1]", "assert sorted(f(1)) == [1]"),
        ("assert round(candidate(1), 2) == 0.5", "assert round(f(1), 2) == 0.5"),
        ("assert candidate(1) == -inf", "assert f(1) == -inf"),
        ("assert candidate(float('inf')) == 1", "assert f(float('inf')) == 1"),
    ],
)
def test_what_says_the_same_as_equality_becomes_a_test(line: str, test: str) -> None:
    assert harvest(line) == ([test], 0)


def test_a_method_is_called_on_a_fresh_instance() -> None:
    tests, left = harvest("assert candidate(nums=[1]) == 1", call="Solution().best")
    assert (tests, left) == (["assert Solution().best(nums=[1]) == 1"], 0)


def test_list_and_tree_comparisons_become_equality_with_the_expected_nodes() -> None:
    lines = (
        "assert is_same_list(candidate(a=list_node([1, 2])), list_node([2]))",
        "assert is_same_tree(candidate(r=tree_node([1, None])), tree_node([1]))",
        "assert is_same_list(candidate(a=None), None)",
    )
    tests, left = harvest(*lines, known=("list_node", "tree_node"))
    assert left == 0
    assert tests == [
        "assert f(a=list_node([1, 2])) == list_node([2])",
        "assert f(r=tree_node([1, None])) == tree_node([1])",
        "assert f(a=None) == None",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "assert abs(candidate(1) - 0.5) < 1e-6",
        "assert candidate(1)",  # true of 1 and [0] as well
        "assert not candidate(1)",
        "assert candidate(1) == 1 + 2",  # computed
        "assert candidate(1) == candidate(2)",
        "assert candidate(candidate(1)) == 2",
        "assert helper(candidate(1)) == 2",  # would run beside the answer
        "assert candidate(local) == 2",
        "assert candidate(1) != 2",
        "assert candidate(1) is marker",
        "assert 0 < candidate(1) == 2",
        "assert candidate(1).x == 2",
        "for i in range(3): assert candidate(i) == i",
        "print(candidate(1))",
        "assert is_same_list(candidate(1), tree_node([1]))",
    ],
)
def test_what_says_more_is_left_over(line: str) -> None:
    assert harvest(line, known=("helper",)) == ([], 1)


def test_a_builtin_that_check_binds_anew_is_not_the_builtin() -> None:
    assert harvest("str = 'x'", "assert candidate(str) == 1", "assert candidate(2) == 3") == (
        ["assert f(2) == 3"],
        2,
    )


def test_statements_that_cannot_fail_and_duplicates_do_not_count() -> None:
    lines = ('"""Doc."""', "print", "assert True, 'x'", *["assert candidate(1) == 2"] * 2)
    assert harvest(*lines) == (["assert f(1) == 2"], 0)


def test_code_without_a_check_is_refused() -> None:
    with pytest.raises(ValueError, match="defines no check"):
        from_check("def test(candidate): pass", "f")
    with pytest.raises(ValueError, match="not Python"):
        from_check("def check(", "f")


def test_left_over_statements_become_a_check_of_the_candidate() -> None:
    found = from_statements(
        ["assert f(1) == 1", "assert abs(f(2) - 2) < 0.1", "assert g(f(3)) == 4"], "f", "f", ("g",)
    )
    assert found.tests == ("assert f(1) == 1",)
    names: dict[str, object] = {}
    exec(as_check(found.left, "f", "def g(x):\n    return x + 1"), names)
    check = names["check"]
    assert callable(check)
    check(lambda x: x)
    for wrong in (lambda x: x + 1, lambda x: 2):
        with pytest.raises(AssertionError):
            check(wrong)


def test_few_tests_are_kept_evenly_with_first_and_last() -> None:
    items = [str(i) for i in range(10)]
    assert evenly(items, 4) == ("0", "3", "6", "9")
    assert evenly(items, 1) == ("0",)
    assert evenly(items, 10) == evenly(items, None) == tuple(items)


def test_a_signature_is_the_def_line_alone() -> None:
    node = ast.parse("@cached\ndef f(a: int, *, b=1) -> str:\n    'Doc.'\n    return a").body[0]
    assert isinstance(node, ast.FunctionDef)
    assert signature(node) == "def f(a: int, *, b=1) -> str:\n"
    assert len(node.body) == 2
