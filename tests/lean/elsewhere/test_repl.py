from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import lean_serving
import psutil
import pytest

from awry.errors import UserError
from awry.lean.checks import Theorem
from awry.lean.elsewhere.repl import LeanRepl, ReplFailed, read_reply
from awry.lean.verifier import Verifier

GOOD = "theorem a (p q : Prop) (hp : p) (hq : q) : p ∧ q := And.intro hp hq\n"
WRONG = "\ntheorem a : 1 = 2 :=\n  nothing\n"
HEADER = "theorem known : True := True.intro\nopen Nat\n"
AND = Theorem("a", "theorem a (p q : Prop) (hp : p) (hq : q) : p ∧ q")


@pytest.fixture(scope="module")
def folder(needs_lean: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = lean_serving.install(tmp_path_factory.mktemp("tools") / "elan")
    with lean_serving.on_path(made):
        yield lean_serving.project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def repl(folder: Path) -> Iterator[LeanRepl]:
    with LeanRepl(folder, workers=1, wall_s=20) as opened:
        yield opened


def pid(repl: LeanRepl) -> int | None:
    running = repl._slots[0]._running
    return running.process.pid if running else None


def marked(words: str) -> str:
    return f"-- serving: {words}\n{GOOD}"


def test_results_are_those_of_lean(repl: LeanRepl) -> None:
    good, wrong, sorry = repl.elaborate(
        [("", GOOD + "#print axioms a"), ("", WRONG), ("", "theorem a : 1 = 2 := sorry")]
    )
    assert good.ended == "finished"
    assert [m.text for m in good.messages] == ["'a' does not depend on any axioms"]
    assert [m.line for m in good.messages] == [2]
    assert [m.line for m in wrong.errors] == [3]
    assert [(m.severity, m.kind) for m in sorry.messages] == [("warning", "hasSorry")]
    assert good.olean is None


def test_a_silenced_sorry_is_still_seen(repl: LeanRepl) -> None:
    (found,) = repl.elaborate([("", "set_option warn.sorry false\ntheorem a : 1 = 2 := sorry")])
    assert [(m.severity, m.kind) for m in found.messages] == [("warning", "hasSorry")]


def test_the_header_is_loaded_once_and_its_lines_are_not_counted(folder: Path) -> None:
    with LeanRepl(folder, workers=1, wall_s=20) as repl:
        text = "theorem a : True := known\n#check nothing"
        found = repl.elaborate([(HEADER, text)] * 3)
        process, slot = pid(repl), repl._slots[0]
        assert [[m.line for m in one.errors] for one in found] == [[2]] * 3
        assert list(slot.headers.values()) == [0]
        repl.elaborate([("", GOOD), (HEADER, text), ("", GOOD)])
        assert pid(repl) == process
        assert sorted(slot.headers) == ["", HEADER]


def test_texts_do_not_see_each_other_and_cannot_choose_the_imports(repl: LeanRepl) -> None:
    own = "prelude\ninductive Bit | on | off\ntheorem a : Bit → Bit := fun b => b\n"
    first, second, imports = repl.elaborate(
        [("", "axiom mine : 1 = 2"), ("", "theorem a : 1 = 2 := mine"), ("", own)]
    )
    assert not first.errors
    assert second.errors
    assert imports.errors


def test_a_wrong_header_is_the_users_error(repl: LeanRepl) -> None:
    with pytest.raises(UserError, match="header does not elaborate"):
        repl.elaborate([("import Nowhere", GOOD)])
    (found,) = repl.elaborate([("", GOOD)])
    assert found.ended == "finished"


def test_slow_texts_end_and_the_process_is_replaced(folder: Path) -> None:
    with LeanRepl(folder, workers=1, wall_s=2) as repl:
        repl.elaborate([("", GOOD)])
        process = pid(repl)
        slow, after = repl.elaborate([("", marked("slow 30")), ("", GOOD)])
        assert slow.ended == "timeout"
        assert slow.seconds < 6
        assert after.ended == "finished"
        assert pid(repl) != process
        assert process
        assert not psutil.pid_exists(process)


@pytest.mark.parametrize("words", ["crash", "exit", "garbage", "number", "forge", "forge-and-end"])
def test_what_is_no_single_right_reply_is_never_accepted(repl: LeanRepl, words: str) -> None:
    bad, after = repl.elaborate([("", marked(words)), ("", GOOD)])
    assert bad.ended == "crashed"
    assert bad.messages == ()
    assert bad.detail
    assert after.ended == "finished"
    assert not after.errors


def test_floods_are_cut(repl: LeanRepl) -> None:
    flood, after = repl.elaborate([("", marked("flood")), ("", GOOD)])
    assert flood.errors[-1].kind == "awry.flood"
    assert after.ended == "finished"
    assert not after.errors


def test_memory_is_watched(folder: Path) -> None:
    with LeanRepl(folder, workers=1, wall_s=20, memory_mb=300) as repl:
        large, after = repl.elaborate([("", marked("eat 400")), ("", GOOD)])
    assert large.ended == "memory"
    assert large.peak_mb > 300
    assert after.ended == "finished"


def test_a_process_that_another_text_broke_is_asked_again_in_a_fresh_one(repl: LeanRepl) -> None:
    poison, honest, last = repl.elaborate([("", marked("poison")), ("", GOOD), ("", GOOD)])
    assert poison.ended == "crashed"  # the question after it finds the process broken
    assert honest.ended == last.ended == "finished"


def test_processes_are_replaced_after_so_many_texts(folder: Path) -> None:
    with LeanRepl(folder, workers=1, wall_s=20, uses=2) as repl:
        seen = []
        for _ in range(4):
            repl.elaborate([("", GOOD)])
            seen.append(pid(repl))
    assert seen[0] == seen[1] != seen[2] == seen[3]
    assert not any(psutil.pid_exists(process) for process in seen if process)


def test_order_is_kept_over_workers(folder: Path) -> None:
    with LeanRepl(folder, workers=2, wall_s=20) as repl:
        texts = [("", f"theorem a{n} : True := True.intro\n#check a{n}") for n in range(6)]
        found = repl.elaborate(texts)
    assert [one.messages[0].text for one in found] == [f"a{n} : True" for n in range(6)]


def test_grades_end_at_text(repl: LeanRepl) -> None:
    lie = "axiom cheat : 1 = 2\ntheorem t : 1 = 2 := cheat"
    false = Theorem("t", "theorem t : 1 = 2")
    right, wrong, forged = Verifier(repl).check([(AND, GOOD), (false, lie), (AND, marked("forge"))])
    assert (right.naive, right.text, right.sound) == (True, True, None)
    assert (wrong.naive, wrong.text, wrong.sound) == (True, False, None)
    assert not forged.naive


def test_a_missing_program_is_the_users_error(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no REPL"):
        LeanRepl(folder, tmp_path / "repl")


def test_a_reply_without_its_number_is_none(repl: LeanRepl) -> None:
    (found,) = repl.elaborate([("", marked("unnumbered"))])
    assert found.ended == "crashed"


@pytest.mark.parametrize(
    "reply",
    [
        [],
        {"message": "Unknown environment."},
        {"env": 1, "messages": {}},
        {"env": 1, "messages": [{"severity": "error"}]},
        {"env": 1, "messages": [{"severity": "fine", "data": "x"}]},
        {"env": 1, "sorries": 3},
    ],
)
def test_replies_of_another_form_are_failures(reply: object) -> None:
    with pytest.raises(ReplFailed):
        read_reply(reply)


def test_a_reply_is_read() -> None:
    place = {"line": 2, "column": 7}
    reply = {
        "env": 3,
        "messages": [
            {"severity": "info", "pos": place, "data": "x"},
            {"severity": "warning", "pos": place, "data": "declaration uses 'sorry'"},
        ],
        "sorries": [{"pos": place, "endPos": place, "goal": "⊢ False"}],
    }
    found = read_reply(reply)
    assert [(m.severity, m.kind, m.line, m.column) for m in found] == [
        ("information", "", 2, 7),
        ("warning", "hasSorry", 2, 7),
    ]


def test_any_text_can_be_sent(repl: LeanRepl) -> None:
    good, broken = repl.elaborate(
        [("", "theorem a (𝕜 : Prop) (h : 𝕜) : 𝕜 := h -- 😀\n#check a"), ("", "-- \ud800\n" + GOOD)]
    )
    assert [m.text for m in good.messages] == ["a (𝕜 : Prop) (h : 𝕜) : 𝕜"]
    assert (broken.ended, broken.errors) == ("finished", ())
