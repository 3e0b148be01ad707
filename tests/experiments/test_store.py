from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from awry.errors import UserError
from awry.experiments import store
from awry.experiments.store import Stage

STAGE = Stage("train", 1, {"lr": 0.1, "guards": {"kl_max": None}}, {"model": "ab"})


def made(root: Path, **files: str) -> Path:
    directory = store.open_stage(STAGE, root)
    for name, text in files.items():
        path = directory / name.replace("__", "/")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return directory


def python(code: str, *arguments: str, **options) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True, **options
    )


# ---- keys ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "other",
    [
        Stage("train", 1, {"guards": {"kl_max": None}, "lr": 0.1}, {"model": "ab"}),
        pytest.param(
            Stage("trains", 1, {"lr": 0.1, "guards": {"kl_max": None}}, {"model": "ab"}), id="name"
        ),
        Stage("train", 2, {"lr": 0.1, "guards": {"kl_max": None}}, {"model": "ab"}),
        Stage("train", 1, {"lr": 0.2, "guards": {"kl_max": None}}, {"model": "ab"}),
        Stage("train", 1, {"lr": 0.1, "guards": {"kl_max": 0.0}}, {"model": "ab"}),
        Stage("train", 1, {"lr": 0.1, "guards": {}}, {"model": "ab"}),
        Stage("train", 1, {"lr": 0.1, "guards": {"kl_max": None}}, {"model": "ac"}),
    ],
)
def test_keys_ignore_order_and_nothing_else(other) -> None:
    assert (other.key == STAGE.key) == (other.identity == STAGE.identity)
    assert len(STAGE.key) == 64


def test_stage_json_says_what_the_key_is_made_of(tmp_path) -> None:
    directory = made(tmp_path)
    assert directory == tmp_path / "train" / STAGE.key[:16]
    record = json.loads((directory / "stage.json").read_text())
    assert record == {"key": STAGE.key, **STAGE.identity}


# ---- done ---------------------------------------------------------------------------------------
def test_status_from_nothing_to_done(tmp_path) -> None:
    directory = STAGE.directory(tmp_path)
    assert store.status(directory)[0] == "todo"
    made(tmp_path)
    assert store.status(directory)[0] == "todo"
    (directory / "metrics.jsonl").write_text("{}\n")
    assert store.status(directory) == ("partial", "interrupted")
    record = store.mark_done(directory)
    assert store.status(directory, digests=True) == ("done", "")
    assert list(record["outputs"]) == ["metrics.jsonl"]
    assert record["outputs"]["metrics.jsonl"]["bytes"] == 3


def test_done_lists_what_is_below_and_not_itself(tmp_path) -> None:
    directory = made(tmp_path, a="1", sub__b="2", sub__DONE="3")
    (directory / ".a.7.partial").write_text("half")
    outputs = store.mark_done(directory)["outputs"]
    assert list(outputs) == ["a", "sub/DONE", "sub/b"]
    assert store.mark_done(directory)["outputs"] == outputs


@pytest.mark.parametrize(
    ("name", "content", "cheap", "words"),
    [
        ("a", None, True, "a is missing"),
        ("sub/b", "longer", True, "sub/b has 6 bytes, not 1"),
        ("a", "9", False, "a was changed"),
        ("DONE", "{", True, "DONE is not readable"),
        ("DONE", "{}", True, "DONE is not readable"),
    ],
)
def test_damage_is_seen(tmp_path, name, content, cheap, words) -> None:
    directory = made(tmp_path, a="1", sub__b="2")
    store.mark_done(directory)
    if content is None:
        (directory / name).unlink()
    else:
        (directory / name).write_text(content)
    assert (store.status(directory)[0] == "damaged") == cheap
    status, why = store.status(directory, digests=True)
    assert status == "damaged"
    assert words in why


def test_discard_moves_aside_and_keeps_all(tmp_path) -> None:
    first = store.discard(made(tmp_path, a="1"))
    second = store.discard(made(tmp_path, a="2"))
    assert not STAGE.directory(tmp_path).exists()
    assert [(p / "a").read_text() for p in (first, second)] == ["1", "2"]


# ---- one at a time ------------------------------------------------------------------------------
HOLD = """
import sys, time
from pathlib import Path
from awry import files
from awry.experiments import store
with store.running(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@contextlib.contextmanager
def held(directory: Path):
    process = python(HOLD, str(directory))
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_live_holder_is_respected(tmp_path) -> None:
    directory = made(tmp_path)
    with held(directory) as process:
        assert store.status(directory)[0] == "running"
        with pytest.raises(UserError) as caught, store.running(directory):
            pass
        assert str(process.pid) in caught.value.message
        assert str(directory / "RUNNING") in caught.value.render()
        assert (directory / "RUNNING").exists()


def test_a_dead_holder_is_taken_over(tmp_path) -> None:
    directory = made(tmp_path, a="1")
    with held(directory) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        (directory / ".a.7.partial").write_text("half")
        assert (directory / "RUNNING").exists()
        assert store.status(directory)[0] == "partial"
        with store.running(directory) as taken_over:
            assert taken_over
            assert json.loads((directory / "RUNNING").read_text())["pid"] == os.getpid()
            assert not (directory / ".a.7.partial").exists()
    assert not (directory / "RUNNING").exists()
    with store.running(directory) as taken_over:
        assert not taken_over


def test_a_zombie_is_dead(tmp_path) -> None:
    directory = made(tmp_path)
    with held(directory) as process:
        process.kill()  # not waited for: it stays in the process table
        time.sleep(0.2)
        with store.running(directory) as taken_over:
            assert taken_over


def test_another_process_with_the_same_number_is_not_the_holder(tmp_path) -> None:
    directory = made(tmp_path)
    mark = store._myself()
    (directory / "RUNNING").write_text(json.dumps(mark | {"started": mark["started"] - 3600}))
    with store.running(directory) as taken_over:
        assert taken_over


def test_a_holder_on_another_machine_counts_as_alive(tmp_path) -> None:
    directory = made(tmp_path)
    (directory / "RUNNING").write_text(json.dumps(store._myself() | {"host": "elsewhere"}))
    with pytest.raises(UserError, match="elsewhere") as caught, store.running(directory):
        pass
    assert "delete this file" in str(caught.value.fix)


def test_a_mark_that_is_no_mark_is_ignored(tmp_path) -> None:
    directory = made(tmp_path)
    (directory / "RUNNING").write_text("not json")
    with store.running(directory) as taken_over:
        assert not taken_over


def test_of_many_at_once_one_gets_it(tmp_path) -> None:
    directory = made(tmp_path)
    code = HOLD.replace("time.sleep(60)", "sys.stdin.read()").replace(
        "with store", "from awry.errors import UserError\ntry:\n  with store"
    )
    code = code.replace("\n    print", "\n      print").replace("\n    sys", "\n      sys")
    code += "except UserError: print('refused', flush=True)\n"
    processes = [python(code, str(directory), stdin=subprocess.PIPE) for _ in range(4)]
    said = sorted(p.stdout.readline() for p in processes if p.stdout)
    for process in processes:
        process.communicate()
    assert said == ["held\n", "refused\n", "refused\n", "refused\n"]


def test_an_error_inside_releases(tmp_path) -> None:
    directory = made(tmp_path)
    with pytest.raises(RuntimeError), store.running(directory):
        raise RuntimeError
    assert not (directory / "RUNNING").exists()
