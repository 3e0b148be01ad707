"""Which evaluations may be compared: every condition counts, and is named where it differs."""

from __future__ import annotations

from typing import Any

import pytest

from awry.errors import UserError
from awry.evaluation.comparison.conditions import (
    FIELDS,
    Difference,
    check_allowed,
    conditions,
    differences,
    permitted,
    refuse,
    rivals,
    scorer_kind,
    shown,
    split,
)
from fake_evaluations import CONDITIONS


def flat(**changes: Any) -> dict[str, Any]:
    return conditions({"conditions": CONDITIONS | changes})


CHANGES: dict[str, Any] = {
    "benchmark": "mmlu",
    "version": 2,
    "items": "0" * 64,
    "subset": ["bio"],
    "limit": 50,
    "shots": 5,
    "prompt": "raw",
    "template": None,
    "tokenizer": "1" * 64,
    "dtype": "float32",
    "quantisation": "gguf-q4_1->float32",
    "engine": "endpoint",
    "samples": 10,
    "seed": 1,
}


@pytest.mark.parametrize("field", [f for f in FIELDS if f not in ("sampling", "scorers")])
def test_every_field_counts(field):
    found = differences(flat(), flat(**{field: CHANGES[field]}))
    assert [(name, b) for name, _, b in found] == [(field, CHANGES[field])]
    assert differences(flat(), flat()) == []


@pytest.mark.parametrize("field", ["max_new_tokens", "temperature", "top_p"])
def test_every_sampling_setting_counts(field):
    assert isinstance(CONDITIONS["sampling"], dict)
    other = CONDITIONS["sampling"] | {field: 0.5}
    assert [name for name, *_ in differences(flat(), flat(sampling=other))] == [f"sampling.{field}"]


def test_sampling_against_none_and_unknown_fields_count_too():
    assert {name for name, *_ in differences(flat(), flat(sampling=None))} == {
        *("sampling.max_new_tokens", "sampling.temperature", "sampling.top_p"),
    }
    assert differences(flat(), flat(retries=3)) == [("retries", None, 3)]


def test_the_same_number_written_two_ways_is_no_difference():
    assert differences(flat(version=1), flat(version=1.0)) == []


def test_a_scorers_identity_counts_and_one_that_only_one_side_has_does_not():
    changed = {"lexical-v1": {"version": 1, "digest": "0" * 64}}
    ((field, a, b),) = differences(flat(), flat(scorers=changed))
    assert field == "scorer[lexical-v1]"
    assert a["digest"] != b["digest"]
    assert differences(flat(), flat(scorers=CONDITIONS["scorers"] | {"code": {}})) == []


@pytest.mark.parametrize("field", FIELDS)
def test_what_is_not_recorded_is_refused(field):
    record = {"conditions": {k: v for k, v in CONDITIONS.items() if k != field}}
    with pytest.raises(UserError, match="does not record all") as caught:
        conditions(record)
    assert field in str(caught.value.value)
    with pytest.raises(UserError, match="does not say how"):
        conditions({})


def test_metrics_of_rival_scorers():
    both = ["rate[lexical-v1]", "rate[fitted-v1:ab]", "acc"]
    assert rivals(both, both) == []
    assert rivals(both, ["rate[lexical-v1]", "acc"]) == []  # one more on one side only
    assert rivals(["rate[lexical-v1]"], ["rate[lexical-v2]"]) == [
        ("rate", "rate[lexical-v1]", "rate[lexical-v2]")
    ]
    assert rivals(["rate[lexical-v1]"], ["rate[fitted-v1:ab]"]) == [
        ("rate", "rate[lexical-v1]", "rate[fitted-v1:ab]")
    ]
    # what both have in common does not hide that the judges differ
    judges = [["s[lexical-v1]", f"s[judge:{m}:strongreject-v1]"] for m in ("big", "small")]
    assert rivals(*judges) == [
        ("s", "s[judge:big:strongreject-v1]", "s[judge:small:strongreject-v1]")
    ]
    assert rivals(["pass@1"], ["pass@1"]) == []


def test_names_of_metrics_and_scorers_are_taken_apart():
    assert split("non_refusal_rate[lexical-v1]") == ("non_refusal_rate", "lexical-v1")
    assert split("pass@1") == ("pass@1", "")
    assert scorer_kind("lexical-v1") == "lexical"
    assert scorer_kind("fitted-v1:12ab") == "fitted"
    assert scorer_kind("judge:org/m:8b:xstest-v2") == "judge:xstest"
    assert scorer_kind("code") == "code"


def test_allow_takes_a_fields_name_or_that_of_the_whole():
    assert permitted("template", ["template"])
    assert permitted("sampling.temperature", ["sampling"])
    assert permitted("scorer[lexical-v1]", ["scorer"])
    assert not permitted("sampling.temperature", ["sampling.top_p", "temperature"])
    check_allowed(["dtype", "sampling.temperature", "scorer"], flat())
    with pytest.raises(UserError, match="no such condition") as caught:
        check_allowed(["dtpye"], flat())
    assert "did you mean `dtype`" in str(caught.value.fix)


def test_the_refusal_names_every_field_with_both_values():
    error = refuse(
        [
            Difference("xstest", "template", ("base", "new"), ("b" * 64, None)),
            Difference("mmlu", "dtype", ("base", "new"), ("bfloat16", "float32")),
            Difference("xstest", "dtype", ("base", "new"), ("bfloat16", "float32")),
            Difference(
                "mmlu", "scorer[x-v1]", ("base", "new"), ({"a": 1, "b": 2}, {"a": 1, "b": 3})
            ),
        ]
    )
    text = error.render()
    assert "template: bbbbbbbbbbbb in base, none in new (xstest)" in text
    assert "dtype: bfloat16 in base, float32 in new (mmlu, xstest)" in text
    assert 'scorer[x-v1]: {"b": 2} in base, {"b": 3} in new (mmlu)' in text
    assert "--allow template --allow dtype --allow scorer" in text


def test_values_for_people():
    assert shown("a" * 64) == "a" * 12
    assert shown(None) == "none"
    assert shown(["bio", 3]) == '["bio", 3]'
