from __future__ import annotations

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from awry.errors import UserError
from awry.lean.builtin import core, library
from awry.lean.builtin.pool import LeanPool
from awry.lean.checks import ALLOWED_AXIOMS
from awry.lean.sound.olean import Module, read_module
from awry.lean.sound.terms import Terms

# what the code generator puts in the place of erased things: unsafe, no proof can use them
_ERASED = {"lcErased", "lcAny", "lcVoid", "lcRealWorld", "lcProof", "lcCast", "lcUnreachable"}


@cache
def _module() -> tuple[Terms, Module]:
    terms = Terms()
    return terms, read_module((core.built() / core.OLEAN).read_bytes(), terms)


@pytest.fixture
def empty_cache(needs_lean: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AWRY_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture
def small_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """A core that is compiled at once."""
    monkeypatch.setattr(
        core, "source", lambda: "prelude\ninductive One : Type where\n  | one : One\n"
    )
    monkeypatch.setattr(core, "digest", lambda: "d" * 64)


def test_compiled_once_and_found_again(empty_cache: Path, small_core: None) -> None:
    first = core.built()
    assert first.is_relative_to(empty_cache)
    olean = first / core.OLEAN
    before = olean.stat().st_mtime_ns
    assert core.built() == first
    assert olean.stat().st_mtime_ns == before
    assert not olean.stat().st_mode & 0o222
    assert [path.name for path in first.parent.iterdir()] == [first.name]


def test_kept_by_commit_and_source(
    empty_cache: Path, small_core: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = core.built()
    assert library.find().commit[:12] in first.name
    monkeypatch.setattr(core, "digest", lambda: "e" * 64)
    assert core.built() != first


def test_digest_follows_the_source(needs_lean: None, monkeypatch: pytest.MonkeyPatch) -> None:
    found = core.digest()
    assert len(found) == 64
    core.digest.cache_clear()
    monkeypatch.setattr(core, "source", lambda: "prelude\n")
    assert core.digest() != found
    core.digest.cache_clear()


def test_source_that_does_not_compile_is_told(
    empty_cache: Path, small_core: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core, "source", lambda: "prelude\ndef broken : Gone := x\n")
    with pytest.raises(UserError) as caught:
        core.built()
    assert "does not compile" in caught.value.message
    assert list((empty_cache / "lean").iterdir()) == []


def test_processes_that_start_together_all_get_it(empty_cache: Path) -> None:
    """Each compiles for itself, one wins, and nothing half-written is ever seen."""
    code = (
        "from awry.lean.builtin import core\n"
        "core.source = lambda: 'prelude\\ninductive One : Type where\\n  | one : One\\n'\n"
        "core.digest = lambda: 'd' * 64\n"
        "print((core.built() / core.OLEAN).stat().st_size)"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    sizes = {process.communicate()[0] for process in running}
    assert [process.returncode for process in running] == [0, 0, 0]
    assert len(sizes) == 1
    assert len(list((empty_cache / "lean").iterdir())) == 1


def test_an_emptied_folder_is_filled_again(empty_cache: Path, small_core: None) -> None:
    shutil.rmtree(core.built())
    assert (core.built() / core.OLEAN).is_file()


def test_parts_are_in_the_package() -> None:
    listed = {f"{name}.lean" for name in (*core.BEFORE_GRAMMAR, *core.AFTER_GRAMMAR)}
    folder = Path(core.__file__).parent / "init"
    assert {path.name for path in folder.iterdir()} == listed
    assert all(
        len(line) <= 100 for path in folder.iterdir() for line in path.read_text().splitlines()
    )


def test_axioms_are_the_three(needs_lean: None) -> None:
    """And nothing in the core rests on `sorry`."""
    terms, module = _module()
    axioms = {terms.show(n): c for n, c in module.constants.items() if c.kind == "axiom"}
    assert axioms.keys() == {*ALLOWED_AXIOMS, *_ERASED, "sorryAx"}
    assert all(axioms[name].unsafe for name in _ERASED)
    bodies = [e for c in module.constants.values() for e in (c.type, c.value) if e is not None]
    mentioned = {terms.show(name) for name in terms.mentioned(terms.reachable(bodies))}
    assert "sorryAx" not in mentioned
    assert "Nat.add" in mentioned


def test_no_import_and_wide_enough(needs_lean: None) -> None:
    terms, module = _module()
    assert module.imports == ()
    names = {terms.show(name) for name, c in module.constants.items() if c.kind == "thm"}
    assert len(names) > 1000
    for name in ("Nat.add_comm", "Nat.lt_irrefl", "Nat.mod_lt", "List.map_append", "Classical.em"):
        assert name in names


# one proof each of what an ordinary exercise uses
EXERCISES = {
    "literals in simp": "example (x : Nat) (h : x + 3 = 5) : x = 2 := by simp at h; exact h",
    "literal order": "example : ¬(7 < 5) ∧ 3 ≤ 10 := by simp",
    "bounded": "example : ∀ x < 20, ∃ y ≤ x, y + y = x ∨ y + y + 1 = x := by decide",
    "all Booleans": "example : ∀ a b : Bool, (a && b) = !(!a || !b) := by decide",
    "members": "example : ∀ x ∈ [1, 2, 3], x < 4 := by decide",
    "deriving": "inductive Hue where\n  | red | blue\nderiving DecidableEq, Inhabited\nexample : Hue.red ≠ Hue.blue := by decide",
    "deriving trees": "inductive T where\n  | leaf\n  | node (l : T) (n : Nat) (r : T)\nderiving DecidableEq\nexample : T.node .leaf 1 .leaf ≠ .leaf := by decide",
    "constructors differ": "example (a : Nat) : some a ≠ none := by simp",
    "constructors are injective": "example (a b : Nat) (h : some a = some b) : a = b := by simpa using h",
    "lists": "example (xs ys : List Nat) : (xs ++ ys).reverse = ys.reverse ++ xs.reverse := by simp",
    "sums": "example (xs : List Nat) (n : Nat) : (n :: xs).sum = xs.sum + n := by simp [Nat.add_comm]",
    "strings": 'example : "ab" ≠ "ac" := by decide',
    "measure": "def log (n : Nat) : Nat := if h : n ≤ 1 then 0 else 1 + log (n / 2)\ntermination_by n\ndecreasing_by exact Nat.div_lt_self (Nat.lt_of_lt_of_le Nat.one_pos (Nat.le_of_not_le h)) (by decide)\nexample : log 8 = 3 := by simp [log]",
    "lexicographic": "def ack : Nat → Nat → Nat\n  | 0, n => n + 1\n  | m + 1, 0 => ack m 1\n  | m + 1, n + 1 => ack m (ack (m + 1) n)\ntermination_by m n => (m, n)",
    "functional induction": "def half : Nat → Nat\n  | 0 => 0\n  | 1 => 0\n  | n + 2 => half n + 1\nexample (n : Nat) : half n ≤ n := by\n  fun_induction half n with\n  | case1 => simp\n  | case2 => simp\n  | case3 n ih => exact Nat.succ_le_succ (Nat.le_succ_of_le ih)",
    "mutual": "mutual\ndef ev : Nat → Bool\n  | 0 => true\n  | n + 1 => od n\ndef od : Nat → Bool\n  | 0 => false\n  | n + 1 => ev n\nend\nexample : ev 6 = true := by decide",
    "nested": "inductive Rose where\n  | mk : List Rose → Rose",
    "parity": "example (n : Nat) (h : n % 2 = 1) : (n * n) % 2 = 1 := by simp [Nat.mul_mod, h]",
    "divides": "example (a b c : Nat) (h : a ∣ b) (k : a ∣ c) : a ∣ b + c := Nat.dvd_add h k",
    "by contradiction": "example (p : Prop) (h : ¬¬p) : p := by\n  by_contra hn\n  exact h hn",
    "classical": "example (p q : Prop) : ¬(p ∧ q) ↔ ¬p ∨ ¬q := Classical.not_and_iff_or_not_not",
    "matches on literals": "example : (match 3 with | 0 => 1 | _ => 2) = 2 := rfl",
    "have in a goal": "example (a : Nat) (h : a = 2) : (have x := a; x + 1) = 3 := by simp [h]",
    "type classes": "class Magma (α : Type) extends Mul α where\n  unit : α\n  mul_unit : ∀ a : α, a * unit = a\nexample [Magma α] (a : α) : a * Magma.unit * Magma.unit = a := by rw [Magma.mul_unit, Magma.mul_unit]",
    "reduce": "#reduce 2 + 3",
}  # fmt: skip


def test_ordinary_exercises(lean_pool: LeanPool) -> None:
    found = lean_pool.elaborate([("", text) for text in EXERCISES.values()])
    failed = {
        name: one.errors
        for name, one in zip(EXERCISES, found, strict=True)
        if one.ended != "finished" or one.errors
    }
    assert failed == {}


FALSE = {
    "literals": "example (x : Nat) (h : x + 3 = 5) : x = 3 := by simp at h; exact h",
    "bounded": "example : ∀ x < 20, x < 19 := by decide",
    "members": "example : 4 ∈ [1, 2, 3] := by decide",
    "native reduction": "example : Lean.reduceBool true = true := by decide +kernel",
    "no measure": "def loop (n : Nat) : Nat := loop (n + 1)",
    "reserved": "def Nat.gcd (a b : Nat) : Nat := 0",
}


@pytest.mark.parametrize("name", FALSE)
def test_what_is_false_stays_unproved(name: str, lean_pool: LeanPool) -> None:
    (found,) = lean_pool.elaborate([("", FALSE[name])])
    assert found.ended == "finished"
    assert found.errors
