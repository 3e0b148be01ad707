"""Which problems a run trains on and which are held out for its probe.

The split depends on problem ids alone, so every arm and seed of an experiment holds out the same.
"""

from __future__ import annotations

import hashlib
import json
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from awry.errors import UserError
from awry.models import cache_folder, model_digest
from awry.tasks.kinds import AnyProblem, load_any
from awry.tasks.problems import tier

if TYPE_CHECKING:
    from awry.experiments.spec import Sections


def select(
    config: Sections, model_path: str
) -> tuple[tuple[AnyProblem, ...], tuple[AnyProblem, ...]]:
    """(training problems, held-out problems) of a run. Raises UserError when too few are left."""
    chosen = list(load_any(config.problems.source))
    if config.problems.ids is not None:
        wanted = set(config.problems.ids)
        if missing := wanted - {p.id for p in chosen}:
            raise UserError(
                "no such problem in this source",
                field="problems.ids",
                value=", ".join(sorted(missing)),
                fix="list them with: awry problems list",
            )
        chosen = [p for p in chosen if p.id in wanted]
    if config.problems.tiers is not None:
        tiers = measured_tiers(model_path)
        chosen = [p for p in chosen if tiers.get(p.id) in config.problems.tiers]
    chosen.sort(key=lambda p: hashlib.sha256(p.id.encode()).hexdigest())
    held = config.probe.problems if config.probe else 0
    probing, training = chosen[:held], chosen[held:]
    if config.problems.limit is not None:
        training = training[: config.problems.limit]
    needed = config.training.problems_per_step
    if len(probing) < held or len(training) < needed:
        raise UserError(
            f"{len(chosen)} problems are left, but the probe holds out {held} and a step "
            f"needs {needed}",
            field="problems",
            value=config.problems.model_dump(mode="json"),
            fix="widen tiers or ids, hold out fewer (probe.problems), or lower problems_per_step",
        )
    return tuple(training), tuple(probing)


def measured_here() -> Path:
    """Where `awry problems measure` keeps this user's measurements."""
    return cache_folder() / "measured.json"


def measurements() -> dict[str, Any]:
    """Measured pass rates by model digest: the package's, and this user's over them."""
    shipped = resources.files("awry.tasks") / "catalog" / "measured.json"
    rows = json.loads(shipped.read_text(encoding="utf-8"))
    own = measured_here()
    if not own.exists():
        return rows
    try:
        return {**rows, **json.loads(own.read_text(encoding="utf-8"))}
    except ValueError as error:
        raise UserError(
            f"is not JSON: {error}",
            file=own,
            fix="delete it and measure again: awry problems measure",
        ) from error


def measured_tiers(model_path: str) -> dict[str, str]:
    """Tier by problem id for a model. Raises UserError when it was never measured."""
    digest = model_digest(model_path)
    row = measurements().get(digest)
    if row is None:
        raise UserError(
            "no pass rates were measured for this model, so its problems have no tiers",
            field="problems.tiers",
            value=f"model digest {digest[:16]}",
            fix=f"write `tiers: null`, or measure first: awry problems measure --model {model_path}",
        )
    return {name: tier(*counts) for name, counts in row["passes"].items()}
