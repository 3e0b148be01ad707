from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lean_serving
import pytest
from lean_serving import Fault, Script, serve

from awry.errors import UserError
from awry.lean.checks import Theorem
from awry.lean.elsewhere.kimina import KEY, Kimina
from awry.lean.verifier import Verifier

GOOD = "theorem a (p q : Prop) (hp : p) (hq : q) : p ∧ q := And.intro hp hq\n"
WRONG = "\ntheorem a : 1 = 2 :=\n  nothing\n"
AND = Theorem("a", "theorem a (p q : Prop) (hp : p) (hq : q) : p ∧ q")
HEADER = "import Init\n\nopen Nat\n"  # a module that the core has: it is one


@pytest.fixture(scope="module")
def tools(needs_lean: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = lean_serving.install(tmp_path_factory.mktemp("tools") / "elan")
    with lean_serving.on_path(made):
        yield made


def opened(url: str, **given: Any) -> Kimina:
    return Kimina(url, **{"pause": 0.01, "wall_s": 10, "retries": 3, **given})


@pytest.mark.parametrize("route", ["/api/check", "/verify"])
def test_results_are_those_of_lean_by_either_route(tools: Path, route: str) -> None:
    script = Script(routes=(route,))
    with serve(tools, script) as url, opened(url) as kimina:
        good, wrong, sorry = kimina.elaborate(
            [("", GOOD + "#print axioms a"), ("", WRONG), ("", "theorem a : 1 = 2 := sorry")]
        )
    assert [m.text for m in good.messages] == ["'a' does not depend on any axioms"]
    assert [m.line for m in good.messages] == [2]
    assert [m.line for m in wrong.errors] == [3]
    assert [m.kind for m in sorry.messages] == ["hasSorry"]
    assert {path for path, _ in script.requests[2:]} == {route}


@pytest.mark.parametrize("counted", [True, False])
def test_lines_count_from_the_text_however_the_server_counts(tools: Path, counted: bool) -> None:
    script = Script(counted=counted)
    with serve(tools, script) as url, opened(url) as kimina:
        found = kimina.elaborate([(HEADER, "theorem a : True := True.intro\n#check nothing")] * 2)
        assert [[m.line for m in one.errors] for one in found] == [[2], [2]]
    # the header's own question was asked once
    assert len(script.requests) == 3


def test_no_text_becomes_the_environment_of_others(tools: Path) -> None:
    script = Script()
    with serve(tools, script) as url, opened(url) as kimina:
        kimina.elaborate([("", GOOD), (HEADER, GOOD)])
    reuse = {body["snippets"][0]["code"].startswith("import"): body["reuse"]
             for _, body in script.requests}  # fmt: skip
    assert reuse == {True: True, False: False}


def test_an_import_of_the_texts_own_is_an_error(tools: Path) -> None:
    with serve(tools) as url, opened(url) as kimina:
        (found,) = kimina.elaborate([(HEADER, "import Init\n" + GOOD)])
    assert found.errors


def test_a_wrong_header_is_the_users_error(tools: Path) -> None:
    wrong = pytest.raises(UserError, match="header does not elaborate")
    with serve(tools) as url, opened(url) as kimina, wrong:
        kimina.elaborate([("import Init\nopen Nowhere", GOOD)])


def test_busy_and_broken_servers_are_asked_again(tools: Path) -> None:
    faults = [Fault(429, headers=(("Retry-After", "0.01"),)), Fault(503), Fault(0)]
    script = Script(faults=faults)
    with serve(tools, script) as url, opened(url) as kimina:
        (found,) = kimina.elaborate([("", GOOD)])
        assert kimina._client.retried == 3
    assert found.ended == "finished"
    assert not found.errors


def test_time_crash_and_what_never_ends_are_told_apart(tools: Path) -> None:
    script = Script()
    with serve(tools, script) as url, opened(url, wall_s=2) as kimina:
        slow, crash, flood = kimina.elaborate(
            [("", f"-- serving: {word}\n{GOOD}") for word in ("slow 30", "crash", "flood")]
        )
    assert slow.ended == "timeout"
    assert crash.ended == "failed"
    assert crash.detail.startswith("500")
    assert flood.ended == "finished"
    assert flood.errors[-1].kind == "awry.flood"


@pytest.mark.parametrize(
    "change",
    [
        lambda result: {**result, "id": "another"},
        lambda result: {**result, "error": "both"},
        lambda result: {"id": result["id"]},
        lambda result: {"id": result["id"], "response": {"message": "broken"}},
        lambda result: {"id": result["id"], "response": {"env": 0, "messages": [{}]}},
        lambda result: {"id": result["id"], "error": "Lean REPL out of order"},
        lambda result: [],
    ],
)
def test_answers_that_are_none_are_failures_and_never_errors_of_the_text(
    tools: Path, change: Any
) -> None:
    script = Script()
    with serve(tools, script) as url, opened(url) as kimina:
        kimina.elaborate([("", GOOD)])
        asked = len(script.requests)
        script.change = change
        (found,) = kimina.elaborate([("", GOOD)])
    assert found.ended == "failed"
    assert len(script.requests) == asked + 2


def test_an_error_of_memory_is_told(tools: Path) -> None:
    script = Script()
    with serve(tools, script) as url, opened(url) as kimina:
        kimina.elaborate([("", GOOD)])
        script.change = lambda result: {
            "id": result["id"], "error": "Lean REPL process exceeded memory limit"
        }  # fmt: skip
        (found,) = kimina.elaborate([("", GOOD)])
    assert found.ended == "memory"


def test_garbage_is_asked_again(tools: Path) -> None:
    script = Script(faults=[Fault(200, "<html>"), Fault(200, "[1]")])
    with serve(tools, script) as url, opened(url) as kimina:
        (found,) = kimina.elaborate([("", GOOD)])
    assert found.ended == "finished"


def test_the_key_is_sent_and_a_wrong_one_is_told(
    tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(tools, Script(key="secret")) as url, opened(url) as kimina:
        monkeypatch.delenv(KEY, raising=False)
        with pytest.raises(UserError, match="refused the key") as caught:
            kimina.elaborate([("", GOOD)])
        assert KEY in str(caught.value.fix)
        monkeypatch.setenv(KEY, "secret")
        (found,) = kimina.elaborate([("", GOOD)])
    assert found.ended == "finished"


def test_addresses_that_lead_nowhere(tools: Path) -> None:
    with pytest.raises(UserError, match="not the address"):
        Kimina("127.0.0.1:8000")
    nothing = pytest.raises(UserError, match="nothing answers")
    with Kimina("http://127.0.0.1:9", pause=0.01) as kimina, nothing:
        kimina.elaborate([("", GOOD)])
    neither = pytest.raises(UserError, match="neither")
    with serve(tools, Script(routes=())) as url, opened(url) as kimina, neither:
        kimina.elaborate([("", GOOD)])


def test_requests_go_out_together_but_not_all_at_once(tools: Path) -> None:
    script = Script()
    with serve(tools, script) as url, opened(url, workers=3) as kimina:
        found = kimina.elaborate(
            [("", f"theorem a{n} : True := True.intro\n#check a{n}") for n in range(8)]
        )
    assert [one.messages[0].text for one in found] == [f"a{n} : True" for n in range(8)]
    assert script.most_at_once == 3


def test_grades_end_at_text(tools: Path) -> None:
    with serve(tools) as url, opened(url) as kimina:
        verifier = Verifier(kimina)
        right, sorry = verifier.check(
            [(AND, GOOD), (AND, GOOD.replace("And.intro hp hq", "sorry"))]
        )
        assert verifier.identity()["toolchain"] == "kimina"
    assert (right.naive, right.text, right.sound) == (True, True, None)
    assert (sorry.naive, sorry.text) == (True, False)


def test_any_text_can_be_sent(tools: Path) -> None:
    with serve(tools) as url, opened(url) as kimina:
        good, broken = kimina.elaborate(
            [("", "theorem a (𝕜 : Prop) (h : 𝕜) : 𝕜 := h\n#check a"), ("", "-- \ud800\n" + GOOD)]
        )
    assert [m.text for m in good.messages] == ["a (𝕜 : Prop) (h : 𝕜) : 𝕜"]
    assert (broken.ended, broken.errors) == ("finished", ())
