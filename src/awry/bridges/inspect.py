"""Inspect (inspect_ai) finds our policies through this module: the model provider `awry/POLICY`.

Inspect loads it with every command it runs, so what is heavy waits until a policy is wanted.
"""

# pyright: reportMissingImports=false
# (an optional extra, too large for everybody's installation)
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inspect_ai.model import GenerateConfig, Model, ModelAPI, get_model, modelapi

if TYPE_CHECKING:
    from awry.generation.subject import Subject


@modelapi(name="awry")
def awry() -> type[ModelAPI]:
    from awry.bridges.inspect_policy import PolicyAPI

    return PolicyAPI


def inspect_model(subject: Subject, **config: Any) -> Model:
    """A policy that is loaded here as a model for `inspect_ai.eval`. config: of GenerateConfig.

    Not kept by Inspect: its memory of models does not tell two policies of one name apart.
    """
    return get_model(
        f"awry/{subject.name}", config=GenerateConfig(**config), memoize=False, subject=subject
    )
