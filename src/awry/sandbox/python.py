"""Run untrusted Python programs: a pool of fork servers, one disposable process per program.

What an outcome says was written by the untrusted process, so it is a claim: a *value* is worth
something only because the caller compares it with one the process never saw
(docs/design/sandbox.md).
"""

from __future__ import annotations

import os
import selectors
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Sequence
from typing import Literal, get_args

from awry.errors import UserError
from awry.sandbox.program import Limits, Outcome, Program, SandboxError, Status
from awry.sandbox.values import Failed, Iterable, Nodes, Returned
from awry.sandbox.worker import Request, Worker

__all__ = [
    "Failed",
    "Isolation",
    "IsolationWarning",
    "Iterable",
    "Limits",
    "Nodes",
    "Outcome",
    "Program",
    "PythonSandbox",
    "Returned",
    "SandboxError",
    "Status",
]

Isolation = Literal["auto", "require", "namespaces", "landlock", "rlimits"]
# What `isolation="require"` insists on.
REQUIRED = ("pidns", "netns", "ipcns", "tmpfs-root", "seccomp", "rlimits")
_AHEAD = 2  # programs a server is given at a time: it need not wait for us between two


class IsolationWarning(UserWarning):
    """A layer of isolation is missing on this machine."""


class PythonSandbox:
    """A pool of fork servers, started once. Use as a context manager, or call `close()`.

    workers: processes, by default the usable cores. isolation: "auto" takes the strongest that
    this machine gives and warns of what is missing; "require" raises UserError instead; "landlock"
    and "rlimits" leave stronger layers out, for comparisons ("namespaces" is "auto" without the
    warning). Raises SandboxError if no server can start.
    """

    def __init__(
        self,
        workers: int | None = None,
        limits: Limits | None = None,
        *,
        isolation: Isolation = "auto",
    ) -> None:
        if not sys.platform.startswith("linux"):
            raise UserError(
                "the code sandbox needs Linux", value=sys.platform, fix="run it in a container"
            )
        if workers is not None and workers < 1:
            raise UserError("needs at least one worker", field="workers", value=workers)
        if isolation not in get_args(Isolation):
            fix = "use " + ", ".join(get_args(Isolation))
            raise UserError("unknown isolation", field="isolation", value=isolation, fix=fix)
        self.limits = limits or Limits()
        cores = sorted(os.sched_getaffinity(0))
        self.workers = workers or len(cores)
        self._level = "namespaces" if isolation in ("auto", "require") else isolation
        self._lock = threading.Lock()
        self._pool: list[Worker] = []
        try:
            for number in range(self.workers):
                # small pools of several processes should not meet on the first cores
                core = cores[(os.getpid() + number) % len(cores)]
                self._pool.append(Worker(self.limits, self._level, core))
            self.isolation, self.missing = self._pool[0].greet()
            for worker in self._pool[1:]:
                worker.greet()
            self._insist(isolation)
        except BaseException:
            self.close()
            raise

    def _insist(self, isolation: Isolation) -> None:
        lacking = [name for name in REQUIRED if name not in self.isolation.split("+")]
        if not lacking or isolation not in ("auto", "require"):
            return
        why = "; ".join(self.missing) or "not available here"
        if isolation == "require":
            raise UserError(
                f"this machine does not isolate code enough: no {', '.join(lacking)} ({why})",
                field="isolation",
                value="require",
                fix="see `awry sandbox doctor`, or use isolation: auto to take what there is",
            )
        warnings.warn(
            f"answers are isolated by {self.isolation} only; missing: {why} "
            "(see `awry sandbox doctor`)",
            IsolationWarning,
            stacklevel=4,
        )

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
        given: list[deque[tuple[int, int]]] = [deque() for _ in self._pool]  # index, failures
        with selectors.DefaultSelector() as selector:
            for slot, worker in enumerate(self._pool):
                selector.register(worker.link, selectors.EVENT_READ, slot)
            while waiting or any(given):
                for slot in range(len(self._pool)):
                    self._give(slot, given[slot], waiting, programs, selector)
                now = time.monotonic()
                busy = [slot for slot, own in enumerate(given) if own]
                nearest = min(self._pool[slot].deadline for slot in busy)
                ready = {key.data for key, _ in selector.select(max(0.0, nearest - now))}
                now = time.monotonic()
                for slot in busy:
                    worker = self._pool[slot]
                    if slot not in ready and worker.deadline > now:
                        continue
                    index, failures = given[slot].popleft()
                    outcome = worker.collect(self.isolation)
                    if outcome.status == "sandbox_error":
                        # What it had been given ahead was not at fault.
                        waiting.extendleft(reversed(given[slot]))
                        given[slot].clear()
                        self._replace(slot, worker.extras, selector)
                    if outcome.status == "sandbox_error" and failures == 0:
                        waiting.append((index, 1))
                    else:
                        outcomes[index] = outcome
        return [outcome for outcome in outcomes if outcome is not None]

    def _give(
        self,
        slot: int,
        own: deque[tuple[int, int]],
        waiting: deque[tuple[int, int]],
        programs: Sequence[Program],
        selector: selectors.BaseSelector,
    ) -> None:
        """Keep one server supplied; a second program only while all that it holds is small."""
        while waiting and len(own) < _AHEAD:
            index, failures = waiting[0]
            request = Request(programs[index])
            worker = self._pool[slot]
            if request.needs_extras and not worker.extras:
                if own:
                    return
                worker = self._replace(slot, True, selector)
            # A server that writes a reply does not read: never wait for it with a long request.
            if own and not (request.small and all(sent.small for sent in worker.sent)):
                return
            # The last programs are spread over the servers, not queued behind one.
            if own and len(waiting) < len(self._pool):
                return
            waiting.popleft()
            own.append((index, failures))
            worker.submit(request)

    def _replace(self, slot: int, extras: bool, selector: selectors.BaseSelector) -> Worker:
        """A fresh server in this place: after a failure, or with the extra modules, which
        makes every fork of its server dearer."""
        old = self._pool[slot]
        selector.unregister(old.link)
        old.close()
        self._pool[slot] = worker = Worker(self.limits, self._level, old.core, extras)
        layers, _ = worker.greet()
        if layers != self.isolation:
            raise SandboxError(f"isolation changed from {self.isolation} to {layers}")
        selector.register(worker.link, selectors.EVENT_READ, slot)
        return worker
