"""Theorems to prove: what they are, where they come from, and the checks every row passes on load.

Nothing here runs Lean: that a proof is accepted, and a false variant refused, is what the tests of
the catalogue find out.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any, Literal

from awry.errors import UserError
from awry.lean.checks import Theorem
from awry.tasks.problem_files import distinct, read_rows
from awry.tasks.problems import DIFFICULTIES

CATALOG = "lean-catalog"
REQUIRED = ("id", "name", "statement")


@dataclass(frozen=True)
class FalseVariant:
    """A near miss: a statement that does not hold, and the attempt at a proof that must fail."""

    statement: str
    proof: str


@dataclass(frozen=True)
class ProofProblem:
    """One theorem. name: its full Lean name. statement: `theorem NAME binders : type`, maybe of
    several lines. proof: what follows it, `:= by ...`; empty where none is known.

    setup: declarations before it, trusted. header: imports and options for a toolchain with
    libraries. informal: what it says, in English. tags: the family first.
    """

    id: str
    name: str
    statement: str
    proof: str = ""
    setup: str = ""
    header: str = ""
    false_variants: tuple[FalseVariant, ...] = ()
    informal: str = ""
    difficulty: str = "easy"
    tags: tuple[str, ...] = ()
    source: str = CATALOG
    licence: str = "Apache-2.0"
    kind: Literal["proof"] = "proof"

    @cached_property
    def digest(self) -> str:
        """sha256 (hex) of all fields, as JSON with sorted keys."""
        text = json.dumps(asdict(self), sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def family(self) -> str:
        return self.tags[0] if self.tags else ""

    @property
    def reference(self) -> Theorem:
        return Theorem(self.name, self.statement, self.setup, self.header)

    @property
    def solution(self) -> str:
        """The statement with its proof, as an answer has it. Raises ValueError without a proof."""
        if not self.proof:
            raise ValueError(f"{self.id} comes without a proof")
        return f"{self.statement} {self.proof}"


def load_proof_catalog() -> tuple[ProofProblem, ...]:
    """The built-in theorems, ordered by id."""
    from awry.tasks.theorem_schemas import catalogue

    return distinct(list(catalogue()), CATALOG)


def load_proof_problems(source: str) -> tuple[ProofProblem, ...]:
    """ "lean-catalog", a .toml (`[[problem]]`), .jsonl or .jsonl.gz file of these fields, or a folder
    that `awry curate` wrote.

    Raises UserError naming the file, the row and the field of whatever is wrong.
    """
    if source == CATALOG:
        return load_proof_catalog()
    rows = read_rows(source, CATALOG)
    problems = [_problem(row, f"problem[{number}]", source) for number, row in enumerate(rows)]
    return distinct(problems, source)


def _problem(row: object, where: str, file: str) -> ProofProblem:
    if not isinstance(row, dict):
        raise UserError("not a table", field=where, value=row, file=file)
    names = [field.name for field in fields(ProofProblem)]
    for name in row:
        if name not in names:
            raise UserError(
                "unknown key", field=f"{where}.{name}", file=file, fix="use " + ", ".join(names)
            )
    for name in REQUIRED:
        if not row.get(name):
            raise UserError("missing or empty", field=f"{where}.{name}", file=file)
    values: dict[str, Any] = {}
    for name, value in row.items():
        if name == "false_variants":
            values[name] = _variants(value, f"{where}.{name}", file)
        elif name == "tags":
            good = isinstance(value, list) and all(isinstance(item, str) for item in value)
            if not good:
                raise UserError(
                    "not a list of strings", field=f"{where}.{name}", value=value, file=file
                )
            values[name] = tuple(value)
        elif not isinstance(value, str):
            raise UserError("not a string", field=f"{where}.{name}", value=value, file=file)
        else:
            values[name] = value
    problem = ProofProblem(**values)
    for name, reason in mistakes(problem):
        raise UserError(reason, field=f"{where}.{name}", value=problem.id, file=file)
    return problem


def _variants(value: object, where: str, file: str) -> tuple[FalseVariant, ...]:
    found: list[FalseVariant] = []
    for row in value if isinstance(value, list) else [None]:
        texts = row if isinstance(row, dict) and set(row) == {"statement", "proof"} else {}
        if not texts or not all(isinstance(text, str) and text for text in texts.values()):
            raise UserError("not a list of {statement, proof}", field=where, value=value, file=file)
        found.append(FalseVariant(**texts))
    return tuple(found)


_ENDS = re.compile(r"(:=|\bby|\bsorry)\s*\Z")


def mistakes(problem: ProofProblem) -> list[tuple[str, str]]:
    """(field, reason) for everything wrong that can be seen without Lean."""
    found: list[tuple[str, str]] = []
    if problem.kind != "proof":
        found.append(("kind", "is not proof"))
    if problem.difficulty not in DIFFICULTIES:
        found.append(("difficulty", "is not one of " + ", ".join(DIFFICULTIES)))
    if not re.fullmatch(r"[^\s(){}\[\]:⟨⟩\"`]+", problem.name):
        found.append(("name", "is not the name of a theorem"))
    for field, reason in _parts(problem.statement, problem.proof, problem.name, needed=False):
        found.append((field, reason))
    for number, variant in enumerate(problem.false_variants):
        for field, reason in _parts(variant.statement, variant.proof, problem.name, needed=True):
            found.append((f"false_variants[{number}].{field}", reason))
        if variant.statement == problem.statement:
            found.append((f"false_variants[{number}].statement", "is the statement itself"))
    return found


def _parts(statement: str, proof: str, name: str, *, needed: bool) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    if not re.match(rf"theorem\s+{re.escape(name)}(?=[\s:({{\[⦃.])(?!\.)", statement):
        found.append(("statement", f"does not begin with `theorem {name}`"))
    if _ENDS.search(statement):
        found.append(("statement", "ends in `:=`, `by` or `sorry`; the proof has its own field"))
    if (proof or needed) and not re.match(r"\s*(:=|\|)", proof):
        found.append(("proof", "does not begin with `:=`"))
    return found
