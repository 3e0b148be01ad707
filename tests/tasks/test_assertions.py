from __future__ import annotations

import math

import pytest

from awry.sandbox.python import Failed, Iterable, Returned
from awry.tasks.assertions import parse_test, same


@pytest.mark.parametrize(
    ("test", "call", "wrappers", "expected"),
    [
        ("assert f(1) == 2", "f(1)", [], 2),
        ("assert sorted(f([3, 1])) == [1, 3]", "f([3, 1])", ["sorted"], [1, 3]),
        ("assert round(f(1, x=2), 3) == 0.5", "f(1, x=2)", ["round"], 0.5),
        ("assert len(list(f(3))) == 3", "f(3)", ["list", "len"], 3),
        ("assert Solution().f(n = 1) == (1, {'a': {2}})", "Solution().f(n=1)", [], (1, {"a": {2}})),
        ("assert f() == float('inf')", "f()", [], math.inf),
        ("assert f(sorted([2, 1])) == -1", "f(sorted([2, 1]))", [], -1),
        ("assert list([f(1)]) == [1]", "list([f(1)])", [], [1]),
    ],
)
def test_a_test_is_split(test: str, call: str, wrappers: list[str], expected: object) -> None:
    case = parse_test(test)
    assert case.call == call
    assert [wrapper.name for wrapper in case.wrappers] == wrappers
    assert case.expected == expected


@pytest.mark.parametrize(
    "test",
    [
        *("assert f(1)", "assert f(1) != 2", "f(1) == 2", "assert f(1) == 2 == 2", "assert ("),
        *(
            "assert f(1) == g(2)",
            "assert f(1) == x",
            "assert x == 2",
            "",
            "assert f(1) == 2; x = 1",
        ),
        *("assert f(1) in [2]", "assert round(f(1), k) == 2", "assert f(1) == 2, 'message'; f(2)"),
    ],
)
def test_other_statements_are_refused(test: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_test(test)


def test_a_wrapper_that_takes_more_than_literals_is_evaluated_with_the_call() -> None:
    case = parse_test("assert sorted(f(1), key=len) == ['a']")
    assert (case.call, case.wrappers) == ("sorted(f(1), key=len)", ())


EQUAL = [
    (1, 1),
    (2.0, 2),
    (2, 2.0),
    (0.1 + 0.2, 0.3),
    (1e300 * (1 + 1e-12), 1e300),
    (math.nan, math.nan),
    (math.inf, math.inf),
    (10**30, 10**30),
    (True, True),
    (None, None),
    ("a", "a"),
    ([1, [2.0]], [1, [2]]),
    ((1, "x"), (1, "x")),
    (frozenset({1, (2, 3)}), {1, (2, 3)}),
    ({"a": [0.1 + 0.2]}, {"a": [0.3]}),
    ({True: 1}, {True: 1}),
    (b"a", b"a"),
    ([], []),
]
DIFFERENT = [
    (True, 1),
    (1, True),
    (0, False),
    (1.0, True),
    ([True], [1]),
    ((1, 2), [1, 2]),
    ([1, 2], (1, 2)),
    ([1], [1, 2]),
    ("1", 1),
    (None, 0),
    (None, False),
    ([], None),
    (2.0000001, 2),
    (2 + 1e-12, 2),
    (0.3001, 0.3),
    (math.nan, 1.0),
    (1.0, math.nan),
    (-math.inf, math.inf),
    (10**400, 1.5),
    (frozenset({True}), {1}),
    ([1], {1}),
    ({True: 1}, {1: 1}),
    ({1: 1}, {1: True}),
    ({1: 1, 2: 2}, {1: 1}),
    ("a", b"a"),
    (Iterable((1,)), [1]),
]


@pytest.mark.parametrize(("value", "expected"), EQUAL, ids=repr)
def test_equal(value: object, expected: object) -> None:
    assert same(value, expected)


@pytest.mark.parametrize(("value", "expected"), DIFFERENT, ids=repr)
def test_different(value: object, expected: object) -> None:
    assert not same(value, expected)


def test_wrappers_are_applied_on_this_side() -> None:
    case = parse_test("assert sorted(f()) == [1, 2, 3]")
    assert case.check(Returned([3, 1, 2])) == ""
    assert case.check(Returned(Iterable((2, 1, 3)))) == ""
    assert case.check(Returned(frozenset({1, 2, 3}))) == ""
    assert "expected [1, 2, 3]" in case.check(Returned([1, 2]))
    assert case.check(Returned([1, "a"])) == "sorted(f()) == [1, 2, 3]: TypeError"
    assert case.check(Returned(5))
    assert case.check(Failed("ZeroDivisionError: x")) == "f(): ZeroDivisionError: x"
    assert parse_test("assert round(f(), 2) == 0.33").check(Returned(1 / 3)) == ""
    assert parse_test("assert list(f()) == [1]").check(Returned(Iterable((1,)))) == ""
    assert parse_test("assert f() == [1]").check(Returned(Iterable((1,)))) != ""
