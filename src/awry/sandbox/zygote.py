"""The fork server: a small interpreter that forks one limited child per untrusted program.

Started by `python.py` in a bare interpreter (standard library, and numpy or sortedcontainers where an answer
names them).
It speaks over one inherited socket. A request: 8 bytes of length, 8 of the length of a checker's
part, 16 of nonce, then both parts as JSON; a reply: 8 bytes of length, then one JSON line followed
by the raw bytes that the child, and then the checker, wrote to their private pipes.

Every child is a copy of this process, so nothing about one program may stay in it: requests are
read by the children themselves, and reports pass through memory that forks do not copy. Expected
values never come here at all, or go to the checker alone (docs/design/sandbox.md).
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import mmap
import os
import select
import signal
import socket
import struct
import sys
import time
from typing import Any

from awry.sandbox.child import UNCONFINED, Job, answer_child, checker_child, receive
from awry.sandbox.confinement import clean, isolate
from awry.sandbox.values import know_numpy

# What answers may import. All of it is loaded before the file system goes away.
PRELOADED = """
abc array ast base64 binascii bisect builtins calendar cmath codecs collections collections.abc
contextlib copy copyreg csv dataclasses datetime decimal difflib
enum fractions functools gc graphlib hashlib heapq inspect io itertools json
keyword linecache locale logging math numbers operator os os.path pathlib pprint queue random re
reprlib secrets shlex signal stat statistics string struct sys tempfile textwrap threading time
timeit token tokenize traceback types typing unicodedata unittest uuid warnings
weakref zlib
"""


# Loaded by a server of their own when an answer names one of them: every fork of it is dearer.
EXTRAS = ("numpy", "sortedcontainers", "asyncio", "concurrent.futures", "concurrent.futures.thread")

_NO_PIPE = (-1, -1)


class _Report:
    """What one child writes to its pipe, kept in memory that later children do not inherit."""

    def __init__(self, reader: int, memory: mmap.mmap) -> None:
        self.reader, self.memory, self.count = reader, memoryview(memory), 0

    def follow(self, deadline: float, marks: dict[bytes, str]) -> str:
        """Read until a mark ends the report, else "died" at its end, "overflow" or "timeout"."""
        poller = select.poll()
        poller.register(self.reader, select.POLLIN | select.POLLHUP)
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not poller.poll(left * 1000):
                return "timeout"
            got = os.readv(self.reader, [self.memory[self.count :]])
            self.count += got
            if not got:
                return "died"
            if self.count == len(self.memory):
                return "overflow"
            for mark, word in marks.items():
                if self.memory[max(0, self.count - len(mark)) : self.count] == mark:
                    return word

    @property
    def content(self) -> memoryview:
        return self.memory[: self.count]


def run_one(job: Job, state: dict[str, Any]) -> None:
    """Fork, watch, kill, reply."""
    begun = time.monotonic()
    deadline = begun + job.limits["wall_s"]
    reader, writer = os.pipe()
    checked = bool(job.check_size)
    requests, replies = (os.pipe(), os.pipe()) if checked else (_NO_PIPE, _NO_PIPE)
    pids = [state["fork"]()]
    if pids[0] == 0:
        answer_child(job, state, [writer, *([requests[0], replies[1]] if checked else [])])
    os.close(writer)
    report, verdict = _Report(reader, state["reports"][0]), _Report(-1, state["reports"][1])
    status = report.follow(deadline, {job.mark("done"): "finished", job.mark("serving"): "serving"})
    if checked and status == "serving":
        verdict.reader, writer = os.pipe()
        pids.append(state["fork"]())
        if pids[1] == 0:
            checker_child(job, state, [writer, requests[1], replies[0]])
        os.close(writer)
        # its own ends too: a side whose other side ends must notice
        for end in (*requests, *replies):
            os.close(end)
        ended = verdict.follow(deadline, {})
        status = "finished" if ended == "died" else ended
        os.close(verdict.reader)
    elif checked:
        for end in (*requests, *replies):
            os.close(end)
        _discard(job.link, job.check_size, state["reports"][1])
    os.close(reader)
    wait_statuses = _kill_trees(pids, state)
    for pid_report, wait_status in zip((report, verdict), wait_statuses, strict=False):
        if not pid_report.count and os.waitstatus_to_exitcode(wait_status) == UNCONFINED:
            sys.exit("a child could not be confined")  # no reply: a failure of the sandbox
    header = {
        "status": status,
        "seconds": time.monotonic() - begun,
        "exit": wait_statuses[0],
        "verdict": verdict.count,
    }
    head = json.dumps(header).encode() + b"\n"
    job.link.sendall(struct.pack("!Q", len(head) + report.count + verdict.count) + head)
    job.link.sendall(report.content)
    job.link.sendall(verdict.content)


def _discard(link: socket.socket, count: int, memory: mmap.mmap) -> None:
    """Pass over a checker's part without a copy in memory that later children would inherit."""
    while count:
        got = link.recv_into(memory, min(count, len(memory)))
        if not got:
            return
        count -= got


def _kill_trees(pids: list[int], state: dict[str, Any]) -> list[int]:
    """Kill the children and whatever they left; reap all. Returns the children's wait statuses."""
    if state["init"]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)  # we are process 1 of this PID namespace
    else:
        for pid in pids:
            for kill in (os.kill, os.killpg):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    kill(pid, signal.SIGKILL)
    statuses = [os.waitpid(pid, 0)[1] for pid in pids]
    with contextlib.suppress(ChildProcessError):
        while state["init"]:
            os.waitpid(-1, 0)
    return statuses


def _import_extras(folders: list[str]) -> None:
    sys.path += folders
    sys.modules["ssl"] = None  # type: ignore[assignment]  # asyncio can do without; every fork pays
    for name in EXTRAS:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    if "numpy" in sys.modules:
        know_numpy(sys.modules["numpy"])


def serve(descriptor: int, options: str) -> None:
    """Say which layers are in force, then run requests until the parent hangs up."""
    # Process 1 of a PID namespace is deaf to signals from inside, but not to those it handles.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    link, settings = socket.socket(fileno=descriptor), json.loads(options)
    for name in PRELOADED.split():
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    if settings["extras"]:
        _import_extras(settings["extras"])
    sys.path.clear()
    sys.argv.clear()
    os.environ.clear()
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, {settings["core"]})
    state, layers, missing = isolate(settings["base"], settings["level"])
    gc.collect()
    gc.freeze()
    hello = json.dumps({"layers": layers, "missing": missing}).encode()
    link.sendall(struct.pack("!Q", len(hello)) + hello)
    limits = settings["limits"]
    state["reports"] = [mmap.mmap(-1, size) for size in (limits["output_bytes"], 1 << 16)]
    for memory in state["reports"]:
        memory.madvise(mmap.MADV_DONTFORK)
    while (head := receive(link, 32)) is not None:
        size, check_size = struct.unpack("!QQ", head[:16])
        run_one(Job(link, size, check_size, head[16:].decode(), limits), state)
        clean(state)
