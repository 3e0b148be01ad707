"""How well a detector agrees with human labels, and rates corrected for its measured error."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from awry.statistics import LEVEL

LEAST = 0.1  # sensitivity + specificity - 1 below which nothing can be corrected


@dataclass(frozen=True)
class Agreement:
    """Counts of a detector against labels; positive is a refusal, full or partial."""

    tp: int
    fp: int
    fn: int
    tn: int

    @classmethod
    def of(cls, found: Sequence[bool], truth: Sequence[bool]) -> Agreement:
        pairs = list(zip(found, truth, strict=True))
        return cls(
            tp=pairs.count((True, True)),
            fp=pairs.count((True, False)),
            fn=pairs.count((False, True)),
            tn=pairs.count((False, False)),
        )

    def __add__(self, other: Agreement) -> Agreement:
        return Agreement(
            self.tp + other.tp, self.fp + other.fp, self.fn + other.fn, self.tn + other.tn
        )

    @property
    def n(self) -> int:
        return self.tp + self.fp + self.fn + self.tn

    @property
    def accuracy(self) -> float:
        return _ratio(self.tp + self.tn, self.n)

    @property
    def precision(self) -> float:
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def sensitivity(self) -> float:
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def specificity(self) -> float:
        return _ratio(self.tn, self.tn + self.fp)

    @property
    def bias(self) -> float:
        """Detected refusal rate minus the true one, in [-1, 1]."""
        return _ratio(self.fp - self.fn, self.n)

    @property
    def kappa(self) -> float:
        """Cohen's kappa; NaN where both are constant and equal, 0 where one is constant."""
        a, b = _ratio(self.tp + self.fp, self.n), _ratio(self.tp + self.fn, self.n)
        chance = a * b + (1 - a) * (1 - b)
        return _ratio(self.accuracy - chance, 1 - chance)

    def counts(self) -> dict[str, int]:
        return {"tp": self.tp, "fp": self.fp, "fn": self.fn, "tn": self.tn}


def by_group(
    found: Sequence[bool], truth: Sequence[bool], groups: Sequence[str]
) -> dict[str, Agreement]:
    """The agreement within each group, in order of first appearance."""
    return {
        name: Agreement.of(
            [f for f, g in zip(found, groups, strict=True) if g == name],
            [t for t, g in zip(truth, groups, strict=True) if g == name],
        )
        for name in dict.fromkeys(groups)
    }


@dataclass(frozen=True)
class Corrected:
    """A rate with the detector's error taken out, and the interval of what it can be."""

    rate: float
    low: float
    high: float


@dataclass(frozen=True)
class Error:
    """A detector's sensitivity and specificity with the numbers of labels they effectively rest on."""

    sensitivity: float
    specificity: float
    positives: float
    negatives: float


def error_of(groups: Mapping[str, Agreement]) -> Error:
    """Pooled over models. Where models differ more than chance makes them, the labels count less.

    The number of labels is divided by the chi-square of the models' rates over its degrees of
    freedom, if that is above 1 (quasi-likelihood): a new model is one more draw from the models.
    """
    whole = sum(groups.values(), Agreement(0, 0, 0, 0))
    positives = {name: (g.tp, g.tp + g.fn) for name, g in groups.items()}
    negatives = {name: (g.tn, g.tn + g.fp) for name, g in groups.items()}
    return Error(
        whole.sensitivity,
        whole.specificity,
        (whole.tp + whole.fn) / _dispersion(positives),
        (whole.tn + whole.fp) / _dispersion(negatives),
    )


def corrected(positive: int, n: int, error: Error, level: float = LEVEL) -> Corrected | None:
    """The true rate behind `positive` of `n` detected; None where the detector is too weak.

    Rate: Rogan and Gladen, Am. J. Epidemiol. 107 (1978), cut to [0, 1]. Interval, with the
    uncertainty of sensitivity and specificity in it: Lang and Reiczigel, Prev. Vet. Med. 113 (2014).
    """
    youden = error.sensitivity + error.specificity - 1
    if n == 0 or not (error.positives and error.negatives) or not youden > LEAST:
        return None
    z = NormalDist().inv_cdf(0.5 + level / 2)
    size = n + z * z
    share = (positive + z * z / 2) / size
    n_se, n_sp = error.positives + 2, error.negatives + 2
    se = (error.positives * error.sensitivity + 1) / n_se
    sp = (error.negatives * error.specificity + 1) / n_sp
    slope = se + sp - 1
    if slope <= 0:
        return None
    centre = (share + sp - 1) / slope
    of_se, of_sp = se * (1 - se) / n_se, sp * (1 - sp) / n_sp
    shift = 2 * z * z * (centre * of_se - (1 - centre) * of_sp)
    spread = share * (1 - share) / size + centre**2 * of_se + (1 - centre) ** 2 * of_sp
    half = z * math.sqrt(spread) / slope
    rate = (positive / n + error.specificity - 1) / youden
    low, high = _cut(centre + shift - half), _cut(centre + shift + half)
    rate = _cut(rate)
    return Corrected(rate, min(low, rate), max(high, rate))


def _dispersion(counts: Mapping[str, tuple[int, int]]) -> float:
    used = [(k, n) for k, n in counts.values() if n]
    trials = sum(n for _, n in used)
    if len(used) < 2:
        return 1.0
    rate = (sum(k for k, _ in used) + 0.5) / (trials + 1)  # never 0 or 1
    chi2 = sum((k - n * rate) ** 2 / (n * rate * (1 - rate)) for k, n in used)
    return max(1.0, chi2 / (len(used) - 1))


def _ratio(a: float, b: float) -> float:
    return a / b if b else math.nan


def _cut(value: float) -> float:
    return min(1.0, max(0.0, value))
