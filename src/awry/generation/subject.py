"""A policy with its sampler and what is known of where it comes from: what is examined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from awry.generation.engine import Engine
from awry.models import Policy

Kind = Literal["model", "adapter", "run", "checkpoint"]


@dataclass(frozen=True)
class Origin:
    """The training run that a policy is a checkpoint of."""

    experiment: str
    arm: str
    seed: int
    step: int
    run: str  # its directory


@dataclass(frozen=True)
class Subject:
    """A policy to be examined. adapter: digest of what was trained on top of the model's files."""

    name: str
    policy: Policy
    engine: Engine
    adapter: str | None = None
    kind: Kind = "model"
    origin: Origin | None = None
