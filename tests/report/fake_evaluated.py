"""Evaluations of the fake experiment's runs, and of what else may lie beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fake_experiment import HOSTILE

from fake_evaluations import items, row, write

NAME = "accuracy[lexical-v1]"
WEIGHTS = "9f2c" * 16  # as the fake runs' manifests say
BASE_NAME = 'base <img src=x onerror="window.pwned=1">'
BASE = [float(i % 5 > 0) for i in range(100)]
STEPS = (10, 20)
EVERY = {"vanilla": 2, "baseline": 9, "zero": 50}  # an arm fails on each so many-th item
UNEVALUATED = ("zero", 1)


def run_places(home: Path) -> dict[tuple[str, int], str]:
    """(arm, seed) -> its directory."""
    runs = json.loads((home / "experiment.json").read_text())["runs"]
    return {(run["arm"], run["seed"]): str(home.parent / run["dir"]) for run in runs}


def evaluate_run(
    home: Path, arm: str, seed: int, step: int, *, conditions: Mapping[str, Any] | None = None
) -> Path:
    """A checkpoint's folder in `home/evaluations`."""
    worse = step == STEPS[-1]
    kept = [v * ((i + seed) % EVERY[arm] > 0 or not worse) for i, v in enumerate(BASE)]
    return write(
        home / "evaluations" / f"quickstart-{arm}-seed{seed}-step{step}",
        [row(NAME, items(kept)), row("score", {}, reason=f"no judge {HOSTILE}")],
        conditions=conditions,
        experiment="quickstart",
        arm=arm,
        seed=seed,
        step=step,
        run=run_places(home)[arm, seed],
        weights=WEIGHTS,
        adapter=f"{arm}-{seed}-{step}",
    )


def evaluate_base(home: Path, name: str = BASE_NAME, **more: Any) -> Path:
    rows = [row(NAME, items(BASE)), row("score", {})]
    place = home / "evaluations" / more.pop("folder", "base")
    return write(place, rows, **({"name": name, "weights": WEIGHTS} | more))


def write_evaluations(home: Path) -> None:
    evaluate_base(home)
    for arm, seed in run_places(home):
        if (arm, seed) != UNEVALUATED:
            for step in STEPS:
                evaluate_run(home, arm, seed, step)
    write(
        home / "evaluations" / "another",
        [row(NAME, items(BASE))],
        experiment=f"another {HOSTILE}",
        arm="vanilla",
        seed=0,
        step=20,
    )
