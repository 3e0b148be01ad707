"""Toolchains by name: where Lean texts are elaborated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from awry.errors import UserError, spelling_fix
from awry.lean.checks import Toolchain

BUILTIN = "builtin"
FORMS = (BUILTIN, "lake:DIR", "repl:DIR", "kimina:URL")


def find_toolchain(
    name: str = BUILTIN,
    *,
    workers: int | None = None,
    wall_s: float | None = None,
    cpu_s: float | None = None,
    memory_mb: int | None = None,
    isolation: str | None = None,
) -> Toolchain:
    """An open toolchain; close it after use. None leaves the toolchain's own setting.

    "builtin": the Lean of the extra [lean] with our own core. "lake:DIR": a Lake project.
    "repl:DIR" or "repl:DIR@PROGRAM": the community REPL in a Lake project. "kimina:URL": a Kimina
    Lean server, which keeps to limits of its own beside the time. Raises UserError.
    """
    kind, separator, place = name.partition(":")
    given: dict[str, Any] = {"workers": workers, "wall_s": wall_s}
    if name == BUILTIN:
        from awry.lean.builtin.pool import LeanPool

        given |= {"cpu_s": cpu_s, "memory_mb": memory_mb, "isolation": isolation}
        return _open(LeanPool, given)
    if separator and place and kind == "lake":
        from awry.lean.elsewhere.lake import LakeProject

        given |= {"cpu_s": cpu_s, "memory_mb": memory_mb}
        return _open(lambda **given: LakeProject(Path(place).expanduser(), **given), given)
    if separator and place and kind == "repl":
        from awry.lean.elsewhere.repl import LeanRepl

        folder, _, program = place.partition("@")
        own = Path(program).expanduser() if program else None
        given |= {"memory_mb": memory_mb}
        return _open(lambda **given: LeanRepl(Path(folder).expanduser(), own, **given), given)
    if separator and place and kind == "kimina":
        from awry.lean.elsewhere.kimina import Kimina

        return _open(lambda **given: Kimina(place, **given), given)
    fix = spelling_fix(name, FORMS) if not separator else "use one of " + ", ".join(FORMS)
    raise UserError("unknown toolchain", field="toolchain", value=name, fix=fix)


def _open(make: Callable[..., Toolchain], given: dict[str, Any]) -> Toolchain:
    return make(**{name: value for name, value in given.items() if value is not None})
