"""Lean on this machine: a pool of fork servers, one disposable process per check.

What a process says was written by it, so it is a claim (docs/design/lean.md): messages decide the
hackable grades only, and the sound one re-checks the written file in yet another process.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from awry.errors import UserError
from awry.lean.builtin.limits import LeanLimits, pack
from awry.lean.builtin.worker import Kind, Plan, Reply, Worker
from awry.lean.checks import Elaboration, Message
from awry.sandbox.crew import Crew
from awry.sandbox.isolation import Isolation, insist, level

_MOST_MESSAGES = 5000
_FLOOD = Message("error", "too many messages: the rest was cut off", kind="awry.flood")
_TOO_BIG = "excessive memory consumption detected"
_SEVERITIES = ("error", "warning", "information")


@dataclass(frozen=True)
class JudgeJob:
    """Two files that Lean wrote, and the full name of the theorem that both should hold."""

    reference: bytes
    submission: bytes
    theorem: str


class LeanPool:
    """A `Toolchain`: Lean from the wheel, over our own core library.

    workers: processes of each kind, by default the usable cores. The servers that judge are
    started when first needed. library, core: where Lean's shared object and the folder of
    Init.olean are, by default found and built. isolation: as for `PythonSandbox`. Raises
    SandboxError if no server can start. Use as a context manager, or call `close()`.
    """

    name = "builtin"
    writes_oleans = True

    def __init__(
        self,
        workers: int | None = None,
        wall_s: float = 20.0,
        cpu_s: float = 10.0,
        memory_mb: int = 1024,
        isolation: Isolation = "auto",
        *,
        limits: LeanLimits | None = None,
        library: Path | None = None,
        core: Path | None = None,
    ) -> None:
        if workers is not None and workers < 1:
            raise UserError("needs at least one worker", field="workers", value=workers)
        strongest = level(isolation)
        self.limits = limits or LeanLimits(wall_s=wall_s, cpu_s=cpu_s, memory_mb=memory_mb)
        self.workers = workers or len(os.sched_getaffinity(0))
        self._plan = Plan(library or _library(), core or _core(), self.limits, strongest)
        self._elaborating = self._crew("elaborate")
        try:
            self._elaborating.start()
            self.isolation = self._elaborating.isolation
            insist(isolation, self.isolation, self._elaborating.missing, "proofs")
        except BaseException:
            self._elaborating.close()
            raise
        self._judging = self._crew("judge", self.isolation)

    def _crew(self, kind: Kind, isolation: str = "") -> Crew[bytes, Reply]:
        return Crew(
            self.workers,
            lambda _: Worker(kind, self._plan),
            failed=lambda _, error: Reply("failed", error),
            again=lambda reply: reply.ended == "crashed",
            isolation=isolation,
        )

    def __enter__(self) -> LeanPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._elaborating.close()
        self._judging.close()

    def servers(self) -> list[int]:
        """Process ids of those that run now."""
        crews = (self._elaborating, self._judging)
        return [server.process.pid for crew in crews for server in crew.servers]

    def identity(self) -> dict[str, str]:
        from awry.lean.builtin import core, library

        lean = library.find()
        limits = ", ".join(f"{name} {value:g}" for name, value in asdict(self.limits).items())
        return {
            "toolchain": self.name,
            "lean": lean.version,
            "commit": lean.commit,
            "core": core.digest(),
            "limits": limits,
            "isolation": self.isolation,
        }

    def elaborate(self, texts: Sequence[tuple[str, str]]) -> list[Elaboration]:
        """(header, text) each, in a process of its own; in the order of `texts`.

        One that crashed is run once more, and one that its server failed, in a fresh server.
        """
        heads = [f"{header}\n" if header.strip() else "" for header, _ in texts]
        bodies = [
            (head + text).encode(errors="replace")
            for head, (_, text) in zip(heads, texts, strict=True)
        ]
        replies = self._elaborating.run(bodies)
        return [
            _elaboration(reply, head.count("\n"), self.isolation)
            for reply, head in zip(replies, heads, strict=True)
        ]

    def judge(self, jobs: Sequence[JudgeJob]) -> list[dict[str, Any]]:
        """What `awry.lean.sound.judge.judge` finds of each, with "ended": "finished"; else only how it
        ended and "detail"."""
        bodies = [pack(job.reference, job.submission, job.theorem.encode()) for job in jobs]
        return [_judgement(reply) for reply in self._judging.run(bodies)]


def _library() -> Path:
    from awry.lean.builtin.library import find

    return find().path


def _core() -> Path:
    from awry.lean.builtin.core import built

    return built()


def _elaboration(reply: Reply, header_lines: int, isolation: str) -> Elaboration:
    messages = read_messages(reply.output, header_lines)
    if reply.flooded:
        messages = (*messages[:_MOST_MESSAGES], _FLOOD)
    too_big = any(m.severity == "error" and _TOO_BIG in m.text for m in messages)
    return Elaboration(
        ended="memory" if too_big and reply.ended == "finished" else reply.ended,
        messages=messages,
        olean=reply.written if reply.ended == "finished" else None,
        exit_code=reply.exit_code,
        seconds=reply.seconds,
        peak_mb=reply.peak_mb,
        detail=reply.detail,
        isolation=isolation,
    )


def read_messages(output: bytes, header_lines: int = 0) -> tuple[Message, ...]:
    """Lean's messages, one JSON object a line. Hostile: what is malformed is passed over.

    Lines are counted from the end of the header.
    """
    found: list[Message] = []
    for line in output.split(b"\n"):
        if not line.startswith(b"{"):
            continue
        try:
            fields: Any = json.loads(line)
        except (ValueError, RecursionError):
            continue
        match fields:
            case {"severity": severity, "data": str(text)} if severity in _SEVERITIES:
                kind, place = fields.get("kind"), fields.get("pos")
                place = place if isinstance(place, dict) else {}
                row, column = place.get("line"), place.get("column")
                message = Message(
                    severity,
                    text,
                    kind if isinstance(kind, str) and kind != "[anonymous]" else "",
                    row - header_lines if isinstance(row, int) else 0,
                    column if isinstance(column, int) else 0,
                )
                found.append(message)
            case _:
                continue
        if len(found) == _MOST_MESSAGES:
            return (*found, _FLOOD)
    return tuple(found)


def _judgement(reply: Reply) -> dict[str, Any]:
    if reply.ended != "finished":
        return {"ended": reply.ended, "detail": reply.detail}
    try:
        found = json.loads(reply.output)
        if reply.exit_code == 0 and not reply.flooded and isinstance(found, dict):
            return {**found, "ended": "finished"}
    except (ValueError, RecursionError):
        pass
    # Our own code raised: the verifier failed, whatever the files hold.
    return {"ended": "failed", "detail": reply.detail or "the judge said nothing"}
