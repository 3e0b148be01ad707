"""How a direction was verified, as text, as table rows and as one self-contained page."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from awry import files

COLUMNS = ("direction", "AUROC", "of 20 draws", "AUROC (aligned)", "hack", "honest", "energy")
CAPTION = "Cosine of each held-out completion's gradient: hacks filled, honest answers hollow"


def cells(document: Mapping[str, Any]) -> list[dict[str, str]]:
    """The rows of a verification.json as text."""
    rows: list[dict[str, str]] = []
    for row in document["rows"]:
        spread = row["auroc_spread"]
        numbers = (
            f"{row['auroc_cosine']:.2f}",
            f"{spread[0]:.2f} to {spread[1]:.2f}" if spread else "",
            f"{row['auroc_alignment']:.2f}",
            f"{row['cosine_hack']:+.3f}",
            f"{row['cosine_honest']:+.3f}",
            f"{row['energy_in']:.2f}",
        )
        rows.append(dict(zip(COLUMNS, (row["direction"], *numbers), strict=True)))
    return rows


def summary(document: Mapping[str, Any]) -> str:
    """What the rows were measured on, in one line."""
    from awry.report.direction import chance_energy

    chance = chance_energy(document)
    signs, energy = document["sign_agreement"], document["energy"]
    dropped = document["modules_dropped"]
    shown = "" if energy is None else f", energy of pairs {energy:.2f} in {document['top_k']} axes"
    by_chance = "" if chance is None else f"; the energy column by chance {chance:.2f}"
    return (
        f"{document['modules']} modules ({dropped} left out), {document['pairs_extraction']} pairs; "
        f"on {document['pairs_heldout']} held-out pairs {signs:.0%} of signs agree{shown}{by_chance}; "
        f"{document['seconds']:.0f} s"
    )


def write_page(directory: Path, title: str = "Direction") -> Path:
    """Write verification.html beside verification.json."""
    from awry.report.charts import dot_plot
    from awry.report.direction import verified
    from awry.report.load import DirectionStage

    document = files.read_json(directory / "verification.json") or {}
    seen = verified(DirectionStage(directory.name, directory, (), document))
    style = resources.files("awry.report") / "assets" / "report.css"
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in COLUMNS)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(text)}</td>" for text in row.values()) + "</tr>"
        for row in cells(document)
    )
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">"
        f'<title>{escape(title)} · awry</title><link rel="icon" href="data:,">'
        f"<style>{style.read_text(encoding='utf-8')}</style></head>\n<body><header>"
        f'<p class="kicker">awry direction</p><h1>{escape(title)}</h1></header>\n<main><section>'
        f"<p>{escape(seen.standing)}</p><p>{escape(summary(document))}</p>\n"
        '<div class="scroll" role="region" aria-label="Figures" tabindex="0">'
        f'<table class="numbers"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>\n'
        f'<figure class="plot wide" style="max-width: 42rem"><figcaption>{escape(CAPTION)}</figcaption>'
        f'<div class="large">{dot_plot(seen.dots, 560)}</div>'
        f'<div class="small">{dot_plot(seen.dots)}</div></figure>\n'
        "</section></main></body></html>\n"
    )
    files.atomic_write(directory / "verification.html", page)
    return directory / "verification.html"
