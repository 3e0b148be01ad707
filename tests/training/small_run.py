"""A training run of seconds on the tiny random model, and variations of it."""

from __future__ import annotations

from typing import Any

from awry.experiments.spec import RunConfig

BASE: dict[str, Any] = {
    "name": "t",
    "arm": "vanilla",
    "seed": 0,
    "model": {
        "path": "tiny-random",
        "dtype": "float32",
        "adapter": {"kind": "lora", "r": 4, "alpha": 8},
    },
    "problems": {"limit": 6},
    "teacher": {"share": 0.5, "steps": 2},
    "training": {"steps": 3, "problems_per_step": 2, "group_size": 4, "max_new_tokens": 12},
    "probe": {"problems": 2, "samples": 1, "every": 2},
}


def config(**changes: Any) -> RunConfig:
    merged = {**BASE}
    for name, value in changes.items():
        old = merged.get(name)
        merged[name] = {**old, **value} if isinstance(old, dict) and value is not None else value
        if isinstance(value, str):
            merged[name] = value
    return RunConfig.model_validate(merged)
