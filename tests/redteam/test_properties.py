"""Properties: comparison of plain data agrees with ==, and limits always end a program."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from awry.sandbox.python import Limits, Program, PythonSandbox, Returned
from awry.sandbox.values import decode, encode
from awry.tasks.assertions import parse_test, same

PURE = settings(max_examples=300, deadline=None, database=None, derandomize=True)
# Running in the sandbox: few examples of many programs, and no search for smaller ones.
BATCHED = settings(
    PURE,
    max_examples=5,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
BATCH = 40  # programs a time: a process each, so one at a time would take minutes
_scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-3, 3)
    | st.floats(allow_nan=False)
    | st.sampled_from([0.0, -0.0, 1.0, 2.0, 1e16, math.inf, 2**53, 2**53 + 1, 10**400])
    | st.text(max_size=8)
    | st.binary(max_size=8)
    | st.complex_numbers(allow_nan=False)
)
_keys = st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.binary(max_size=4)
_hashable = st.recursive(_keys, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=6)
PLAIN = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(_hashable, inner, max_size=4)
        | st.sets(_hashable, max_size=4)
        | st.frozensets(_hashable, max_size=4)
    ),
    max_leaves=12,
)


def _without_bools(value: Any) -> Any:
    """`value` in a form in which == tells True from 1: that is the one wanted difference."""
    if isinstance(value, bool):
        return ("bool", str(value))
    if isinstance(value, list | tuple):
        return type(value)(_without_bools(item) for item in value)
    if isinstance(value, set | frozenset):
        return frozenset(_without_bools(item) for item in value)
    if isinstance(value, dict):
        return {_without_bools(key): _without_bools(item) for key, item in value.items()}
    return value


def _without_floats(value: Any) -> Any:
    """Whether two values differ by the tolerance for floats only, they are no example."""
    if isinstance(value, float | complex):
        return 0.5
    if isinstance(value, list | tuple):
        return type(value)(_without_floats(item) for item in value)
    if isinstance(value, dict):
        return {key: _without_floats(item) for key, item in value.items()}
    return value


def _rebuilt(value: object) -> object:
    """Through the wire form, as a child would send it and the parent read it."""
    got = decode(json.loads(json.dumps(encode(value))))
    assert isinstance(got, Returned)
    return got.value


@PURE
@given(PLAIN)
def test_a_value_equals_itself_and_its_copy(value: Any) -> None:
    again = _rebuilt(value)
    assert again == value
    assert same(again, value)
    assert same(value, value)


@PURE
@given(PLAIN, PLAIN)
def test_two_values_are_the_same_just_when_they_are_equal(a: Any, b: Any) -> None:
    equal = _without_bools(a) == _without_bools(b)
    if equal or _without_floats(a) != _without_floats(b):
        assert same(_rebuilt(a), b) == equal, (a, b)


@PURE
@given(PLAIN, st.data())
def test_a_small_change_is_a_difference(value: Any, data: st.DataObject) -> None:
    """Two random values hardly ever nearly agree: so change one place of one."""
    other = _changed(value, data)
    equal = _without_bools(value) == _without_bools(other)
    assert same(_rebuilt(other), value) == equal, (value, other)


def _changed(value: Any, data: st.DataObject) -> Any:
    if isinstance(value, list | tuple) and value and data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(value) - 1))
        items = list(value)
        items[place] = _changed(items[place], data)
        return type(value)(items)
    if isinstance(value, dict) and value and data.draw(st.booleans()):
        key = data.draw(st.sampled_from(list(value)))
        return {**value, key: _changed(value[key], data)}
    if isinstance(value, list):
        return data.draw(st.sampled_from([[*value, 0], tuple(value), value[:-1], [value]]))
    if isinstance(value, tuple):
        return data.draw(st.sampled_from([(*value, 0), list(value), value[1:], (value,)]))
    if isinstance(value, dict):
        return data.draw(
            st.sampled_from([{**value, "new": 1}, list(value), dict(list(value.items())[1:])])
        )
    if isinstance(value, set | frozenset):
        return data.draw(st.sampled_from([value | {"new"}, set(list(value)[1:]), list(value)]))
    if isinstance(value, bool):
        return data.draw(st.sampled_from([not value, int(value), str(value)]))
    if isinstance(value, int):
        return data.draw(
            st.sampled_from([value + 1, -value, str(value) if abs(value) < 10**9 else 0])
        )
    if isinstance(value, str | bytes):
        return data.draw(st.sampled_from([value + value[:1], value[1:], [value]]))
    return data.draw(st.sampled_from([None, 7, "other", [value]]))


@PURE
@given(st.floats(-1e300, 1e300), st.floats(1e-6, 1e-3))
def test_floats_have_a_little_room_and_no_more(value: float, off: float) -> None:
    assert same(value * (1 + 1e-11), value)
    if abs(value) > 1e-3:
        assert not same(value * (1 + off), value)
    assert not same(math.nan, value)
    assert same(math.nan, math.nan)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[PythonSandbox]:
    with PythonSandbox(workers=2, limits=Limits(wall_s=2.0), isolation="namespaces") as opened:
        yield opened


@BATCHED
@given(st.lists(PLAIN, min_size=BATCH, max_size=BATCH))
def test_values_survive_the_sandbox(sandbox: PythonSandbox, values: list[Any]) -> None:
    """Written as literals, evaluated in the answer's process, and compared with what was meant."""
    literals = [_literal(value) for value in values]
    programs = [Program("inf = float('inf')", calls=(text,)) for text in literals]
    for value, outcome in zip(values, sandbox.run(programs), strict=True):
        (got,) = outcome.values
        assert isinstance(got, Returned), (value, got)
        assert got.value == value
        assert same(got.value, value), (value, got)


@BATCHED
@given(st.lists(PLAIN, min_size=BATCH, max_size=BATCH))
def test_a_test_of_a_literal_passes_for_that_literal(
    sandbox: PythonSandbox, values: list[Any]
) -> None:
    pairs = [(value, _literal(value)) for value in values]
    pairs = [(v, t) for v, t in pairs if not any(w in t for w in ("inf", "set", "complex"))]
    cases = [parse_test(f"assert f() == {text}") for _, text in pairs]
    programs = [Program(f"def f(): return {text}", calls=("f()",)) for _, text in pairs]
    for case, outcome in zip(cases, sandbox.run(programs), strict=True):
        assert case.check(outcome.values[0]) == ""


def _literal(value: Any) -> str:
    """repr, but without decimal digits for numbers too long to be written so."""
    if isinstance(value, int) and not isinstance(value, bool):
        return hex(value)
    if isinstance(value, list):
        return "[" + ", ".join(map(_literal, value)) + "]"
    if isinstance(value, tuple):
        return "(" + "".join(_literal(item) + ", " for item in value) + ")"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_literal(k)}: {_literal(v)}" for k, v in value.items()) + "}"
    if isinstance(value, set | frozenset):
        inner = "[" + ", ".join(map(_literal, value)) + "]"
        return f"{type(value).__name__}({inner})"
    if isinstance(value, complex):
        return f"complex({value.real!r}, {value.imag!r})"
    return repr(value)


# ---- limits ------------------------------------------------------------------------------------
WALL_S = 0.5
_line = st.sampled_from(
    [
        "time.sleep(0.2)",
        "time.sleep(30)",
        "end = time.perf_counter() + 0.2\nwhile time.perf_counter() < end: pass",
        "while True: pass",
        "hoard.append(bytearray(1 << 24))",
        "hoard.append(mmap.mmap(-1, 1 << 23))",
        "try:\n    while True: hoard.append(bytearray(1 << 22))\nexcept MemoryError: pass",
        "print('x' * (1 << 20))",
        "for fd in (1, 2, 3): os.write(fd, b'x' * 70000)",
        "try: open('f%d' % len(hoard), 'wb').write(b'x' * (1 << 22))\nexcept OSError: pass",
        "try: threading.Thread(target=time.sleep, args=(30,)).start()\nexcept RuntimeError: pass",
        "try: threading.Thread(target=lambda: sum(range(10**9)), daemon=True).start()\nexcept RuntimeError: pass",
        "try: os.fork()\nexcept OSError: pass",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
        "signal.setitimer(signal.ITIMER_REAL, 0.1)",
        "hoard.append(sum(range(10**7)))",
        "atexit.register(time.sleep, 30)",
        "sys.setrecursionlimit(10**9)",
        "deep = lambda: deep()",
        "deep = None\nfor _ in range(10**5): deep = [deep]",
        "gc.collect()",
        "os.dup2(1, 3)",
        "os._exit(0)",
        "raise SystemExit",
        "os.kill(os.getpid(), signal.SIGSTOP)",
    ]
)
_HEAD = "import atexit, gc, mmap, os, signal, sys, threading, time\nhoard = []\n"


def _nested(lines: list[tuple[int, str]]) -> str:
    """Statements under none to two levels of what keeps them going."""
    text = _HEAD
    for kind, line in lines:
        head = ("", "for _ in range(3):", "try:", "while True:", "def f():")[kind]
        inner = "\n".join("    " + part for part in line.split("\n"))
        body = f"{head}\n{inner}\n" if head else line + "\n"
        text += body + (
            "except BaseException: pass\n" if kind == 2 else "f()\n" if kind == 4 else ""
        )
    return text


@pytest.mark.parametrize("level", ["auto", "landlock"])
def test_limits_always_end_a_program(level: str) -> None:
    limits = Limits(wall_s=WALL_S, cpu_s=1.0, memory_mb=200, output_bytes=1 << 20)
    with PythonSandbox(workers=4, limits=limits, isolation=level) as sandbox:  # type: ignore[arg-type]

        @settings(BATCHED, max_examples=3)
        @given(
            st.lists(
                st.lists(st.tuples(st.integers(0, 4), _line), min_size=1, max_size=6),
                min_size=BATCH // 2,
                max_size=BATCH // 2,
            )
        )
        def check(programs: list[list[tuple[int, str]]]) -> None:
            sources = [_nested(lines) for lines in programs]
            room = 0.5 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
            outcomes = sandbox.run([Program(source, calls=("1",)) for source in sources])
            for source, outcome in zip(sources, outcomes, strict=True):
                assert outcome.status != "sandbox_error", source
                assert outcome.seconds <= WALL_S + room, (outcome, source)
            (after,) = sandbox.run([Program("", calls=("2",))])
            assert after.values == (Returned(2),)

        check()
