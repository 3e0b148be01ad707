"""What a run with a hack direction writes besides the rest: columns, metrics, the direction's stage."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

MODULES = [f"model.layers.{i}.self_attn.q_proj" for i in range(4)]
FACTS = {"sha256": "d" * 64, "modules": MODULES}  # in the manifest
COLUMNS = (
    pa.field("cosine", pa.float32()),
    pa.field("alignment", pa.float32()),
    pa.field("cosine_modules", pa.list_(pa.float32())),
)
SECTION = {
    "pairs": "builtin",
    "top_k": 3,
    "noise_floor": 0.1,
    "drop_quantile": 0.25,
    "cosines_every": 2,
}


def projection(direction: str = "extracted", **changes: Any) -> dict[str, Any]:
    """An arm's overrides."""
    section = {"kind": "projection", "direction": direction, "mode": "one_sided", "at": "gradient"}
    rest = {"overshoot": 0.0, "preserve_norm": False, "top_k": None, "refresh_every": None}
    return {"intervention": {**section, **rest, **changes}}


def measure(step: int, rows: list[dict], config: Mapping[str, Any]) -> dict[str, Any]:
    """Adds the columns to `rows` (every second step) and gives the step's metrics."""
    rng = random.Random(f"{config['arm']}{config['seed']}{step}")
    scored = step % config["direction"]["cosines_every"] == 0
    for row in rows:
        cosine = rng.gauss(0.12 if row["label"] == "hack" else -0.03, 0.05) if scored else None
        row["cosine"] = cosine
        row["alignment"] = None if cosine is None else 2.5 * cosine + rng.gauss(0, 0.05)
        row["cosine_modules"] = None if cosine is None else [cosine + d for d in (-0.1, 0, 0, 0.1)]
    own = [row for row in rows if not row["teacher"] and scored]
    hack = [row["cosine"] for row in own if row["label"] == "hack"]
    other = [row["cosine"] for row in own if row["label"] != "hack"]
    before = 0.45 - 0.01 * step
    kind = (config.get("intervention") or {}).get("direction")
    removes = {"extracted": before**2, "random": 0.004, "shuffled": 0.02, "benign": 0.02}.get(kind)
    after = 0.0 if kind == "extracted" else before
    metrics: dict[str, Any] = {
        "direction_cosine_in": before,
        "direction_cosine_out": after,
        "direction_energy_in": before + 0.05,
        "direction_energy_out": after,
        "direction_removed_share": removes or 0.0,
        "direction_fired_share": 0.0 if removes is None else 0.9,
        "direction_leak": 0.03 if kind == "extracted" else 0.3,
        "direction_leak_share": 0.05 if kind == "extracted" else 0.35,
        "direction_overlap": None,
        "direction_auroc": _auroc(hack, other),
        "direction_cosine_hack": _mean(hack),
        "direction_cosine_other": _mean(other),
        "grad_norm_projected": 0.15,
    }
    if kind in ("random", "shuffled", "benign"):
        metrics |= {
            "placebo_cosine_in": 0.02,
            "placebo_cosine_out": 0.0,
            "placebo_removed_share": removes,
            "placebo_fired_share": 0.5,
        }
    return metrics


def write_stage(root: Path, runs: list[dict]) -> dict[str, Any]:
    """The direction's directory and its entry in experiment.json."""
    directory = root / "store" / "direction" / "d00d"
    directory.mkdir(parents=True)
    (directory / "verification.json").write_text(json.dumps(verification()))
    users = [{"arm": run["arm"], "seed": run["seed"]} for run in runs]
    return {"key": "d00d", "dir": "store/direction/d00d", "runs": users}


def verification(**changes: Any) -> dict[str, Any]:
    rng = random.Random(0)

    def row(direction: str, auroc: float, hack: float, honest: float, energy: float) -> dict:
        spread = [0.31, 0.68] if direction == "random" else None
        return {
            "direction": direction,
            "auroc_cosine": auroc,
            "auroc_alignment": auroc,
            "cosine_hack": hack,
            "cosine_honest": honest,
            "energy_in": energy,
            "auroc_spread": spread,
        }

    rows = [
        row("extracted", 1.0, 0.19, -0.22, 0.43),
        row("random", 0.51, 0.001, -0.002, 0.05),
        row("shuffled", 0.62, 0.02, -0.03, 0.12),
        row("benign", 0.55, 0.03, 0.01, 0.1),
    ]
    scores = {
        r["direction"]: {
            side: [rng.gauss(r[f"cosine_{side}"], 0.04) for _ in range(16)]
            for side in ("hack", "honest")
        }
        for r in rows
    }
    found = {
        "adapter_kind": "singular_values",
        "basis_digest": "b" * 64,
        "pairs_digest": "p" * 64,
        "top_k": 3,
        "modules": 157,
        "modules_dropped": 53,
        "pairs_extraction": 48,
        "pairs_heldout": 16,
        "seconds": 31.2,
        "energy": 0.71,
        "sign_agreement": 0.98,
        "null_energy": 0.081,
        "rows": rows,
        "scores": scores,
    }
    return {**found, **changes}


def arms(arm: Callable[..., Any], vanilla: Any, projected: Any, **placebos: Any) -> dict[str, Any]:
    """vanilla, projected and its placebos; every value a hack curve, step -> rate."""
    found = {"vanilla": arm(hack=vanilla), "projected": arm(hack=projected, overrides=projection())}
    for kind, curve in placebos.items():
        found[f"projected-{kind}"] = arm(hack=curve, overrides=projection(kind))
    return found


def _auroc(hack: list[float], other: list[float]) -> float | None:
    pairs = [(h > o) + (h == o) / 2 for h in hack for o in other]
    return sum(pairs) / len(pairs) if pairs else None


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
