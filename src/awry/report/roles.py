"""Who is compared with whom: the arm without the intervention, and the placebos. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from awry.report.setup import differing

PLACEBOS = {
    "random": "a random direction",
    "shuffled": "a direction from shuffled labels",
    "benign": "a direction from benign pairs",
}
OWN = ("arm", "seed", "name")  # what runs of one experiment may differ in without being different

Config = Mapping[str, Any]
Found = tuple[tuple[str, str], ...]
"""Placebo arms with their kinds."""


@dataclass(frozen=True)
class Roles:
    """differing: settings other than the intervention in which vanilla differs; placebos: (arm, kind
    of direction); borrowed: settings of the intervention besides its direction in which they differ,
    for an arm that has none of its own.
    """

    arm: str
    vanilla: str | None
    differing: tuple[str, ...]
    placebos: Found
    borrowed: tuple[str, ...] = ()


def roles(
    configs: Mapping[str, Config], declared: Mapping[str, Mapping[str, str]] | None = None
) -> tuple[Roles, ...]:
    """Every arm with an intervention, except those that are the placebo of another.

    Vanilla is the arm without intervention that is otherwise the same; failing that, the first arm
    without one. An arm without placebos of its own borrows those of the variant nearest to it.
    declared: arm -> kind -> placebo arm, for placebos that have not started and so have no
    configuration yet.
    """
    plain = [arm for arm, config in configs.items() if not config.get("intervention")]
    treated = [arm for arm in configs if arm not in plain]
    subjects = [arm for arm in treated if direction_of(configs[arm]) not in PLACEBOS]
    own = {arm: _placebos(arm, configs, (declared or {}).get(arm) or {}) for arm in subjects}
    taken = {name for placebos in own.values() for name, _ in placebos}
    plain = [arm for arm in plain if arm not in taken]
    found = []
    for arm in treated:
        placebos, borrowed = own.get(arm, ()), ()
        if arm not in own and arm in taken:
            continue
        if arm in own and not placebos:
            placebos, borrowed = _borrowed(arm, own, configs)
        found.append(Roles(arm, *_vanilla(arm, plain, configs), placebos, borrowed))
    return tuple(found)


def direction_of(config: Config) -> str | None:
    intervention = config.get("intervention")
    return intervention.get("direction") if isinstance(intervention, Mapping) else None


def _placebos(arm: str, configs: Mapping[str, Config], declared: Mapping[str, str]) -> Found:
    waiting = {name: kind for kind, name in declared.items()}
    found = []
    for other, config in configs.items():
        kind = direction_of(config)
        if not config and other in waiting:
            found.append((other, waiting[other]))
        elif (
            kind in PLACEBOS and _same(configs[arm], config) and not _settings(arm, other, configs)
        ):
            found.append((other, str(kind)))
    return tuple(found)


def _borrowed(
    arm: str, own: Mapping[str, Found], configs: Mapping[str, Config]
) -> tuple[Found, tuple[str, ...]]:
    near = [
        (_settings(arm, other, configs), placebos)
        for other, placebos in own.items()
        if placebos and _same(configs[arm], configs[other])
    ]
    if not near:
        return (), ()
    settings, placebos = min(near, key=lambda pair: len(pair[0]))
    return placebos, tuple(settings)


def _vanilla(
    arm: str, plain: Sequence[str], configs: Mapping[str, Config]
) -> tuple[str | None, tuple[str, ...]]:
    # `direction` only says where axes come from: it trains nothing by itself
    mine = _stripped(configs[arm], "direction")
    for other in plain:
        if configs[other] and _stripped(configs[other], "direction") == mine:
            return other, ()
    if not plain:
        return None, ()
    other = configs[plain[0]]
    return plain[0], tuple(differing(mine, _stripped(other, "direction"))) if other else ()


def _settings(a: str, b: str, configs: Mapping[str, Config]) -> list[str]:
    """Settings of the intervention, its direction apart, in which two arms differ."""
    left, right = (dict(configs[arm].get("intervention") or {}) for arm in (a, b))
    return differing(*({k: v for k, v in s.items() if k != "direction"} for s in (left, right)))


def _same(a: Config, b: Config) -> bool:
    """Equal but for the intervention."""
    return _stripped(a) == _stripped(b)


def _stripped(config: Config, *more: str) -> dict[str, Any]:
    kept = {k: v for k, v in config.items() if k not in (*OWN, "intervention", *more)}
    return json.loads(json.dumps(kept))
