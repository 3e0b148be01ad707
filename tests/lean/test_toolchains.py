from __future__ import annotations

from pathlib import Path

import lean_serving
import pytest

from awry.errors import UserError
from awry.lean.builtin.pool import LeanPool
from awry.lean.elsewhere.kimina import Kimina
from awry.lean.elsewhere.lake import LakeProject
from awry.lean.elsewhere.repl import LeanRepl
from awry.lean.toolchains import find_toolchain

GOOD = "theorem a (p q : Prop) (hp : p) (hq : q) : p ∧ q := And.intro hp hq\n"
FALSE = "theorem a : 1 = 2 := by decide\n"


def test_each_name_opens_its_toolchain_and_all_agree(needs_lean: None, tmp_path: Path) -> None:
    tools = lean_serving.install(tmp_path / "elan")
    folder = lean_serving.project(tmp_path / "project")
    with lean_serving.on_path(tools), lean_serving.serve(tools) as url:
        kinds = {
            "builtin": LeanPool,
            f"lake:{folder}": LakeProject,
            f"repl:{folder}": LeanRepl,
            f"repl:{folder}@{tools / 'repl'}": LeanRepl,
            f"kimina:{url}": Kimina,
        }
        for name, kind in kinds.items():
            toolchain = find_toolchain(name, workers=1, wall_s=15)
            try:
                assert isinstance(toolchain, kind)
                assert toolchain.name == name.partition(":")[0]
                good, false = toolchain.elaborate([("", GOOD), ("", FALSE)])
                assert (good.ended, good.errors) == ("finished", ()), name
                assert (false.ended, len(false.errors)) == ("finished", 1), name
                assert toolchain.identity()["toolchain"] == toolchain.name
                assert toolchain.writes_oleans == (good.olean is not None)
            finally:
                toolchain.close()


@pytest.mark.parametrize(
    ("name", "fix"),
    [("bulitin", "did you mean `builtin`"), ("lake:", "lake:DIR"), ("coq:DIR", "lake:DIR")],
)
def test_unknown_names_are_told(name: str, fix: str) -> None:
    with pytest.raises(UserError, match="unknown toolchain") as caught:
        find_toolchain(name)
    assert fix in str(caught.value.fix)


def test_limits_that_are_not_given_are_the_toolchains_own(needs_lean: None, tmp_path: Path) -> None:
    tools = lean_serving.install(tmp_path / "elan")
    folder = lean_serving.project(tmp_path / "project")
    with lean_serving.on_path(tools):
        own = find_toolchain(f"lake:{folder}")
        given = find_toolchain(f"lake:{folder}", wall_s=3, memory_mb=77)
    assert own.identity()["wall_s"] == "120.0"
    assert given.identity()["wall_s"] == "3"
    assert given.identity()["memory_mb"] == "77"
