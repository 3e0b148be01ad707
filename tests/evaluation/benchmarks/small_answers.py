"""Answers and public data for the tests of the benchmarks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from awry.evaluation.items import Item, Metric, Response

DATA = Path(__file__).parents[4] / "shared/data"
LEXICAL = "lexical-v1"


def present(name: str) -> Path:
    """A file or folder of the public data; skips where there is none."""
    if not (DATA / name).exists():
        pytest.skip(f"the public data {name} is not here")
    return DATA / name


def said(items: Sequence[Item], text: str = "Well.") -> list[Response]:
    return [Response(item.id, 0, text, 3) for item in items]


def logs(items: Sequence[Item], values: Sequence[Sequence[float]]) -> list[Response]:
    return [
        Response(item.id, 0, None, 3, True, tuple(row))
        for item, row in zip(items, values, strict=True)
    ]


def by_name(metrics: Sequence[Metric]) -> dict[str, Metric]:
    found = {metric.name: metric for metric in metrics}
    assert len(found) == len(metrics), "two metrics of one name"
    return found
