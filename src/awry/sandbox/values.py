"""Values on their way between processes: plain data as trees of JSON that name every exact type.

`encode` runs in the untrusted process, which may have patched anything; it goes by `type(x) is T`,
so no method of a subclass is ever called. `decode` reads what a hostile process may have written.
Standard library only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# Bound before any untrusted code runs, so that a patched builtin does not break the report.
_type, _len, _str, _format, _getattr = type, len, str, format, getattr
_dict_items, _attribute, _isinstance = dict.items, object.__getattribute__, isinstance

MAX_NODES, MAX_KEYS, MAX_DEPTH, MAX_DIGITS = 200_000, 5_000, 60, 1_000_000
MAX_COLLISIONS = 64
# The classes that LeetCode's problems are about: class name -> the value and the links of a node.
NODE_LINKS = {"ListNode": ("next",), "TreeNode": ("left", "right")}


@dataclass(frozen=True)
class Returned:
    """The value of one call, rebuilt from exact built-in types."""

    value: object


@dataclass(frozen=True)
class Iterable:
    """A returned iterator, range, view or deque, already walked: not equal to any list."""

    items: tuple[object, ...]


@dataclass(frozen=True)
class Nodes:
    """A linked list (`ListNode`: its values in order) or binary tree (`TreeNode`: its values level
    by level, None for an absent child, none of these at the end)."""

    kind: str
    items: tuple[object, ...]


@dataclass(frozen=True)
class Failed:
    """A call without a value: it raised, or returned something that is not plain data."""

    reason: str


class TooLarge(Exception):
    """More nodes, or deeper, than is reported."""


def encode(value: Any, budget: list[int] | None = None, depth: int = 0) -> Any:
    """A JSON tree of `value`; what is not plain data becomes ["?", type name].

    budget: one number, of nodes that may still be written. Raises TooLarge.
    """
    if budget is None:
        budget = [MAX_NODES]
    kind = _type(value)
    budget[0] -= 1
    if budget[0] < 0 or depth > MAX_DEPTH:
        raise TooLarge
    if value is None or kind is bool or kind is float:
        return value
    if kind is int:
        return value if -(10**15) < value < 10**15 else ["i", _format(value, "x")]
    if kind is str:
        budget[0] -= _len(value) // 64
        return value
    if kind is list or kind is tuple:
        tag = "l" if kind is list else "t"
        return [tag, *[encode(item, budget, depth + 1) for item in value]]
    if kind is set or kind is frozenset:
        if _len(value) > MAX_KEYS:
            raise TooLarge
        return ["s", *[encode(item, budget, depth + 1) for item in value]]
    if kind in _MAPPINGS:
        if _len(value) > MAX_KEYS:
            raise TooLarge
        pairs = _dict_items(value)
        return [
            "d",
            *[[encode(k, budget, depth + 1), encode(v, budget, depth + 1)] for k, v in pairs],
        ]
    if kind is bytes:
        return ["b", value.hex()]
    if kind is complex:
        return ["c", value.real, value.imag]
    if kind in _ITERABLES:
        return ["g", *[encode(item, budget, depth + 1) for item in value]]
    if kind in _SCALARS:
        return encode(_SCALARS[kind](value), budget, depth + 1)
    name = _str(_getattr(kind, "__name__", "object"))[:80]
    if name in NODE_LINKS:
        return _encode_nodes(value, name, budget, depth)
    return ["?", name]


def _encode_nodes(root: Any, name: str, budget: list[int], depth: int) -> Any:
    """Breadth first; a cycle ends with the budget. A link to something else is not plain data."""
    links = NODE_LINKS[name]
    items: list[Any] = []
    waiting: list[Any] = [root]
    for node in waiting:  # grows while it is walked
        budget[0] -= 1
        if budget[0] < 0:
            raise TooLarge
        if node is None:
            items.append(None)
            continue
        kind = _type(node)
        if _str(_getattr(kind, "__name__", "")) != name:
            return ["?", _str(_getattr(kind, "__name__", "object"))[:80]]
        try:
            fields = _attribute(node, "__dict__")
        except AttributeError:
            return ["?", name]
        # None would read as an absent node
        if _type(fields) is not dict or fields.get("val") is None:
            return ["?", name]
        items.append(encode(fields["val"], budget, depth + 1))
        waiting.extend([fields.get(link) for link in links])
    while items and items[-1] is None:
        items.pop()
    return ["n", name, *items]


def _exact_types() -> tuple[frozenset[type], frozenset[type]]:
    from collections import OrderedDict, defaultdict, deque

    mappings = (dict, Counter, OrderedDict, defaultdict)
    generator = (item for item in ())
    empty: dict[int, int] = {}
    iterables = (
        *(range, map, filter, zip, enumerate, reversed, deque, type(generator)),
        *(type(empty.keys()), type(empty.values()), type(empty.items())),
        *(type(iter([])), type(iter(())), type(iter(set())), type(iter(empty)), type(reversed([]))),
    )
    return frozenset(mappings), frozenset(iterables)


_MAPPINGS, _ITERABLES = _exact_types()
_SCALARS: dict[type, Callable[[Any], Any]] = {}  # numpy's, once it is loaded


def know_numpy(numpy: Any) -> None:
    """From now on numpy's scalars are encoded as the Python numbers they stand for."""
    for kind in {*numpy.sctypeDict.values()}:
        if issubclass(kind, numpy.bool_ | numpy.number) and kind is not numpy.longdouble:
            _SCALARS[kind] = kind.item


# ---- reading -----------------------------------------------------------------------------------
def decode(encoded: object) -> Returned | Failed:
    """Rebuild a value from `encode`'s tree; ValueError if the tree is not one."""
    try:
        return Returned(_plain(encoded))
    except _Foreign as error:
        return Failed(f"returned a {error} object")
    except TypeError as error:  # an unhashable member of a set: no honest encoder sends one
        raise ValueError(str(error)) from error


class _Foreign(Exception):
    pass


def _plain(tree: object) -> object:
    if tree is None or _isinstance(tree, bool | int | float | str):
        return tree
    match tree:
        case ["i", str(digits)] if len(digits) < MAX_DIGITS:
            return int(digits, 16)
        case ["l", *items]:
            return [_plain(item) for item in items]
        case ["t", *items]:
            return tuple([_plain(item) for item in items])
        case ["g", *items]:
            return Iterable(tuple([_plain(item) for item in items]))
        case ["s", *items] if len(items) <= MAX_KEYS:
            members = [_plain(item) for item in items]
            refuse_collisions(members)
            return frozenset(members)
        case ["d", *pairs] if len(pairs) <= MAX_KEYS:
            known = [(_plain(k), _plain(v)) for k, v in (_pair(pair) for pair in pairs)]
            refuse_collisions([key for key, _ in known])
            return dict(known)
        case ["b", str(digits)]:
            return bytes.fromhex(digits)
        case ["c", float(real), float(imag)]:
            return complex(real, imag)
        case ["n", str(kind), *items] if kind in NODE_LINKS:
            return Nodes(kind, tuple([_plain(item) for item in items]))
        case ["?", str(name)]:
            raise _Foreign(name)
    raise ValueError("not an encoded value")


def refuse_collisions(keys: list[Any]) -> None:
    """ValueError if many keys share one hash: a set of them takes quadratic time, in this process.

    All multiples of 2**61 - 1 do, so an answer can make such keys at will.
    """
    counts = Counter([hash(key) for key in keys])
    if counts and max(counts.values()) > MAX_COLLISIONS:
        raise ValueError("too many keys of one hash")


def _pair(pair: object) -> tuple[object, object]:
    match pair:
        case [key, value]:
            return key, value
    raise ValueError("not a key and a value")
