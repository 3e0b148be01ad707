"""Run untrusted Python programs: a pool of fork servers, one disposable process per program.

What an outcome says was written by the untrusted process, so it is a claim: a *value* is worth
something only because the caller compares it with one the process never saw
(docs/design/sandbox.md).
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import selectors
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from awry.errors import UserError
from awry.sandbox.confinement import remove_content

Status = Literal["finished", "died", "timeout", "overflow", "sandbox_error"]
EvaluatorState = Literal["returned", "raised", "missing", "not run"]


class SandboxError(RuntimeError):
    """The sandbox itself failed (not the program): no verdict may be drawn from it."""


@dataclass(frozen=True)
class Limits:
    """Per program. Seconds, mebibytes, bytes; `processes` beyond the program's own."""

    wall_s: float = 3.0
    cpu_s: float = 1.0
    memory_mb: int = 512
    processes: int = 0
    file_mb: int = 8
    output_bytes: int = 4 << 20

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value < 0 or (value == 0 and name not in ("processes", "file_mb")):
                raise UserError("a limit must be positive", field=f"limits.{name}", value=value)


@dataclass(frozen=True)
class Program:
    """Executed in this order in one fresh namespace: setup, source, override, calls, evaluator.

    source: untrusted. setup, override: trusted Python (imports; a replacement for a function of
    the source). calls: expressions whose values are reported. evaluator: a function (or method of
    a class `Solution`) called with no arguments; reported is whether it returned.
    """

    source: str
    calls: tuple[str, ...] = ()
    setup: str = ""
    override: str = ""
    evaluator: str | None = None


@dataclass(frozen=True)
class Returned:
    """The value of one call, rebuilt from exact built-in types."""

    value: object


@dataclass(frozen=True)
class Iterable:
    """A returned iterator, range, view or deque, already walked: not equal to any list."""

    items: tuple[object, ...]


@dataclass(frozen=True)
class Failed:
    """A call without a value: it raised, or returned something that is not plain data."""

    reason: str


@dataclass(frozen=True)
class Outcome:
    status: Status
    compiled: bool
    loaded: bool
    error: str  # why it did not compile, load, or run
    values: tuple[Returned | Failed, ...]  # one per call
    evaluator: EvaluatorState
    evaluator_error: str
    seconds: float
    isolation: str


# The fork server's interpreter sees this package and, ahead of it, the standard library.
_PACKAGES = Path(__file__).parents[2]
_START = (
    "import sys; sys.path.append(sys.argv[1]); from awry.sandbox.zygote import serve; "
    "serve(int(sys.argv[2]), sys.argv[3])"
)
NOT_REACHED = Failed("not reached")


class PythonSandbox:
    """A pool of fork servers, started once. Use as a context manager, or call `close()`.

    workers: processes, by default the usable cores. Raises SandboxError if none can start.
    `namespaces=False` leaves the namespaces out (for tests and for systems where they misbehave).
    """

    def __init__(
        self, workers: int | None = None, limits: Limits | None = None, *, namespaces: bool = True
    ) -> None:
        if not sys.platform.startswith("linux"):
            raise UserError(
                "the code sandbox needs Linux", value=sys.platform, fix="run it in a container"
            )
        if workers is not None and workers < 1:
            raise UserError("needs at least one worker", field="workers", value=workers)
        self.limits = limits or Limits()
        self.workers = workers or len(os.sched_getaffinity(0))
        self._namespaces = namespaces
        self._lock = threading.Lock()
        self._pool: list[_Worker] = []
        try:
            for _ in range(self.workers):
                self._pool.append(_Worker(self.limits, namespaces))
            self.isolation = self._pool[0].greet()
            for worker in self._pool[1:]:
                worker.greet()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> PythonSandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        while self._pool:
            self._pool.pop().close()

    def run(self, programs: Sequence[Program]) -> list[Outcome]:
        """Run all, in parallel, and return their outcomes in the order given.

        A program whose fork server fails is retried once on a fresh one; a second failure is an
        outcome with status "sandbox_error".
        """
        with self._lock:
            if not self._pool:
                raise SandboxError("the sandbox is closed")
            return self._run(programs)

    def _run(self, programs: Sequence[Program]) -> list[Outcome]:
        outcomes: list[Outcome | None] = [None] * len(programs)
        waiting = deque((index, 0) for index in range(len(programs)))
        idle = deque(range(len(self._pool)))
        busy: dict[int, tuple[int, int]] = {}  # worker -> program, failures so far
        with selectors.DefaultSelector() as selector:
            while waiting or busy:
                while waiting and idle:
                    slot = idle.popleft()
                    index, failures = waiting.popleft()
                    worker = self._pool[slot]
                    busy[slot] = (index, failures)
                    worker.submit(programs[index])
                    selector.register(worker.link, selectors.EVENT_READ, slot)
                now = time.monotonic()
                nearest = min(self._pool[slot].deadline for slot in busy)
                ready = {key.data for key, _ in selector.select(max(0.0, nearest - now))}
                now = time.monotonic()
                for slot in [s for s in busy if s in ready or self._pool[s].deadline <= now]:
                    worker = self._pool[slot]
                    selector.unregister(worker.link)
                    index, failures = busy.pop(slot)
                    outcome = worker.collect(programs[index], self.isolation)
                    if outcome.status == "sandbox_error":
                        worker.close()
                        self._pool[slot] = worker = _Worker(self.limits, self._namespaces)
                        layers = worker.greet()
                        if layers != self.isolation:
                            raise SandboxError(
                                f"isolation changed from {self.isolation} to {layers}"
                            )
                    if outcome.status == "sandbox_error" and failures == 0:
                        waiting.append((index, 1))
                    else:
                        outcomes[index] = outcome
                    idle.append(slot)
        return [outcome for outcome in outcomes if outcome is not None]


class _Worker:
    """One fork server process and the socket to it."""

    def __init__(self, limits: Limits, namespaces: bool) -> None:
        self.base = tempfile.mkdtemp(prefix="awry-")
        os.chmod(self.base, 0o711)
        self.link, theirs = socket.socketpair()
        self.link.settimeout(20.0)
        self.grace = limits.wall_s + 10.0
        self.deadline = 0.0
        self.nonce = ""
        settings = {"base": self.base, "limits": asdict(limits), "namespaces": namespaces}
        arguments = (_START, str(_PACKAGES), str(theirs.fileno()), json.dumps(settings))
        with theirs:
            self.process = subprocess.Popen(
                # -s -S -P: nothing but the standard library; not -E, for the fixed hash seed
                # that makes the order of sets, and so verdicts, repeatable.
                [sys.executable, "-s", "-S", "-P", "-B", "-X", "utf8", "-c", *arguments],
                env={"PYTHONHASHSEED": "0"},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )

    def greet(self) -> str:
        try:
            return "+".join(json.loads(self._frame())["layers"])
        except (OSError, ValueError) as error:
            raise SandboxError(f"a sandbox process did not start: {error}") from error

    def submit(self, program: Program) -> None:
        self.nonce = secrets.token_hex(8)
        body = json.dumps(asdict(program)).encode()
        self.deadline = time.monotonic() + self.grace
        try:
            self.link.sendall(struct.pack("!Q", len(body)) + self.nonce.encode() + body)
        except OSError:
            self.deadline = 0.0  # collected at once, as a failure

    def collect(self, program: Program, isolation: str) -> Outcome:
        try:
            if self.deadline <= time.monotonic():
                raise OSError("no reply from the sandbox process")
            head, _, channel = self._frame().partition(b"\n")
            header = json.loads(head)
        except (OSError, ValueError) as error:
            return Outcome(
                status="sandbox_error",
                compiled=False,
                loaded=False,
                error=str(error),
                values=(NOT_REACHED,) * len(program.calls),
                evaluator="not run",
                evaluator_error="",
                seconds=0.0,
                isolation=isolation,
            )
        return _read_outcome(header, channel, program, self.nonce, isolation)

    def _frame(self) -> bytes:
        (size,) = struct.unpack("!Q", self._exactly(8))
        return self._exactly(size)

    def _exactly(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            chunk = self.link.recv(min(1 << 20, count - len(data)))
            if not chunk:
                raise OSError("the sandbox process ended")
            data += chunk
        return bytes(data)

    def close(self) -> None:
        self.link.close()
        self.process.kill()
        self.process.wait()
        with contextlib.suppress(OSError):
            remove_content(self.base)
            os.rmdir(self.base)


def _read_outcome(
    header: dict[str, Any], channel: bytes, program: Program, nonce: str, isolation: str
) -> Outcome:
    """Read what the child wrote. Hostile: anything malformed is skipped, the first word counts."""
    values: list[Returned | Failed] = [NOT_REACHED] * len(program.calls)
    seen: dict[str, str] = {}
    evaluator: EvaluatorState = "not run"
    evaluator_error = ""
    for line in channel.split(b"\n"):
        try:
            match json.loads(line) if line else None:
                case [str(key), "value", int(index), encoded] if key == nonce:
                    if 0 <= index < len(values) and values[index] is NOT_REACHED:
                        values[index] = decode(encoded)
                case [str(key), "raised" | "unreadable", int(index), str(text)] if key == nonce:
                    if 0 <= index < len(values) and values[index] is NOT_REACHED:
                        values[index] = Failed(text)
                case [
                    str(key),
                    "evaluator",
                    ("returned" | "raised" | "missing") as word,
                    str(text),
                ]:
                    if key == nonce and evaluator == "not run":
                        evaluator, evaluator_error = word, text
                case [str(key), str(word), *rest] if key == nonce:
                    seen.setdefault(word, str(rest[0]) if rest else "")
                case _:
                    pass
        except (ValueError, RecursionError):
            continue
    status: Status = "finished" if "done" in seen else header["status"]
    error = seen.get("uncompilable") or seen.get("unloadable") or ""
    if status == "died" and os.waitstatus_to_exitcode(header["exit"]) == -signal.SIGXCPU:
        status = "timeout"
    if status != "finished" and not error:
        error = {"timeout": "timed out", "overflow": "reported too much"}.get(
            status, "exited early"
        )
    return Outcome(
        status=status,
        compiled="compiled" in seen,
        loaded="loaded" in seen,
        error=error,
        values=tuple(values),
        evaluator=evaluator,
        evaluator_error=evaluator_error,
        seconds=float(header["seconds"]),
        isolation=isolation,
    )


def decode(encoded: object) -> Returned | Failed:
    """Rebuild a value from zygote.encode's tree; ValueError if the tree is not one."""
    try:
        return Returned(_plain(encoded))
    except _Foreign as error:
        return Failed(f"returned a {error} object")
    except TypeError as error:  # an unhashable member of a set: no honest encoder sends one
        raise ValueError(str(error)) from error


class _Foreign(Exception):
    pass


def _plain(tree: object) -> object:
    if tree is None or isinstance(tree, bool | int | float | str):
        return tree
    match tree:
        case ["i", str(digits)] if len(digits) < 1_000_000:
            return int(digits, 16)
        case ["l", *items]:
            return [_plain(item) for item in items]
        case ["t", *items]:
            return tuple(_plain(item) for item in items)
        case ["g", *items]:
            return Iterable(tuple(_plain(item) for item in items))
        case ["s", *items] if len(items) <= 5_000:
            return frozenset(_plain(item) for item in items)
        case ["d", *pairs] if len(pairs) <= 5_000:
            return {_plain(k): _plain(v) for k, v in (_pair(pair) for pair in pairs)}
        case ["b", str(digits)]:
            return bytes.fromhex(digits)
        case ["c", float(real), float(imag)]:
            return complex(real, imag)
        case ["?", str(name)]:
            raise _Foreign(name)
    raise ValueError("not an encoded value")


def _pair(pair: object) -> tuple[object, object]:
    match pair:
        case [key, value]:
            return key, value
    raise ValueError("not a key and a value")
