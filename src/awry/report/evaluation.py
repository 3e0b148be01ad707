"""A comparison of evaluations as one self-contained page: differences, checkpoints, conditions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from awry import __version__
from awry.evaluation.comparison import layout
from awry.evaluation.comparison.compare import Comparison, Row
from awry.evaluation.comparison.conditions import SCORER, shown
from awry.evaluation.comparison.table import Key, figure, heading, signed_figure, span_text
from awry.evaluation.comparison.trajectories import Checkpoints
from awry.files import atomic_write, writing
from awry.report.charts import Chart, Series, line_chart, marker, swatch
from awry.report.evaluated import Evaluations


def write_page(file: Path, comparison: Comparison, found: Checkpoints) -> Path:
    with writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(file, render(comparison, found))
    return file


def render(comparison: Comparison, found: Checkpoints) -> str:
    """Pure."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_asset),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("evaluation.html.j2").render(
        style=_asset("report.css"),
        version=__version__,
        comparison=comparison,
        result=compared(comparison),
        along=measured(found),
    )


def compared(comparison: Comparison) -> dict[str, Any]:
    """What the tables of comparison.html.j2 show of a comparison."""
    reach = max((abs(v) / r.span for r in comparison.rows for v in _ends(r)), default=1.0) or 1.0
    return {
        "comparison": comparison,
        "rows": comparison.rows,
        "sides": [comparison.baseline, *comparison.others],
        "several": len(comparison.others) > 1,
        "headline": headline(comparison),
        "bar": lambda row: delta_bar(row, reach),
        "figure": figure,
        "signed": signed_figure,
        "interval": span_text,
        "p": layout.p_text,
        "verdict": layout.verdict_text,
        "seeds": layout.seeds_text,
        "effect": layout.effect_text,
        "remarks": layout.remarks(comparison),
        "conditions": conditions_table(comparison),
    }


def measured(found: Checkpoints, arms: Sequence[str] = ()) -> dict[str, Any]:
    """What they show of checkpoints. arms: in the order of their colours, else as they come."""
    order = list(dict.fromkeys((*arms, *(course.arm for course in found.courses))))
    drawn = {course.arm for course in found.courses}
    return {
        "found": found,
        "heading": heading,
        "figure": figure,
        "cell": _cell,
        "span": lambda key: _span(found, key),
        "charts": [c for key in found.metrics if (c := chart_of(found, key, order)) is not None],
        "line_chart": line_chart,
        "arms": {arm: i for i, arm in enumerate(order) if arm in drawn},
        "swatch": swatch,
        "courses": [text for course in found.courses for text in layout.course_texts(course)],
        "limits": any(course.threshold is not None for course in found.courses),
        "reached": layout.reached_text,
    }


def section(own: Evaluations | None, arms: Sequence[str]) -> dict[str, Any] | None:
    """What the report of an experiment shows of the evaluations of its runs."""
    if own is None:
        return None
    result = None if own.comparison is None else compared(own.comparison)
    return {
        "of": own,
        "result": result,
        "along": None if own.found is None else measured(own.found, arms),
        "remarks": [*(result["remarks"] if result else ()), *own.notes],
    }


def headline(comparison: Comparison) -> str:
    """What came of it, in one line."""
    words = {"differs": "different", "equivalent": "equivalent", "undecided": "undecided"}
    words |= {"not tested": "not tested", "not measured": "not measured"}
    counts = Counter(row.verdict for row in comparison.rows)
    told = ", ".join(
        f"{counts[verdict]} {word}" for verdict, word in words.items() if counts[verdict]
    )
    return f"{len(comparison.rows)} comparisons: {told}"


def delta_bar(row: Row, reach: float, width: int = 180) -> Markup:
    """The difference with its interval around 0; shaded: the margin."""
    if row.delta is None:
        return Markup("–")
    pad, height, scale = 6, 16, reach * row.span

    def x(value: float) -> float:
        return width / 2 + value / scale * (width / 2 - pad)

    parts = []
    if row.margin is not None:
        low, high = max(x(-row.margin), 0.0), min(x(row.margin), float(width))
        parts.append(
            f'<rect class="band" x="{low:.1f}" y="0" width="{high - low:.1f}" height="{height}"/>'
        )
    parts.append(f'<path class="zero" d="M{width / 2:.1f} 0V{height}"/>')
    if row.interval is not None:
        low, high = x(row.interval.low), x(row.interval.high)
        parts.append(f'<path class="range arm-0" d="M{low:.1f} 8H{high:.1f}"/>')
    parts.append(marker(0, x(row.delta), 8, 3.4))
    said = signed_figure(row.delta, row.span)
    if row.interval is not None:
        said += f", interval {span_text(row.interval, row.span, sign=True)}"
    return Markup(
        f'<svg class="where" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(said)}">{"".join(parts)}</svg>'
    )


def chart_of(found: Checkpoints, key: Key, order: Sequence[str]) -> Chart | None:
    """One line per arm: the run itself, or the mean over seeds with each seed drawn faintly."""
    courses = [course for course in found.courses if course.metric == key]
    if not courses:
        return None
    series: list[Series] = []
    for course in courses:
        arm = order.index(course.arm)
        curves = [dict(run.curve) for run in course.runs]
        if len(curves) > 1:
            series += [
                Series(f"{course.arm}, seed {run.seed}", arm, dict(run.curve), faint=True)
                for run in course.runs
            ]
        series.append(Series(course.arm, arm, _mean(curves)))
    whole = courses[0].span == 1.0
    threshold = courses[0].threshold
    levels = () if threshold is None else ((threshold, "threshold"),)
    unit = "share" if whole else "marks"
    values = [v for c in courses for run in c.runs for v in run.curve.values()]
    return Chart(
        f"{key[0]}-{key[1]}",
        heading(key),
        unit,
        tuple(series),
        percent=whole and all(0 <= v <= 1 for v in values),
        levels=levels,
    )


def conditions_table(comparison: Comparison) -> list[tuple[str, str, list[str]]]:
    """(benchmark, condition, its value on each side) of what was compared."""
    benchmarks = dict.fromkeys(row.benchmark for row in comparison.rows)
    out: list[tuple[str, str, list[str]]] = []
    for benchmark in benchmarks:
        asked = [
            s.runs[0].conditions.get(benchmark, {})
            for s in (comparison.baseline, *comparison.others)
        ]
        for field in dict.fromkeys(field for conditions in asked for field in conditions):
            if field in ("benchmark",) or field.startswith(f"{SCORER}["):
                continue
            values = [shown(conditions.get(field)) for conditions in asked]
            out.append((benchmark, field, values[:1] if len(set(values)) == 1 else values))
    return out


def _mean(curves: Sequence[Mapping[int, float]]) -> dict[int, float | None]:
    """Per step over seeds; None where a seed has no number, so no mean mixes seeds unnoticed."""
    out: dict[int, float | None] = {}
    for step in sorted({step for curve in curves for step in curve}):
        known = [curve[step] for curve in curves if step in curve]
        out[step] = sum(known) / len(known) if len(known) == len(curves) else None
    return out


def _cell(policy: Any, key: Key, span: float) -> Markup:
    measure = policy.measures.get(key)
    if measure is None or measure.value is None:
        return Markup("–")
    interval = (
        "" if measure.interval is None else f"<small>{span_text(measure.interval, span)}</small>"
    )
    return Markup(f"{figure(measure.value, span)}{interval}")


def _span(found: Checkpoints, key: Key) -> float:
    return max([s.measures[key].span for s in found.rows if key in s.measures], default=1.0)


def _ends(row: Row) -> list[float]:
    ends = [] if row.interval is None else [row.interval.low, row.interval.high]
    return [*ends, *([] if row.delta is None else [row.delta])]


def _asset(name: str) -> str:
    return (resources.files("awry.report") / "assets" / name).read_text(encoding="utf-8")
