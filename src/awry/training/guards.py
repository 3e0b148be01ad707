"""Guards: what stops or flags a run that no longer measures what it was started for."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from awry.experiments.spec import GuardsConfig


@dataclass(frozen=True)
class Event:
    """A line of events.jsonl. stop: the run ends after this step."""

    step: int
    kind: str
    message: str
    stop: bool = False


@dataclass(frozen=True)
class GuardState:
    """Counts that go on over a resume; part of every checkpoint."""

    flat_reward: int = 0
    unmoved: int = 0
    warned: tuple[str, ...] = field(default=())


def watch(
    config: GuardsConfig, state: GuardState, step: int, metrics: dict[str, Any], degenerate: float
) -> tuple[GuardState, list[Event]]:
    """Judge one finished step. degenerate: share of student completions that loop or are cut off.

    Limits set to null in the experiment only flag, once, at defaults that suit small runs.
    """
    flat = state.flat_reward + 1 if metrics["reward_std"] == 0 else 0
    unmoved = 0 if metrics["optimizer_step"] else state.unmoved + 1
    events: list[Event] = []
    warned = list(state.warned)

    def judge(kind: str, value: float, limit: float | None, default: float, text: str) -> None:
        if limit is not None and value >= limit:
            events.append(Event(step, kind, text, stop=True))
        elif limit is None and value >= default and kind not in warned:
            warned.append(kind)
            events.append(Event(step, kind, text))

    judge(
        "reward_collapse",
        flat,
        config.reward_collapse_steps,
        5,
        f"the students' reward has not varied for {flat} steps",
    )
    judge(
        "frozen_adapter",
        unmoved,
        config.frozen_steps,
        5,
        f"no weight has changed for {unmoved} steps: no completion carried an advantage",
    )
    judge(
        "degenerate_text",
        degenerate,
        config.degenerate_share,
        0.9,
        f"{degenerate:.0%} of the students' completions loop or were cut off",
    )
    kl = metrics["kl"]
    if kl is not None:
        judge("kl_cliff", kl, config.kl_max, 5.0, f"KL to the reference is {kl:.2f} nats per token")
    return replace(state, flat_reward=flat, unmoved=unmoved, warned=tuple(warned)), events


def finite(*values: float) -> bool:
    """Whether a loss and a gradient norm can be acted on."""
    return all(math.isfinite(v) for v in values)


def loops(ids: tuple[int, ...], *, span: int = 8, times: int = 4) -> bool:
    """Whether a completion repeats one run of `span` tokens at least `times` times."""
    windows = Counter(ids[i : i + span] for i in range(len(ids) - span + 1))
    return bool(windows) and max(windows.values()) >= times
