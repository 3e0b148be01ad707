from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from awry.errors import UserError
from awry.lean.builtin import library
from awry.lean.builtin.pool import LeanPool
from awry.lean.checks import Checked, Theorem
from awry.lean.selftest import EXPLOITS, THEOREMS, selftest
from awry.lean.verifier import Verifier


def test_built_in_lean_passes(lean_pool: LeanPool) -> None:
    found = selftest(Verifier(lean_pool))
    assert found.failures == ()
    assert found.passed
    assert found.identity["commit"] == library.find().commit
    found.require()


def test_exploits_pay_where_messages_are_believed(lean_pool: LeanPool) -> None:
    """They are real: all three pass the naive grade, and one the text grade too."""
    verifier = Verifier(lean_pool)
    theorem = Theorem("selftest_false", "theorem selftest_false : 2 + 2 = 5")
    checked = verifier.check([(theorem, text) for text, _ in EXPLOITS.values()])
    assert [found.naive for found in checked] == [True, True, True]
    assert [found.text for found in checked] == [not seen for _, seen in EXPLOITS.values()]
    assert [found.sound for found in checked] == [False, False, False]


class _Altered(Verifier):
    """A verifier that finds something else."""

    def __init__(self, pool: LeanPool, change: dict[str, Checked]) -> None:
        super().__init__(pool)
        self.change = change

    def check(self, items: Sequence[tuple[Theorem, str]]) -> list[Checked]:
        found = super().check(items)
        return [
            replace(one, **self.change) if index in self.at else one
            for index, one in enumerate(found)
        ]

    at: range = range(0)


@pytest.mark.parametrize(
    ("at", "change", "said"),
    [
        (range(2, 3), {"sound": False, "outcome": "error"}, "selftest_lists is refused"),
        (range(5, 8), {"sound": True}, "accepted by the exploit `kernel`"),
        (range(6, 7), {"outcome": "verifier_failure"}, "`axiom` was not judged"),
        (range(5, 6), {"sound": None, "text": True}, "accepted by the exploit `sorry`"),
    ],
)
def test_wrong_verdicts_are_failures(
    lean_pool: LeanPool, at: range, change: dict[str, Checked], said: str
) -> None:
    verifier = _Altered(lean_pool, change)
    verifier.at = at
    found = selftest(verifier)
    assert not found.passed
    assert any(said in failure for failure in found.failures), found.failures
    with pytest.raises(UserError, match="self-test failed"):
        found.require()


def test_there_are_five_theorems_and_three_exploits() -> None:
    assert (len(THEOREMS), len(EXPLOITS)) == (5, 3)
