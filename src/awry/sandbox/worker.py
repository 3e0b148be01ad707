"""One fork server, as its parent sees it: start it, send it programs, read what comes back."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import secrets
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections import deque
from dataclasses import asdict
from pathlib import Path
from typing import Any

from awry.sandbox.confinement import remove_content
from awry.sandbox.program import (
    NOT_REACHED,
    CheckState,
    EvaluatorState,
    Limits,
    Outcome,
    Program,
    SandboxError,
    Status,
)
from awry.sandbox.values import Failed, Returned, decode

# The fork server's interpreter sees this package and, ahead of it, the standard library.
_PACKAGES = Path(__file__).parents[2]
_START = (
    "import sys; sys.path.append(sys.argv[1]); from awry.sandbox.zygote import serve; "
    "serve(int(sys.argv[2]), sys.argv[3])"
)
PACKAGES = ("numpy", "sortedcontainers")
# An answer that names one of these is run where they are loaded (zygote.EXTRAS).
_EXTRA_WORDS = (*PACKAGES, "asyncio", "concurrent")
_GRACE_S = 10.0  # beyond a program's own limit, until its server counts as hung
_OTHER_MESSAGES = 8  # that a program may send beside one per call
_SMALL = 32 << 10  # bytes of a request that a socket takes without waiting for its reader


class Request:
    """A program in wire form, with the secrets that its processes prove themselves by."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.nonce, self.check_nonce = secrets.token_hex(8), secrets.token_hex(8)
        answer = {
            "source": program.source,
            "setup": program.setup,
            "override": program.override,
            "calls": program.calls,
            "evaluator": program.evaluator,
            "target": program.target,
        }
        body, check = json.dumps(answer).encode(), b""
        if program.check:
            parts = {"check": program.check, "setup": program.setup, "nonce": self.check_nonce}
            check = json.dumps(parts).encode()
        head = struct.pack("!QQ", len(body), len(check)) + self.nonce.encode()
        self.frame = head + body + check

    @property
    def small(self) -> bool:
        return len(self.frame) <= _SMALL

    @property
    def needs_extras(self) -> bool:
        text = self.program.source + self.program.setup
        return any(word in text for word in _EXTRA_WORDS)


class Worker:
    """A fork server process and the socket to it. Requests are answered in the order sent.

    core: the one that the server and its children keep to. A child then finds what it shares with
    its server in that core's cache, which halves the time of a program.
    """

    def __init__(self, limits: Limits, level: str, core: int, extras: bool = False) -> None:
        self.core, self.extras = core, extras
        self.base = tempfile.mkdtemp(prefix="awry-")
        os.chmod(self.base, 0o711)
        self.link, theirs = socket.socketpair()
        self.link.settimeout(20.0)
        self.patience = limits.wall_s + _GRACE_S
        self.deadline = 0.0
        self.sent: deque[Request] = deque()
        settings = {
            "base": self.base,
            "limits": asdict(limits),
            "level": level,
            "core": core,
            "extras": _package_folders() if extras else [],
        }
        arguments = (_START, str(_PACKAGES), str(theirs.fileno()), json.dumps(settings))
        with theirs:
            self.process = subprocess.Popen(
                # -s -S -P: nothing but the standard library; not -E, for the fixed hash seed
                # that makes the order of sets, and so verdicts, repeatable.
                [sys.executable, "-s", "-S", "-P", "-B", "-X", "utf8", "-c", *arguments],
                # One arena: more of them would take an answer's threads beyond its address space.
                env={
                    "PYTHONHASHSEED": "0",
                    "MALLOC_ARENA_MAX": "1",
                    "OPENBLAS_NUM_THREADS": "1",
                },
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )

    def greet(self) -> tuple[str, tuple[str, ...]]:
        """(the layers in force, why others are not)."""
        try:
            hello = json.loads(self._frame())
            return "+".join(hello["layers"]), tuple(hello["missing"])
        except (OSError, ValueError) as error:
            raise SandboxError(f"a sandbox process did not start: {error}") from error

    def submit(self, request: Request) -> None:
        self.sent.append(request)
        if len(self.sent) == 1:
            self.deadline = time.monotonic() + self.patience
        try:
            self.link.sendall(request.frame)
        except OSError:
            self.deadline = 0.0  # collected at once, as a failure

    def collect(self, isolation: str) -> Outcome:
        """The outcome of the oldest request; status "sandbox_error" when the server failed it."""
        request = self.sent.popleft()
        try:
            if self.deadline <= time.monotonic():
                raise OSError("no reply from the sandbox process")
            head, _, report = self._frame().partition(b"\n")
            header = json.loads(head)
            outcome = _read_outcome(header, report, request, isolation)
        except (OSError, ValueError, KeyError) as error:
            return _failure(request, str(error), isolation)
        self.deadline = time.monotonic() + self.patience
        return outcome

    def _frame(self) -> bytes:
        (size,) = struct.unpack("!Q", self._exactly(8))
        return self._exactly(size)

    def _exactly(self, count: int) -> bytes:
        data = self.link.recv(count)
        if len(data) == count:
            return data
        held = bytearray(data)
        while len(held) < count:
            chunk = self.link.recv(min(1 << 20, count - len(held)))
            if not chunk:
                raise OSError("the sandbox process ended")
            held += chunk
        return bytes(held)

    def close(self) -> None:
        self.link.close()
        self.process.kill()
        self.process.wait()
        with contextlib.suppress(OSError):
            remove_content(self.base)
            os.rmdir(self.base)


def _package_folders() -> list[str]:
    """Where the packages are that answers may import and the standard library lacks."""
    found = [importlib.util.find_spec(name) for name in PACKAGES]
    return sorted({str(Path(spec.origin).parents[1]) for spec in found if spec and spec.origin})


def _failure(request: Request, error: str, isolation: str) -> Outcome:
    return Outcome(
        status="sandbox_error",
        compiled=False,
        loaded=False,
        error=error,
        values=(NOT_REACHED,) * len(request.program.calls),
        evaluator="not run",
        evaluator_error="",
        check="not run",
        check_error="",
        exit_code=None,
        seconds=0.0,
        isolation=isolation,
    )


def _messages(nonce: str, report: bytes, most: int) -> list[list[Any]]:
    """What was said under `nonce`, at most so many messages. Hostile: what is malformed is passed
    over, and a flood costs no more than looking for the nonce in it."""
    found: list[list[Any]] = []
    start, place = b'\n["' + nonce.encode() + b'"', 0
    while len(found) < most and (place := report.find(start, place)) >= 0:
        most -= 1  # malformed messages count too
        place += 1
        end = report.find(b"\n", place)
        try:
            match json.loads(report[place : end if end >= 0 else None]):
                case [_, str(word), *rest]:
                    most += 1
                    found.append([word, *rest])
                case _:
                    pass
        except (ValueError, RecursionError):
            continue
    return found


def _read_outcome(
    header: dict[str, Any], reports: bytes, request: Request, isolation: str
) -> Outcome:
    """Read what the children wrote. Of contradicting messages the first counts."""
    cut = len(reports) - header["verdict"]
    values: list[Returned | Failed] = [NOT_REACHED] * len(request.program.calls)
    seen: dict[str, str] = {}
    evaluator: EvaluatorState = "not run"
    evaluator_error = ""
    most = len(values) + _OTHER_MESSAGES
    for message in _messages(request.nonce, reports[:cut], most):
        match message:
            case ["value", int(index), encoded]:
                if 0 <= index < len(values) and values[index] is NOT_REACHED:
                    with contextlib.suppress(ValueError, RecursionError):
                        values[index] = decode(encoded)
            case ["raised" | "unreadable", int(index), str(text)]:
                if 0 <= index < len(values) and values[index] is NOT_REACHED:
                    values[index] = Failed(text)
            case ["evaluator", ("returned" | "raised" | "missing") as word, str(text)]:
                if evaluator == "not run":
                    evaluator, evaluator_error = word, text
            case [word, *rest]:
                seen.setdefault(word, str(rest[0]) if rest else "")
    check, check_error = _read_verdict(request, reports[cut:])
    exit_status = os.waitstatus_to_exitcode(header["exit"])
    status: Status = "finished" if "done" in seen else header["status"]
    exit_code = None
    if status == "died" and exit_status >= 0:
        exit_code = exit_status
    elif seen.get("exited", "").isdecimal():
        exit_code = int(seen["exited"][:4])
    error = seen.get("uncompilable") or seen.get("unloadable") or ""
    if status == "died" and exit_status == -signal.SIGXCPU:
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
        check=check,
        check_error=check_error,
        exit_code=exit_code,
        seconds=float(header["seconds"]),
        isolation=isolation,
    )


def _read_verdict(request: Request, report: bytes) -> tuple[CheckState, str]:
    for message in _messages(request.check_nonce, report, 1):
        match message:
            case ["passed"]:
                return "passed", ""
            case ["failed", str(text)]:
                return "failed", text
    return "not run", ""
