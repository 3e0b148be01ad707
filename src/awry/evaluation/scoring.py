"""Everything that marks answers in one command: detectors, one judge, one sandbox, opened once."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

from awry.evaluation import benchmarks
from awry.evaluation.items import Benchmark
from awry.evaluation.judges import Judge, JudgeConfig
from awry.evaluation.scorers import Scorer, find_scorers
from awry.sandbox.python import PythonSandbox


class Scoring:
    """Scorers for any benchmark; use as a context manager. The sandbox is started when code is
    graded, the judge's connections and its cost are shared by all benchmarks.
    """

    def __init__(
        self, detector: str | Path | None = None, judge: JudgeConfig | None = None
    ) -> None:
        self.detector = detector
        self.judge = Judge(judge) if judge is not None else None
        self._sandbox: PythonSandbox | None = None

    def __enter__(self) -> Scoring:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._sandbox is not None:
            self._sandbox.close()
        if self.judge is not None:
            self.judge.close()

    def __call__(self, benchmark: Benchmark) -> list[Scorer]:
        """What can mark the answers to a benchmark now. Raises UserError for a missing detector."""
        found = find_scorers(benchmark, detector=self.detector, judge=self.judge)
        make = None
        if benchmark.name in benchmarks.names():  # a benchmark from elsewhere has no module here
            make = benchmarks.own_scorer(benchmark.name)
        if make is not None:
            self._sandbox = self._sandbox or PythonSandbox()
            found.append(make(self._sandbox))
        return found

    def costs(self) -> dict[str, Any] | None:
        """What the judge was asked, None without one."""
        return None if self.judge is None else self.judge.costs()
