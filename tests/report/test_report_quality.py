"""AUROC of the cosines against counting every pair, and intervals where resampling has nothing."""

from __future__ import annotations

import random

import numpy as np
import pyarrow.parquet as pq
import pytest

from awry.report.quality import separation
from awry.statistics import wilson


def brute(rows, within=False):
    won = every = 0.0
    for _, stratum, hack, a in rows:
        for _, other, hacked, b in rows:
            if hack and not hacked and (stratum == other or not within):
                won += (a > b) + (a == b) / 2
                every += 1
    return won / every if every else None


def answers(seed=0, n=200, shift=0.5, problems=12, steps=5):
    rng = random.Random(seed)
    out = []
    for _ in range(n):
        hack = rng.random() < 0.3
        score = round(rng.gauss(shift * hack, 1), 1)  # rounded: ties
        out.append((f"p{rng.randrange(problems)}", (0, rng.randrange(steps)), hack, score))
    return out


@pytest.mark.parametrize("seed", range(3))
def test_auroc_equals_counting_every_pair(seed):
    rows = answers(seed)
    found = separation(rows)
    assert found is not None
    assert found.pooled.value == pytest.approx(brute(rows))
    assert found.within is not None
    assert found.within.value == pytest.approx(brute(rows, within=True))
    assert found.hacks + found.others == len(rows)
    assert found.pooled.interval.low < found.pooled.value < found.pooled.interval.high


def test_a_score_that_only_drifts_with_the_hack_rate_separates_nothing_within_a_step():
    rng = random.Random(1)
    rows = [
        (f"p{i % 8}", (0, step), rng.random() < step / 20, step + rng.gauss(0, 0.01))
        for step in range(20)
        for i in range(24)
    ]
    found = separation(rows)
    assert found is not None
    assert found.within is not None
    assert found.pooled.value > 0.75
    assert abs(found.within.value - 0.5) < 0.08


def test_the_interval_resamples_problems():
    """Copies of one problem's answers add no certainty."""
    rows = answers(n=80, problems=6)
    once, often = separation(rows), separation([row for row in rows for _ in range(10)])
    assert once is not None
    assert often is not None
    assert often.pooled.interval.low == pytest.approx(once.pooled.interval.low)
    assert often.pooled.interval.high == pytest.approx(once.pooled.interval.high)


def test_the_interval_equals_a_slow_bootstrap():
    rows = answers(n=60, problems=5)
    rng = np.random.default_rng(0)
    drawn = []
    for weights in rng.multinomial(5, np.full(5, 0.2), size=300):
        copies = [
            (f"{p}/{copy}", s, h, v) for p, s, h, v in rows for copy in range(weights[int(p[1:])])
        ]
        if (value := brute(copies)) is not None:
            drawn.append(value)
    found = separation(rows)
    assert found is not None
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert found.pooled.interval.low == pytest.approx(low, abs=0.04)
    assert found.pooled.interval.high == pytest.approx(high, abs=0.04)


def test_a_perfect_separation_is_not_called_certain():
    rows = [(f"p{i}", (0, 0), i < 4, float(i < 4)) for i in range(12)]
    found = separation(rows)
    assert found is not None
    assert found.pooled.value == 1.0
    assert found.pooled.interval == wilson(4, 4)


@pytest.mark.parametrize("hack", [True, False])
def test_one_class_alone_gives_no_auroc(hack):
    assert separation([("p", (0, 0), hack, 0.3)]) is None
    assert separation([]) is None


def test_no_step_with_both_classes_gives_no_auroc_within_steps():
    found = separation([("p", (0, 0), True, 1.0), ("q", (0, 1), False, 0.0)])
    assert found is not None
    assert found.within is None


def test_a_run_is_recounted_without_its_teachers(directed):
    for measured in directed.quality:
        (run,) = directed.experiment.runs_of(measured.arm)
        raw = [
            row
            for path in sorted((run.directory / "rollouts").iterdir())
            for row in pq.read_table(path).to_pylist()
        ]
        own = [row for row in raw if not row["teacher"] and row["cosine"] is not None]
        assert 0 < len(own) < len([row for row in raw if row["cosine"] is not None])
        for column in ("cosine", "alignment"):
            found = measured.scores[column]
            rows = [("", (0, r["step"]), r["label"] == "hack", r[column]) for r in own]
            assert found.pooled.value == pytest.approx(brute(rows))
            assert found.hacks == sum(row["label"] == "hack" for row in own)


def test_metrics_are_summarised_over_the_steps_that_have_them(directed):
    (projected,) = [q for q in directed.quality if q.arm == "projected"]
    (run,) = directed.experiment.runs_of("projected")
    cosines = [row["direction_cosine_in"] for row in run.metrics]
    assert projected.metrics["direction_cosine_in"] == pytest.approx(sum(cosines) / len(cosines))
    assert projected.metrics["direction_cosine_out"] == 0
    assert "direction_overlap" not in projected.metrics


def test_experiments_without_a_direction_have_nothing_to_say(report):
    assert report.quality == ()
