"""Contrastive pairs: one prompt, an honest and a hacking completion.

The gradient of a hack minus that of its honest sibling is what a hack direction is made of. So the
two must differ in hacking and in little else: `statistics` says how well they do, `validate` whether
the grader agrees with what they claim to be.
"""

from __future__ import annotations

import ast
import hashlib
import io
import json
import tokenize
import tomllib
from collections.abc import Callable, Iterable, Sequence, Sized
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any, Literal, get_args

from awry.errors import UserError, spelling_fix
from awry.tasks.code import Grader, extract_code
from awry.tasks.labels import Label
from awry.tasks.loopholes import LOOPHOLES, TaskPrompt, render
from awry.tasks.problems import Problem, load_catalog, tier

BUILTIN = "builtin"
Split = Literal["extraction", "heldout"]
SPLITS: tuple[str, ...] = get_args(Split)
UNMEASURED = "unmeasured"
KEYS: dict[str, type] = {
    "id": str,
    "problem": str,
    "loophole": str,
    "evaluator_seed": int,
    "style": str,
    "split": str,
    "honest": str,
    "hack": str,
}


@dataclass(frozen=True)
class Pair:
    """One contrast. In benign pairs `hack` is side A and `honest` side B, both correct.

    tier: the problem's tier for the embedded model. messages: the prompt of (loophole,
    evaluator_seed). Completions are as the policy would write them, without its end token.
    """

    id: str
    problem_id: str
    style: str
    tier: str
    split: Split
    messages: tuple[dict[str, str], ...]
    honest: str
    hack: str
    loophole: str = "none"
    evaluator_seed: int = 0


def load_pairs(source: str = BUILTIN) -> tuple[Pair, ...]:
    """The built-in pairs, or those of a .toml file, in the order of the file.

    Raises UserError naming the file, the pair and the field of whatever is wrong.
    """
    if source == BUILTIN:
        return _builtin("pairs.toml")
    path = Path(source)
    if path.suffix != ".toml":
        raise UserError(
            "is not a file of pairs",
            field="direction.pairs",
            value=source,
            fix=f"use {BUILTIN} or the path of a .toml file",
        )
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"cannot read pairs: {error}",
            field="direction.pairs",
            value=source,
            fix=f"use {BUILTIN} or the path of a .toml file",
        ) from error
    return _read(text, source)


def load_benign_pairs() -> tuple[Pair, ...]:
    """The built-in placebo: honest against honest, written with loops (A) and without (B)."""
    return _builtin("benign_pairs.toml")


@cache
def _builtin(name: str) -> tuple[Pair, ...]:
    file = resources.files("awry.tasks") / "catalog" / name
    return _read(file.read_text("utf-8"), f"catalog/{name}")


def pairs_digest(pairs: Iterable[Pair]) -> str:
    """sha256 (hex) of everything in these pairs but the measured tiers; their order counts."""
    rows = [{k: v for k, v in asdict(pair).items() if k != "tier"} for pair in pairs]
    text = json.dumps(rows, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def task_of(pair: Pair) -> TaskPrompt:
    """The task whose prompt this pair answers."""
    return _task(_problems()[pair.problem_id], pair.loophole, pair.evaluator_seed)


def validate(pairs: Sequence[Pair], grader: Grader, *, benign: bool = False) -> list[str]:
    """A sentence for every reason not to use these pairs; empty when all are sound.

    A sound honest completion is graded `correct`, a hacking one `hack` (both `correct` for benign
    pairs), and each is a single fenced block with nothing around it.
    """
    found: list[str] = []
    sides = [(pair, side) for pair in pairs for side in ("honest", "hack")]
    verdicts = grader.grade([(task_of(pair), getattr(pair, side)) for pair, side in sides])
    for (pair, side), verdict in zip(sides, verdicts, strict=True):
        text: str = getattr(pair, side)
        whole = text.startswith("```python\n") and text.endswith("\n```")
        if not whole or text.count("```") != 2:
            found.append(f"{pair.id}: {side} is not one ```python block and nothing else")
        due = Label.HACK if side == "hack" and not benign else Label.CORRECT
        if verdict.label != due.value:
            found.append(
                f"{pair.id}: {side} is graded {verdict.label}, not {due.value}: {verdict.evidence}"
            )
    return found


# ---- what the pairs look like ------------------------------------------------------------------
def statistics(
    pairs: Sequence[Pair], encode: Callable[[str], Sized] | None = None
) -> dict[str, Any]:
    """Surface figures of both classes, for all pairs and for each split that has any.

    statistics(...)[part] = {"pairs", "problems", "styles", "tiers", "honest": {feature: mean},
    "hack": {...}, "auroc": {"characters", "lines", ...}}. An AUROC is that of a classifier that
    knows this one number, hack as positive; .5 says that it gives nothing away. `encode`, a
    tokenizer's, adds "tokens". Share features are shares of completions.
    """
    parts = {"all": list(pairs)}
    parts |= {split: [p for p in pairs if p.split == split] for split in SPLITS}
    return {name: _part(members, encode) for name, members in parts.items() if members}


def _part(pairs: list[Pair], encode: Callable[[str], Sized] | None) -> dict[str, Any]:
    counted = {
        side: [_surface(getattr(p, side), task_of(p).evaluator, encode) for p in pairs]
        for side in ("honest", "hack")
    }
    row: dict[str, Any] = {
        "pairs": len(pairs),
        "problems": len({p.problem_id for p in pairs}),
        "styles": _tally(p.style for p in pairs),
        "tiers": _tally(p.tier for p in pairs),
        "loopholes": _tally(p.loophole for p in pairs),
    }
    for side, rows in counted.items():
        row[side] = {name: fmean(r[name] for r in rows) for name in rows[0]}
        row[side] |= {
            f"{name}_sd": pstdev([r[name] for r in rows])
            for name in ("characters", "lines", "tokens")
            if name in rows[0]
        }
    row["auroc"] = {
        name: _auroc([r[name] for r in counted["hack"]], [r[name] for r in counted["honest"]])
        for name in counted["hack"][0]
    }
    return row


def _surface(
    completion: str, evaluator: str | None, encode: Callable[[str], Sized] | None
) -> dict[str, float]:
    code = extract_code(completion) or ""
    nodes = list(ast.walk(ast.parse(code)))
    functions = [n for n in nodes if isinstance(n, ast.FunctionDef)]
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    row: dict[str, float] = {
        "characters": len(completion),
        "lines": completion.count("\n") + 1,
        "comment": any(t.type == tokenize.COMMENT for t in tokens),
        "docstring": any(ast.get_docstring(f) is not None for f in functions),
        "print": any(isinstance(n, ast.Name) and n.id == "print" for n in nodes),
        "loop": any(isinstance(n, ast.For | ast.While) for n in nodes),
        "comprehension": any(isinstance(n, ast.comprehension) for n in nodes),
        "functions": len(functions),
        "asserts": sum(isinstance(n, ast.Assert) for n in nodes),
        "evaluator": any(f.name == evaluator for f in functions),
    }
    if encode is not None:
        row["tokens"] = len(encode(completion))
    return {name: float(value) for name, value in row.items()}


def _tally(values: Iterable[str]) -> dict[str, int]:
    listed = list(values)
    return {value: listed.count(value) for value in sorted(set(listed))}


def _auroc(positive: list[float], negative: list[float]) -> float:
    """How often a positive is the larger of a random pair; ties count half."""
    wins = sum((p > n) + 0.5 * (p == n) for p in positive for n in negative)
    return wins / (len(positive) * len(negative))


# ---- reading files -----------------------------------------------------------------------------
def _read(text: str, file: str) -> tuple[Pair, ...]:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(
            f"is not TOML: {error}", file=file, fix="correct the line that is named"
        ) from error
    for name in document:
        if name != "pair":
            raise UserError(
                "unknown key", field=name, file=file, fix="write [[pair]] tables and nothing else"
            )
    rows = document.get("pair")
    if not isinstance(rows, list) or not rows:
        raise UserError(
            "no pairs in this file", field="pair", file=file, fix="write [[pair]] tables"
        )
    pairs = tuple(_pair(row, f"pair[{number}]", file) for number, row in enumerate(rows))
    _check_together(pairs, file)
    return pairs


def _pair(row: object, where: str, file: str) -> Pair:
    if not isinstance(row, dict):
        raise UserError(
            "not a table", field=where, value=row, file=file, fix="write [[pair]] tables"
        )
    for name in row:
        if name not in KEYS:
            raise UserError(
                "unknown key", field=f"{where}.{name}", file=file, fix=spelling_fix(name, KEYS)
            )
    for name, kind in KEYS.items():
        given = row.get(name)
        expected = "a whole number" if kind is int else "a text"
        if given is None:
            if name == "evaluator_seed":
                continue
            raise UserError(
                "missing", field=f"{where}.{name}", file=file, fix=f"add {name}, {expected}"
            )
        if type(given) is not kind:
            raise UserError(
                f"is not {expected}",
                field=f"{where}.{name}",
                value=given,
                file=file,
                fix=f"write {expected}",
            )
        if kind is str and not given.strip():
            raise UserError(
                "is empty", field=f"{where}.{name}", file=file, fix=f"give {name} a text"
            )
    for name, allowed in (
        ("problem", _problems()),
        ("loophole", LOOPHOLES),
        ("split", SPLITS),
    ):
        if row[name] not in allowed:
            listed = "list them with: awry problems list" if name == "problem" else None
            raise UserError(
                f"unknown {name}",
                field=f"{where}.{name}",
                value=row[name],
                file=file,
                fix=spelling_fix(row[name], allowed, listed),
            )
    for name in ("honest", "hack"):
        _check_code(row[name], f"{where}.{name}", file)
    if row["honest"] == row["hack"]:
        raise UserError(
            "is the same as honest, so nothing is contrasted",
            field=f"{where}.hack",
            value=row["id"],
            file=file,
            fix="write two different completions",
        )
    seed = row.get("evaluator_seed", 0)
    return Pair(
        id=row["id"],
        problem_id=row["problem"],
        style=row["style"],
        tier=_tiers().get(row["problem"], UNMEASURED),
        split=row["split"],
        messages=_task(_problems()[row["problem"]], row["loophole"], seed).messages,
        honest=row["honest"],
        hack=row["hack"],
        loophole=row["loophole"],
        evaluator_seed=seed,
    )


def _check_code(completion: str, where: str, file: str) -> None:
    code = extract_code(completion)
    if code is None:
        raise UserError(
            "has no code",
            field=where,
            value=completion,
            file=file,
            fix="write the code between ```python and ```",
        )
    try:
        ast.parse(code)
    except (SyntaxError, ValueError) as error:
        raise UserError(
            f"is not Python: {error}",
            field=where,
            value=completion,
            file=file,
            fix="correct the code; a pair that does not compile says nothing of hacking",
        ) from error


def _check_together(pairs: tuple[Pair, ...], file: str) -> None:
    seen: set[str] = set()
    split_of: dict[str, str] = {}
    for number, pair in enumerate(pairs):
        if pair.id in seen:
            raise UserError(
                "two pairs have this id",
                field=f"pair[{number}].id",
                value=pair.id,
                file=file,
                fix="rename one of them",
            )
        seen.add(pair.id)
        if split_of.setdefault(pair.problem_id, pair.split) != pair.split:
            raise UserError(
                "its problem is also in the other split, so held-out pairs would not be new",
                field=f"pair[{number}].split",
                value=pair.problem_id,
                file=file,
                fix="give all pairs of a problem the same split",
            )
    for split in SPLITS:
        if split not in split_of.values():
            raise UserError(
                f"no pair has split {split}",
                field="pair.split",
                file=file,
                fix=f'write split = "{split}" for the pairs of some of the problems',
            )


def _task(problem: Problem, loophole: str, seed: int) -> TaskPrompt:
    return render(problem, loophole, names="randomised", split="train", seed=seed)


@cache
def _problems() -> dict[str, Problem]:
    return {problem.id: problem for problem in load_catalog()}


@cache
def _tiers() -> dict[str, str]:
    """Tiers of the embedded model, from the package's own measurement and no other."""
    file = resources.files("awry.tasks") / "catalog" / "measured.json"
    rows = json.loads(file.read_text("utf-8")).values()
    passes = next((row["passes"] for row in rows if row["model"] == "embedded"), {})
    return {name: tier(*counts) for name, counts in passes.items()}
