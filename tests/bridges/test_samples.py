"""Every completion's cosine in GRPOTrainer: exact, given to the right completion, and free."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("trl", reason="the extra [trl] is not installed")

from small_trl import KINDS, by_length, direction_for, grpo, move, sft
from transformers.pytorch_utils import Conv1D
from trl import GRPOTrainer

import awry.bridges.samples
from awry.errors import UserError
from awry.gradients.adapters import coordinates
from awry.gradients.directions import Direction
from awry.gradients.interventions import Projection, attach


class Watched:
    """A reward that keeps what it sees, in the order of generation, and the weights of the time."""

    def __init__(self) -> None:
        self.trainer: Any = None
        self.seen: list[tuple[list[int], list[int], dict[str, torch.Tensor]]] = []

    __name__ = "watched"

    def __call__(
        self, prompts: list[str], completion_ids: list[list[int]], **_: Any
    ) -> list[float]:
        weights = {n: p.detach().clone() for n, p in trainable(self.trainer).items()}
        for prompt, ids in zip(prompts, completion_ids, strict=True):
            prompt_ids = self.trainer.processing_class(prompt)["input_ids"]
            self.seen.append((list(prompt_ids), list(ids), weights))
        first = len(self.seen) - len(prompts)
        return [  # a step's first group has no advantage
            1.0 if (first + i) % 8 < 4 else reward
            for i, reward in enumerate(by_length(completion_ids))
        ]


def trainable(trainer: Any) -> dict[str, torch.nn.Parameter]:
    return {n: p for n, p in trainer.model.named_parameters() if p.requires_grad}


def alone(trainer: Any, watched: Watched, direction: Direction) -> list[tuple[float, float]]:
    """(cosine, alignment) of every completion's own gradient of mean token NLL, one by one."""
    found = []
    model = trainer.model.eval()
    for prompt, ids, weights in watched.seen:
        with torch.no_grad():
            for name, p in trainable(trainer).items():
                p.copy_(weights[name])
        model.zero_grad()
        logits = model(torch.tensor([prompt + ids])).logits[0, len(prompt) - 1 : -1]
        torch.nn.functional.cross_entropy(logits, torch.tensor(ids)).backward()
        dots, squares = [], []
        for name in direction.axes:
            g = torch.cat([p.grad.flatten() for p in coordinates(model)[name]])  # pyright: ignore
            dots.append(float(g @ direction.principal(name)))
            squares.append(float(g.square().sum()))
        cosines = [d / s**0.5 for d, s in zip(dots, squares, strict=True)]
        found.append((sum(cosines) / len(cosines), sum(dots) / sum(squares) ** 0.5))
    return found


def errors(tmp_path: Path, kind: str, **settings: Any) -> float:
    """Train two steps; the largest difference between recorded cosines and those found alone."""
    watched = Watched()
    trainer = grpo(tmp_path, kind, reward=watched, **settings)
    watched.trainer = trainer
    move(trainer.model)
    direction = direction_for(trainer.model)
    attachment = attach(trainer, Projection(direction, mode="two_sided"), per_sample=True)
    trainer.train()
    attachment.detach()
    expected = alone(trainer, watched, direction)
    rows = attachment.samples
    assert len(rows) == len(expected) == 16
    assert [(r["step"], r["sample_id"]) for r in rows] == [(s, i) for s in (1, 2) for i in range(8)]
    texts = trainer.processing_class.batch_decode(
        [ids for _, ids, _ in watched.seen], skip_special_tokens=True
    )
    assert [r["completion"] for r in rows] == texts
    assert all(r["advantage"] == 0 for r in rows if r["sample_id"] < 4)
    assert any(r["advantage"] < 0 for r in rows)
    return max(
        max(abs(row["cosine"] - cosine), abs(row["alignment"] - aligned))
        for row, (cosine, aligned) in zip(rows, expected, strict=True)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_cosines_are_those_of_each_completion_alone(kind: str, tmp_path: Path) -> None:
    assert errors(tmp_path, kind) < 1e-5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reentrant", [False, True])
def test_gradient_checkpointing(kind: str, reentrant: bool, tmp_path: Path) -> None:
    checkpointing = {"gradient_checkpointing": True}
    checkpointing["gradient_checkpointing_kwargs"] = {"use_reentrant": reentrant}  # pyright: ignore
    assert errors(tmp_path, kind, **checkpointing) < 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_autocast(kind: str, tmp_path: Path) -> None:
    """TRL's default, fp32 weights under bf16 autocast, against fp32."""
    assert errors(tmp_path, kind, bf16=True) < 0.01


def test_sequence_level_ratios(tmp_path: Path) -> None:
    settings = {"loss_type": "grpo", "importance_sampling_level": "sequence"}
    assert errors(tmp_path, "lora", **settings) < 1e-5


def test_layers_must_be_linear(tmp_path: Path) -> None:
    """GPT-2's are transposed, which our LoRA forward does not know."""
    trainer = grpo(tmp_path, "lora")
    direction = direction_for(trainer.model)
    layer = trainer.model.base_model.model.model.layers[0].mlp.up_proj
    layer.base_layer = Conv1D(96, 48)
    with pytest.raises(UserError, match=r"nn\.Linear"):
        attach(trainer, None, meter=direction, per_sample=True)


def test_several_generations_in_a_step(tmp_path: Path) -> None:
    assert errors(tmp_path, "singular_values", steps_per_generation=2) < 1e-5


def test_cosines_go_wrong_when_the_shuffle_is_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the tests above would see if rows did not travel with their completions."""
    from trl.trainer import grpo_trainer

    shuffle = grpo_trainer.shuffle_sequence_dict

    def ignored(batch: dict[str, Any]) -> dict[str, Any]:
        row = batch[awry.bridges.samples.ROW]
        return shuffle(batch) | {awry.bridges.samples.ROW: row}

    monkeypatch.setattr(grpo_trainer, "shuffle_sequence_dict", ignored)
    assert errors(tmp_path, "singular_values") > 1e-2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loss", ["grpo", "dr_grpo", "bnpo", "dapo"])
def test_recording_changes_neither_weights_nor_losses(kind: str, loss: str, tmp_path: Path) -> None:
    ends = []
    for recorded in (False, True):
        trainer = grpo(
            tmp_path, kind, loss_type=loss, optim="sgd", learning_rate=10.0, max_grad_norm=0.0
        )
        move(trainer.model)
        start = {n: p.detach().clone() for n, p in trainable(trainer).items()}
        attach(trainer, None, meter=direction_for(trainer.model), per_sample=recorded)
        trainer.train()
        moved = {n: p.detach() - start[n] for n, p in trainable(trainer).items()}
        ends.append((moved, [r["loss"] for r in trainer.state.log_history if "loss" in r]))
    (plain, losses), (recorded, same) = ends
    assert same == pytest.approx(losses, abs=1e-6)
    assert loss == "grpo" or max(map(abs, losses)) > 1e-3  # else it is zero but for rounding
    for name, step in plain.items():
        assert float(step.norm()) > 0
        assert float((recorded[name] - step).norm()) < 1e-4 * float(step.norm())


def test_completions_without_a_token_in_the_loss_have_no_cosine(tmp_path: Path) -> None:
    trainer = grpo(tmp_path, "lora", mask_truncated_completions=True, max_steps=4)
    direction = direction_for(trainer.model)
    attachment = attach(trainer, None, meter=direction, per_sample=True)
    trainer.train()
    cosines = [row["cosine"] for row in attachment.samples]
    assert len(cosines) == 32
    assert any(c is None for c in cosines)
    measured = [row for row in attachment.samples if row["cosine"] is not None]
    assert all(row["alignment"] is not None for row in measured)


@pytest.mark.parametrize("kind", KINDS)
def test_evaluation_records_nothing(kind: str, tmp_path: Path) -> None:
    trainer = grpo(tmp_path, kind, per_device_eval_batch_size=4)
    attachment = attach(trainer, None, meter=direction_for(trainer.model), per_sample=True)
    trainer.train()
    logged = copy.deepcopy(trainer.state.log_history)
    assert "eval_loss" in trainer.evaluate(eval_dataset=trainer.train_dataset)
    assert len(attachment.samples) == 16
    assert not any(n.startswith("direction") for n in trainer.state.log_history[len(logged)])


@pytest.mark.parametrize(
    ("field", "settings"),
    [
        ("beta", {"beta": 0.1}),
        ("num_iterations", {"num_iterations": 2}),
        ("steps_per_generation", {"steps_per_generation": 8}),
        ("loss_type", {"loss_type": "sapo"}),
        ("delta", {"delta": 0.9}),
        ("top_entropy_quantile", {"top_entropy_quantile": 0.5}),
        ("entropy_coef", {"entropy_coef": 0.01}),
        ("off_policy_mask_threshold", {"off_policy_mask_threshold": 0.5}),
        ("model.adapter", {"adapter": {"lora_dropout": 0.1}}),
        ("model.adapter", {"adapter": {"use_dora": True}}),
        ("model.adapter", {"adapter": {"lora_bias": True}}),
    ],
)
def test_what_would_not_be_exact_is_refused(
    field: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    trainer = grpo(tmp_path, "lora", **settings)
    direction = direction_for(trainer.model)
    with pytest.raises(UserError, match=r"exact|plain LoRA") as error:
        attach(trainer, Projection(direction), per_sample=True)
    assert error.value.field == field
    assert "per_sample" in str(error.value.fix)
    assert trainer.optimizer is None
    assert not any(hasattr(m, "awry_merged") for m in trainer.model.modules())
    attach(trainer, Projection(direction))  # without it there is nothing against it


class OwnLoss(GRPOTrainer):
    def _compute_loss(self, model: Any, inputs: Any) -> torch.Tensor:
        return super()._compute_loss(model, inputs) * 2


def test_other_trainers_are_refused(tmp_path: Path) -> None:
    trainer = sft(tmp_path, "lora")
    with pytest.raises(UserError, match="GRPOTrainer only"):
        attach(trainer, None, meter=direction_for(trainer.model), per_sample=True)
    trainer = grpo(tmp_path, "lora", trainer=OwnLoss)
    with pytest.raises(UserError, match="a loss of its own"):
        attach(trainer, None, meter=direction_for(trainer.model), per_sample=True)
    with pytest.raises(UserError, match="no direction"):
        attach(grpo(tmp_path, "lora"), None, per_sample=True)


def test_everything_wrong_is_said_at_once(tmp_path: Path) -> None:
    trainer = grpo(tmp_path, "lora", beta=0.1, loss_type="cispo")
    with pytest.raises(UserError) as error:
        attach(trainer, None, meter=direction_for(trainer.model), per_sample=True)
    assert [e.field for e in error.value.also] == ["loss_type"]
