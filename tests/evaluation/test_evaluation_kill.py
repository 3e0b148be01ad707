"""kill -9 at random moments of an evaluation: the results are those of a calm one.

AWRY_KILLS=100 pytest tests/evaluation/test_evaluation_kill.py kills a hundred times; the default is twenty.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from pathlib import Path
from typing import Any

import pytest
from killable import MANY, NUMBER, session
from small_benchmark import contents

from awry.evaluation import record
from awry.evaluation.items import Options
from awry.generation.engine import derive

KILLS = int(os.environ.get("AWRY_KILLS", "20"))
RESULTS = ("evaluation.json", "items.jsonl", "responses.parquet", "metrics.json")


@pytest.fixture(scope="module")
def context() -> Any:
    # a server that has imported torch already: a session begins within a blink
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(["killable", "awry.evaluation.marks.scorers"])
    return found


def start(context: Any, out: Path, journal: Path) -> Any:
    ready = context.Event()
    process = context.Process(target=session, args=(out, journal, ready))
    process.start()
    assert ready.wait(120)
    return process


def saved(out: Path) -> set[int]:
    """Seeds of the answers that are on disk."""
    folder = out / "tiny-random/words"
    if not folder.is_dir():
        return set()
    found = set(record.read_parts(folder))
    if "responses.parquet" in (record.read_json(folder / "evaluation.json") or {})["files"]:
        found |= {(r.item, r.sample) for r in record.read(folder).responses}
    return {derive("evaluation", "words", item, sample, 0) for item, sample in found}


def test_a_killed_evaluation_ends_the_same_and_asks_nothing_twice(
    context: Any, tmp_path: Path
) -> None:
    process = start(context, tmp_path / "calm", tmp_path / "calm.txt")
    begun = time.monotonic()
    process.join()
    whole = time.monotonic() - begun
    assert process.exitcode == 0
    calm = contents(tmp_path / "calm")
    assert {Path(name).name for name in calm} >= {*RESULTS}
    asked = (tmp_path / "calm.txt").read_text().split()
    assert len(asked) == len(set(asked)) == 2 * NUMBER == 2 * len(MANY.load(Options()).items)

    rng = random.Random(0)
    killed = finished = 0
    out, log = tmp_path / "killed", tmp_path / "killed.txt"
    while killed < KILLS:
        before, known = saved(out), log.stat().st_size if log.exists() else 0
        process = start(context, out, log)
        # the work of several sessions adds up: short ones meet every stage of it
        time.sleep(rng.uniform(0.0, 0.4) * whole)
        if process.is_alive():
            process.kill()
            killed += 1
        process.join()
        now = {int(line) for line in (log.read_text() if log.exists() else "")[known:].split()}
        assert not now & before, "an answer that was on disk was asked for again"
        assert process.exitcode in (-9, 0)
        if process.exitcode == 0:
            assert contents(out) == calm
            out.rename(tmp_path / f"finished-{finished}")
            finished += 1
            log.unlink()
    process = start(context, out, log)
    process.join()
    assert process.exitcode == 0
    assert contents(out) == calm
