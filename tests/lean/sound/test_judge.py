"""The judge goes by the two files alone; here also files that Lean would never write."""

from __future__ import annotations

import bisect
import random
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from lean_files import PARITY, compiled
from test_olean import mutated

from awry.lean.builtin.pool import JudgeJob, LeanPool
from awry.lean.checks import FAULTS
from awry.lean.sound.judge import ORDER
from awry.lean.sound.olean import COMMIT, _Reader
from awry.lean.sound.terms import Terms, parse_name

pytestmark = pytest.mark.usefixtures("needs_lean")
FALSE = "theorem target : 2 + 2 = 5"


@pytest.fixture(scope="module")
def pool() -> Iterator[LeanPool]:
    with LeanPool(workers=1, cpu_s=5) as opened:
        yield opened


def judged(pool: LeanPool, statement: str, text: str | bytes, setup: str = "") -> dict[str, Any]:
    reference = compiled(f"{setup}{statement} := sorry\n")
    given = text if isinstance(text, bytes) else compiled(setup + text)
    return pool.judge([JudgeJob(reference, given, "target")])[0]


def test_a_proof_is_sound(pool: LeanPool) -> None:
    found = judged(
        pool, "theorem target (n : Nat) : n = n", "theorem target (m : Nat) : m = m := rfl"
    )
    assert found == {
        "ended": "finished", "sound": True, "faults": [], "evidence": "", "axioms": []
    }  # fmt: skip


def test_axioms_are_those_of_everything_it_rests_on(pool: LeanPool) -> None:
    statement = "theorem target (p : Prop) : p ∨ ¬p"
    found = judged(pool, statement, f"{statement} := Classical.em p")
    assert found["sound"]
    assert found["axioms"] == ["Classical.choice", "Quot.sound", "propext"]


def test_all_faults_are_found(pool: LeanPool) -> None:
    text = (
        "axiom cheat : 2 + 2 = 5\n"
        "instance (priority := 10000) : OfNat Nat 5 := ⟨3⟩\n"
        "set_option debug.skipKernelTC true\n"
        "theorem bad : 3 = 4 := by decide +kernel\n"
        "theorem target : 2 + 2 = 5 := (absurd bad (by decide) : False → _) (sorry)\n"
    )
    found = judged(pool, FALSE, text)
    assert found["faults"] == ["instance", "sorry", "kernel"]
    text += "-- and one of its own\n"
    text = text.replace("(sorry)", "(absurd cheat sorry)")
    assert judged(pool, FALSE, text)["faults"] == ["instance", "axiom", "sorry", "kernel"]


def test_every_fault_has_words_and_a_place_in_the_order() -> None:
    assert set(ORDER) <= FAULTS.keys()
    assert FAULTS.keys() - set(ORDER) == {"notation", "no_output"}  # not to be seen in a file


def test_a_theorem_is_not_found_by_another_name(pool: LeanPool) -> None:
    found = judged(pool, FALSE, "namespace A\ntheorem target : 2 + 2 = 4 := rfl\nend A\n")
    assert found["faults"] == ["absent"]
    assert "A.target" in found["evidence"]


def test_a_redefinition_in_the_setup_is_seen(pool: LeanPool) -> None:
    """The same names throughout, another content."""
    reference = compiled("def f (n : Nat) : Nat := n\ntheorem target : f 2 = 3 := sorry\n")
    given = compiled("def f (n : Nat) : Nat := n + 1\ntheorem target : f 2 = 3 := rfl\n")
    found = pool.judge([JudgeJob(reference, given, "target")])[0]
    assert found["faults"] == ["definition"]
    assert "`f`" in found["evidence"]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (PARITY, PARITY.replace("n + 2", "n + 1")),
        (PARITY, PARITY + "axiom more : Par 3\n"),
        (
            "structure Par (n : Nat) where\n  a : n = 2\n",
            "structure Par (n : Nat) where\n  a : n = 3\n",
        ),
        ("opaque Par (n : Nat) : Prop\n", "opaque Par (n : Nat) : Prop := True\n"),
        ("axiom Par (n : Nat) : Prop\n", "def Par (n : Nat) : Prop := True\n"),
        ("def Par (n : Nat) : Prop := n = n\n", "def Par (n : Nat) : Prop := n = 3\n"),
    ],
)
def test_another_meaning_of_what_the_statement_reaches_is_seen(
    pool: LeanPool, theirs: str, ours: str
) -> None:
    reference = compiled(f"{theirs}theorem target : ∀ n, Par n → n = n := sorry\n")
    given = compiled(f"{ours}theorem target : ∀ n, Par n → n = n := fun _ _ => rfl\n")
    found = pool.judge([JudgeJob(reference, given, "target")])[0]
    if "axiom more" in ours:  # plays no part
        assert found["sound"]
    else:
        assert found["faults"][0] == "definition"


def test_two_types_of_the_same_content_are_two(pool: LeanPool) -> None:
    setup = "inductive A where\n  | a\ninductive B where\n  | a\n"
    reference = compiled(f"{setup}theorem target : A = B := sorry\n")
    given = compiled(f"{setup}theorem target : A = A := rfl\n")
    assert not pool.judge([JudgeJob(reference, given, "target")])[0]["sound"]


def test_helpers_may_have_other_names(pool: LeanPool) -> None:
    """Lean reuses the helper that it made for the same `match` of an earlier declaration."""
    statement = "theorem target (n : Nat) : (match n with | 0 => 1 | _ => 1) = 1"
    before = "theorem help (n : Nat) : (match n with | 0 => 1 | _ => 1) = 1 := by cases n <;> rfl\n"
    found = judged(pool, statement, f"{before}{statement} := help n\n")
    assert found["sound"], found


def test_a_type_with_another_proof_grafted_on(pool: LeanPool) -> None:
    """The file says that the proof of 2 + 2 = 4 proves 2 + 2 = 5."""
    data = compiled("axiom other : 2 + 2 = 5\ntheorem target : 2 + 2 = 4 := rfl\n")
    arena = Terms()
    reader = _Reader(data, arena, COMMIT)
    constants = reader.module().constants
    wrong, right = (constants[arena.name(parse_name(n))].type for n in ("other", "target"))
    places = {number: pointer for pointer, number in reader.expr_at.items()}
    grafted = data.replace(struct.pack("<Q", places[right]), struct.pack("<Q", places[wrong]))
    assert grafted != data
    found = judged(pool, FALSE, grafted)
    assert found["faults"] == ["kernel"], found
    assert "`target`" in found["evidence"]


@pytest.mark.parametrize(
    ("text", "was", "becomes", "fault"),
    [
        # An axiom of its own under an allowed axiom's name.
        ("axiom propexz : 2 + 2 = 5\n{} := propexz\n", "propexz", "propext", "redeclared"),
        # A proof that the library's lemma proves what a lemma of its own was assumed to.
        ("axiom Nat.add_comn : 2 + 2 = 5\n{} := Nat.add_comn\n", "add_comn", "add_comm", "redeclared"),
        # `sorry` by the name of an allowed axiom.
        ("{} := sorry\n", "sorryAx", "propext", "kernel"),
        # A theorem that rests on itself.
        ("axiom targez : 2 + 2 = 5\n{} := targez\n", "targez", "target", "malformed"),
    ],
)  # fmt: skip
def test_names_changed_in_the_file(
    pool: LeanPool, text: str, was: str, becomes: str, fault: str
) -> None:
    data = compiled(text.format(FALSE))
    changed = data.replace(was.encode() + b"\0", becomes.encode() + b"\0")
    assert changed != data
    found = judged(pool, FALSE, changed)
    assert found["faults"][0] == fault, found
    assert not found["sound"]


def test_bytes_that_are_no_file(pool: LeanPool) -> None:
    found = judged(pool, FALSE, b"olean, as if")
    assert found["faults"] == ["malformed"]
    assert found["sound"] is False


def test_a_reference_without_the_theorem_is_no_verdict(pool: LeanPool) -> None:
    reference = compiled("theorem other : 2 + 2 = 4 := rfl\n")
    found = pool.judge([JudgeJob(reference, reference, "target")])[0]
    assert "failed" in found
    assert "sound" not in found


def test_damaged_files_do_not_bring_the_judge_down(pool: LeanPool) -> None:
    """What decodes is rebuilt by us, so the library never sees a wrong layout."""
    statement = "theorem target : Par 4"
    reference = compiled(f"{PARITY}{statement} := sorry\n")
    wrong = compiled(f"{PARITY}axiom all (n : Nat) : Par n\n{statement} := all 4\n")
    choice = random.Random(1)
    jobs = [JudgeJob(reference, mutated(wrong, choice), "target") for _ in range(200)]
    found = pool.judge(jobs)
    assert {one["ended"] for one in found} == {"finished"}
    assert not any(one.get("sound") for one in found)
    assert {one["faults"][0] for one in found} >= {"malformed", "axiom"}


def rewired(data: bytes, choice: random.Random) -> bytes:
    """Pointers to terms lead to other terms, mostly near ones: a file that decodes, and lies."""
    reader = _Reader(data, Terms(), COMMIT)
    reader.module()
    terms, made = sorted(reader.expr_at), bytearray(data)
    known = set(terms)
    places = [at for at in range(104, len(data) - 7, 8) if _word(data, at) in known]
    for at in choice.choices(places, k=choice.choice((1, 1, 2, 3, 5))):
        before = bisect.bisect_left(terms, reader.base + at)
        near = choice.randrange(max(0, before - 60), before)
        struct.pack_into("<Q", made, at, terms[near])
    return bytes(made)


def _word(data: bytes, at: int) -> int:
    return struct.unpack_from("<Q", data, at)[0]


def test_files_that_lie_about_terms_prove_nothing(pool: LeanPool) -> None:
    reference = compiled(f"{PARITY}theorem target : Par 3 := sorry\n")
    false = compiled(
        f"{PARITY}set_option debug.skipKernelTC true\n"
        "theorem bad : 2 + 2 = 5 := by decide +kernel\n"
        "theorem target : Par 3 := absurd bad (by decide)\n"
    )
    choice = random.Random(2)
    found = pool.judge([JudgeJob(reference, rewired(false, choice), "target") for _ in range(100)])
    assert {one["ended"] for one in found} == {"finished"}
    assert not any(one.get("sound") for one in found)
