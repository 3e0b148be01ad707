"""Lean Workbook (internlm/Lean-Workbook): contest problems, some with proofs that were searched for.

Two layouts: one row per problem (`formal_statement`, `proof` a list), and one row per tactic of a
proof (`id`, `status`, `tactic`), of which `grouped` makes the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from awry.tasks.sources.lean_rows import theorem
from awry.tasks.sources.rows import Format, Row, Unusable, numbered, optional, text, texts
from awry.tasks.theorems import ProofProblem

LICENCE = "Apache-2.0"
# Ours: the data set names Lean 4.8 with Mathlib and leaves the header open.
HEADER = "import Mathlib\nimport Aesop\n\nset_option maxHeartbeats 400000\n\nopen Nat Real\n"


def grouped(rows: Sequence[Row]) -> list[Row]:
    """One row per problem: the tactics of rows with the same id, in their order, are its proof."""
    found: dict[str, dict[str, Any]] = {}
    for number, row in enumerate(rows):
        if "tactic" not in row:
            return list(rows)
        name = numbered(row, number, "id")
        known = found.setdefault(name, {**row, "tactics": []})
        known["tactics"] += [optional(row, "tactic")]
    return list(found.values())


def _id(row: Row, number: int) -> str:
    name = numbered(row, number, "id")
    words = optional(row, "formal_statement").split()
    return words[1] if name.startswith("row-") and len(words) > 1 else name


def _problem(row: Row, number: int) -> ProofProblem:
    if optional(row, "status") == "disproved":  # then the tactics prove the negation
        raise Unusable("the statement was disproved")
    proofs = texts(row, "proof") or ((optional(row, "proof"),) if row.get("proof") else ())
    tactics = "\n".join(t for t in texts(row, "tactics") if t.strip())
    return theorem(
        _id(row, number),
        text(row, "formal_statement"),
        tactics or (proofs[0] if proofs else ""),
        header=HEADER,
        informal=optional(row, "natural_language_statement"),
        tags=("lean-workbook", *texts(row, "tags")),
        source="lean-workbook",
        licence=LICENCE,
    )


FORMAT = Format(
    name="lean-workbook",
    looks="rows of Lean Workbook (formal_statement, natural_language_statement, maybe proof)",
    identify=_id,
    problem=_problem,
    hub_file="lean_workbook.json",
    kind="proof",
    grouped=grouped,
)
