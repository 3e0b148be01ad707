"""One arm against another: seeds by hand, solve rates by rule, and what a run without a probe does."""

from __future__ import annotations

import math
import shutil

import fake_direction
import pytest
from fake_experiment import VANILLA, Arm, write_experiment

from awry.report import build_report
from awry.report.load import load_experiment
from awry.report.versus import judge_solving, seed_spread, versus
from awry.statistics import Difference, permutation_p


def counts(rate, problems=40, size=8):
    hits = round(rate * problems * size)
    return {f"p{i}": (hits // problems + (i < hits % problems), size) for i in range(problems)}


def test_the_interval_over_seeds_is_students_t_on_paired_differences():
    differences, interval, narrow = seed_spread([0.9, 0.8, 0.85], [0.1, 0.2, 0.0])
    assert differences == pytest.approx((-0.8, -0.6, -0.85))
    mean, spread = -0.75, math.sqrt(sum((d + 0.75) ** 2 for d in differences) / 2)
    assert interval is not None
    assert narrow is not None
    assert interval.low == pytest.approx(max(-1, mean - 4.302653 * spread / math.sqrt(3)))
    assert interval.high == pytest.approx(mean + 4.302653 * spread / math.sqrt(3))
    assert narrow.high == pytest.approx(mean + 2.919986 * spread / math.sqrt(3))


def test_seeds_that_agree_by_chance_are_not_called_certain():
    _, interval, _ = seed_spread([0.5, 0.5], [0.3, 0.3], noise=0.01)
    assert interval is not None
    assert interval.low == -1.0  # t with one degree of freedom
    assert seed_spread([0.5, 0.5], [0.3, 0.3])[1:] == (None, None)


@pytest.mark.parametrize(
    ("before", "after", "problems", "expected"),
    [
        (0.5, 0.51, 100, "matched"),
        (0.0, 0.0, 100, "matched"),
        (0.5, 0.2, 100, "less"),
        (0.2, 0.5, 100, "more"),
        (0.5, 0.45, 100, "matched"),
        (0.5, 0.45, 3, "unclear"),
    ],
)
def test_solve_rates_are_matched_only_by_an_equivalence_test(before, after, problems, expected):
    difference = Difference(counts(before, problems), counts(after, problems), icc=0.05)
    assert judge_solving(difference) == expected


def test_without_a_measurement_nothing_is_said_of_solving():
    assert judge_solving(None) == "not_measured"


@pytest.fixture(scope="module")
def seeded(tmp_path_factory):
    """Three seeds of vanilla and projected, without a single probe row."""
    arms = fake_direction.arms(Arm, vanilla=VANILLA.hack, projected=lambda s: 0.06)
    directory = write_experiment(
        tmp_path_factory.mktemp("seeded"),
        arms=arms,
        seeds=(0, 1, 2),
        steps=12,
        direction=fake_direction.SECTION,
    )
    return directory


def test_on_the_probe_the_seeds_last_rates_are_compared(seeded):
    experiment = load_experiment(seeded)
    found = versus(experiment, "vanilla", "projected", 0.1)
    rates = {
        arm: [
            sum(a == "hack" for ls in run.probe[-1]["labels"].values() for a in ls) / 48
            for run in experiment.runs_of(arm)
        ]
        for arm in ("vanilla", "projected")
    }
    assert found.seeds is not None
    pairs = zip(rates["vanilla"], rates["projected"], strict=True)
    assert found.seeds.differences == pytest.approx([b - a for a, b in pairs])
    assert found.seeds.p == permutation_p(rates["vanilla"], rates["projected"])
    assert found.seeds.smallest_p == pytest.approx(0.1)
    assert (found.kind, found.over_seeds) == ("lower", "holds")


def test_without_a_probe_the_last_steps_of_training_are_compared(seeded, tmp_path):
    shutil.copytree(seeded.parent, tmp_path / "copy")
    for path in (tmp_path / "copy" / "store" / "train").glob("*/probe.jsonl"):
        path.unlink()
    experiment = load_experiment(tmp_path / "copy" / "quickstart")
    found = versus(experiment, "vanilla", "projected", 0.1)
    assert (found.measured_on, found.kind) == ("training", "lower")
    assert found.training is not None
    assert found.hack == found.training
    assert "steps 9 to 11" in found.finding.text
    assert found.seeds is not None
    assert sum(found.seeds.differences) / 3 == pytest.approx(found.seeds.estimate)
    (judged,) = build_report(experiment.directory).interventions
    assert "in the last steps of training" in judged.finding.text


def test_probes_of_different_steps_are_not_compared_and_training_does_not_stand_in(
    seeded, tmp_path
):
    shutil.copytree(seeded.parent, tmp_path / "copy")
    directory = tmp_path / "copy" / "quickstart"
    for run in load_experiment(directory).runs_of("projected"):
        rows = (run.directory / "probe.jsonl").read_text().splitlines(keepends=True)
        (run.directory / "probe.jsonl").write_text("".join(rows[:-1]))
    (judged,) = build_report(directory).interventions
    assert judged.finding.kind == "not_comparable"
    assert judged.vanilla is not None
    assert judged.vanilla.hack is None
    assert judged.vanilla.seeds is None
    assert judged.solve_matched is None
    assert "different steps" in judged.finding.text
