"""A process that forks one disposable child per request, as its parent sees it: start it, send it
requests, read what comes back."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

from awry.sandbox.confinement import remove_content
from awry.sandbox.program import SandboxError

# The server's interpreter sees this package and, ahead of it, the standard library.
_PACKAGES = Path(__file__).parents[2]
_START = (
    "import importlib, sys; sys.path.append(sys.argv[1]); "
    "importlib.import_module(sys.argv[2]).serve(int(sys.argv[3]), sys.argv[4])"
)
_GRACE_S = 10.0  # beyond a request's own limit, until its server counts as hung
_START_S = 60.0
_SMALL = 32 << 10  # bytes of a request that a socket takes without waiting for its reader


T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Request(Generic[T]):
    """One sending of an item. frame: as the module's `serve` reads it; nonces: what is the
    harness's own in the reply is said under them, so each sending has its own."""

    item: T
    frame: bytes
    nonces: tuple[str, ...] = ()


class ServerFailed(Exception):
    """The server, not the request, is at fault: it ended, hung, or answered nonsense."""


class ForkServer(ABC, Generic[T, R]):
    """A fork server process and the socket to it. Requests are answered in the order sent.

    module: its `serve(descriptor, options)` is what runs, in a bare interpreter; settings: reach
    it as JSON, with "base", a folder of its own. wall_s: a request's own limit.
    """

    def __init__(
        self,
        module: str,
        settings: dict[str, Any],
        wall_s: float,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.base = tempfile.mkdtemp(prefix="awry-")
        os.chmod(self.base, 0o711)
        self.link, theirs = socket.socketpair()
        self.link.settimeout(_START_S)
        self.deadline = 0.0
        self.isolation, self.missing = "", ()
        self.patience = wall_s + _GRACE_S
        self._sent: deque[Request[T]] = deque()
        options = json.dumps({**settings, "base": self.base})
        arguments = (_START, str(_PACKAGES), module, str(theirs.fileno()), options)
        with theirs:
            self.process = subprocess.Popen(
                # -s -S -P: nothing but the standard library; not -E, for the fixed hash seed
                # that makes the order of sets, and so verdicts, repeatable.
                [sys.executable, "-s", "-S", "-P", "-B", "-X", "utf8", "-c", *arguments],
                env={"PYTHONHASHSEED": "0", **(environment or {})},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )

    @abstractmethod
    def successor(self, item: T | None = None) -> Self:
        """A fresh server for this one's place, such that it suits `item`."""

    def suits(self, item: T) -> bool:
        """Whether this server can run it."""
        return True

    @abstractmethod
    def request(self, item: T) -> Request[T]:
        """The item as it is sent."""

    @abstractmethod
    def read(self, header: dict[str, Any], rest: bytes, request: Request[T]) -> R:
        """A reply's content. Raises ValueError or KeyError for nonsense."""

    def greet(self) -> None:
        """Wait until it runs: `isolation` are then the layers in force, joined by "+", and
        `missing` why others are not. Raises SandboxError."""
        try:
            hello = json.loads(self._frame())
            self.link.settimeout(self.patience)
            self.isolation, self.missing = "+".join(hello["layers"]), tuple(hello["missing"])
        except (OSError, ValueError, KeyError) as error:
            raise SandboxError(f"a sandbox process did not start: {error}") from error

    def takes(self, request: Request[T]) -> bool:
        """Whether it can be given this now: a server that writes a reply does not read, so one
        that has something to do gets a second request only while all that it holds is small."""
        return not self._sent or all(len(r.frame) <= _SMALL for r in (request, *self._sent))

    def submit(self, request: Request[T]) -> None:
        self._sent.append(request)
        if len(self._sent) == 1:
            self.deadline = time.monotonic() + self.patience
        try:
            self.link.sendall(request.frame)
        except OSError:
            self.deadline = 0.0  # collected at once, as a failure

    def collect(self) -> R:
        """What came of the oldest request. Raises ServerFailed."""
        request = self._sent.popleft()
        try:
            if self.deadline <= time.monotonic():
                raise OSError("no reply from the sandbox process")
            head, _, rest = self._frame().partition(b"\n")
            reply = self.read(json.loads(head), rest, request)
        except (OSError, ValueError, KeyError) as error:
            raise ServerFailed(str(error)) from error
        self.deadline = time.monotonic() + self.patience
        return reply

    def _frame(self) -> bytes:
        (size,) = struct.unpack("!Q", self._exactly(8))
        return self._exactly(size)

    def _exactly(self, count: int) -> bytes:
        data = self.link.recv(min(1 << 20, count))
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
