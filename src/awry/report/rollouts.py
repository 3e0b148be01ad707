"""The rollouts that travel inside the report: compact, compressed, and with the exploit located."""

from __future__ import annotations

import base64
import gzip
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from awry.report.load import COSINE_COLUMNS, Run, read_texts

CHARACTER_BUDGET = 16_000_000  # of completions; about 4 MB in the finished file
TEXTS = (
    *("problem_id", "loophole", "evaluator", "style", "prompt", "completion"),
    *("label", "exploit", "parts", "evidence"),
)
NUMBERS = ("group", "index", "reward", "advantage", "seconds", "tokens", *COSINE_COLUMNS)
FLAGS = ("teacher", "finished", "formatted", "compiled", "proxy", "correct", "attempted")


@dataclass(frozen=True)
class Embedded:
    """base64 of gzipped JSON; stride n means that every n-th step (and the last) is in it; scored:
    whether any of these rollouts has a cosine.
    """

    data: str
    rollouts: int
    total: int
    stride: int
    scored: bool


def embed(runs: Sequence[Run], budget: int = CHARACTER_BUDGET) -> Embedded:
    """Column-wise, every distinct text once. Same input, same bytes."""
    stride = _stride(runs, budget)
    table: dict[str, int] = {}
    columns: dict[str, list[Any]] = {
        name: [] for name in ("run", "step", "flags", "marks", *TEXTS, *NUMBERS)
    }
    for number, run in enumerate(runs):
        for row in read_texts(
            run, _steps(run)[::-1][::stride][::-1] if stride > 1 else _steps(run)
        ):
            columns["run"].append(number)
            columns["step"].append(row["step"])
            for name in TEXTS:
                text = row[name]
                # -1 is null: an absent exploit and an empty evidence are different things
                columns[name].append(
                    -1 if text is None else table.setdefault(str(text), len(table))
                )
            for name in NUMBERS:
                columns[name].append(_number(row.get(name)))
            columns["flags"].append(sum(bool(row[name]) << bit for bit, name in enumerate(FLAGS)))
            columns["marks"].append(exploit_lines(row))
    scored = any(value is not None for name in COSINE_COLUMNS for value in columns[name])
    if not scored:
        for name in COSINE_COLUMNS:
            del columns[name]
    payload = {
        "runs": [{"arm": run.arm, "seed": run.seed} for run in runs],
        "flags": FLAGS,
        "texts": list(table),
        "columns": columns,
    }
    raw = json.dumps(payload, separators=(",", ":"), allow_nan=False).encode()
    return Embedded(
        data=base64.b64encode(gzip.compress(raw, 9, mtime=0)).decode(),
        rollouts=len(columns["run"]),
        total=sum(len(run.rollouts) for run in runs),
        stride=stride,
        scored=scored,
    )


def exploit_lines(row: Mapping[str, Any]) -> list[list[int]]:
    """Line ranges [first, last] (from 0) of the completion that define the evaluator, or that the
    grader quoted as evidence of the exploit. Found by text: a place to look, not a verdict.
    """
    lines = str(row.get("completion") or "").split("\n")
    marked: set[int] = set()
    if evaluator := row.get("evaluator"):
        marked |= _definition(lines, str(evaluator))
    if row.get("exploit") or row.get("attempted"):
        quoted = {
            q for line in str(row.get("evidence") or "").splitlines() if len(q := line.strip()) > 5
        }
        marked |= {i for i, line in enumerate(lines) if line.strip() in quoted}
    ranges: list[list[int]] = []
    for i in sorted(marked):
        if ranges and ranges[-1][1] == i - 1:
            ranges[-1][1] = i
        else:
            ranges.append([i, i])
    return ranges


def _definition(lines: Sequence[str], name: str) -> set[int]:
    """Lines of every `def name(` (or `name = ...`) with the deeper-indented block that follows."""
    head = re.compile(
        rf"^(\s*)(?:async\s+)?(?:def\s+{re.escape(name)}\s*\(|(?:\w+\.)*{re.escape(name)}\s*=[^=])"
    )
    found: set[int] = set()
    for i, line in enumerate(lines):
        match = head.match(line)
        if not match:
            continue
        indent = len(match.group(1))
        block, pending = [i], []
        for j in range(i + 1, len(lines)):
            text = lines[j]
            if not text.strip():
                pending.append(j)  # belongs to the block only if the block goes on
                continue
            if len(text) - len(text.lstrip()) <= indent and not text.lstrip().startswith(")"):
                break
            block += [*pending, j]
            pending = []
        found.update(block)
    return found


def _steps(run: Run) -> list[int]:
    return sorted({r.step for r in run.rollouts})


def _stride(runs: Sequence[Run], budget: int) -> int:
    """From the mean length at three steps of each run, not by reading everything twice."""
    expected = 0.0
    for run in runs:
        steps = _steps(run)
        if not steps:
            continue
        sample = sorted({steps[0], steps[len(steps) // 2], steps[-1]})
        lengths = [len(row["completion"] or "") for row in read_texts(run, sample)]
        expected += sum(lengths) / max(1, len(lengths)) * len(run.rollouts)
    return max(1, math.ceil(expected / budget))


def _number(value: Any) -> float | int | None:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return round(value, 4)
