"""The own core library that Lean needs before any file: assembled, compiled on first use, cached.

The wheel has no `Init`. Ours is source in this package: the parts below in order, with the lines
that link the binary's grammar (grammar.py) between them, as one module named `Init`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import tempfile
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from awry.errors import UserError
from awry.lean.builtin import grammar, library
from awry.models import cache_folder

BEFORE_GRAMMAR = ("logic", "numbers", "syntax", "macros")
AFTER_GRAMMAR = (
    "simplifying",
    "propositions",
    "kernel",
    "nat",
    "order",
    "subtraction",
    "division",
    "data",
    "lists",
    "members",
    "recursion",
)
OLEAN = "Init.olean"
_HEAD = """prelude
set_option autoImplicit true
set_option relaxedAutoImplicit true
set_option linter.all false
set_option linter.defProp false
universe u v w u₁ u₂ u₃
"""
_COMPILE_SECONDS = 300


@lru_cache(maxsize=1)
def source() -> str:
    """The text of the module `Init`."""
    folder = files("awry.lean.builtin") / "init"
    parts = {
        name: (folder / f"{name}.lean").read_text(encoding="utf-8")
        for name in (*BEFORE_GRAMMAR, *AFTER_GRAMMAR)
    }
    pieces = [_HEAD]
    pieces += [parts[name] for name in BEFORE_GRAMMAR]
    pieces += [grammar.source()]
    pieces += [parts[name] for name in AFTER_GRAMMAR]
    return "\n".join(pieces)


@lru_cache(maxsize=1)
def digest() -> str:
    """sha256 of the source, hexadecimal: with Lean's commit, all that the core's file depends on."""
    return hashlib.sha256(source().encode()).hexdigest()


def folder() -> Path:
    """Where the compiled core is or will be."""
    return cache_folder() / "lean" / f"core-{library.find().commit[:12]}-{digest()[:16]}"


def built() -> Path:
    """The folder that holds `Init.olean` (for LEAN_PATH), compiled if this is the first use.

    Raises UserError where Lean is missing or the compilation fails.
    """
    target = folder()
    if (target / OLEAN).is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".core-") as scratch:
        made = Path(scratch) / "made"
        made.mkdir(mode=0o755)
        _compile(Path(scratch), made / OLEAN)
        (made / OLEAN).chmod(0o444)
        with contextlib.suppress(OSError):  # another process may have been first
            made.rename(target)
    if not (target / OLEAN).is_file():
        raise UserError("the compiled core could not be put into the cache", file=target)
    return target


def _compile(scratch: Path, olean: Path) -> None:
    text = scratch / "Init.lean"
    text.write_text(source(), encoding="utf-8")
    lean = library.find()
    command = lean.command("-o", str(olean), text.name)
    environment = {**library.environment(), "PATH": os.defpath}
    try:
        # Lean wants the file below the folder that it runs in
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_COMPILE_SECONDS,
            env=environment,
            cwd=scratch,
        )
    except subprocess.TimeoutExpired:
        raise UserError(
            f"the core library was not compiled within {_COMPILE_SECONDS} s", field="lean"
        ) from None
    if done.returncode or not olean.is_file():
        said = [line for line in (done.stdout + done.stderr).splitlines() if "error" in line]
        raise UserError(
            f"the core library does not compile: {(said or ['no message'])[0][:300]}",
            field="lean",
            value=f"Lean {lean.version} ({lean.commit[:12]}), status {done.returncode}",
            fix=library.INSTALL + " (the core is written for the pinned version)",
        )
