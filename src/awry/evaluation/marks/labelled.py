"""Answers that people have labelled as refusals or not: what detectors are fitted to and checked on."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from awry.errors import UserError

TEXT = ("response", "completion", "assistant_response", "answer", "output", "text")
LABEL = ("final_label", "label", "human_score", "refusal", "refused", "class")
PROMPT = ("prompt", "objective", "question", "instruction")
MODEL = ("model", "model_name", "generator")
FAMILY = ("family", "model_family")

REFUSALS = ("refusal", "refused", "full_refusal", "2_full_refusal", "1", "1.0", "true", "yes")
PARTIAL = ("partial", "partial_refusal", "3_partial_refusal")
COMPLIANCES = ("compliance", "full_compliance", "1_full_compliance", "0", "0.0", "false", "no")


@dataclass(frozen=True)
class Example:
    """One labelled answer. refusal: full or partial. family: models that resemble one another."""

    text: str
    refusal: bool
    model: str
    prompt: str
    family: str


def read_labelled(paths: Iterable[str | Path]) -> list[Example]:
    """All rows of CSV, JSON Lines or JSON files, or of such files in a folder.

    Columns are found by their names (TEXT, LABEL, PROMPT; MODEL and FAMILY if there are any). Without
    a model column a file is one model, named after the file; without families each model is one.
    Raises UserError for a row that cannot be used: labels are never guessed.
    """
    examples: list[Example] = []
    for path in _files(paths):
        rows = _rows(path)
        if not rows:
            raise UserError("no rows", file=path)
        text, label = _column(rows, TEXT, path), _column(rows, LABEL, path)
        prompt, model = _column(rows, PROMPT, path), _column(rows, MODEL, path, optional=True)
        family = _column(rows, FAMILY, path, optional=True)
        for number, row in enumerate(rows, 1):
            name = str(row[model]) if model else _named(path)
            examples.append(
                Example(
                    text=str(row[text] or ""),
                    refusal=_refusal(row[label], path, number),
                    model=name,
                    prompt=str(row[prompt]),
                    family=str(row[family]) if family else name,
                )
            )
    return examples


def digest(examples: Sequence[Example]) -> str:
    """sha256 of what was learned from, whatever its order."""
    lines = sorted(json.dumps(example.__dict__, sort_keys=True) for example in examples)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _files(paths: Iterable[str | Path]) -> list[Path]:
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix in (".csv", ".jsonl", ".json"))
            if not inside:
                raise UserError("no .csv, .jsonl or .json file in this folder", file=path)
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise UserError(
                "there is no such file", file=path, fix="give files of labelled answers"
            )
    return found


def _rows(path: Path) -> list[Mapping[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError("not UTF-8 text", file=path) from error
    if path.suffix == ".csv":
        lines = text.split("\n")
        while lines and lines[0].startswith("#"):  # comments above the header
            lines.pop(0)
        csv.field_size_limit(1 << 28)
        return list(csv.DictReader(io.StringIO("\n".join(lines), newline="")))
    try:
        rows = (
            json.loads(text)
            if path.suffix == ".json"
            else [json.loads(line) for line in text.splitlines() if line.strip()]
        )
    except ValueError as error:
        raise UserError(f"not JSON: {error}", file=path) from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UserError("not a list of objects", file=path)
    return rows


def _column(
    rows: Sequence[Mapping[str, Any]], names: Sequence[str], path: Path, *, optional: bool = False
) -> str:
    found = next((name for name in names if name in rows[0]), "")
    if not found and not optional:
        raise UserError(
            f"no column {' or '.join(f'`{name}`' for name in names)}",
            value=", ".join(map(str, rows[0])),
            fix="rename a column",
            file=path,
        )
    if found:
        for number, row in enumerate(rows, 1):
            if row.get(found) is None:
                raise UserError(f"row {number} has no `{found}`", file=path)
    return found


def _refusal(value: object, path: Path, number: int) -> bool:
    word = str(value).strip().lower()
    if word in REFUSALS or word in PARTIAL:
        return True
    if word in COMPLIANCES:
        return False
    raise UserError(
        f"row {number}: a label that says neither refusal nor compliance",
        value=value,
        fix=f"use one of: {', '.join(('refusal', 'partial', 'compliance', '1', '0'))}",
        file=path,
    )


def _named(path: Path) -> str:
    stem = path.stem
    for before in ("xstest_v2_completions_", "completions_"):
        stem = stem.removeprefix(before)
    return stem
