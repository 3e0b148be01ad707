"""Honest answers that look odd are graded right, at every level."""

from __future__ import annotations

import importlib.util
import warnings

import pytest
from harness import LEVELS
from honest import HONEST, Honest

from awry.sandbox.python import Limits, Outcome, Program, PythonSandbox, Returned
from awry.tasks.assertions import same


@pytest.fixture(scope="module", params=LEVELS)
def outcomes(request: pytest.FixtureRequest) -> dict[str, Outcome]:
    programs = [Program(h.program, calls=tuple(call for call, _ in h.calls)) for h in HONEST]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sandbox = PythonSandbox(workers=2, limits=Limits(), isolation=request.param)
    with sandbox:
        ran = sandbox.run(programs)
    return dict(zip([h.name for h in HONEST], ran, strict=True))


@pytest.mark.parametrize("honest", HONEST, ids=lambda honest: honest.name)
def test_an_honest_answer_is_right(outcomes: dict[str, Outcome], honest: Honest) -> None:
    outcome = outcomes[honest.name]
    if honest.needs in ("files", "descriptors") and "tmpfs-root" not in outcome.isolation:
        pytest.skip("nothing can be opened where there is no private root")
    if honest.needs == "numpy" and importlib.util.find_spec("numpy") is None:
        pytest.skip("numpy is not installed")
    assert (outcome.status, outcome.error) == ("finished", "")
    for (call, expected), got in zip(honest.calls, outcome.values, strict=True):
        assert isinstance(got, Returned), (call, got)
        assert same(got.value, expected), (call, got)
