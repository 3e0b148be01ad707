"""miniF2F in Lean 4 (Zheng, Han and Polu; the port in DeepSeek-Prover-V1.5's files): no proofs."""

from __future__ import annotations

from awry.tasks.sources.lean_rows import theorem
from awry.tasks.sources.rows import Format, Row, numbered, optional, text
from awry.tasks.theorems import ProofProblem

LICENCE = "Apache-2.0"  # of miniF2F's Lean statements; the files that carry them are MIT
# Our own reading of where a problem is from: exercises, contests, olympiads.
_LEVELS = {"mathd": "easy", "aime": "hard", "imo": "hard", "imosl": "hard"}


def _id(row: Row, number: int) -> str:
    name = numbered(row, number, "name", "id")
    return name if name.startswith("minif2f/") else f"minif2f/{name}"


def _problem(row: Row, number: int) -> ProofProblem:
    row_id = _id(row, number)
    origin = row_id.removeprefix("minif2f/").split("_")[0]
    split = optional(row, "split")
    informal = optional(row, "informal_prefix").strip()
    return theorem(
        row_id,
        text(row, "formal_statement"),
        "",
        header=optional(row, "header"),
        informal=informal.removeprefix("/--").removesuffix("-/").strip(),
        difficulty=_LEVELS.get(origin, "medium"),
        tags=tuple(tag for tag in ("minif2f", split, origin) if tag),
        source="minif2f",
        licence=LICENCE,
    )


FORMAT = Format(
    name="minif2f",
    looks="rows of miniF2F (name, split, informal_prefix, formal_statement, header)",
    identify=_id,
    problem=_problem,
    kind="proof",
)
