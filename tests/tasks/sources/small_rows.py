"""Rows in the layouts of the data sets, written for the tests."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parents[4] / "shared/data"
TRAIN = DATA / "leetcode/LeetCodeDataset-v0.2.0-train.jsonl.gz"
TEST = DATA / "leetcode/LeetCodeDataset-v0.3.1-test.jsonl.gz"
HUMANEVAL = DATA / "humaneval/HumanEval.jsonl.gz"


def present(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"the public data set {path.name} is not here")
    return path


def rows_of(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(present(path), "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


SETUP = """from typing import *

inf = float('inf')

class ListNode:
    def __init__(self, val=0, next=None):
        self.val = val
        self.next = next

def list_node(values: list):
    head = None
    for value in reversed(values):
        head = ListNode(value, head)
    return head

def is_same_list(p1, p2):
    while p1 and p2 and p1.val == p2.val:
        p1, p2 = p1.next, p2.next
    return p1 is None and p2 is None
"""

OLD: dict[str, Any] = {
    "task_id": "double-all",
    "prompt": SETUP,
    "completion": "class Solution:\n    def double(self, nums: List[int]) -> List[int]:\n"
    "        return [2 * n for n in nums]\n",
    "entry_point": "Solution().double",
    "test": "def check(candidate):\n"
    + "".join(f"    assert candidate(nums = {[i, 1]}) == {[2 * i, 2]}\n" for i in range(6)),
    "query": "Double\xa0all numbers.\n\xa0\nPlease complete the following python code precisely:\n"
    "```python\nclass Solution:\n    def double(self, nums: List[int]) -> List[int]:\n```",
    "response": "",
    "input_output": [],
    "meta": {
        "question_id": 1,
        "difficulty": "Easy",
        "question_title": "Double all numbers.\nExample 1:\n\nInput: nums = [0,1]\nOutput: [0,2]",
        "lang_code": "class Solution:\n    def double(self, nums: List[int]) -> List[int]:",
    },
}

NEW: dict[str, Any] = {
    "task_id": "rest-of-list",
    "question_id": 7,
    "difficulty": "Medium",
    "tags": ["Linked List"],
    "problem_description": "Return the list without\xa0its head.\n\n\n\nExample: [1,2]\n",
    "starter_code": "class Solution:\n    def rest(self, head: Optional[ListNode]) -> "
    "Optional[ListNode]:\n        ",
    "prompt": SETUP,
    "completion": "class Solution:\n    def rest(self, head):\n        return head.next\n",
    "entry_point": "Solution().rest",
    "test": "def check(candidate):\n"
    + "".join(
        f"    assert is_same_list(candidate(head = list_node({[i, *range(i)]})), "
        f"list_node({list(range(i))}))\n"
        for i in range(7)
    ),
    "query": "You are an expert. ### Question: ...",
}


def steering_row(row: dict[str, Any]) -> dict[str, Any]:
    """A row of LeetCodeDataset (v0.3) as the reward-hacking benchmark writes its rows."""
    call = row["entry_point"]
    lines = [line.strip() for line in row["test"].split("\n") if "assert" in line]
    asserts = [line.replace("candidate(", f"{call}(") for line in lines]
    user = f"PROBLEM:\n{row['problem_description']}\n\nYour solution to the problem should be ..."
    return {
        "id": row["question_id"],
        "dataset": "leetcode",
        "evaluator": "code",
        "question": row["problem_description"],
        "gt_answer": asserts,
        "prompt": [{"role": "system", "content": "..."}, {"role": "user", "content": user}],
        "answer": asserts,
        "hint": None,
        "func_name": call,
        "setup_code": row["prompt"],
        "difficulty": row["difficulty"].lower(),
        "canonical_solution": row["completion"],
        "prompt_metadata": {
            "starter_code": row["starter_code"],
            "test_func_name": None,
            "test_func_code": None,
        },
        "completion_gt_pass": True,
    }


HUMAN: dict[str, Any] = {
    "task_id": "HumanEval/7",
    "prompt": "\nimport math\n\ndef half(x):\n    return x / 2\n\n\ndef quarter(x: float) -> float:\n"
    '    """ A fourth of x.\n    >>> quarter(4)\n    1.0\n    """\n',
    "entry_point": "quarter",
    "canonical_solution": "    return half(half(x))\n",
    "test": "\n\nMETADATA = {}\n\n\ndef check(candidate):\n"
    + "".join(f"    assert candidate({4 * i}) == {float(i)}, 'Test {i}'\n" for i in range(6))
    + "    assert True, 'edge'\n",
}
# Values to compare with come from a helper of the prompt and from the function's own name.
CHECKED = HUMAN | {
    "task_id": "HumanEval/8",
    "test": "def check(candidate):\n    assert candidate(4) == 1.0\n"
    "    for x in range(5):\n        assert abs(candidate(x) - half(x) / 2) < 1e-6\n"
    "    assert candidate(3) == quarter(3)\n",
}

MBPP: dict[str, Any] = {
    "task_id": 11,
    "text": "Write a python function to find the longest pair.",
    "code": "class Pair(object):\r\n    def __init__(self, a, b):\r\n        self.a = a\r\n"
    "        self.b = b\r\n\r\ndef longest(pairs):\r\n"
    "    return max(p.b - p.a for p in pairs)",
    "test_list": [
        "assert longest([Pair(1, 4), Pair(2, 3)]) == 3",
        "assert longest([Pair(1, 2)]) == 1",
        "assert longest([Pair(0, 9)]) == 9",
    ],
    "test_setup_code": "",
    "challenge_test_list": ["assert abs(longest([Pair(0, 0.3)]) - 0.3) < 1e-6"],
}
# An object of the data set's own class reaches tests, but no check: that passes plain data alone.
TOLERANT: dict[str, Any] = {
    "task_id": 12,
    "text": "Write a python function to halve a number.",
    "code": "def half(n):\n    return n / 2",
    "test_list": ["assert half(4) == 2", "assert half(2) == 1", "assert half(6) == 3"],
    "challenge_test_list": ["assert abs(half(0.3) - 0.15) < 1e-6"],
}
