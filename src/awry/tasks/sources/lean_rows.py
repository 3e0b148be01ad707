"""Theorems from rows of `statement` and `proof`; and what all formats of theorems share."""

from __future__ import annotations

import re

from awry.tasks.sources.rows import Format, Row, Unusable, cleaned, numbered, optional, text, texts
from awry.tasks.theorems import ProofProblem, mistakes

_THEOREM = re.compile(r"^(?:theorem|lemma)\s+([^\s(){}\[\]:]+)", re.MULTILINE)
_OPEN_END = re.compile(r"\s*(:=\s*)?(\bby\s*)?(\bsorry\s*)?\Z")
_DOC = re.compile(r"/--.*?-/", re.DOTALL)
_HEADER = re.compile(r"\A(?:\s*import[ \t]+\S+[ \t]*\n)+")


def theorem(
    row_id: str,
    stated: str,
    proof: str,
    *,
    header: str = "",
    informal: str = "",
    difficulty: str = "medium",
    tags: tuple[str, ...] = (),
    source: str,
    licence: str,
) -> ProofProblem:
    """A problem from the text of a statement. Raises Unusable.

    stated: maybe with imports and declarations before the theorem, which is the last one in it, and
    with `:= by sorry` after it. `lemma`, which Lean itself lacks, becomes `theorem`.
    """
    found = _HEADER.match(stated)
    if found:
        header, stated = header or found[0].strip() + "\n", stated[found.end() :]
    starts = list(_THEOREM.finditer(stated))
    if not starts:
        raise Unusable("the statement has no theorem", stated[:80])
    last = starts[-1]
    setup = _DOC.sub("", stated[: last.start()]).strip()
    statement = "theorem" + stated[last.start() :][len(last[0].split()[0]) :]
    problem = ProofProblem(
        id=row_id,
        name=last[1],
        statement=_OPEN_END.sub("", statement).rstrip(),
        proof=completed(proof, statement),
        setup=setup + "\n" if setup else "",
        header=header,
        informal=cleaned(informal),
        difficulty=difficulty,
        tags=tags,
        source=source,
        licence=licence,
    )
    for field, reason in mistakes(problem):
        raise Unusable(f"the {field} {reason.split('`')[0].strip()}", row_id)
    return problem


def completed(proof: str, statement: str) -> str:
    """`:= by ...` from a term, from tactics alone, or from the whole theorem; empty from nothing."""
    bare = _OPEN_END.sub("", statement).rstrip()
    proof = proof.strip("\n").rstrip()
    if proof.lstrip().startswith(bare):
        proof = proof.lstrip()[len(bare) :].lstrip()
    if not proof.strip() or re.fullmatch(r"\s*(:=\s*)?(by\s+)?sorry\s*", proof):
        return ""
    if _THEOREM.match(proof.lstrip()):
        raise Unusable("the proof is of another statement", proof.lstrip()[:80])
    start = proof.lstrip()
    if start.startswith((":=", "|")):
        return start
    if re.match(r"by\b", start):
        return f":= {start}"
    lines = proof.split("\n")
    margin = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
    return ":= by\n" + "\n".join(f"  {line[margin:]}".rstrip() for line in lines)


def _id(row: Row, number: int) -> str:
    return numbered(row, number, "id", "problem_id", "name")


def _problem(row: Row, number: int) -> ProofProblem:
    stated = text(row, "statement", "formal_statement", "theorem")
    setup = optional(row, "setup")
    return theorem(
        _id(row, number),
        f"{setup.rstrip()}\n\n{stated}" if setup.strip() else stated,
        optional(row, "proof") or optional(row, "formal_proof"),
        header=optional(row, "header"),
        informal=optional(row, "informal") or optional(row, "informal_statement"),
        difficulty=optional(row, "difficulty") or "medium",
        tags=texts(row, "tags"),
        source=optional(row, "source") or "lean",
        licence=optional(row, "licence") or optional(row, "license") or "not stated",
    )


FORMAT = Format(
    name="lean",
    looks="rows with `statement` (or `formal_statement`), and maybe `header`, `setup`, `proof`",
    identify=_id,
    problem=_problem,
    kind="proof",
)
