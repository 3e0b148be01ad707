from __future__ import annotations

import ast

import pytest

from awry.tasks.problems import load_catalog
from awry.tasks.starters import complete, parameters

BARE = "def f(n):\n"
METHOD = "class Solution:\n    def f(self, n: int, *, k=1) -> int:\n        "
LIST = (
    "# class ListNode:\n#     def __init__(self, val=0):\n#         self.val = val\n"
    "class Solution:\n    def f(self, head):\n        \n"
)
DOCUMENTED = (
    "from typing import List\n\n\ndef helper(x):\n    return x\n\n\n"
    'def f(a: List[int], b):\n    """ Text with\n    def g(z):\n    in it.\n    """\n'
)
TWO_SPACES = 'def f(n):\n  """Two spaces."""\n'
DEEP = 'class Solution:\n    def f(self):\n        """Text."""\n'


@pytest.mark.parametrize(
    ("starter", "names", "line"),
    [
        (BARE, ["n"], "    return 1"),
        (METHOD, ["n"], "        return 1"),
        (LIST, ["head"], "        return 1"),
        (DOCUMENTED, ["a", "b"], "    return 1"),
        (TWO_SPACES, ["n"], "  return 1"),
        (DEEP, [], "        return 1"),
    ],
)
def test_the_body_goes_into_the_last_function(starter: str, names: list[str], line: str) -> None:
    code = complete(starter, "x = 1\nreturn 1")
    assert code.startswith(starter.rstrip())
    assert code.endswith(f"\n{line}")
    last = ast.parse(code).body[-1]
    while not isinstance(last, ast.FunctionDef):
        assert isinstance(last, ast.ClassDef)
        last = last.body[-1]
    assert last.name == "f"
    assert [ast.unparse(node) for node in last.body[-2:]] == ["x = 1", "return 1"]
    assert parameters(starter) == names


def test_a_comment_alone_is_put_in() -> None:
    assert complete(BARE, "# your code here") == "def f(n):\n    # your code here"
    assert complete(METHOD, "# here\n").endswith("-> int:\n        # here")


def test_nested_bodies_keep_their_own_indentation_and_blank_lines() -> None:
    code = complete(METHOD, "for i in range(n):\n    if i:\n        return i\n\nreturn 0")
    assert code.splitlines()[2:] == [
        *("        for i in range(n):", "            if i:", "                return i"),
        *("", "        return 0"),
    ]


@pytest.mark.parametrize(
    "starter", ["", "x = 1\n", "class A:\n", "def f(n):\n    return 1\nx = 2\n"]
)
def test_what_is_no_starter_is_refused(starter: str) -> None:
    with pytest.raises(ValueError, match="does not end where"):
        complete(starter, "pass")


def test_every_starter_of_the_catalogue_can_be_completed() -> None:
    for problem in load_catalog():
        assert complete(problem.starter, "pass") == problem.starter.strip("\n") + "\n    pass"
        assert parameters(problem.starter)
