"""The direction's section: what verification.json says, however much of it there is."""

from __future__ import annotations

import json
import math
import random

import fake_direction
import pytest
from fake_direction import verification
from fake_experiment import VANILLA, Arm, write_experiment
from test_report_html import Page

from awry.report import build_report, write_report
from awry.report.direction import chance_energy, section, verified
from awry.report.load import DirectionStage, load_experiment


def stage(tmp_path, found):
    return DirectionStage("d00d", tmp_path, (), found)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_chance_energy_is_the_mean_over_random_directions(k):
    rng, r = random.Random(k), 400
    drawn = []
    for _ in range(2000):
        # <v, g> / |g| of a random unit vector v is as one coordinate of it; in so many coordinates
        # k of them are as good as orthogonal
        parts = [rng.gauss(0, 1) / math.sqrt(r) for _ in range(k)]
        drawn.append(math.sqrt(sum(max(0.0, c) ** 2 for c in parts)))
    expected = chance_energy({"null_energy": math.sqrt(k / r), "top_k": k})
    assert expected == pytest.approx(sum(drawn) / len(drawn), rel=0.05)


@pytest.mark.parametrize("found", [{}, {"null_energy": 0.1}, {"null_energy": None, "top_k": 3}])
def test_chance_energy_needs_both_numbers(found):
    assert chance_energy(found) is None


def test_the_table_and_the_dots_hold_the_files_numbers(tmp_path):
    found = verified(stage(tmp_path, verification()))
    assert [row.direction for row in found.rows] == ["extracted", "random", "shuffled", "benign"]
    assert found.rows[0].numbers["cosine_honest"] == -0.22
    assert found.rows[1].spread == (0.31, 0.68)
    assert [row.name for row in found.dots] == ["extracted", "random", "shuffled", "benign"]
    assert len(found.dots[0].hack) == 16
    assert dict(found.facts)["Signs that agree"] == "98 %"
    assert found.standing.startswith("It beats its null models: AUROC 1.00")


def test_a_direction_no_better_than_the_best_random_draw_is_said_not_to_beat_it(tmp_path):
    rows = verification()["rows"]
    rows[0]["auroc_cosine"] = 0.66
    found = verified(stage(tmp_path, verification(rows=rows)))
    assert found.standing.startswith("It does not beat random: AUROC 0.66")


@pytest.mark.parametrize(
    "found",
    [
        None,
        {},
        {"rows": None, "scores": None},
        {"rows": [3, {"direction": "extracted"}], "scores": {"extracted": 4}},
        {"rows": [{"direction": "extracted", "auroc_cosine": 0.9}], "scores": {"extracted": {}}},
        {"scores": {"own": {"hack": [0.1, None, "x"], "honest": []}}},
    ],
)
def test_what_is_missing_is_left_out(tmp_path, found):
    verified(stage(tmp_path, found))


@pytest.fixture(scope="module")
def page(directed_html):
    return Page(directed_html.read_text())


def test_the_page_gets_a_section_and_a_link_to_it(page):
    assert page.errors == []
    order = [a["id"] for t, a in page.tags if t == "section"]
    assert order.index("direction") == order.index("curves") + 1
    ids = {a["id"] for _, a in page.tags if "id" in a}
    assert {a["href"][1:] for t, a in page.tags if t == "a"} <= ids
    text = "".join(page.text).replace("\u00a0", " ")
    assert "It beats its null models" in text
    assert "On the run's own rollouts" in text


def test_the_verdict_stands_before_every_arms_own(page, directed):
    text = "".join(page.text).replace("\u00a0", " ")
    (found,) = directed.interventions
    assert found.finding.text in text
    assert found.finding.rule in text
    assert text.index(found.finding.headline) < text.index("Every arm by itself")
    assert "projected against vanilla" not in text.replace("\n", " ")


def test_without_a_direction_there_is_neither_section_nor_option(html):
    text = html.read_text()
    page = Page(text)
    assert "direction" not in [a.get("id") for _, a in page.tags]
    assert "cosine-high" not in [a.get("value") for _, a in page.tags]
    assert "Interventions" not in "".join(page.text).split("(() =>")[0]


def titles(chart_list):
    return [chart.id for chart in chart_list]


def test_charts_are_drawn_only_of_what_was_measured(directed, report):
    found = section(directed)
    assert found is not None
    assert "direction_overlap" not in titles(found.charts)
    assert {"direction_cosine_in", "direction_cosine_out", "direction_leak"} <= {
        *titles(found.charts)
    }
    assert titles(found.placebo_charts)[:2] == ["placebo_cosine_in", "placebo_cosine_out"]
    assert all(chart.values for chart in (*found.charts, *found.placebo_charts))
    assert section(report) is None


def test_before_and_after_share_a_scale_and_chance_has_a_line(directed):
    found = section(directed)
    assert found is not None
    charts = {chart.id: chart for chart in found.charts}
    before, after = charts["direction_cosine_in"], charts["direction_cosine_out"]
    assert before.cover == after.cover == (0.0, pytest.approx(0.45))
    assert charts["direction_auroc"].levels == ((0.5, "chance"),)
    ((level, _),) = charts["direction_energy_in"].levels
    assert 0.04 < level < 0.081 / math.sqrt(2)


def test_steps_without_a_measurement_do_not_break_a_line(directed):
    found = section(directed)
    assert found is not None
    (chart,) = [c for c in found.charts if c.id == "direction_cosine_other"]
    assert {step % 2 for s in chart.series for step in s.values} == {0}


def test_measured_without_any_intervention_there_is_no_after(tmp_path):
    directory = write_experiment(
        tmp_path, arms={"vanilla": VANILLA}, steps=4, direction=fake_direction.SECTION
    )
    data = build_report(directory)
    found = section(data)
    assert found is not None
    assert "direction_cosine_in" in titles(found.charts)
    assert not [
        t for t in titles(found.charts) if t.endswith(("_out", "share")) and "leak" not in t
    ]
    assert data.interventions == ()
    assert Page(write_report(data).read_text()).errors == []


def test_directions_are_listed_or_named_by_the_runs_or_missing(tmp_path):
    arms = fake_direction.arms(Arm, vanilla=VANILLA.hack, projected=VANILLA.hack)
    directory = write_experiment(tmp_path, arms=arms, steps=2, direction=fake_direction.SECTION)
    (listed,) = load_experiment(directory).directions
    assert listed.verification == verification()
    assert listed.runs == ("vanilla, seed 0", "projected, seed 0")
    path = directory / "experiment.json"
    record = json.loads(path.read_text())
    (entry,) = record.pop("directions")
    path.write_text(json.dumps(record))
    assert load_experiment(directory).directions == ()
    for run in record["runs"]:
        run["direction"] = entry["dir"]
    path.write_text(json.dumps(record))
    (named,) = load_experiment(directory).directions
    assert (named.directory, named.runs) == (listed.directory, listed.runs)
    (named.directory / "verification.json").write_text("{")
    data = build_report(directory)
    assert any("direction: not readable" in w or "verification.json" in w for w in data.warnings)
    (named.directory / "verification.json").unlink()
    data = build_report(directory)
    assert any("has not been extracted" in w for w in data.warnings)
    assert Page(write_report(data).read_text()).errors == []


def test_an_unconvincing_direction_is_a_caution(tmp_path):
    directory = write_experiment(
        tmp_path, arms={"vanilla": VANILLA}, steps=2, direction=fake_direction.SECTION
    )
    path = tmp_path / "store" / "direction" / "d00d" / "verification.json"
    rows = verification()["rows"]
    rows[2]["auroc_cosine"] = 1.0
    path.write_text(json.dumps(verification(rows=rows)))
    assert any("It does not beat shuffled" in w for w in build_report(directory).warnings)


def test_arms_measured_along_different_axes_are_reported(tmp_path):
    arms = fake_direction.arms(Arm, vanilla=VANILLA.hack, projected=VANILLA.hack)
    directory = write_experiment(tmp_path, arms=arms, steps=2, direction=fake_direction.SECTION)
    assert not any("different axes" in w for w in build_report(directory).warnings)
    path = load_experiment(directory).runs[1].directory / "manifest.json"
    path.write_text(path.read_text().replace("d" * 64, "e" * 64))
    assert any("differ in direction" in w for w in build_report(directory).warnings)
