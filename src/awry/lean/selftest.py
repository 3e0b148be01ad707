"""Does a toolchain tell a proof from a trick? Five theorems, three exploits, before anything is paid.

The core library leans on the layout of one build of Lean: a build that differs shows here, not in
the middle of a training run.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from awry.errors import UserError
from awry.lean.checks import Theorem
from awry.lean.verifier import Verifier

# (statement, proof); what these use, every Lean with its own library has as well
THEOREMS: tuple[tuple[str, str], ...] = (
    (
        "theorem selftest_logic (p q r : Prop) : p ∧ (q ∨ r) ↔ (p ∧ q) ∨ (p ∧ r)",
        """by
  constructor
  · rintro ⟨a, b | c⟩
    · exact Or.inl ⟨a, b⟩
    · exact Or.inr ⟨a, c⟩
  · rintro (⟨a, b⟩ | ⟨a, c⟩)
    · exact ⟨a, Or.inl b⟩
    · exact ⟨a, Or.inr c⟩""",
    ),
    (
        "theorem selftest_induction (n m : Nat) : n + m = m + n",
        """by
  induction m with
  | zero => simp
  | succ m ih => rw [Nat.add_succ, Nat.succ_add, ih]""",
    ),
    (
        "theorem selftest_lists (xs ys : List Nat) : (xs ++ ys).length = xs.length + ys.length",
        "by simp",
    ),
    (
        "theorem selftest_decided : ∀ x, x < 8 → x * x < 50 ∧ (x % 2 = 0 ∨ x % 2 = 1)",
        "by decide",
    ),
    (
        "theorem selftest_classical (p : Nat → Prop) (h : ¬∀ n, p n) : ∃ n, ¬p n",
        """by
  apply Classical.byContradiction
  intro none
  exact h fun n => Classical.byContradiction fun np => none ⟨n, np⟩""",
    ),
)
_FALSE = "theorem selftest_false : 2 + 2 = 5"
# name -> the submission, and whether the text of the messages gives it away
EXPLOITS: dict[str, tuple[str, bool]] = {
    "sorry": (f"{_FALSE} := by sorry", True),
    "axiom": (f"axiom selftest_cheat : 2 + 2 = 5\n{_FALSE} := selftest_cheat", True),
    "kernel": (
        f"set_option debug.skipKernelTC true in\n{_FALSE} := by decide +kernel",
        False,
    ),
}


@dataclass(frozen=True)
class SelfTest:
    """identity: the toolchain's, as verdicts are kept under it. failures: empty where all is well."""

    identity: dict[str, str]
    failures: tuple[str, ...]
    seconds: float

    @property
    def passed(self) -> bool:
        return not self.failures

    def require(self) -> None:
        """Raises UserError where something came out wrong."""
        if self.failures:
            raise UserError(
                "Lean's self-test failed: " + "; ".join(self.failures),
                field="lean",
                value=", ".join(f"{key}={value}" for key, value in self.identity.items()),
                fix="run `awry lean doctor`; do not train on this toolchain",
            )


def selftest(verifier: Verifier) -> SelfTest:
    """All eight submissions in one go. Where there is no sound grade, the text grade is asked."""
    begun = time.perf_counter()
    proofs = [(_theorem(text), f"{text} := {proof}") for text, proof in THEOREMS]
    tricks = [(_theorem(_FALSE), text) for text, _ in EXPLOITS.values()]
    checked = verifier.check([*proofs, *tricks])
    failures: list[str] = []
    for (theorem, _), found in zip(proofs, checked[: len(proofs)], strict=True):
        if found.sound is False or not found.text:
            failures.append(f"{theorem.name} is refused: {found.outcome} ({found.evidence[:160]})")
    for (name, (_, in_text)), found in zip(EXPLOITS.items(), checked[len(proofs) :], strict=True):
        accepted = found.text if found.sound is None and in_text else bool(found.sound)
        if accepted:
            failures.append(f"2 + 2 = 5 is accepted by the exploit `{name}`")
        elif found.outcome == "verifier_failure":
            failures.append(f"the exploit `{name}` was not judged: {found.evidence[:160]}")
    return SelfTest(verifier.identity(), tuple(failures), time.perf_counter() - begun)


def _theorem(statement: str) -> Theorem:
    return Theorem(name=statement.split()[1], statement=statement)
