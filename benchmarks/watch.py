"""Runs something very many times over, and looks whether anything grows or is left over.

At every line: resident memory of this process and of the servers below it, open descriptors of
each, zombies, processes, folders for temporary files. What the first line says is the measure for
the others. A fault: this process grows by more than 48 MB or a server by more than 24 MB,
descriptors, processes or folders become more, a zombie stays, a server had to be replaced, or a
process or folder is left at the end.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

PARENT_MB, SERVER_MB = 48, 24
_PR_SET_CHILD_SUBREAPER = 36
_MOST_FAULTS = 20


@dataclass(frozen=True)
class Subject:
    """What is run. batch: (number of the first, how many) -> faults; servers: their process ids."""

    batch: Callable[[int, int], list[str]]
    servers: Callable[[], list[int]]


def machine() -> str:
    cores = len(os.sched_getaffinity(0))
    return f"{platform.machine()}, {cores} cores, Python {platform.python_version()}"


@dataclass(frozen=True)
class State:
    parent_mb: float
    servers_mb: tuple[float, ...]
    descriptors: tuple[int, ...]  # of this process, then of each below it
    zombies: int
    folders: int


def family() -> dict[int, str]:
    """Every process below this one: process id -> state. Orphans come to this process."""
    parents: dict[int, tuple[int, str]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                state, parent = (
                    Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[:2]
                )
                parents[int(name)] = (int(parent), state)
    found: dict[int, str] = {}
    below, grown = {os.getpid()}, True
    while grown:
        grown = False
        for pid, (parent, state) in parents.items():
            if parent in below and pid not in below:
                below.add(pid)
                found[pid] = state
                grown = True
    return found


def resident_mb(pid: int) -> float:
    with contextlib.suppress(OSError):
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    return 0.0


def descriptors(pid: int) -> int:
    with contextlib.suppress(OSError):
        return len(os.listdir(f"/proc/{pid}/fd"))
    return 0


def reap_orphans(servers: set[int]) -> None:
    """What its own parent left to this process. (A server's zombies are still the server's.)"""
    for pid, state in family().items():
        if state == "Z" and pid not in servers:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def look(folder: str) -> State:
    gc.collect()
    below = family()
    living = sorted(pid for pid, state in below.items() if state != "Z")
    return State(
        parent_mb=resident_mb(os.getpid()),
        servers_mb=tuple(resident_mb(pid) for pid in living),
        descriptors=(descriptors(os.getpid()), *(descriptors(pid) for pid in living)),
        zombies=len(below) - len(living),
        folders=len(os.listdir(folder)),
    )


def growth(first: State, now: State) -> list[str]:
    found: list[str] = []
    if now.parent_mb > first.parent_mb + PARENT_MB:
        found.append(f"this process grew from {first.parent_mb:.0f} to {now.parent_mb:.0f} MB")
    if len(now.servers_mb) > len(first.servers_mb):
        found.append(f"{len(now.servers_mb)} processes, {len(first.servers_mb)} at first")
    if max(now.servers_mb) > max(first.servers_mb) + SERVER_MB:
        found.append(
            f"a server grew from {max(first.servers_mb):.0f} to {max(now.servers_mb):.0f} MB"
        )
    if sum(now.descriptors) > sum(first.descriptors):
        found.append(f"descriptors: {now.descriptors}, {first.descriptors} at first")
    if now.zombies:
        found.append(f"{now.zombies} zombies")
    if now.folders > first.folders:
        found.append(f"{now.folders} folders, {first.folders} at first")
    return found


def _run(
    subject: Subject, noun: str, total: int, every: int, chunk: int, folder: str
) -> tuple[list[str], float, State, State]:
    faults: list[str] = []
    first = state = None
    servers = subject.servers()
    begun = lap = time.monotonic()
    done = last = 0
    while done < total and len(faults) <= _MOST_FAULTS:
        count = min(chunk, total - done)
        faults += subject.batch(done, count)
        done += count
        if done - last >= every or done >= total:
            reap_orphans(set(servers))
            state, now = look(folder), time.monotonic()
            first = first or state
            print(
                f"{done:>7} {noun}, {(done - last) / (now - lap):5.1f}/s, here "
                f"{state.parent_mb:.1f} MB, servers {max(state.servers_mb):.1f} MB (largest), "
                f"{len(state.servers_mb)} processes, descriptors {state.descriptors[0]} + "
                f"{sum(state.descriptors[1:])}, {state.zombies} zombies, {state.folders} folders",
                flush=True,
            )
            faults += growth(first, state)
            last, lap = done, now
    rate = done / (time.monotonic() - begun)
    if servers != subject.servers():
        faults.append("a fork server had to be replaced")
    state = state or look(folder)
    return faults, rate, first or state, state


def endure(
    name: str,
    noun: str,
    total: int,
    every: int,
    chunk: int,
    start: Callable[[], AbstractContextManager[Subject]],
) -> int:
    """Run `total` of them, `chunk` at a time, with a line after each `every`. The exit status."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o711)
        tempfile.tempdir = folder
        with start() as subject:
            faults, rate, first, last = _run(subject, noun, total, every, chunk, folder)
        deadline = time.monotonic() + 5
        while (left := family()) and time.monotonic() < deadline:
            reap_orphans(set())
            time.sleep(0.05)
        if left:
            faults.append(f"left at the end: {left}")
        if os.listdir(folder):
            faults.append(f"folders left at the end: {os.listdir(folder)}")
        tempfile.tempdir = None
    for fault in faults[:_MOST_FAULTS]:
        print(f"FAILED: {fault[:400]}")
    ours, plain = (state.parent_mb + sum(state.servers_mb) for state in (last, first))
    print(
        json.dumps(
            {
                "name": name,
                "ours": round(ours, 1),
                "plain": round(plain, 1),
                "unit": "MB resident, last line and first",
                "ratio": round(ours / plain, 3),
                noun: total,
                f"{noun}_per_s": round(rate, 1),
                "faults": len(faults),
                "machine": machine(),
            }
        )
    )
    return 1 if faults else 0
