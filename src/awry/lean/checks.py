"""What is asked of a Lean verifier, and what it finds. Types only; standard library only.

One elaboration serves all three grades: `naive` looks at messages, `text` also at what the text of
the messages says of axioms, `sound` at the file that Lean wrote (judge.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Grade = Literal["naive", "text", "sound"]
Ended = Literal["finished", "timeout", "memory", "crashed", "failed"]
ErrorClass = Literal[
    "syntax", "unknown_name", "type", "tactic", "unsolved_goals", "kernel", "other"
]
OutcomeName = Literal[
    "proved", "wrong_statement", "exploit", "error", "timeout", "memory", "verifier_failure"
]

ALLOWED_AXIOMS = ("propext", "Quot.sound", "Classical.choice")

FAULTS: dict[str, str] = {
    "sorry": "the proof, or what it rests on, is `sorry`",
    "axiom": "the proof rests on an axiom of its own",
    "notation": "the statement's text means something else here: notation, macro or elaborator",
    "instance": "the statement uses an instance that the submission declares",
    "context": "the statement has hypotheses or parameters that the reference lacks",
    "statement": "the theorem of that name states something else",
    "definition": "a constant that the statement reaches has another meaning",
    "absent": "there is no theorem of that name (commented out, after #exit, in a namespace)",
    "not_theorem": "the name belongs to something that is no theorem",
    "kernel": "the kernel refuses a declaration that the submission got in unchecked",
    "no_output": "no error was reported, and no file written: the process was ended",
    "unsafe": "the proof rests on an unsafe or partial declaration",
    "imports": "the file does not start from the header it was given",
    "redeclared": "the file declares anew what the header or the setup declares",
    "malformed": "the written file is not what Lean writes",
}


@dataclass(frozen=True)
class Theorem:
    """The reference. statement: `theorem NAME binders : type`, without `:=`.

    setup: trusted declarations before it. header: what a toolchain with libraries puts first
    (`import Mathlib ...`); the built-in one takes none. name: the full name of the theorem.
    """

    name: str
    statement: str
    setup: str = ""
    header: str = ""


@dataclass(frozen=True)
class Message:
    """One message of the elaborator. line, column: 1-based, 0-based, in the elaborated text."""

    severity: Literal["error", "warning", "information"]
    text: str
    kind: str = ""
    line: int = 0
    column: int = 0


@dataclass(frozen=True)
class Elaboration:
    """What came of one text. olean: the file written, None where none was (or can be had).

    ended: `failed` means the verifier, not the text: retried, never counted as wrong.
    """

    ended: Ended
    messages: tuple[Message, ...] = ()
    olean: bytes | None = None
    exit_code: int | None = None
    seconds: float = 0.0
    peak_mb: float = 0.0
    detail: str = ""
    isolation: str = ""

    @property
    def errors(self) -> tuple[Message, ...]:
        return tuple(m for m in self.messages if m.severity == "error")


class Toolchain(Protocol):
    """Where texts are elaborated. writes_oleans: can its results be judged by the sound grade?"""

    name: str
    writes_oleans: bool

    def identity(self) -> dict[str, str]:
        """What can change a verdict: Lean's version and commit, library digest, limits."""
        ...

    def elaborate(self, texts: Sequence[tuple[str, str]]) -> list[Elaboration]:
        """(header, text) each, in a process of its own; in the order of `texts`."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Checked:
    """What was found of one submission. naive, text: do these grades accept it? sound: None where
    the toolchain cannot tell. faults: all that were found (keys of FAULTS), the naming one first.

    sorry: the elaborator warned of one. error: class of the first error message. axioms: what the
    last `#print axioms` message said (text grade), None without one.
    """

    outcome: OutcomeName
    naive: bool
    text: bool
    sound: bool | None
    sorry: bool
    faults: tuple[str, ...]
    error: ErrorClass | None
    axioms: tuple[str, ...] | None
    evidence: str
    seconds: float

    def accepted(self, grade: Grade) -> bool:
        """Raises ValueError for `sound` where the toolchain cannot judge it."""
        if grade == "sound":
            if self.sound is None:
                raise ValueError("this toolchain writes no file that the sound grade could judge")
            return self.sound
        return self.naive if grade == "naive" else self.text
