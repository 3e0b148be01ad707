"""A valid experiment to bend, and a way to write one as a file."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

TINY: dict[str, Any] = {
    "name": "tiny",
    "question": "does it run?",
    "model": {
        "path": "tiny-random",
        "dtype": "float32",
        "adapter": {"kind": "lora", "r": 2, "alpha": 4},
    },
    "problems": {"source": "catalog", "limit": 4},
    "training": {"steps": 2, "problems_per_step": 1, "group_size": 2, "max_new_tokens": 4},
    "probe": {"problems": 1, "samples": 1, "every": 5},
    "seeds": [0],
    "arms": {"vanilla": {}, "zero": {"reward": "zero"}},
}


@pytest.fixture(scope="session")
def tiny_document() -> dict[str, Any]:
    return copy.deepcopy(TINY)


@pytest.fixture
def tiny() -> dict[str, Any]:
    return copy.deepcopy(TINY)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Any], Path]:
    def to_file(document: Any) -> Path:
        path = tmp_path / "experiment.yaml"
        text = document if isinstance(document, str) else yaml.safe_dump(document, sort_keys=False)
        path.write_text(text, encoding="utf-8")
        return path

    return to_file
