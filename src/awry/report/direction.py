"""The section on the direction: how it was verified, and what was measured along it. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from awry.report.charts import Chart, Dots
from awry.report.curves import direction_charts
from awry.report.findings import percent
from awry.report.load import DirectionStage
from awry.report.quality import ArmQuality
from awry.report.summary import ReportData

KINDS = ("extracted", "random", "shuffled", "benign")
NUMBERS = ("auroc_cosine", "auroc_alignment", "cosine_hack", "cosine_honest", "energy_in")


@dataclass(frozen=True)
class Row:
    """One line of the table; a number is None where verification.json has none."""

    direction: str
    numbers: Mapping[str, float | None]
    spread: tuple[float, float] | None  # of auroc_cosine over the draws of a random direction


@dataclass(frozen=True)
class Verified:
    """standing: what the table says in words."""

    key: str
    users: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    rows: tuple[Row, ...]
    dots: tuple[Dots, ...]
    standing: str
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Section:
    stages: tuple[Verified, ...]
    quality: tuple[ArmQuality, ...]
    charts: tuple[Chart, ...]
    placebo_charts: tuple[Chart, ...]


def section(data: ReportData) -> Section | None:
    """None for an experiment without a direction."""
    stages = tuple(verified(stage) for stage in data.experiment.directions)
    nulls = {chance_energy(s.verification) for s in data.experiment.directions if s.verification}
    # with several directions there is no one level that all curves could be held against
    charts, placebos = direction_charts(data, nulls.pop() if len(nulls) == 1 else None)
    measured = tuple(q for q in data.quality if q.measured)
    if not (stages or charts or placebos or measured):
        return None
    return Section(stages, measured, tuple(charts), tuple(placebos))


def verified(stage: DirectionStage) -> Verified:
    found = stage.verification or {}
    rows = tuple(
        Row(
            str(row.get("direction")),
            {name: _number(row.get(name)) for name in NUMBERS},
            _pair(row.get("auroc_spread")),
        )
        for row in sorted(_mappings(found.get("rows")), key=_place)
    )
    given = found.get("scores")
    scores: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    dots = tuple(
        Dots(kind, *(_numbers(own.get(side)) for side in ("hack", "honest")))
        for kind in (*KINDS, *sorted({str(k) for k in scores} - {*KINDS}))
        if isinstance(own := scores.get(kind), Mapping)
    )
    return Verified(
        key=stage.key,
        users=stage.runs,
        facts=_facts(found),
        rows=rows,
        dots=tuple(row for row in dots if row.hack or row.honest),
        standing=standing(rows),
        problems=stage.problems,
    )


def standing(rows: tuple[Row, ...]) -> str:
    """Whether the extracted direction beats every null model, by the AUROC of the cosine."""
    by_kind = {row.direction: row for row in rows}
    own = by_kind["extracted"].numbers["auroc_cosine"] if "extracted" in by_kind else None
    if own is None:
        return ""
    nulls = {
        kind: row.spread[1] if row.spread else value
        for kind, row in by_kind.items()
        if kind != "extracted" and (value := row.numbers["auroc_cosine"]) is not None
    }
    if not nulls:
        return f"AUROC {own:.2f} on held-out pairs; no null model to compare it with."
    figures = ", ".join(f"{kind} {value:.2f}" for kind, value in nulls.items())
    above = [kind for kind, value in nulls.items() if value >= own]
    if above:
        return (
            f"It does not beat {' and '.join(above)}: AUROC {own:.2f} on held-out pairs, against at "
            f"best {figures}."
        )
    return (
        f"It beats its null models: AUROC {own:.2f} on held-out pairs, against at best {figures}."
    )


def chance_energy(found: Mapping[str, Any]) -> float | None:
    """Mean of |relu(V g)| / |g| for a direction that has nothing to do with g.

    verification.json has sqrt(k/r), the size of |V g| / |g|. The one-sided energy keeps only the
    positive coordinates of a k-dimensional normal: j of k with probability C(k, j) / 2^k.
    """
    null, k = _number(found.get("null_energy")), found.get("top_k")
    if null is None or not isinstance(k, int) or k < 1:
        return None
    mean = sum(
        math.comb(k, j) / 2**k * math.sqrt(2) * math.gamma((j + 1) / 2) / math.gamma(j / 2)
        for j in range(1, k + 1)
    )
    return null * mean / math.sqrt(k)


def _facts(found: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    def figure(name: str, form: str = ".2f") -> str:
        value = _number(found.get(name))
        return "" if value is None else format(value, form)

    signs = _number(found.get("sign_agreement"))
    dropped = figure("modules_dropped", ".0f")
    modules = figure("modules", ".0f") + (f", {dropped} left out as noise" if dropped else "")
    held = figure("pairs_heldout", ".0f")
    pairs = figure("pairs_extraction", ".0f") + (f", {held} held out" if held else "")
    rows = (
        ("Coordinates", str(found.get("adapter_kind") or "").replace("_", " ")),
        ("Axes per module", figure("top_k", ".0f")),
        ("Modules", modules),
        ("Pairs", pairs),
        ("Energy in the axes", figure("energy")),
        ("Signs that agree", "" if signs is None else percent(signs)),
        ("Chance energy √(k/r)", figure("null_energy", ".3f")),
        ("Seconds", figure("seconds", ".0f")),
    )
    return tuple((name, text) for name, text in rows if text)


def _place(row: Mapping[str, Any]) -> int:
    kind = row.get("direction")
    return KINDS.index(kind) if kind in KINDS else len(KINDS)


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []


def _numbers(value: Any) -> tuple[float, ...]:
    found = map(_number, value) if isinstance(value, list) else ()
    return tuple(v for v in found if v is not None)


def _pair(value: Any) -> tuple[float, float] | None:
    numbers = _numbers(value)
    return (numbers[0], numbers[1]) if len(numbers) == 2 else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
