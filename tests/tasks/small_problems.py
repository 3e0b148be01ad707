"""Problems of kinds that the catalogue has none of."""

from __future__ import annotations

from awry.tasks.problems import Problem

IN_CLASS = Problem(
    id="total",
    statement="Return the total of the numbers.",
    starter="class Solution:\n    def total(self, numbers: List[int]) -> int:\n        ",
    entry_point="Solution().total",
    tests=tuple(f"assert Solution().total(numbers=[{n}, 1]) == {n + 1}" for n in range(6)),
    canonical=(
        "class Solution:\n    def add(self, a, b):\n        return a + b\n\n"
        "    def total(self, numbers):\n        found = 0\n        for n in numbers:\n"
        "            found = Solution().add(found, n)\n        return found"
    ),
    wrong="",
    setup="from typing import List",
    phrasing="description",
)

CHECKED = Problem(
    id="nearly",
    statement="Return a number near the square root of x.",
    starter="def root(x):\n",
    entry_point="root",
    tests=(),
    canonical="def root(x):\n    return x ** 0.5",
    wrong="def root(x):\n    return x / 2",
    check="def check(candidate):\n    for x in range(50):\n        assert abs(candidate(x) ** 2 - x) < 1e-3",
)

NODES = Problem(
    id="doubled",
    statement="Return the linked list with every value doubled.",
    starter="class Solution:\n    def doubled(self, head):\n        ",
    entry_point="Solution().doubled",
    tests=(
        *(
            f"assert Solution().doubled(head=list_node([{n}, {n + 1}])) == list_node([{2 * n}, {2 * n + 2}])"
            for n in range(5)
        ),
        "assert Solution().doubled(head=list_node([])) == list_node([])",
    ),
    canonical=(
        "class Solution:\n    def doubled(self, head):\n        node = head\n        while node:\n"
        "            node.val *= 2\n            node = node.next\n        return head"
    ),
    wrong="class Solution:\n    def doubled(self, head):\n        return head and head.next",
    setup=(
        "class ListNode:\n    def __init__(self, val=0, next=None):\n        self.val = val\n"
        "        self.next = next\ndef list_node(values):\n    head = None\n"
        "    for value in reversed(values):\n        head = ListNode(value, head)\n    return head"
    ),
    phrasing="description",
)
