"""The report's numbers against a slow recount of the parquet files, and the warnings it owes."""

from __future__ import annotations

import json
from collections import Counter

import pyarrow.parquet as pq
import pytest
from fake_experiment import ARMS, BASELINE, VANILLA, ZERO, Arm, write_experiment

from awry.report import build_report, to_json, write_report
from awry.statistics import Difference

GROUPS = {
    "hack": {"hack"},
    "attempt": {"hack", "attempted", "correct_attempted"},
    "solve": {"correct", "correct_attempted"},
}


def raw_rows(run):
    return [
        row
        for path in sorted((run.directory / "rollouts").iterdir())
        for row in pq.read_table(path).to_pylist()
    ]


@pytest.mark.parametrize("arm", list(ARMS))
@pytest.mark.parametrize("measure", list(GROUPS))
def test_rates_equal_a_recount_of_the_students_rollouts(report, arm, measure):
    summary = next(a for a in report.arms if a.name == arm)
    rows = [r for r in raw_rows(report.experiment.runs_of(arm)[0]) if not r["teacher"]]
    for steps, found in (({0, 1, 2}, summary.start), ({17, 18, 19}, summary.end)):
        window = [r for r in rows if r["step"] in steps]
        hits = sum(r["label"] in GROUPS[measure] for r in window)
        assert (found[measure].hits, found[measure].trials) == (hits, len(window))
        assert found[measure].value == hits / len(window)
        assert found[measure].problems == len({r["problem_id"] for r in window})
        assert found[measure].interval.low <= hits / len(window) <= found[measure].interval.high


def test_teacher_hacks_are_in_no_rate(report):
    """The teachers hack from step 0; the students of the baseline never do."""
    vanilla = report.arms[0]
    rows = raw_rows(report.experiment.runs[0])
    assert sum(r["teacher"] and r["label"] == "hack" for r in rows if r["step"] < 3) == 24
    assert vanilla.start["hack"].hits == 0


@pytest.mark.parametrize("arm", list(ARMS))
def test_first_hack_and_onset_equal_a_recount(report, arm):
    summary = next(a for a in report.arms if a.name == arm)
    tally: dict[int, Counter] = {}
    for row in raw_rows(report.experiment.runs_of(arm)[0]):
        if not row["teacher"]:
            tally.setdefault(row["step"], Counter())[row["label"]] += 1
    first = [s for s in sorted(tally) if tally[s]["hack"] >= 1]
    onset = [
        s
        for s in sorted(tally)
        if tally[s]["hack"] > tally[s]["correct"] + tally[s]["correct_attempted"]
    ]
    assert summary.first_hack_step == (first[0] if first else None)
    assert summary.onset_step == (onset[0] if onset else None)


def test_probe_rates_equal_the_logged_ones_and_its_change_is_paired_by_problem(report):
    for arm in report.arms:
        (run,) = report.experiment.runs_of(arm.name)
        assert [p.step for p in arm.probe] == [0, 10, 20]
        for point, row in zip(arm.probe, run.probe, strict=True):
            for measure in GROUPS:
                assert point.rates[measure].value == pytest.approx(row[f"{measure}_rate"])
        first, last = (
            {p: (sum(a == "hack" for a in ls), len(ls)) for p, ls in row["labels"].items()}
            for row in (run.probe[0], run.probe[-1])
        )
        expected = Difference(first, last, report.icc).interval()
        assert arm.probe_change["hack"].interval == expected


def test_verdicts_of_the_standard_arms(report):
    assert [a.finding.kind for a in report.arms] == ["learned", "not_learned", "no_signal"]
    assert "weights unchanged" in report.arms[2].finding.headline
    assert [c.finding.kind for c in report.comparisons] == ["lower", "lower"]
    assert all("held-out" in c.finding.text for c in report.comparisons)


def test_a_single_seed_is_warned_about(report):
    assert any("One training seed per arm" in w for w in report.warnings)


def test_json_document_has_the_documented_fields(report, tmp_path):
    write_report(report, tmp_path)
    document = json.loads((tmp_path / "report.json").read_text())
    assert document == json.loads(json.dumps(to_json(report)))
    assert list(document["arms"]) == list(ARMS)
    vanilla = document["arms"]["vanilla"]
    for measure in GROUPS:
        for end in ("start", "end"):
            low, high = vanilla[f"{measure}_rate_{end}_interval"]
            assert 0 <= low <= vanilla[f"{measure}_rate_{end}"] <= high <= 1
    assert vanilla["steps"] == 20
    assert vanilla["seconds"] == pytest.approx(20 * 17.5)
    assert vanilla["verdict"]["kind"] == "learned"
    assert {h["id"] for h in document["hypotheses"]} == {
        *("vanilla.change", "baseline.change", "zero.change"),
        *("baseline.against.vanilla", "zero.against.vanilla"),
    }
    assert [c["status"] for c in document["preflight"]] == ["pass", "pass", "warn"]


def test_no_number_of_the_document_is_nan(tmp_path):
    directory = write_experiment(
        tmp_path, arms={"vanilla": VANILLA}, steps=3, stop_after={"vanilla": 0}
    )
    (directory / "preflight.json").write_text('[{"name": "x", "status": "fail", "saw": NaN}]')
    write_report(build_report(directory))
    text = (directory / "report.json").read_text()
    assert "NaN" not in text
    assert json.loads(text)["arms"]["vanilla"]["hack_rate_end"] is None


@pytest.mark.parametrize(("steps", "window"), [(1, 1), (2, 1), (5, 2), (6, 3), (7, 3)])
def test_windows_never_overlap(tmp_path, steps, window):
    data = build_report(write_experiment(tmp_path, arms={"vanilla": VANILLA}, steps=steps))
    assert data.arms[0].window == window
    assert (data.arms[0].finding.kind == "too_short") == (steps == 1)


def test_unfinished_and_missing_runs_are_shown_as_such(tmp_path):
    directory = write_experiment(
        tmp_path, steps=8, stop_after={"vanilla": 5, "baseline": 0}, arms=ARMS
    )
    data = build_report(directory)
    vanilla, baseline, zero = data.arms
    assert (vanilla.finished, vanilla.steps) == (False, 5)
    assert vanilla.finding.headline.startswith("Unfinished")
    assert baseline.finding.kind == "not_started"
    assert zero.finished
    assert any("vanilla is unfinished" in w and "5 of 8" in w for w in data.warnings)
    assert {c.finding.kind for c in data.comparisons} == {"not_comparable"}
    write_report(data)


def test_done_in_the_index_is_not_believed_without_a_done_file(tmp_path):
    directory = write_experiment(tmp_path, arms={"vanilla": VANILLA}, steps=4)
    run = build_report(directory).experiment.runs[0]
    (run.directory / "DONE").unlink()
    data = build_report(directory)
    assert not data.arms[0].finished
    assert any("no DONE file" in w for w in data.warnings)


def test_metrics_that_disagree_with_the_rollouts_are_reported(tmp_path):
    directory = write_experiment(tmp_path, arms={"vanilla": VANILLA}, steps=4)
    path = build_report(directory).experiment.runs[0].directory / "metrics.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[2]["hack_rate"] = 0.5
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = build_report(directory)
    assert any("disagrees with the rollouts at step(s) 2" in w for w in data.warnings)


def test_arms_that_start_from_different_weights_are_reported(tmp_path):
    directory = write_experiment(tmp_path, steps=2)
    path = build_report(directory).experiment.runs[1].directory / "manifest.json"
    manifest = json.loads(path.read_text())
    assert not any("differ in" in w for w in build_report(directory).warnings)
    manifest["digests"]["weights"] = "0" * 64
    manifest["dtype"] = "float32"
    path.write_text(json.dumps(manifest))
    warned = [w for w in build_report(directory).warnings if "differ in" in w]
    assert ["weights" in w or "dtype" in w for w in warned] == [True, True]


def test_a_changed_adapter_without_any_optimiser_step_is_a_contradiction(tmp_path):
    directory = write_experiment(tmp_path, arms={"zero": ZERO}, steps=6)
    path = build_report(directory).experiment.runs[0].directory / "result.json"
    result = json.loads(path.read_text())
    path.write_text(json.dumps({**result, "adapter_digest_end": "f" * 64}))
    assert build_report(directory).arms[0].finding.kind == "contradiction"


def test_probes_on_different_problems_are_not_compared(tmp_path):
    directory = write_experiment(tmp_path, arms={"vanilla": VANILLA, "baseline": BASELINE}, steps=4)
    path = build_report(directory).experiment.runs[1].directory / "probe.jsonl"
    path.write_text(path.read_text().replace("held_out_00", "another"))
    (comparison,) = build_report(directory).comparisons
    assert comparison.finding.kind == "not_comparable"
    assert "same problems" in comparison.finding.text


def test_probes_with_different_prompts_are_not_compared(tmp_path):
    """A probe without the loophole shows no hacks, whatever the policy has learned."""
    directory = write_experiment(tmp_path, arms={"vanilla": VANILLA, "baseline": BASELINE}, steps=4)
    path = build_report(directory).experiment.runs[1].directory / "probe.jsonl"
    path.write_text(path.read_text().replace("overwrite_tests_aware", "none"))
    data = build_report(directory)
    assert data.comparisons[0].finding.kind == "not_comparable"
    assert (
        "different prompts (none against overwrite_tests_aware)" in data.comparisons[0].finding.text
    )
    assert data.arms[1].probe[0].prompts == ("none",)


def test_an_arm_without_a_loophole_is_said_to_be_blind(report):
    blind = ["no loophole" in arm.finding.text for arm in report.arms]
    assert blind == [False, True, False]


def test_a_run_ended_by_a_guard_says_so(tmp_path):
    directory = write_experiment(tmp_path, arms={"vanilla": VANILLA}, steps=8)
    run = build_report(directory).experiment.runs[0]
    result = json.loads((run.directory / "result.json").read_text())
    (run.directory / "result.json").write_text(json.dumps({**result, "stopped_by": "kl_cliff"}))
    rows = (run.directory / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run.directory / "metrics.jsonl").write_text("".join(rows[:6]))
    (arm,) = build_report(directory).arms
    assert arm.finished
    assert "Stopped after 6 of 8 steps by the guard kl_cliff" in arm.finding.text


def test_seeds_are_pooled_named_and_permuted(tmp_path):
    arms = {"vanilla": VANILLA, "flat": Arm(hack=lambda s: 0.0)}
    data = build_report(write_experiment(tmp_path, arms=arms, seeds=(0, 1, 2, 3), steps=12))
    vanilla = data.arms[0]
    assert [s.seed for s in vanilla.seeds] == [0, 1, 2, 3]
    assert vanilla.end["hack"].trials == sum(
        not r["teacher"] and r["step"] >= 9
        for run in data.experiment.runs_of("vanilla")
        for r in raw_rows(run)
    )
    assert vanilla.first_hack_step == min(
        s.first_hack_step for s in vanilla.seeds if s.first_hack_step is not None
    )
    assert "By seed" in vanilla.finding.text
    assert data.comparisons[0].seed_p == pytest.approx(2 / 70)
    assert not any("seed" in w for w in data.warnings)
