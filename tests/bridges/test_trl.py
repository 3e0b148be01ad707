"""Interventions inside TRL's trainers: the same gradients as in our loop, and nothing else changed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import get_peft_model

pytest.importorskip("trl", reason="the extra [trl] is not installed")

from peft.tuners.tuners_utils import BaseTunerLayer
from small_trl import (
    KINDS,
    adapter_config,
    direction_for,
    dpo,
    gradients,
    grpo,
    move,
    sft,
)

from awry.errors import UserError
from awry.generation.engine import Engine, Request, Sampling
from awry.gradients.adapters import attach_lora, attach_singular_values, coordinates
from awry.gradients.interventions import Intervention, Projection, Surgeon, attach
from awry.gradients.singular import layers_of
from awry.models import load_policy
from awry.training.logprobs import packed_logprobs
from awry.training.objective import reduce_loss, token_loss

LONGEST = 24
OVERRIDDEN = {"log", "training_step", "_compute_loss", "_generate_and_score_completions"}


def norm(tensors: dict[str, torch.Tensor]) -> float:
    return math.sqrt(sum(float(t.square().sum()) for t in tensors.values()))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loss", ["grpo", "dr_grpo"])
def test_projected_gradients_are_those_of_our_loop(kind: str, loss: str, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    ours = load_policy("tiny-random", "float32")
    texts = [ours.render([{"role": "user", "content": t}]) for t in ("a", "longer")]
    prompts = [tuple(ours.encode(text)) for text in texts]
    sampled = Engine(ours.model, ours.stop_ids).sample(
        [Request(p, (1, 2, 3)) for p in prompts], Sampling(LONGEST, 1.0)
    )
    ids = [[c.ids for c in group] for group in sampled]
    assert len({len(i) for group in ids for i in group}) > 1
    advantages = torch.randn(6, generator=torch.Generator().manual_seed(5))
    if kind == "lora":
        adapter = attach_lora(ours, r=4, alpha=8, seed=3)
    else:
        adapter = attach_singular_values(ours)
    move(adapter.peft)
    adapter.refresh()

    trainer = grpo(
        tmp_path,
        kind,
        loss_type=loss,
        max_completion_length=LONGEST,
        per_device_train_batch_size=6,
        gradient_accumulation_steps=1,
        num_generations=6,
        max_grad_norm=0.0,
    )
    theirs = trainer.model
    with torch.no_grad():
        for name, parameters in coordinates(theirs).items():
            for p, own in zip(parameters, adapter.modules[name], strict=True):
                p.copy_(own)
    direction = direction_for(theirs)
    assert direction.basis_digest == adapter.basis_digest

    # ours: one packed row per group
    for g, prompt in enumerate(prompts):
        lengths = [len(i) for i in ids[g]]
        logprobs = packed_logprobs(ours.model, [(prompt, ids[g])], 1.0)
        spread = torch.cat([advantages[3 * g + i].expand(n) for i, n in enumerate(lengths)])
        old = logprobs.detach()
        tokens = token_loss(logprobs, old, spread, clip_low=0.2, clip_high=0.2)
        reduce_loss(tokens.loss, lengths, loss=loss, samples=6, max_new_tokens=LONGEST).backward()
    raw = gradients(adapter.peft)
    Surgeon(
        adapter.modules,
        list(adapter.parameters.values()),
        intervention=Projection(direction, mode="two_sided"),
    ).before()

    attach(trainer, Projection(direction, mode="two_sided"))
    trainer.current_gradient_accumulation_steps = 1
    theirs.train()

    def right(rows: list[torch.Tensor], value: float) -> torch.Tensor:
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)

    flat = [torch.tensor(i) for group in ids for i in group]
    width = max(map(len, prompts))
    left = [[2] * (width - len(p)) + list(p) for p in prompts for _ in range(3)]
    left_mask = [[0] * (width - len(p)) + [1] * len(p) for p in prompts for _ in range(3)]
    trainer._compute_loss(
        theirs,
        {
            "prompt_ids": torch.tensor(left),
            "prompt_mask": torch.tensor(left_mask),
            "completion_ids": right(flat, 2),
            "completion_mask": right([torch.ones(len(f), dtype=torch.long) for f in flat], 0),
            "advantages": advantages,
            "num_items_in_batch": torch.tensor(float(sum(map(len, flat)))),
        },
    ).backward()
    assert trainer.optimizer is not None
    trainer.optimizer.step()

    expected, found = gradients(adapter.peft), gradients(theirs)
    assert len(found) == 14
    for name, g in expected.items():
        length = float(g.norm())
        assert length > 1e-4, "the gradients must not be trivially zero"
        assert float((found[name] - g).norm()) < 1e-5 * length
        if name in direction.axes:
            assert float((raw[name] - g).norm()) > 0.01 * length, "something was projected off"


@pytest.mark.parametrize("kind", KINDS)
def test_projection_comes_before_clipping(kind: str, tmp_path: Path) -> None:
    """One step for every accumulated batch; afterwards the gradient has no part along v."""
    trainer = grpo(tmp_path, kind, max_grad_norm=1e-3)
    direction = direction_for(trainer.model)
    attachment = attach(trainer, Projection(direction, mode="two_sided"))
    seen: list[dict[str, torch.Tensor]] = []
    assert trainer.optimizer is not None
    trainer.optimizer.register_step_pre_hook(lambda *_: seen.append(gradients(trainer.model)))
    trainer.train()
    assert len(seen) == len(attachment.history) == 2
    for g, row in zip(seen, attachment.history, strict=True):
        assert norm(g) == pytest.approx(1e-3, rel=1e-4)
        for name, axes in direction.axes.items():
            assert float((axes @ g[name]).abs().max()) < 1e-6 * float(g[name].norm())
        assert row["grad_norm"] > row["grad_norm_projected"] > 1e-3  # pyright: ignore
    log = trainer.state.log_history[0]
    assert log["grad_norm"] == pytest.approx(attachment.history[0]["grad_norm"])
    assert log["direction_cosine_in"] == attachment.history[0]["direction_cosine_in"]
    assert 0 < log["direction_removed_share"] < 1
    assert log["direction_fired_share"] == 1
    assert abs(log["direction_cosine_out"]) < 1e-6


def test_update_projection_leaves_no_leak(tmp_path: Path) -> None:
    """AdamW puts back what was taken out of the gradient, not what was taken out of the update."""
    leaks = {}
    for at in ("gradient", "update"):
        trainer = grpo(tmp_path, "singular_values", max_steps=5)
        projection = Projection(direction_for(trainer.model), mode="two_sided", at=at)  # pyright: ignore
        attachment = attach(trainer, projection)
        trainer.train()
        leaks[at] = max(abs(row["direction_leak"] or 0) for row in attachment.history)
        assert len(attachment.history) == 5
    assert leaks["update"] <= 1e-6
    assert leaks["gradient"] > 1e-3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("make", [sft, dpo])
def test_supervised_trainers(make: Any, kind: str, tmp_path: Path) -> None:
    trainer = make(tmp_path, kind)
    attach(trainer, Projection(direction_for(trainer.model)))
    trainer.train()
    logs = [row for row in trainer.state.log_history if "loss" in row]
    assert len(logs) == 2
    for row in logs:
        for name in ("direction_cosine_in", "direction_leak", "direction_removed_share"):
            assert math.isfinite(row[name])
        assert row["grad_norm"] >= row["grad_norm_projected"] > 0


def test_logs_have_the_means_of_their_steps(tmp_path: Path) -> None:
    trainer = sft(tmp_path, "singular_values", max_steps=5, logging_steps=2)
    attachment = attach(trainer, None, meter=direction_for(trainer.model))
    trainer.train()
    logs = [row for row in trainer.state.log_history if "loss" in row]
    values = [row["direction_cosine_in"] or 0.0 for row in attachment.history]
    assert len(values) == 5
    assert [row["direction_cosine_in"] for row in logs] == pytest.approx(
        [(values[0] + values[1]) / 2, (values[2] + values[3]) / 2]
    )


@pytest.mark.parametrize("kind", KINDS)
def test_without_intervention_training_is_unchanged(kind: str, tmp_path: Path) -> None:
    """The clipping that was taken over is the Trainer's own."""
    ends = []
    for measured in (False, True):
        # not AdamW, which makes much of rounding where a gradient is nearly zero
        trainer = sft(
            tmp_path, kind, max_grad_norm=0.05, max_steps=4, optim="sgd", learning_rate=1.0
        )
        move(trainer.model)
        if measured:
            attachment = attach(trainer, None, meter=direction_for(trainer.model))
        trainer.train()
        ends.append({n: p.detach().clone() for n, p in trainer.model.named_parameters()})
    before, after = ends
    for name, p in before.items():
        assert float((after[name] - p).abs().max()) < 1e-6
    assert min(row["grad_norm"] or 0 for row in attachment.history) > 0.05, "it must have clipped"
    assert len(attachment.history) == 4


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("trained", [False, True])
def test_detach_restores(kind: str, trained: bool, tmp_path: Path) -> None:
    trainer = grpo(tmp_path, kind, max_grad_norm=0.7)
    model = trainer.model
    layers = {n: m for n, m in model.named_modules() if isinstance(m, BaseTunerLayer)}
    assert len(layers) == 14
    forwards = {n: set(vars(m)) | set(m._buffers) for n, m in layers.items()}
    attachment = attach(trainer, None, meter=direction_for(model), per_sample=True)
    assert trainer.args.max_grad_norm == 0
    with pytest.raises(UserError, match="already"):
        attach(trainer, None, meter=direction_for(model))
    if trained:
        trainer.train()
    steps = len(attachment.history)
    attachment.detach()
    assert trainer.args.max_grad_norm == 0.7
    assert not (OVERRIDDEN | {"awry_attachment"}) & set(vars(trainer))
    for name, module in layers.items():
        assert set(vars(module)) | set(module._buffers) == forwards[name]
        assert getattr(module, "recorder", None) is None
        assert not getattr(module, "merged_forward", False)
    trainer.train()
    assert len(attachment.history) == steps
    assert "direction_cosine_in" not in trainer.state.log_history[-2]
    attach(trainer, None, meter=direction_for(model)).detach()


def test_direction_that_does_not_fit(tmp_path: Path) -> None:
    trainer = grpo(tmp_path, "singular_values", max_grad_norm=0.7)
    fits = direction_for(trainer.model)
    wrong = direction_for(trainer.model, basis_digest="0" * 64)
    with pytest.raises(UserError, match="another model or adapter") as error:
        attach(trainer, Projection(wrong))
    assert error.value.fix
    other = direction_for(grpo(tmp_path, "lora").model)
    with pytest.raises(UserError, match="another kind of adapter"):
        attach(trainer, Projection(other))
    with pytest.raises(UserError, match="another kind of adapter"):
        attach(trainer, Projection(fits), meter=other)
    assert trainer.optimizer is None
    assert trainer.args.max_grad_norm == 0.7
    assert "log" not in vars(trainer)
    attach(trainer, Projection(fits))


class OnAdvantages(Intervention):
    def on_advantages(self, advantages: torch.Tensor, rollouts: Any) -> torch.Tensor:
        return advantages


def test_what_cannot_work_is_refused(tmp_path: Path) -> None:
    trainer = grpo(tmp_path, "singular_values")
    with pytest.raises(UserError, match="on_advantages"):
        attach(trainer, OnAdvantages())
    with pytest.raises(UserError, match="has its own"):
        attach(trainer, None, max_grad_norm=1.0)
    with pytest.raises(UserError, match="neither"):
        attach(object(), None)
    trainer.args.use_transformers_continuous_batching = True
    trainer.args.bf16 = True
    with pytest.raises(UserError, match="casts the adapter"):
        attach(trainer, Projection(direction_for(trainer.model)))
    trainer = grpo(tmp_path, "singular_values")
    trainer.is_deepspeed_enabled = True
    with pytest.raises(UserError, match="over processes"):
        attach(trainer, Projection(direction_for(trainer.model)))
    policy = load_policy("tiny-random", "float32")
    trainer = grpo(tmp_path, "singular_values")
    trainer.model = policy.model
    with pytest.raises(UserError, match="no LoRA or singular-value adapter"):
        attach(trainer, None)


def test_optimizer_that_trains_something_else(tmp_path: Path) -> None:
    trainer = grpo(tmp_path, "singular_values")
    trainer.optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 0.1)
    with pytest.raises(UserError, match="does not train this model's adapter"):
        attach(trainer, Projection(direction_for(trainer.model)))
    parameters = [p for p in trainer.model.parameters() if p.requires_grad]
    trainer.optimizer = torch.optim.SGD(parameters, 0.1)
    attachment = attach(trainer, Projection(direction_for(trainer.model)))
    trainer.train()
    assert len(attachment.history) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_adapters_cast_to_bf16_are_trained_in_fp32(kind: str, tmp_path: Path) -> None:
    trainer = grpo(tmp_path, kind)
    for p in trainer.model.parameters():
        if p.requires_grad:
            p.data = p.data.bfloat16()
    attachment = attach(trainer, Projection(direction_for(trainer.model)))
    trainer.train()
    assert len(attachment.history) == 2
    assert {p.dtype for p in trainer.model.parameters() if p.requires_grad} == {torch.float32}


@pytest.mark.parametrize("kind", KINDS)
def test_adapters_made_by_awry(kind: str, tmp_path: Path) -> None:
    """awry's merged LoRA forward would go stale in a trainer: there the branch is computed."""
    torch.set_num_threads(1)
    policy = load_policy("tiny-random", "float32")
    if kind == "lora":
        adapter = attach_lora(policy, r=4, alpha=8, merged=True)
    else:
        adapter = attach_singular_values(policy)
    model = adapter.peft
    assert model is not None
    move(model)
    adapter.refresh()
    ends = []
    plain = get_peft_model(load_policy("tiny-random", "float32").model, adapter_config(kind))  # pyright: ignore
    with torch.no_grad():
        for name, parameters in coordinates(plain).items():
            for p, own in zip(parameters, adapter.modules[name], strict=True):
                p.copy_(own)
    for trained in (plain, model):
        trainer = sft(tmp_path, model=trained, optim="sgd", learning_rate=1.0, max_steps=3)
        direction = direction_for(trained)
        assert direction.basis_digest == adapter.basis_digest
        attachment = attach(trainer, Projection(direction, mode="two_sided"))
        trainer.train()
        attachment.detach()
        found = coordinates(trained)
        ends.append(torch.cat([p.detach().flatten() for ps in found.values() for p in ps]))
    assert float((ends[0] - ends[1]).abs().max()) < 1e-6
    ids = torch.arange(3, 23)[None]
    adapter.refresh()
    with torch.no_grad():
        assert torch.allclose(model.eval()(ids).logits, plain.eval()(ids).logits, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_autocast(kind: str, tmp_path: Path) -> None:
    """TRL's default, fp32 weights under bf16 autocast: near fp32, and small updates are kept."""
    found = {}
    for bf16 in (False, True):
        trainer = sft(tmp_path, kind, bf16=bf16, max_steps=1)
        move(trainer.model)
        attach(trainer, None, meter=direction_for(trainer.model))
        merged = {layer.merged_forward for layer in layers_of(trainer.model).values()}
        assert merged == ({not bf16} if kind == "singular_values" else set())
        trainer.optimizer.register_step_pre_hook(
            lambda *_, bf16=bf16, model=trainer.model: found.update({bf16: gradients(model)})
        )
        trainer.train()
    exact, rounded = (torch.cat(list(found[bf16].values())) for bf16 in (False, True))
    assert float((exact - rounded).norm() / exact.norm()) < 0.03


def test_any_torch_optimizer(tmp_path: Path) -> None:
    from accelerate import Accelerator

    policy = load_policy("tiny-random", "float32")
    model = attach_singular_values(policy).peft
    direction = direction_for(model)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.01)  # pyright: ignore
    wrapped = Accelerator(cpu=True).prepare_optimizer(optimizer)
    for target in (optimizer, wrapped):
        attachment = attach(
            target, Projection(direction, mode="two_sided"), model=model, max_grad_norm=1e-3
        )
        ids = torch.arange(3, 23)[None]
        policy.model(ids, labels=ids).loss.backward()
        target.step()
        g = gradients(model)
        assert norm(g) == pytest.approx(1e-3, rel=1e-4)
        assert abs(attachment.metrics["direction_cosine_out"] or 0) < 1e-6
        attachment.detach()
        target.step()
        assert len(attachment.history) == 1
        target.zero_grad()
    with pytest.raises(UserError, match="does not know its modules"):
        attach(optimizer, Projection(direction))
    with pytest.raises(UserError, match="single completions"):
        attach(optimizer, Projection(direction), model=model, per_sample=True)
