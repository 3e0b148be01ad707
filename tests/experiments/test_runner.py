"""The runner on the tiny model, for real; checks are left to test_preflight."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from awry.errors import UserError
from awry.experiments import runner, store
from awry.experiments.plan import plan
from awry.experiments.spec import experiment
from awry.experiments.views import status_cells, status_rows
from awry.progress import Silent


class Notes(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.steps: list[int] = []
        self.begun: list[tuple[str, int, int, int]] = []

    def begin(self, arm: str, seed: int, done: int, total: int) -> None:
        self.begun.append((arm, seed, done, total))

    def step(self, done: int, row) -> None:
        self.steps.append(done)

    def note(self, message: str) -> None:
        self.lines.append(message)


def go(document, out: Path, **options) -> tuple[runner.Finished, Notes]:
    notes = Notes()
    return runner.run(experiment(document), out, progress=notes, checks=(), **options), notes


def statuses(document, out: Path) -> dict[str, str]:
    return {f"{s.name}.{s.arm}": s.status for s in plan(experiment(document), out)}


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_document):
    """Both arms, run once."""
    out = tmp_path_factory.mktemp("runs")
    return out, *go(tiny_document, out)


def copy(out: Path, to: Path) -> Path:
    subprocess.run(["cp", "-r", str(out), str(to)], check=True)
    return to


def test_a_run_ends_with_everything_done(finished, tiny) -> None:
    out, done, notes = finished
    assert done.trained == ("vanilla seed 0", "zero seed 0")
    assert notes.begun == [("vanilla", 0, 0, 2), ("zero", 0, 0, 2)]
    assert notes.steps == [1, 2, 1, 2]
    assert set(statuses(tiny, out).values()) == {"done"}
    record = json.loads((out / "tiny/experiment.json").read_text())
    assert [(r["arm"], r["seed"], r["stage"], r["status"]) for r in record["runs"]] == [
        ("vanilla", 0, "train", "done"),
        ("zero", 0, "train", "done"),
    ]
    for row in record["runs"]:
        assert (out / row["dir"] / "DONE").is_file()
        assert row["dir"] == f"store/train/{row['key'][:16]}"
    assert record["config"]["arms"] == {"vanilla": {}, "zero": {"reward": "zero"}}
    report = json.loads((out / "tiny/report.json").read_text())
    assert set(report["arms"]) == {"vanilla", "zero"}
    assert (out / "tiny/report.html").is_file()


def test_outputs_agree_with_their_digests(finished, tiny) -> None:
    out, *_ = finished
    assert {s.status for s in plan(experiment(tiny), out, digests=True)} == {"done"}


def test_again_trains_nothing(finished, tiny) -> None:
    out, *_ = finished
    done, notes = go(tiny, out)
    assert done.trained == ()
    assert done.reused == ("vanilla seed 0", "zero seed 0")
    assert notes.steps == []


def test_another_experiment_shares_the_arm(finished, tiny) -> None:
    out, *_ = finished
    tiny["name"] = "other"
    assert statuses(tiny, out)["train.vanilla"] == "done"
    tiny["training"]["lr"] = 1e-3
    assert statuses(tiny, out)["train.vanilla"] == "todo"


def test_plan_says_what_changed(finished, tiny) -> None:
    out, *_ = finished
    tiny["training"]["lr"] = 1e-3
    why = {s.arm: s.why for s in plan(experiment(tiny), out) if s.name == "train"}
    assert why["zero"] == "changed since its last run: training.lr: 0.0005 -> 0.001"
    assert plan(experiment(tiny), out)[-1].why == "the runs have changed since"


def test_status_shows_the_last_numbers(finished, tiny) -> None:
    out, *_ = finished
    rows = status_rows(experiment(tiny), out)
    assert [(r["arm"], r["status"], r["steps"], r["planned"]) for r in rows] == [
        ("vanilla", "done", 2, 2),
        ("zero", "done", 2, 2),
    ]
    assert rows[1]["reward_mean"] == 0.0
    assert rows[0]["seconds"] > 0
    cells = status_cells(rows[1])
    assert (cells["steps"], cells["reward"], cells["left"]) == ("2/2", "0.00", "-")


def test_other_code_warns_and_reuses(finished, tiny, tmp_path) -> None:
    out = copy(finished[0], tmp_path / "runs")
    directory = next(s.directory for s in plan(experiment(tiny), out) if s.arm == "zero")
    assert directory is not None
    store.mark_done(directory, {"revision": "1234567890abcdef", "diff_sha256": None})
    done, notes = go(tiny, out)
    assert done.trained == ()
    assert any("zero seed 0" in line and "1234567890ab" in line for line in notes.lines)
    events = [json.loads(line) for line in (out / "tiny/events.jsonl").read_text().splitlines()]
    assert [event["kind"] for event in events] == ["other_code"]


def test_damage_stops_until_forced(finished, tiny, tmp_path) -> None:
    out = copy(finished[0], tmp_path / "runs")
    directory = next(s.directory for s in plan(experiment(tiny), out) if s.arm == "zero")
    assert directory is not None
    (directory / "metrics.jsonl").write_text("")
    assert statuses(tiny, out)["train.zero"] == "damaged"
    with pytest.raises(UserError, match=r"metrics.jsonl has 0 bytes") as caught:
        go(tiny, out)
    assert "--force" in str(caught.value.fix)
    done, _ = go(tiny, out, arms=["zero"], force=True)
    assert done.trained == ("zero seed 0",)
    assert statuses(tiny, out) == statuses(tiny, finished[0])
    aside = directory.with_name(directory.name + ".discarded-1")
    assert (aside / "DONE").is_file()


def test_filters_run_only_what_they_name(tiny, tmp_path) -> None:
    tiny["probe"] = None
    tiny["training"]["steps"] = 1
    done, _ = go(tiny, tmp_path, arms=["zero"])
    assert done.trained == ("zero seed 0",)
    assert statuses(tiny, tmp_path)["train.vanilla"] == "todo"
    report = json.loads((tmp_path / "tiny/report.json").read_text())
    assert report["arms"]["vanilla"]["steps"] == 0


def test_a_guard_that_stops_a_run_is_told_and_the_run_is_done(tiny, tmp_path) -> None:
    tiny["training"]["guards"] = {"frozen_steps": 1}
    tiny["probe"] = None
    done, notes = go(tiny, tmp_path, arms=["zero"])
    assert done.trained == ("zero seed 0",)
    assert notes.steps == [1]
    assert any("stopped after 1 steps by the guard" in line for line in notes.lines)
    assert '"kind": "guard"' in (tmp_path / "tiny/events.jsonl").read_text()
    assert statuses(tiny, tmp_path)["train.zero"] == "done"


def test_a_held_stage_is_refused(tiny, tmp_path) -> None:
    stage = plan(experiment(tiny), tmp_path)[1]
    assert stage.directory is not None
    stage.directory.mkdir(parents=True)
    (stage.directory / "RUNNING").write_text(json.dumps(store._myself() | {"host": "elsewhere"}))
    with pytest.raises(UserError, match="elsewhere"):
        go(tiny, tmp_path)


def test_killed_anywhere_it_goes_on_and_ends_the_same(finished, tiny, tmp_path, write) -> None:
    out = tmp_path / "runs"
    tiny["training"]["steps"] = 6
    tiny["arms"] = {"vanilla": {}}
    code = (
        "import sys; from pathlib import Path; from awry.experiments import runner;"
        "from awry.progress import Console;"
        "from awry.experiments.spec import load_experiment;"
        "runner.run(load_experiment(sys.argv[1]), Path(sys.argv[2]), progress=Console(), checks=())"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(write(tiny)), str(out)],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "step 2/6" in line:
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(0.1)
    assert statuses(tiny, out)["train.vanilla"] == "partial"
    _, notes = go(tiny, out)
    assert notes.begun[0][2] >= 2
    assert notes.steps[-1] == 6
    assert notes.steps[0] > 1
    events = (out / "tiny/events.jsonl").read_text()
    assert "takeover" in events
    _, straight = go(tiny, tmp_path / "straight")
    assert straight.steps == [1, 2, 3, 4, 5, 6]

    def metrics(root: Path) -> str:
        directory = plan(experiment(tiny), root)[1].directory
        assert directory is not None
        return (directory / "metrics.jsonl").read_text()

    assert metrics(out) == metrics(tmp_path / "straight")
