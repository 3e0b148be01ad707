"""One fork server, as its parent sees it: start it, send it checks, read what comes back."""

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
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from awry.lean.builtin.limits import LeanLimits, how_it_ended
from awry.lean.checks import Ended
from awry.sandbox.confinement import remove_content
from awry.sandbox.program import SandboxError

Kind = Literal["elaborate", "judge"]

# The fork server's interpreter sees this package and, ahead of it, the standard library.
_PACKAGES = Path(__file__).parents[3]
_START = (
    "import sys; sys.path.append(sys.argv[1]); from awry.lean.builtin.zygote import serve; "
    "serve(int(sys.argv[2]), sys.argv[3])"
)
_GRACE_S = 10.0  # beyond a check's own limit, until its server counts as hung
_START_S = 60.0
_SMALL = 32 << 10  # bytes of a request that a socket takes without waiting for its reader


@dataclass(frozen=True)
class Plan:
    """What a server is started with. library: Lean's shared object; core: folder of Init.olean."""

    library: Path
    core: Path
    limits: LeanLimits
    level: str


@dataclass(frozen=True)
class Reply:
    """What came of one request. written: the file that the child made, if any."""

    ended: Ended
    detail: str
    output: bytes = b""
    written: bytes | None = None
    exit_code: int | None = None
    flooded: bool = False
    seconds: float = 0.0
    peak_mb: float = 0.0


class Worker:
    """A fork server process and the socket to it. Requests are answered in the order sent."""

    def __init__(self, kind: Kind, plan: Plan) -> None:
        self.limits = plan.limits
        self.base = tempfile.mkdtemp(prefix="awry-")
        os.chmod(self.base, 0o711)
        self.link, theirs = socket.socketpair()
        self.link.settimeout(_START_S)
        self.patience = plan.limits.wall_s + _GRACE_S
        self.deadline = 0.0
        self.sent: deque[bytes] = deque()
        settings = {
            "kind": kind,
            "base": self.base,
            "library": str(plan.library),
            "core": str(plan.core),
            "level": plan.level,
            "limits": plan.limits.for_child(),
            "memory_mb": plan.limits.memory_mb,
            "message_bytes": plan.limits.message_bytes,
        }
        arguments = (_START, str(_PACKAGES), str(theirs.fileno()), json.dumps(settings))
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-s", "-S", "-P", "-B", "-X", "utf8", "-c", *arguments],
                env={"PYTHONHASHSEED": "0"},
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
            self.link.settimeout(self.patience)
            return "+".join(hello["layers"]), tuple(hello["missing"])
        except (OSError, ValueError) as error:
            raise SandboxError(f"a Lean process did not start: {error}") from error

    def takes(self, body: bytes) -> bool:
        """Whether it can be given this now: a server that writes a reply does not read, so one
        that has something to do gets a second request only while all that it holds is small."""
        return not self.sent or all(len(each) <= _SMALL for each in (body, *self.sent))

    def submit(self, body: bytes) -> None:
        self.sent.append(body)
        if len(self.sent) == 1:
            self.deadline = time.monotonic() + self.patience
        try:
            self.link.sendall(struct.pack("!Q", len(body)) + body)
        except OSError:
            self.deadline = 0.0  # collected at once, as a failure

    def collect(self) -> Reply:
        """What came of the oldest request; "failed" where the server failed it."""
        self.sent.popleft()
        try:
            if self.deadline <= time.monotonic():
                raise OSError("no reply from the Lean process")
            frame = self._frame()
            line, _, rest = frame.partition(b"\n")
            reply = self._read(json.loads(line), rest)
        except (OSError, ValueError, KeyError) as error:
            return Reply("failed", str(error))
        self.deadline = time.monotonic() + self.patience
        return reply

    def _read(self, header: dict[str, Any], rest: bytes) -> Reply:
        output, complaint = header["output"], header["output"] + header["complaint"]
        said = rest[output:complaint].decode(errors="replace")
        ended, detail = how_it_ended(header, said, self.limits.cpu_s)
        code = os.waitstatus_to_exitcode(header["exit"])
        return Reply(
            ended=ended,
            detail=detail,
            output=rest[:output],
            written=rest[complaint:] if header["written"] else None,
            exit_code=code if code >= 0 and header["word"] == "ended" else None,
            flooded=header["word"] == "flood",
            seconds=float(header["seconds"]),
            peak_mb=float(header["peak_mb"]),
        )

    def _frame(self) -> bytes:
        (size,) = struct.unpack("!Q", self._exactly(8))
        return self._exactly(size)

    def _exactly(self, count: int) -> bytes:
        held = bytearray()
        while len(held) < count:
            chunk = self.link.recv(min(1 << 20, count - len(held)))
            if not chunk:
                raise OSError("the Lean process ended")
            held += chunk
        return bytes(held)

    def close(self) -> None:
        self.link.close()
        self.process.kill()
        self.process.wait()
        with contextlib.suppress(OSError):
            remove_content(self.base)
            os.rmdir(self.base)
