"""One optimizer update from a step's rollouts: backward in micro-batches, clip, step.

Students and teachers go through the model in micro-batches of their own, so that their gradients
can be told apart; completions that carry no signal are not computed at all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from awry.gradients.adapters import Adapter
from awry.training.guards import finite
from awry.training.logprobs import packed_logprobs
from awry.training.objective import k3, reduce_loss, token_loss
from awry.training.rollouts import Rollout

if TYPE_CHECKING:
    from awry.experiments.spec import TrainingConfig


TOKENS = 1024  # of a micro-batch: enough for full-speed products, about 3 GB of activations


@dataclass
class Update:
    """What one update did. Norms are of raw gradients, before clipping; gap: mean absolute
    difference of sampler's and trainer's log-probabilities over the students' tokens."""

    loss: float = 0.0
    grad_norm: float = 0.0
    grad_norm_student: float = 0.0
    grad_norm_teacher: float = 0.0
    teacher_gradient_share: float | None = None
    clip_fraction: float = 0.0
    sampler_logp_gap: float | None = None
    kl: float | None = None
    lr: float = 0.0
    optimizer_step: bool = False
    finite: bool = True
    tokens: int = 0


@dataclass
class _Sums:
    """Running sums over the micro-batches of one pass."""

    loss: float = 0.0
    clipped: float = 0.0
    tokens: int = 0
    gap: float = 0.0
    gap_tokens: int = 0
    kl: float = 0.0
    kl_tokens: int = 0
    parts: dict[str, list[Tensor]] = field(default_factory=dict)


def learning_rate(config: TrainingConfig, step: int) -> float:
    """Peak rate times warm-up and schedule at a zero-based step."""
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    along = (step - config.warmup) / max(1, config.steps - config.warmup)
    match config.lr_schedule:
        case "linear":
            return config.lr * (1 - along)
        case "cosine":
            return config.lr * 0.5 * (1 + math.cos(math.pi * along))
    return config.lr


def update(
    adapter: Adapter,
    optimizer: torch.optim.Optimizer,
    rollouts: Sequence[Rollout],
    config: TrainingConfig,
    *,
    step: int,
    teacher_ratio: str = "detached",
) -> Update:
    """Take `config.iterations` optimizer passes over a step's rollouts.

    A pass in which no completion has an advantage (and beta is 0) leaves every weight and the
    optimizer's state untouched. teacher_ratio: `pool` takes the teacher's stored log-probabilities
    as the old policy's, `detached` the trained policy's own (ratio 1).
    """
    result = Update(lr=learning_rate(config, step))
    live = [r for r in rollouts if r.advantage is not None]
    carries = [r for r in live if r.advantage or config.beta > 0]
    if not carries:
        return result
    for group in optimizer.param_groups:
        group["lr"] = result.lr
    old: dict[int, Tensor] = {}  # log-probabilities before the first pass, by rollout
    for iteration in range(config.iterations):
        optimizer.zero_grad(set_to_none=True)
        sums = _Sums()
        for part in ("teacher", "student"):
            own = [r for r in carries if r.teacher == (part == "teacher")]
            for batch in micro_batches(own):
                _backward(adapter, batch, config, len(live), old, sums, teacher_ratio)
            sums.parts[part] = [
                torch.zeros_like(p) if p.grad is None else p.grad.detach().clone()
                for p in adapter.parameters.values()
            ]
        _account(result, sums, first=iteration == 0)
        result.finite = finite(result.loss, result.grad_norm)
        if not result.finite:
            optimizer.zero_grad(set_to_none=True)
            return result
        if config.max_grad_norm is not None:
            torch.nn.utils.clip_grad_norm_(list(adapter.parameters.values()), config.max_grad_norm)
        optimizer.step()
        adapter.refresh()
        result.optimizer_step = True
    optimizer.zero_grad(set_to_none=True)
    return result


def micro_batches(rollouts: Sequence[Rollout]) -> list[list[list[Rollout]]]:
    """Groups, each with its rollouts of one kind, together up to `TOKENS` tokens."""
    groups: dict[int, list[Rollout]] = {}
    for r in rollouts:
        groups.setdefault(r.group, []).append(r)
    batches: list[list[list[Rollout]]] = []
    room = 0
    for _, rows in sorted(groups.items()):
        size = len(rows[0].prompt_ids) + sum(len(r.ids) for r in rows)
        if not batches or size > room:
            batches.append([])
            room = TOKENS
        batches[-1].append(rows)
        room -= size
    return batches


def _backward(
    adapter: Adapter,
    batch: list[list[Rollout]],
    config: TrainingConfig,
    samples: int,
    old: dict[int, Tensor],
    sums: _Sums,
    teacher_ratio: str,
) -> None:
    """Add one micro-batch (groups of rollouts, each sharing its prompt) to the gradients."""
    model = adapter.policy.model
    rows = [r for group in batch for r in group]
    lengths = [len(r.ids) for r in rows]
    packed = [(group[0].prompt_ids, [r.ids for r in group]) for group in batch]
    reference = None
    if config.beta > 0:
        with adapter.reference() as base, torch.no_grad():
            reference = packed_logprobs(base, packed, config.temperature)
    logprobs = packed_logprobs(model, packed, config.temperature)
    before = []
    for r, own in zip(rows, logprobs.detach().split(lengths), strict=True):
        stored = r.teacher and teacher_ratio == "pool"
        start = torch.tensor(r.logprobs, device=own.device) if stored else own
        before.append(old.setdefault(id(r), start))
        if not r.teacher and r.logprobs is not None and before[-1] is own:
            sums.gap += float((own.cpu() - torch.tensor(r.logprobs)).abs().sum())
            sums.gap_tokens += len(own)
    advantages = torch.cat(
        [logprobs.new_full((n,), r.advantage or 0.0) for r, n in zip(rows, lengths, strict=True)]
    )
    tokens = token_loss(
        logprobs,
        torch.cat(before),
        advantages,
        clip_low=config.clip,
        clip_high=config.clip if config.clip_high is None else config.clip_high,
        beta=config.beta,
        reference=reference,
    )
    loss = reduce_loss(
        tokens.loss,
        lengths,
        loss=config.loss,
        samples=samples,
        max_new_tokens=config.max_new_tokens,
    )
    loss.backward()
    sums.loss += loss.item()
    sums.clipped += tokens.clipped.sum().item()
    sums.tokens += len(logprobs)
    if tokens.kl is not None and not rows[0].teacher:
        sums.kl += tokens.kl.sum().item()
        sums.kl_tokens += len(logprobs)


def _account(result: Update, sums: _Sums, *, first: bool) -> None:
    """Norms and shares. Teachers went first: the final gradient minus theirs is the students'."""
    teacher = sums.parts["teacher"]
    total = sums.parts["student"]  # gradients accumulate, so this is the sum of both
    norm_total = _dot(total, total)
    result.loss = sums.loss
    result.grad_norm = math.sqrt(norm_total)
    result.clip_fraction = sums.clipped / sums.tokens
    if not first:
        return
    result.tokens = sums.tokens
    student = [a - b for a, b in zip(total, teacher, strict=True)]
    result.grad_norm_student = math.sqrt(_dot(student, student))
    result.grad_norm_teacher = math.sqrt(_dot(teacher, teacher))
    if norm_total > 0 and any(t.any() for t in teacher):
        result.teacher_gradient_share = _dot(teacher, total) / norm_total
    if sums.gap_tokens:
        result.sampler_logp_gap = sums.gap / sums.gap_tokens
    if sums.kl_tokens:
        result.kl = sums.kl / sums.kl_tokens


def _dot(a: list[Tensor], b: list[Tensor]) -> float:
    return float(sum(torch.sum(x.double() * y.double()) for x, y in zip(a, b, strict=True)))


@torch.inference_mode()
def sampled_kl(adapter: Adapter, rollouts: Sequence[Rollout], temperature: float) -> float | None:
    """KL(policy || reference), nats per token: k3 over the first student completion of each group.

    The policy's side is what the sampler recorded.
    """
    first = [r for r in rollouts if not r.teacher and r.index == 0 and r.logprobs is not None]
    if not first:
        return None
    with adapter.reference() as base:
        packed = [(r.prompt_ids, [r.ids]) for r in first]
        reference = packed_logprobs(base, packed, temperature)
    policy = torch.tensor([x for r in first for x in r.logprobs or ()], device=reference.device)
    return k3(policy, reference).mean().item()
