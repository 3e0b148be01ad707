"""The decoder reads what Lean wrote, and of anything else says that it is not."""

from __future__ import annotations

import random
import struct
import time

import pytest
from lean_files import SAMPLE, compiled

from awry.lean.sound import terms
from awry.lean.sound.olean import COMMIT, MAX_BYTES, Module, OleanError, read_module
from awry.lean.sound.terms import Constant, Terms, parse_name

pytestmark = pytest.mark.usefixtures("needs_lean")
MUTATIONS = 2000


def read(data: bytes) -> tuple[Terms, Module]:
    arena = Terms()
    return arena, read_module(data, arena)


def find(arena: Terms, module: Module, name: str) -> Constant:
    return module.constants[arena.name(parse_name(name))]


def test_declarations_are_read_with_their_kinds() -> None:
    arena, module = read(compiled(SAMPLE))
    assert set(module.imports) == {"Init"}
    kinds = {
        "Par": "induct",
        "Par.step": "ctor",
        "Par.rec": "rec",
        "target": "thm",
        "word": "def",
        "Two": "induct",
        "hidden": "opaque",
        "assumed": "axiom",
    }
    assert {name: find(arena, module, name).kind for name in kinds} == kinds
    assert [arena.show(c) for c in find(arena, module, "Par").constructors] == [
        "Par.zero",
        "Par.step",
    ]
    assert find(arena, module, "Two").num_params == 2
    assert len(find(arena, module, "Two").params) == 2
    assert arena.show(find(arena, module, "Par.rec").parent) == "Par"


def test_literals_are_read_exactly() -> None:
    arena, _ = read(compiled(SAMPLE))
    assert (terms.STR, "naïve") in arena.exprs
    assert (terms.NAT, 36893488147419103232) in arena.exprs  # 2^65: no small number


def test_the_same_file_read_twice_gives_the_same_numbers() -> None:
    arena = Terms()
    first = read_module(compiled(SAMPLE), arena)
    size = len(arena.exprs)
    assert read_module(compiled(SAMPLE), arena) == first
    assert len(arena.exprs) == size


def test_names_of_bound_variables_make_no_difference() -> None:
    arena = Terms()
    one = read_module(compiled("theorem t : ∀ a : Nat, a = a := fun a => rfl\n"), arena)
    other = read_module(compiled("theorem t : ∀ {b : Nat}, b = b := fun {c} => rfl\n"), arena)
    assert find(arena, one, "t") == find(arena, other, "t")


def test_classes_are_listed() -> None:
    arena, module = read(compiled("class Known (n : Nat) : Prop where\n  out : n = n\n"))
    assert {arena.show(name) for name in module.classes} == {"Known"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"olean",
        b"olean\x02" + bytes(200),
        b"olean\x03" + bytes(34) + COMMIT.encode() + bytes(64),
        b"\x00" * 4096,
        b"olean\x02" + bytes(34) + COMMIT.encode() + b"\xff" * 64,
    ],
)
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(OleanError):
        read(data)


def test_another_version_of_lean_is_refused() -> None:
    data = compiled(SAMPLE).replace(COMMIT.encode(), b"0" * 40)
    with pytest.raises(OleanError, match="another version"):
        read(data)


def test_a_huge_file_is_refused_unread() -> None:
    with pytest.raises(OleanError, match="more than"):
        read(bytes(MAX_BYTES + 1))


def objects(data: bytes, tag: int, pointers: int) -> list[int]:
    """Where objects of this header start."""
    head = struct.pack("<BB", pointers, tag)
    return [at - 6 for at in range(102, len(data) - 2, 8) if data[at : at + 2] == head]


def test_free_variables_are_refused() -> None:
    """A kernel took a stray free variable in a value for a proof once (lean4#14484)."""
    data = bytearray(compiled(SAMPLE))
    for at in objects(bytes(data), terms.SORT, 1):
        data[at + 7] = 1  # a free variable instead of a sort
    with pytest.raises(OleanError):
        read(bytes(data))


def test_a_negative_number_is_refused() -> None:
    """`unsafeCast` of a negative integer gives such a file."""
    data = bytearray(compiled(SAMPLE))
    at = next(at for at in objects(bytes(data), 250, 0) if data[at + 12 : at + 16] != bytes(4))
    struct.pack_into("<i", data, at + 12, -2)
    with pytest.raises(OleanError, match="negative"):
        read(bytes(data))


def test_a_cycle_is_refused() -> None:
    data = bytearray(compiled(SAMPLE))
    (base,) = struct.unpack_from("<Q", data, 80)
    for at in objects(bytes(data), terms.APP, 2):
        struct.pack_into("<Q", data, at + 8, base + at)  # every application is its own function
    with pytest.raises(OleanError, match="forward"):
        read(bytes(data))


def mutated(data: bytes, choice: random.Random) -> bytes:
    (base,) = struct.unpack_from("<Q", data, 80)
    made = bytearray(data)
    kind = choice.randrange(6)
    for _ in range(choice.choice((1, 1, 2, 8))):
        at = choice.randrange(0 if kind == 0 else 80, len(made) - 8)
        word = at & ~7
        if kind == 0:
            made[at] = choice.randrange(256)
        elif kind == 1:
            made[at] ^= 1 << choice.randrange(8)
        elif kind == 2:
            struct.pack_into("<Q", made, word, base + 8 * choice.randrange(len(made) // 8))
        elif kind == 3:
            value = choice.choice((0, 1, 3, 2**64 - 1, 2**63, base, base + 96))
            struct.pack_into("<Q", made, word, value)
        elif kind == 4:
            return bytes(made[:at])
        else:
            other = choice.randrange(96, len(made) - 8) & ~7
            made[word : word + 8] = made[other : other + 8]
    return bytes(made)


def test_damaged_files_give_a_module_or_an_error() -> None:
    data, choice = compiled(SAMPLE), random.Random(0)
    refused, slowest = 0, 0.0
    for _ in range(MUTATIONS):
        begun = time.process_time()
        try:
            read(mutated(data, choice))
        except OleanError:
            refused += 1
        slowest = max(slowest, time.process_time() - begun)
    assert MUTATIONS // 4 < refused < MUTATIONS  # most damage matters, some is in what is not read
    assert slowest < 5
