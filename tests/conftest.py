"""One thread: tiny models on a busy machine run ten times slower with two."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Folders whose tests share what is costly to make; elsewhere a file is enough.
TOGETHER = ("redteam/lean", "redteam", "behaviour")


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the mark in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where several processes run the tests (`make test`), which of them stay in one."""
    here = Path(__file__).parent
    for item in items:
        place = item.path.relative_to(here).as_posix()
        group = next((name for name in TOGETHER if place.startswith(f"{name}/")), place)
        item.add_marker(pytest.mark.xdist_group(group))
