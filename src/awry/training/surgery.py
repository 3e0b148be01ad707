"""What a run does with a direction: its surgeon, and what one step's cosines say."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from awry.generation.engine import derive
from awry.gradients.adapters import Adapter
from awry.gradients.directions import (
    Direction,
    auroc,
    check_fits,
    load_direction,
    random_direction,
)
from awry.gradients.interventions import Intervention, Projection, Surgeon
from awry.progress import Progress
from awry.training.rollouts import Rollout

if TYPE_CHECKING:
    from awry.experiments.spec import RunConfig

FILES = {"extracted": "direction", "shuffled": "shuffled", "benign": "benign"}


def open_surgeon(
    config: RunConfig, adapter: Adapter, folder: Path | None, progress: Progress
) -> Surgeon:
    """The surgeon of a run. folder: the direction stage's; None for a run without a direction.

    Extracts into `folder` when nothing is there yet. Raises UserError when a direction does not fit.
    """
    meter = intervention = None
    if config.direction is not None and folder is not None:
        if not (folder / "verification.json").exists():
            _extract(config, adapter, folder, progress)
        meter = _load(folder, "extracted", adapter)
        if config.intervention is not None:
            intervention = _projection(config, adapter, folder, meter)
    return Surgeon(
        adapter.modules,
        list(adapter.parameters.values()),
        intervention=intervention,
        meter=meter,
        max_grad_norm=config.training.max_grad_norm,
    )


def _projection(
    config: RunConfig, adapter: Adapter, folder: Path, meter: Direction
) -> Intervention:
    chosen = config.intervention
    assert chosen is not None
    seed = derive(config.seed, "intervention")
    if chosen.direction == "random":
        direction = random_direction(meter, seed)
    else:
        direction = _load(folder, chosen.direction, adapter)
    return Projection(
        direction,
        mode=chosen.mode,
        at=chosen.at,
        overshoot=chosen.overshoot,
        preserve_norm=chosen.preserve_norm,
        # a placebo from fewer pairs may have fewer axes than are asked for
        top_k=None if chosen.top_k is None else min(chosen.top_k, direction.top_k),
        refresh=_refresh(config, adapter, meter) if chosen.refresh_every else None,
        refresh_every=chosen.refresh_every,
    )


def _refresh(config: RunConfig, adapter: Adapter, meter: Direction) -> Callable[[], Direction]:
    """Makes the arm's kind of direction anew, from the policy as it is when called."""
    from awry.gradients.extraction import Extractor, Options
    from awry.tasks.pairs import load_benign_pairs, load_pairs

    assert config.direction is not None
    assert config.intervention is not None
    kind = config.intervention.direction
    pairs = load_pairs(config.direction.pairs)
    extractor = Extractor(adapter, pairs, load_benign_pairs(), Options.of(config.direction))

    def again() -> Direction:
        # what has been trained says when this is, on a resumed run too
        seed = derive(config.seed, "refresh", adapter.digest())
        if kind == "random":
            return random_direction(meter, seed)
        adapter.refresh()
        return extractor.make(kind, seed=seed)

    return again


def _load(folder: Path, kind: str, adapter: Adapter) -> Direction:
    direction = load_direction(folder / f"{FILES[kind]}.safetensors")
    check_fits(direction, adapter.kind, adapter.basis_digest)
    return direction


def _extract(config: RunConfig, adapter: Adapter, folder: Path, progress: Progress) -> None:
    from awry.gradients.extraction import Options, extract_to
    from awry.tasks.pairs import load_benign_pairs, load_pairs

    assert config.direction is not None
    pairs = load_pairs(config.direction.pairs)
    options = Options.of(config.direction)
    seed = config.seed if adapter.kind == "lora" else 0  # as the direction stage has it
    extract_to(adapter, pairs, load_benign_pairs(), options, folder, seed=seed, progress=progress)


def records_cosines(config: RunConfig, step: int) -> bool:
    """Whether every completion's cosine is measured at this (zero-based) step."""
    every = config.direction.cosines_every if config.direction else None
    return every is not None and (step % every == 0 or step + 1 == config.training.steps)


def surgery_metrics(surgeon: Surgeon, rollouts: Sequence[Rollout]) -> dict[str, Any]:
    """A step's numbers about the direction, under the names of metrics.jsonl; {} without one."""
    if surgeon.meter is None:
        return {}
    raw = dict(surgeon.metrics)
    row: dict[str, Any] = {"grad_norm_projected": raw.pop("grad_norm_projected", None)}
    row |= {name: value for name, value in raw.items() if name.startswith("direction_")}
    direction = getattr(surgeon.intervention, "direction", None)
    if direction is not None:
        placebo = direction.kind != "extracted"
        prefix = "placebo" if placebo else "direction"
        names = ("removed_share", "fired_share", *(("cosine_in", "cosine_out") if placebo else ()))
        row |= {f"{prefix}_{name}": raw.get(name) for name in names}
        row["direction_overlap"] = raw.get("overlap")
    measured = [r for r in rollouts if r.cosine is not None and not r.teacher]
    hacks = [r.cosine for r in measured if r.judged.label == "hack"]
    others = [r.cosine for r in measured if r.judged.label != "hack"]
    row["direction_cosine_hack"] = statistics.fmean(hacks) if hacks else None  # pyright: ignore
    row["direction_cosine_other"] = statistics.fmean(others) if others else None  # pyright: ignore
    both = hacks and others
    row["direction_auroc"] = auroc(torch.tensor(hacks), torch.tensor(others)) if both else None
    return row


def facts(config: RunConfig, surgeon: Surgeon, folder: Path | None) -> dict[str, Any] | None:
    """What the manifest says about the direction."""
    from awry.files import file_sha256

    meter = surgeon.meter
    if meter is None or folder is None:
        return None
    return {
        "sha256": file_sha256(folder / "direction.safetensors"),
        "basis_digest": meter.basis_digest,
        "pairs_digest": meter.pairs_digest,
        "adapter_kind": meter.adapter_kind,
        "top_k": meter.top_k,
        "null_share": meter.null_share(),
        "modules": list(meter.axes),
        "projected_off": config.intervention.direction if config.intervention else None,
    }
