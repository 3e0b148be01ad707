from __future__ import annotations

from collections.abc import Iterator

import pytest

from awry.sandbox.python import Limits, PythonSandbox


@pytest.fixture(scope="session", params=["auto", "landlock"])
def sandbox(request: pytest.FixtureRequest) -> Iterator[PythonSandbox]:
    """Both what a system with namespaces gets and what one without them gets."""
    limits = Limits(wall_s=2.0, cpu_s=1.0, memory_mb=256)
    with PythonSandbox(workers=2, limits=limits, isolation=request.param) as opened:
        yield opened
