"""What the kernel computes by name, against Python's integers; and our definitions, unfolded.

The kernel takes these functions from big-integer arithmetic and never looks at their definitions:
where the two disagree, `False` has a proof. Two comparisons close that: kernel = Python, and a copy
of each definition under a name that the kernel does not know = Python.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable
from importlib.resources import files

import pytest

from awry.lean.builtin.pool import LeanPool

Binary = Callable[[int, int], int | bool]
BINARY: dict[str, Binary] = {
    "Nat.add": lambda a, b: a + b,
    "Nat.sub": lambda a, b: max(a - b, 0),
    "Nat.mul": lambda a, b: a * b,
    "Nat.div": lambda a, b: a // b if b else 0,
    "Nat.mod": lambda a, b: a % b if b else a,
    "Nat.gcd": math.gcd,
    "Nat.beq": lambda a, b: a == b,
    "Nat.ble": lambda a, b: a <= b,
    "Nat.land": lambda a, b: a & b,
    "Nat.lor": lambda a, b: a | b,
    "Nat.xor": lambda a, b: a ^ b,
}
# the second argument is an exponent: kept small
POWERS: dict[str, Binary] = {
    "Nat.pow": lambda a, b: a**b,
    "Nat.shiftLeft": lambda a, b: a << b,
    "Nat.shiftRight": lambda a, b: a >> b,
}
RESERVED = [
    *BINARY, *POWERS, "Nat.log2", "Nat.succ", "Nat.zero", "Nat.rec", "String.ofList", "Char.ofNat",
    "Lean.reduceBool", "Lean.reduceNat", "eagerReduce", "Quot.mk", "Quot.lift", "Quot.ind",
    "List.cons", "Eq", "propext", "Quot.sound", "Classical.choice", "sorryAx",
]  # fmt: skip
_EDGES = (0, 1, 2, 3, 7, 8, 2**31, 2**32 - 1, 2**63, 2**64 - 1, 2**64, 10**40)


def _lean(value: int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _wrong(value: int | bool) -> int | bool:
    return not value if isinstance(value, bool) else value + 1


def _pairs(rng: random.Random, many: int) -> list[tuple[int, int]]:
    sizes = (4, 16, 33, 64, 65, 200)
    drawn = [
        (rng.getrandbits(rng.choice(sizes)), rng.getrandbits(rng.choice(sizes)))
        for _ in range(many)
    ]
    return [(a, b) for a in _EDGES for b in rng.sample(_EDGES, 3)] + drawn


def _samples() -> list[tuple[str, int | bool]]:
    """(a closed term, its value)"""
    rng = random.Random(6)
    found: list[tuple[str, int | bool]] = []
    for name, function in BINARY.items():
        found += [(f"{name} {a} {b}", function(a, b)) for a, b in _pairs(rng, 24)]
    for name, function in POWERS.items():
        powers = [(a, rng.choice((0, 1, 2, 5, 63, 64, 65, 130))) for a, _ in _pairs(rng, 16)]
        found += [(f"{name} {a} {b}", function(a, b)) for a, b in powers]
    logs = [*_EDGES, *(rng.getrandbits(90) for _ in range(20))]
    found += [(f"Nat.log2 {a}", max(a.bit_length() - 1, 0)) for a in logs]
    found += [(f"Nat.succ {a}", a + 1) for a in _EDGES]
    return found


def _checked(pool: LeanPool, lines: list[str], above: str = "") -> set[int]:
    """The lines (from 0) that Lean refuses. In several texts: it stops at a hundred errors."""
    size = 80
    pieces = [lines[i : i + size] for i in range(0, len(lines), size)]
    skipped = above.count("\n")
    refused: set[int] = set()
    texts = [("", above + "\n".join(piece)) for piece in pieces]
    for number, found in enumerate(pool.elaborate(texts)):
        assert found.ended == "finished", found
        refused |= {number * size + m.line - 1 - skipped for m in found.errors}
    return refused


def test_kernel_computes_what_python_computes(lean_pool: LeanPool) -> None:
    right = [
        f"example : {term} = {_lean(value)} := by decide +kernel" for term, value in _samples()
    ]
    assert len(right) > 700
    assert _checked(lean_pool, right) == set()


def test_kernel_refuses_other_values(lean_pool: LeanPool) -> None:
    samples = random.Random(7).sample(_samples(), 240)
    lines = [
        f"example : {term} = {_lean(_wrong(value))} := by decide +kernel" for term, value in samples
    ]
    assert _checked(lean_pool, lines) == set(range(len(lines)))


def test_elaborator_agrees_with_kernel(lean_pool: LeanPool) -> None:
    """`rfl` is checked by the elaborator's own arithmetic first."""
    samples = random.Random(8).sample(_samples(), 120)
    lines = [f"example : {term} = {_lean(value)} := rfl" for term, value in samples]
    lines += [f"example : {term} = {_lean(_wrong(value))} := rfl" for term, value in samples]
    assert _checked(lean_pool, lines) == set(range(len(samples), 2 * len(samples)))


def _copies() -> str:
    """The definitions of numbers.lean and kernel.lean under other names, without marks."""
    folder = files("awry.lean.builtin") / "init"
    numbers = (folder / "numbers.lean").read_text(encoding="utf-8")
    kernel = (folder / "kernel.lean").read_text(encoding="utf-8")
    first = numbers[numbers.index("set_option bootstrap") : numbers.index("-- what `noConfusion`")]
    second = kernel[kernel.index("@[extern") : kernel.index("-- evaluation by compiled")]
    text = first + second
    text = re.sub(r'@\[extern "[a-z_0-9]+"\] ', "", text)
    text = re.sub(r"set_option bootstrap.* in\n", "", text)
    text = re.sub(r"instance inst(Div|Mod|Dvd).*\n", "", text)
    text = text.replace("@& Nat", "Nat").replace("protected ", "")
    # numbers.lean defines them one by one, kernel.lean partly inside the namespace
    text = re.sub(r"\bNat\.(?=[a-z])", "Copied.", text)
    text = re.sub(r"(?<![\w.])(zero|succ)\b", r"Nat.\1", text)
    text = re.sub(r"(?<![\w.])\.succ\b", "Nat.succ", text)
    text = text.replace("namespace Nat", "namespace Copied").replace("end Nat", "end Copied")
    return text.replace("Copied.succ", "Nat.succ").replace("Copied.zero", "Nat.zero")


def test_our_definitions_mean_the_same(lean_pool: LeanPool) -> None:
    """The copies compute by their equations: numbers stay small."""
    rng = random.Random(9)
    lines: list[str] = []
    for name, function in {**BINARY, **POWERS}.items():
        bound = 5 if name in POWERS else 14
        pairs = [(rng.randrange(30), rng.randrange(bound)) for _ in range(10)]
        for a, b in [*pairs, (0, 0), (0, 3), (3, 0), (6, 6)]:
            a = a % 5 if name == "Nat.pow" else a
            copied = name.replace("Nat.", "Copied.")
            lines.append(
                f"example : {copied} {a} {b} = {_lean(function(a, b))} := by decide +kernel"
            )
    lines += [
        f"example : Copied.log2 {a} = {max(a.bit_length() - 1, 0)} := by decide +kernel"
        for a in range(20)
    ]
    copies = _copies() + "\n"
    assert "extern" not in copies
    assert _checked(lean_pool, lines, copies) == set()
    wrong = [re.sub(r"= (\d+) :=", lambda m: f"= {int(m[1]) + 1} :=", line) for line in lines]
    altered = {i for i, (a, b) in enumerate(zip(lines, wrong, strict=True)) if a != b}
    assert len(altered) > 100
    assert _checked(lean_pool, wrong, copies) == altered


def test_literals_are_their_characters(lean_pool: LeanPool) -> None:
    texts = ["", "a", "naïve ∀x", "\U0001d53d", "tab\\tq"]
    lines: list[str] = []
    for text in texts:
        plain = text.replace("\\t", "\t")
        characters = ", ".join(f"Char.ofNat {ord(c)}" for c in plain)
        lines.append(f'example : "{text}" = String.ofList [{characters}] := rfl')
    lines += [
        f"example : 'é' = Char.ofNat {ord('é')} := rfl",
        "example : 'a' = Char.ofNat 98 := rfl",
    ]
    lines += ['example : "ab" = String.ofList [Char.ofNat 97] := rfl']
    assert _checked(lean_pool, lines) == {len(lines) - 2, len(lines) - 1}


@pytest.mark.parametrize("name", RESERVED)
def test_names_are_taken(name: str, lean_pool: LeanPool) -> None:
    found = lean_pool.elaborate([("", f"def {name} (a b : Nat) : Nat := 0")])[0]
    assert any("already been declared" in message.text for message in found.errors), found
