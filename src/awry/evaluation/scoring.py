"""From answers to marks to metrics, and what marks them: detectors, one judge, one sandbox."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from awry import __version__
from awry.evaluation import benchmarks, metrics, record
from awry.evaluation.items import Benchmark
from awry.evaluation.marks.judges import Judge, JudgeConfig
from awry.evaluation.marks.scorers import Scorer, corrections, find_scorers
from awry.evaluation.record import METRICS, Stored
from awry.files import atomic_write_json, read_json
from awry.progress import Progress
from awry.sandbox.python import PythonSandbox

if TYPE_CHECKING:
    from awry.lean.verifier import Verifier


class Scoring:
    """Scorers for any benchmark; use as a context manager. The sandbox is started when code is
    graded, the judge's connections and its cost are shared by all benchmarks. lean: the name of a
    Lean toolchain, opened when proofs are checked.
    """

    def __init__(
        self,
        detector: str | Path | None = None,
        judge: JudgeConfig | None = None,
        lean: str | None = None,
    ) -> None:
        self.detector, self.lean = detector, lean
        self.judge = Judge(judge) if judge is not None else None
        self._sandbox: PythonSandbox | None = None
        self._verifier: Verifier | None = None

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
        if self._verifier is not None:
            self._verifier.close()
        if self.judge is not None:
            self.judge.close()

    def __call__(self, benchmark: Benchmark) -> list[Scorer]:
        """What can mark the answers to a benchmark now. Raises UserError for a missing detector."""
        found = find_scorers(benchmark, detector=self.detector, judge=self.judge)
        make = make_lean = None
        if benchmark.name in benchmarks.names():  # a benchmark from elsewhere has no module here
            make = benchmarks.own_scorer(benchmark.name)
            make_lean = benchmarks.lean_scorer(benchmark.name)
        if make is not None:
            self._sandbox = self._sandbox or PythonSandbox()
            found.append(make(self._sandbox))
        if make_lean is not None and self.lean is not None:
            found.append(make_lean(self._verify()))
        return found

    def _verify(self) -> Verifier:
        if self._verifier is None:
            from awry.lean.toolchains import find_toolchain
            from awry.lean.verifier import Verifier

            self._verifier = Verifier(find_toolchain(self.lean or ""))
        return self._verifier

    def costs(self) -> dict[str, Any] | None:
        """What the judge was asked, None without one."""
        return None if self.judge is None else self.judge.costs()


def mark_and_measure(
    stored: Stored, benchmark: Benchmark, using: Sequence[Scorer], progress: Progress
) -> dict[str, Any]:
    """Marks of every scorer in use, then the metrics from all marks there are; metrics.json."""
    folder, kept = stored.folder, stored.record
    for scorer in using:
        _mark(stored, scorer, progress)
    asked = {response.item for response in stored.responses}
    items = [item for item in stored.items if item.id in asked]
    found = benchmark.metrics(items, stored.responses, stored.marks)
    corrected = corrections(items, stored.responses, stored.marks, using)
    rows = metrics.rows(benchmark, [*found, *corrected], len(stored.responses))
    document = {
        "awry": __version__,
        "kind": "metrics",
        "subject": kept["subject"],
        "conditions": kept["conditions"],
        "metrics": [*rows, *_corrected_before(stored, rows, using)],
    }
    atomic_write_json(folder / METRICS, document)
    if not kept["finished"]:
        kept["finished"] = True
        record.save_record(folder, kept)
    return document


def _mark(stored: Stored, scorer: Scorer, progress: Progress) -> None:
    """Marks of one scorer, unless they are there: by the same identity and none missing."""
    name, kept = scorer.name, stored.record
    identity = json.loads(json.dumps(scorer.identity))
    same = kept["conditions"]["scorers"].get(name) == identity
    if name in stored.marks and same and not record.missing_marks(stored.marks[name]):
        return
    begun = False

    def told(done: int, total: int) -> None:
        nonlocal begun
        if not begun and done < total:
            progress.begin(f"{kept['benchmark']}: {name}", 0, 0, total)
            begun = True
        if begun:
            progress.step(done, {})

    marks = scorer.score(stored.items, stored.responses, told)
    file = record.marks_file(name)
    # no kill may leave marks under the identity of another scorer
    kept["conditions"]["scorers"].pop(name, None)
    kept["scores"].pop(name, None)
    record.save_record(stored.folder, kept)
    record.write_marks(stored.folder / file, stored.responses, marks)
    kept["conditions"]["scorers"][name] = identity
    kept["scores"][name] = {"file": file, "missing": record.missing_marks(marks)}
    record.save_record(stored.folder, kept)
    stored.marks[name] = record.read_marks(stored.folder / file, stored.responses)


def _corrected_before(
    stored: Stored, rows: Sequence[Mapping[str, Any]], using: Sequence[Scorer]
) -> list[dict[str, Any]]:
    """Rows that only a scorer in use can make, of scorers whose marks stay though they are not."""
    others = stored.marks.keys() - {scorer.name for scorer in using}
    here = {row["metric"] for row in rows}
    before = (read_json(stored.folder / METRICS) or {}).get("metrics", [])
    return [
        row
        for row in before
        if "_corrected[" in row["metric"]
        and row["metric"] not in here
        and row["metric"].partition("[")[2].removesuffix("]") in others
    ]
