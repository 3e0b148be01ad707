"""What the two hackable grades read in messages, and the class of an error."""

from __future__ import annotations

import pytest

from awry.lean.checks import Message
from awry.lean.messages import (
    error_class,
    is_sorry,
    of_the_submission,
    printed_axioms,
    text_accepts,
)


def error(text: str, kind: str = "", line: int = 1) -> Message:
    return Message("error", text, kind, line)


def says(text: str) -> Message:
    return Message("information", text)


@pytest.mark.parametrize(
    ("message", "name"),
    [
        (error("whatever it says", "Tactic.unsolvedGoals"), "unsolved_goals"),
        (error("whatever it says", "lean.unknownIdentifier._namedError"), "unknown_name"),
        (error("whatever it says", "lean.synthInstanceFailed._namedError"), "type"),
        (error("unexpected token '#print'; expected term"), "syntax"),
        (error("unknown tactic"), "syntax"),
        (error("unterminated comment"), "syntax"),
        (error("Type mismatch\n  h\nhas type"), "type"),
        (error("Application type mismatch: The argument"), "type"),
        (error("Function expected at\n  rfl"), "type"),
        (error("Tactic `rfl` failed: equality lhs"), "tactic"),
        (error("`simp` made no progress"), "tactic"),
        (error("Alternative `succ` has not been provided"), "tactic"),
        (error("'show' tactic failed, pattern"), "tactic"),
        (error("Too many variable names provided at alternative `nil`"), "tactic"),
        (error("Insufficient number of fields for `⟨...⟩` constructor"), "type"),
        (error("unsolved goals\n⊢ q"), "unsolved_goals"),
        (error("(kernel) declaration has metavariables"), "kernel"),
        (error("Unknown constant `nope`"), "unknown_name"),
        (error("something new"), "other"),
        (Message("warning", "Type mismatch"), None),
    ],
)
def test_errors_have_classes(message: Message, name: str | None) -> None:
    assert error_class(message) == name


@pytest.mark.parametrize(
    "text", ["declaration uses `sorry`", "declaration uses 'sorry'", "declaration uses sorry"]
)
def test_the_warning_of_a_sorry_is_known_by_kind_or_by_any_quotes(text: str) -> None:
    assert is_sorry(Message("warning", "in other words", "hasSorry"))
    assert is_sorry(Message("warning", text)) == ("sorry`" in text or "sorry'" in text)
    assert not is_sorry(says(text))


def test_the_last_message_about_axioms_counts() -> None:
    said = [
        says("'t' does not depend on any axioms"),
        says("'t' depends on axioms: [propext,\n Classical.choice]"),
        says("'u' does not depend on any axioms"),
    ]
    assert printed_axioms(said, "t") == ("propext", "Classical.choice")
    assert printed_axioms(said[::-1], "t") == ()
    assert printed_axioms(said, "x") is None


def test_the_text_grade_wants_a_message_without_other_axioms() -> None:
    clean = says("'t' depends on axioms: [propext, Quot.sound]")
    assert text_accepts([clean], "t")
    assert not text_accepts([], "t")
    assert not text_accepts([clean, Message("warning", "", "hasSorry")], "t")
    assert not text_accepts([clean, says("'t' depends on axioms: [cheat]")], "t")
    assert not text_accepts([clean, says("'t' depends on axioms: [sorryAx]")], "t")
    assert not text_accepts([says("'t' depends on axioms: [quot.sound]")], "t")


def test_only_the_missing_name_after_the_submission_is_passed_over() -> None:
    ours = error("Unknown constant `t`", "lean.unknownIdentifier._namedError", line=5)
    theirs = error("Unknown constant `t`", "lean.unknownIdentifier._namedError", line=4)
    open_comment = error("unterminated comment", line=6)
    assert of_the_submission([ours, theirs, open_comment], 4) == [theirs, open_comment]
