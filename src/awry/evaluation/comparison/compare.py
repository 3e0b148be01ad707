"""Policies against a baseline: which numbers may be compared, and what the comparison says. Pure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from awry.comparisons import (
    PairedDifference,
    Source,
    detectable_difference,
    holm,
    mean_interval,
    square_and_add,
)
from awry.errors import UserError, spelling_fix
from awry.evaluation.comparison.conditions import Difference, split
from awry.evaluation.comparison.sides import Side, arms, check, pairs, side_json, unshared
from awry.evaluation.comparison.table import Evaluated, Key, Measure
from awry.seed_comparisons import SeedDifference
from awry.statistics import Interval, seeds_needed

ALPHA = 0.05
POWER = 0.8

Verdict = Literal["differs", "equivalent", "undecided", "not tested", "not measured"]


@dataclass(frozen=True)
class Margins:
    """How large a difference is too small to matter, set before looking.

    everywhere: a share of the metric's scale; named: in the metric's own unit, by benchmark.metric.
    """

    everywhere: float | None = None
    named: Mapping[str, float] = field(default_factory=dict)

    def of(self, measure: Measure) -> float | None:
        for name in spellings(measure.key):
            if name in self.named:
                return self.named[name]
        return None if self.everywhere is None else self.everywhere * measure.span


@dataclass(frozen=True)
class Value:
    """What one side measured: its value, or the mean over its seeds."""

    value: float | None
    interval: Interval | None
    n: int
    seeds: int
    of: int


@dataclass(frozen=True)
class Row:
    """One metric of one side against the baseline; delta is side minus baseline, paired by item.

    p_holm, equivalence_holm: adjusted over the whole table. smallest_p: what the test could have
    reached. detectable: smallest true difference found with this power at the family's level, None
    where the number of seeds rules out finding any, or it would have to exceed the whole scale.
    """

    benchmark: str
    metric: str
    side: str
    better: str
    floor: float | None
    span: float
    before: Value
    after: Value
    delta: float | None
    interval: Interval | None
    items: int
    left_out: int
    p: float | None
    smallest_p: float | None
    exact: bool
    margin: float | None
    equivalence_p: float | None
    effect: tuple[str, float | None] | None
    detectable: float | None
    sources: tuple[Source, ...] = ()
    over_seeds: bool = False
    p_holm: float | None = None
    equivalence_holm: float | None = None
    verdict: Verdict = "undecided"
    notes: tuple[str, ...] = ()

    @property
    def direction(self) -> str:
        """better, worse or nothing, of a row that differs."""
        if self.verdict != "differs" or not self.delta or self.better == "neither":
            return ""
        return "better" if (self.delta > 0) == (self.better == "higher") else "worse"


@dataclass(frozen=True)
class Comparison:
    baseline: Side
    others: tuple[Side, ...]
    rows: tuple[Row, ...]
    allowed: tuple[Difference, ...]
    unshared: tuple[str, ...]
    family: int
    alpha: float
    power: float
    margins: Margins

    def to_json(self) -> dict[str, Any]:
        return {
            "baseline": side_json(self.baseline),
            "against": [side_json(side) for side in self.others],
            "alpha": self.alpha,
            "power": self.power,
            "family": self.family,
            "margin": {"everywhere": self.margins.everywhere, **self.margins.named},
            "allowed": [asdict(d) for d in self.allowed],
            "unshared": list(self.unshared),
            "rows": [asdict(row) | {"direction": row.direction} for row in self.rows],
        }


def compare(
    subjects: Sequence[Evaluated],
    *,
    by_arm: bool = False,
    margins: Margins = Margins(),
    allowed: Sequence[str] = (),
    chosen: Sequence[str] = (),
    everything: bool = False,
    alpha: float = ALPHA,
    power: float = POWER,
) -> Comparison:
    """The first subject (or its arm) against each of the others. Raises UserError where evaluations
    differ in a condition that is not `allowed`, or share nothing.
    """
    sides = arms(subjects) if by_arm else [Side(s.name, (s,)) for s in subjects]
    if len(sides) < 2:
        raise UserError(
            "there is only one policy here" if not by_arm else "there is only one arm here",
            fix="give a baseline and what to compare with it",
        )
    let_through = check(sides, allowed)
    baseline, others = sides[0], tuple(sides[1:])
    wanted = _wanted(sides, chosen, everything)
    check_names(margins.named, [key for side in sides for key in side.keys], "--margin")
    rows: list[Row] = []
    for side in others:
        for before, after in pairs(baseline, side, "scorers" in allowed or "scorer" in allowed):
            if before in wanted or after in wanted:
                rows.append(_row(baseline, side, before, after, margins))
    if not rows:
        raise UserError(
            "these evaluations have no metric in common",
            value=" / ".join(", ".join(sorted({k[0] for k in side.keys})) for side in sides),
            fix="evaluate them on the same benchmarks",
        )
    judged = judge(rows, alpha=alpha, power=power)
    family = sum(row.p is not None for row in judged)
    return Comparison(
        baseline,
        others,
        tuple(judged),
        tuple(let_through),
        tuple(unshared(sides)),
        family,
        alpha,
        power,
        margins,
    )


def judge(rows: Sequence[Row], *, alpha: float = ALPHA, power: float = POWER) -> list[Row]:
    """Holm over all rows with a test, and over all equivalence tests; then the verdicts.

    Equivalence is asked first: a difference may be real and still smaller than matters.
    """
    p = _adjusted([row.p for row in rows])
    equivalence = _adjusted([row.equivalence_p for row in rows])
    family = max(1, sum(row.p is not None for row in rows))
    out: list[Row] = []
    for row, p_holm, e_holm in zip(rows, p, equivalence, strict=True):
        verdict, notes = row.verdict, list(row.notes)
        detectable = None
        if row.p is not None and p_holm is not None:
            if e_holm is not None and e_holm < alpha:
                verdict = "equivalent"
                if p_holm < alpha:
                    notes.append("a difference is there, and smaller than the margin")
            else:
                verdict = "differs" if p_holm < alpha else "undecided"
            hopeless = row.over_seeds and row.smallest_p is not None and row.smallest_p >= alpha
            if hopeless:
                notes.append(
                    f"so few seeds cannot reach p < {alpha:g}, whatever the interval says: the "
                    f"smallest p is {row.smallest_p:.2g}; it takes {_seeds_enough(row, alpha)}"
                )
            else:
                found = detectable_difference(row.sources, alpha=alpha / family, power=power)
                detectable = found if found <= row.span else None
        out.append(
            replace(
                row,
                p_holm=p_holm,
                equivalence_holm=e_holm,
                verdict=verdict,
                detectable=detectable,
                notes=tuple(notes),
            )
        )
    return out


def _seeds_enough(row: Row, alpha: float) -> str:
    if min(row.before.seeds, row.after.seeds) > 1:
        return f"{seeds_needed(alpha)} on each side"
    # one policy against seeds: all signs alike, or their mirror, of 2 ** seeds
    return f"{math.floor(1 - math.log2(alpha)) + 1}"


def spellings(key: Key) -> tuple[str, ...]:
    """How a user may name a metric: with its scorer, without, or all of the benchmark."""
    benchmark, metric = key
    return f"{benchmark}.{metric}", f"{benchmark}.{split(metric)[0]}", benchmark


def _row(baseline: Side, side: Side, before: Key, after: Key, margins: Margins) -> Row:
    b, a = baseline.measures(before), side.measures(after)
    one = next(iter(b.values()))
    values = _value(b, len(baseline.runs)), _value(a, len(side.runs))
    row = Row(
        benchmark=before[0],
        metric=_joint_name(before[1], after[1]),
        side=side.name,
        better=one.better,
        floor=one.floor,
        span=max(m.span for m in itertools.chain(b.values(), a.values())),
        before=values[0],
        after=values[1],
        delta=None,
        interval=None,
        items=0,
        left_out=0,
        p=None,
        smallest_p=None,
        exact=True,
        margin=margins.of(one),
        equivalence_p=None,
        effect=None,
        detectable=None,
        verdict="not tested",
        notes=tuple(_notes(baseline, side, values)),
    )
    if values[0].value is None or values[1].value is None:
        reasons = {m.reason for m in (*b.values(), *a.values()) if m.value is None and m.reason}
        return replace(row, verdict="not measured", notes=(*row.notes, *sorted(reasons)))
    measured = [{s: m for s, m in runs.items() if m.value is not None} for runs in (b, a)]
    every = [m for runs in measured for m in runs.values()]
    if all(m.is_mean for m in every):
        found = _difference(measured, row.span)
        if found.items:
            return _tested(row, found, every)
        return _untested(row, "the two have no item in common")
    return _untested(row, "not a mean over items, so items cannot be paired: no test")


def _difference(
    measured: Sequence[Mapping[int, Measure]], span: float
) -> PairedDifference | SeedDifference:
    before, after = ({s: m.per_item for s, m in runs.items()} for runs in measured)
    every = [m for runs in measured for m in runs.values()]
    groups = {i: g for m in every for i, g in m.groups.items()} if every[0].strata else None
    if len(before) == len(after) == 1:
        sides = (next(iter(values.values())) for values in (before, after))
        return PairedDifference(*sides, groups=groups, span=span)
    return SeedDifference(before, after, groups, span)


def _tested(row: Row, found: PairedDifference | SeedDifference, every: Iterable[Measure]) -> Row:
    union = {item for m in every for item in m.per_item}
    left_out = len(union) - len(found.items)
    note = (f"{left_out} items that not all have are left out",) if left_out else ()
    # the same items under other digests, let through by name, may have got other ids
    return replace(
        row,
        delta=found.estimate,
        interval=found.interval(),
        items=len(found.items),
        left_out=left_out,
        p=found.test.p,
        smallest_p=found.test.smallest,
        exact=found.test.exact,
        equivalence_p=None if row.margin is None else found.equivalence_p(row.margin),
        effect=found.effect,
        sources=found.sources,
        over_seeds=isinstance(found, SeedDifference),
        notes=(*row.notes, *note),
    )


def _untested(row: Row, why: str) -> Row:
    """Only the difference of the two numbers, with an interval where both have one."""
    before, after = row.before, row.after
    assert before.value is not None
    assert after.value is not None
    interval = None
    if before.interval is not None and after.interval is not None:
        interval = square_and_add(before.value, before.interval, after.value, after.interval)
        why += "; the interval takes the two as independent"
    delta = after.value - before.value
    return replace(row, delta=delta, interval=interval, notes=(*row.notes, why))


def _value(measures: Mapping[int, Measure], runs: int) -> Value:
    known = [m for m in measures.values() if m.value is not None]
    values = [m.value for m in known if m.value is not None]
    n = max((m.n for m in known), default=0)
    if not values:
        return Value(None, None, n, 0, runs)
    if runs == 1:
        return Value(values[0], known[0].interval, n, 1, 1)
    return Value(math.fsum(values) / len(values), mean_interval(values), n, len(values), runs)


def _notes(baseline: Side, side: Side, values: Sequence[Value]) -> list[str]:
    notes = [
        f"{s.name}: {value.seeds} of {value.of} seeds"
        for s, value in zip((baseline, side), values, strict=True)
        if 0 < value.seeds < value.of
    ]
    ids = {run.identity for run in side.runs} | {run.identity for run in baseline.runs}
    if len(ids) == 1 and next(iter(ids))[0] is not None:
        notes.append("the same weights: any difference is chance")
    return notes


def _wanted(sides: Sequence[Side], chosen: Sequence[str], everything: bool) -> set[Key]:
    keys = [key for side in sides for key in side.keys]
    check_names(chosen, keys, "--metric")
    if chosen:
        return {key for key in keys if any(name in chosen for name in spellings(key))}
    return {
        m.key for s in sides for r in s.runs for m in r.measures.values() if everything or m.main
    }


def check_names(names: Iterable[str], keys: Sequence[Key], field: str) -> None:
    known = dict.fromkeys(name for key in keys for name in spellings(key))
    for name in names:
        if name not in known:
            every = ", ".join(dict.fromkeys(spellings(key)[1] for key in keys))
            raise UserError(
                "no such metric here",
                field=field,
                value=name,
                fix=spelling_fix(name, known, f"measured: {every}"),
            )


def _joint_name(before: str, after: str) -> str:
    if before == after:
        return before
    name, scorer = split(before)
    return f"{name}[{scorer} | {split(after)[1]}]"


def _adjusted(ps: Sequence[float | None]) -> list[float | None]:
    known = [p for p in ps if p is not None]
    adjusted = iter(holm(known))
    return [None if p is None else next(adjusted) for p in ps]
