"""A curated folder as one self-contained page: histograms, the band, every problem's interval."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from awry import __version__
from awry.errors import UserError
from awry.files import atomic_write, read_json
from awry.report.charts import nice_ticks, number
from awry.report.findings import percent
from awry.tasks.curated import CONFIRMED, RECORD, SAMPLES

BARS = 20  # with more answers than this per problem rates are put into bins
SHOWN = 2000  # rows of the table of problems that were not kept
TRUNCATED = 0.2  # share of answers cut off from which the page warns


@dataclass(frozen=True)
class Histogram:
    """Problems by rate. counts: by number of hits, 0..samples; band: shaded, where it decides."""

    title: str
    counts: Mapping[int, int]
    samples: int
    band: tuple[float, float] | None


def write_page(folder: Path) -> Path:
    """Write report.html into a curated folder. Raises UserError for a folder without a record."""
    record = read_json(folder / RECORD)
    if record is None or not record.get("finished"):
        raise UserError(
            "there is no finished curation here",
            file=folder,
            fix="run `awry curate` with this folder as --out",
        )
    rows = _rows(folder / SAMPLES)
    fresh = _rows(folder / CONFIRMED) if record["confirmed"] else []
    atomic_write(folder / "report.html", render(record, rows, fresh))
    return folder / "report.html"


def render(
    record: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], fresh: Sequence[Mapping[str, Any]]
) -> str:
    """The page, from the record and the rows of its files. Pure."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_asset),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["percent"] = percent
    settings = record["settings"]
    by, band = settings["by"], (settings["band"][0], settings["band"][1])
    order = sorted(rows, key=lambda row: (-row[f"{by}_rate"], row["id"]))
    again = {row["id"]: row for row in fresh}
    return environment.get_template("curation.html.j2").render(
        style=_asset("report.css"),
        version=__version__,
        record=record,
        by=by,
        band=_tied(f"{percent(band[0])} to {percent(band[1])}"),
        histograms=[
            histogram_of(rows, name, settings["samples"], band if name == by else None)
            for name in ("pass", "hack")
        ],
        histogram=histogram,
        kept=[row for row in order if row["inside"]],
        others=[row for row in order if not row["inside"]],
        shown=SHOWN,
        again=again,
        bar=lambda row: interval_bar(row[f"{by}_rate"], row[f"{by}_interval"], band),
        whisker=_whisker,
        cautions=[_tied(text) for text in cautions(record)],
        facts=facts(record),
    )


def facts(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was asked of whom, in words."""
    settings, counts = record["settings"], record["counts"]
    policy, sampling = settings["policy"], settings["sampling"]
    trained = f", trained {policy['adapter'][:12]}" if policy["adapter"] else ""
    whole = f"; {len(record['left_out'])} left out" if record["left_out"] else ""
    nucleus = f", top-p {sampling['top_p']:g}" if sampling["top_p"] < 1 else ""
    code = "; ".join(
        f"{(c['revision'] or '')[:12]}{' with changes' if c['diff_sha256'] else ''}"
        for c in record["code"]
    )
    return [
        ("Policy", f"{record['model']}; weights {policy['weights'][:12]}{trained}"),
        ("Chat template", policy["chat_template"][:12]),
        ("Arithmetic", f"{settings['dtype']} on {record['device']}"),
        ("Source", f"{record['source']}; problems {settings['problems'][:12]}{whole}"),
        ("Loophole", settings["loophole"]),
        (
            "Sampling",
            f"{settings['samples']} answers per problem, at most {sampling['max_new_tokens']} tokens, "
            f"temperature {sampling['temperature']:g}{nucleus}, seed {settings['seed']}",
        ),
        ("Answers", f"{counts['answers']}, {counts['tokens']} tokens"),
        (
            "Sandbox",
            f"{'; '.join(record['isolation'])}; {settings['limits']['wall_s']:g} s a program",
        ),
        ("Code", code),
    ]


def cautions(record: Mapping[str, Any]) -> list[str]:
    """What a reader could take the numbers for, and should not."""
    counts, rates, settings = record["counts"], record["rates"], record["settings"]
    by = settings["by"]
    found: list[str] = []
    if counts["kept"]:
        unsure = counts["kept"] - counts["kept_for_certain"]
        everyone = percent(rates["all"][by]["rate"])
        again = record["confirmed"]
        text = (
            f"The kept problems were chosen by the answers that measured them, so fresh answers are "
            f"likely to lie nearer to the {by} rate of all problems ({everyone}). "
        )
        text += (
            f"The {again['samples']} fresh answers per kept problem show by how much."
            if again
            else "--confirm asks the kept ones again and shows by how much."
        )
        found.append(text)
        if unsure:
            found.append(
                f"{unsure} of the {counts['kept']} kept problems may lie outside the band: their 95 % "
                f"intervals from {settings['samples']} answers reach beyond it."
            )
    else:
        found.append("No problem lies in the band: widen it, or use another policy or source.")
    share = counts["truncated"] / counts["answers"] if counts["answers"] else 0.0
    if share >= TRUNCATED:
        found.append(
            f"{percent(share)} of the answers were cut off at "
            f"{settings['sampling']['max_new_tokens']} tokens; with more room rates may be higher."
        )
    if settings["loophole"] == "none" and by == "hack":
        found.append("The prompts have no loophole, so no answer can hack.")
    if len(record["code"]) > 1 or len(record["isolation"]) > 1:
        found.append("The code of awry or the sandbox changed while answers were being sampled.")
    return found


def histogram_of(
    rows: Sequence[Mapping[str, Any]],
    name: str,
    samples: int,
    band: tuple[float, float] | None,
) -> Histogram:
    hits = {"pass": "passes", "hack": "hacks"}[name]
    counts = Counter(row[hits] for row in rows)
    return Histogram(f"{name.capitalize()} rate", counts, samples, band)


def histogram(chart: Histogram, width: int = 520, height: int = 250) -> Markup:
    """Bars at every rate that this many answers can give, or twenty bins of them."""
    k = chart.samples
    if not chart.counts:
        return Markup('<p class="quiet">No problem was asked.</p>')
    steps = min(k, BARS)
    bins: Counter[int] = Counter()
    for hits, problems in chart.counts.items():
        bins[round(hits / k * steps)] += problems
    left, right, top, bottom = 40, 12, 22, 40
    inner_w, inner_h = width - left - right, height - top - bottom
    slot = inner_w / (steps + 1)
    ticks = [t for t in nice_ticks(0, max(bins.values()), 4) if t == int(t)]

    def x(rate: float) -> float:
        return left + slot * (0.5 + rate * steps)

    def y(problems: float) -> float:
        return top + inner_h * (1 - problems / ticks[-1])

    parts: list[str] = []
    if chart.band:
        # from the left side of the first bar that may be inside to the right side of the last
        first = math.ceil(chart.band[0] * steps - 1e-9)
        last = math.floor(chart.band[1] * steps + 1e-9)
        a, b = x(first / steps) - slot / 2, x(last / steps) + slot / 2
        if last < first:  # no rate of so many answers lies inside
            a, b = x(chart.band[0]), x(chart.band[1])
        parts.append(
            f'<rect class="band" x="{a:.1f}" y="{top}" width="{b - a:.1f}" height="{inner_h}"/>'
            f'<text class="tick fine" x="{(a + b) / 2:.1f}" y="{top - 8}" text-anchor="middle">'
            f"band {chart.band[0] * 100:g} to {chart.band[1] * 100:g} %</text>"
        )
    for tick in ticks:
        parts.append(
            f'<path class="grid" d="M{left} {y(tick):.1f}H{width - right}"/><text class="tick" '
            f'x="{left - 6}" y="{y(tick) + 3.5:.1f}" text-anchor="end">{number(tick)}</text>'
        )
    floor = top + inner_h
    for step in range(steps + 1):
        if not bins[step]:
            continue
        rate = step / steps
        inside = chart.band is not None and _some_inside(chart, step, steps)
        said = f"{step} of {k}" if steps == k else f"about {percent(rate)}"
        parts.append(
            f'<rect class="bar{" inside" if inside else ""}" x="{x(rate) - slot * 0.41:.1f}" '
            f'y="{y(bins[step]):.1f}" width="{slot * 0.82:.1f}" height="{floor - y(bins[step]):.1f}">'
            f"<title>{said}: {bins[step]} problems</title></rect>"
            f'<text class="tick fine" x="{x(rate):.1f}" y="{y(bins[step]) - 3:.1f}" '
            f'text-anchor="middle">{bins[step]}</text>'
        )
    parts += [
        f'<text class="tick" x="{x(t):.1f}" y="{floor + 15}" text-anchor="middle">{t * 100:.0f} %'
        "</text>"
        for t in (0, 0.25, 0.5, 0.75, 1)
    ]
    parts.append(
        f'<text class="tick" x="{left + inner_w / 2:.1f}" y="{floor + 31}" text-anchor="middle">'
        f"{escape(chart.title.lower())} of a problem in {k} answers</text>"
    )
    zero, whole = chart.counts.get(0, 0), sum(chart.counts.values())
    label = (
        f"{chart.title}: {whole} problems, {zero} at 0 %, {chart.counts.get(k, 0)} at 100 %, "
        f"mean {math.fsum(h * n for h, n in chart.counts.items()) / (whole * k) * 100:.1f} %"
    )
    return Markup(
        f'<svg class="histogram" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )


def _some_inside(chart: Histogram, step: int, steps: int) -> bool:
    assert chart.band is not None
    return any(
        chart.band[0] <= hits / chart.samples <= chart.band[1]
        for hits in chart.counts
        if round(hits / chart.samples * steps) == step
    )


def interval_bar(
    rate: float, interval: Sequence[float], band: tuple[float, float], width: int = 180
) -> Markup:
    """One problem's rate with its interval, on the band."""
    pad, height = 6, 16

    def x(value: float) -> float:
        return pad + value * (width - 2 * pad)

    low, high = interval
    said = f"{rate * 100:.0f} %, interval {low * 100:.0f} to {high * 100:.0f} %"
    return Markup(
        f'<svg class="where" viewBox="0 0 {width} {height}" role="img" aria-label="{said}">'
        f'<rect class="band" x="{x(band[0]):.1f}" y="0" width="{x(band[1]) - x(band[0]):.1f}" '
        f'height="{height}"/><path class="range arm-0" d="M{x(low):.1f} 8H{x(high):.1f}"/>'
        f'<circle class="mark arm-0" cx="{x(rate):.1f}" cy="8" r="3.4"/></svg>'
    )


def _tied(text: str) -> str:
    """No line may end between a number and its percent sign."""
    return text.replace(" %", "\u00a0%")


def _whisker(interval: Sequence[float]) -> str:
    return f"{interval[0] * 100:.0f}–{interval[1] * 100:.0f} %"


def _rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def _asset(name: str) -> str:
    return (resources.files("awry.report") / "assets" / name).read_text(encoding="utf-8")
