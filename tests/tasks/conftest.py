from __future__ import annotations

from collections.abc import Iterator

import pytest

from awry.sandbox.python import Limits, PythonSandbox
from awry.tasks.code import Grader
from awry.tasks.problems import Problem


@pytest.fixture(scope="session")
def grader() -> Iterator[Grader]:
    with PythonSandbox(limits=Limits(wall_s=2.0, cpu_s=1.0, memory_mb=256)) as sandbox:
        yield Grader(sandbox)


@pytest.fixture(scope="session")
def cube() -> Problem:
    return Problem(
        id="cube",
        statement="returns the cube of the number n",
        starter="def cube(n):\n",
        entry_point="cube",
        tests=(
            "assert cube(2) == 8",
            "assert cube(3) == 27",
            "assert cube(-1) == -1",
            "assert cube(5) == 125",
            "assert cube(10) == 1000",
            "assert cube(7) == 343",
        ),
        canonical="def cube(n):\n    return n ** 3\n",
        wrong="def cube(n):\n    return n * n\n",
    )
