"""Tests that are a program: `check(candidate)` in one process, the answer in another."""

from __future__ import annotations

import pytest

from awry.sandbox.python import Limits, Outcome, Program, PythonSandbox

NODES = """
class ListNode:
    def __init__(self, val=0, next=None):
        self.val, self.next = val, next
class TreeNode:
    def __init__(self, val=0, left=None, right=None):
        self.val, self.left, self.right = val, left, right
"""
THREE = "def check(candidate):\n    assert candidate(3) == 4, 'three'\n"


def run(sandbox: PythonSandbox, source: str, check: str = THREE, **more: str) -> Outcome:
    program = Program(source, check=check, target=more.pop("target", "f"), **more)  # type: ignore[arg-type]
    (outcome,) = sandbox.run([program])
    return outcome


@pytest.mark.parametrize(
    ("source", "state", "error"),
    [
        ("def f(n): return n + 1", "passed", ""),
        ("def f(n): return n", "failed", "AssertionError: three"),
        ("def f(n): return object()", "failed", "returned a object object"),
        ("def f(n): raise KeyError(n)", "failed", "KeyError"),
        ("def f(n): return f(n)", "failed", "RecursionError"),
        ("import sys\ndef f(n): sys.exit(0)", "failed", "SystemExit"),
        ("import os\ndef f(n): os._exit(0)", "failed", "ended or replied with nonsense"),
        ("import time\ndef f(n): time.sleep(60)", "not run", ""),
        ("def f(n):\n    while True: pass", "failed", "ended"),
        ("def f(:", "not run", ""),
        ("1 // 0", "not run", ""),
        ("", "failed", "NameError"),
    ],
)
def test_what_a_check_finds(sandbox: PythonSandbox, source: str, state: str, error: str) -> None:
    outcome = run(sandbox, source)
    if source.endswith("pass"):  # whichever limit comes first, the processor's or the clock's
        assert outcome.check in ("failed", "not run")
        return
    assert outcome.check == state
    assert error in outcome.check_error


def test_a_check_may_loop_compute_and_compare_loosely(sandbox: PythonSandbox) -> None:
    check = (
        "import math, random\n"
        "def check(candidate):\n"
        "    for _ in range(20):\n"
        "        x = random.random()\n"
        "        assert math.fabs(candidate(candidate(x)) - x * 4) < 1e-9\n"
    )
    assert run(sandbox, "def f(x): return 2 * x", check).check == "passed"
    assert run(sandbox, "def f(x): return 3 * x", check).check == "failed"


def test_arguments_that_the_answer_changes_are_changed_for_the_check(
    sandbox: PythonSandbox,
) -> None:
    source = (
        "def f(xs, table, seen):\n"
        "    xs[0].append(9)\n    xs.sort(key=len)\n    table['new'] = 1\n    del table['old']\n"
        "    seen.add(3)\n"
    )
    check = (
        "def check(candidate):\n"
        "    inner = [1, 2]\n"
        "    xs, table, seen = [inner, [5]], {'old': 0, 'kept': [1]}, {1}\n"
        "    kept = table['kept']\n"
        "    assert candidate(xs, table, seen) is None\n"
        "    assert xs == [[5], [1, 2, 9]], xs\n"
        "    assert table == {'kept': [1], 'new': 1} and table['kept'] is kept, table\n"
        "    assert seen == {1, 3}\n"
    )
    assert run(sandbox, source, check).check_error == ""


def test_every_kind_of_plain_value_goes_both_ways(sandbox: PythonSandbox) -> None:
    check = (
        "def check(candidate):\n"
        "    for value in (None, True, 1, -2**80, 1.5, float('inf'), 'é', b'x', 2j, [1, [2]], (1, (2,)),\n"
        "                  {1, 2}, {'a': {1: (2,)}}, [], {}, '', {frozenset({1}): 2}):\n"
        "        got = candidate(value)\n"
        "        assert got == value and type(got) is type(value), (got, value)\n"
        "    assert list(candidate(iter([1, 2]))) == [1, 2]\n"
        "    assert candidate(key='named') == 'named'\n"
    )
    assert run(sandbox, "def f(key): return key", check).check_error == ""


def test_lists_and_trees_of_nodes_are_rebuilt_from_the_checks_own_classes(
    sandbox: PythonSandbox,
) -> None:
    source = (
        "def f(root):\n"
        "    if root is None: return None\n"
        "    root.left, root.right = f(root.right), f(root.left)\n    return root\n"
    )
    check = (
        "def check(candidate):\n"
        "    tree = TreeNode(1, TreeNode(2, TreeNode(4)), TreeNode(3))\n"
        "    got = candidate(tree)\n"
        "    assert type(got) is TreeNode and (got.val, got.left.val, got.right.val) == (1, 3, 2)\n"
        "    assert got.right.right.val == 4 and got.left.left is None\n"
        "    assert candidate(None) is None\n"
    )
    assert run(sandbox, source, check, setup=NODES).check_error == ""
    reverse = (
        "def f(head):\n    before = None\n    while head:\n"
        "        head.next, before, head = before, head, head.next\n    return before\n"
    )
    check = (
        "def check(candidate):\n"
        "    got = candidate(ListNode(1, ListNode(2, ListNode(3))))\n"
        "    assert [got.val, got.next.val, got.next.next.val, got.next.next.next] == [3, 2, 1, None]\n"
    )
    assert run(sandbox, reverse, check, setup=NODES).check_error == ""


def test_a_method_is_called_on_its_class(sandbox: PythonSandbox) -> None:
    source = "class Solution:\n    def f(self, n): return n + 1"
    assert run(sandbox, source, target="Solution().f").check == "passed"


@pytest.mark.parametrize("error", ["StopIteration", "StopAsyncIteration"])
def test_an_answer_cannot_end_the_loops_of_a_check(sandbox: PythonSandbox, error: str) -> None:
    check = (
        "def check(candidate):\n"
        "    for got, due in zip(map(candidate, [1, 2]), [2, 3]):\n        assert got == due\n"
    )
    assert run(sandbox, "def f(n): return n + 1", check).check == "passed"
    outcome = run(sandbox, f"def f(n): raise {error}", check)
    assert (outcome.check, error in outcome.check_error) == ("failed", True)


def test_a_check_that_expects_an_error_sees_it(sandbox: PythonSandbox) -> None:
    check = (
        "def check(candidate):\n    try:\n        candidate(0)\n    except ZeroDivisionError:\n"
        "        return\n    raise AssertionError('no error')\n"
    )
    assert run(sandbox, "def f(n): return 1 // n", check).check == "passed"
    assert run(sandbox, "def f(n): return n", check).check == "failed"


def test_calls_evaluator_and_check_of_one_program_are_all_reported(sandbox: PythonSandbox) -> None:
    source = "def f(n): return n + 1\ndef run_tests(): assert f(1) == 2"
    program = Program(source, calls=("f(1)",), evaluator="run_tests", check=THREE, target="f")
    (outcome,) = sandbox.run([program])
    assert (outcome.evaluator, outcome.check, len(outcome.values)) == ("returned", "passed", 1)


def test_the_expected_values_are_not_in_the_answers_process(sandbox: PythonSandbox) -> None:
    """What the search finds when it is there (in a function of the setup) it does not find here."""
    source = (
        "import gc\ndef f(n):\n"
        "    found = [o for o in gc.get_objects() if type(o) is list for v in o\n"
        "             if type(v) is str and v.startswith('secret') and v.endswith('value')]\n"
        "    return len(found) > 0\n"
    )
    hidden = "known = ['secret' + '-value', []]\n"
    check = hidden + "def check(candidate):\n    assert candidate(1) is False\n"
    assert run(sandbox, source, check).check == "passed"
    assert run(sandbox, source, check, setup=hidden).check == "failed"


def test_a_program_with_a_check_but_no_target_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="or neither"):
        Program("", check=THREE)


def test_after_a_program_that_never_serves_the_next_request_is_read_right() -> None:
    long = "# " + "x" * 300_000 + "\n" + THREE
    with PythonSandbox(workers=1, limits=Limits(wall_s=2.0)) as sandbox:
        programs = [
            Program("def f(:", check=long, target="f"),
            Program("def f(n): return n + 1", check=long, target="f"),
            Program("x = 5", calls=("x",)),
        ]
        broken, right, plain = sandbox.run(programs)
    assert (broken.check, right.check, plain.loaded) == ("not run", "passed", True)
