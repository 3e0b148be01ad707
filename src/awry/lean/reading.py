"""Lean files as text: the import lines before everything, and the statement of a theorem.

Text is good for asking Lean the right question only; what a file holds, the judge says.
"""

from __future__ import annotations

import re

from awry.errors import UserError
from awry.lean.checks import Theorem

_BRACKETS = {"(": ")", "[": "]", "{": "}", "⟨": "⟩", "⦃": "⦄"}
_IMPORT = re.compile(r"\s*(?:public\s+)?(?:meta\s+)?import\s+(?:all\s+)?\S+[ \t]*")
_WORD = r"[^\s()\[\]{}⟨⟩⦃⦄:,]+"


def blanked(text: str) -> str:
    """Comments and string literals turned into spaces, everything else in its place."""
    out, place, depth = list(text), 0, 0
    while place < len(text):
        pair = text[place : place + 2]
        end = place + 1
        if pair == "/-":
            depth, end = depth + 1, place + 2
        elif pair == "-/" and depth:
            depth, end = depth - 1, place + 2
            out[place:end] = "  "
        elif not depth and pair == "--":
            end = text.find("\n", place)
            end = len(text) if end < 0 else end
            out[place:end] = " " * (end - place)
        elif not depth and text[place] == '"':
            while end < len(text) and text[end] != '"':
                end += 2 if text[end] == "\\" else 1
            end = min(end + 1, len(text))
            out[place + 1 : end - 1] = " " * (end - place - 2)
        if depth:
            out[place:end] = ["\n" if c == "\n" else " " for c in text[place:end]]
        place = end
    return "".join(out)


def split_header(text: str) -> tuple[str, str]:
    """(the import lines at the beginning, the rest)."""
    bare, end = blanked(text), 0
    while found := _IMPORT.match(bare, end):
        end = found.end()
    return text[:end].strip(), text[end:].lstrip("\n") if end else text


def find_statement(text: str, name: str) -> tuple[str, str]:
    """(what stands before the theorem of this name, `theorem NAME binders : type`).

    Raises UserError where there is none, or its end cannot be told.
    """
    bare = blanked(text)
    found = re.search(rf"(?<!\S)(?:theorem|lemma)\s+({re.escape(name)})(?!{_WORD})", bare)
    if found is None:
        raise UserError(
            "the text has no theorem of this name",
            field="--theorem",
            value=name,
            fix="give the name as it stands after `theorem`, and the statement by --statement",
        )
    end = _end(bare, found.end())
    if end is None:
        raise UserError(
            "the end of the statement cannot be told: no `:=` follows it",
            field="--statement",
            value=name,
            fix="give the statement as `theorem NAME binders : type`, without a proof",
        )
    return text[: found.start()].rstrip(), f"theorem {text[found.start(1) : end].rstrip()}"


def _end(bare: str, place: int) -> int | None:
    """Where the `:=` before the proof is: outside of brackets, and of no `let` or `have`."""
    depth, own = 0, 0
    while place < len(bare):
        character = bare[place]
        if character in _BRACKETS:
            depth += 1
        elif character in _BRACKETS.values():
            depth -= 1
        elif not depth and bare.startswith(":=", place):
            if not own:
                return place
            own -= 1
        elif not depth and (found := re.compile(r"\b(?:let|have)\b").match(bare, place)):
            own += 1
            place = found.end()
            continue
        place += 1
    return None


def read_theorem(text: str, name: str) -> Theorem:
    """The reference that a file holds: imports, what stands before the theorem, its statement. A
    statement alone may lack the `:=`."""
    header, rest = split_header(text)
    if not re.search(r":=", blanked(rest)):
        rest = rest.rstrip() + " := sorry"
    setup, statement = find_statement(rest, name)
    return Theorem(name, statement, setup, header)


def without_reference(text: str, theorem: Theorem) -> str:
    """A submission without the imports and the setup that are put before it anyway."""
    header, rest = split_header(text)
    if theorem.header and header and not _lines(header) <= _lines(theorem.header):
        extra = ", ".join(sorted(_lines(header) - _lines(theorem.header)))
        raise UserError(
            "the file imports what the statement does not",
            field="FILE",
            value=extra,
            fix="put the same imports into the file of --statement",
        )
    body = rest if header == "" or theorem.header else text
    if theorem.setup and body.startswith(theorem.setup):
        return body[len(theorem.setup) :].lstrip("\n")
    return body


def _lines(header: str) -> set[str]:
    return {" ".join(line.split()) for line in blanked(header).splitlines() if line.strip()}
