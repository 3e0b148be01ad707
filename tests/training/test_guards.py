"""Guards: what they count, when they flag and when they stop."""

from __future__ import annotations

import math
from typing import Any

import pytest

from awry.experiments.spec import GuardsConfig, TrainingConfig
from awry.training.grpo import learning_rate
from awry.training.guards import GuardState, finite, loops, watch

FINE: dict[str, Any] = {"reward_std": 0.5, "optimizer_step": True, "kl": 0.1}


def run(config: GuardsConfig, steps: list[dict[str, Any]], degenerate: float = 0.0):
    state, events = GuardState(), []
    for step, change in enumerate(steps):
        state, new = watch(config, state, step, {**FINE, **change}, degenerate)
        events += new
    return state, events


@pytest.mark.parametrize(
    ("limits", "change", "kind"),
    [
        ({"reward_collapse_steps": 3}, {"reward_std": 0.0}, "reward_collapse"),
        ({"frozen_steps": 3}, {"optimizer_step": False}, "frozen_adapter"),
    ],
)
def test_counted_guards_stop_at_their_limit(limits, change, kind) -> None:
    config = GuardsConfig(**limits)
    assert not any(e.stop for e in run(config, [change] * 2)[1])
    assert [(e.step, e.kind) for e in run(config, [change] * 3)[1] if e.stop] == [(2, kind)]
    assert not any(e.stop for e in run(config, [change, change, {}, change, change])[1])


def test_kl_cliff_and_degenerate_text_stop() -> None:
    _, events = run(GuardsConfig(kl_max=1.0), [{"kl": 0.99}, {"kl": 1.5}])
    assert [(e.step, e.kind, e.stop) for e in events] == [(1, "kl_cliff", True)]
    _, events = run(GuardsConfig(degenerate_share=0.5), [{}], degenerate=0.6)
    assert [(e.kind, e.stop) for e in events] == [("degenerate_text", True)]
    assert run(GuardsConfig(kl_max=1.0), [{"kl": None}])[1] == []


def test_without_limits_guards_only_flag_and_once() -> None:
    state, events = run(GuardsConfig(), [{"reward_std": 0.0, "optimizer_step": False}] * 12)
    assert sorted(e.kind for e in events) == ["frozen_adapter", "reward_collapse"]
    assert not any(e.stop for e in events)
    assert (state.flat_reward, state.unmoved) == (12, 12)


def test_loops_are_seen_and_ordinary_code_is_not() -> None:
    assert loops(tuple(range(10)) * 5)
    assert loops((7,) * 40)
    assert not loops(tuple(range(200)))
    assert not loops((1, 2, 3))


def test_finite() -> None:
    assert finite(0.0, 1e30)
    assert not finite(1.0, math.nan)
    assert not finite(math.inf)


def test_learning_rate_schedules() -> None:
    flat = TrainingConfig(steps=10, lr=1.0, warmup=2)
    assert [learning_rate(flat, s) for s in (0, 1, 2, 9)] == [0.5, 1.0, 1.0, 1.0]
    linear = TrainingConfig(steps=10, lr=1.0, lr_schedule="linear")
    assert [learning_rate(linear, s) for s in (0, 5)] == [1.0, 0.5]
    cosine = TrainingConfig(steps=10, lr=1.0, lr_schedule="cosine")
    assert learning_rate(cosine, 5) == pytest.approx(0.5)
