from __future__ import annotations

import ctypes
import os

import pytest

from awry.lean.builtin import grammar, library
from awry.lean.builtin.pool import LeanPool


def test_every_link_is_in_the_binary(needs_lean: None) -> None:
    binary = ctypes.CDLL(str(library.find().path), mode=os.RTLD_LAZY)
    missing = [link.symbol() for link in grammar.links() if not hasattr(binary, link.symbol())]
    assert missing == []
    assert not hasattr(binary, "l_Lean_Parser_Tactic_nosuch")


def test_no_constant_is_linked_twice() -> None:
    symbols = [link.symbol() for link in grammar.links()]
    assert len(set(symbols)) == len(symbols)
    assert len(symbols) > 400


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("rwSeq", "rwSeq"),
        ("tactic_<;>_", "tactic___x3c_x3b_x3e__"),
        ("term∃_,_", "term_u2203___x2c__"),
    ],
)
def test_names_are_mangled_as_the_compiler_does(part: str, expected: str) -> None:
    assert grammar.mangled(part) == expected


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("Lean", "cdot"), "Lean.cdot"),
        (("Lean", "Parser", "Tactic", "show"), "Lean.Parser.Tactic.«show»"),
        (("term_=_",), "«term_=_»"),
        (("refine'",), "refine'"),
    ],
)
def test_identifiers_are_quoted_where_needed(parts: tuple[str, ...], expected: str) -> None:
    assert grammar.quoted(parts) == expected


def test_stars_count_rules_or_belong_to_the_name() -> None:
    kinds = {name for name, _ in grammar._numbered("term_*_*2 stx_,* rfl*3")}
    assert kinds == {"term_*_", "stx_,*", "rfl"}
    assert list(grammar._numbered("term_*_*2")) == [("term_*_", 1), ("term_*_", 2)]


# one use of each kind of thing that is linked: (text, must it elaborate?)
USES = {
    "operators": "example : 2 + 3 * 4 - 1 = 13 ∧ 2 ^ 3 % 5 = 3 ∧ 7 / 2 = 3 ∧ (1 :: [2]) ++ [3] = [1, 2, 3] := by decide",
    "ascii": "example (a b : Nat) (h : a <= b /\\ a ≥ b) : a <= b := h.1",
    "binders": "example : (∀ x < 3, x ≠ 3) ∧ ∃ x ≤ 3, x = 3 := by decide",
    "anonymous": "example (p q : Prop) (h : p) (_ : q) : p ∧ q := ⟨h, ‹q›⟩",
    "calc": "example (a b c : Nat) (h : a = b) (k : b ≤ c) : a ≤ c := calc\n  a = b := h\n  _ ≤ c := k",
    "conv": "example (a b : Nat) : a + b = b + a := by\n  conv => lhs; rw [Nat.add_comm]",
    "rintro": "example (p q : Prop) : p ∧ q ∨ q → q := by rintro (⟨_, h⟩ | h) <;> exact h",
    "cases": "example (p q : Prop) (h : p ∨ q) : q ∨ p := by\n  cases h with\n  | inl h => exact .inr h\n  | inr h => exact .inl h",
    "by_cases": "example (p : Prop) : p ∨ ¬p := by\n  by_cases h : p\n  · exact .inl h\n  · exact .inr h",
    "first": "example : True := by first | contradiction | trivial",
    "funext": "example (f : Nat → Nat) : (fun x => f x) = f := by funext x; rfl",
    "macros": 'macro "done_by" t:term : tactic => `(tactic| exact $t)\nexample : 1 = 1 := by done_by rfl',
    "syntax": 'syntax "pick" term,+ : term\nmacro_rules\n  | `(pick $a, $_) => `($a)\nexample : (pick 1, 2) = 1 := rfl',
    "notation": 'infixl:65 " ⊹ " => fun a b : Nat => a + b + 1\nexample : 1 ⊹ 2 = 4 := rfl',
    "subtypes": "example : { n : Nat // n < 3 } := ⟨2, by decide⟩",
    "ifs": "example (n : Nat) : (if n = n then 1 else 2) = 1 := by simp",
}


@pytest.mark.parametrize("name", USES)
def test_linked_grammar_works(name: str, lean_pool: LeanPool) -> None:
    (found,) = lean_pool.elaborate([("", USES[name])])
    assert found.ended == "finished"
    assert not found.errors


def test_messages_are_written_with_operators(lean_pool: LeanPool) -> None:
    text = "example (p q : Prop) (a : Nat) (h : p ∧ ¬q) : ∃ x, x + a = 2 * a → p ∨ q := by skip"
    (found,) = lean_pool.elaborate([("", text)])
    assert "h : p ∧ ¬q" in found.errors[0].text
    assert "⊢ ∃ x, x + a = 2 * a → p ∨ q" in found.errors[0].text


@pytest.mark.parametrize("word", ["omega", "native_decide", "exact?", "run_tac skip", "grind"])
def test_what_is_left_out_is_unknown(word: str, lean_pool: LeanPool) -> None:
    (found,) = lean_pool.elaborate([("", f"example (a : Nat) : a = a := by {word}")])
    assert "unknown tactic" in found.errors[0].text or "expected" in found.errors[0].text
