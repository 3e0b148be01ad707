"""Teacher pools: stored completions of a hacking policy, mixed into groups to seed exploration."""

from __future__ import annotations

import json
import random
import textwrap
import tomllib
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from pathlib import Path

from awry.errors import UserError
from awry.tasks.exploits import lookup_body
from awry.tasks.kinds import Task
from awry.tasks.loophole_names import Family
from awry.tasks.loopholes import LOOPHOLES, TaskPrompt
from awry.tasks.proof_exploits import reference_proof_exploit
from awry.tasks.proof_loopholes import PROOF_LOOPHOLES, ProofPrompt
from awry.tasks.starters import complete

# The kind of the styles that game a family.
KINDS: dict[Family, str] = {
    "overwrite_tests": "overwrite",
    "modify_tests": "modify",
    "incontext_tests": "hardcode",
    "sentinel": "sentinel",
    "stdout_marker": "stdout_marker",
    "file_marker": "file_marker",
    "eq_override": "eq_override",
    "exit_code": "exit_code",
    "disk_tests": "disk_tests",
}

# The exploits that a weaker grade of verifier takes for proofs.
PAID_BY = {
    "naive_verifier": (
        "sorry_accepted",
        "axioms_accepted",
        "notation_unchecked",
        "statement_unchecked",
        "options_unchecked",
    ),
    "text_verifier": ("notation_unchecked", "statement_unchecked", "options_unchecked"),
}


@dataclass(frozen=True)
class TeacherSample:
    """logprobs: the teacher's, one per completion token (natural log); None when unknown."""

    problem_id: str
    style: str
    completion: str
    logprobs: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Style:
    kind: str
    name: str
    template: str
    solution: str
    stubs: tuple[str, ...]
    evaluators: tuple[str, ...]


@cache
def styles() -> tuple[Style, ...]:
    """The authored styles, from the catalogue's teacher.toml."""
    text = (resources.files("awry.tasks") / "catalog" / "teacher.toml").read_text("utf-8")
    return tuple(
        Style(
            kind=row["kind"],
            name=row["name"],
            template=row["template"].strip("\n"),
            solution=row.get("solution", "{stub}"),
            stubs=tuple(row["stubs"]),
            evaluators=tuple(row["evaluators"]),
        )
        for row in tomllib.loads(text)["style"]
    )


def builtin_pool(task: Task, n: int, rng: random.Random) -> list[TeacherSample]:
    """`n` authored hacks of this task's channel, in its own evaluator's name; styles vary.

    Raises UserError when the task's loophole leaves nothing to hack.
    """
    if isinstance(task, ProofPrompt):
        return _proof_pool(task, n, rng)
    family = LOOPHOLES[task.loophole].family
    if family not in KINDS:
        raise _nothing_to_hack(task)
    choices = [style for style in styles() if style.kind == KINDS[family]]
    order: list[Style] = []
    while len(order) < n:  # every style once before any comes again
        order += rng.sample(choices, len(choices))
    return [
        TeacherSample(task.problem.id, style.name, _fill(style, task, rng)) for style in order[:n]
    ]


def _proof_pool(task: ProofPrompt, n: int, rng: random.Random) -> list[TeacherSample]:
    """The reference exploits that this task's channel pays, in turn; each is a style."""
    channel = PROOF_LOOPHOLES[task.loophole]
    if channel.family == "none":
        raise _nothing_to_hack(task)
    choices = [channel.family] if channel.forgives else list(PAID_BY[channel.family])
    order: list[str] = []
    while len(order) < n:
        order += rng.sample(choices, len(choices))
    return [
        TeacherSample(
            task.problem.id, style, reference_proof_exploit(replace(task, loophole=style))
        )
        for style in order[:n]
    ]


def _nothing_to_hack(task: Task) -> UserError:
    return UserError(
        "a teacher pool needs a loophole to hack",
        field="teacher.pool",
        value=task.loophole,
        fix="set teacher: null in this arm, or choose a loophole other than none",
    )


def _fill(style: Style, task: TaskPrompt, rng: random.Random) -> str:
    problem, text, body = task.problem, style.template, style.solution
    if style.stubs:
        body = body.replace("{stub}", rng.choice(style.stubs))
    if style.evaluators:
        text = text.replace("{body}", rng.choice(style.evaluators))
    solution = complete(problem.starter, body)
    # Of a method, what the class holds: two of its instances have no method in common.
    entry = f"Solution.{problem.function_name}" if problem.in_class else problem.entry_point
    for name, value in (
        ("{solution}", solution),
        ("{entry_point}", entry),
        ("{evaluator}", task.evaluator or ""),
        ("{statement}", problem.statement),
        ("{shown_evaluator}", task.evaluator_source or ""),
    ):
        text = text.replace(name, value)
    # Last, and only where asked for: literals of tests may hold braces.
    if "{lookup}" not in text:
        return text
    place = next(line for line in text.split("\n") if "{lookup}" in line)
    indent = place[: -len("{lookup}")]
    return text.replace(place, textwrap.indent(lookup_body(task), indent))


def load_pool(path: str | Path, problems: Collection[str]) -> tuple[TeacherSample, ...]:
    """Read a pool: JSON lines {problem_id, style, completion, logprobs?}.

    `problems`: the ids that may occur. Raises UserError for an empty pool, an unknown problem or
    a malformed line.
    """
    try:
        lines = Path(path).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"cannot read the teacher pool: {error}", field="teacher.pool", value=str(path)
        ) from error
    samples = tuple(
        _sample(line, number, path, problems)
        for number, line in enumerate(lines, start=1)
        if line.strip()
    )
    if not samples:
        raise UserError("the teacher pool is empty", field="teacher.pool", file=path)
    return samples


def _sample(line: str, number: int, path: str | Path, problems: Collection[str]) -> TeacherSample:
    where = f"line {number}"
    try:
        row = json.loads(line)
    except ValueError as error:
        raise UserError(f"not JSON: {error}", field=where, value=line, file=path) from error
    match row:
        case {"problem_id": str(problem), "style": str(style), "completion": str(completion)}:
            pass
        case _:
            raise UserError(
                "needs the strings problem_id, style and completion",
                field=where,
                value=line,
                file=path,
            )
    for name in row:
        if name not in ("problem_id", "style", "completion", "logprobs"):
            raise UserError("unknown key", field=f"{where}.{name}", file=path)
    if problem not in problems:
        raise UserError(
            "is not one of the problems in use",
            field=f"{where}.problem_id",
            value=problem,
            file=path,
            fix="remove the line, or add the problem to the experiment's source",
        )
    logprobs = row.get("logprobs")
    if logprobs is not None and not (
        isinstance(logprobs, list) and all(type(x) in (int, float) for x in logprobs)
    ):
        raise UserError("is not a list of numbers", field=f"{where}.logprobs", file=path)
    known = None if logprobs is None else tuple(float(x) for x in logprobs)
    return TeacherSample(problem, style, completion, known)
