"""What marks responses: refusal detectors without a model, and judges. Which a benchmark can use.

A scorer reads items and stored responses only, so that anything can be scored again later.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from awry.evaluation.items import Benchmark, Item, Mark, Metric, Response
from awry.evaluation.marks import degeneration, detectors, refusal_model
from awry.evaluation.marks.agreement import Corrected, corrected
from awry.evaluation.marks.judges import Judge, JudgeConfig, JudgeScorer, question
from awry.evaluation.marks.refusal_model import THRESHOLD, RefusalModel
from awry.evaluation.marks.rubrics import KINDS, find_rubric, kind_of_rubric

Progress = Callable[[int, int], None]
REFUSAL = "refusal"  # the kind of the detectors
LEXICAL = "lexical"
MOST_MISSING = 0.02  # of the marks: above, a metric's value is withheld
_DETECTORS = (REFUSAL, LEXICAL, "fitted")
_NOT_WORDS = "not an answer in words"


def _silent(done: int, total: int) -> None: ...


class Scorer(Protocol):
    """Marks responses. name stands in the names of metrics; identity is everything that can change
    its marks, and evaluations whose scorers' identities differ are not compared."""

    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> dict[str, Any]: ...

    def score(
        self, items: Sequence[Item], responses: Sequence[Response], progress: Progress = _silent
    ) -> list[dict[str, Mark]]:
        """One mapping of marks per response, in order."""
        ...


class LexicalScorer:
    """Refusal by its wording (`detectors`)."""

    name = detectors.NAME

    @property
    def identity(self) -> dict[str, Any]:
        return {
            "detector": LEXICAL,
            "version": detectors.VERSION,
            "digest": detectors.digest(),
            "degeneration": degeneration.digest(),
        }

    def score(
        self, items: Sequence[Item], responses: Sequence[Response], progress: Progress = _silent
    ) -> list[dict[str, Mark]]:
        faults = _faults(items, responses)
        marks = [
            _refusal_marks(fault, None if r.text is None else detectors.classify(r.text).klass)
            for fault, r in zip(faults, responses, strict=True)
        ]
        progress(len(responses), len(responses))
        return marks


class FittedScorer:
    """Refusal by a fitted classifier (`refusal_model`). It never says "partial"."""

    def __init__(self, model: RefusalModel) -> None:
        self.model = model
        self.name = f"fitted-v{refusal_model.FORMAT}:{model.digest[:8]}"

    @property
    def identity(self) -> dict[str, Any]:
        return {
            "detector": "fitted",
            "version": refusal_model.FORMAT,
            "digest": self.model.digest,
            "training_digest": self.model.about["training_digest"],
            "threshold": THRESHOLD,
            "degeneration": degeneration.digest(),
        }

    def score(
        self, items: Sequence[Item], responses: Sequence[Response], progress: Progress = _silent
    ) -> list[dict[str, Mark]]:
        faults = _faults(items, responses)
        chances = self.model.probabilities([r.text or "" for r in responses])
        marks: list[dict[str, Mark]] = []
        for fault, response, chance in zip(faults, responses, chances.tolist(), strict=True):
            found = "refusal" if chance > THRESHOLD else "compliance"
            marks.append(_refusal_marks(fault, None if response.text is None else found, chance))
        progress(len(responses), len(responses))
        return marks


def find_scorers(
    benchmark: Benchmark,
    *,
    detector: str | Path | None = None,
    judge: Judge | JudgeConfig | None = None,
) -> list[Scorer]:
    """What can mark a benchmark's responses now, the preferred of each kind first.

    detector: "lexical", or the file of a fitted one, which then goes before it. judge: an open judge
    (to share its connections and count its cost over benchmarks), or where to find one. Raises UserError.
    """
    found: list[Scorer] = []
    if set(benchmark.scorers) & set(_DETECTORS):
        if detector is not None and str(detector) != LEXICAL:
            found.append(FittedScorer(refusal_model.load(Path(detector))))
        found.append(LexicalScorer())
    if judge is not None:
        kinds = [kind for kind in benchmark.judged if kind in KINDS]
        opened = Judge(judge) if isinstance(judge, JudgeConfig) and kinds else judge
        for kind in kinds:
            assert isinstance(opened, Judge)
            rubric = find_rubric(kind, opened.config.rubrics, opened.config.numbers)
            found.append(JudgeScorer(opened, rubric))
    return found


def kind_of(name: str) -> str:
    """The kind of marks behind a scorer's name: "refusal", a rubric's kind, or ""."""
    if name.startswith(("lexical-v", "fitted-v")):
        return REFUSAL
    return kind_of_rubric(name.rpartition(":")[2]) if name.startswith("judge:") else ""


def missing(marks: Sequence[Mapping[str, Mark]], mark: str) -> list[bool]:
    """Per response, whether a mark could not be made. A judge that says CODE or REFUSAL instead of a
    number has answered: its score is None without a failure."""
    return [m.get(mark) is None and (mark != "score" or "failure" in m) for m in marks]


def withheld(count: int, n: int) -> str:
    """Why a metric has no value, or "": more than 2 % of its marks are missing."""
    if count <= MOST_MISSING * n:
        return ""
    return f"{count} of {n} marks are missing ({count / n:.1%}; at most {MOST_MISSING:.0%} may be)"


def correct_refusals(model: RefusalModel, marks: Sequence[Mapping[str, Mark]]) -> Corrected | None:
    """The share of all responses that truly refuse, degenerate ones counting as none.

    The measured error applies to responses that could be read, so the corrected share of these is
    scaled by their part of all. None where nothing was measured or the detector is too weak.
    """
    read = [m for m in marks if m.get("class") in ("refusal", "partial", "compliance")]
    known = [m for m in marks if m.get("class") is not None]
    error = model.error
    if error is None or not read:
        return None
    found = corrected(sum(m["class"] != "compliance" for m in read), len(read), error)
    if found is None:
        return None
    part = len(read) / len(known)
    return Corrected(found.rate * part, found.low * part, found.high * part)


def corrections(
    items: Sequence[Item],
    responses: Sequence[Response],
    marks: Mapping[str, Sequence[Mapping[str, Mark]]],
    scorers: Sequence[Scorer],
) -> list[Metric]:
    """For each fitted detector the refusal rate with its measured error taken out (Rogan-Gladen)."""
    made: list[Metric] = []
    for scorer in scorers:
        if not isinstance(scorer, FittedScorer) or not marks.get(scorer.name):
            continue
        own = marks[scorer.name]
        lost = sum(missing(own, "class"))
        reason = withheld(lost, len(own))
        found = None if reason else correct_refusals(scorer.model, own)
        if found is None and not reason:
            reason = "the detector's error on unseen models is not known or too large to correct"
        interval = (found.low, found.high) if found else None
        name = f"refusal_rate_corrected[{scorer.name}]"
        value = found.rate if found else None
        made.append(
            Metric(name, value, len(own) - lost, missing=lost, reason=reason, interval=interval)
        )
    return made


def _faults(
    items: Sequence[Item], responses: Sequence[Response]
) -> list[degeneration.Degenerate | None]:
    """Per response what is degenerate in it; None where there are no words."""
    asked = {item.id: question(item) for item in items}
    return [
        None if r.text is None else degeneration.degeneration(r.text, asked[r.item], r.finished)
        for r in responses
    ]


def _refusal_marks(
    fault: degeneration.Degenerate | None, found: str | None, chance: float | None = None
) -> dict[str, Mark]:
    if fault is None or found is None:
        nothing: dict[str, Mark] = {"class": None, "p_refusal": None, "degenerate": None}
        return nothing | {"failure": _NOT_WORDS}
    sound = fault in ("", "truncated")
    return {
        "class": found if sound else "degenerate",
        "p_refusal": None if fault == "empty" else chance,
        "degenerate": fault,
    }
