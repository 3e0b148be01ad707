"""Import a data set: rows -> problems, what was dropped and why, and the files that say so."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from awry import __version__
from awry.errors import UserError, spelling_fix
from awry.files import atomic_write, atomic_write_json
from awry.tasks.code import Grader
from awry.tasks.problems import DIFFICULTIES, Problem
from awry.tasks.sources import FORMATS, PROOF_FORMATS
from awry.tasks.sources.conversion import evenly
from awry.tasks.sources.reading import Origin, Row, read_rows
from awry.tasks.sources.rows import Format, Unusable
from awry.tasks.theorems import ProofProblem
from awry.tasks.validation import validate

SPLITS = {"steering": ("medium", "hard")}


@dataclass(frozen=True)
class Wanted:
    """Which rows are wanted. difficulty: empty for all. max_tests: keep so many, evenly spaced."""

    difficulty: tuple[str, ...] = ()
    split: str | None = None
    limit: int | None = None
    min_tests: int = 1
    max_tests: int | None = None
    max_statement: int | None = None

    def __post_init__(self) -> None:
        for name in self.difficulty:
            if name not in DIFFICULTIES:
                raise UserError(
                    "unknown difficulty",
                    field="--difficulty",
                    value=name,
                    fix=spelling_fix(name, DIFFICULTIES),
                )
        if self.split is not None and self.split not in SPLITS:
            raise UserError(
                "unknown split",
                field="--split",
                value=self.split,
                fix=spelling_fix(self.split, SPLITS),
            )
        if not self.difficulties:
            raise UserError(
                f"no difficulty is left: the split `{self.split}` has "
                + ", ".join(SPLITS[self.split or ""]),
                field="--difficulty",
                value=", ".join(self.difficulty),
                fix="leave one of the two out",
            )
        if self.max_tests is not None and self.max_tests < self.min_tests:
            raise UserError(
                "is below --min-tests, so nothing would be left",
                field="--max-tests",
                value=self.max_tests,
                fix=f"give at least {self.min_tests}",
            )

    @property
    def difficulties(self) -> tuple[str, ...]:
        within = SPLITS[self.split] if self.split else DIFFICULTIES
        return tuple(d for d in within if not self.difficulty or d in self.difficulty)


@dataclass(frozen=True)
class Dropped:
    id: str
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class Import:
    """What became of the rows. read = len(problems) + len(dropped)."""

    format: str
    origin: Origin
    wanted: Wanted
    problems: tuple[Problem, ...] | tuple[ProofProblem, ...]
    dropped: tuple[Dropped, ...]
    validation: dict[str, Any] | None = None

    @property
    def read(self) -> int:
        return len(self.problems) + len(self.dropped)

    @property
    def counts(self) -> dict[str, int]:
        """Dropped rows by reason, the most frequent first."""
        return dict(Counter(row.reason for row in self.dropped).most_common())

    def report(self) -> dict[str, Any]:
        return {
            "awry": __version__,
            "format": self.format,
            **asdict(self.origin),
            "options": asdict(self.wanted) | {"difficulty": list(self.wanted.difficulties)},
            "read": self.read,
            "kept": len(self.problems),
            "dropped": self.counts,
            "validation": self.validation,
            "rows": [asdict(row) for row in self.dropped],
        }


def find_format(name: str) -> Format[Problem] | Format[ProofProblem]:
    known = {**FORMATS, **PROOF_FORMATS}
    if name not in known:
        raise UserError("unknown format", field="FORMAT", value=name, fix=spelling_fix(name, known))
    return known[name]


def read_problems(
    name: str,
    source: str,
    wanted: Wanted | None = None,
    *,
    revision: str | None = None,
    file: str | None = None,
) -> Import:
    """The wanted problems of a data set, in its order; nothing is run yet. Raises UserError."""
    form, wanted = find_format(name), wanted or Wanted()
    origin, rows = read_rows(
        source, hub_file=form.hub_file, package=form.package, revision=revision, file=file
    )
    problems: dict[str, Problem | ProofProblem] = {}
    dropped: list[Dropped] = []
    for number, row in enumerate(form.grouped(rows) if form.grouped else rows):
        row_id = form.identify(row, number)
        try:
            if row_id in problems:
                raise Unusable("another row has this id")
            problem = _chosen(form.problem(row, number), wanted)
            if wanted.limit is not None and len(problems) >= wanted.limit:
                raise Unusable("over the limit")
            problems[row_id] = problem
        except Unusable as reason:
            dropped.append(Dropped(row_id, reason.reason, reason.detail))
    kept: tuple[Any, ...] = tuple(problems.values())
    found = Import(name, origin, wanted, kept, tuple(dropped))
    if not problems:
        raise _nothing(found, form, rows)
    return found


def _chosen(problem: Problem | ProofProblem, wanted: Wanted) -> Problem | ProofProblem:
    """The problem with as many tests as wanted. Raises Unusable."""
    if problem.difficulty not in wanted.difficulties:
        raise Unusable("not of the wanted difficulty", problem.difficulty)
    if wanted.max_statement is not None and len(problem.statement) > wanted.max_statement:
        raise Unusable("the statement is too long", f"{len(problem.statement)} characters")
    if isinstance(problem, ProofProblem):
        return problem
    if len(problem.tests) < wanted.min_tests and not problem.check:
        raise Unusable("too few tests", str(len(problem.tests)))
    return replace(problem, tests=evenly(problem.tests, wanted.max_tests))


def _nothing(found: Import, form: Format[Any], rows: Sequence[Row]) -> UserError:
    why = "; ".join(f"{count} x {reason}" for reason, count in found.counts.items())
    return UserError(
        f"none of the {len(rows)} rows gives a problem: {why}" if rows else "there are no rows",
        field="SOURCE",
        value=found.origin.source,
        fix=f"`{form.name}` reads {form.looks}",
    )


def keep_sound(
    found: Import,
    grader: Grader,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Import:
    """Run every canonical solution and every stub; what is not sound is dropped, with its reason.

    Theorems are left as they are: most need a toolchain of their own (`awry lean check`).
    """
    code = [problem for problem in found.problems if isinstance(problem, Problem)]
    if len(code) < len(found.problems):
        return found
    reasons: dict[str, str] = {}
    for rejection in validate(code, grader, min_tests=0, progress=progress):
        reasons.setdefault(rejection.problem_id, rejection.reason)
    dropped = [Dropped(name, *text.partition(": ")[::2]) for name, text in reasons.items()]
    return replace(
        found,
        problems=tuple(p for p in code if p.id not in reasons),
        dropped=(*found.dropped, *dropped),
        validation={
            "isolation": grader.sandbox.isolation,
            "limits": asdict(grader.sandbox.limits),
        },
    )


def check_output(out: Path) -> None:
    """Raises UserError where `write` would, before the work is done."""
    if not out.name.endswith((".jsonl", ".jsonl.gz")):
        raise UserError(
            "problems are written as .jsonl", field="--out", value=out, fix=f"use {out.stem}.jsonl"
        )


def write(found: Import, out: Path) -> Path:
    """Write the problems, and beside them what the import did; returns the path of that record."""
    check_output(out)
    lines = [json.dumps(asdict(p), ensure_ascii=False) + "\n" for p in found.problems]
    data = "".join(lines).encode()
    if out.name.endswith(".gz"):
        data = gzip.compress(data, mtime=0)
    record = out.with_name(out.name.removesuffix(".gz").removesuffix(".jsonl") + ".import.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(out, data)
    written = {"problems": out.name, "problems_sha256": hashlib.sha256(data).hexdigest()}
    atomic_write_json(record, found.report() | written)
    return record
