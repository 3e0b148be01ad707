"""Recording every completion's cosine changes nothing in training, and the cosines are right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from small_run import config
from torch import Tensor

from awry.experiments.spec import TrainingConfig
from awry.generation.engine import Engine, Request, Sampling
from awry.gradients.adapters import Adapter, attach_lora, attach_singular_values
from awry.gradients.directions import Direction, extract
from awry.gradients.interventions import Coordinates, Intervention, Surgeon
from awry.models import load_policy
from awry.training.grpo import Update, update
from awry.training.logprobs import packed_logprobs
from awry.training.rollouts import Rollout

KINDS = ("singular_values", "lora")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def settings(**changes: Any) -> TrainingConfig:
    return config(
        training={"temperature": 0.9, "lr": 0.05, "max_grad_norm": 0.7, **changes}
    ).training


def attached(kind: str) -> Adapter:
    policy = load_policy("tiny-random", "float32", keep_master=True)
    if kind == "lora":
        adapter = attach_lora(policy, r=4, alpha=8, seed=1)
    else:
        adapter = attach_singular_values(policy)
    Engine(policy.model, policy.stop_ids)  # puts our attention in
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for _, parameter in sorted(adapter.parameters.items()):
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    adapter.refresh()
    return adapter


@cache
def sampled() -> tuple[Rollout, ...]:
    """Three groups of three students and a teacher, of different lengths."""
    policy = load_policy("tiny-random", "float32")
    texts = [policy.render([{"role": "user", "content": t}]) for t in ("a", "longer", "bc")]
    prompts = [tuple(policy.encode(text)) for text in texts]
    requests = [Request(p, (3 * g, 3 * g + 1, 3 * g + 2)) for g, p in enumerate(prompts)]
    found = Engine(policy.model, policy.stop_ids).sample(requests, Sampling(16, 0.9))
    rows = []
    for g, completions in enumerate(found):
        base = Rollout(g, 0, None, False, None, "", prompts[g], "", (), None, True)  # type: ignore[arg-type]
        for i, c in enumerate(completions):
            rows.append(replace(base, index=i, ids=c.ids[: 16 - 3 * i], logprobs=c.logprobs))
            rows[-1] = replace(rows[-1], logprobs=(c.logprobs or ())[: len(rows[-1].ids)])
        ids = tuple(range(30 + g, 41 - g))
        rows.append(replace(base, index=3, teacher=True, ids=ids, logprobs=(-4.0,) * len(ids)))
    assert len({len(r.ids) for r in rows}) > 3
    return tuple(rows)


def with_advantages(*advantages: float | None) -> list[Rollout]:
    return [replace(r, advantage=a) for r, a in zip(sampled(), advantages, strict=True)]


ALL = (0.5, -1.0, 0.2, 1.5, 1.0, -0.3, 0.7, -0.4, 0.9, 0.1, -2.0, 0.6)
# a group without any signal, one that was dropped, and single completions with an advantage of zero
MIXED = (0.5, 0.0, -0.5, 1.0, 0.0, 0.0, 0.0, 0.0, None, None, None, None)


def direction(adapter: Adapter) -> Direction:
    generator = torch.Generator().manual_seed(4)
    differences = {
        name: torch.randn(4, sum(p.numel() for p in parameters), generator=generator)
        for name, parameters in adapter.modules.items()
    }
    return extract(
        differences, top_k=2, noise_floor=0.0, drop_quantile=0.25, adapter_kind=adapter.kind,
        basis_digest=str(adapter.basis_digest), pairs_digest="p", model_digest="m",
    )  # fmt: skip


class Watch(Intervention):
    """Keeps the gradients of every pass."""

    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    def before_step(self, coordinates: Coordinates) -> None:
        flat = [p.grad.flatten() for ps in coordinates.values() for p in ps if p.grad is not None]
        self.seen.append(torch.cat(flat))


def run(
    kind: str,
    rollouts: Sequence[Rollout],
    training: TrainingConfig,
    *,
    record: bool,
    meter: bool = True,
    ratio: str = "detached",
) -> tuple[Adapter, Watch, Update]:
    """One update by plain SGD (AdamW would blow rounding up in coordinates that hardly move)."""
    adapter = attached(kind)
    watch = Watch()
    surgeon = Surgeon(
        adapter.modules,
        list(adapter.parameters.values()),
        intervention=watch,
        meter=direction(adapter) if meter else None,
        max_grad_norm=training.max_grad_norm,
    )
    optimizer = torch.optim.SGD(list(adapter.parameters.values()), lr=1.0)
    done = update(
        adapter, optimizer, rollouts, training,
        step=0, teacher_ratio=ratio, surgeon=surgeon, record=record,
    )  # fmt: skip
    assert all(p.grad is None for p in adapter.parameters.values())
    return adapter, watch, done


def distance(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm().clamp(min=1e-12))


def weights(adapter: Adapter) -> Tensor:
    return torch.cat([p.detach().flatten() for p in adapter.parameters.values()])


# ---- training is what it was ----------------------------------------------------------------------
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loss", ["dr_grpo", "grpo"])
@pytest.mark.parametrize("beta", [0.0, 0.05])  # with a KL term the graph is gone through twice
@pytest.mark.parametrize("advantages", [ALL, MIXED], ids=["all", "mixed"])
def test_gradients_and_weights_are_the_same(
    kind: str, loss: str, beta: float, advantages: tuple[float | None, ...]
) -> None:
    training = settings(loss=loss, beta=beta, iterations=2, clip=0.02)
    rollouts = with_advantages(*advantages)
    start = weights(attached(kind))
    plain, expected, before = run(kind, rollouts, training, record=False)
    recorded, found, after = run(kind, rollouts, training, record=True)
    assert len(found.seen) == len(expected.seen) == 2
    for a, b in zip(found.seen, expected.seen, strict=True):
        assert distance(a, b) < 1e-5
    moved = weights(plain) - start
    assert float(moved.norm()) > 1e-3
    assert distance(weights(recorded) - start, moved) < 1e-5
    assert after.optimizer_step
    assert after.loss == pytest.approx(before.loss, abs=1e-6)
    for name in ("grad_norm", "grad_norm_student", "grad_norm_teacher", "teacher_gradient_share"):
        assert getattr(after, name) == pytest.approx(getattr(before, name), rel=1e-4), name
    assert all(r.cosine is None for r in before.rollouts)
    assert all(r.cosine is not None for r in after.rollouts)


@pytest.mark.parametrize("kind", KINDS)
def test_a_teacher_with_probabilities_of_its_own(kind: str) -> None:
    """Its ratio differs from token to token, so one weight per sample would not do."""
    training = settings(clip=0.9)
    rollouts = with_advantages(*ALL)
    plain, expected, _ = run(kind, rollouts, training, record=False, ratio="pool")
    recorded, found, _ = run(kind, rollouts, training, record=True, ratio="pool")
    detached, other, _ = run(kind, rollouts, training, record=True)
    assert distance(found.seen[0], expected.seen[0]) < 1e-5
    assert distance(other.seen[0], expected.seen[0]) > 1e-2, "or the ratio does nothing here"
    assert distance(weights(recorded), weights(plain)) < 1e-6
    assert distance(weights(detached), weights(plain)) > 1e-6


@pytest.mark.parametrize("beta", [0.0, 0.05])
@pytest.mark.parametrize("record", [True, False])
def test_dropped_groups_add_nothing_to_the_gradient(beta: float, record: bool) -> None:
    training = settings(beta=beta)
    live = with_advantages(*ALL)[:8]
    dropped = [replace(r, advantage=None) for r in sampled()[8:]]
    _, expected, _ = run("singular_values", live, training, record=False)
    _, found, done = run("singular_values", [*live, *dropped], training, record=record)
    assert distance(found.seen[0], expected.seen[0]) < 1e-5
    assert all((r.cosine is not None) == record for r in done.rollouts)


# ---- the cosines ------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("beta", [0.0, 0.05])
def test_cosines_are_those_of_single_completions(kind: str, beta: float) -> None:
    training = settings(beta=beta)
    rollouts = with_advantages(*MIXED)
    _, _, done = run(kind, rollouts, training, record=True)
    plain = [replace(r, cosine=None, alignment=None, cosine_modules=None) for r in done.rollouts]
    assert plain == rollouts, "in the order given, and otherwise as they were"
    adapter = attached(kind)
    v = direction(adapter)
    names = list(adapter.parameters)
    for r in done.rollouts:
        logprobs = packed_logprobs(adapter.policy.model, [(r.prompt_ids, [r.ids])], 0.9)
        grads = torch.autograd.grad(-logprobs.mean(), list(adapter.parameters.values()))
        by_id = {id(adapter.parameters[n]): g.flatten() for n, g in zip(names, grads, strict=True)}
        cosines, dots, squares = [], 0.0, 0.0
        for module in v.axes:
            g = torch.cat([by_id[id(p)] for p in adapter.modules[module]])
            dot = float(g @ v.principal(module))
            cosines.append(dot / float(g.norm()))
            dots, squares = dots + dot, squares + float(g.square().sum())
        assert r.cosine_modules == pytest.approx(cosines, abs=1e-5)
        assert r.cosine == pytest.approx(sum(cosines) / len(cosines), abs=1e-5)
        assert r.alignment == pytest.approx(dots / squares**0.5, abs=1e-5)
        assert max(map(abs, cosines)) > 1e-3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("advantages", [(0.0,) * 12, (None,) * 12], ids=["zero", "dropped"])
def test_without_any_advantage_the_weights_keep_every_bit(
    kind: str, advantages: tuple[float | None, ...]
) -> None:
    rollouts = with_advantages(*advantages)
    start = attached(kind).digest()
    for beta in (0.0, 0.05) if advantages[0] is None else (0.0,):
        adapter, watch, done = run(
            kind, rollouts, settings(beta=beta, iterations=3, weight_decay=0.1), record=True
        )
        assert adapter.digest() == start
        assert not watch.seen
        assert not done.optimizer_step
        assert (done.loss, done.grad_norm) == (0.0, 0.0)
        assert all(r.cosine is not None for r in done.rollouts)
    _, _, usual = run(kind, with_advantages(*MIXED), settings(), record=True)
    for a, b in zip(done.rollouts, usual.rollouts, strict=True):
        assert a.cosine == pytest.approx(b.cosine, abs=1e-6), "whatever the advantages are"


def test_nothing_is_recorded_without_a_meter() -> None:
    rollouts = with_advantages(*ALL)
    _, _, done = run("lora", rollouts, settings(), record=True, meter=False)
    assert done.rollouts == rollouts
    none = with_advantages(*(None,) * 12)
    adapter, _, done = run("lora", none, settings(), record=True, meter=False)
    assert done.rollouts == none
    assert adapter.digest() == attached("lora").digest()


def test_only_the_first_pass_is_recorded() -> None:
    """Later passes are made with other weights; the cosines are those of the policy that sampled."""
    rollouts = with_advantages(*ALL)
    _, _, once = run("singular_values", rollouts, settings(), record=True)
    _, _, thrice = run("singular_values", rollouts, settings(iterations=3), record=True)
    for a, b in zip(once.rollouts, thrice.rollouts, strict=True):
        assert a.cosine_modules == b.cosine_modules
