from __future__ import annotations

import pytest

from awry.errors import UserError
from awry.lean.checks import Theorem
from awry.lean.reading import (
    blanked,
    find_statement,
    read_theorem,
    split_header,
    without_reference,
)


def test_comments_and_strings_are_blanked_in_their_place() -> None:
    text = 'a -- b\n/- c /- d -/ e -/ f "g -- \\" h" i'
    bare = blanked(text)
    assert len(bare) == len(text)
    assert bare.split() == ["a", "f", '"', '"', "i"]
    assert bare.index("\n") == text.index("\n")
    assert blanked("/- open") == " " * 7


@pytest.mark.parametrize(
    ("text", "header", "rest"),
    [
        ("theorem a : True := trivial", "", "theorem a : True := trivial"),
        ("import A\nimport B.C\n\ntheorem", "import A\nimport B.C", "theorem"),
        ("/- licence -/\nimport A -- why\ntheorem", "/- licence -/\nimport A -- why", "theorem"),
        ("-- import A\ntheorem", "", "-- import A\ntheorem"),
        ("public import A\ndef x", "public import A", "def x"),
    ],
)
def test_imports_are_split_off(text: str, header: str, rest: str) -> None:
    found = split_header(text)
    assert found[0] == header
    assert found[1].strip() == rest


@pytest.mark.parametrize(
    ("text", "statement"),
    [
        ("theorem a : 1 = 1 := rfl", "theorem a : 1 = 1"),
        ("theorem a (x : Nat := 3) :\n    x = x := by\n  rfl", "theorem a (x : Nat := 3) :\n    x = x"),
        ("lemma a : let x := 3; x = 3 := rfl", "theorem a : let x := 3; x = 3"),
        ("-- theorem a : False :=\ntheorem  a : True := t", "theorem a : True"),
        ("theorem a' : 1 = 2 := x\ntheorem a : True := t", "theorem a : True"),
        ("theorem a{p : Prop} /- := -/ : p → p := id", "theorem a{p : Prop} /- := -/ : p → p"),
        ("@[simp] private theorem a : ∀ x : Nat, x = x := h", "theorem a : ∀ x : Nat, x = x"),
    ],
)  # fmt: skip
def test_statements_end_before_their_proofs(text: str, statement: str) -> None:
    assert find_statement(text, "a")[1] == statement


def test_what_is_not_there_is_told() -> None:
    with pytest.raises(UserError, match="no theorem of this name"):
        find_statement("theorem ab : True := t\ndef a := 1", "a")
    with pytest.raises(UserError, match="end of the statement"):
        find_statement("theorem a : ∀ n : Nat, n = n\n  | n => rfl", "a")


def test_a_reference_has_its_parts() -> None:
    text = "import A\n\ndef f (n : Nat) := n\n\ntheorem T.a : f 1 = 1 := sorry\n"
    found = read_theorem(text, "T.a")
    assert found == Theorem("T.a", "theorem T.a : f 1 = 1", "def f (n : Nat) := n", "import A")
    assert read_theorem("theorem a (p : Prop) : p → p", "a").statement == (
        "theorem a (p : Prop) : p → p"
    )


def test_what_the_reference_has_is_not_given_twice() -> None:
    theorem = Theorem("a", "theorem a : f = 1", "def f := 1", "import A\nimport B")
    text = "import A\n\ndef f := 1\n\ntheorem a : f = 1 := rfl\n"
    assert without_reference(text, theorem) == "theorem a : f = 1 := rfl\n"
    with pytest.raises(UserError, match="imports what the statement does not"):
        without_reference("import C\n" + text, theorem)
    # without a header of the reference's an import stays, and is judged
    bare = Theorem("a", "theorem a : True")
    assert without_reference("import C\ntheorem a", bare) == "import C\ntheorem a"
