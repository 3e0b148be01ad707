"""When two statements are the same, and in what way they are not: on terms made by hand."""

from __future__ import annotations

from awry.lean.sound import terms
from awry.lean.sound.statement import compare
from awry.lean.sound.terms import Constant, Kind, Terms

arena = Terms()
PROP = arena.expr((terms.SORT, 0))


def name(text: str) -> int:
    return arena.name(tuple(text.split(".")))


def const(text: str, *levels: int) -> int:
    return arena.expr((terms.CONST, name(text), levels))


def pi(domain: int, body: int) -> int:
    return arena.expr((terms.PI, domain, body))


def made(text: str, kind: Kind, type_: int, value: int | None = None, **more: object) -> Constant:
    return Constant(name(text), kind, (), type_, value, **more)  # type: ignore[arg-type]


NAT = made("Nat", "induct", PROP)
CORE = {NAT.name}


def differences(
    asked: Constant, found: Constant, ours: list[Constant], theirs: list[Constant]
) -> dict[str, str]:
    reference = {c.name: c for c in (NAT, asked, *ours)}
    known = {c.name: c for c in (NAT, found, *theirs)}
    return compare(arena, reference, known, CORE, asked, found, frozenset({name("Add")}))


def test_the_same_is_the_same() -> None:
    asked = made("t", "thm", pi(const("Nat"), PROP), PROP)
    assert differences(asked, asked, [], []) == {}


def test_universes_go_by_position() -> None:
    def one(param: str) -> Constant:
        level = arena.level((terms.PARAM, name(param)))
        sort = arena.expr((terms.SORT, level))
        return Constant(name("t"), "thm", (name(param),), pi(sort, sort), PROP)

    assert differences(one("u"), one("v"), [], []) == {}
    mixed = Constant(name("t"), "thm", (name("w"),), one("v").type, PROP)
    assert "statement" in differences(one("u"), mixed, [], [])


def test_a_definition_of_the_same_content_may_stand_for_another() -> None:
    one, other = (made(n, "def", const("Nat"), PROP) for n in ("a.match_1", "b.match_1"))
    asked, found = made("t", "thm", const("a.match_1"), PROP), made("t", "thm", const("b.match_1"))
    assert differences(asked, found, [one], [other]) == {}
    changed = made("b.match_1", "def", const("Nat"), const("Nat"))
    assert list(differences(asked, found, [one], [changed])) == ["definition"]


def test_a_type_of_the_same_content_may_not() -> None:
    for kind in ("induct", "opaque", "axiom"):
        one, other = (made(n, kind, PROP) for n in ("A", "B"))
        asked, found = made("t", "thm", const("A"), PROP), made("t", "thm", const("B"), PROP)
        assert list(differences(asked, found, [one], [other])) == ["definition"]


def test_meanings_are_followed_to_the_end() -> None:
    """t mentions f, f mentions g, and g differs."""
    f = made("f", "def", PROP, const("g"))
    asked = made("t", "thm", const("f"), PROP)
    ours, theirs = made("g", "def", PROP, const("Nat")), made("g", "def", PROP, PROP)
    found = differences(asked, asked, [f, ours], [f, theirs])
    assert list(found) == ["definition"]
    assert "`g`" in found["definition"]


def test_more_binders_are_context_and_an_instance_is_an_instance() -> None:
    instance = made("cheat", "def", arena.expr((terms.APP, const("Add"), const("Nat"))), PROP)
    asked = made("t", "thm", const("Nat"), PROP)
    more = made("t", "thm", pi(PROP, const("Nat")), PROP)
    assert list(differences(asked, more, [], [])) == ["context"]
    with_it = made("t", "thm", arena.expr((terms.APP, const("Nat"), const("cheat"))), PROP)
    assert list(differences(asked, with_it, [], [instance])) == ["instance"]
    both = made("t", "thm", pi(PROP, with_it.type), PROP)
    assert set(differences(asked, both, [], [instance])) == {"context", "instance"}
