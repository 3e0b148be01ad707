"""Theorems from public data sets: rows of our own, and every row of miniF2F where it is here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from small_rows import DATA, present

from awry.errors import UserError
from awry.tasks.sources import PROOF_FORMATS
from awry.tasks.sources.importing import Wanted, read_problems, write
from awry.tasks.sources.lean_rows import completed
from awry.tasks.sources.rows import Unusable
from awry.tasks.theorems import ProofProblem, load_proof_problems

MINIF2F = DATA / "minif2f/minif2f.jsonl"
WORKBOOK = {
    "natural_language_statement": "Show that a square is not negative.",
    "answer": "",
    "tags": ["algebra"],
    "formal_statement": "theorem lean_workbook_7 (x : ℝ) : 0 ≤ x ^ 2  :=  by sorry",
    "split": "lean_workbook",
    "proof": ["positivity"],
}


def problem(form: str, row: dict[str, Any], number: int = 0) -> ProofProblem:
    return PROOF_FORMATS[form].problem(row, number)


def reason(form: str, row: dict[str, Any]) -> str:
    with pytest.raises(Unusable) as caught:
        problem(form, row)
    return caught.value.reason


def test_rows_of_statement_and_proof() -> None:
    found = problem(
        "lean",
        {
            "id": "t1",
            "header": "import Mathlib\n",
            "statement": "theorem two (n : ℕ) :\n    n = n := by",
            "proof": "  rfl\n",
            "difficulty": "hard",
            "tags": ["easy ones"],
            "informal": "n is n",
        },
    )
    assert (found.id, found.name, found.header) == ("t1", "two", "import Mathlib\n")
    assert found.statement == "theorem two (n : ℕ) :\n    n = n"
    assert found.proof == ":= by\n  rfl"
    assert (found.difficulty, found.tags, found.source) == ("hard", ("easy ones",), "lean")


def test_imports_and_declarations_before_the_theorem() -> None:
    found = problem(
        "lean",
        {
            "formal_statement": "import Mathlib\nimport Aesop\n\ndef f (n : Nat) := n\n\n"
            "theorem helper : f 1 = 1 := rfl\n\n/-- what it says -/\nlemma goal.one : f 3 = 3 := by\n"
            "  sorry",
            "formal_proof": "theorem goal.one : f 3 = 3 := by\n  rfl",
        },
    )
    assert found.id == "row-0"
    assert found.header == "import Mathlib\nimport Aesop\n"
    assert found.setup == "def f (n : Nat) := n\n\ntheorem helper : f 1 = 1 := rfl\n"
    assert (found.name, found.statement) == ("goal.one", "theorem goal.one : f 3 = 3")
    assert found.proof == ":= by\n  rfl"


@pytest.mark.parametrize(
    ("proof", "made"),
    [
        ("", ""),
        ("sorry", ""),
        (":= by sorry", ""),
        ("by simp", ":= by simp"),
        (":= rfl", ":= rfl"),
        ("| 0 => rfl\n| n + 1 => rfl", "| 0 => rfl\n| n + 1 => rfl"),
        ("simp\nrfl", ":= by\n  simp\n  rfl"),
        ("    intro h\n    cases h with\n    | inl h => rfl", ":= by\n  intro h\n  cases h with\n"
         "  | inl h => rfl"),
        ("bypass_lemma", ":= by\n  bypass_lemma"),
        ("theorem a : 1 = 1 := rfl", ":= rfl"),
    ],
)  # fmt: skip
def test_a_proof_in_whatever_form(proof: str, made: str) -> None:
    assert completed(proof, "theorem a : 1 = 1 := by sorry") == made


def test_a_proof_of_something_else_is_none() -> None:
    with pytest.raises(Unusable, match="another statement"):
        completed("theorem a : 1 = 2 := by decide", "theorem a : 1 = 1 := by sorry")


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"proof": "rfl"}, "no field `statement`"),
        ({"statement": "def f := 1"}, "the statement has no theorem"),
        ({"statement": "theorem : 1 = 1"}, "the statement has no theorem"),
        ({"statement": "theorem a : 1 = 1", "difficulty": "olympiad"}, "the difficulty is not"),
    ],
)
def test_rows_that_give_no_theorem(row: dict[str, Any], why: str) -> None:
    assert reason("lean", row).startswith(why)


def test_lean_workbook() -> None:
    found = problem("lean-workbook", WORKBOOK)
    assert (found.id, found.name) == ("lean_workbook_7", "lean_workbook_7")
    assert found.statement == "theorem lean_workbook_7 (x : ℝ) : 0 ≤ x ^ 2"
    assert found.proof == ":= by\n  positivity"
    assert found.header.startswith("import Mathlib\n")
    assert found.informal == "Show that a square is not negative."
    assert (found.tags, found.licence) == (("lean-workbook", "algebra"), "Apache-2.0")
    assert problem("lean-workbook", WORKBOOK | {"proof": []}).proof == ""


def test_lean_workbook_by_tactics(tmp_path: Path) -> None:
    """The other layout: a row for each tactic, the whole proof in several rows."""
    stated = {"formal_statement": WORKBOOK["formal_statement"], "status": "proved"}
    negated = {
        "formal_statement": "theorem lean_workbook_8 : (1 : ℝ) = 2  :=  by sorry",
        "status": "disproved",
    }
    file = tmp_path / "rows.jsonl"
    rows = [
        stated | {"id": "lean_workbook_7", "tactic": "have h := sq_nonneg x"},
        stated | {"id": "lean_workbook_7", "tactic": "exact h"},
        negated | {"id": "lean_workbook_8", "tactic": "norm_num"},
    ]
    file.write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")
    found = read_problems("lean-workbook", str(file))
    (kept,) = found.problems
    assert isinstance(kept, ProofProblem)
    assert kept.proof == ":= by\n  have h := sq_nonneg x\n  exact h"
    assert [(d.id, d.reason) for d in found.dropped] == [
        ("lean_workbook_8", "the statement was disproved")
    ]


def test_every_row_of_minif2f_becomes_a_theorem(tmp_path: Path) -> None:
    found = read_problems("minif2f", str(present(MINIF2F)))
    assert (len(found.problems), found.dropped) == (488, ())
    for one in found.problems:
        assert isinstance(one, ProofProblem)
        assert one.statement.startswith(f"theorem {one.name}")
        assert not one.statement.rstrip().endswith((":=", "by"))
        assert one.header.startswith("import Mathlib")
        assert (one.proof, one.setup, one.kind) == ("", "", "proof")
        assert one.id == f"minif2f/{one.name}"
        assert one.informal
        assert not one.informal.startswith("/--")
    split = {tag for one in found.problems for tag in one.tags} & {"test", "valid"}
    assert split == {"test", "valid"}
    out = tmp_path / "minif2f.jsonl"
    write(found, out)
    assert load_proof_problems(str(out)) == tuple(sorted(found.problems, key=lambda p: p.id))


def test_only_what_is_wanted(tmp_path: Path) -> None:
    rows = [{"id": str(n), "statement": f"theorem t{n} : {n} = {n}"} for n in range(5)]
    rows[1]["difficulty"] = "hard"
    rows[2]["statement"] += " ∧ True" * 30
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")
    found = read_problems("lean", str(file), Wanted(("medium",), limit=2, max_statement=100))
    assert [p.id for p in found.problems] == ["0", "3"]
    assert [d.reason for d in found.dropped] == [
        *("not of the wanted difficulty", "the statement is too long", "over the limit"),
    ]
    with pytest.raises(UserError, match="unknown format") as caught:
        read_problems("lean4", str(file))
    assert "`lean`" in (caught.value.fix or "")
