"""The runner on an experiment with a direction, on the tiny model, for real."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from small_direction import directed, pairs_file

from awry.errors import UserError
from awry.experiments import runner, store
from awry.experiments.plan import plan
from awry.experiments.spec import Experiment, experiment
from awry.experiments.stages import direction_stages
from awry.experiments.views import plan_cells, status_cells, status_rows
from awry.progress import Silent

FILES = {"direction.safetensors", "shuffled.safetensors", "benign.safetensors"}


class Notes(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, message: str) -> None:
        self.lines.append(message)


def go(loaded: Experiment, out: Path, **options) -> tuple[runner.Finished, Notes]:
    notes = Notes()
    return runner.run(loaded, out, progress=notes, checks=(), **options), notes


def statuses(loaded: Experiment, out: Path) -> dict[str, str]:
    return {s.arm or s.name: s.status for s in plan(loaded, out)}


def direction_of(loaded: Experiment, out: Path) -> Path:
    ((stage, _),) = direction_stages(loaded.runs())
    return stage.directory(out / "store")


@pytest.fixture(scope="module")
def loaded(tiny_document, tmp_path_factory) -> Experiment:
    folder = tmp_path_factory.mktemp("pairs")
    pairs_file(folder / "few.toml")
    document = directed(tiny_document, "few.toml") | {"without_placebos": ["shuffled"]}
    document["teacher"] = {"share": 0.5}  # else all rewards are equal and no gradient is left
    return experiment(document, folder / "e.yaml")


@pytest.fixture(scope="module")
def finished(loaded, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    return out, *go(loaded, out)


@pytest.fixture
def again(finished, tmp_path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(finished[0], tmp_path / "runs"))


def test_the_direction_comes_first_and_once(finished, loaded) -> None:
    out, done, notes = finished
    assert done.trained == ("vanilla seed 0", "projected seed 0", "projected-random seed 0")
    assert statuses(loaded, out) == dict.fromkeys(
        ("direction", "preflight", "vanilla", "projected", "projected-random", "report"), "done"
    )
    directory = direction_of(loaded, out)
    outputs = json.loads((directory / "DONE").read_text())["outputs"]
    assert set(outputs) >= FILES | {"verification.json", "verification.html"}
    seen = json.loads((directory / "verification.json").read_text())
    assert (seen["pairs_extraction"], seen["pairs_heldout"], seen["top_k"]) == (4, 3, 2)
    assert [line for line in notes.lines if "verifying" in line] == [
        "direction: verifying on 3 held-out pairs"
    ]


def test_the_record_names_placebos_and_where_directions_lie(finished, loaded) -> None:
    out, *_ = finished
    record = json.loads((out / "tiny/experiment.json").read_text())
    assert record["config"]["added"] == {"projected-random": {"of": "projected", "kind": "random"}}
    assert record["config"]["placebos"] == {"projected": {"random": "projected-random"}}
    assert record["config"]["without_placebos"] == ["shuffled"]
    assert record["config"]["arms"]["projected-random"] == {
        "intervention": {"kind": "projection", "direction": "random"}
    }
    assert [run["arm"] for run in record["runs"]] == list(loaded.arms)
    (entry,) = record["directions"]
    assert (out / entry["dir"] / "verification.json").is_file()
    assert entry["runs"] == [{"arm": arm, "seed": 0} for arm in loaded.arms]


def test_arms_differ_by_what_is_projected(finished, loaded) -> None:
    out, *_ = finished
    rows = {}
    for stage in plan(loaded, out):
        if stage.name == "train" and stage.directory:
            lines = (stage.directory / "metrics.jsonl").read_text().splitlines()
            rows[stage.arm] = [json.loads(line) for line in lines]
    assert all(r["direction_cosine_in"] is not None for arm in rows.values() for r in arm)
    assert all(not r.get("direction_removed_share") for r in rows["vanilla"])
    assert rows["vanilla"][0]["grad_norm"] == rows["projected"][0]["grad_norm"]
    assert rows["projected-random"][0]["placebo_removed_share"] is not None


def test_again_extracts_and_trains_nothing(finished, loaded) -> None:
    done, notes = go(loaded, finished[0])
    assert done.trained == ()
    assert "direction: done already" in notes.lines[0]


def test_plan_and_status_show_directions_and_mark_what_was_added(
    finished, loaded, tmp_path
) -> None:
    out, *_ = finished
    planned = [stage.to_json() for stage in plan(loaded, out)]
    assert [row["name"] for row in planned] == [
        *("direction", "preflight", "train", "train", "train", "report")
    ]
    assert [row["added"] for row in planned] == [None, None, None, None, "random", None]
    assert plan_cells(planned[4])["arm"] == "projected-random (added: placebo)"
    assert plan_cells(planned[0])["arm"] == ""
    rows = status_rows(loaded, out)
    assert [(row["stage"], row["arm"]) for row in rows] == [
        ("direction", None),
        ("train", "vanilla"),
        ("train", "projected"),
        ("train", "projected-random"),
    ]
    cells = [status_cells(row) for row in rows]
    assert (cells[0]["arm"], cells[0]["status"], cells[0]["steps"]) == ("direction", "done", "-")
    assert cells[3]["arm"] == "projected-random (added: placebo)"
    assert cells[3]["steps"] == "2/2"
    assert statuses(loaded, tmp_path)["direction"] == "todo"


def test_an_interrupted_extraction_starts_over(loaded, tmp_path) -> None:
    directory = direction_of(loaded, tmp_path)
    (directory / "odd").mkdir(parents=True)
    (directory / "direction.safetensors").write_text("half")
    (directory / "odd/left_over").write_text("")
    (directory / "RUNNING").write_text(
        json.dumps(store._myself() | {"pid": 2**22 + 1, "started": 0.0})
    )
    assert statuses(loaded, tmp_path)["direction"] == "partial"
    runner.extract_directions(loaded, tmp_path, progress=Silent())
    assert statuses(loaded, tmp_path)["direction"] == "done"
    assert not (directory / "odd").exists()
    assert "takeover" in (tmp_path / "tiny/events.jsonl").read_text()


def test_a_damaged_direction_stops_until_forced(loaded, again) -> None:
    directory = direction_of(loaded, again)
    (directory / "direction.safetensors").write_bytes(b"")
    assert statuses(loaded, again)["direction"] == "damaged"
    with pytest.raises(UserError, match="direction is damaged") as caught:
        go(loaded, again)
    assert "--force" in str(caught.value.fix)
    done, _ = go(loaded, again, arms=["projected"], force=True)
    assert done.trained == ("projected seed 0",)
    assert set(statuses(loaded, again).values()) == {"done"}
    assert directory.with_name(f"{directory.name}.discarded-1").is_dir()


def test_another_intervention_trains_again_on_the_same_direction(finished, loaded) -> None:
    document = directed({"name": "tiny", **_base(loaded)}, str(_pairs(loaded)))
    document["arms"] = {
        "vanilla": {},
        "projected": {"intervention": {"kind": "projection", "mode": "reverse"}},
    }
    changed = experiment(document | {"without_placebos": ["random", "shuffled"]})
    found = {stage.arm or stage.name: stage for stage in plan(changed, finished[0])}
    assert found["direction"].status == found["vanilla"].status == "done"
    assert found["projected"].status == "todo"
    assert found["projected"].why == (
        'changed since its last run: intervention.mode: "one_sided" -> "reverse"'
    )


def _base(loaded: Experiment) -> dict:
    dumped = loaded.base.model_dump(mode="json")
    return {name: value for name, value in dumped.items() if value is not None}


def _pairs(loaded: Experiment) -> Path:
    assert loaded.file is not None
    return loaded.file.parent / "few.toml"
