"""A Lake project of the user's, with Mathlib or what else it builds: one lean process per text."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from awry.errors import UserError
from awry.lean.builtin.pool import JudgeJob, LeanPool, read_messages
from awry.lean.checks import Elaboration, Ended, Message
from awry.lean.elsewhere.outside import Came, Project, Running, confinement, open_project

WALL_S, CPU_S, MEMORY_MB = 120.0, 120.0, 8192  # loading Mathlib alone takes seconds
MOST_OUTPUT = 1 << 20  # bytes of messages of one text
FLOOD = Message("error", f"more than {MOST_OUTPUT >> 20} MiB of messages", "awry.flood")
_MOST_OLEAN = 64 << 20
_SIGXCPU = 128 + 24
_OLEAN = "text.olean"


class LakeProject:
    """`lean --json -o` in the environment of a project, each text in a confined process of its own.

    workers: by default one for every two cores. memory_mb counts what is a process's own, not the
    mapped library. writes_oleans: where the project's Lean and core are those of the wheel.
    """

    name = "lake"

    def __init__(
        self,
        folder: Path,
        *,
        workers: int | None = None,
        wall_s: float = WALL_S,
        cpu_s: float = CPU_S,
        memory_mb: float = MEMORY_MB,
    ) -> None:
        self.project = open_project(folder)
        self.workers = workers or default_workers()
        self.wall_s, self.cpu_s, self.memory_mb = wall_s, cpu_s, memory_mb
        self.isolation = confinement()[1]
        self.why_not_sound = why_not_sound(self.project)
        self.writes_oleans = not self.why_not_sound
        self._sound_headers: set[str] = {""}
        self._judge: LeanPool | None = None

    def __enter__(self) -> LakeProject:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        if self._judge:
            self._judge.close()
            self._judge = None

    def identity(self) -> dict[str, str]:
        return {
            "toolchain": self.name,
            **project_identity(self.project),
            "wall_s": str(self.wall_s),
            "cpu_s": str(self.cpu_s),
            "memory_mb": str(self.memory_mb),
        }

    def elaborate(self, texts: Sequence[tuple[str, str]]) -> list[Elaboration]:
        """Raises UserError for a header that does not elaborate in this project."""
        with ThreadPoolExecutor(self.workers, thread_name_prefix="lake") as pool:
            return list(pool.map(lambda pair: self._elaborate(*pair), texts))

    def judge(self, jobs: Sequence[JudgeJob]) -> list[dict[str, Any]]:
        """As `LeanPool.judge`, by the built-in Lean: for projects whose files can be judged."""
        if self._judge is None:
            self._judge = LeanPool(workers=1)
        return self._judge.judge(jobs)

    def _elaborate(self, header: str, text: str) -> Elaboration:
        found = self._once(header, text)
        if found.ended in ("failed", "crashed"):  # twice, before it is put down to the text
            found = self._once(header, text)
        if header not in self._sound_headers and any(m.line < 1 for m in found.errors):
            # lean puts a submission's own bad import on line 1, too: ask for the header alone
            alone = self._once(header, "")
            if alone.errors:
                raise UserError(
                    "the header does not elaborate in this project",
                    field="header",
                    value=alone.errors[0].text,
                    fix="build the project (`lake build`, for Mathlib `lake exe cache get`)",
                )
            if alone.ended == "finished":
                self._sound_headers.add(header)
        return found

    def _once(self, header: str, text: str) -> Elaboration:
        head = header.rstrip("\n") + "\n" if header.strip() else ""
        begun = time.monotonic()
        lean = [str(self.project.lean), "--json", "--stdin", "-o", "{box}/" + _OLEAN]
        running = Running(lean, self.project.environment, self.project.folder, self.cpu_s)
        try:
            came = running.exchange(
                (head + text).encode(errors="replace"),
                lambda output: False,
                wall_s=self.wall_s,
                memory_mb=self.memory_mb,
                most=MOST_OUTPUT,
                close=True,
            )
            code = running.exit_code() if came == "ended" else None
            lines = bytes(running.output[:MOST_OUTPUT])
            found = _outcome(came, code, read_messages(lines, head.count("\n")), running.errors())
            olean = None
            if found.ended == "finished" and found.exit_code == 0:
                olean = _read(running.folder / _OLEAN)
            return replace(
                found,
                olean=olean,
                seconds=time.monotonic() - begun,
                peak_mb=running.peak_mb,
                isolation=self.isolation,
            )
        finally:
            running.close()


def default_workers() -> int:
    """Lean itself uses more than one core."""
    return max(1, len(os.sched_getaffinity(0)) // 2)


def why_not_sound(project: Project) -> str:
    """Why files of this project cannot be judged; "" where they can. They rest on all that they
    import, and the only library that is known constant by constant is the core."""
    from awry.lean.builtin import core, library

    try:
        own, built = library.find().commit, core.built()
    except UserError as error:
        return f"the built-in Lean, which judges, is not there: {error.message}"
    if project.githash != own:
        return f"the project's Lean {project.version} is not the build that the judge knows"
    for folder in project.search_path():
        with contextlib.suppress(OSError):
            if (folder / "Init.olean").read_bytes() == (built / "Init.olean").read_bytes():
                return ""
            break
    return "the project does not rest on the core that the judge knows"


def project_identity(project: Project) -> dict[str, str]:
    """Version and commit of its Lean; digest of the manifest that fixes its libraries."""
    manifest = project.folder / "lake-manifest.json"
    digest = hashlib.sha256(manifest.read_bytes()).hexdigest() if manifest.is_file() else "none"
    return {"lean": project.version, "githash": project.githash, "manifest": digest}


def _outcome(
    came: Came, code: int | None, messages: tuple[Message, ...], errors: str
) -> Elaboration:
    """What a process's end says of its text. A status of 1 is Lean's word for an error message."""
    if came == "flood":
        return Elaboration("finished", (*messages, FLOOD))
    if came == "timeout" or code == _SIGXCPU:
        return Elaboration("timeout", messages, exit_code=code)
    excessive = any("excessive memory consumption detected" in m.text for m in messages)
    if came == "memory" or excessive:
        return Elaboration("memory", messages, exit_code=code)
    ended: Ended = "finished"
    if code is not None and code >= 126:  # a signal, or nothing that could be started
        ended = "crashed" if code > 128 else "failed"
    elif code == 1 and not any(m.severity == "error" for m in messages):
        ended = "failed"
    return Elaboration(ended, messages, exit_code=code, detail=errors[-300:])


def position(data: object) -> tuple[int, int]:
    """(line, column) of Lean's JSON, (0, 0) of what is none."""
    if isinstance(data, dict):
        line, column = data.get("line"), data.get("column")
        if isinstance(line, int) and isinstance(column, int):
            return line, column
    return 0, 0


def _read(path: Path) -> bytes | None:
    with contextlib.suppress(OSError):
        if not path.is_symlink() and path.stat().st_size <= _MOST_OLEAN:
            return path.read_bytes()
    return None
