"""Names for what is wrong with a statement, by the text."""

from __future__ import annotations

import pytest

from awry.lean.checks import Theorem
from awry.lean.classify import name_faults, plain, rebinds, restates

SUM = Theorem("target", "theorem target : 2 + 2 = 5")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("theorem target : 2 + 2 = 5 := rfl", True),
        ("theorem target :\n  2 + 2   = 5 := by\n  rfl", True),
        ("theorem target : 2 + /- here -/ 2 = 5 -- there\n  := rfl", True),
        ("namespace A\ntheorem _root_.target : 2 + 2 = 5 := rfl", True),
        ("theorem target : 2 + 2 = 5 ∨ True := rfl", False),
        ("theorem target : 2 + 2 = 4 := rfl", False),
        ("-- theorem target : 2 + 2 = 5 := rfl", False),
        ('def s := "theorem target : 2 + 2 = 5 := rfl"', False),
        ("theorem target : (h : False) → 2 + 2 = 5 := rfl", False),
        ("", False),
    ],
)
def test_whether_the_statement_was_kept_word_for_word(text: str, kept: bool) -> None:
    assert restates(SUM, text) is kept


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ('local infix:50 " = " => fun _ _ => True', True),
        ("macro_rules | `($a = $b) => `(True)", True),
        ('notation "five" => 5', False),
        ('-- infix:50 " = " => Or', False),
        ('macro "mytac" : tactic => `(tactic| simp)', False),
        ("theorem infixed : 2 + 2 = 4 := rfl", False),
    ],
)
def test_whether_tokens_of_the_statement_are_bound_anew(text: str, bound: bool) -> None:
    assert rebinds(SUM, f"{text}\ntheorem target : 2 + 2 = 5 := rfl") is bound


def test_faults_are_named_by_the_text_where_it_says_more() -> None:
    kept = "theorem target : 2 + 2 = 5 := rfl"
    infix = f'local infix:50 " = " => fun _ _ => True\n{kept}'
    assert name_faults(["statement"], SUM, infix) == ("notation",)
    assert name_faults(["statement", "sorry"], SUM, infix) == ("notation", "sorry")
    assert name_faults(["statement"], SUM, kept) == ("definition",)
    assert name_faults(["statement"], SUM, "theorem target : True := .intro") == ("statement",)
    assert name_faults(["context"], SUM, f"variable (h : False)\n{infix}") == ("context",)
    assert name_faults(["instance"], SUM, infix) == ("instance",)
    assert name_faults(["sorry", "kernel"], SUM, infix) == ("sorry", "kernel")


def test_comments_and_strings_are_left_out() -> None:
    assert plain('a /- b /- c -/ d -/ e -- f\n"g -- \\" h" i').split() == ["a", "e", "i"]
    assert plain('"g" -- h', strings=True) == '"g" '
    assert plain("/- never closed").strip() == ""
