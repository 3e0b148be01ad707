"""Preflight on curated problems: the policy that they were curated with, and any other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from awry.experiments.model_checks import curation
from awry.experiments.preflight import Setting
from awry.experiments.spec import experiment
from awry.files import file_sha256
from awry.models import model_digest
from awry.tasks.problems import load_catalog
from awry.training.manifest import manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What the readers of a curated folder look at."""
    from dataclasses import asdict

    home = tmp_path / "curated"
    home.mkdir()
    rows = [json.dumps(asdict(p)) + "\n" for p in load_catalog()[:6]]
    (home / "problems.jsonl").write_text("".join(rows))
    record(home, model_digest("tiny-random"))
    return home


def record(home: Path, weights: str, adapter: str | None = None) -> None:
    policy = {"weights": weights, "adapter": adapter}
    document = {
        "finished": True,
        "model": "tiny-random",
        "counts": {"kept": 6},
        "settings": {"policy": policy, "loophole": "none"},
        "files": {"problems.jsonl": file_sha256(home / "problems.jsonl")},
    }
    (home / "curation.json").write_text(json.dumps(document))


def look(tiny, source: str, tmp_path: Path):
    tiny["problems"] = {"source": source, "limit": 4}
    with Setting(experiment(tiny, tmp_path / "e.yaml"), tmp_path / "runs") as setting:
        return curation(setting)


@pytest.mark.parametrize("source", ["curated", "curated/problems.jsonl"])
def test_the_same_policy_passes_and_another_is_warned_of(tiny, folder, tmp_path, source) -> None:
    result = look(tiny, source, tmp_path)
    assert result.status == "pass"
    assert f"tiny-random ({model_digest('tiny-random')[:12]}) under none" in result.saw
    record(folder, "0" * 64)
    result = look(tiny, source, tmp_path)
    assert result.status == "warn"
    assert "000000000000" in result.saw
    assert f"to be trained on by tiny-random ({model_digest('tiny-random')[:12]})" in result.saw
    assert "curate again" in result.fix
    record(folder, model_digest("tiny-random"), adapter="a" * 64)
    assert look(tiny, source, tmp_path).status == "warn"


def test_other_sources_pass(tiny, tmp_path) -> None:
    result = look(tiny, "catalog", tmp_path)
    assert (result.status, result.saw) == ("pass", "no arm has curated problems")


def test_the_manifest_has_the_curations_digest(tiny, folder, tmp_path) -> None:
    from awry.models import load_policy
    from awry.tasks.kinds import open_grader

    tiny["problems"] = {"source": "curated/problems.jsonl", "limit": 4}
    run = experiment(tiny, tmp_path / "e.yaml").runs()[0]
    with open_grader("code") as grader:
        found = manifest(run, load_policy("tiny-random"), grader, (), ())
        tiny["problems"] = {"source": "catalog"}
        run = experiment(tiny, tmp_path / "e.yaml").runs()[0]
        other = manifest(run, load_policy("tiny-random"), grader, (), ())
    assert found["digests"]["curation"] == file_sha256(folder / "curation.json")
    assert other["digests"]["curation"] is None
    assert other["isolation"]
