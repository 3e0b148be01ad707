"""Checkpoints: everything the next step depends on, complete or absent, and checked on the way in.

Seeds are derived from (run seed, step, purpose), so there is no random state to keep.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from awry.errors import UserError
from awry.files import file_sha256
from awry.gradients.adapters import Adapter
from awry.gradients.interventions import Intervention
from awry.training.guards import GuardState

WEIGHTS = "trained.safetensors"
KEEP = 2  # a crash while the newest is written must leave one that is whole
_FOLDER = re.compile(r"step_(\d{6})")


@dataclass(frozen=True)
class Progress:
    """What a run has done: `step` steps are finished; a guard may have ended it there."""

    step: int
    guards: GuardState
    digest_start: str
    stopped_by: str | None = None


def save(
    root: Path,
    adapter: Adapter,
    optimizer: torch.optim.Optimizer,
    at: Progress,
    intervention: Intervention | None = None,
    *,
    keep_every: int | None = None,
) -> None:
    """Write `root/step_NNNNNN` under a temporary name, rename it, drop older ones but `KEEP`.

    Of older ones whose step is a multiple of keep_every the weights stay, to be evaluated.
    """
    root.mkdir(parents=True, exist_ok=True)
    for left_over in root.glob(".partial-*"):
        shutil.rmtree(left_over, ignore_errors=True)
    partial = root / f".partial-{os.getpid()}"
    partial.mkdir()
    tensors = {n: p.detach().contiguous() for n, p in adapter.parameters.items()}
    save_file(tensors, partial / WEIGHTS)
    save_file(_optimizer_state(adapter, optimizer), partial / "optimizer.safetensors")
    if intervention is not None and (kept := intervention.state()):
        save_file(kept, partial / "intervention.safetensors")
    state = {
        "progress": asdict(at),
        "digests": {f.name: file_sha256(f) for f in sorted(partial.glob("*.safetensors"))},
    }
    (partial / "state.json").write_text(json.dumps(state, indent=1))
    target = root / f"step_{at.step:06d}"
    if target.exists():
        shutil.rmtree(target)
    partial.rename(target)
    for old in _folders(root)[:-KEEP]:
        if keep_every and int(old.name.removeprefix("step_")) % keep_every == 0:
            for part in old.glob("*.safetensors"):
                if part.name != WEIGHTS:
                    part.unlink()
        else:
            shutil.rmtree(old)


def newest(root: Path) -> Path | None:
    """The last complete checkpoint's folder."""
    folders = _folders(root)
    return folders[-1] if folders else None


def load(
    folder: Path,
    adapter: Adapter,
    optimizer: torch.optim.Optimizer,
    intervention: Intervention | None = None,
) -> Progress:
    """Put a checkpoint's weights and the state of optimizer and intervention in place.

    Raises UserError when a file is missing, damaged or of another adapter.
    """
    state, tensors = _read(folder, adapter)
    _restore_weights(adapter, tensors["trained"])
    for joined, value in tensors["optimizer"].items():
        key, name = joined.split("/", 1)
        optimizer.state[adapter.parameters[name]][key] = value
    if intervention is not None:
        intervention.load_state(tensors.get("intervention", {}))
    progress = dict(state["progress"])
    guards = progress.pop("guards")
    guards["warned"] = tuple(guards["warned"])
    return Progress(guards=GuardState(**guards), **progress)


def load_weights(folder: Path, adapter: Adapter) -> None:
    """Put a checkpoint's weights alone in place, to sample from. Raises UserError as `load`."""
    _restore_weights(adapter, _read(folder, adapter, weights_only=True)[1]["trained"])


def _read(
    folder: Path, adapter: Adapter, *, weights_only: bool = False
) -> tuple[dict[str, Any], dict[str, Any]]:
    needed = {"trained"} if weights_only else {"trained", "optimizer"}
    try:
        state = json.loads((folder / "state.json").read_text())
        names = [WEIGHTS] if weights_only else list(state["digests"])
        for name in names:
            if file_sha256(folder / name) != state["digests"][name]:
                raise ValueError(f"{name} does not have the digest recorded with it")
        tensors = {Path(name).stem: load_file(folder / name) for name in names}
        if not needed <= tensors.keys():
            raise ValueError("it lacks weights or the optimizer's state")
        if tensors["trained"].keys() != adapter.parameters.keys():
            raise ValueError("it holds other parameters than this adapter has")
        if not {"step", "guards", "digest_start"} <= state["progress"].keys():
            raise ValueError("state.json does not say how far the run was")
    except Exception as error:  # any unreadable byte means the same to the user
        raise UserError(
            f"the checkpoint is damaged: {error}",
            field="checkpoint",
            value=folder,
            fix="delete this folder; the run then goes on from the checkpoint before it",
        ) from error
    return state, tensors


def _restore_weights(adapter: Adapter, tensors: dict[str, torch.Tensor]) -> None:
    with torch.no_grad():
        for name, parameter in adapter.parameters.items():
            parameter.copy_(tensors[name])
    adapter.refresh()


def _folders(root: Path) -> list[Path]:
    return sorted(f for f in root.glob("step_*") if _FOLDER.fullmatch(f.name))


def _optimizer_state(adapter: Adapter, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = {}
    for name, parameter in adapter.parameters.items():
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"{key}/{name}"] = torch.as_tensor(value).detach().contiguous()
    return tensors
