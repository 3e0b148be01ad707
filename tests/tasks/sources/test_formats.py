"""Each reader on rows of our own; that every public row is read is in test_public_data.py."""

from __future__ import annotations

from typing import Any

import pytest
from small_rows import CHECKED, HUMAN, MBPP, NEW, OLD, steering_row

from awry.tasks.problems import Problem
from awry.tasks.sources import FORMATS
from awry.tasks.sources.rows import Unusable
from awry.tasks.starters import complete


def problem(form: str, row: dict[str, Any]) -> Problem:
    return FORMATS[form].problem(row, 0)


def reason(form: str, row: dict[str, Any]) -> str:
    with pytest.raises(Unusable) as caught:
        problem(form, row)
    return caught.value.reason


def test_leetcode_v020() -> None:
    found = problem("leetcode", OLD)
    assert found.id == "leetcode/double-all"
    assert found.statement == "Double all numbers."  # without the examples: they are the tests
    assert found.starter == (
        "class Solution:\n    def double(self, nums: List[int]) -> List[int]:\n"
    )
    assert found.entry_point == "Solution().double"
    assert found.tests[1] == "assert Solution().double(nums=[1, 1]) == [2, 2]"
    assert len(found.tests) == 6
    assert (found.difficulty, found.phrasing, found.check, found.wrong) == (
        *("easy", "description"),
        *("", ""),
    )
    assert (found.source, found.licence) == ("leetcode", "MIT")


def test_leetcode_v03() -> None:
    found = problem("leetcode", NEW)
    assert found.statement == "Return the list without its head.\n\nExample: [1,2]"
    assert found.tags == ("Linked List",)
    assert found.difficulty == "medium"
    assert found.starter.endswith("-> Optional[ListNode]:\n")
    assert found.tests[2] == (
        "assert Solution().rest(head=list_node([2, 0, 1])) == list_node([0, 1])"
    )
    assert "class ListNode" in found.setup


def test_leetcode_test_code_that_is_no_assertion_goes_to_the_check() -> None:
    row = OLD | {"test": OLD["test"] + "    assert len(candidate(nums=[])) < 1\n"}
    found = problem("leetcode", row)
    assert len(found.tests) == 6
    assert found.check.startswith("from typing import *")
    assert found.check.count("assert ") == 1
    assert "assert len(candidate(nums=[])) < 1" in found.check


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"completion": "class Solution("}, "the canonical solution is not Python"),
        ({"prompt": None}, "no field `prompt`"),
        ({"test": "assert candidate(1) == 1"}, "the tests cannot be read"),
        ({"entry_point": "Solution(1).x.y"}, "the entry point is no function"),
        ({"meta": OLD["meta"] | {"difficulty": "Insane"}}, "unknown difficulty"),
    ],
)
def test_a_row_that_cannot_be_used_says_why(change: dict[str, Any], why: str) -> None:
    assert reason("leetcode", OLD | change).startswith(why)


def test_a_missing_starter_is_made_from_the_canonical_solution() -> None:
    row = OLD | {"meta": OLD["meta"] | {"lang_code": None}}
    assert problem("leetcode", row).starter == problem("leetcode", OLD).starter


def test_the_benchmarks_rows_give_the_problems_of_the_rows_they_were_made_of() -> None:
    ours, theirs = problem("leetcode", NEW), problem("steering", steering_row(NEW))
    assert theirs.id == "steering/7"
    assert (theirs.source, theirs.licence) == ("steering", "not stated")
    for name in ("statement", "starter", "entry_point", "tests", "canonical", "setup", "check"):
        assert getattr(theirs, name) == getattr(ours, name), name
    assert theirs.difficulty == "medium"


def test_the_benchmarks_question_may_hold_the_request_and_the_starter() -> None:
    plain = steering_row(NEW)
    fence = f"```python\n{NEW['starter_code']}\n```"
    for question in (
        f"{NEW['problem_description']}\nPlease complete the following python code:\n{fence}",
        f"You are an expert.\n\n### Question:\n{NEW['problem_description']}\n### Format: use\n{fence}",
        f"PROBLEM:\n{NEW['problem_description']}\nYour solution to the problem should be\n{fence}",
    ):
        row = plain | {"question": question, "prompt_metadata": {}}
        found = problem("steering", row)
        assert found.statement == "Return the list without its head.\n\nExample: [1,2]"
        assert found.starter == problem("steering", plain).starter


def test_the_benchmarks_starter_with_tests_after_it_is_not_used() -> None:
    shown = (
        NEW["starter_code"] + "pass\n\ndef run_tests():\n    assert Solution().rest(None)\n    x"
    )
    row = steering_row(NEW)
    row["prompt_metadata"] = {"starter_code": shown}
    assert problem("steering", row).starter == "class Solution:\n    def rest(self, head):\n"


def test_a_row_the_benchmark_itself_calls_failing_is_dropped() -> None:
    row = steering_row(NEW) | {"completion_gt_pass": False}
    assert reason("steering", row) == "the data set itself says that its canonical solution fails"


def test_humaneval() -> None:
    found = problem("humaneval", HUMAN)
    assert found.id == "HumanEval/7"
    assert found.tests[5] == "assert quarter(20) == 5.0"
    assert found.check == ""
    assert found.setup == "import math\n\ndef half(x):\n    return x / 2\n"
    assert found.starter.startswith("import math\n\ndef half")
    assert found.starter.endswith('    """\n')
    assert "`quarter`" in found.statement
    assert found.canonical == complete(found.starter, "return half(half(x))") + "\n"


def test_humaneval_a_check_that_says_more_is_kept_whole_and_stands_alone() -> None:
    found = problem("humaneval", CHECKED)
    assert found.tests == ("assert quarter(4) == 1.0",)
    names: dict[str, Any] = {}
    exec(found.check, names)
    names["check"](lambda x: x / 4)
    with pytest.raises(AssertionError):
        names["check"](lambda x: 1.0 if x == 4 else x / 2)


def test_humaneval_prompt_must_end_in_its_function() -> None:
    assert reason("humaneval", HUMAN | {"prompt": HUMAN["prompt"] + "x = 1\n"}).startswith(
        "the prompt does not end"
    )
    assert reason("humaneval", HUMAN | {"entry_point": "half"}).startswith(
        "the prompt does not end"
    )


def test_mbpp() -> None:
    found = problem("mbpp", MBPP)
    assert found.id == "mbpp/11"
    assert found.statement == MBPP["text"]
    assert found.entry_point == "longest"
    assert found.tests[0] == "assert longest([Pair(1, 4), Pair(2, 3)]) == 3"
    assert len(found.tests) == 3
    # the tests make a Pair, so the prompt must show it and the setup must bring it
    assert found.starter.startswith("class Pair")
    assert found.starter.endswith("\n\n\ndef longest(pairs):\n")
    assert "class Pair" in found.setup
    assert "class Pair" in found.check
    assert "assert abs(candidate([Pair(0, 0.3)]) - 0.3) < 1e-06" in found.check
    assert "\r" not in found.canonical


def test_mbpp_sanitized_layout() -> None:
    row = {
        "task_id": 2,
        "prompt": "Write a function to find the shared elements.",
        "code": "def shared(a, b):\n    return tuple(set(a) & set(b))",
        "test_imports": ["import math"],
        "test_list": [
            "assert set(shared((1, 2), (2,))) == set((2,))",
            "assert shared((), ()) == ()",
        ],
    }
    found = problem("mbpp", row)
    assert found.setup == "import math\n"
    assert "assert shared((), ()) == ()" in found.tests
    assert found.check.startswith("import math") == (len(found.tests) == 1)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"test_list": [], "challenge_test_list": []}, "no field `test_list`"),
        ({"test_list": ["assert other(1) == 1"]}, "the tests call no function of the solution"),
        ({"test_list": ["assert longest("]}, "the tests cannot be read"),
        ({"code": "def longest("}, "the solution is not Python"),
        ({"text": " "}, "no field `text`"),
    ],
)
def test_an_mbpp_row_that_cannot_be_used_says_why(change: dict[str, Any], why: str) -> None:
    assert reason("mbpp", MBPP | {"challenge_test_list": []} | change) == why


@pytest.mark.parametrize("form", FORMATS)
def test_a_row_of_something_else_is_a_reason_and_no_crash(form: str) -> None:
    for row in ({}, {"id": None}, dict.fromkeys((*OLD, *NEW, *HUMAN, *MBPP), 3)):
        reason(form, row)
        assert FORMATS[form].identify(row, 4)
