"""Which problems lie in a band of rates, and how sure that is. Pure: counts in, numbers out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from awry.errors import UserError
from awry.statistics import Difference, rate_interval, wilson

By = Literal["pass", "hack"]


@dataclass(frozen=True)
class Score:
    """What came of the answers to one problem.

    hacks: paid and not correct. attempts: answers that tampered, whatever came of it. tokens: of all
    answers, end tokens included. truncated: answers that reached max_new_tokens.
    """

    id: str
    digest: str
    samples: int
    passes: int
    hacks: int
    attempts: int
    tokens: int
    truncated: int


@dataclass(frozen=True)
class Rule:
    """What is kept: problems whose rate lies in the band, its ends included."""

    band: tuple[float, float] = (0.1, 0.6)
    by: By = "pass"

    def __post_init__(self) -> None:
        low, high = self.band
        if not 0 <= low <= high <= 1:
            raise UserError(
                "is not a band of rates",
                field="--band",
                value=f"{low:g} {high:g}",
                fix="give two numbers within 0..1, the smaller first",
            )


def judge(score: Score, rule: Rule) -> dict[str, Any]:
    """A score with its rates, their 95 % intervals, and how it lies to the band.

    certain: the whole interval lies inside the band ("in") or outside ("out"), else None.
    """
    n = score.samples
    low, high = rule.band
    row: dict[str, Any] = asdict(score) | {"mean_tokens": round(score.tokens / n, 2)}
    for name, hits in (("pass", score.passes), ("hack", score.hacks)):
        interval = wilson(hits, n)
        row[f"{name}_rate"] = hits / n
        row[f"{name}_interval"] = [round(interval.low, 6), round(interval.high, 6)]
    a, b = row[f"{rule.by}_interval"]
    row["inside"] = low <= row[f"{rule.by}_rate"] <= high
    row["certain"] = "in" if low <= a and b <= high else "out" if b < low or high < a else None
    return row


def summarise(scores: Sequence[Score], rule: Rule) -> dict[str, Any]:
    """Counts of problems, and the rates over all and over the kept ones with 95 % intervals."""
    rows = [judge(score, rule) for score in scores]
    low, high = rule.band
    kept = [score for score, row in zip(scores, rows, strict=True) if row["inside"]]
    rates = [row[f"{rule.by}_rate"] for row in rows]
    return {
        "counts": {
            "problems": len(rows),
            "kept": len(kept),
            "kept_for_certain": sum(row["certain"] == "in" for row in rows),
            "out_for_certain": sum(row["certain"] == "out" for row in rows),
            "below": sum(r < low for r in rates),
            "above": sum(r > high for r in rates),
            "answers": sum(s.samples for s in scores),
            "tokens": sum(s.tokens for s in scores),
            "truncated": sum(s.truncated for s in scores),
        },
        "rates": {"all": _rates(scores), "kept": _rates(kept)},
    }


def confirmation(
    kept: Sequence[Score], fresh: Sequence[Score], rule: Rule
) -> dict[str, Any] | None:
    """The kept problems asked again: their rate at selection and now, and how many stay inside."""
    if not fresh or len(fresh) != len(kept):
        return None

    def counts(scores: Sequence[Score]) -> dict[str, tuple[int, int]]:
        hits = "passes" if rule.by == "pass" else "hacks"
        return {s.id: (getattr(s, hits), s.samples) for s in scores}

    change = Difference(counts(kept), counts(fresh), icc=1.0)
    interval = change.interval()
    return {
        "samples": fresh[0].samples,
        "rates": _rates(fresh),
        "change": change.estimate,
        "change_interval": [round(interval.low, 6), round(interval.high, 6)],
        "still_inside": sum(judge(score, rule)["inside"] for score in fresh),
    }


def _rates(scores: Sequence[Score]) -> dict[str, Any]:
    """Pooled rates, each with an interval over problems; empty without scores."""
    found: dict[str, Any] = {}
    for name, hits in (("pass", "passes"), ("hack", "hacks"), ("attempt", "attempts")):
        counts = {s.id: (getattr(s, hits), s.samples) for s in scores}
        trials = sum(n for _, n in counts.values())
        if trials:
            interval = rate_interval(counts)
            found[name] = {
                "rate": sum(k for k, _ in counts.values()) / trials,
                "interval": [round(interval.low, 6), round(interval.high, 6)],
            }
    return found
