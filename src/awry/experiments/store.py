"""The stage store: `<root>/<stage>/<first 16 hex digits of the key>/`, addressed by content.

A key is the sha256 of everything that decides a stage's outcome: its parameters with all defaults,
the digests of what it reads, its declared version. `stage.json` says what the key was made of;
`DONE`, written last, lists the digests of what the stage wrote; `RUNNING` names the process at
work. Killing that process at any moment leaves a stage that is partial, never one that looks done.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from awry.errors import UserError
from awry.experiments.spec import canonical_json
from awry.files import atomic_write_json, code_state, file_sha256, read_json, writing

Status = Literal["todo", "partial", "running", "done", "damaged"]


# ---- keys and places ----------------------------------------------------------------------------
@dataclass(frozen=True)
class Stage:
    """What decides a stage's outcome. `inputs` are digests by name; `version` is bumped by hand
    when a stage's meaning changes.
    """

    name: str
    version: int
    params: Mapping[str, Any]
    inputs: Mapping[str, str]

    @property
    def identity(self) -> dict[str, Any]:
        return {
            "stage": self.name,
            "version": self.version,
            "params": dict(self.params),
            "inputs": dict(self.inputs),
        }

    @property
    def key(self) -> str:
        """sha256 in hex of the canonical JSON of all of it."""
        return hashlib.sha256(canonical_json(self.identity).encode()).hexdigest()

    def directory(self, root: Path) -> Path:
        return root / self.name / self.key[:16]


def open_stage(stage: Stage, root: Path) -> Path:
    """The stage's directory, made if need be, with `stage.json` in it."""
    directory = stage.directory(root)
    with writing(directory):
        directory.mkdir(parents=True, exist_ok=True)
    if not (directory / "stage.json").exists():
        atomic_write_json(directory / "stage.json", {"key": stage.key, **stage.identity})
    return directory


# ---- done ---------------------------------------------------------------------------------------
_NOT_OUTPUTS = ("DONE", "RUNNING", "stage.json")


def mark_done(directory: Path, code: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Write `DONE`: the size and sha256 of every file in the directory, and the code that made it."""
    outputs = {
        name.as_posix(): {
            "bytes": (directory / name).stat().st_size,
            "sha256": file_sha256(directory / name),
        }
        for name in sorted(path.relative_to(directory) for path in directory.rglob("*"))
        if (directory / name).is_file()
        and name.as_posix() not in _NOT_OUTPUTS
        and not any(part.startswith(".") for part in name.parts)
    }
    record = {
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "code": dict(code if code is not None else code_state()),
        "outputs": outputs,
    }
    atomic_write_json(directory / "DONE", record)
    return record


def damage(directory: Path, *, digests: bool = False) -> list[str]:
    """What `DONE` promises and the directory does not hold. digests: also read every file."""
    record = read_json(directory / "DONE")
    if record is None or not isinstance(record.get("outputs"), dict):
        return ["DONE is not readable"]
    found: list[str] = []
    for name, promised in record["outputs"].items():
        path = directory / name
        if not path.is_file():
            found.append(f"{name} is missing")
        elif path.stat().st_size != promised["bytes"]:
            found.append(f"{name} has {path.stat().st_size} bytes, not {promised['bytes']}")
        elif digests and file_sha256(path) != promised["sha256"]:
            found.append(f"{name} was changed after the stage was done")
    return found


def status(directory: Path, *, digests: bool = False) -> tuple[Status, str]:
    """How far a stage is, and why we say so."""
    if not directory.is_dir():
        return "todo", "never started"
    if (directory / "DONE").exists():
        broken = damage(directory, digests=digests)
        return ("damaged", "; ".join(broken[:3])) if broken else ("done", "")
    holder = _holder(directory)
    if holder and _alive(holder):
        return "running", f"process {holder['pid']} on {holder['host']}, since {holder['since']}"
    started = any(p.name not in _NOT_OUTPUTS for p in directory.iterdir())
    return ("partial", "interrupted") if started else ("todo", "started, nothing written yet")


def discard(directory: Path) -> Path:
    """Move a stage aside, out of reach of its key, and say where to."""
    for number in range(1, 10_000):
        aside = directory.with_name(f"{directory.name}.discarded-{number}")
        if not aside.exists():
            directory.rename(aside)
            return aside
    raise UserError("too many discarded copies of this stage", file=directory, fix="delete some")


def clear(directory: Path) -> None:
    """Remove what a stage has written, for one that starts over after an interruption."""
    for path in directory.iterdir():
        if path.name in _NOT_OUTPUTS:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


# ---- one process at a time ----------------------------------------------------------------------
@contextlib.contextmanager
def running(directory: Path) -> Iterator[bool]:
    """Hold the stage for this process; yields True when a dead process had left its mark.

    Raises UserError while another live process holds it. A holder on another machine cannot be
    seen from here and counts as alive.
    """
    mark = directory / "RUNNING"
    with _alone(directory):
        holder = _holder(directory)
        if holder and _alive(holder):
            raise UserError(
                f"process {holder['pid']} on {holder['host']} has been working on this stage since "
                f"{holder['since']}",
                file=mark,
                fix="wait for it; if you know that it is dead, delete this file",
            )
        for left_over in directory.rglob(".*.partial"):
            left_over.unlink(missing_ok=True)
        atomic_write_json(mark, _myself())
    try:
        yield holder is not None
    finally:
        mark.unlink(missing_ok=True)


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """The moment between looking at RUNNING and writing it belongs to one process."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _myself() -> dict[str, Any]:
    import psutil

    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "started": psutil.Process().create_time(),
        "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _holder(directory: Path) -> dict[str, Any] | None:
    holder = read_json(directory / "RUNNING")
    return holder if holder and {"pid", "host", "started", "since"} <= holder.keys() else None


def _alive(holder: Mapping[str, Any]) -> bool:
    """Whether the process that wrote a mark still runs; its start time tells it from a later
    process with the same number.
    """
    import psutil

    if holder["host"] != socket.gethostname():
        return True
    try:
        process = psutil.Process(int(holder["pid"]))
        same = abs(process.create_time() - float(holder["started"])) < 2.0
        return same and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, ValueError):
        return False
