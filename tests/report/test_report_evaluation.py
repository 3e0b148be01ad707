"""The page of a comparison: what it says, that it is whole, and how it looks in a browser."""

from __future__ import annotations

import re
from pathlib import Path

import browser as chromium
import pytest

from awry.evaluation.comparison.compare import Margins, compare
from awry.evaluation.comparison.table import read_subjects
from awry.evaluation.comparison.trajectories import checkpoints
from awry.report.evaluation import conditions_table, delta_bar, write_page
from fake_evaluations import items, row, write

NAME = "accuracy[lexical-v1]"
KEY = ("xstest", NAME)


def some_folders(place: Path) -> list[Path]:
    base = [float(i % 5 > 0) for i in range(100)]
    hostile = '<script>window.pwned = 1</script>"'
    rows = [row(NAME, items(base)), row("score", {}, reason=f"no judge {hostile}")]
    folders = [write(place / "base", rows, name=f"base {hostile}", weights="1")]
    for arm, every in (("vanilla", 2), ("projected", 9)):
        for seed in (0, 1):
            for step in (10, 20):
                kept = [v * ((i + seed) % every > 0 or step == 10) for i, v in enumerate(base)]
                folders.append(
                    write(
                        place / f"{arm}-{seed}-{step}",
                        [row(NAME, items(kept)), row("score", {})],
                        arm=arm,
                        seed=seed,
                        step=step,
                        adapter=f"{arm}{seed}{step}",
                    )
                )
    return folders


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("comparison")
    subjects = read_subjects(some_folders(place))
    comparison = compare(subjects, by_arm=True, margins=Margins(0.05))
    found = checkpoints(subjects, [KEY], {KEY: 0.6})
    return write_page(place / "page.html", comparison, found)


def test_it_says_what_differs_and_how_sure_that_is(page: Path) -> None:
    text = re.sub(r"\s+", " ", page.read_text())
    assert "<h1>4 comparisons: 2 undecided, 2 not measured</h1>" in text
    assert "so few seeds cannot reach p &lt; 0.05" in text
    assert "vanilla, mean over seeds" in text
    assert "before it falls to 0.6" in text
    assert text.count('<svg class="chart"') == 1
    assert "template</td><td>bbbbbbbbbbbb</td>" in text


def test_it_is_whole_and_nothing_from_data_is_markup(page: Path) -> None:
    text = page.read_text()
    assert "<script" not in text
    assert not re.search(r"(?:src|href)=\"(?!#|data:)", text)
    assert "default-src 'none'" in text


def test_a_bar_lies_where_its_numbers_say(tmp_path: Path) -> None:
    folders = [
        write(tmp_path / "base", [row(NAME, items([1.0] * 50))]),
        write(tmp_path / "new", [row(NAME, items([0.0] * 10 + [1.0] * 40))]),
    ]
    comparison = compare(read_subjects(folders), margins=Margins(0.1))
    (found,) = comparison.rows
    svg = str(delta_bar(found, reach=0.5, width=212))
    assert 'cx="66.0"' in svg  # −0.2 of ±0.5 on 100 points a side
    assert '<rect class="band" x="86.0" y="0" width="40.0"' in svg
    assert "−0.200, interval −0.3" in svg
    values = {field: value for _, field, value in conditions_table(comparison)}
    assert values["dtype"] == ["bfloat16"]


def test_a_condition_that_was_let_through_shows_both_values(tmp_path: Path) -> None:
    folders = [
        write(tmp_path / "base", [row(NAME, items([1.0, 0.0]))]),
        write(tmp_path / "new", [row(NAME, items([1.0, 0.0]))], conditions={"dtype": "float32"}),
    ]
    comparison = compare(read_subjects(folders), allowed=["dtype"])
    values = {field: value for _, field, value in conditions_table(comparison)}
    assert values["dtype"] == ["bfloat16", "float32"]
    text = write_page(tmp_path / "p.html", comparison, checkpoints([], [])).read_text()
    assert "bfloat16 against float32" in text


@pytest.mark.browser
@pytest.mark.skipif(chromium.missing() is not None, reason=str(chromium.missing()))
def test_in_a_browser_nothing_overflows(page: Path) -> None:
    with chromium.browser() as started:
        for width in (1280, 390):
            opened = started.new_page(viewport={"width": width, "height": 900})
            problems: list[str] = []
            opened.on("console", lambda m, found=problems: found.append(m.text))
            opened.goto(page.resolve().as_uri())
            wide = opened.evaluate("document.documentElement.scrollWidth")
            assert wide <= width
            assert opened.evaluate("window.pwned") is None
            assert not problems
            opened.close()
