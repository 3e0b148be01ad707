"""The fork server: has loaded and initialised Lean, and forks one limited child per check.

Started by `worker.py` in a bare interpreter. Two kinds: `elaborate` runs Lean's own command line
in each child (it ends the process itself), `judge` calls `awry.lean.sound.judge.judge` there.
It speaks over one inherited socket. A request: 8 bytes of length, then the body (`limits.pack`); a
reply: 8 bytes of length, one JSON line, then what the child wrote to its output and to its standard
error, then the file it made.

As in the code sandbox (docs/design/sandbox.md), every child is a copy of this process, so nothing
about one check may stay in it: children read their requests themselves, and what they write passes
through memory that forks do not copy, or from file to socket.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import mmap
import os
import resource
import select
import signal
import socket
import stat
import struct
import sys
import time
from typing import Any, NoReturn

from awry.lean.builtin.limits import Resident, unpack
from awry.sandbox.child import UNCONFINED, receive
from awry.sandbox.confinement import clean, confine, isolate, remove_content

WRITTEN = "out.olean"
_IMPORTED = "imported"
_TICK_S = 0.02  # between two looks at a child's memory
_LAST_S = 0.25  # from the end of a child's output to its own end
_COMPLAINT_BYTES = 1 << 14
_STACK = 64 << 20  # for the kernel's recursion; Lean's own threads have theirs


class _Output:
    """What one child writes to one pipe, kept in memory that later children do not inherit."""

    def __init__(self, memory: mmap.mmap) -> None:
        self.reader, self.writer = os.pipe()
        self.memory, self.count = memoryview(memory), 0

    def read(self) -> bool:
        """False at the end."""
        got = os.readv(self.reader, [self.memory[self.count :]])
        self.count += got
        return got > 0

    def skip(self) -> bool:
        """Read, and forget, what there is no more room for. False at the end."""
        return os.readv(self.reader, [self.memory[len(self.memory) // 2 :]]) > 0

    @property
    def full(self) -> bool:
        return self.count == len(self.memory)

    @property
    def content(self) -> memoryview:
        return self.memory[: self.count]


class _Server:
    """Everything that a child needs and that was made before it."""

    def __init__(self, link: socket.socket, settings: dict[str, Any]) -> None:
        self.link, self.settings, self.limits = link, settings, settings["limits"]
        judging = settings["kind"] == "judge"
        self.judge: Any = importlib.import_module("awry.lean.sound.judge") if judging else None
        self.processes = -1
        with contextlib.suppress(OSError):
            self.processes = os.open("/proc", os.O_PATH | os.O_DIRECTORY)
        # Before the file system goes away; initialised after, for its threads forbid a namespace.
        self.lean = ctypes.CDLL(settings["library"], mode=os.RTLD_NOW)
        sys.path.clear()
        sys.argv.clear()
        os.environ.clear()
        self.state, self.layers, self.missing = isolate(
            settings["base"],
            settings["level"],
            settings["core"],
            None if judging else lambda folder: _save_import(self.lean, folder),
        )
        folder = self.state["library"]
        os.environ.update(_environment(folder))
        sizes = (settings["message_bytes"], _COMPLAINT_BYTES)
        self.memories = [mmap.mmap(-1, size) for size in sizes]
        for memory in self.memories:
            memory.madvise(mmap.MADV_DONTFORK)
        memory = str(settings["memory_mb"])
        imported = f"--incr-load={os.path.join(folder, _IMPORTED)}"
        self.words = _words("--json", "-j", "1", "-M", memory, imported, "-o", WRITTEN)
        self.prepared: Any = None
        if judging:
            hard = resource.getrlimit(resource.RLIMIT_STACK)[1]
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_STACK, (_STACK, hard))
            core = os.path.join(folder, "Init.olean")
            self.prepared = self.judge.prepare(settings["library"], core)
        else:
            _initialise(self.lean)

    def run_one(self, size: int) -> None:
        """Fork, watch, kill, reply."""
        begun = time.monotonic()
        deadline = begun + self.limits["wall_s"]
        output, complaint = (_Output(memory) for memory in self.memories)
        told, tell = os.pipe()
        pid = self.state["fork"]()
        if pid == 0:
            body = _judge if self.judge else _elaborate
            body(self, size, [output.writer, complaint.writer, tell])
        for writer in (output.writer, complaint.writer, tell):
            os.close(writer)
        number = os.read(told, 32).decode()
        os.close(told)
        resident = Resident(self.processes, number.strip())
        word = self._follow(output, complaint, resident, deadline)
        resident.close()
        status, used = self._end(pid, patient=word == "ended")
        # What was still in the pipe when the output ended.
        os.set_blocking(complaint.reader, False)
        with contextlib.suppress(OSError):
            while not complaint.full and complaint.read():
                pass
        for reader in (output.reader, complaint.reader):
            os.close(reader)
        if not number or word == "abandoned":
            sys.exit("a child could not be confined")  # no reply: a failure of the verifier
        header = {
            "word": word,
            "exit": status,
            "seconds": time.monotonic() - begun,
            "cpu": used.ru_utime + used.ru_stime,
            "peak_mb": used.ru_maxrss / 1024,
            "output": output.count,
            "complaint": complaint.count,
        }
        # Lean writes one only where all went well: another is the text's own work.
        written = self._open_written() if word == "ended" and status == 0 and not self.judge else -1
        try:
            count = os.fstat(written).st_size if written >= 0 else 0
            header["written"] = written >= 0
            head = json.dumps(header).encode() + b"\n"
            total = len(head) + output.count + complaint.count + count
            self.link.sendall(struct.pack("!Q", total) + head)
            self.link.sendall(output.content)
            self.link.sendall(complaint.content)
            sent = 0
            while sent < count:
                sent += os.sendfile(self.link.fileno(), written, sent, count - sent)
        finally:
            if written >= 0:
                os.close(written)

    def _follow(
        self, output: _Output, complaint: _Output, resident: Resident, deadline: float
    ) -> str:
        """Until the output ends ("ended"), is too long ("flood"), or a limit is reached."""
        poller = select.poll()
        poller.register(output.reader, select.POLLIN | select.POLLHUP)
        poller.register(complaint.reader, select.POLLIN | select.POLLHUP)
        poller.register(self.link, 0)  # only that it hung up
        look = 0.0
        while True:
            now = time.monotonic()
            if now >= deadline:
                return "timeout"
            if now >= look:
                if resident.megabytes() > self.settings["memory_mb"]:
                    return "memory"
                look = now + _TICK_S
            for reader, _ in poller.poll(min(deadline - now, _TICK_S) * 1000 + 1):
                if reader == self.link.fileno():
                    return "abandoned"
                if reader == output.reader:
                    if not output.read():
                        return "ended"
                    if output.full:
                        return "flood"
                elif not (complaint.skip() if complaint.full else complaint.read()):
                    poller.unregister(reader)

    def _end(self, pid: int, *, patient: bool) -> tuple[int, resource.struct_rusage]:
        """Kill the child and whatever it left; reap all. Its wait status and what it used.

        patient: it ended its output, so it is about to end itself, with a status to be known.
        """
        last = time.monotonic() + _LAST_S
        reaped, status, used = 0, 0, None
        while patient and not reaped and time.monotonic() < last:
            reaped, status, used = os.wait4(pid, os.WNOHANG)
            if not reaped:
                time.sleep(0.0002)
        if self.state["init"]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)  # we are process 1 of this PID namespace
        else:
            for kill in (*([] if reaped else [os.kill]), os.killpg):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    kill(pid, signal.SIGKILL)
        if not reaped or used is None:
            _, status, used = os.wait4(pid, 0)
        with contextlib.suppress(ChildProcessError):
            while self.state["init"]:
                os.waitpid(-1, 0)
        return status, used

    def _open_written(self) -> int:
        """The file that the child made, -1 where there is none that counts."""
        path = os.path.join(self.state["box"], WRITTEN)
        try:
            number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return -1
        seen = os.fstat(number)
        most = self.limits["file_mb"] << 20
        if stat.S_ISREG(seen.st_mode) and seen.st_nlink == 1 and seen.st_size <= most:
            return number
        os.close(number)
        return -1


def _environment(folder: str) -> dict[str, str]:
    return {"LEAN_PATH": folder, "LEAN_BACKTRACE": "0"}


def _words(*options: str) -> ctypes.Array[ctypes.c_char_p]:
    words = ["lean", "--stdin", *options]
    return (ctypes.c_char_p * (len(words) + 1))(*[word.encode() for word in words], None)


def _pose(folder: str) -> None:
    """Lean looks where its program is, and ends where it cannot find that."""
    own = f"/proc/{os.getpid()}"
    os.makedirs(own)
    os.symlink(os.path.join(folder, "lean"), f"{own}/exe")


def _save_import(lean: ctypes.CDLL, folder: str) -> None:
    """Lean's own file of what it holds after the import of the core, so that children load that:
    the other half of a short check. A text that wants other imports gets them all the same.

    Made by a child, for what initialises Lean starts threads, and they forbid a namespace.
    """
    words = _words(f"--incr-header-save={os.path.join(folder, _IMPORTED)}")
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            os.environ.update(_environment(folder))
            if os.path.dirname(folder) == "/":
                _pose(folder)
            _initialise(lean)
            lean.lean_main(len(words) - 1, words)  # its standard input is empty
        os._exit(UNCONFINED)
    if os.waitpid(pid, 0)[1]:
        sys.exit("Lean could not import the core")


def _initialise(lean: ctypes.CDLL) -> None:
    """What Lean does at its start, done once for all children: half of what a check would cost."""
    lean.lean_initialize_runtime_module()
    lean.initialize_Lean.restype = ctypes.c_void_p
    lean.initialize_Lean.argtypes = [ctypes.c_uint8, ctypes.c_void_p]
    result = lean.initialize_Lean(1, 1)
    if ctypes.c_uint8.from_address(result + 7).value:  # the constructor: 0 is success
        sys.exit("Lean could not be initialised")
    lean.lean_main.argtypes = [ctypes.c_int, ctypes.POINTER(ctypes.c_char_p)]


def _enter(server: _Server, size: int, descriptors: list[int]) -> bytes:
    """Read the request and give everything up. The last descriptor is told our process number
    once that is done: silence means that it failed."""
    state = server.state
    try:
        # By the count of the /proc that the server holds, which is not that of our namespace.
        number = "0"
        with contextlib.suppress(OSError):
            number = os.readlink("self", dir_fd=server.processes)
        if state["root"] == "/":
            _pose(state["library"])
        body = receive(server.link, size)
        if body is None:
            os._exit(UNCONFINED)
        confine(server.limits, descriptors, state, state["uid"])
        os.write(2 + len(descriptors), number.encode())
        os.close(2 + len(descriptors))
        return body
    except BaseException:
        os._exit(UNCONFINED)


def _elaborate(server: _Server, size: int, descriptors: list[int]) -> NoReturn:
    code = UNCONFINED
    try:
        text = _enter(server, size, descriptors)
        number = os.open("text.lean", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        left = memoryview(text)
        while left:
            left = left[os.write(number, left) :]
        os.lseek(number, 0, os.SEEK_SET)
        for place, own in enumerate((number, 3, 4)):
            os.dup2(own, place)
            os.close(own)
        code = server.lean.lean_main(len(server.words) - 1, server.words)
    finally:
        os._exit(code & 255)


def _judge(server: _Server, size: int, descriptors: list[int]) -> NoReturn:
    code = UNCONFINED
    try:
        reference, submission, theorem = unpack(_enter(server, size, descriptors))
        found = server.judge.judge(server.prepared, reference, submission, theorem.decode())
        left = memoryview(json.dumps(found).encode())
        while left:
            left = left[os.write(3, left) :]
        code = 0
    except BaseException as error:
        with contextlib.suppress(BaseException):
            os.write(4, f"{type(error).__name__}: {error}".encode()[:2000])
    finally:
        os._exit(code & 255)


def serve(descriptor: int, options: str) -> None:
    """Say which layers are in force, then run requests until the parent hangs up."""
    # Process 1 of a PID namespace is deaf to signals from inside, but not to those it handles.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    link = socket.socket(fileno=descriptor)
    server = _Server(link, json.loads(options))
    gc.collect()
    gc.freeze()
    hello = json.dumps({"layers": server.layers, "missing": server.missing}).encode()
    link.sendall(struct.pack("!Q", len(hello)) + hello)
    while (head := receive(link, 8)) is not None:
        server.run_one(*struct.unpack("!Q", head))
        clean(server.state)
    if not server.state["private_root"]:
        with contextlib.suppress(OSError):
            remove_content(server.state["root"])  # who started us may not be there to do it
