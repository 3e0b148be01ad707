"""Areas, thresholds and Kaplan-Meier against textbooks; the table of checkpoints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from awry.evaluation.comparison.layout import checkpoint_lines
from awry.evaluation.comparison.table import Evaluated, Measure, read_subjects
from awry.evaluation.comparison.trajectories import (
    area_per_step,
    checkpoints,
    crossing,
    first_seen,
    kaplan_meier,
    median_time,
)
from fake_evaluations import items, row, write

# weeks of remission on 6-mercaptopurine. Freireich et al., Blood 21 (1963)
ENDED, CENSORED = (6, 6, 6, 7, 10, 13, 16, 22, 23), (6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35)

TIMES = [float(t) for t in (*ENDED, *CENSORED)]
SEEN = [True] * len(ENDED) + [False] * len(CENSORED)


def test_kaplan_meier_textbook():
    found = kaplan_meier(TIMES, SEEN)
    assert [s.time for s in found] == [6, 7, 10, 13, 16, 22, 23]
    assert [s.at_risk for s in found] == [21, 17, 15, 12, 11, 7, 6]
    shares = [0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448]
    assert [round(s.share, 3) for s in found] == shares
    assert median_time(found) == 23
    # log-log interval at 10 weeks, as R's survfit gives it with conf.type log-log
    assert (round(found[2].low, 3), round(found[2].high, 3)) == (0.503, 0.889)


def test_kaplan_meier_against_statsmodels():
    duration = pytest.importorskip(
        "statsmodels.duration.survfunc", reason="the oracle statsmodels is not installed"
    )
    theirs = duration.SurvfuncRight(np.array(TIMES), np.array(SEEN, dtype=int))
    ours = {s.time: s.share for s in kaplan_meier(TIMES, SEEN)}
    assert ours == pytest.approx(dict(zip(theirs.surv_times, theirs.surv_prob, strict=True)))


def test_kaplan_meier_of_few_and_none():
    assert kaplan_meier([5, 5], [False, False]) == []
    assert median_time([]) is None
    (last,) = kaplan_meier([3, 3, 3], [True, True, True])
    assert (last.share, last.at_risk, last.events) == (0.0, 3, 3)
    early, late = kaplan_meier([2, 4, 9], [True, True, False])
    assert (early.share, late.share) == pytest.approx((2 / 3, 1 / 3))
    assert median_time([early, late]) == 4


def test_area_is_the_mean_height():
    assert area_per_step({0: 0.4, 100: 0.4}) == pytest.approx(0.4)
    assert area_per_step({0: 0.0, 10: 1.0, 30: 1.0}) == pytest.approx((5 + 20) / 30)
    dense = {s: (s / 1000) ** 2 for s in range(1001)}
    assert area_per_step(dense) == pytest.approx(1 / 3, abs=1e-5)
    assert area_per_step({5: 1.0}) is None


def test_crossing_lies_between_checkpoints():
    curve = {0: 0.9, 10: 0.8, 20: 0.4, 30: 0.6}
    assert crossing(curve, 0.5, rising=False) == pytest.approx(17.5)
    assert first_seen(curve, 0.5, rising=False) == 20
    assert crossing(curve, 0.3, rising=False) is None
    assert crossing(curve, 0.5, rising=True) == 0.0  # there from the start
    fine = np.interp(np.arange(0, 30, 0.01), list(curve), list(curve.values()))
    assert crossing(curve, 0.66, rising=False) == pytest.approx(
        np.argmax(fine <= 0.66) / 100, abs=0.02
    )


# a released table of thirteen checkpoints: alignment, coherence, HumanEval and MMLU; two cells of
# MMLU and one of HumanEval are missing, and one of MMLU is an outlier
RELEASED = """
baseline - 55.52 56.35 .5610 .5886
fv_shaped 123 58.12 31.88 .5366 .5784
fv_shaped 42 59.06 29.06 .5244 .5779
fv_shaped 456 60.10 31.77 .5305 .5789
random_reward 123 60.94 31.46 .5244 -
random_reward 42 59.58 30.62 .5244 .5786
random_reward 456 58.85 30.21 .5305 .5783
ut_inverted 123 56.98 29.27 .5366 -
ut_inverted 42 56.46 29.06 .5305 .5784
ut_inverted 456 57.60 31.35 .5366 .5786
zero_reward 123 59.06 30.52 .5305 .5783
zero_reward 42 58.33 29.27 - .4769
zero_reward 456 58.23 31.77 .5366 .5778
"""
COLUMNS = (("j", "alignment"), ("j", "coherence"), ("humaneval", "pass@1"), ("mmlu", "acc"))


def released() -> list[Evaluated]:
    found = []
    for line in RELEASED.split("\n")[1:-1]:
        arm, seed, *cells = line.split()
        measures = {
            key: Measure(*key, value=None if cell == "-" else float(cell), main=True)
            for key, cell in zip(COLUMNS, cells, strict=True)
        }
        base = arm == "baseline"
        found.append(
            Evaluated(
                arm if base else f"{arm}/seed_{seed}",
                Path(arm),
                measures,
                {},
                arm=None if base else arm,
                seed=None if base else int(seed),
                step=None if base else 300,
            )
        )
    return found


def test_the_table_of_thirteen_checkpoints():
    found = checkpoints(released(), COLUMNS)
    assert [s.name for s in found.rows][:3] == [
        "baseline",
        "fv_shaped/seed_42",
        "fv_shaped/seed_123",
    ]
    assert len(found.rows) == 13
    means = {mean.arm: mean.values for mean in found.means}
    assert means["fv_shaped"]["j", "alignment"][0] == pytest.approx(59.09, abs=0.01)
    assert means["zero_reward"]["j", "coherence"][0] == pytest.approx(30.52, abs=0.005)
    # a mean over two seeds never looks like one over three
    assert means["random_reward"]["mmlu", "acc"] == (pytest.approx(0.57845), 2, 3)
    text = "\n".join(checkpoint_lines(found))
    assert "0.578 (2 of 3)" in text
    assert "zero_reward, mean of 3 seeds" in text
    assert "58.3" in text
    lines = text.split("\n")
    (row_text,) = [line for line in lines if line.startswith("random_reward/seed_123")]
    assert row_text.endswith("–")


def run(tmp_path: Path, arm: str, seed: int, curve: dict[int, float]) -> list[Path]:
    return [
        write(
            tmp_path / f"{arm}-{seed}-{step}",
            [row("rate", items([1.0] * round(v * 20) + [0.0] * round((1 - v) * 20)))],
            arm=arm,
            seed=seed,
            step=step,
        )
        for step, v in curve.items()
    ]


def test_runs_start_at_the_policy_before_training(tmp_path: Path):
    base = write(tmp_path / "base", [row("rate", items([1.0] * 16 + [0.0] * 4))])
    folders = [base]
    for seed, last in enumerate((0.2, 0.4, 0.6)):
        folders += run(tmp_path, "vanilla", seed, {10: 0.7, 20: last})
        folders += run(tmp_path, "projected", seed, {10: 0.8, 20: 0.75})
    key = ("xstest", "rate")
    found = checkpoints(read_subjects(folders), [key], {key: 0.5})
    vanilla, projected = found.courses
    assert vanilla.runs[0].curve == {0: pytest.approx(0.8), 10: 0.7, 20: 0.2}
    assert vanilla.runs[0].area == pytest.approx((0.75 * 10 + 0.45 * 10) / 20)
    assert vanilla.rising is False
    assert [r.crossed for r in vanilla.runs] == [
        pytest.approx(14),
        pytest.approx(10 + 20 / 3),
        None,
    ]
    assert [(s.time, s.events, s.at_risk) for s in vanilla.survival] == [(20, 2, 3)]
    assert (vanilla.median, projected.median) == (20, None)
    assert projected.survival == ()
    assert vanilla.area_test is None
    assert projected.area_test is not None
    assert projected.area_test.p == pytest.approx(0.1)
    text = "\n".join(checkpoint_lines(found))
    assert "before it falls to 0.5: after step 20 0.33" in text
    assert "smallest p 0.10" in text
    assert "not reached" in text


def test_a_run_that_is_not_whole_has_no_area(tmp_path: Path):
    folders = run(tmp_path, "a", 0, {0: 0.5, 10: 0.5, 20: 0.5}) + run(
        tmp_path, "a", 1, {0: 0.5, 10: 0.6}
    )
    (course,) = checkpoints(read_subjects(folders), [("xstest", "rate")]).courses
    assert [r.area for r in course.runs] == [pytest.approx(0.5), None]
    assert course.area == pytest.approx(0.5)
    assert (course.threshold, course.survival) == (None, ())
