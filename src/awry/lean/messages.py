"""What Lean said: the two grades that go by them, classes of errors.

Kinds before words: Lean names the kind of some messages, and rewords all of them now and then.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from awry.lean.checks import ALLOWED_AXIOMS, ErrorClass, Message


def of_the_submission(messages: Sequence[Message], last_line: int) -> list[Message]:
    """Without what our own `#print axioms` after `last_line` says: that there is no such name.

    All else counts, wherever it is placed: an unclosed comment is reported at the very end.
    """
    return [m for m in messages if not (m.line > last_line and error_class(m) == "unknown_name")]


def is_sorry(message: Message) -> bool:
    """The warning of a `sorry`; `set_option warn.sorry false` silences it."""
    return message.kind == "hasSorry" or (
        message.severity == "warning"
        and re.search(r"declaration uses [`']sorry", message.text) is not None
    )


def printed_axioms(messages: Sequence[Message], name: str) -> tuple[str, ...] | None:
    """What the LAST message about the axioms of `name` says; None where there is none.

    A submission can have printed such a message itself, before or (with `#exit`) instead of ours.
    """
    none = f"'{name}' does not depend on any axioms"
    some = re.compile(re.escape(f"'{name}' depends on axioms:") + r"\s*\[([^\]]*)\]")
    for message in reversed(messages):
        found = some.search(message.text)
        if found:
            return tuple(word for word in re.split(r"[,\s]+", found.group(1)) if word)
        if none in message.text:
            return ()
    return None


def text_accepts(messages: Sequence[Message], name: str) -> bool:
    """No sorry warning, and the standard axioms at most, as far as messages tell."""
    axioms = printed_axioms(messages, name)
    if axioms is None or any(is_sorry(message) for message in messages):
        return False
    return set(axioms) <= set(ALLOWED_AXIOMS)


_KINDS: tuple[tuple[str, ErrorClass], ...] = (
    ("lean.unknownIdentifier", "unknown_name"),
    ("Tactic.unsolvedGoals", "unsolved_goals"),
    ("lean.synthInstanceFailed", "type"),
    ("lean.invalidField", "type"),
    ("lean.invalidDottedIdent", "type"),
    ("lean.projNonPropFromProp", "type"),
    ("lean.propRecLargeElim", "type"),
    ("lean.inferDefTypeFailed", "type"),
    ("lean.inferBinderTypeFailed", "type"),
    ("lean.ctorResultingTypeMismatch", "type"),
)
_WORDS: tuple[tuple[str, ErrorClass], ...] = (
    (r"\(kernel\)", "kernel"),
    (r"unexpected |expected |unterminated |unknown tactic|missing |invalid (syntax|escape)", "syntax"),
    (r"unknown (identifier|constant|namespace|attribute|option|package|module)", "unknown_name"),
    (r"unsolved goals", "unsolved_goals"),
    (r"tactic |'\w+' tactic|`?(simp|simp_all|dsimp|rw|rewrite|omega|grind)`? |no goals", "tactic"),
    (r"(invalid )?alternative |did not find|motive is not type correct|failed to (rewrite|infer st)",
     "tactic"),
    (r"too many variable names|invalid (rewrite|simp)", "tactic"),
    (r"(application )?type mismatch|function expected|type expected|not a definitional", "type"),
    (r"don't know how to synthesize|failed to synthesize|invalid (field|projection|dotted)", "type"),
    (r"insufficient number of fields|invalid .?⟨|ambiguous|typeclass|cannot coerce|numerals are|stuck at", "type"),
    (r"the rfl |the rhs|the lhs|unable to|could not", "tactic"),
)  # fmt: skip


def error_class(message: Message) -> ErrorClass | None:
    """Of an error message; None of another."""
    if message.severity != "error":
        return None
    for start, name in _KINDS:
        if message.kind.startswith(start):
            return name
    words = message.text.lower()
    for pattern, name in _WORDS:
        if re.match(pattern, words):
            return name
    return "other"
