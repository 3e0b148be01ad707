"""Interventions inside TRL's trainers, and any other transformers Trainer with a PEFT adapter.

A Trainer clips before any of its callbacks runs, so an intervention in one would work on clipped
gradients. Here the hooks are the optimizer's own: the Trainer's clipping is turned off, and the
Surgeon clips after the intervention, with the Trainer's value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from awry.bridges.overriding import override
from awry.bridges.samples import check_samples, record_samples
from awry.errors import UserError
from awry.gradients import singular
from awry.gradients.adapters import coordinates, lora_layers
from awry.gradients.directions import Direction
from awry.gradients.interventions import Attachment, Intervention, Surgeon, attach

MARK = "awry_attachment"  # on the trainer, while something is attached


def attach_trainer(
    trainer: Any,
    intervention: Intervention | None,
    *,
    meter: Direction | None = None,
    per_sample: bool = False,
) -> Attachment:
    """`awry.gradients.interventions.attach` for a Trainer; call it before `train()`.

    Every log of the Trainer then has the means of the steps since the log before, under the names of
    metrics.jsonl. per_sample (GRPOTrainer): `samples` of the attachment gets one row for every
    completion. Raises UserError, and leaves the trainer as it was, when this cannot be exact.
    """
    _check(trainer, intervention)
    meter = getattr(intervention, "direction", None) if meter is None else meter
    if per_sample:
        check_samples(trainer, meter)
    model, made = trainer.model, trainer.optimizer is None
    if made:
        trainer.create_optimizer()
    attachment = None
    try:
        attachment = attach(
            trainer.optimizer,
            intervention,
            model=model,
            meter=meter,
            max_grad_norm=trainer.args.max_grad_norm or None,
        )
        if per_sample:
            record_samples(trainer, attachment)
    except UserError:
        if attachment is not None:
            attachment.detach()
        if made:
            trainer.optimizer = None
        raise
    for parameters in attachment.surgeon.coordinates.values():
        for parameter in parameters:  # bf16 would swallow small updates (TRL casts some adapters)
            parameter.data = parameter.data.float()
    _faithful_forwards(model, trainer.accelerator.mixed_precision, attachment)
    override(attachment, trainer.args, "max_grad_norm", 0.0)
    override(attachment, trainer, MARK, attachment)
    _log(trainer, attachment)
    return attachment


def _check(trainer: Any, intervention: Intervention | None) -> None:
    if not all(hasattr(trainer, name) for name in ("create_optimizer", "args", "model", "log")):
        raise UserError(
            "neither a torch optimizer nor a Trainer of transformers or TRL",
            field="target",
            value=type(trainer).__name__,
            fix="attach to a trainer, or to an optimizer with model=...",
        )
    if hasattr(trainer, MARK):
        raise UserError(
            "this trainer has an intervention already",
            field="target",
            fix="call detach() of that attachment first",
        )
    coordinates(trainer.model)
    for on, field, value, message, fix in _obstacles(trainer, intervention):
        if on:
            raise UserError(message, field=field, value=value, fix=fix)


def _obstacles(
    trainer: Any, intervention: Intervention | None
) -> list[tuple[bool, str, object, str, str]]:
    """(whether it is in the way, field, value, message, fix)."""
    args, kind = trainer.args, type(intervention)
    sharded = getattr(trainer, "is_deepspeed_enabled", False) or getattr(
        trainer, "is_fsdp_enabled", False
    )
    needs = [
        name
        for name in ("on_rollouts", "on_advantages")
        if intervention is not None and getattr(kind, name) is not getattr(Intervention, name)
    ]
    casts = getattr(args, "use_transformers_continuous_batching", False)
    return [
        (
            bool(sharded),
            "args",
            "DeepSpeed or FSDP",
            "gradients are spread over processes, so a module's is not there to be projected",
            "train on one device, or with plain data parallelism",
        ),
        (
            getattr(trainer, "model_init", None) is not None,
            "model_init",
            None,
            "the trainer makes its model and optimizer anew in train(), without the intervention",
            "pass model= instead of model_init=",
        ),
        (
            bool(casts and (args.bf16 or args.fp16)),
            "use_transformers_continuous_batching",
            True,
            "with bf16 or fp16 it casts the adapter down at every generation: small updates vanish",
            "set bf16=False and load the model in bfloat16, or leave continuous batching off",
        ),
        (
            bool(needs),
            "intervention",
            kind.__name__,
            f"works on rollouts ({', '.join(needs)}), which a trainer does not hand out",
            "use it in awry's own loop (`awry run`)",
        ),
    ]


def _faithful_forwards(model: nn.Module, mixed_precision: str, attachment: Attachment) -> None:
    """Merge where that is exact; elsewhere compute the adapter's branch beside the base.

    In fp32 the merged forward of singular values is exact and follows every step by itself. Under
    autocast fp32 weights that came from a bf16 file would round small updates away. A merged LoRA
    forward (awry's own) has to be told of every step, which no trainer does.
    """
    for layer in singular.layers_of(model).values():
        if layer.basis_u.dtype == torch.float32:
            override(attachment, layer, "merged_forward", mixed_precision == "no")
    for layer in lora_layers(model).values():
        if (merged := getattr(layer, "awry_merged", None)) is not None:
            attachment.on_detach(
                lambda layer=layer, merged=merged: setattr(layer, "awry_merged", merged)
            )
            layer.awry_merged = None


def _log(trainer: Any, attachment: Attachment) -> None:
    """Add the steps' numbers to what the trainer logs."""
    steps: list[dict[str, float]] = []
    surgeon = attachment.surgeon
    optimizer = trainer.optimizer
    while isinstance(inner := getattr(optimizer, "optimizer", None), torch.optim.Optimizer):
        optimizer = inner
    handle = optimizer.register_step_post_hook(lambda *_: steps.append(step_numbers(surgeon)))
    attachment.on_detach(handle.remove)
    original: Callable[..., None] = trainer.log

    def log(logs: dict[str, Any], *rest: Any, **named: Any) -> None:
        if "loss" in logs:  # not an evaluation's, nor the summary at the end
            logs.update(means(steps))
            steps.clear()
        original(logs, *rest, **named)

    override(attachment, trainer, "log", log)


def step_numbers(surgeon: Surgeon) -> dict[str, float]:
    """The last step's, under the names of metrics.jsonl; whatever was not measured is left out."""
    from awry.training.surgery import surgery_metrics

    raw = surgeon.metrics
    row = {name: raw.get(name) for name in ("grad_norm", "grad_norm_projected")}
    row |= surgery_metrics(surgeon, ())
    if not hasattr(surgeon.intervention, "direction"):  # its numbers have names of their own
        row |= {name: value for name, value in raw.items() if name not in row}
    return {name: value for name, value in row.items() if value is not None}


def means(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """Mean of every number over the rows that have it."""
    names = dict.fromkeys(name for row in rows for name in row)
    kept = {name: [row[name] for row in rows if name in row] for name in names}
    return {name: math.fsum(values) / len(values) for name, values in kept.items()}
