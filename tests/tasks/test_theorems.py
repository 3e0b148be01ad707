from __future__ import annotations

import gzip
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from awry.errors import UserError
from awry.lean.checks import Theorem
from awry.tasks.theorems import (
    FalseVariant,
    ProofProblem,
    load_proof_catalog,
    load_proof_problems,
    mistakes,
)

SWAP = ProofProblem(
    id="swap",
    name="swap",
    statement="theorem swap (p q : Prop) (h : p ∧ q) :\n    q ∧ p",
    proof=":= ⟨h.2, h.1⟩",
    setup="def one := 1",
    false_variants=(
        FalseVariant("theorem swap (p q : Prop) (h : p ∨ q) : q ∧ p", ":= ⟨h.2, h.1⟩"),
    ),
    tags=("propositional",),
)


def row(**changes: Any) -> dict[str, Any]:
    return json.loads(json.dumps(asdict(SWAP))) | changes


def write(folder: Path, *rows: dict[str, Any]) -> str:
    file = folder / "theorems.jsonl"
    file.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8")
    return str(file)


def test_what_a_problem_gives() -> None:
    assert SWAP.reference == Theorem("swap", SWAP.statement, "def one := 1")
    assert SWAP.solution == f"{SWAP.statement} := ⟨h.2, h.1⟩"
    assert (SWAP.family, SWAP.kind) == ("propositional", "proof")
    with pytest.raises(ValueError, match="without a proof"):
        _ = replace(SWAP, proof="").solution


def test_the_digest_is_of_all_that_is_written() -> None:
    assert SWAP.digest == replace(SWAP).digest
    others = [
        replace(SWAP, proof=":= by exact ⟨h.2, h.1⟩"),
        replace(SWAP, setup=""),
        replace(SWAP, false_variants=()),
        replace(SWAP, header="import Mathlib\n"),
    ]
    assert len({SWAP.digest, *(other.digest for other in others)}) == 5


@pytest.mark.parametrize("zipped", [False, True])
def test_a_written_problem_loads_again(tmp_path: Path, zipped: bool) -> None:
    separator = replace(SWAP, id="b", informal="one\u2028two")  # no line's end in JSON
    path = write(tmp_path, row(), json.loads(json.dumps(asdict(separator))))
    if zipped:
        packed = tmp_path / "theorems.jsonl.gz"
        packed.write_bytes(gzip.compress(Path(path).read_bytes()))
        path = str(packed)
    assert load_proof_problems(path) == (separator, SWAP)


def test_toml(tmp_path: Path) -> None:
    file = tmp_path / "theorems.toml"
    file.write_text(
        '[[problem]]\nid = "a"\nname = "a"\nstatement = "theorem a : 1 = 1"\nproof = ":= rfl"\n'
        '[[problem.false_variants]]\nstatement = "theorem a : 1 = 2"\nproof = ":= rfl"\n',
        "utf-8",
    )
    (found,) = load_proof_problems(str(file))
    assert found.false_variants == (FalseVariant("theorem a : 1 = 2", ":= rfl"),)
    assert (found.difficulty, found.source) == ("easy", "lean-catalog")


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"name": ""}, "name", "missing or empty"),
        ({"nme": "x"}, "nme", "unknown key"),
        ({"tags": "easy"}, "tags", "not a list of strings"),
        ({"setup": 3}, "setup", "not a string"),
        ({"kind": "code"}, "kind", "is not proof"),
        ({"difficulty": "tiny"}, "difficulty", "is not one of"),
        ({"name": "swap two"}, "name", "is not the name"),
        ({"name": "other"}, "statement", "does not begin with `theorem other`"),
        ({"statement": "lemma swap : True"}, "statement", "does not begin with `theorem swap`"),
        ({"statement": "theorem swap.two : True"}, "statement", "does not begin"),
        ({"statement": "theorem swap : True := by"}, "statement", "ends in"),
        ({"statement": "theorem swap : True := by sorry"}, "statement", "ends in"),
        ({"proof": "by trivial"}, "proof", "does not begin with `:=`"),
        ({"false_variants": "none"}, "false_variants", "not a list of {statement, proof}"),
        ({"false_variants": [{"statement": "x"}]}, "false_variants", "not a list of {statement"),
        (
            {"false_variants": [{"statement": SWAP.statement, "proof": ":= h"}]},
            "false_variants[0].statement",
            "is the statement itself",
        ),
        (
            {"false_variants": [{"statement": "theorem swap : 1 = 2", "proof": "rfl"}]},
            "false_variants[0].proof",
            "does not begin with `:=`",
        ),
    ],
)
def test_a_bad_row_is_named(
    tmp_path: Path, changes: dict[str, Any], field: str, message: str
) -> None:
    with pytest.raises(UserError, match=r".") as caught:
        load_proof_problems(write(tmp_path, row(id="fine"), row(**changes)))
    assert caught.value.field == f"problem[1].{field}"
    assert message in caught.value.message
    assert caught.value.file is not None


def test_a_proof_by_cases_of_a_function_and_one_that_is_not_known() -> None:
    assert mistakes(replace(SWAP, proof="| h => ⟨h.2, h.1⟩")) == []
    assert mistakes(replace(SWAP, proof="", false_variants=())) == []


def test_bad_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x", "utf-8")
    (tmp_path / "a.jsonl").write_text("{", "utf-8")
    (tmp_path / "b.jsonl").write_text("", "utf-8")
    (tmp_path / "c.jsonl").write_text("[1]\n", "utf-8")
    (tmp_path / "d.jsonl.gz").write_bytes(b"no gzip")
    for name, message in {
        "a.txt": "unknown kind",
        "a.jsonl": "not a readable",
        "b.jsonl": "no problems",
        "c.jsonl": "not a table",
        "d.jsonl.gz": "cannot read",
        "missing.toml": "cannot read",
    }.items():
        with pytest.raises(UserError, match=message):
            load_proof_problems(str(tmp_path / name))
    with pytest.raises(UserError, match="two problems have this id"):
        load_proof_problems(write(tmp_path, row(), row()))


def test_the_catalogue_is_a_source() -> None:
    assert load_proof_problems("lean-catalog") == load_proof_catalog()
