"""Lean on this machine: a pool of fork servers, one disposable process per check.

What a process says was written by it, so it is a claim (docs/design/lean.md): messages decide the
hackable grades only, and the sound one re-checks the written file in yet another process.
"""

from __future__ import annotations

import json
import os
import selectors
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from awry.errors import UserError
from awry.lean.builtin.limits import LeanLimits, pack
from awry.lean.builtin.worker import Kind, Plan, Reply, Worker
from awry.lean.checks import Elaboration, Message
from awry.sandbox.program import SandboxError
from awry.sandbox.python import REQUIRED, Isolation, IsolationWarning

_AHEAD = 2  # checks a server is given at a time: it need not wait for us between two
_TRIES = 2
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
        if not sys.platform.startswith("linux"):
            raise UserError("Lean checks need Linux", value=sys.platform, fix="use a container")
        if workers is not None and workers < 1:
            raise UserError("needs at least one worker", field="workers", value=workers)
        if isolation not in get_args(Isolation):
            fix = "use " + ", ".join(get_args(Isolation))
            raise UserError("unknown isolation", field="isolation", value=isolation, fix=fix)
        self.limits = limits or LeanLimits(wall_s=wall_s, cpu_s=cpu_s, memory_mb=memory_mb)
        self.workers = workers or len(os.sched_getaffinity(0))
        level = "namespaces" if isolation in ("auto", "require") else isolation
        self._plan = Plan(library or _library(), core or _core(), self.limits, level)
        self._locks: dict[Kind, threading.Lock] = {
            "elaborate": threading.Lock(),
            "judge": threading.Lock(),
        }
        self._crews: dict[Kind, list[Worker]] = {"elaborate": [], "judge": []}
        self._closed = False
        self.isolation, self.missing = "", ()
        try:
            self._start("elaborate")
            self._insist(isolation)
        except BaseException:
            self.close()
            raise

    def _start(self, kind: Kind) -> None:
        crew = self._crews[kind]
        crew += [Worker(kind, self._plan) for _ in range(self.workers)]
        for worker in crew:
            layers, missing = worker.greet()
            if not self.isolation:
                self.isolation, self.missing = layers, missing
            if layers != self.isolation:
                raise SandboxError(f"isolation changed from {self.isolation} to {layers}")

    def _insist(self, isolation: Isolation) -> None:
        lacking = [name for name in REQUIRED if name not in self.isolation.split("+")]
        if not lacking or isolation not in ("auto", "require"):
            return
        why = "; ".join(self.missing) or "not available here"
        if isolation == "require":
            raise UserError(
                f"this machine does not isolate proofs enough: no {', '.join(lacking)} ({why})",
                field="isolation",
                value="require",
                fix="see `awry sandbox doctor`, or use isolation: auto to take what there is",
            )
        warnings.warn(
            f"proofs are isolated by {self.isolation} only; missing: {why} "
            "(see `awry sandbox doctor`)",
            IsolationWarning,
            stacklevel=3,
        )

    def __enter__(self) -> LeanPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._closed = True
        for kind in self._crews:
            self._dismiss(kind)

    def _dismiss(self, kind: Kind) -> None:
        while self._crews[kind]:
            self._crews[kind].pop().close()

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
        replies = self._run("elaborate", bodies)
        return [
            _elaboration(reply, head.count("\n"), self.isolation)
            for reply, head in zip(replies, heads, strict=True)
        ]

    def judge(self, jobs: Sequence[JudgeJob]) -> list[dict[str, Any]]:
        """What `awry.lean.sound.judge.judge` finds of each, with "ended": "finished"; else only how it
        ended and "detail"."""
        bodies = [pack(job.reference, job.submission, job.theorem.encode()) for job in jobs]
        return [_judgement(reply) for reply in self._run("judge", bodies)]

    def _run(self, kind: Kind, bodies: Sequence[bytes]) -> list[Reply]:
        """Run all, in parallel, and return what came of them in the order given."""
        with self._locks[kind]:
            if self._closed:
                raise SandboxError("the pool is closed")
            if not self._crews[kind]:
                self._start(kind)
            try:
                return _Round(self, self._crews[kind], kind, bodies).replies()
            except BaseException:
                # Servers with replies on their way would give them to the next caller.
                self._dismiss(kind)
                raise

    def replacement(self, kind: Kind, old: Worker) -> Worker:
        """A fresh server for one that failed."""
        old.close()
        worker = Worker(kind, self._plan)
        layers, _ = worker.greet()
        if layers != self.isolation:
            worker.close()
            raise SandboxError(f"isolation changed from {self.isolation} to {layers}")
        return worker


class _Round:
    """One batch of requests, spread over the servers of one kind."""

    def __init__(
        self, pool: LeanPool, crew: list[Worker], kind: Kind, bodies: Sequence[bytes]
    ) -> None:
        self.pool, self.crew, self.bodies = pool, crew, bodies
        self.kind: Kind = kind
        self.waiting = deque((index, 1) for index in range(len(bodies)))
        self.given: list[deque[tuple[int, int]]] = [deque() for _ in crew]  # index, which try

    def replies(self) -> list[Reply]:
        found: dict[int, Reply] = {}
        with selectors.DefaultSelector() as selector:
            for slot, worker in enumerate(self.crew):
                selector.register(worker.link, selectors.EVENT_READ, slot)
            while self.waiting or any(self.given):
                for slot in range(len(self.crew)):
                    self._give(slot)
                busy = [slot for slot, own in enumerate(self.given) if own]
                nearest = min(self.crew[slot].deadline for slot in busy)
                events = selector.select(max(0.0, nearest - time.monotonic()))
                ready = {key.data for key, _ in events}
                now = time.monotonic()
                for slot in busy:
                    worker = self.crew[slot]
                    if slot not in ready and worker.deadline > now:
                        continue
                    index, attempt = self.given[slot].popleft()
                    reply = worker.collect()
                    if reply.ended == "failed":
                        # What it had been given ahead was not at fault.
                        self.waiting.extendleft(reversed(self.given[slot]))
                        self.given[slot].clear()
                        selector.unregister(worker.link)
                        self.crew[slot] = self.pool.replacement(self.kind, worker)
                        selector.register(self.crew[slot].link, selectors.EVENT_READ, slot)
                    if reply.ended in ("failed", "crashed") and attempt < _TRIES:
                        self.waiting.append((index, attempt + 1))
                    else:
                        found[index] = reply
        return [found[index] for index in range(len(self.bodies))]

    def _give(self, slot: int) -> None:
        own, worker = self.given[slot], self.crew[slot]
        while self.waiting and len(own) < _AHEAD:
            # The last ones are spread over the servers, not queued behind one.
            if own and len(self.waiting) < len(self.crew):
                return
            index, attempt = self.waiting[0]
            if not worker.takes(self.bodies[index]):
                return
            self.waiting.popleft()
            own.append((index, attempt))
            worker.submit(self.bodies[index])


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
