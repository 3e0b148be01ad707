from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from awry.errors import UserError
from awry.lean.builtin import core, library
from awry.lean.builtin.limits import LeanLimits
from awry.lean.builtin.pool import JudgeJob, LeanPool, read_messages
from awry.lean.checks import Elaboration
from awry.sandbox import isolation
from awry.sandbox.program import SandboxError
from awry.sandbox.python import IsolationWarning

GOOD = "theorem a (p q : Prop) (hp : p) (hq : q) : p ∧ q := And.intro hp hq\n#print axioms a\n"
WRONG = "theorem a (p q : Prop) (hp : p) : p ∧ q := hp\n"
SORRY = "theorem a (p q : Prop) (hp : p) (hq : q) : p ∧ q := sorry\n"
# Doubles a closure sixty times: without end for all that anybody will wait for.
SPIN = (
    "theorem a : Nat.rec (motive := fun _ => Nat → Nat) (fun a => a) (fun _ f a => f (f a)) 60 3 "
    "= 3 := by decide +kernel\n"
)
BLOW_UP = "theorem a : Nat.log2 (Nat.shiftLeft 1 4000000000) = 5 := by decide +kernel\n"


def native(declared: str, call: str) -> str:
    """A text that calls what Lean's library has compiled, while it is elaborated."""
    return (
        f'@[extern "any"] opaque {declared}\n'
        'syntax "native" : term\n'
        "macro_rules\n"
        f"  | `(native) => if Nat.beq ({call}) 7 then `(True) else `(False)\n"
        "#check (native : Prop)\n"
    )


EXIT = native(
    "IO.Process.exit {α : Type} (code : Nat) (world : Nat) : Nat", "@IO.Process.exit Nat 3 0"
)
SLEEP = native("IO.sleep (ms : Nat) (world : Nat) : Nat", "IO.sleep 100000 0")
# A number where a structure of closures should be.
CRASH = native("IO.FS.Stream.lines (stream : Nat) (world : Nat) : Nat", "IO.FS.Stream.lines 3 0")


def one(pool: LeanPool, text: str, header: str = "") -> Elaboration:
    (found,) = pool.elaborate([(header, text)])
    return found


@pytest.fixture(scope="module")
def tight(needs_lean: None) -> Iterator[LeanPool]:
    limits = LeanLimits(wall_s=4.0, cpu_s=2.0, memory_mb=300, message_bytes=4000)
    with LeanPool(workers=1, limits=limits) as opened:
        yield opened


def test_a_proof_is_accepted_and_its_file_comes_out(lean_pool: LeanPool) -> None:
    found = one(lean_pool, GOOD)
    assert (found.ended, found.exit_code, found.errors) == ("finished", 0, ())
    assert found.messages[-1].text == "'a' does not depend on any axioms"
    assert found.messages[-1].line == 2
    assert found.olean is not None
    assert found.olean.startswith(b"olean")
    assert found.isolation == lean_pool.isolation
    assert 0 < found.seconds < 20
    assert 40 < found.peak_mb < 400


def test_a_wrong_proof_is_an_error_without_a_file(lean_pool: LeanPool) -> None:
    found = one(lean_pool, WRONG)
    assert (found.ended, found.exit_code, found.olean) == ("finished", 1, None)
    assert [(m.severity, m.line) for m in found.errors] == [("error", 1)]


def test_a_sorry_is_a_warning_of_its_kind(lean_pool: LeanPool) -> None:
    found = one(lean_pool, SORRY)
    assert [(m.severity, m.kind) for m in found.messages] == [("warning", "hasSorry")]
    assert found.olean is not None


SAME = (
    GOOD,
    WRONG,
    SORRY,
    "",
    "-- nothing",
    "theorem t : ∀ n : Nat, n + 0 = n := by\n  intro n\n  simp\n#print t",
    "inductive Tree where\n  | leaf\n  | node (left right : Tree)\n"
    "def size : Tree → Nat\n  | .leaf => 1\n  | .node l r => size l + size r\n"
    "theorem t : size (.node .leaf .leaf) = 2 := by decide\n",
    "#exit\ntheorem t : 1 = 2 := rfl",
    # other imports than those that the servers have at hand
    "import Init\ntheorem t : 1 = 1 := rfl",
    "-- first\nimport Init",
    "prelude\naxiom False.elim' : Nat",
    "prelude\ntheorem t : True := sorry",
    "module\ntheorem t : 1 = 1 := rfl",
)


@pytest.mark.parametrize("text", SAME)
def test_a_check_finds_what_a_cold_process_finds(
    lean_pool: LeanPool, text: str, tmp_path: Path
) -> None:
    """Bytes of the file and all."""
    command = library.find().command("--stdin", "--json", "-j", "1", "-o", "out.olean")
    cold = subprocess.run(
        command,
        input=text.encode(),
        capture_output=True,
        env=library.environment(core.built()),
        cwd=tmp_path,
        timeout=60,
    )
    written = tmp_path / "out.olean"
    found = one(lean_pool, text)
    assert found.exit_code == cold.returncode
    assert found.messages == read_messages(cold.stdout)
    assert found.olean == (written.read_bytes() if written.exists() else None)


def test_many_come_back_in_order(lean_pool: LeanPool) -> None:
    texts = [("", f"theorem t{n} : {n} = {n + n % 2} := rfl") for n in range(24)]
    found = lean_pool.elaborate(texts)
    assert [bool(each.errors) for each in found] == [n % 2 == 1 for n in range(24)]
    assert lean_pool.elaborate([]) == []


def test_a_long_text_arrives_whole(lean_pool: LeanPool) -> None:
    found = one(lean_pool, "-- ∀ " + "x" * 300_000 + "\n" + WRONG)
    assert [m.line for m in found.errors] == [2]


def test_lines_are_counted_after_the_header(lean_pool: LeanPool) -> None:
    found = one(lean_pool, WRONG, header="-- one\n-- two")
    assert [m.line for m in found.errors] == [1]


def test_a_text_may_be_hard_to_encode(lean_pool: LeanPool) -> None:
    assert one(lean_pool, "theorem a\ud800 : True := trivial").ended == "finished"


def test_nothing_of_one_check_is_left_to_the_next(lean_pool: LeanPool) -> None:
    texts = [("", "axiom here : False\ntheorem t : 1 = 2 := here.elim"), ("", "#check here")] * 4
    found = lean_pool.elaborate(texts)
    assert [bool(each.errors) for each in found] == [False, True] * 4


def test_a_text_that_ends_the_process_has_made_no_file(tight: LeanPool) -> None:
    found = one(tight, EXIT)
    assert (found.ended, found.exit_code, found.olean) == ("finished", 3, None)
    quiet = one(tight, EXIT.replace("Nat 3 0", "Nat 0 0"))
    assert (quiet.ended, quiet.exit_code, quiet.olean) == ("finished", 0, None)
    assert quiet.errors == ()


def test_time_runs_out_on_the_clock_and_on_the_processor(tight: LeanPool) -> None:
    begun = time.monotonic()
    asleep, busy = tight.elaborate([("", SLEEP), ("", SPIN)])
    assert asleep.ended == "timeout"
    assert "longer than 4" in asleep.detail
    assert busy.ended in ("timeout", "memory")
    assert time.monotonic() - begun < 15


def test_memory_runs_out(tight: LeanPool) -> None:
    found = one(tight, BLOW_UP)
    assert found.ended == "memory"
    assert 250 < found.peak_mb < 600
    assert found.olean is None


def test_a_crash_is_no_verdict(tight: LeanPool) -> None:
    found = one(tight, CRASH)
    assert (found.ended, found.exit_code, found.olean) == ("crashed", None, None)
    assert found.detail.startswith("Segmentation fault")
    assert one(tight, GOOD).exit_code == 0


def test_a_flood_of_messages_is_cut_and_counts_as_an_error(tight: LeanPool) -> None:
    found = one(tight, GOOD + "#print axioms a\n" * 60)
    assert found.ended == "finished"
    assert found.exit_code is None
    assert found.olean is None
    assert [m.kind for m in found.errors] == ["awry.flood"]
    assert 2 < len(found.messages) < 40


def test_a_lost_server_is_replaced_and_its_checks_run_again(needs_lean: None) -> None:
    with LeanPool(workers=1) as pool:
        before = pool._elaborating.servers[0]
        os.kill(before.process.pid, signal.SIGKILL)
        found = pool.elaborate([("", GOOD), ("", WRONG)])
        assert [each.exit_code for each in found] == [0, 1]
        assert pool._elaborating.servers[0] is not before


def test_the_judge_reads_what_was_written(lean_pool: LeanPool) -> None:
    reference, good, sorry = lean_pool.elaborate([("", SORRY), ("", GOOD), ("", SORRY)])
    assert reference.olean
    assert good.olean
    assert sorry.olean
    found = lean_pool.judge(
        [
            JudgeJob(reference.olean, good.olean, "a"),
            JudgeJob(reference.olean, sorry.olean, "a"),
            JudgeJob(reference.olean, b"no such file", "a"),
        ]
    )
    assert [each["ended"] for each in found] == ["finished"] * 3
    assert [each["sound"] for each in found] == [True, False, False]
    assert [each["faults"] for each in found] == [[], ["sorry"], ["malformed"]]


def test_a_closed_pool_says_so(needs_lean: None) -> None:
    pool = LeanPool(workers=1)
    process, base = pool._elaborating.servers[0].process, pool._elaborating.servers[0].base
    pool.close()
    assert process.poll() is not None
    assert not Path(base).exists()
    with pytest.raises(SandboxError, match="closed"):
        pool.elaborate([("", GOOD)])


def test_what_can_change_a_verdict_is_named(lean_pool: LeanPool) -> None:
    known = lean_pool.identity()
    assert known["lean"].startswith("4.")
    assert len(known["commit"]) == 40
    assert "memory_mb 1024" in known["limits"]
    assert known["isolation"] == lean_pool.isolation


@pytest.mark.parametrize(
    ("options", "field"),
    [({"workers": 0}, "workers"), ({"isolation": "strong"}, "isolation"), ({"wall_s": -1.0}, "wall_s")],
)  # fmt: skip
def test_options_that_cannot_work_are_refused(options: dict[str, object], field: str) -> None:
    with pytest.raises(UserError) as caught:
        LeanPool(**options)  # type: ignore[arg-type]
    assert caught.value.field == field


def test_require_refuses_and_auto_warns_where_a_layer_is_missing(
    needs_lean: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolation, "REQUIRED", (*isolation.REQUIRED, "moat"))
    with pytest.raises(UserError, match="no moat"):
        LeanPool(workers=1, isolation="require")
    with pytest.warns(IsolationWarning, match="missing"):
        LeanPool(workers=1).close()


def test_malformed_messages_are_passed_over() -> None:
    lines = [
        b'{"severity": "error", "data": "first", "pos": {"line": 3, "column": 1}, "kind": "k"}',
        b'{"severity": "loud", "data": "no"}',
        b'{"severity": "error", "data": 3}',
        b'{"severity": ["error"], "data": "no"}',
        b"[" * 100_000,
        b'{"severity": ' + b"[" * 100_000,
        b'{"severity": "error", "data": "cut',
        b"\xff\xfe",
        b'{"severity": "warning", "data": "last", "pos": 5, "kind": "[anonymous]"}',
    ]
    first, last = read_messages(b"\n".join(lines), header_lines=2)
    assert (first.text, first.line, first.column, first.kind) == ("first", 1, 1, "k")
    assert (last.severity, last.line, last.kind) == ("warning", 0, "")


def test_more_messages_than_anybody_reads_end_with_an_error() -> None:
    found = read_messages(b'{"severity": "information", "data": "again"}\n' * 6000)
    assert len(found) == 5001
    assert found[-1].kind == "awry.flood"
