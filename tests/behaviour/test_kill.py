"""kill -9 at random moments: the smoke experiment ends with the metrics and weights of a calm run.

AWRY_KILLS=10 pytest tests/behaviour/test_kill.py kills ten times; the default is three.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

SMOKE = Path(__file__).parents[2] / "examples" / "smoke.yaml"
KILLS = int(os.environ.get("AWRY_KILLS", "3"))


def start(out: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "awry", "run", str(SMOKE), "--out", str(out)]
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def outcome(out: Path) -> dict[str, tuple[bytes, ...]]:
    """By arm: the run's metrics, probes and result (which holds the digest of its weights)."""
    runs = json.loads((out / "smoke" / "experiment.json").read_text())["runs"]
    names = ("metrics.jsonl", "probe.jsonl", "result.json")
    return {
        run["arm"]: tuple((out / run["dir"] / name).read_bytes() for name in names) for run in runs
    }


def test_killed_runs_end_the_same(tmp_path: Path) -> None:
    begun = time.monotonic()
    assert start(tmp_path / "calm").wait() == 0
    whole = time.monotonic() - begun
    calm = outcome(tmp_path / "calm")
    assert len(calm) >= 3

    rng = random.Random(0)
    killed = 0
    while killed < KILLS:
        process = start(tmp_path / "killed")
        time.sleep(rng.uniform(0.1, 0.9) * whole)
        if process.poll() is not None:  # it came to its end; begin another
            assert process.returncode == 0
            assert outcome(tmp_path / "killed") == calm
            (tmp_path / "killed").rename(tmp_path / f"finished-{killed}-{time.monotonic_ns()}")
            continue
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        killed += 1
    assert start(tmp_path / "killed").wait() == 0
    assert outcome(tmp_path / "killed") == calm
