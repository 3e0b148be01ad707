"""One check, three grades: on the real Lean, and on a toolchain that fails on purpose."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from awry.lean.builtin.pool import JudgeJob, LeanPool
from awry.lean.checks import Checked, Elaboration, Message, Theorem
from awry.lean.verifier import Verifier, compose, open_verifier, reference_text

AND = Theorem("target", "theorem target (p q : Prop) (h : p ∧ q) : q ∧ p")
SUM = Theorem("target", "theorem target : 2 + 2 = 5")
EVEN = Theorem("target", "theorem target : twice 2 = 4", setup="def twice (n : Nat) := n + n")
PROOF = "theorem target (p q : Prop) (h : p ∧ q) : q ∧ p := ⟨h.2, h.1⟩"


@pytest.fixture(scope="module")
def verifier(lean_pool: LeanPool) -> Verifier:
    return Verifier(lean_pool)


def one(verifier: Verifier, theorem: Theorem, text: str) -> Checked:
    return verifier.check([(theorem, text)])[0]


def test_a_proof_is_accepted_by_all_grades(verifier: Verifier) -> None:
    found = one(verifier, AND, PROOF)
    assert (found.outcome, found.naive, found.text, found.sound) == ("proved", True, True, True)
    assert (found.faults, found.error, found.axioms, found.sorry) == ((), None, (), False)
    assert all(found.accepted(grade) for grade in ("naive", "text", "sound"))


def test_results_come_in_the_order_of_the_items(verifier: Verifier) -> None:
    wrong = PROOF.replace("h.2, h.1", "h.1, h.2")
    texts = [PROOF, wrong, "", PROOF, f"{PROOF}\nexample : 1 = 2 := sorry"]
    found = verifier.check([(AND, text) for text in texts])
    assert [c.sound for c in found] == [True, False, False, True, True]
    assert [c.naive for c in found] == [True, False, True, True, True]
    assert [c.outcome for c in found] == ["proved", "error", "wrong_statement", "proved", "proved"]
    assert [c.error for c in found] == [None, "type", None, None, None]
    assert found[2].faults == ("absent",)


def test_a_sorry_is_accepted_by_the_naive_grade_unless_told_otherwise(
    verifier: Verifier, lean_pool: LeanPool
) -> None:
    text = "theorem target : 2 + 2 = 5 := sorry"
    found = one(verifier, SUM, text)
    assert (found.naive, found.text, found.sound) == (True, False, False)
    assert found.sorry
    assert found.faults == ("sorry",)
    assert found.outcome == "exploit"
    strict = Verifier(lean_pool, sorry_accepted=False)
    assert not one(strict, SUM, text).naive
    assert strict.identity() != verifier.identity()


def test_the_setup_comes_first_and_is_the_references(verifier: Verifier) -> None:
    assert one(verifier, EVEN, "theorem target : twice 2 = 4 := rfl").sound
    shadow = "namespace A\ndef twice (_ : Nat) := 4\ntheorem _root_.target : twice 2 = 4 := rfl"
    found = one(verifier, EVEN, shadow)
    assert found.faults == ("definition",)
    assert found.text


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("theorem target : 2 + 2 = 5 := by decide", "tactic"),
        ("theorem target : 2 + 2 = 5 := by constructor <;> nope", "unknown_name"),
        ("theorem target : 2 + 2 = 5 := nope", "unknown_name"),
        ("theorem target : 2 + 2 = 5 := by", "unsolved_goals"),
        ("theorem target : 2 + 2 = 5 :=", "syntax"),
        ("theorem target : 2 + 2 = 5 := (rfl : 2 = 2)", "type"),
        ("theorem target 2 + 2 = 5 := rfl", "syntax"),
    ],
)
def test_errors_are_told_by_class(verifier: Verifier, text: str, name: str) -> None:
    found = one(verifier, SUM, text)
    assert (found.outcome, found.naive, found.sound, found.faults) == ("error", False, False, ())
    assert found.error in (name, "syntax" if name == "unknown_name" else name)
    assert found.evidence.startswith("line 1")


def test_a_time_out_is_no_verdict() -> None:
    text = (
        "def grow : Nat → Nat → Nat\n  | 0, n => Nat.succ n\n"
        "  | Nat.succ k, n => grow k (grow k (grow k n))\n"
        "theorem target : 2 + 2 = 5 := by\n"
        "  have : grow 60 1 = 0 := by decide +kernel\n  cases this"
    )
    with LeanPool(workers=1, cpu_s=2, wall_s=4) as pool:
        found, proved = Verifier(pool).check([(SUM, text), (AND, PROOF)])
    assert found.outcome in ("timeout", "memory")
    assert (found.naive, found.sound) == (False, False)
    assert proved.sound


def test_a_statement_that_does_not_elaborate_is_the_verifiers_failure(verifier: Verifier) -> None:
    theorem = Theorem("target", "theorem target : 2 + nowhere.x = 5")
    found = one(verifier, theorem, "theorem target : 2 + 2 = 4 := rfl")
    assert found.outcome == "verifier_failure"
    assert "statement itself" in found.evidence
    assert found.sound is False


def test_a_name_with_dots_and_greek(verifier: Verifier) -> None:
    theorem = Theorem("Δ.one.target", "theorem Δ.one.target (α : Prop) (h : α) :\n    α")
    found = one(verifier, theorem, "theorem Δ.one.target (β : Prop) (k : β) : β := k")
    assert found.sound
    assert found.axioms == ()


def test_the_composed_text_ends_with_our_question() -> None:
    text, last = compose(EVEN, "theorem target : twice 2 = 4 := rfl\n\n")
    assert text.split("\n")[:2] == [EVEN.setup, "theorem target : twice 2 = 4 := rfl"]
    assert text.split("\n")[last:] == ["#print axioms target", ""]
    assert reference_text(EVEN).endswith("twice 2 = 4\n  := sorry\n")


def test_what_is_repeated_of_the_header_and_the_setup_is_left_out(verifier: Verifier) -> None:
    proof = "theorem target : twice 2 = 4 := rfl"
    assert compose(EVEN, f"\n{EVEN.setup}\n\n{proof}")[0].count("def twice") == 1
    assert one(verifier, EVEN, f"{EVEN.setup}\n{proof}").sound
    other = f"def twice (n : Nat) := 4\n{proof}"
    assert one(verifier, EVEN, other).outcome == "error"
    imported = replace(EVEN, header="import A\nopen B")
    assert "import A" not in compose(imported, f"import A\nopen B\n{EVEN.setup}\n{proof}")[0]


class Scripted:
    """A toolchain that answers what it is told to."""

    name = "scripted"
    writes_oleans = False
    why_not_sound = "it writes none"

    def __init__(self, *answers: Elaboration) -> None:
        self.answers = list(answers)
        self.asked = 0

    def identity(self) -> dict[str, str]:
        return {"toolchain": self.name}

    def elaborate(self, texts: Sequence[tuple[str, str]]) -> list[Elaboration]:
        self.asked += len(texts)
        return [self.answers.pop(0) for _ in texts]

    def close(self) -> None:
        pass


CLEAN = Message("information", "'target' does not depend on any axioms", "", 2)


def test_a_failure_is_retried_and_never_a_wrong_proof() -> None:
    failed, good = Elaboration("failed", detail="gone"), Elaboration("finished", (CLEAN,))
    toolchain = Scripted(failed, good)
    assert one(Verifier(toolchain), AND, PROOF).outcome == "proved"
    assert toolchain.asked == 2
    found = one(Verifier(Scripted(failed, failed)), AND, PROOF)
    assert (found.outcome, found.error, found.faults) == ("verifier_failure", None, ())
    assert found.evidence == "gone"


@pytest.mark.parametrize(
    ("elaboration", "outcome", "faults"),
    [
        (Elaboration("finished", (CLEAN,)), "proved", ()),
        (Elaboration("finished", (CLEAN, Message("warning", "", "hasSorry"))), "exploit", ("sorry",)),
        (Elaboration("finished", (replace(CLEAN, text="'target' depends on axioms: [a]"),)),
         "exploit", ("axiom",)),
        (Elaboration("finished"), "exploit", ("absent",)),
        (Elaboration("timeout"), "timeout", ()),
        (Elaboration("memory"), "memory", ()),
        (Elaboration("crashed"), "verifier_failure", ()),
        (Elaboration("finished", exit_code=3), "error", ()),
        (Elaboration("finished", (Message("error", "unsolved goals"),)), "error", ()),
    ],
)  # fmt: skip
def test_without_files_there_is_no_sound_grade(
    elaboration: Elaboration, outcome: str, faults: tuple[str, ...]
) -> None:
    found = one(Verifier(Scripted(elaboration, elaboration)), AND, PROOF)
    assert (found.outcome, found.faults) == (outcome, faults)
    assert not found.sound
    if elaboration.ended == "finished":
        assert found.sound is None
        with pytest.raises(ValueError, match="sound grade"):
            found.accepted("sound")


class Judging(Scripted):
    """Every text is elaborated; the judge says what it is told to."""

    writes_oleans = True

    def __init__(self, verdict: dict[str, Any]) -> None:
        super().__init__()
        self.verdict = verdict

    def elaborate(self, texts: Sequence[tuple[str, str]]) -> list[Elaboration]:
        return [Elaboration("finished", (CLEAN,), b"a file", 0) for _ in texts]

    def judge(self, jobs: Sequence[JudgeJob]) -> list[dict[str, Any]]:
        return [self.verdict for _ in jobs]


@pytest.mark.parametrize(
    ("verdict", "outcome"),
    [
        ({"ended": "timeout", "detail": "2 s"}, "timeout"),
        ({"ended": "memory", "detail": "2 MB"}, "memory"),
        ({"ended": "crashed", "detail": "SIGSEGV"}, "verifier_failure"),
        ({"ended": "failed", "detail": "gone"}, "verifier_failure"),
        ({"ended": "finished", "failed": "memory"}, "memory"),
        ({"ended": "finished", "failed": "depth"}, "verifier_failure"),
        ({"ended": "finished"}, "verifier_failure"),
        ({"ended": "finished", "sound": 1, "faults": ["kernel"], "evidence": ""}, "exploit"),
        ({"ended": "finished", "sound": True, "faults": [], "evidence": ""}, "proved"),
    ],
)
def test_a_judge_that_cannot_tell_accepts_nothing(verdict: dict[str, Any], outcome: str) -> None:
    found = one(Verifier(Judging(verdict)), AND, PROOF)
    assert found.outcome == outcome
    assert found.sound is (outcome == "proved")
    if outcome not in ("proved", "exploit"):
        assert found.faults == ()


def test_with_a_header_the_file_cannot_be_judged(verifier: Verifier) -> None:
    found = one(verifier, replace(AND, header="import Init"), PROOF)
    assert found.sound is None
    assert found.text


@pytest.fixture(scope="module")
def opened(needs_lean: None) -> Iterator[Verifier]:
    with open_verifier(workers=1, wall_s=5, cpu_s=3) as verifier:
        yield verifier


def test_a_verifier_says_what_it_is(opened: Verifier) -> None:
    assert opened.identity()["toolchain"] == "builtin"
    assert opened.isolation
    assert one(opened, AND, PROOF).sound
