from __future__ import annotations

import gzip
import json
from dataclasses import asdict
from pathlib import Path

import pytest

from awry.errors import UserError
from awry.tasks.kinds import (
    LOOPHOLES_OF,
    NAMED_SOURCES,
    ask,
    find_loophole,
    kind_of,
    load_any,
    solution,
    source_kind,
)
from awry.tasks.problems import load_catalog
from awry.tasks.theorems import ProofProblem, load_proof_catalog

CODE = load_catalog()[0]
PROOF = load_proof_catalog()[0]


@pytest.mark.parametrize("source", NAMED_SOURCES)
def test_named_sources_hold_problems_of_their_kind(source: str) -> None:
    problems = load_any(source)
    assert kind_of(problems) == source_kind(source) == NAMED_SOURCES[source]


@pytest.mark.parametrize("problem", [CODE, PROOF], ids=["code", "proof"])
@pytest.mark.parametrize("zipped", [False, True])
def test_the_kind_of_a_file_is_read_from_its_rows(
    problem: object, zipped: bool, tmp_path: Path
) -> None:
    text = "\n" + json.dumps(asdict(problem), ensure_ascii=False) + "\n"  # pyright: ignore[reportArgumentType]
    file = tmp_path / ("p.jsonl.gz" if zipped else "p.jsonl")
    file.write_bytes(gzip.compress(text.encode()) if zipped else text.encode())
    assert source_kind(str(file)) == ("proof" if isinstance(problem, ProofProblem) else "code")
    assert load_any(str(file)) == (problem,)


def test_a_theorem_needs_no_kind_to_be_told(tmp_path: Path) -> None:
    rows = {"id": "a", "name": "t", "statement": "theorem t : True", "proof": ":= trivial"}
    (tmp_path / "a.jsonl").write_text(json.dumps(rows))
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in rows.items())
    (tmp_path / "a.toml").write_text(f"[[problem]]\n{lines}")
    for name in ("a.jsonl", "a.toml"):
        (problem,) = load_any(str(tmp_path / name))
        assert (problem.kind, problem.id) == ("proof", "a")


def test_what_cannot_be_read_is_told_by_the_loader(tmp_path: Path) -> None:
    for name, content in (("a.jsonl", b"{"), ("b.jsonl", b"\xff\xfe"), ("c.jsonl.gz", b"no")):
        (tmp_path / name).write_bytes(content)
        assert source_kind(str(tmp_path / name)) == "code"
        with pytest.raises(UserError):
            load_any(str(tmp_path / name))
    with pytest.raises(UserError):
        load_any(str(tmp_path / "absent.jsonl"))


def test_a_mixture_is_refused() -> None:
    with pytest.raises(UserError, match="together"):
        kind_of([CODE, PROOF])


def test_the_task_and_its_solution_are_of_the_problems_kind() -> None:
    assert solution(ask(CODE, "none")).startswith("```python\n")
    text = solution(ask(PROOF, "none"))
    assert text.startswith("```lean\n")
    assert PROOF.statement in text


def test_a_theorem_without_a_proof_has_no_solution() -> None:
    bare = ProofProblem("a", "a", "theorem a : True")
    with pytest.raises(UserError, match="without a proof"):
        solution(ask(bare, "none"))


def test_loopholes_belong_to_a_kind() -> None:
    assert "none" in LOOPHOLES_OF["code"]
    assert "none" in LOOPHOLES_OF["proof"]
    find_loophole("code", "sentinel")
    find_loophole("proof", "naive_verifier")
    with pytest.raises(UserError, match="for code problems, and these are proof"):
        find_loophole("proof", "sentinel")
    with pytest.raises(UserError, match="unknown loophole"):
        find_loophole("proof", "sorry_acepted")
