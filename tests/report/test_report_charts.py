"""Charts as markup: what is drawn, how arms are told apart, and that axes are round and cover."""

from __future__ import annotations

import html as html_module
import json
import math
import re
import xml.etree.ElementTree as ET

import pytest

from awry.report.charts import (
    Chart,
    Dots,
    Series,
    Strip,
    dot_plot,
    interval_strip,
    line_chart,
    nice_ticks,
    number,
    spans,
    swatch,
)


def chart(*series: Series, **changes) -> Chart:
    return Chart("c", "Title", "unit", series, **changes)


def elements(svg: str, kind: str):
    return [e for e in ET.fromstring(svg).iter() if kind in (e.get("class") or "").split()]


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (0, 0), (-3.2, 7.9), (0, 0.00037), (0, 96), (5, 5.0001), (0, 1e7)]
)
def test_ticks_are_round_increasing_and_cover_the_data(low, high):
    ticks = nice_ticks(low, high, 4)
    assert ticks[0] <= low + 1e-9
    assert ticks[-1] >= high - 1e-9
    assert ticks == sorted(set(ticks))
    assert 2 <= len(ticks) <= 8
    step = ticks[1] - ticks[0]
    lead = step / 10 ** math.floor(math.log10(step) + 1e-9)
    assert round(lead, 6) in (1, 2, 5, 10)


def test_spans():
    assert spans([2, 0, 1, 5]) == [(0, 2), (5, 5)]
    assert spans([]) == []


def test_points_lie_where_their_numbers_say():
    svg = line_chart(chart(Series("a", 0, {0: 0.0, 4: 1.0}), percent=True))
    (line,) = elements(svg, "line")
    (x0, y0), (x1, y1) = re.findall(r"([\d.]+) ([\d.]+)", line.get("d") or "")
    assert float(x1) - float(x0) == pytest.approx(380 - 44 - 10, abs=0.2)
    assert float(y0) - float(y1) == pytest.approx(240 - 10 - 38, abs=0.2)


def test_arms_differ_without_colour():
    svg = line_chart(chart(*(Series(str(i), i, {0: i, 1: i}) for i in range(6))))
    looks = {
        (line.get("stroke-dasharray"), mark.get("class", "").split()[1])
        for line, mark in zip(elements(svg, "line"), elements(svg, "mark")[::2], strict=True)
    }
    assert len(looks) == 6
    assert len({str(swatch(i)) for i in range(12)}) == 12


def test_lines_on_top_of_each_other_show_the_markers_of_both():
    flat = dict.fromkeys(range(20), 0.0)
    svg = line_chart(chart(Series("a", 0, flat), Series("b", 1, flat), percent=True))
    circles = {float(e.get("cx") or 0) for e in elements(svg, "circle")}
    corners = [re.findall(r"M([\d.]+)", e.get("d") or "")[0] for e in elements(svg, "square")]
    squares = {round(float(x) + 3, 1) for x in corners}  # half a marker from corner to middle
    assert len(circles) == len(squares) == 10
    assert not circles & squares


def test_an_unmeasured_step_leaves_a_gap():
    (line,) = elements(line_chart(chart(Series("a", 0, {0: 1, 1: None, 2: 3, 3: 4}))), "line")
    assert (line.get("d") or "").count("M") == 2


def test_nothing_measured_is_said_and_not_drawn():
    assert "Not measured" in line_chart(chart(Series("a", 0, {0: None})))


def test_teacher_steps_are_marked_per_arm():
    svg = line_chart(chart(Series("a", 1, {0: 1, 9: 1}), teacher={1: (0, 1, 2, 5), 2: ()}))
    assert len(elements(svg, "teacher")) == 2
    assert all("arm-1" in e.get("class", "") for e in elements(svg, "teacher"))


def test_names_are_escaped_and_the_read_out_survives_it():
    name = "</svg><script>alert(1)</script>\"'&"
    svg = line_chart(chart(Series(name, 0, {0: 0.25, 1: 0.5}, notes={0: "1 of 4"}), percent=True))
    assert "<script>" not in svg
    payload = json.loads(html_module.unescape(re.findall(r'data-chart="([^"]*)"', svg)[0]))
    assert payload["series"][0] == {"name": name, "arm": 0, "v": [0.25, 0.5], "n": ["1 of 4", ""]}
    assert name in (ET.fromstring(svg).get("aria-label") or "")


def test_single_seeds_are_drawn_faintly_and_left_out_of_the_read_out():
    svg = line_chart(chart(Series("s", 0, {0: 1, 1: 2}, faint=True), Series("m", 0, {0: 1, 1: 2})))
    assert len(elements(svg, "faint")) == 1
    payload = json.loads(html_module.unescape(re.findall(r'data-chart="([^"]*)"', svg)[0]))
    assert [s["name"] for s in payload["series"]] == ["m"]


def test_interval_strip_draws_both_ends_and_skips_what_is_unknown():
    nan = float("nan")
    both = interval_strip(Strip(0, (0.0, 0.0, 0.1), (0.8, 0.7, 0.9)))
    assert len(elements(both, "range")) == 2
    assert len(elements(both, "hollow")) == 1
    assert "80.0 %" in both
    one = interval_strip(Strip(0, (0.0, 0.0, 0.1), (nan, 0, 1)))
    assert len(elements(one, "range")) == 1
    assert "nan" not in one


def test_numbers_at_the_axis():
    values = (0.5, -2, 0.000015, 1e-12, 250000, 96)
    assert [number(v) for v in values] == ["0.5", "−2", "1.5e−5", "1e−12", "2.50e5", "96"]
    assert number(0.25, percent=True) == "25 %"


def height(svg: str, kind: str) -> float:
    (line,) = elements(svg, kind)
    return float(re.findall(r"M[\d.]+ ([\d.]+)H", line.get("d") or "")[0])


def test_a_reference_level_lies_where_its_value_says():
    series = Series("a", 0, {0: 0.2, 4: 1.0})
    svg = line_chart(chart(series, levels=((0.5, "chance"),)))
    top, bottom = 10, 240 - 38
    assert height(svg, "level") == pytest.approx((top + bottom) / 2, abs=0.2)
    assert "chance" in svg
    assert elements(svg, "zero") == []  # the axis itself is at zero


def test_zero_is_marked_where_values_lie_on_both_sides():
    svg = line_chart(chart(Series("a", 0, {0: -0.5, 4: 0.5})))
    assert height(svg, "zero") == pytest.approx((10 + 202) / 2, abs=0.2)


def test_charts_that_cover_the_same_values_have_the_same_scale():
    small, large = Series("a", 0, {0: 0.0, 4: 0.1}), Series("a", 0, {0: 0.0, 4: 0.9})
    ticks = [
        [t.text for t in elements(line_chart(chart(s, cover=(0.0, 0.9))), "tick")]
        for s in (small, large)
    ]
    assert ticks[0] == ticks[1]


def test_dots_lie_where_their_scores_say():
    rows = (Dots("own", (0.5, -0.5), (0.0,)), Dots("other", (), (0.25,)))
    svg = dot_plot(rows)
    hack, honest = elements(svg, "hack"), elements(svg, "honest")
    assert (len(hack), len(honest)) == (2, 2)
    low, high = sorted(float(dot.get("cx") or 0) for dot in hack)
    middle, quarter = (float(dot.get("cx") or 0) for dot in honest)
    assert middle == pytest.approx((low + high) / 2, abs=0.1)
    assert quarter - middle == pytest.approx((high - low) / 4, abs=0.1)
    label = ET.fromstring(svg).get("aria-label") or ""
    assert "own, hack: 2 scores, mean 0" in label
    assert "other, hack" not in label


def test_dots_of_one_value_still_make_an_axis():
    assert elements(dot_plot((Dots("own", (0.0,), (0.0,)),)), "dot")
