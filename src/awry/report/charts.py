"""Line charts and interval strips as inline SVG text. Pure: numbers in, markup out.

Colours are CSS variables (`--arm-0` ...), so a chart follows the page into dark mode; arms also
differ by dash and marker. The numbers a read-out needs travel in a `data-chart` attribute.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup, escape

DASHES = ("", "7 3", "2 3", "9 3 2 3", "12 4", "1 4")
MARKERS = ("circle", "square", "triangle", "diamond", "cross", "ring")
COLOURS = 8


@dataclass(frozen=True)
class Series:
    """One line. arm: its index, which fixes colour, dash and marker; values: step -> number (a
    missing or None step leaves a gap); notes: step -> text for the read-out, e.g. '20 of 24'.
    """

    name: str
    arm: int
    values: Mapping[int, float | None]
    notes: Mapping[int, str] = field(default_factory=dict)
    faint: bool = False


@dataclass(frozen=True)
class Chart:
    """unit: printed at the axis and in the read-out; percent: values are fractions, axis 0-100 %;
    levels: (value, name) of horizontal reference lines; cover: values the axis must reach, so that
    two charts can be given the same scale.
    """

    id: str
    title: str
    unit: str
    series: tuple[Series, ...]
    percent: bool = False
    teacher: Mapping[int, tuple[int, ...]] = field(default_factory=dict)  # arm -> steps
    note: str = ""
    levels: tuple[tuple[float, str], ...] = ()
    cover: tuple[float, ...] = ()

    @property
    def values(self) -> list[float]:
        return [v for s in self.series for v in s.values.values() if v is not None]


@dataclass(frozen=True)
class Dots:
    """One row of a dot plot: the scores of hacks and of honest answers."""

    name: str
    hack: tuple[float, ...]
    honest: tuple[float, ...]


@dataclass(frozen=True)
class Strip:
    """One row of an interval strip: start and end of an arm, each (value, low, high)."""

    arm: int
    start: tuple[float, float, float]
    end: tuple[float, float, float]


def line_chart(chart: Chart, width: int = 380, height: int = 240) -> Markup:
    drawn = [s for s in chart.series if any(v is not None for v in s.values.values())]
    steps = sorted({step for s in drawn for step in s.values})
    lanes = sorted(arm for arm, mixed in chart.teacher.items() if mixed)
    if not steps:
        return Markup('<p class="quiet">Not measured in these runs.</p>')
    left, right, top = 44, 10, 10
    bottom = 38 + 5 * len(lanes)
    values = [*chart.values, *chart.cover, *(level for level, _ in chart.levels), 0.0]
    ticks = [0, 0.25, 0.5, 0.75, 1] if chart.percent else nice_ticks(min(values), max(values), 4)
    x0, x1 = steps[0], max(steps[-1], steps[0] + 1)
    y0, y1 = ticks[0], ticks[-1]
    inner_w, inner_h = width - left - right, height - top - bottom

    def x(step: float) -> float:
        return left + (step - x0) / (x1 - x0) * inner_w

    def y(value: float) -> float:
        return top + (1 - (value - y0) / (y1 - y0)) * inner_h

    parts: list[str] = []
    for tick in ticks:
        parts.append(f'<path class="grid" d="M{left} {y(tick):.1f}H{width - right}"/>')
        parts.append(
            f'<text class="tick" x="{left - 6}" y="{y(tick) + 3.5:.1f}" text-anchor="end">'
            f"{number(tick, chart.percent)}</text>"
        )
    axis = top + inner_h
    for tick in (t for t in nice_ticks(x0, x1, 5) if x0 <= t <= x1 and t == int(t)):
        parts.append(f'<path class="grid" d="M{x(tick):.1f} {axis}v4"/>')
        parts.append(
            f'<text class="tick" x="{x(tick):.1f}" y="{axis + 15}" text-anchor="middle">{tick:.0f}</text>'
        )
    parts.append(
        f'<text class="tick" x="{left + inner_w / 2:.1f}" y="{axis + 29}" text-anchor="middle">step</text>'
    )
    if lanes:
        parts.append(
            f'<text class="tick fine" x="{left - 4}" y="{axis + 38 + 2.5 * (len(lanes) - 1):.1f}" '
            'text-anchor="end">teacher</text>'
        )
    for lane, arm in enumerate(lanes):
        low = axis + 35 + 5 * lane
        for first, last in spans(chart.teacher[arm]):
            a, b = x(max(x0, first - 0.5)), x(min(x1, last + 0.5))
            parts.append(f'<path class="teacher arm-{arm % COLOURS}" d="M{a:.1f} {low}H{b:.1f}"/>')
    if y0 < 0 < y1:
        parts.append(f'<path class="zero" d="M{left} {y(0):.1f}H{width - right}"/>')
    for level, name in chart.levels:
        parts.append(f'<path class="level" d="M{left} {y(level):.1f}H{width - right}"/>')
        # above the line, but below it where it lies at the top
        baseline = y(level) + (12 if y(level) < top + 12 else -4)
        parts.append(
            f'<text class="tick fine" x="{width - right}" y="{baseline:.1f}" '
            f'text-anchor="end">{escape(name)}</text>'
        )
    arms = sorted({s.arm for s in drawn})
    parts.extend(_line(s, steps, x, y, arms.index(s.arm), len(arms)) for s in drawn)
    parts.append(f'<path class="cursor" d="M0 {top}V{axis}"/>')
    payload = {
        "x": [left, inner_w, x0, x1],
        "steps": steps,
        "unit": chart.unit,
        "percent": chart.percent,
        "series": [
            {
                "name": s.name,
                "arm": s.arm,
                "v": [None if s.values.get(t) is None else _round(s.values[t]) for t in steps],
                "n": [s.notes.get(t, "") for t in steps] if s.notes else [],
            }
            for s in drawn
            if not s.faint
        ],
    }
    label = f"{chart.title}, {chart.unit}, by step. {_spoken(drawn, chart)}"
    return Markup(
        f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" tabindex="0" '
        f'aria-label="{escape(label)}" data-chart="{escape(json.dumps(payload))}">'
        f"{''.join(parts)}</svg>"
    )


def _line(series: Series, steps: Sequence[int], x, y, turn: int, turns: int) -> str:
    """Runs of consecutive measured steps joined by a line. Arms take turns with their markers, so
    that lines on top of each other (two arms at 0 %) can still be told apart.
    """
    pieces, current = [], []
    for step in steps:
        value = series.values.get(step)
        if value is None:
            # a step that this series never measured (another's grid) is no gap in its line
            if step in series.values and current:
                pieces.append(current)
                current = []
            continue
        current.append((x(step), y(value)))
    pieces.append(current)
    path = "".join(
        "M" + "L".join(f"{px:.1f} {py:.1f}" for px, py in piece) for piece in pieces if piece
    )
    colour = f"arm-{series.arm % COLOURS}"
    dash = DASHES[series.arm % len(DASHES)]
    style = f' stroke-dasharray="{dash}"' if dash else ""
    out = f'<path class="line {colour}{" faint" if series.faint else ""}" d="{path}"{style}/>'
    if series.faint:
        return out
    points = [p for piece in pieces for p in piece]
    every = turns if len(points) >= 3 * turns else 1
    every *= math.ceil(len(points) / (24 * every))
    return out + "".join(marker(series.arm, px, py) for px, py in points[turn % every :: every])


def marker(arm: int, x: float, y: float, size: float = 3.0, extra: str = "") -> str:
    kind, s = MARKERS[arm % len(MARKERS)], size
    classes = f'class="mark {kind} arm-{arm % COLOURS}{extra}"'
    if kind in ("circle", "ring"):
        return f'<circle {classes} cx="{x:.1f}" cy="{y:.1f}" r="{s}"/>'
    shapes = {
        "square": f"M{x - s:.1f} {y - s:.1f}h{2 * s}v{2 * s}h{-2 * s}z",
        "triangle": f"M{x:.1f} {y - s * 1.3:.1f}l{s * 1.3:.1f} {s * 2.3:.1f}h{-s * 2.6:.1f}z",
        "diamond": f"M{x:.1f} {y - s * 1.4:.1f}l{s * 1.4:.1f} {s * 1.4:.1f}l{-s * 1.4:.1f} {s * 1.4:.1f}l{-s * 1.4:.1f} {-s * 1.4:.1f}z",
        "cross": f"M{x - s:.1f} {y - s:.1f}l{2 * s} {2 * s}m0 {-2 * s}l{-2 * s} {2 * s}",
    }
    return f'<path {classes} d="{shapes[kind]}"/>'


def swatch(arm: int) -> Markup:
    """The legend key of an arm: its line, dash and marker."""
    dash = DASHES[arm % len(DASHES)]
    style = f' stroke-dasharray="{dash}"' if dash else ""
    return Markup(
        '<svg class="swatch" viewBox="0 0 34 12" aria-hidden="true">'
        f'<path class="line arm-{arm % COLOURS}" d="M1 6H33"{style}/>{marker(arm, 17, 6)}</svg>'
    )


def interval_strip(strip: Strip, width: int = 300) -> Markup:
    """Start (hollow) and end (filled) on a 0-100 % axis with their 95 % intervals."""
    pad, height = 20, 46

    def x(value: float) -> float:
        return pad + value * (width - 2 * pad)

    colour = f"arm-{strip.arm % COLOURS}"
    parts = [
        f'<path class="grid" d="M{x(t):.1f} 4V31"/><text class="tick" x="{x(t):.1f}" y="43" '
        f'text-anchor="middle">{t * 100:.0f} %</text>'
        for t in (0, 0.25, 0.5, 0.75, 1)
    ]
    for row, (value, low, high) in ((11, strip.start), (24, strip.end)):
        if math.isnan(value):
            continue
        parts.append(f'<path class="range {colour}" d="M{x(low):.1f} {row}H{x(high):.1f}"/>')
        parts.append(marker(strip.arm, x(value), row, 4.0, " hollow" if row == 11 else ""))
    spoken = "; ".join(
        f"{name} {v * 100:.1f} %, interval {low * 100:.1f} to {high * 100:.1f} %"
        for name, (v, low, high) in (("start", strip.start), ("end", strip.end))
        if not math.isnan(v)
    )
    return Markup(
        f'<svg class="strip" viewBox="0 0 {width} {height}" role="img" aria-label="'
        f'{escape("Student hack rate: " + spoken)}">{"".join(parts)}</svg>'
    )


def dot_plot(rows: Sequence[Dots], width: int = 380) -> Markup:
    """Every score as a dot on one axis: hacks filled on the upper lane, honest answers hollow."""
    left, right, lane, row_height = 68, 12, 11, 42
    values = [v for row in rows for v in (*row.hack, *row.honest)]
    ticks = nice_ticks(min(0.0, *values), max(0.0, *values), 5)
    height = row_height * len(rows) + 24

    def x(value: float) -> float:
        return left + (value - ticks[0]) / (ticks[-1] - ticks[0]) * (width - left - right)

    parts = [
        f'<path class="{"zero" if tick == 0 else "grid"}" d="M{x(tick):.1f} 4V{height - 20}"/>'
        f'<text class="tick" x="{x(tick):.1f}" y="{height - 6}" text-anchor="middle">'
        f"{number(tick)}</text>"
        for tick in ticks
    ]
    spoken = []
    for i, row in enumerate(rows):
        middle = row_height * i + row_height / 2
        parts.append(
            f'<text class="tick" x="{left - 8}" y="{middle + 4:.1f}" text-anchor="end">'
            f"{escape(row.name)}</text>"
        )
        for kind, scores, at in (
            ("hack", row.hack, middle - lane / 2),
            ("honest", row.honest, middle + lane / 2),
        ):
            # neighbours take turns by a pixel or two, so that equal scores do not hide each other
            parts += [
                f'<circle class="dot {kind}" cx="{x(v):.1f}" cy="{at + (k % 3 - 1) * 2:.1f}" r="2.6"/>'
                for k, v in enumerate(sorted(scores))
            ]
            if scores:
                mean = math.fsum(scores) / len(scores)
                spoken.append(f"{row.name}, {kind}: {len(scores)} scores, mean {number(mean)}")
    label = "Cosines of held-out completions. " + "; ".join(spoken)
    return Markup(
        f'<svg class="dots" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )


def nice_ticks(low: float, high: float, wanted: int) -> list[float]:
    """Round numbers that span low..high: steps of 1, 2 or 5 times a power of ten."""
    if high <= low:
        high = low + 1.0
    raw = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def spans(steps: Sequence[int]) -> list[tuple[int, int]]:
    """Consecutive steps as (first, last): [0, 1, 2, 5] -> [(0, 2), (5, 5)]."""
    out: list[tuple[int, int]] = []
    for step in sorted(steps):
        if out and out[-1][1] == step - 1:
            out[-1] = (out[-1][0], step)
        else:
            out.append((step, step))
    return out


def number(value: float, percent: bool = False) -> str:
    if percent:
        return f"{value * 100:.0f} %"
    text = f"{value:.4g}" if abs(value) < 1e5 else f"{value:.2e}"
    return text.replace("e-0", "e-").replace("e+0", "e").replace("-", "−")


def _round(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.5g}")


def _spoken(series: Sequence[Series], chart: Chart) -> str:
    ends = []
    for s in series:
        known = [(step, v) for step, v in sorted(s.values.items()) if v is not None]
        if s.faint or not known:
            continue
        (a, first), (b, last) = known[0], known[-1]
        ends.append(
            f"{s.name}: {number(first, chart.percent)} at step {a}, "
            f"{number(last, chart.percent)} at step {b}"
        )
    return "; ".join(ends) + "."
