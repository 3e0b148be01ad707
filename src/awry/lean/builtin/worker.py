"""Checks, as a fork server of Lean is sent them, and what it tells of them."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from awry.lean.builtin.limits import LeanLimits, how_it_ended
from awry.lean.checks import Ended
from awry.sandbox.forkserver import ForkServer, Request

Kind = Literal["elaborate", "judge"]


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


class Worker(ForkServer[bytes, Reply]):
    """An item is the body of a request."""

    def __init__(self, kind: Kind, plan: Plan) -> None:
        self.kind: Kind = kind
        self.plan = plan
        settings = {
            "kind": kind,
            "library": str(plan.library),
            "core": str(plan.core),
            "level": plan.level,
            "limits": plan.limits.for_child(),
            "memory_mb": plan.limits.memory_mb,
            "message_bytes": plan.limits.message_bytes,
        }
        super().__init__("awry.lean.builtin.zygote", settings, plan.limits.wall_s)

    def successor(self, item: bytes | None = None) -> Worker:
        return Worker(self.kind, self.plan)

    def request(self, item: bytes) -> Request[bytes]:
        return Request(item, struct.pack("!Q", len(item)) + item)

    def read(self, header: dict[str, Any], rest: bytes, request: Request[bytes]) -> Reply:
        output, complaint = header["output"], header["output"] + header["complaint"]
        said = rest[output:complaint].decode(errors="replace")
        ended, detail = how_it_ended(header, said, self.plan.limits.cpu_s)
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
