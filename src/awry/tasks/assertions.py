"""Hidden tests: `assert CALL == LITERAL`, split so that the two sides never meet in one process.

The sandbox evaluates the innermost call and reports its value; wrappers such as `sorted` and the
comparison itself run here, on plain data.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from awry.sandbox import python as sandbox
from awry.sandbox.values import refuse_collisions

# Pristine: applied in this process, on values rebuilt from exact built-in types.
_WRAPPING: tuple[Callable[..., Any], ...] = (
    *(sorted, list, tuple, set, dict, round, len, sum, abs, min, max),
    *(str, bool, int, float, any, all),
)
WRAPPERS: dict[str, Callable[..., Any]] = {function.__name__: function for function in _WRAPPING}
FLOAT_RELATIVE, FLOAT_ABSOLUTE = 1e-9, 1e-12


@dataclass(frozen=True)
class Wrapper:
    name: str
    extra: tuple[object, ...]  # the arguments after the first: round(x, 3)


@dataclass(frozen=True)
class Case:
    """One test. call: source of the innermost expression; wrappers: innermost first."""

    source: str
    call: str
    wrappers: tuple[Wrapper, ...]
    expected: Any

    def check(self, reported: sandbox.Returned | sandbox.Failed) -> str:
        """Empty if the reported value is the expected one, otherwise what is wrong with it."""
        if isinstance(reported, sandbox.Failed):
            return f"{self.call}: {reported.reason}"
        value = reported.value
        try:
            for wrapper in self.wrappers:
                if isinstance(value, sandbox.Iterable):
                    value = list(value.items)
                if wrapper.name in ("set", "dict") and isinstance(value, list | tuple):
                    refuse_collisions([_key_of(item, wrapper.name) for item in value])
                value = WRAPPERS[wrapper.name](value, *wrapper.extra)
            if same(value, self.expected):
                return ""
        except Exception as error:  # any failure of a wrapper on this value fails the test
            return f"{self.source[7:]}: {type(error).__name__}"
        return f"{self.call} gave {_short(value)}, expected {_short(self.expected)}"


def _key_of(item: Any, wrapper: str) -> Any:
    return item[0] if wrapper == "dict" else item


def _short(value: object) -> str:
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer too long to print, or too deep a value
        text = "a value too long or too deep to print"
    return text if len(text) <= 80 else text[:77] + "..."


@lru_cache(maxsize=65536)
def parse_test(source: str) -> Case:
    """ValueError with a reason if `source` is not one `assert CALL == LITERAL`."""
    try:
        body = ast.parse(source.strip()).body
    except SyntaxError as error:
        raise ValueError(f"not Python: {error.msg}") from error
    except (RecursionError, MemoryError) as error:
        raise ValueError("nested too deeply") from error
    match body:
        case [ast.Assert(test=ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]))]:
            pass
        case _:
            raise ValueError("not one statement `assert CALL == LITERAL`")
    expected = _literal(right)
    wrappers: list[Wrapper] = []
    while True:
        match left:
            case ast.Call(func=ast.Name(id=name), args=[first, *rest], keywords=[]) if (
                name in WRAPPERS and isinstance(first, ast.Call)
            ):
                wrappers.append(_wrapper(name, [_literal(node) for node in rest]))
                left = first
            case ast.Call():
                break
            case _:
                raise ValueError("the left side of == is not a call")
    return Case(source.strip(), ast.unparse(left), tuple(reversed(wrappers)), expected)


def _wrapper(name: str, extra: list[Any]) -> Wrapper:
    if name == "round" and extra and not (isinstance(extra[0], int) and abs(extra[0]) < 400):
        raise ValueError("round takes a number of digits below 400")  # it computes 10**digits
    return Wrapper(name, tuple(extra))


def _literal(node: ast.expr) -> Any:
    match node:
        case ast.Call(func=ast.Name(id="float"), args=[ast.Constant(value=str(text))], keywords=[]):
            return float(text)
        case ast.Call(func=ast.Name(id="frozenset"), args=[inner], keywords=[]):
            return frozenset(_literal(inner))
        case ast.Name(id="inf"):
            return math.inf
        case ast.UnaryOp(op=ast.USub(), operand=ast.Name(id="inf")):
            return -math.inf
        case ast.Call(func=ast.Name(id="list_node" | "tree_node" as name), args=[inner]):
            return _nodes(name, _literal(inner))
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError) as error:  # TypeError: a set or key that cannot be hashed
        raise ValueError(f"not a literal: {ast.unparse(node)}") from error


def _nodes(builder: str, values: Any) -> sandbox.Nodes | None:
    """What LeetCode's own `list_node` and `tree_node` would build, as the sandbox reports it."""
    if not isinstance(values, list):
        raise ValueError(f"{builder} takes a list")
    if builder == "list_node":
        return sandbox.Nodes("ListNode", tuple(values)) if values else None
    # Level by level; an absent child has no children of its own in the list.
    if not values or values[0] is None:
        return None
    items, place, parents = [values[0]], 1, 1
    while parents:
        level = [values[i] if i < len(values) else None for i in range(place, place + 2 * parents)]
        place += 2 * parents
        items += level
        parents = sum(value is not None for value in level)
    while items[-1] is None:
        items.pop()
    return sandbox.Nodes("TreeNode", tuple(items))


def same(value: Any, expected: Any) -> bool:
    """Equality of plain data, as strict as `==` and stricter about booleans.

    A bool equals only a bool (so 1 is not True); 2.0 equals 2; where a float is expected, numbers
    within 1e-9 relative (1e-12 absolute) are equal, and nan equals nan; a list never equals a
    tuple. Sets and dictionary keys are compared exactly.
    """
    if isinstance(value, bool) or isinstance(expected, bool):
        return type(value) is type(expected) and value == expected
    if isinstance(expected, float) and isinstance(value, int | float):
        try:
            number = float(value)
        except OverflowError:
            return False
        if math.isnan(expected):
            return math.isnan(number)
        return math.isclose(number, expected, rel_tol=FLOAT_RELATIVE, abs_tol=FLOAT_ABSOLUTE)
    if isinstance(expected, int) and isinstance(value, int | float):
        return value == expected
    if isinstance(expected, list | tuple):
        return (
            type(value) is type(expected)
            and len(value) == len(expected)
            and all(same(v, e) for v, e in zip(value, expected, strict=True))
        )
    if isinstance(expected, sandbox.Nodes):
        return (
            isinstance(value, sandbox.Nodes)
            and value.kind == expected.kind
            and same(value.items, expected.items)
        )
    if isinstance(expected, set | frozenset):
        return isinstance(value, set | frozenset) and _keys(value) == _keys(expected)
    if isinstance(expected, dict):
        if not isinstance(value, dict) or len(value) != len(expected):
            return False
        found = {_key(k): v for k, v in value.items()}
        return all(_key(k) in found and same(found[_key(k)], e) for k, e in expected.items())
    return type(value) is type(expected) and value == expected


def _keys(items: Iterable[Any]) -> set[object]:
    return {_key(item) for item in items}


def _key(item: Any) -> object:
    """A hashable that tells True from 1 but not 1 from 1.0."""
    if isinstance(item, bool):
        return ("bool", item)
    if isinstance(item, tuple):
        return ("tuple", tuple(_key(part) for part in item))
    if isinstance(item, frozenset):
        return ("set", frozenset(_keys(item)))
    return item


def calls(tests: Sequence[str]) -> tuple[str, ...]:
    return tuple(parse_test(test).call for test in tests)
