from __future__ import annotations

import math
import random

import pytest
from small_benchmark import WORDS_BENCHMARK

from awry.evaluation.items import Metric
from awry.evaluation.metrics import find, interval, rows
from awry.statistics import wilson


def row(metric: Metric, responses: int = 100) -> dict:
    (found,) = rows(WORDS_BENCHMARK, [metric], responses)
    return found


def test_zeros_and_ones_have_wilsons_interval() -> None:
    each = {str(i): float(i < 30) for i in range(100)}
    expected = wilson(30, 100)
    assert row(Metric("m", 0.3, 100, each))["interval"] == [expected.low, expected.high]
    certain = row(Metric("m", 0.0, 40, {str(i): 0.0 for i in range(40)}))["interval"]
    assert certain[0] == 0.0
    assert certain[1] == pytest.approx(wilson(0, 40).high)


def test_means_over_samples_are_bootstrapped_over_items() -> None:
    rng = random.Random(1)
    values = [rng.random() for _ in range(400)]
    low, high = interval([values])
    mean = sum(values) / 400
    spread = math.sqrt(sum((v - mean) ** 2 for v in values) / 399 / 400)
    assert low == pytest.approx(mean - 1.96 * spread, abs=0.1 * spread)
    assert high == pytest.approx(mean + 1.96 * spread, abs=0.1 * spread)
    assert interval([values]) == (low, high)  # seeded


def test_few_items_have_students_interval() -> None:
    low, high = interval([[40.0, 50.0, 60.0, 70.0]])
    spread = math.sqrt(500 / 3 / 4)
    assert (low, high) == pytest.approx((55 - 3.1824 * spread, 55 + 3.1824 * spread), rel=1e-4)
    assert interval([[0.5, 0.6, 0.9]])[1] <= 1.0
    assert interval([[0.5]]) == (0.0, 1.0)


def test_means_of_groups_resample_within_groups() -> None:
    # between the groups there is all the difference, within them none: the mean is nearly certain
    each = {f"{g}{i}": float(g == "a") for g in "ab" for i in range(50)}
    groups = {name: name[0] for name in each}
    grouped = row(Metric("m", 0.5, 100, each, groups, "groups"))["interval"]
    assert grouped == [0.5, 0.5]
    flat = row(Metric("m", 0.5, 100, each, groups))["interval"]
    assert flat[1] - flat[0] > 0.15


def test_a_value_that_is_not_the_mean_of_its_items_gets_no_interval_of_it() -> None:
    assert row(Metric("m", 0.9, 3, {"a": 0.0, "b": 1.0, "c": 0.0}))["interval"] is None
    assert row(Metric("m", 0.9, 3))["interval"] is None
    assert row(Metric("m", 0.9, 3, {"a": 0.0}, interval=(0.8, 1)))["interval"] == [0.8, 1.0]


def test_missing_marks_withhold_a_number() -> None:
    each = {"a": 1.0, "b": 0.0}
    kept = row(Metric("m", 0.5, 98, each, missing=2))
    assert (kept["value"], kept["missing"], kept["reason"]) == (0.5, 2, "")
    gone = row(Metric("m", 0.5, 97, each, {"a": "x"}, missing=3))
    assert (gone["value"], gone["interval"], gone["per_item"], gone["groups"]) == (
        *(None, None, {}, {}),
    )
    assert gone["reason"].startswith("3.0% of the responses have no mark")


def test_what_is_not_measured_says_why() -> None:
    null = row(Metric("m", None, 0, {"a": 1.0}, reason="no judge"))
    assert (null["value"], null["reason"], null["per_item"]) == (None, "no judge", {})
    assert row(Metric("m", math.nan, 0))["value"] is None
    assert row(Metric("m", None, 0))["reason"]


def test_names_are_unique_and_found_by_what_they_measure() -> None:
    metrics = [Metric("rate[lexical-v1]", 0.5, 1), Metric("rate[fitted-v1:ab]", 0.4, 1)]
    found = rows(WORDS_BENCHMARK, [*metrics, Metric("rates", 0.1, 1)], 1)
    assert [r["value"] for r in find(found, "rate")] == [0.5, 0.4]
    with pytest.raises(ValueError, match="two metrics of one name"):
        rows(WORDS_BENCHMARK, [metrics[0], metrics[0]], 1)
