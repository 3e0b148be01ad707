"""The one error a user sees: what is wrong, where it is written, and what to do about it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path


class UserError(Exception):
    """Bad input. The command line prints `render()` and exits with status 2; nothing is half-written.

    field: the dotted path of the offending value (`arms.zero.reward`); value: what was found;
    fix: one imperative sentence; file: where the value was read from; also: further errors found in the
    same pass, so that one run of a command shows everything that is wrong.
    """

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        value: object = None,
        fix: str | None = None,
        file: str | Path | None = None,
        also: Sequence[UserError] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.value = value
        self.fix = fix
        self.file = file
        self.also = tuple(also)

    def render(self) -> str:
        where = f"{self.field}: " if self.field else ""
        source = f" ({self.file})" if self.file else ""
        lines = [f"error: {where}{self.message}{source}"]
        if self.value is not None:
            lines.append(f"  got: {str(self.value)[:300]}")
        if self.fix:
            lines.append(f"  fix: {self.fix}")
        lines += [error.render() for error in self.also]
        return "\n".join(lines)


def nearest(word: str, allowed: Iterable[str]) -> str | None:
    """The closest allowed spelling, or None when nothing is close."""
    matches = difflib.get_close_matches(word, list(allowed), n=1, cutoff=0.5)
    return matches[0] if matches else None


def spelling_fix(word: object, allowed: Iterable[str], listed: str | None = None) -> str:
    """`did you mean ...? allowed: ...`; listed replaces a list too long to print."""
    names = list(allowed)
    close = nearest(word, names) if isinstance(word, str) else None
    rest = listed or "allowed: " + ", ".join(names)
    return f"did you mean `{close}`? {rest}" if close else rest
