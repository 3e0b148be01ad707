"""The how-to's commands and Python work as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("trl", reason="the extra [trl] is not installed")

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/howto/intervene-in-trl.md").read_text(encoding="utf-8")


def test_blocks_run(tmp_path: Path) -> None:
    (command,) = re.findall(r"```\nawry (.*?)\n```", TEXT)
    (block,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    for arguments in (["-m", "awry", *command.split()], ["-c", block]):
        done = subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if not line.startswith("{")]
    *steps, most = lines[-3:]
    assert all(len([float(x) for x in line.split()]) == 3 for line in steps)
    assert re.fullmatch(r"step [12] completion [0-7] cosine -?[\d.e-]+", most)
