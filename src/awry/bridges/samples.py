"""Every completion's own cosine in TRL's GRPOTrainer, in its one backward.

At ratio 1 and without a KL term TRL's loss is linear in the advantages: sum_b A_b L_b. The backward
is run on sum_b L_b, so that completions without an advantage have a gradient too, and the Recorder
hands the parameters sum_b A_b grad L_b, which is the training gradient. L_b is the completion's NLL
times a positive number (its length and the loss type give it), to which cosines are blind.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor, nn

from awry.bridges.overriding import override
from awry.errors import UserError
from awry.gradients.adapters import lora_layers, set_recorder
from awry.gradients.directions import Direction
from awry.gradients.interventions import Attachment
from awry.gradients.per_sample import Components, Recorder, alignment, module_cosines
from awry.gradients.singular import layers_of

LINEAR = ("grpo", "dr_grpo", "bnpo", "dapo")
ROW = "awry_row"  # travels through TRL's shuffle and split with its completion


def check_samples(trainer: Any, meter: Direction | None) -> None:
    """Raises UserError with everything that stands in the way of exact cosines."""
    from trl import GRPOTrainer  # pyright: ignore[reportPrivateImportUsage]

    if not isinstance(trainer, GRPOTrainer):
        raise UserError(
            "single completions can be recorded in TRL's GRPOTrainer only",
            field="per_sample",
            value=type(trainer).__name__,
            fix="leave per_sample out: the cosines of the whole gradient are logged anyway",
        )
    if meter is None:
        raise UserError(
            "there is no direction that cosines could be taken with",
            field="meter",
            fix="pass meter=load_direction(...)",
        )
    if type(trainer)._compute_loss is not GRPOTrainer._compute_loss:
        raise UserError(
            "this trainer has a loss of its own, which may not be linear in the advantages",
            field="per_sample",
            value=type(trainer).__name__,
            fix="use GRPOTrainer itself, or leave per_sample out",
        )
    found = _nonlinear_settings(trainer)
    if found:
        found[0].also = tuple(found[1:])
        raise found[0]
    for name, layer in lora_layers(trainer.model).items():  # pyright: ignore[reportArgumentType]
        if not isinstance(layer.get_base_layer(), nn.Linear):
            raise UserError(
                "per-sample gradients need LoRA on nn.Linear layers",
                field="peft_config.target_modules",
                value=f"{name} is {type(layer.get_base_layer()).__name__}",
                fix="adapt other modules, or leave per_sample out",
            )


def _nonlinear_settings(trainer: Any) -> list[UserError]:
    """What makes a completion's part in the loss more than its advantage times its own gradient."""
    args = trainer.args
    reused = args.gradient_accumulation_steps % args.steps_per_generation != 0
    corrected = args.use_vllm and args.vllm_importance_sampling_correction
    entropy = args.entropy_coef or args.use_adaptive_entropy
    settings = [
        (args.beta != 0, "beta", "set beta=0.0"),
        (args.num_iterations > 1, "num_iterations", "set num_iterations=1"),
        (
            reused,
            "steps_per_generation",
            f"set steps_per_generation={args.gradient_accumulation_steps}, as many as "
            "gradient_accumulation_steps",
        ),
        (args.loss_type not in LINEAR, "loss_type", f"use one of {', '.join(LINEAR)}"),
        (args.delta is not None and args.delta < 1, "delta", "set delta above 1, or None"),
        (args.top_entropy_quantile < 1, "top_entropy_quantile", "set it to 1.0"),
        (entropy, "entropy_coef", "set entropy_coef=0.0 and use_adaptive_entropy=False"),
        (
            args.off_policy_mask_threshold is not None,
            "off_policy_mask_threshold",
            "set it to None",
        ),
        (
            corrected,
            "vllm_importance_sampling_correction",
            "set vllm_importance_sampling_correction=False",
        ),
        (trainer.aux_loss_enabled, "router_aux_loss_coef", "set router_aux_loss_coef=0.0"),
    ]
    return [
        UserError(
            "with this a completion's part in the loss is more than its advantage times its own "
            "gradient, so per_sample could not be exact",
            field=field,
            value=getattr(args, field),
            fix=f"{fix}, or leave per_sample out",
        )
        for on, field, fix in settings
        if on
    ]


def record_samples(trainer: Any, attachment: Attachment) -> None:
    """Fill `attachment.samples` while the trainer trains: see `_Samples`. Raises UserError for LoRA
    that computes more than W x + s B A x."""
    samples, model = _Samples(trainer, attachment), trainer.model
    foreign = [layer for layer in lora_layers(model).values() if not _adopted(layer)]
    attachment.on_detach(lambda: _leave(model, foreign))
    set_recorder(model, samples.recorder)
    for name in ("_generate_and_score_completions", "_compute_loss", "training_step"):
        override(attachment, trainer, name, getattr(samples, name.lstrip("_")))


def _adopted(layer: Any) -> bool:
    return hasattr(layer, "awry_merged")


def _leave(model: nn.Module, foreign: list[Any]) -> None:
    """No recording any more; PEFT's layers get their own forward back."""
    for layer in (*layers_of(model).values(), *filter(_adopted, lora_layers(model).values())):
        layer.recorder = None
    for layer in filter(_adopted, foreign):
        del layer.forward, layer.awry_merged, layer.awry_packed, layer.recorder, layer.module_name


class _Samples:
    """Three of GRPOTrainer's methods, with the originals inside.

    Rows of `attachment.samples`: step (that of the trainer's log), sample_id (number within the
    step in the order in which completions are generated and reward functions see them), completion,
    advantage, cosine and alignment (None where no token of the completion counts in the loss).
    """

    def __init__(self, trainer: Any, attachment: Attachment) -> None:
        self.trainer, self.attachment = trainer, attachment
        meter = attachment.surgeon.meter
        assert meter is not None
        self.meter = meter
        self.recorder = Recorder(Components(meter.axes))
        self.rows: list[int] = []
        self.generate = trainer._generate_and_score_completions
        self.loss = trainer._compute_loss
        self.step = trainer.training_step

    def generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
        batch = self.generate(inputs)
        if not self.trainer.model.training:
            return batch
        advantages: Tensor = batch["advantages"]
        if advantages.dim() != 1 or "pixel_values" in batch:
            raise UserError(
                "cosines need one advantage for each completion, and text alone",
                field="per_sample",
                value=f"advantages {list(advantages.shape)}",
                fix="leave per_sample out",
            )
        samples, step = self.attachment.samples, self.trainer.state.global_step + 1
        texts = self.trainer.processing_class.batch_decode(
            batch["completion_ids"], skip_special_tokens=True
        )
        accelerator, first = self.trainer.accelerator, len(samples)
        earlier = itertools.takewhile(lambda row: row["step"] == step, reversed(samples))
        before = len(list(earlier)) * accelerator.num_processes
        offset = before + accelerator.process_index * len(texts)
        for i, (text, advantage) in enumerate(zip(texts, advantages.tolist(), strict=True)):
            row = {"step": step, "sample_id": offset + i, "completion": text}
            samples.append(row | {"advantage": advantage, "cosine": None, "alignment": None})
        batch[ROW] = torch.arange(first, len(samples), device=advantages.device)
        return batch

    def compute_loss(self, model: nn.Module, inputs: dict[str, Any]) -> Tensor:
        inputs = dict(inputs)
        rows = inputs.pop(ROW, None)
        if rows is None:
            return self.loss(model, inputs)
        advantages = inputs["advantages"]
        inputs["advantages"] = ones = torch.ones_like(advantages).requires_grad_()
        loss = self.loss(model, inputs)
        (parts,) = torch.autograd.grad(loss, ones, retain_graph=True)  # what each L_b is
        tokens = inputs["prompt_ids"].shape[1] + inputs["completion_ids"].shape[1]
        self.recorder.sink = Components(self.meter.axes)
        self.recorder.start([tokens] * len(advantages), advantages)
        self.rows = rows.tolist()
        return loss + ((parts * advantages).sum() - loss).detach()

    def training_step(self, *args: Any, **kwargs: Any) -> Tensor:
        loss = self.step(*args, **kwargs)
        if self.recorder.active:
            self.recorder.stop()
            self._collect()
        return loss

    def _collect(self) -> None:
        seen = self.recorder.sink
        assert isinstance(seen, Components)
        dots = [seen.along(name) @ self.meter.weights(name) for name in self.meter.axes]
        squares = seen.squares()
        cosines = module_cosines(torch.stack(dots, 1), squares).mean(1)
        aligned = alignment(torch.stack(dots, 1), squares)
        for i, row in enumerate(self.rows):
            if squares[i].any():
                values = {"cosine": float(cosines[i]), "alignment": float(aligned[i])}
                self.attachment.samples[row].update(values)
