"""Programs of a user's own Lean installation: found through `lake env`, run with limits.

What they print was written by a process in which the submission's own code can run, so it is worth
as much as the naive and the text grade are.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import psutil

from awry.errors import UserError
from awry.sandbox.confinement import remove_content

Came = Literal["done", "ended", "timeout", "memory", "flood"]

INSTALL = "install elan (https://github.com/leanprover/elan), or use the toolchain `builtin`"
_LAUNCHER = Path(__file__).with_name("launcher.py")
_LEVELS = ("namespaces", "landlock")  # of the launcher; the second adds what there is of Landlock
_TICK_S = 0.05  # between two looks at the memory
_FILE_MB = 256
_KEPT = ("HOME", "LANG", "LD_LIBRARY_PATH", "PATH")
_KEPT_PREFIXES = ("ELAN", "LAKE", "LEAN")
_VERSION = re.compile(r"version ([^\s,]+).*?commit ([0-9a-f]{7,40})", re.DOTALL)


@dataclass(frozen=True)
class Project:
    """A Lake project as `lake env` describes it. environment: what its programs are run with."""

    folder: Path
    environment: Mapping[str, str]
    lean: Path
    version: str
    githash: str

    def search_path(self) -> tuple[Path, ...]:
        """Folders of compiled modules; the toolchain's own comes last, as in Lean."""
        own = self.environment.get("LEAN_PATH", "")
        sysroot = self.environment.get("LEAN_SYSROOT", "")
        folders = [self.folder / part for part in own.split(os.pathsep) if part]
        return (*folders, Path(sysroot) / "lib" / "lean") if sysroot else tuple(folders)


def open_project(folder: Path, field: str = "toolchain") -> Project:
    """Ask lake for a project's environment, and its lean for the version. Raises UserError."""
    if not folder.is_dir():
        raise UserError("there is no such folder", field=field, value=str(folder))
    if not any((folder / name).is_file() for name in ("lakefile.toml", "lakefile.lean")):
        raise UserError(
            "this folder is no Lake project",
            field=field,
            value=str(folder),
            fix="name the folder that holds lakefile.toml or lakefile.lean",
        )
    lake = shutil.which("lake")
    if lake is None:
        raise UserError("lake is not on the PATH", field=field, fix=INSTALL)
    show = "import json, os; print(json.dumps(dict(os.environ)))"
    command = [lake, "env", sys.executable, "-I", "-S", "-c", show]
    said = call(command, cwd=folder, timeout=300, what="`lake env`", field=field)
    try:
        found = json.loads(said.strip().splitlines()[-1])
    except (ValueError, IndexError) as error:
        raise UserError("`lake env` did not run a program", field=field, value=said) from error
    environment = {
        name: value
        for name, value in found.items()
        if name in _KEPT or name.startswith(_KEPT_PREFIXES)
    }
    lean = _program("lean", environment, "LEAN")
    if lean is None:
        raise UserError("the project has no lean", field=field, value=str(folder), fix=INSTALL)
    text = call([str(lean), "--version"], cwd=folder, env=environment, what=str(lean), field=field)
    version, githash = read_version(text)
    return Project(folder.resolve(), environment, lean, version, githash)


def _program(name: str, environment: Mapping[str, str], variable: str) -> Path | None:
    """lean itself rather than elan's stand-in for it, which would look for its version each time."""
    sysroot = environment.get("LEAN_SYSROOT", "")
    for place in (Path(sysroot) / "bin" / name if sysroot else None, environment.get(variable)):
        if place and os.access(place, os.X_OK) and Path(place).is_file():
            return Path(place)
    found = shutil.which(name, path=environment.get("PATH"))
    return Path(found) if found else None


def read_version(text: str) -> tuple[str, str]:
    """(version, commit) of what `lean --version` says; "unknown" for what it does not say."""
    found = _VERSION.search(text)
    return (found[1], found[2]) if found else ("unknown", "unknown")


def call(
    command: Sequence[str],
    *,
    what: str,
    field: str,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 60.0,
) -> str:
    """Standard output of a program of the user's (no submission is near). Raises UserError."""
    try:
        done = subprocess.run(
            list(command),
            cwd=cwd,
            env=None if env is None else dict(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"{what} did not run: {error}", field=field) from error
    out, err = (part.decode(errors="replace") for part in (done.stdout, done.stderr))
    if done.returncode:
        tail = " ".join((err.strip() or out.strip())[-300:].split())
        raise UserError(f"{what} failed with status {done.returncode}", field=field, value=tail)
    return out


@cache
def confinement() -> tuple[str, str]:
    """(the launcher's level that works here, its layers joined by +)."""
    for level in _LEVELS:
        with tempfile.TemporaryDirectory(prefix="awry-lean-") as folder:
            settings = {"level": level, "folder": folder, "probe": True}
            done = subprocess.run(
                [*_launch(settings)], capture_output=True, text=True, timeout=60, check=False
            )
            if done.returncode == 0:
                return level, "+".join(json.loads(done.stdout))
    raise UserError(
        "no program can be confined here", value=done.stderr.strip()[-300:], fix="use Linux"
    )


def _launch(settings: Mapping[str, object]) -> list[str]:
    return [sys.executable, "-I", "-S", "-B", str(_LAUNCHER), json.dumps(settings)]


class Running:
    """One confined program with a private folder. Not for use from several threads at once.

    cpu_s: 0 for no limit. Its standard error goes to a file outside of its reach.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], cwd: Path, cpu_s: float
    ) -> None:
        level, self.isolation = confinement()
        self._base = Path(tempfile.mkdtemp(prefix="awry-lean-"))
        self.folder = self._base / "box"
        self.folder.mkdir()
        settings = {"level": level, "folder": str(self.folder), "cpu_s": cpu_s, "file_mb": _FILE_MB}
        self._errors = (self._base / "stderr").open("w+b")
        self.output = bytearray()
        self.peak_mb = 0.0
        self.process = subprocess.Popen(
            [*_launch(settings), *(part.replace("{box}", str(self.folder)) for part in command)],
            cwd=cwd,
            env={**environment, "TMPDIR": str(self.folder), "LEAN_BACKTRACE": "0"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,
        )

    def exchange(
        self,
        data: bytes,
        done: Callable[[bytearray], bool],
        *,
        wall_s: float,
        memory_mb: float,
        most: int,
        close: bool = False,
    ) -> Came:
        """Write `data`, then read to `output` until `done(output)`, the end or a limit (then it is
        still alive: call `close`). close: shut its standard input, so that it can end."""
        assert self.process.stdin
        assert self.process.stdout
        deadline, left, looked = time.monotonic() + wall_s, memoryview(data), 0.0
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            os.set_blocking(self.process.stdin.fileno(), False)
            selector.register(self.process.stdin, selectors.EVENT_WRITE)
            while True:
                now = time.monotonic()
                if now > deadline:
                    return "timeout"
                if now > looked + _TICK_S:
                    looked = now
                    if self._private_mb() > memory_mb:
                        return "memory"
                for key, _ in selector.select(_TICK_S):
                    if key.fileobj is self.process.stdout:
                        chunk = os.read(self.process.stdout.fileno(), 1 << 16)
                        self.output += chunk
                        if len(self.output) > most:
                            return "flood"
                        if not chunk:
                            return "ended"
                        if done(self.output):
                            return "done"
                        continue
                    try:
                        left = left[os.write(self.process.stdin.fileno(), left[: 1 << 16]) :]
                    except (BrokenPipeError, BlockingIOError):
                        left = memoryview(b"") if self.process.poll() is not None else left
                    if not left:
                        selector.unregister(self.process.stdin)
                        if close:
                            self.process.stdin.close()

    def _private_mb(self) -> float:
        """Memory of all its processes that is no file's: a mapped library is shared by all."""
        total = 0
        with contextlib.suppress(psutil.Error, OSError):
            launcher = psutil.Process(self.process.pid)
            for process in (launcher, *launcher.children(recursive=True)):
                with contextlib.suppress(OSError, ValueError):
                    status = Path(f"/proc/{process.pid}/status").read_text()
                    total += sum(int(n) for n in re.findall(r"Rss(?:Anon|Shmem):\s+(\d+)", status))
        self.peak_mb = max(self.peak_mb, total / 1024)
        return total / 1024

    def exit_code(self, patience_s: float = 5.0) -> int:
        """As a shell has it, 128 + n for signal n; of what does not end by itself, too: 137."""
        try:
            code = self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._kill()
            code = self.process.wait()
        return code if code >= 0 else 128 - code

    def errors(self) -> str:
        """The end of what it wrote to standard error."""
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - 2000))
        return self._errors.read().decode(errors="replace").strip()

    def alive(self) -> bool:
        return self.process.poll() is None

    def close(self) -> None:
        """Kill it with all that it started, and remove its folder."""
        self._kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self._errors):
            if stream:
                with contextlib.suppress(OSError):
                    stream.close()
        with contextlib.suppress(OSError):
            remove_content(str(self._base))
            self._base.rmdir()

    def _kill(self) -> None:
        # outside of namespaces a process can leave the session, but not its parents, while they live
        with contextlib.suppress(psutil.Error):
            for process in psutil.Process(self.process.pid).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    process.kill()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
