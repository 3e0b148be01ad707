"""Equal terms have equal numbers; what a term mentions; names as they are written."""

from __future__ import annotations

import pytest

from awry.lean.sound import terms
from awry.lean.sound.terms import Terms, parse_name


def test_equal_terms_are_kept_once() -> None:
    arena = Terms()
    one = arena.expr((terms.APP, arena.expr((terms.BVAR, 0)), arena.expr((terms.BVAR, 1))))
    again = arena.expr((terms.APP, arena.expr((terms.BVAR, 0)), arena.expr((terms.BVAR, 1))))
    other = arena.expr((terms.APP, arena.expr((terms.BVAR, 1)), arena.expr((terms.BVAR, 0))))
    assert one == again
    assert one != other


def test_a_number_and_a_variable_are_not_the_same() -> None:
    arena = Terms()
    assert arena.expr((terms.BVAR, 3)) != arena.expr((terms.NAT, 3))
    assert arena.name(("a", 1)) != arena.name(("a", "1"))


def test_what_is_reachable_comes_children_first() -> None:
    arena = Terms()
    leaf = arena.expr((terms.NAT, 7))
    deep = leaf
    for _ in range(50_000):  # deeper than Python recurses
        deep = arena.expr((terms.APP, deep, leaf))
    found = arena.reachable([deep])
    assert found == sorted(found)
    assert len(found) == 50_001
    assert arena.reachable([deep], dict.fromkeys(found[:-1])) == [deep]


def test_literals_and_projections_mention_their_types() -> None:
    arena = Terms()
    box = arena.name(("Box",))
    number = arena.expr((terms.NAT, 7))
    roots = [arena.expr((terms.PROJ, box, 0, number)), arena.expr((terms.STR, "a"))]
    shown = {arena.show(name) for name in arena.mentioned(roots)}
    assert shown == {"Box", "Nat", "String", "String.ofList", "Char.ofNat"}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("target", ("target",)),
        ("A.b.c", ("A", "b", "c")),
        ("A.«b.c».d", ("A", "b.c", "d")),
        ("Δ.target₁", ("Δ", "target₁")),
    ],
)
def test_names_are_read_as_lean_writes_them(text: str, parts: tuple[str, ...]) -> None:
    assert parse_name(text) == parts
