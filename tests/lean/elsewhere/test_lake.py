from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import lean_serving
import pytest

from awry.errors import UserError
from awry.lean.builtin import core, library
from awry.lean.checks import Theorem
from awry.lean.elsewhere import lake as lakes
from awry.lean.elsewhere.lake import LakeProject
from awry.lean.elsewhere.outside import Running, confinement, open_project, read_version
from awry.lean.verifier import Verifier

GOOD = "theorem a (p q : Prop) (hp : p) (hq : q) : p ∧ q := And.intro hp hq\n"
AND = Theorem("a", "theorem a (p q : Prop) (hp : p) (hq : q) : p ∧ q")


@pytest.fixture(scope="module")
def tools(needs_lean: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = lean_serving.install(tmp_path_factory.mktemp("tools") / "elan")
    with lean_serving.on_path(made):
        yield made


@pytest.fixture(scope="module")
def lake(tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LakeProject]:
    folder = lean_serving.project(tmp_path_factory.mktemp("project"))
    with LakeProject(folder, workers=2, wall_s=20) as opened:
        yield opened


def test_results_are_those_of_the_built_in_lean(lake: LakeProject) -> None:
    good, wrong = lake.elaborate([("", GOOD), ("", "\ntheorem a : 1 = 2 :=\n  nothing\n")])
    assert (good.ended, good.exit_code, good.messages) == ("finished", 0, ())
    assert good.olean
    assert good.olean.startswith(b"olean")
    assert wrong.ended == "finished"
    assert wrong.olean is None
    assert [m.line for m in wrong.errors] == [3]
    assert "rlimits" in good.isolation
    assert good.seconds > 0


def test_lines_count_from_the_text(lake: LakeProject) -> None:
    header = "theorem known : True := True.intro\n\n"
    (found,) = lake.elaborate([(header, "theorem a : True := known\n#check b")])
    assert [(m.line, m.column) for m in found.errors] == [(2, 7)]


def test_a_header_that_is_wrong_is_the_users_error(lake: LakeProject) -> None:
    with pytest.raises(UserError, match="header does not elaborate") as caught:
        lake.elaborate([("import Nowhere", GOOD)])
    assert "Nowhere" in str(caught.value.value)


def test_an_import_of_the_texts_own_is_the_texts_error(lake: LakeProject) -> None:
    header = "theorem known : True := True.intro"
    (found,) = lake.elaborate([(header, "import Nowhere\n" + GOOD)])
    assert found.ended == "finished"
    assert found.errors
    (found,) = lake.elaborate([("", "import Nowhere\n" + GOOD)])
    assert found.errors


def test_time_and_memory_are_told_apart_from_errors(tools: Path, tmp_path: Path) -> None:
    spin = (
        "theorem a : Nat.rec (motive := fun _ => Nat → Nat) (fun a => a) (fun _ f a => f (f a)) "
        "60 3 = 3 := by decide +kernel\n"
    )
    folder = lean_serving.project(tmp_path)
    with LakeProject(folder, workers=1, wall_s=1.5) as lake:
        (slow,) = lake.elaborate([("", spin)])
    assert slow.ended == "timeout"
    with LakeProject(folder, workers=1, wall_s=20, cpu_s=1) as lake:
        (slow,) = lake.elaborate([("", spin)])
    assert slow.ended == "timeout"
    with LakeProject(folder, workers=1, wall_s=20, memory_mb=5) as lake:
        (large,) = lake.elaborate([("", spin)])
    assert large.ended == "memory"
    assert large.peak_mb > 5


def test_a_flood_is_cut(lake: LakeProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lakes, "MOST_OUTPUT", 10_000)
    (found,) = lake.elaborate([("", GOOD + "#print Nat.rec\n" * 200)])
    assert found.ended == "finished"
    assert found.errors[-1].kind == "awry.flood"
    assert found.olean is None


def test_the_sound_grade_is_had_where_the_core_is_the_judges(lake: LakeProject) -> None:
    assert lake.writes_oleans, lake.why_not_sound
    verifier = Verifier(lake)
    trick = 'local infix:50 (priority := 2000) " = " => fun _ _ => True\n'
    false = Theorem("t", "theorem t : 2 + 2 = 5")
    right, wrong = verifier.check(
        [(AND, GOOD), (false, trick + "theorem t : 2 + 2 = 5 := trivial")]
    )
    assert right.outcome == "proved"
    assert right.sound
    assert wrong.naive
    assert wrong.text
    assert wrong.sound is False
    assert wrong.faults[0] == "notation"


def test_elsewhere_the_sound_grade_says_why_not(tools: Path, tmp_path: Path) -> None:
    folder = lean_serving.project(tmp_path / "project")
    other = tmp_path / "other"
    other.mkdir()
    # the same core with another digest: one byte of what no one reads
    (other / "Init.olean").write_bytes((core.built() / "Init.olean").read_bytes() + b"\0")
    (folder / "first").write_text(str(other))
    with LakeProject(folder, workers=1) as lake:
        assert not lake.writes_oleans
        assert "core" in lake.why_not_sound
        (checked,) = Verifier(lake).check([(AND, GOOD)])
    assert checked.sound is None
    assert checked.text
    assert "core" in checked.evidence


def test_identity_names_what_can_change_a_verdict(lake: LakeProject, tmp_path: Path) -> None:
    said = lake.identity()
    assert said["lean"] == library.find().version
    assert said["githash"] == library.find().commit
    assert said["manifest"] == "none"
    manifest = lake.project.folder / "lake-manifest.json"
    manifest.write_text("{}")
    try:
        assert len(lake.identity()["manifest"]) == 64
    finally:
        manifest.unlink()


def test_no_project_no_lake_and_a_broken_lake(
    tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="no such folder"):
        open_project(tmp_path / "missing")
    with pytest.raises(UserError, match="no Lake project"):
        open_project(tmp_path)
    folder = lean_serving.project(tmp_path / "project")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "lake").write_text("#!/bin/sh\necho 'error: no default toolchain' >&2\nexit 1\n")
    (broken / "lake").chmod(0o755)
    monkeypatch.setenv("PATH", f"{broken}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(UserError, match="failed with status 1") as caught:
        open_project(folder)
    assert "no default toolchain" in str(caught.value.value)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="not on the PATH") as caught:
        open_project(folder)
    assert "elan" in str(caught.value.fix)


def test_versions_are_read() -> None:
    said = "Lean (version 4.35.0, x86_64-unknown-linux-gnu, commit eb6cafb7290e, Release)"
    assert read_version(said) == ("4.35.0", "eb6cafb7290e")
    assert read_version("nothing") == ("unknown", "unknown")


def _shell(command: str, cpu_s: float = 5.0) -> tuple[str, int, Path]:
    running = Running(["/bin/sh", "-c", command], {"PATH": "/usr/bin:/bin"}, Path("/"), cpu_s)
    try:
        came = running.exchange(
            b"", lambda out: False, wall_s=10, memory_mb=500, most=10_000, close=True
        )
        assert came == "ended"
        return running.output.decode(), running.exit_code(), running.folder
    finally:
        running.close()


def test_programs_are_confined(tmp_path: Path) -> None:
    layers = confinement()[1].split("+")
    if "landlock" not in layers:
        pytest.skip("this kernel has no Landlock")
    target = tmp_path / "written"
    said, code, box = _shell(f"echo x > {target}; cd $TMPDIR && echo y > own && cat own; exit 7")
    assert not target.exists()
    assert said == "y\n"
    assert code == 7
    assert not box.exists()


def test_programs_have_no_network_and_leave_nothing(tmp_path: Path) -> None:
    if "netns" not in confinement()[1]:
        pytest.skip("this machine gives no namespaces")
    said, code, _ = _shell("tail -n +3 /proc/net/dev | grep -v lo: | wc -l; kill -9 $$")
    assert said.strip() == "0"
    assert code == 137
    mark = f"awry-{os.getpid()}"
    _shell(f"(exec sleep 98765.{os.getpid()}) & echo {mark}")
    running = [
        path for path in Path("/proc").glob("[0-9]*/cmdline")
        if f"98765.{os.getpid()}".encode() in _bytes(path)
    ]  # fmt: skip
    assert running == []


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_any_text_can_be_sent(lake: LakeProject) -> None:
    good, broken = lake.elaborate(
        [("", "theorem a (𝕜 : Prop) (h : 𝕜) : 𝕜 := h -- 😀\n#check a"), ("", "-- \ud800\n" + GOOD)]
    )
    assert [m.text for m in good.messages] == ["a (𝕜 : Prop) (h : 𝕜) : 𝕜"]
    assert (broken.ended, broken.errors) == ("finished", ())
