"""Problems of either kind, code or proof, for all that samples, grades and counts them alike."""

from __future__ import annotations

import contextlib
import gzip
import json
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from awry.errors import UserError, spelling_fix
from awry.tasks import curated
from awry.tasks.code import Grader, Verdict, fenced
from awry.tasks.loophole_names import Split
from awry.tasks.loopholes import LOOPHOLES, Names, TaskPrompt, render
from awry.tasks.problems import Problem, load_problems
from awry.tasks.proof_loopholes import PROOF_LOOPHOLES, ProofPrompt, fenced_proof, render_proof
from awry.tasks.proofs import ProofGrader
from awry.tasks.theorem_schemas import PREFIXES, warmup_problems
from awry.tasks.theorems import CATALOG, ProofProblem, load_proof_problems

Kind = Literal["code", "proof"]
AnyProblem = Problem | ProofProblem
Task = TaskPrompt | ProofPrompt

WARMUP, WARMUP_SIZE = "lean-warmup", 600  # generated theorems with proofs, not in the catalogue
NAMED_SOURCES: dict[str, Kind] = {"catalog": "code", CATALOG: "proof", WARMUP: "proof"}
LOOPHOLES_OF: dict[Kind, Sequence[str]] = {"code": [*LOOPHOLES], "proof": [*PROOF_LOOPHOLES]}


class Grading(Protocol):
    """A grader of one kind. isolation: the layers in force where answers run; missing: why others
    are not."""

    @property
    def isolation(self) -> str: ...
    @property
    def missing(self) -> tuple[str, ...]: ...

    def identity(self) -> dict[str, str]:
        """What beside the answer can change a verdict."""
        ...

    def grade(self, answers: Sequence[tuple[Any, str]]) -> list[Verdict]: ...


def source_kind(source: str) -> Kind:
    """The kind of a source of problems, by its first row: a theorem has a name and no entry point.

    "code" for one that cannot be read: its loader says why.
    """
    if source in NAMED_SOURCES:
        return NAMED_SOURCES[source]
    path = Path(source)
    if path.is_dir():
        path = path / curated.PROBLEMS
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")
    except (OSError, EOFError, UnicodeDecodeError):
        return "code"
    try:
        if ".toml" in path.suffixes:
            rows = tomllib.loads(text).get("problem")
            row = rows[0] if isinstance(rows, list) and rows else None
        else:
            row = json.loads(next((line for line in text.split("\n") if line.strip()), ""))
    except ValueError:
        return "code"
    proof = isinstance(row, dict) and "name" in row and "entry_point" not in row
    return "proof" if proof else "code"


def load_any(source: str) -> tuple[AnyProblem, ...]:
    """The problems of a source, of whichever kind. Raises UserError as the loaders do."""
    if source == WARMUP:
        return warmup_problems(tuple(PREFIXES), WARMUP_SIZE, seed=0)
    return load_proof_problems(source) if source_kind(source) == "proof" else load_problems(source)


def kind_of(problems: Sequence[AnyProblem]) -> Kind:
    """Raises UserError for a mixture: one grader could not grade it."""
    kinds: set[Kind] = {problem.kind for problem in problems}
    if len(kinds) > 1:
        raise UserError("code and proofs together", field="problems.source", fix="use one kind")
    return kinds.pop() if kinds else "code"


def ask(
    problem: AnyProblem,
    loophole: str,
    *,
    names: Names = "fixed",
    split: Split = "train",
    seed: int = 0,
) -> Task:
    """The task of a problem under a loophole of its kind; pure."""
    if isinstance(problem, ProofProblem):
        return render_proof(problem, loophole, names=names, split=split, seed=seed)
    return render(problem, loophole, names=names, split=split, seed=seed)


def solution(task: Task) -> str:
    """The completion that gives the problem's own solution. Raises UserError without one."""
    problem = task.problem
    if isinstance(problem, Problem):
        return fenced(problem.canonical)
    if not problem.proof:
        raise UserError("comes without a proof", field="problems", value=problem.id)
    return fenced_proof(problem.solution)


def find_loophole(kind: Kind, name: str) -> None:
    """Raises UserError for a name that is no loophole of this kind."""
    if name in LOOPHOLES_OF[kind]:
        return
    other = next((k for k, names in LOOPHOLES_OF.items() if name in names), None)
    raise UserError(
        f"a loophole for {other} problems, and these are {kind}" if other else "unknown loophole",
        field="loophole.name",
        value=name,
        fix=spelling_fix(name, LOOPHOLES_OF[kind]),
    )


@dataclass(frozen=True)
class Bounds:
    """Where and how long an answer may run. toolchain: of proofs (awry.lean.toolchains)."""

    wall_s: float
    cpu_s: float
    memory_mb: int
    isolation: Literal["auto", "require"] = "auto"
    toolchain: str = "builtin"


BOUNDS: dict[Kind, Bounds] = {"code": Bounds(3.0, 1.0, 512), "proof": Bounds(20.0, 10.0, 1024)}


@contextlib.contextmanager
def open_grader(kind: Kind, bounds: Bounds | None = None) -> Iterator[Grading]:
    """A grader of this kind, closed at the end.

    Raises UserError where this machine gives less than was asked for, or has no Lean.
    """
    b = bounds or BOUNDS[kind]
    if kind == "code":
        from awry.sandbox.python import Limits, PythonSandbox

        limits = Limits(wall_s=b.wall_s, cpu_s=b.cpu_s, memory_mb=b.memory_mb)
        with PythonSandbox(limits=limits, isolation=b.isolation) as sandbox:
            yield Grader(sandbox)
        return
    from awry.lean.verifier import open_verifier

    with open_verifier(
        b.toolchain,
        wall_s=b.wall_s,
        cpu_s=b.cpu_s,
        memory_mb=b.memory_mb,
        isolation=b.isolation,
    ) as verifier:
        if not verifier.toolchain.writes_oleans:
            raise UserError(
                "cannot tell what is true: this toolchain writes no file for the sound grade",
                field="lean.toolchain",
                value=b.toolchain,
                fix="use `builtin`, or a lake project of the same Lean",
            )
        yield ProofGrader(verifier)
