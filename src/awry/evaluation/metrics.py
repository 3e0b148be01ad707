"""From what a benchmark measured to rows that can be read: intervals, and what is withheld."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from awry.evaluation.items import Benchmark, Metric
from awry.statistics import LEVEL, RESAMPLES, wilson

if TYPE_CHECKING:
    import numpy as np

MOST_MISSING = 0.02  # of the responses without a mark; with more the number is withheld
FEW = 30  # items: below this the bootstrap is too narrow, and Student's t is used
_BLOCK = 2_000_000  # resampled values held at once


def rows(benchmark: Benchmark, metrics: Sequence[Metric], responses: int) -> list[dict[str, Any]]:
    """One row of metrics.json for each metric of an evaluation with that many responses."""
    found = [_row(benchmark, metric, responses) for metric in metrics]
    names = [row["metric"] for row in found]
    if len(set(names)) != len(names):
        raise ValueError(f"{benchmark.name} gives two metrics of one name: {sorted(names)}")
    return found


def _row(benchmark: Benchmark, metric: Metric, responses: int) -> dict[str, Any]:
    value, reason, per_item = _number(metric.value), metric.reason, dict(metric.per_item)
    if value is not None and metric.missing > MOST_MISSING * responses:
        rate = metric.missing / responses
        value, reason = None, f"{rate:.1%} of the responses have no mark, over {MOST_MISSING:.0%}"
    if value is None:
        per_item = {}
        reason = reason or "it could not be measured, and the benchmark does not say why"
    return {
        "benchmark": benchmark.name,
        "version": benchmark.version,
        "metric": metric.name,
        "value": value,
        "interval": None if value is None else interval_of(metric, value),
        "n": metric.n,
        "missing": metric.missing,
        "floor": metric.floor,
        "reason": reason if value is None else metric.reason,
        "better": metric.better,
        "main": metric.main,
        "aggregate": metric.aggregate,
        "per_item": per_item,
        "groups": {name: metric.groups[name] for name in per_item if name in metric.groups},
    }


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def interval_of(metric: Metric, value: float) -> list[float] | None:
    """The metric's own interval, or one made from its items; None where they do not make it up."""
    if metric.interval is not None:
        return [float(bound) for bound in metric.interval]
    items = metric.per_item
    if not items:
        return None
    if metric.aggregate == "groups":
        strata: dict[str, list[float]] = {}
        for name in sorted(items):
            strata.setdefault(metric.groups[name], []).append(float(items[name]))
        values = list(strata.values())
    else:
        values = [[float(items[name]) for name in sorted(items)]]
    estimate = sum(sum(part) / len(part) for part in values) / len(values)
    if abs(estimate - value) > 1e-6 * max(1.0, abs(value)):
        return None  # a ratio of other things: an interval of the items' mean is not its interval
    low, high = interval(values)
    return [low, high]


def interval(strata: Sequence[Sequence[float]], level: float = LEVEL) -> tuple[float, float]:
    """Of the mean over strata of the means of their items, items being independent.

    One stratum of 0s and 1s: Wilson. Few items: Student's t. Otherwise the percentile bootstrap
    over the items of each stratum. Never beyond 0 and 1 where no item is.
    """
    import numpy as np

    parts = [np.asarray(part, dtype=np.float64) for part in strata]
    everything = np.concatenate(parts)
    shares = bool(((everything >= 0) & (everything <= 1)).all())
    flat = bool((everything == everything[0]).all())
    if shares and ((flat and everything[0] in (0.0, 1.0)) or (len(parts) == 1 and _binary(parts))):
        # flat: nothing to resample, and yet nothing is certain
        found = wilson(float(everything.sum()), len(everything), level)
        return found.low, found.high
    estimate = float(np.mean([part.mean() for part in parts]))
    if len(everything) == 1:
        return (0.0, 1.0) if shares else (estimate, estimate)
    if len(everything) < FEW and len(parts) == 1:
        from scipy.stats import t

        spread = float(parts[0].std(ddof=1)) / math.sqrt(len(parts[0]))
        half = float(t.ppf(0.5 + level / 2, len(parts[0]) - 1)) * spread
        low, high = estimate - half, estimate + half
    else:
        draws = np.mean([_resampled_means(part, i) for i, part in enumerate(parts)], axis=0)
        low, high = (float(q) for q in np.quantile(draws, [(1 - level) / 2, (1 + level) / 2]))
    return (max(0.0, low), min(1.0, high)) if shares else (low, high)


def _binary(parts: Sequence[np.ndarray]) -> bool:
    return all(bool(((part == 0) | (part == 1)).all()) for part in parts)


def _resampled_means(values: np.ndarray, seed: int) -> np.ndarray:
    """RESAMPLES means of resampled items, seeded, in blocks that fit into memory."""
    import numpy as np

    generator = np.random.default_rng(seed)
    block = max(1, _BLOCK // len(values))
    means: list[np.ndarray] = []
    for start in range(0, RESAMPLES, block):
        count = min(block, RESAMPLES - start)
        chosen = generator.integers(len(values), size=(count, len(values)))
        means.append(values[chosen].mean(axis=1))
    return np.concatenate(means)


def find(rows: Sequence[Mapping[str, Any]], name: str) -> list[Mapping[str, Any]]:
    """Rows of a metric whoever measured it: `rate` finds `rate` and `rate[lexical-v1]`."""
    return [row for row in rows if row["metric"].split("[")[0] == name]
