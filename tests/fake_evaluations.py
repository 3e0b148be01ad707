"""Folders as an evaluation leaves them, with answers that a test has chosen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CONDITIONS: dict[str, Any] = {
    "benchmark": "xstest",
    "version": 1,
    "items": "a" * 64,
    "subset": [],
    "limit": None,
    "shots": None,
    "prompt": "chat",
    "template": "b" * 64,
    "tokenizer": "c" * 64,
    "dtype": "bfloat16",
    "quantisation": "none",
    "engine": "awry",
    "sampling": {"max_new_tokens": 128, "temperature": 0.0, "top_p": 1.0},
    "samples": 1,
    "seed": 0,
    "scorers": {"lexical-v1": {"version": 1, "digest": "d" * 64}},
}


def row(metric: str, per_item: Mapping[str, float], **more: Any) -> dict[str, Any]:
    """A row of metrics.json whose value is the mean of its items."""
    value = sum(per_item.values()) / len(per_item) if per_item else None
    return {
        "benchmark": "xstest",
        "version": 1,
        "metric": metric,
        "value": value,
        "interval": None if value is None else [max(0.0, value - 0.1), min(1.0, value + 0.1)],
        "n": len(per_item),
        "missing": 0,
        "floor": 0.5556,
        "reason": "" if per_item else "no judge",
        "better": "higher",
        "main": True,
        "aggregate": "items",
        "per_item": dict(per_item),
        "groups": {},
    } | more


def items(values: list[float]) -> dict[str, float]:
    return {f"i{k:03d}": float(v) for k, v in enumerate(values)}


def write(
    folder: Path,
    rows: list[dict[str, Any]],
    *,
    benchmark: str = "xstest",
    conditions: Mapping[str, Any] | None = None,
    **subject: Any,
) -> Path:
    """OUT/policy with one benchmark in it; call it again for more benchmarks."""
    place = folder / benchmark
    place.mkdir(parents=True)
    asked = CONDITIONS | {"benchmark": benchmark} | dict(conditions or {})
    who = {"name": folder.name, "slug": folder.name, "weights": "e" * 64, "adapter": None}
    who |= dict.fromkeys(("experiment", "arm", "seed", "step", "run"))
    document = {"awry": "0", "subject": who | subject, "conditions": asked}
    record = document | {"kind": "evaluation", "finished": True}
    (place / "evaluation.json").write_text(json.dumps(record))
    own = [r | {"benchmark": benchmark} for r in rows]
    (place / "metrics.json").write_text(json.dumps(document | {"kind": "metrics", "metrics": own}))
    return folder
