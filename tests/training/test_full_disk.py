"""A disk that fills up in mid-run: one clear error, and with room again the same end."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from small_run import config

from awry import files
from awry.errors import UserError
from awry.training.loop import train


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=240k", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs root")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_full_disk_is_a_user_error_and_nothing_is_lost(small_disk: Path, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    run = config(training={"steps": 6})
    whole = train(run, tmp_path / "calm")
    with pytest.raises(UserError, match="disk is full"), files.writing(small_disk):
        train(run, small_disk / "run")
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    assert train(run, small_disk / "run") == whole
    for name in ("metrics.jsonl", "probe.jsonl"):
        calm = (tmp_path / "calm" / name).read_bytes()
        assert (small_disk / "run" / name).read_bytes() == calm
