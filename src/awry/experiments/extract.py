"""`awry extract` and `awry verify-direction`: directions outside of an experiment."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from awry import files
from awry.errors import UserError
from awry.experiments.spec import RunConfig, experiment
from awry.experiments.stages import direction_stage
from awry.experiments.verification import write_page
from awry.progress import Progress


def extract(
    directory: Path,
    *,
    model: str,
    adapter: Literal["singular_values", "lora"],
    r: int | None = None,
    pairs: str = "builtin",
    method: Literal["svd", "mean"] = "svd",
    top_k: int = 3,
    noise_floor: float = 0.1,
    drop_quantile: float = 0.25,
    seed: int = 0,
    progress: Progress,
) -> dict[str, Any]:
    """Extract a direction into `directory`, as an experiment's direction stage does, and return
    its verification. Raises UserError.
    """
    config = _config(
        model,
        {"kind": adapter} | ({} if r is None else {"r": r}),
        seed,
        direction={
            "pairs": pairs,
            "method": method,
            "top_k": top_k,
            "noise_floor": noise_floor,
            "drop_quantile": drop_quantile,
        },
    )
    stage = direction_stage(config)
    from awry.gradients.extraction import extract_stage

    with files.writing(directory):
        directory.mkdir(parents=True, exist_ok=True)
        # says later which adapter this direction is one of
        files.atomic_write_json(directory / "stage.json", {"key": stage.key, **stage.identity})
        extract_stage(config, directory, progress=progress)
    write_page(directory, f"Direction of {model}")
    return files.read_json(directory / "verification.json") or {}


def verify(
    file: Path, directory: Path, *, model: str, pairs: str = "builtin", progress: Progress
) -> dict[str, Any]:
    """Verify a saved direction on held-out pairs and write what was seen to `directory`.

    The adapter is that of the `stage.json` beside the file, else of the defaults. Raises UserError
    when the file is none, or is one of another model or adapter.
    """
    from awry.gradients.directions import load_direction
    from awry.gradients.extraction import verify_file
    from awry.tasks.pairs import load_pairs
    from awry.training.loop import open_policy

    loaded = load_direction(file)
    made = (files.read_json(file.parent / "stage.json") or {}).get("params") or {}
    adapter = made.get("adapter") or {"kind": loaded.adapter_kind}
    config = _config(model, adapter, made.get("seed", 0), dtype=made.get("dtype", "auto"))
    given = load_pairs(pairs)
    _, opened, _ = open_policy(config)
    document = verify_file(file, opened, given, progress=progress)
    with files.writing(directory):
        directory.mkdir(parents=True, exist_ok=True)
    files.atomic_write_json(directory / "verification.json", document)
    write_page(directory, file.name)
    return document


def _config(
    model: str,
    adapter: dict[str, Any],
    seed: int,
    *,
    dtype: str = "auto",
    direction: dict[str, Any] | None = None,
) -> RunConfig:
    """The configuration of a run that differs from an experiment's only in that it never trains."""
    document = {
        "name": "extract",
        "model": {"path": model, "dtype": dtype, "adapter": adapter},
        "direction": direction,
        "seeds": [seed],
        "arms": {"direction": {}},
    }
    try:
        (run,) = experiment(document).runs()
    except UserError as error:
        error.fix = error.fix or "see the options of this command with --help"
        raise
    return run
