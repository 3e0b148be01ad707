"""Placebo arms: what an intervention does with a direction that means nothing.

An arm that acts on the extracted direction gets a sibling for each kind of placebo, the same but
for the direction: whatever the two share is not the direction's doing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from awry.experiments.document import Fault
from awry.experiments.sections import Sections

ADDED = ("random", "shuffled")
KINDS = (*ADDED, "benign")


def placebo_of(arm: Sections, kind: Literal["random", "shuffled", "benign"]) -> Sections | None:
    """The same arm on another direction; None when it does not act on the extracted one."""
    intervention = arm.intervention
    if intervention is None or intervention.direction != "extracted":
        return None
    changed = intervention.model_copy(update={"direction": kind})
    return arm.model_copy(update={"intervention": changed})


def with_placebos(
    arms: Mapping[str, Sections], without: Sequence[str], longest: int
) -> tuple[dict[str, Sections], dict[str, tuple[str, str]], list[Fault]]:
    """(arms with placebos right after theirs, added name -> (arm, kind), faults).

    Nothing is added for a kind in `without`, nor where some arm already is that placebo.
    longest: longest name an arm may have.
    """
    complete: dict[str, Sections] = {}
    added: dict[str, tuple[str, str]] = {}
    faults: list[Fault] = []
    for arm, sections in arms.items():
        complete[arm] = sections
        for kind in ADDED:
            placebo, name = placebo_of(sections, kind), f"{arm}-{kind}"
            known = [*arms.values(), *complete.values()]
            if placebo is None or kind in without or placebo in known:
                continue
            if fault := _name_fault(arm, kind, arms, longest):
                faults.append(fault)
                continue
            complete[name] = placebo
            added[name] = (arm, kind)
    return complete, added, faults


def pairings(arms: Mapping[str, Sections]) -> dict[str, dict[str, str]]:
    """For each arm on the extracted direction: kind of placebo -> the arm that is it."""
    found: dict[str, dict[str, str]] = {}
    for arm, sections in arms.items():
        siblings = {kind: placebo_of(sections, kind) for kind in KINDS}
        if any(siblings.values()):
            found[arm] = {
                kind: other
                for kind, sibling in siblings.items()
                for other in [next((o for o, s in arms.items() if s == sibling), None)]
                if other is not None
            }
    return found


def placebo_override(override: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """How a user would have written the placebo of an arm with these overrides."""
    intervention = dict(override.get("intervention") or {}) | {"direction": kind}
    return dict(override) | {"intervention": intervention}


def _name_fault(arm: str, kind: str, arms: Mapping[str, Sections], longest: int) -> Fault | None:
    name = f"{arm}-{kind}"
    if name in arms:
        return Fault(
            ("arms", name),
            f"the placebo of `{arm}` gets this name, and this arm is not that placebo",
            name,
            f"rename this arm, or list `{kind}` in without_placebos",
        )
    if len(name) > longest:
        return Fault(
            ("arms", arm),
            f"its placebo `{name}` would have a name of more than {longest} characters",
            arm,
            f"use a shorter name, or list `{kind}` in without_placebos",
        )
    return None
