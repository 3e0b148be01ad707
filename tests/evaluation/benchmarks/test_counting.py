from __future__ import annotations

import pytest

from awry.evaluation.benchmarks.counting import degenerate, equals, mean, refusals
from awry.evaluation.items import Ask, Response

FITTED = "fitted-v1:0123abcd"


def answers(*items: str) -> list[Response]:
    return [Response(name, i, "text", 1, i % 2 == 0) for i, name in enumerate(items)]


def test_an_item_counts_once_whatever_its_samples() -> None:
    found = mean("m", answers("a", "a", "a", "b"), [1.0, 1.0, 0.0, 0.0])
    assert found.per_item == pytest.approx({"a": 2 / 3, "b": 0.0})
    assert found.value == pytest.approx(1 / 3)
    assert found.n == 4


def test_up_to_two_percent_missing_is_left_out_and_more_withholds() -> None:
    names = [f"i{k}" for k in range(100)]
    two: list[float | None] = [None, None, *[1.0] * 98]
    found = mean("m", answers(*names), two)
    assert (found.value, found.missing, found.n, found.reason) == (1.0, 2, 98, "")
    assert "i0" not in found.per_item  # missing is missing, never zero
    three = mean("m", answers(*names), [None, *two[:-1]])
    assert (three.value, three.missing) == (None, 3)
    assert "3 of 100" in three.reason
    assert not three.per_item


def test_nothing_to_count_is_null_with_its_reason() -> None:
    found = mean("m", answers("a"), [1.0], of=[False], empty="nobody tried")
    assert (found.value, found.n, found.reason) == (None, 0, "nobody tried")


def test_a_mean_over_groups() -> None:
    responses = answers("a", "b", "c")
    groups = {"a": "x", "b": "x", "c": "y"}
    found = mean("m", responses, [1.0, 0.0, 0.0], groups=groups, aggregate="groups")
    assert found.value == 0.25
    assert found.groups == groups
    assert mean("m", responses, [1.0, 0.0, 0.0], groups=groups).value == pytest.approx(1 / 3)


def test_a_word_that_is_missing_is_not_another_word() -> None:
    assert equals([{"class": "a"}, {"class": None}, {}, {"class": "b"}], "class", "b", "c") == [
        0.0,
        None,
        None,
        1.0,
    ]


def test_the_refusal_rates_of_each_detector_sum_to_one() -> None:
    items = [Ask(name, facts={"topic": "t"}) for name in "abcd"]
    classes = ("refusal", "partial", "compliance", "degenerate")
    marks = {
        "lexical-v1": [{"class": c} for c in classes],
        FITTED: [{"class": "compliance"}] * 4,
        "judge:m:xstest-v1": [{"class": "full_refusal"}] * 4,
    }
    responses = answers("a", "b", "c", "d")
    found = {m.name: m for m in refusals(items, responses, marks, "topic")}
    for scorer, wanted in (("lexical-v1", (0.25, 0.5, 0.25)), (FITTED, (1.0, 0.0, 0.0))):
        names = ("non_refusal_rate", "refusal_rate", "degenerate_rate")
        assert tuple(found[f"{name}[{scorer}]"].value for name in names) == wanted
    assert found["truncated_rate"].value == 0.5
    assert found["non_refusal_rate[lexical-v1]"].floor == 1.0
    assert not any("judge" in name for name in found)
    assert [m.name for m in found.values() if m.main] == ["non_refusal_rate[lexical-v1]"]
    assert degenerate(marks, 4) == [False, False, False, True]
