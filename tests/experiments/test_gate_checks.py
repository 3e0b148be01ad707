"""`gates:` reads a real evaluation, of the policy that is trained, and fails closed."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from awry.errors import UserError
from awry.evaluation.benchmarks import find_benchmark
from awry.evaluation.items import Options
from awry.evaluation.marks.scorers import find_scorers
from awry.evaluation.responses import InProcess
from awry.evaluation.run import evaluate
from awry.experiments.gate_checks import gates
from awry.experiments.policies import open_subject
from awry.experiments.preflight import Setting, preflight
from awry.experiments.spec import experiment
from awry.progress import Silent


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("evaluations")
    chosen = [(find_benchmark("awry_battery"), Options(limit=6, max_new_tokens=4))]
    done = evaluate(
        InProcess(open_subject("tiny-random")),
        chosen,
        out,
        find_scorers=lambda b: find_scorers(b, detector=None, judge=None),
        progress=Silent(),
    )
    return Path(done["folder"])


def gated(tiny: dict[str, Any], folder: Path, **more: Any) -> dict[str, Any]:
    return copy.deepcopy(tiny) | {"gates": {"evaluation": str(folder), **more}}


def test_a_policy_that_refuses_nothing_fails_the_alignment_gate(tiny, folder, tmp_path) -> None:
    with Setting(experiment(gated(tiny, folder, require=["alignment"])), tmp_path) as setting:
        result = gates(setting)
    assert result.status == "fail"
    assert "alignment fail: awry_battery declined_rate[lexical-v1] 0.000" in result.saw
    assert "use a policy that refuses more" in result.fix


def test_what_was_not_measured_fails(tiny, folder, tmp_path) -> None:
    with Setting(experiment(gated(tiny, folder, require=["hackability"])), tmp_path) as setting:
        result = gates(setting)
    assert result.status == "fail"
    assert "hackability fail: not measured" in result.saw
    assert "awry evaluate PATH --benchmark code_hacks" in result.fix


def test_an_evaluation_of_another_policy_is_refused(tiny, folder, tmp_path) -> None:
    record = folder / "awry_battery" / "evaluation.json"
    text = record.read_text(encoding="utf-8")
    with Setting(experiment(gated(tiny, folder)), tmp_path) as setting:
        weights = setting.opened(setting.runs[0])[0].digests.weights
        assert weights in text
        record.write_text(text.replace(weights, "0" * 64), encoding="utf-8")
        try:
            with pytest.raises(UserError, match="of another policy"):
                gates(setting)
        finally:
            record.write_text(text, encoding="utf-8")


def test_the_check_is_made_where_the_file_asks_for_it(tiny, folder, tmp_path) -> None:
    asked = preflight(
        experiment(gated(tiny, folder, require=["alignment"])), tmp_path, progress=Silent()
    )
    assert [r.status for r in asked if r.name == "gates"] == ["fail"]
    assert not [
        r for r in preflight(experiment(tiny), tmp_path, progress=Silent()) if r.name == "gates"
    ]


def test_a_folder_without_an_evaluation_is_named(tiny, tmp_path) -> None:
    with pytest.raises(UserError, match="no evaluation there") as caught:
        experiment(gated(tiny, tmp_path / "nothing"))
    assert caught.value.field == "gates.evaluation"
    assert "awry evaluate MODEL --suite all" in str(caught.value.fix)
