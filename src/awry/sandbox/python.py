"""Run untrusted Python programs: a pool of fork servers, one disposable process per program.

What an outcome says was written by the untrusted process, so it is a claim: a *value* is worth
something only because the caller compares it with one the process never saw
(docs/design/sandbox.md).
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from awry.errors import UserError
from awry.sandbox.crew import Crew
from awry.sandbox.isolation import Isolation, IsolationWarning, insist, level
from awry.sandbox.program import Limits, Outcome, Program, SandboxError, Status
from awry.sandbox.values import Failed, Iterable, Nodes, Returned
from awry.sandbox.worker import Worker, failure

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
        if workers is not None and workers < 1:
            raise UserError("needs at least one worker", field="workers", value=workers)
        strongest, self.limits = level(isolation), limits or Limits()
        cores = sorted(os.sched_getaffinity(0))
        self.workers = workers or len(cores)

        def worker(slot: int) -> Worker:
            # small pools of several processes should not meet on the first cores
            return Worker(self.limits, strongest, cores[(os.getpid() + slot) % len(cores)])

        self._crew = Crew(
            self.workers, worker, lambda program, error: failure(program, error, self.isolation)
        )
        try:
            self._crew.start()
            self.isolation, self.missing = self._crew.isolation, self._crew.missing
            insist(isolation, self.isolation, self.missing, "answers")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> PythonSandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._crew.close()

    def servers(self) -> list[int]:
        """Process ids of those that run now."""
        return [server.process.pid for server in self._crew.servers]

    def run(self, programs: Sequence[Program]) -> list[Outcome]:
        """Run all, in parallel, and return their outcomes in the order given.

        A program whose fork server fails is retried once on a fresh one; a second failure is an
        outcome with status "sandbox_error".
        """
        return self._crew.run(programs)
