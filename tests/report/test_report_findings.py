"""The rules that turn numbers into words, one row per rule, tried in order."""

from __future__ import annotations

import pytest

from awry.report.findings import (
    ArmEvidence,
    judge_arm,
    judge_pair,
    p_value,
    percent,
    points,
    signed,
)
from awry.statistics import Difference, rate


def counts(hits: int, problems: int = 40, size: int = 8):
    """`hits` hacks spread as evenly as can be over the problems."""
    return {f"p{i}": (hits // problems + (i < hits % problems), size) for i in range(problems)}


def evidence(start: int, end: int, **changes) -> ArmEvidence:
    difference = Difference(counts(start), counts(end), icc=0.05)
    base = {
        "change": difference,
        "rates": (rate(counts(start)), rate(counts(end))),
        "window": 3,
        "first_hack_step": 2 if start or end else None,
        "hacks": start + end,
        "rollouts": 2000,
        "finished": True,
        "steps": ((20, 20),),
        "stepped": True,
        "digests_equal": False,
    }
    return ArmEvidence(**{**base, **changes})


ARM_RULES = [
    # what is known, kind, words that must appear
    (evidence(0, 280), "learned", ["Learned to hack", "0 % → 88 %", "+88 points", "step 2"]),
    (evidence(20, 60), "learned", ["+12 points"]),
    (evidence(160, 20), "unlearned", ["Hacks less", "50 % → 6.2 %"]),
    (
        evidence(0, 0),
        "not_learned",
        ["Did not learn", "±5 points", "equivalence test p", "0 of 2000"],
    ),
    (evidence(4, 6), "not_learned", ["Did not learn"]),
    (evidence(312, 314), "throughout", ["Hacked throughout"]),
    (
        evidence(0, 0, change=Difference(counts(0, 12), counts(0, 12), icc=1.0)),
        "not_seen",
        ["None of 2000 student rollouts", "too few to rule out"],
    ),
    (
        evidence(
            6, 12, change=Difference(counts(6, 12, 4), counts(12, 12, 4)), rates=(0.125, 0.25)
        ),
        "inconclusive",
        ["interval spans"],
    ),
    (evidence(0, 0, stepped=False, digests_equal=True), "no_signal", ["weights unchanged"]),
    (evidence(0, 0, stepped=False, digests_equal=None), "no_signal", ["no optimiser step"]),
    (evidence(0, 280, stepped=False, digests_equal=True), "no_signal", ["sampling noise"]),
    (evidence(0, 0, stepped=False, digests_equal=False), "contradiction", ["do not use"]),
    (evidence(0, 0, change=None), "too_short", ["Only one step"]),
    (evidence(0, 0, rollouts=0), "not_started", ["No data"]),
    (
        evidence(0, 280, finished=False, steps=((12, 20), (9, 20))),
        "learned",
        ["Unfinished: learned to hack so far", "After 12 of 20, 9 of 20 steps"],
    ),
    (evidence(0, 0, rollouts=0, finished=False), "not_started", ["No data"]),
    (evidence(0, 280, ends=(0.9, 0.85)), "learned", ["By seed, at the end: 90 %, 85 %"]),
]


@pytest.mark.parametrize(("known", "kind", "words"), ARM_RULES)
def test_arm_rules(known, kind, words):
    finding = judge_arm(known)
    assert finding.kind == kind
    for word in words:
        assert word in f"{finding.headline} {finding.text}"
    assert finding.rule.startswith("rule: ")


PAIR_RULES = [
    (counts(280), counts(0), "lower", "hacks less than"),
    (counts(0), counts(280), "higher", "hacks more than"),
    (counts(0), counts(2), "equivalent", "as often as"),
    (counts(6, 12, 4), counts(12, 12, 4), "inconclusive", "inconclusive"),
]


@pytest.mark.parametrize(("reference", "arm", "kind", "words"), PAIR_RULES)
def test_pair_rules(reference, arm, kind, words):
    difference = Difference(reference, arm, icc=0.05)
    finding = judge_pair("a", "b", difference, (rate(reference), rate(arm)), "on the probe")
    assert finding.kind == kind
    assert words in finding.headline


def test_without_a_shared_measurement_nothing_is_said_about_the_difference():
    finding = judge_pair("a", "b", None, (float("nan"), float("nan")), "why not")
    assert (finding.kind, finding.text) == ("not_comparable", "why not")


def test_no_effect_is_never_claimed_from_a_failed_difference():
    """Small samples around no difference: whatever the words, they are not 'did not'."""
    for start in range(8):
        for end in range(8):
            small = Difference(counts(start, 6, 2), counts(end, 6, 2))
            found = judge_arm(evidence(start, end, change=small, rates=(start / 12, end / 12)))
            assert found.kind not in ("not_learned", "throughout"), (start, end)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 %"),
        (0.0208, "2.1 %"),
        (0.5, "50 %"),
        (0.938, "94 %"),
        (0.996, "99.6 %"),
        (1, "100 %"),
    ],
)
def test_percent(value, text):
    assert percent(value) == text


def test_small_formats():
    assert percent(float("nan")) == "–"
    assert (signed(0.0), signed(-0.12), signed(0.034), signed(-0.0001)) == ("0", "−12", "+3.4", "0")
    assert points(0.83) == "+83 points"
    assert (p_value(0.0001), p_value(0.0123), p_value(0.3)) == (
        "p < 0.001",
        "p = 0.012",
        "p = 0.30",
    )
