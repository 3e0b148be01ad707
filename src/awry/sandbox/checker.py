"""Tests that are a program, not `assert CALL == LITERAL`: they run in a process of their own.

That process (the checker) never meets the answer. Its `candidate` sends arguments as data to the
answer's process, which calls the answer and sends the value back as data; so a test may compute its
inputs, loop, compare with a tolerance or call the answer on its own output, and still nothing of it
is within the answer's reach. Standard library only: both ends run in children of the fork server.
"""

from __future__ import annotations

import builtins
import itertools
import json
import os
from collections.abc import Callable
from typing import Any

from awry.sandbox.values import Failed, Iterable, Nodes, Returned, TooLarge, decode, encode

# Bound before any untrusted code runs.
_dumps = json.JSONEncoder(check_circular=False).encode
_loads, _read, _write, _BaseException = json.loads, os.read, os.write, BaseException
_eval, _compile, _type = eval, compile, type
_encode, _decode, _TooLarge = encode, decode, TooLarge

# Raised into a check, these would end its own loops as if all had been seen.
_STOPS = (StopIteration, StopAsyncIteration)
MAX_LINE = 16 << 20  # bytes of one message; an answer may write without end


class AnswerError(Exception):
    """The answer gave no value: it raised something unknown, or what came is not plain data."""


def _lines(descriptor: int) -> Callable[[], bytes]:
    """A function that returns the next line, b"" at the end of what the other side writes."""
    held = bytearray()

    def line() -> bytes:
        searched = 0
        while (end := held.find(b"\n", searched)) < 0:
            searched = len(held)
            chunk = _read(descriptor, 1 << 16)
            if not chunk or len(held) > MAX_LINE:
                return b""
            held.extend(chunk)
        found = bytes(held[: end + 1])
        del held[: end + 1]
        return found

    return line


def _send(descriptor: int, message: Any) -> None:
    data = (_dumps(message) + "\n").encode()
    while data:
        data = data[_write(descriptor, data) :]


# ---- in the answer's process -------------------------------------------------------------------
def answer_calls(
    target: str, namespace: dict[str, Any], requests: int, replies: int, describe: Any
) -> None:
    """Call `target`, an expression in `namespace`, for every request until there are no more."""
    line, code = _lines(requests), _compile(target, "<target>", "eval", dont_inherit=True)
    while request := line():
        number, encoded = _loads(request)
        try:
            arguments, named = materialise(_decode(encoded), namespace)
            before = _dumps(encoded)
            value = _eval(code, namespace)(*arguments, **named)
            told = ["value", _encode(value)]
            after = _encode([arguments, named])
            told.append(None if _dumps(after) == before else after)
        except _TooLarge:
            told = ["failed", "value too large or too deep"]
        except _BaseException as error:
            told = ["raised", _type(error).__name__, describe(error)]
        _send(replies, [number, *told])


# ---- in the checker's process ------------------------------------------------------------------
def run_check(source: str, setup: str, requests: int, replies: int, describe: Any) -> str:
    """Run `check(candidate)` of `source`. Empty if it returned, else what went wrong."""
    namespace: dict[str, Any] = {"__name__": "check"}
    try:
        exec(compile(setup, "<setup>", "exec", dont_inherit=True), namespace)
        exec(compile(source, "<check>", "exec", dont_inherit=True), namespace)
        namespace["check"](_candidate(namespace, requests, replies))
    except BaseException as error:
        return describe(error) or "failed"
    return ""


def _candidate(namespace: dict[str, Any], requests: int, replies: int) -> Callable[..., Any]:
    line, count = _lines(replies), 0

    def candidate(*arguments: Any, **named: Any) -> Any:
        nonlocal count
        count += 1
        _send(requests, [count, encode([list(arguments), named])])
        match _loads_or_raise(line()):
            case [number, "value", encoded, changed] if number == count and type(number) is int:
                value = materialise(_decoded(encoded), namespace)
                if changed is not None:
                    _write_back([list(arguments), named], materialise(_decoded(changed), namespace))
                return value
            case [number, "raised", str(name), str(text)] if number == count:
                kind = getattr(builtins, name, None)
                if isinstance(kind, type) and issubclass(kind, Exception) and kind not in _STOPS:
                    raise kind(text)
                raise AnswerError(f"{name}: {text}")
            case [number, "failed", str(text)] if number == count:
                raise AnswerError(text)
            case _:
                raise AnswerError("the answer's process did not reply in order")

    return candidate


def _loads_or_raise(line: bytes) -> Any:
    try:
        return _loads(line)
    except (ValueError, RecursionError) as error:
        raise AnswerError("the answer's process ended or replied with nonsense") from error


def _decoded(encoded: Any) -> Returned | Failed:
    try:
        return decode(encoded)
    except (ValueError, RecursionError) as error:
        raise AnswerError("the answer's process replied with nonsense") from error


def materialise(decoded: Returned | Failed, namespace: dict[str, Any]) -> Any:
    """The value as Python objects: nodes of the namespace's own classes, iterators, sets."""
    if isinstance(decoded, Failed):
        raise AnswerError(decoded.reason)
    return _objects(decoded.value, namespace)


def _objects(value: Any, namespace: dict[str, Any]) -> Any:
    if type(value) is list:
        return [_objects(item, namespace) for item in value]
    if type(value) is tuple:
        return tuple([_objects(item, namespace) for item in value])
    if type(value) is dict:
        return {key: _objects(item, namespace) for key, item in value.items()}
    if type(value) is frozenset:
        return set(value)
    if isinstance(value, Iterable):
        return iter([_objects(item, namespace) for item in value.items])
    if isinstance(value, Nodes):
        return _linked(value, namespace)
    return value


def _linked(nodes: Nodes, namespace: dict[str, Any]) -> Any:
    made: list[Any] = [None if v is None else namespace[nodes.kind](v) for v in nodes.items]
    if nodes.kind == "ListNode":
        for node, following in itertools.pairwise(made):
            node.next = following
        return made[0] if made else None
    parents, place = [made[0]] if made else [], 1
    for parent in parents:  # grows while it is walked
        for side in ("left", "right"):
            child = made[place] if place < len(made) else None
            place += 1
            if child is not None:
                setattr(parent, side, child)
                parents.append(child)
    return made[0] if made else None


def _write_back(target: Any, source: Any) -> None:
    """Bring lists, dictionaries and sets of `target` to the state of `source`, in place."""
    if type(target) is not type(source):
        return
    if isinstance(target, list):
        if len(target) == len(source):
            for place, (old, new) in enumerate(zip(target, source, strict=True)):
                _write_back(old, new)
                if not isinstance(old, list | dict | set) or type(old) is not type(new):
                    target[place] = new
        else:
            target[:] = source
    elif isinstance(target, dict):
        for key in target.keys() & source.keys():
            _write_back(target[key], source[key])
        kept = {key: target[key] for key in target.keys() & source.keys()}
        target.clear()
        for key, new in source.items():
            old = kept.get(key)
            same = isinstance(old, list | dict | set) and type(old) is type(new)
            target[key] = old if same else new
    elif isinstance(target, set):
        target.clear()
        target.update(source)
