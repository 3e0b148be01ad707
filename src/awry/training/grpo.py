"""One optimizer update from a step's rollouts: backward in micro-batches, intervene, clip, step.

Students and teachers go through the model in micro-batches of their own, so that their gradients
can be told apart; completions that carry no signal are not computed at all, unless every
completion's own gradient is recorded. Then no two share a prompt's computation: what flows back
into a shared prompt could not be told apart.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from awry.gradients.adapters import Adapter
from awry.gradients.interventions import Surgeon
from awry.gradients.per_sample import Components, Recorder, alignment, module_cosines
from awry.training.guards import finite
from awry.training.logprobs import batches, packed_logprobs
from awry.training.objective import k3, reduce_loss, token_loss
from awry.training.rollouts import Rollout

if TYPE_CHECKING:
    from awry.experiments.spec import TrainingConfig


@dataclass
class Update:
    """What one update did. Norms are of raw gradients, before intervention and clipping; gap: mean
    absolute difference of sampler's and trainer's log-probabilities over the students' tokens.
    rollouts: those given, with their cosines where they were recorded."""

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
    rollouts: list[Rollout] = field(default_factory=list)


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
    surgeon: Surgeon | None = None,
    record: bool = False,
) -> Update:
    """Take `config.iterations` optimizer passes over a step's rollouts.

    A pass in which no completion has an advantage (and beta is 0) leaves every weight and the
    optimizer's state untouched. teacher_ratio: `pool` takes the teacher's stored log-probabilities
    as the old policy's, `detached` the trained policy's own (ratio 1). surgeon: intervenes, measures
    and clips; None only clips. record: measure every completion's cosine with the surgeon's meter.
    """
    result = Update(lr=learning_rate(config, step), rollouts=list(rollouts))
    if surgeon is None:
        parameters = list(adapter.parameters.values())
        surgeon = Surgeon({}, parameters, max_grad_norm=config.max_grad_norm)
    surgeon.metrics = {}
    live = [r for r in rollouts if r.advantage is not None]
    carries = [r for r in live if r.advantage or config.beta > 0]
    recording = None
    if record and surgeon.meter is not None:
        recording = _Recording(Components(surgeon.meter.axes))
    if not carries and recording is None:
        return result
    for group in optimizer.param_groups:
        group["lr"] = result.lr
    old: dict[int, Tensor] = {}  # log-probabilities before the first pass, by rollout
    for iteration in range(config.iterations if carries else 1):
        optimizer.zero_grad(set_to_none=True)
        sums = _Sums()
        now = recording if iteration == 0 else None
        for part in ("teacher", "student"):
            wanted = rollouts if now else carries
            own = [r for r in wanted if r.teacher == (part == "teacher")]
            for batch in micro_batches(own, shared=now is None):
                _backward(adapter, batch, config, len(live), old, sums, teacher_ratio, now)
            sums.parts[part] = [
                torch.zeros_like(p) if p.grad is None else p.grad.detach().clone()
                for p in adapter.parameters.values()
            ]
        if now is not None:
            result.rollouts = _with_cosines(rollouts, now, surgeon)
        if not carries:
            break
        _account(result, sums, first=iteration == 0)
        result.finite = finite(result.loss, result.grad_norm)
        if not result.finite:
            optimizer.zero_grad(set_to_none=True)
            return result
        surgeon.before()
        optimizer.step()
        surgeon.after()
        adapter.refresh()
        result.optimizer_step = True
    optimizer.zero_grad(set_to_none=True)
    return result


@dataclass
class _Recording:
    """Per-sample gradients of one pass, reduced as they come; order: the rollouts behind the rows."""

    sink: Components
    order: list[Rollout] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.recorder = Recorder(self.sink)


def _with_cosines(
    rollouts: Sequence[Rollout], recording: _Recording, surgeon: Surgeon
) -> list[Rollout]:
    meter = surgeon.meter
    assert meter is not None
    dots = torch.stack([recording.sink.along(name) @ meter.weights(name) for name in meter.axes], 1)
    squares = recording.sink.squares()
    cosines, aligned = module_cosines(dots, squares), alignment(dots, squares)
    row_of = {id(r): i for i, r in enumerate(recording.order)}
    found = []
    for r in rollouts:
        i = row_of[id(r)]
        found.append(
            replace(
                r,
                cosine=float(cosines[i].mean()),
                alignment=float(aligned[i]),
                cosine_modules=tuple(cosines[i].tolist()),
            )
        )
    return found


def micro_batches(rollouts: Sequence[Rollout], *, shared: bool = True) -> list[list[list[Rollout]]]:
    """Groups, each with its rollouts of one kind, cut as `batches` does. Not shared: every
    rollout is a group of its own, with its own copy of the prompt."""
    groups: dict[tuple[int, int], list[Rollout]] = {}
    for r in rollouts:
        groups.setdefault((r.group, -1 if shared else r.index), []).append(r)
    ordered = [rows for _, rows in sorted(groups.items())]
    sizes = [len(rows[0].prompt_ids) + sum(len(r.ids) for r in rows) for rows in ordered]
    return [[ordered[i] for i in chosen] for chosen in batches(sizes)]


def _backward(
    adapter: Adapter,
    batch: list[list[Rollout]],
    config: TrainingConfig,
    samples: int,
    old: dict[int, Tensor],
    sums: _Sums,
    teacher_ratio: str,
    recording: _Recording | None,
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
    with contextlib.nullcontext() if recording is None else adapter.recording(recording.recorder):
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
    # rollouts of dropped groups are here only to be measured
    counts = [
        logprobs.new_full((n,), float(r.advantage is not None))
        for r, n in zip(rows, lengths, strict=True)
    ]
    loss = reduce_loss(
        tokens.loss * torch.cat(counts),
        lengths,
        loss=config.loss,
        samples=samples,
        max_new_tokens=config.max_new_tokens,
    )
    if recording is None:
        loss.backward()
    else:
        recording.order += rows
        sizes = [len(r.prompt_ids) + len(r.ids) for r in rows]
        _recorded_backward(loss, logprobs, lengths, sizes, recording.recorder)
    sums.loss += loss.item()
    sums.clipped += tokens.clipped.sum().item()
    sums.tokens += len(logprobs)
    if tokens.kl is not None and not rows[0].teacher:
        sums.kl += tokens.kl.sum().item()
        sums.kl_tokens += len(logprobs)


def _recorded_backward(
    loss: Tensor, logprobs: Tensor, lengths: list[int], sizes: list[int], recorder: Recorder
) -> None:
    """Backward of `loss` that gives the recorder every sample's gradient of its mean token NLL.

    lengths: completion tokens of each sample, sizes: all of its tokens. On the first pass every
    token of a sample has one weight in the loss (ratio 1, no KL term): then the training gradient
    is the weighted sum of the samples' own, and one backward gives both. Otherwise the graph is gone
    through twice.
    """
    (slope,) = torch.autograd.grad(loss, logprobs)  # d loss / d logprob of every token
    parts = slope.split(lengths)
    unit = torch.cat([-torch.ones_like(part) / len(part) for part in parts])
    if all(bool((part == part[0]).all()) for part in parts):
        recorder.start(sizes, torch.stack([-part[0] * len(part) for part in parts]))
        torch.autograd.backward(logprobs, unit)
        recorder.stop()
        return
    recorder.start(sizes, torch.zeros(len(sizes)))
    torch.autograd.backward(logprobs, unit, retain_graph=True)
    recorder.stop()
    torch.autograd.backward(logprobs, slope)


def advised(surgeon: Surgeon, rollouts: list[Rollout]) -> list[Rollout]:
    """Rollouts with the advantages that the intervention leaves them."""
    if surgeon.intervention is None:
        return rollouts
    surgeon.intervention.on_rollouts(rollouts)
    given = torch.tensor([r.advantage or 0.0 for r in rollouts], dtype=torch.float64)
    left = surgeon.intervention.on_advantages(given, rollouts).tolist()
    return [
        r if r.advantage is None or r.advantage == a else replace(r, advantage=a)
        for r, a in zip(rollouts, left, strict=True)
    ]


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
