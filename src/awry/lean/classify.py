"""Names for what is wrong with a statement, by the submission's text. Never decides acceptance.

The judge sees that a statement means something else; whether its words were kept and made to mean
something else is in the text alone: local notation leaves no trace in Lean's file.
"""

from __future__ import annotations

import re
from itertools import islice

from awry.lean.checks import Theorem

_TOKEN = re.compile(r"[^\W\d][\w.'!?]*|\d+|[^\s\w]")
_REBINDING = re.compile(
    r"\b(notation3?|infixl?|infixr|prefix|postfix|macro_rules|macro|syntax|elab_rules|elab)\b"
)
_QUOTED = re.compile(r'"([^"]*)"')
_QUOTATION = re.compile(r"`\((.*?)\)\s*=>", re.DOTALL)
_TRIVIAL = frozenset("()[]{}:,.|$`⟨⟩ ") | {"term", "tactic", "command"}
_MOST_TEXT = 200_000  # characters; a longer text is not worth a better name
_MOST_RULES = 50
_NAMING = {"statement", "definition", "context"}


def name_faults(faults: list[str], theorem: Theorem, submission: str) -> tuple[str, ...]:
    """The judge's faults, with `notation` in place of what it explains."""
    wrong = _NAMING & set(faults)
    if not wrong or len(submission) > _MOST_TEXT or not restates(theorem, submission):
        return tuple(faults)
    if rebinds(theorem, submission):
        if re.search(r"\b(variable|include|autoImplicit)\b", plain(submission)):
            wrong -= {"context"}
        if wrong:
            return ("notation", *(fault for fault in faults if fault not in wrong))
    if "statement" in wrong:  # the same words, and no syntax of its own
        faults = ["definition" if fault == "statement" else fault for fault in faults]
    return tuple(dict.fromkeys(faults))


def restates(theorem: Theorem, submission: str) -> bool:
    """Does the text state the theorem word for word, from its name to its proof?"""
    wanted = _TOKEN.findall(plain(theorem.statement))
    if theorem.name in wanted:
        wanted = wanted[wanted.index(theorem.name) + 1 :]
    found = _TOKEN.findall(plain(submission))
    size = len(wanted)
    return any(
        found[start : start + size] == wanted and found[start + size :][:1] in ([":"], ["|"])
        for start in range(1, len(found) - size)
        if found[start - 1].split(".")[-1] == theorem.name.split(".")[-1]
    )


def rebinds(theorem: Theorem, submission: str) -> bool:
    """Does it declare notation, a macro or an elaborator for a token that the statement uses?"""
    used = set(_TOKEN.findall(plain(theorem.statement))) - _TRIVIAL
    text = plain(submission, strings=True)
    for match in islice(_REBINDING.finditer(text), _MOST_RULES):
        rule = text[match.start() : match.start() + 2000]
        rule = rule.split("\ntheorem", 1)[0]
        atoms = {token for quoted in _QUOTED.findall(rule) for token in _TOKEN.findall(quoted)}
        for pattern in _QUOTATION.findall(rule):
            atoms |= set(_TOKEN.findall(re.sub(r"\$\(?[\w.:]*", " ", pattern)))
        if (atoms - _TRIVIAL) & used:
            return True
        if match.group().startswith(("elab", "macro")) and re.search(r"\bterm|binop|num\b", rule):
            return True
    return False


def plain(text: str, *, strings: bool = False) -> str:
    """Without comments, and unless `strings` without string literals."""
    kept: list[str] = []
    place, depth = 0, 0
    while place < len(text):
        two = text[place : place + 2]
        if two == "/-":
            depth, place = depth + 1, place + 2
        elif depth and two == "-/":
            depth, place = depth - 1, place + 2
            kept.append(" ")
        elif depth:
            place += 1
        elif two == "--":
            end = text.find("\n", place)
            place = len(text) if end < 0 else end
        elif text[place] == '"':
            end = place + 1
            while end < len(text) and text[end] != '"':
                end += 2 if text[end] == "\\" else 1
            kept.append(text[place : end + 1] if strings else " ")
            place = end + 1
        else:
            kept.append(text[place])
            place += 1
    return "".join(kept)
