"""What stands on each side of a comparison, and whether the sides may be compared at all. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from awry.errors import UserError
from awry.evaluation.comparison import conditions
from awry.evaluation.comparison.conditions import Difference, permitted, rivals, split
from awry.evaluation.comparison.table import Evaluated, Key, Measure


@dataclass(frozen=True)
class Side:
    """A policy, or an arm with one policy per seed."""

    name: str
    runs: tuple[Evaluated, ...]

    @property
    def keys(self) -> list[Key]:
        return list(dict.fromkeys(key for run in self.runs for key in run.measures))

    def measures(self, key: Key) -> dict[int, Measure]:
        """By training seed; where runs have none, by their place."""
        seeds = [run.seed for run in self.runs]
        places = seeds if None not in seeds else range(len(self.runs))
        return {
            int(place): run.measures[key]
            for place, run in zip(places, self.runs, strict=True)
            if place is not None and key in run.measures
        }


def arms(subjects: Sequence[Evaluated]) -> list[Side]:
    """Subjects by arm, one per seed: the last checkpoint where there are several."""
    several = len({s.experiment for s in subjects if s.experiment}) > 1
    grouped: dict[str, dict[Any, Evaluated]] = {}
    for subject in subjects:
        arm = subject.arm and (f"{subject.experiment}/{subject.arm}" if several else subject.arm)
        runs = grouped.setdefault(arm or subject.name, {})
        other = runs.get(subject.seed)
        if other is not None and (other.step is None or other.step == subject.step):
            raise UserError(
                "two policies of one arm have the same seed",
                value=f"{other.folder} and {subject.folder}",
                fix="leave one of them out",
            )
        if other is None or (subject.step or 0) > (other.step or 0):
            runs[subject.seed] = subject
    return [Side(name, tuple(runs.values())) for name, runs in grouped.items()]


def check(sides: Sequence[Side], allowed: Sequence[str]) -> list[Difference]:
    """The differences in conditions that were let through. Raises UserError for all others."""
    runs = [run for side in sides for run in side.runs]
    known = {name for run in runs for asked in run.conditions.values() for name in asked}
    conditions.check_allowed(allowed, known)
    first = runs[0]
    found: list[Difference] = []
    for run in runs[1:]:
        for benchmark in first.conditions.keys() & run.conditions.keys():
            a, b = first.conditions[benchmark], run.conditions[benchmark]
            names = (first.name, run.name)
            found += [
                Difference(benchmark, name, names, (x, y))
                for name, x, y in conditions.differences(a, b)
            ]
            metrics = [[m.metric for m in r.of(benchmark)] for r in (first, run)]
            found += [
                Difference(
                    benchmark, f"{conditions.SCORER}[{name}]", names, (split(x)[1], split(y)[1])
                )
                for name, x, y in rivals(*metrics)
            ]
    found.sort(key=lambda d: (d.benchmark, d.field, d.sides))
    refused = [d for d in found if not permitted(d.field, allowed)]
    if refused:
        raise conditions.refuse(refused)
    return found


def pairs(baseline: Side, side: Side, across_scorers: bool) -> list[tuple[Key, Key]]:
    """(key of the baseline, key of the side) of what is compared."""
    theirs = set(side.keys)
    pairs = [(key, key) for key in baseline.keys if key in theirs]
    if across_scorers:
        for benchmark in dict.fromkeys(key[0] for key in baseline.keys):
            names = [[m for b, m in s.keys if b == benchmark] for s in (baseline, side)]
            pairs += [((benchmark, x), (benchmark, y)) for _, x, y in rivals(*names)]
    return pairs


def unshared(sides: Sequence[Side]) -> list[str]:
    """What some measured and others did not, in words."""
    everywhere = set.intersection(*({key[0] for key in side.keys} for side in sides))
    where: dict[str, list[str]] = {}
    for side in sides:
        for benchmark in sorted({key[0] for key in side.keys} - everywhere):
            where.setdefault(benchmark, []).append(side.name)
    told = [f"{benchmark}: only {', '.join(names)}" for benchmark, names in where.items()]
    keys: dict[Key, list[str]] = {}
    for side in sides:
        for key in side.keys:
            if key[0] in everywhere:
                keys.setdefault(key, []).append(side.name)
    return told + [
        f"{key[0]} {key[1]}: only {', '.join(names)}"
        for key, names in keys.items()
        if len(names) < len(sides)
    ]


def side_json(side: Side) -> dict[str, Any]:
    return {
        "name": side.name,
        "runs": [
            {"name": r.name, "folder": str(r.folder), "arm": r.arm, "seed": r.seed, "step": r.step}
            | {"weights": r.weights, "adapter": r.adapter}
            for r in side.runs
        ],
    }
