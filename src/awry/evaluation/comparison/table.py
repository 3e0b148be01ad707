"""What evaluations measured, read from their folders and laid out as tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from awry.errors import UserError
from awry.evaluation.comparison.conditions import conditions, split
from awry.files import read_json
from awry.statistics import Interval

RECORD, METRICS = "evaluation.json", "metrics.json"

Key = tuple[str, str]
"""(benchmark, metric)"""


@dataclass(frozen=True)
class Measure:
    """One metric of one policy, as metrics.json holds it; see `items.Metric` for the fields."""

    benchmark: str
    metric: str
    value: float | None
    interval: Interval | None = None
    n: int = 0
    missing: int = 0
    floor: float | None = None
    reason: str = ""
    better: str = "neither"
    main: bool = False
    per_item: Mapping[str, float] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    aggregate: str = "items"

    @property
    def key(self) -> Key:
        return self.benchmark, self.metric

    @property
    def span(self) -> float:
        """Width of the metric's scale: 1 for fractions, 100 for marks out of a hundred."""
        values = [abs(v) for v in self.per_item.values()]
        return 1.0 if max([abs(self.value or 0.0), *values]) <= 1 else 100.0

    @property
    def strata(self) -> Mapping[str, str] | None:
        """Item -> group where the metric is the mean of group means."""
        return self.groups if self.aggregate == "groups" else None

    @property
    def is_mean(self) -> bool:
        """Whether the value is the mean of its items (or of its groups' means), so that items pair."""
        if self.value is None or not self.per_item:
            return False
        grouped: dict[str, list[float]] = {}
        for item, value in self.per_item.items():
            if self.strata is not None and item not in self.strata:
                return False
            grouped.setdefault(self.strata[item] if self.strata else "", []).append(value)
        means = [sum(values) / len(values) for values in grouped.values()]
        return abs(sum(means) / len(means) - self.value) <= 1e-6 * self.span


@dataclass(frozen=True)
class Evaluated:
    """One policy's results. Experiment, arm, seed and step are those of its run, where it has one.

    weights, adapter: digests; conditions: benchmark -> flattened conditions.
    """

    name: str
    folder: Path
    measures: Mapping[Key, Measure]
    conditions: Mapping[str, Mapping[str, Any]]
    experiment: str | None = None
    arm: str | None = None
    seed: int | None = None
    step: int | None = None
    weights: str | None = None
    adapter: str | None = None

    @property
    def identity(self) -> tuple[str | None, str | None]:
        """Digests that two names of the same policy share."""
        return self.weights, self.adapter

    def of(self, benchmark: str) -> list[Measure]:
        return [m for m in self.measures.values() if m.benchmark == benchmark]


def read_subject(folder: Path) -> Evaluated:
    """A policy's folder of an evaluation, or one benchmark's folder in it. Raises UserError."""
    if not folder.is_dir():
        raise UserError("there is no such folder", value=str(folder), fix="give a policy's folder")
    places = [folder] if (folder / METRICS).is_file() else sorted(folder.iterdir())
    records = [(place, read_json(place / RECORD)) for place in places if (place / RECORD).is_file()]
    measured = [(p, r) for p, r in records if r is not None and (p / METRICS).is_file()]
    if not measured:
        began = ": it was begun and not finished" if records else ""
        raise UserError(
            f"there is no evaluation here{began}",
            file=folder,
            fix="give a policy's folder that `awry evaluate` has written"
            if not records
            else "run the same `awry evaluate` again; it goes on where it stopped",
        )
    subject = measured[0][1].get("subject") or {}
    measures: dict[Key, Measure] = {}
    asked: dict[str, dict[str, Any]] = {}
    for place, record in measured:
        other = record.get("subject") or {}
        if _policy(other) != _policy(subject):
            raise UserError(
                "this folder holds evaluations of different policies",
                file=place,
                value=f"{_policy(other)} and {_policy(subject)}",
                fix="evaluate each policy into its own folder",
            )
        try:
            found = conditions(record)
        except UserError as error:
            error.file = place / RECORD
            raise
        asked[found["benchmark"]] = found
        measures |= {m.key: m for m in _measures(place / METRICS, found["benchmark"])}
    return Evaluated(
        name=subject.get("name") or folder.name,
        folder=folder,
        measures=measures,
        conditions=asked,
        experiment=subject.get("experiment"),
        arm=subject.get("arm"),
        seed=subject.get("seed"),
        step=subject.get("step"),
        weights=subject.get("weights"),
        adapter=subject.get("adapter"),
    )


def read_subjects(folders: Iterable[Path]) -> list[Evaluated]:
    """Several policies, in the order given, under short names that differ."""
    found = [read_subject(folder) for folder in dict.fromkeys(folders)]
    several = len({s.experiment for s in found if s.experiment}) > 1
    names = [_short_name(s, several) for s in found]
    return [
        replace(s, name=name if names.count(name) == 1 else str(s.folder))
        for s, name in zip(found, names, strict=True)
    ]


def _short_name(subject: Evaluated, several: bool) -> str:
    if subject.arm is None:
        return Path(subject.name).name or subject.name
    arm = f"{subject.experiment}/{subject.arm}" if several else subject.arm
    return f"{arm}, seed {subject.seed}, step {subject.step}"


def _policy(subject: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    return subject.get("name"), subject.get("weights"), subject.get("adapter")


def _measures(file: Path, benchmark: str) -> list[Measure]:
    document = read_json(file)
    if document is None or not isinstance(document.get("metrics"), list):
        raise UserError("this file of metrics cannot be read", file=file, fix="run `awry score`")
    return [
        Measure(
            benchmark=benchmark,
            metric=row["metric"],
            value=row["value"],
            interval=Interval(*row["interval"]) if row.get("interval") else None,
            n=row.get("n", 0),
            missing=row.get("missing", 0),
            floor=row.get("floor"),
            reason=row.get("reason") or "",
            better=row.get("better") or "neither",
            main=bool(row.get("main")),
            per_item=row.get("per_item") or {},
            groups=row.get("groups") or {},
            aggregate=row.get("aggregate") or "items",
        )
        for row in document["metrics"]
    ]


# ---- as text -------------------------------------------------------------------------------------
def figure(value: float | None, span: float = 1.0) -> str:
    """.558 with three decimals for fractions, 55.5 for marks out of a hundred; – where missing."""
    if value is None:
        return "–"
    return (f"{value:.3f}" if span == 1.0 else f"{value:.1f}").replace("-", "−")


def signed_figure(value: float | None, span: float = 1.0) -> str:
    if value is None:
        return "–"
    text = figure(abs(value), span)
    is_zero = float(text) == 0
    return text if is_zero else ("+" if value > 0 else "−") + text


def span_text(interval: Interval | None, span: float = 1.0, *, sign: bool = False) -> str:
    if interval is None:
        return "–"
    shown = signed_figure if sign else figure
    return f"{shown(interval.low, span)} to {shown(interval.high, span)}"


def heading(key: Key) -> str:
    return " ".join(key)


def overview(subjects: Sequence[Evaluated], *, everything: bool = False) -> list[str]:
    """What was measured, without any comparison: one row per metric, one column per policy."""
    rows = [
        {"benchmark": key[0], "metric": key[1]}
        | {"n": str(max(m.n for m in found.values())), "floor": _floor(found.values())}
        | {name: cell(m) for name, m in found.items()}
        for key, found in _by_key(subjects, everything).items()
    ]
    columns = ("benchmark", "metric", "n", "floor", *(s.name for s in subjects))
    return [*lines(rows, columns), *_reasons(subjects, everything)]


def cell(measure: Measure) -> str:
    """`.558 (.511 to .603)`, or – where it could not be measured."""
    text = figure(measure.value, measure.span)
    if measure.value is None or measure.interval is None:
        return text
    return f"{text} ({span_text(measure.interval, measure.span)})"


def lines(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> list[str]:
    """A table as lines of text, as wide as it needs to be."""
    heads = [*columns]
    cells = [[str(row.get(c) or "") for c in columns] for row in rows]
    widths = [max(len(x) for x in column) for column in zip(heads, *cells, strict=True)]

    def line(texts: Sequence[str]) -> str:
        return "  ".join(t.ljust(w) for t, w in zip(texts, widths, strict=True)).rstrip()

    return [line(heads), line(["─" * w for w in widths]), *map(line, cells)]


def _by_key(subjects: Sequence[Evaluated], everything: bool) -> dict[Key, dict[str, Measure]]:
    out: dict[Key, dict[str, Measure]] = {}
    for subject in subjects:
        for measure in subject.measures.values():
            if everything or measure.main:
                out.setdefault(measure.key, {})[subject.name] = measure
    return out


def _floor(measures: Iterable[Measure]) -> str:
    floors = [m for m in measures if m.floor is not None]
    return figure(floors[0].floor, floors[0].span) if floors else ""


def _reasons(subjects: Sequence[Evaluated], everything: bool) -> list[str]:
    """Why numbers are absent, and what is missing from those that are there."""
    found: dict[str, list[str]] = {}
    for key, measures in _by_key(subjects, everything).items():
        for name, m in measures.items():
            if m.value is None:
                found.setdefault(f"not measured: {m.reason}", []).append(
                    f"{key[0]} {split(key[1])[0]}"
                )
            elif m.missing:
                total = m.missing + m.n
                text = f"{name}: {m.missing} of {total} answers ({m.missing / total:.1%}) unscored"
                found.setdefault(text, []).append(heading(key))
    return [f"{text} ({', '.join(dict.fromkeys(where))})" for text, where in found.items()]
