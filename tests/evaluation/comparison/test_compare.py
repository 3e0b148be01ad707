"""The verdicts: what is tested on what, adjusted over the table, and refused when not comparable."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from awry.errors import UserError
from awry.evaluation.comparison.compare import Comparison, Margins, Row, Value, compare, judge
from awry.evaluation.comparison.layout import noted, remarks, summary_lines, verdict_text
from awry.evaluation.comparison.table import read_subjects
from awry.statistics import Interval
from fake_evaluations import CONDITIONS, items, row, write

NAME = "accuracy[lexical-v1]"


def shares(rate: float, n: int = 100, seed: int = 0) -> list[float]:
    rng = random.Random(seed)
    return [float(rng.random() < rate) for _ in range(n)]


def two(tmp_path: Path, a: list[float], b: list[float], **more: Any) -> Comparison:
    folders = [
        write(tmp_path / "base", [row(NAME, items(a))], weights="1"),
        write(tmp_path / "new", [row(NAME, items(b))], weights="2"),
    ]
    return compare(read_subjects(folders), **more)


def test_a_large_loss_differs_for_the_worse(tmp_path: Path):
    base = shares(0.8)
    new = [0.0 if i % 3 == 0 else v for i, v in enumerate(base)]
    found = two(tmp_path, base, new, margins=Margins(0.05))
    (r,) = found.rows
    assert (r.verdict, r.direction) == ("differs", "worse")
    assert r.delta == pytest.approx(sum(new) / 100 - sum(base) / 100)
    assert r.before.value == pytest.approx(sum(base) / 100)
    assert r.interval is not None
    assert r.interval.high < 0
    assert (r.items, r.left_out, r.over_seeds) == (100, 0, False)
    assert r.smallest_p == pytest.approx(
        2.0 ** (1 - sum(a != b for a, b in zip(base, new, strict=True)))
    )
    assert verdict_text(r) == "differs, worse"


def test_equal_answers_are_undecided_without_a_margin_and_equivalent_with_one(tmp_path: Path):
    base = shares(0.5, 200)
    first = two(tmp_path / "1", base, base)
    assert first.rows[0].verdict == "undecided"
    assert "no margin was set" in "\n".join(remarks(first))
    (r,) = two(tmp_path / "2", base, base, margins=Margins(0.05)).rows
    assert r.verdict == "equivalent"
    assert verdict_text(r) == "equivalent within 0.05"
    (r,) = two(tmp_path / "3", base[:30], base[:30], margins=Margins(0.05)).rows
    assert r.verdict == "undecided"  # 30 items cannot show it
    assert r.detectable is not None
    assert r.detectable > 0.05


def test_one_item_could_not_have_shown_any_difference(tmp_path: Path):
    (r,) = two(tmp_path, [0.0], [1.0]).rows
    assert (r.verdict, r.detectable) == ("undecided", None)


def test_a_real_difference_within_the_margin_is_called_equivalent_and_said_so(tmp_path: Path):
    base = [0.5] * 400
    rng = random.Random(0)
    new = [0.5 + 0.02 * (rng.random() < 0.8) for _ in base]
    (r,) = two(tmp_path, base, new, margins=Margins(0.05)).rows
    assert r.verdict == "equivalent"
    assert r.p_holm is not None
    assert r.p_holm < 0.05
    assert "a difference is there, and smaller than the margin" in r.notes


def plain(metric: str, p: float | None, equivalence: float | None = None) -> Row:
    value = Value(0.5, None, 10, 1, 1)
    return Row(
        *("b", metric, "s", "higher", None, 1.0, value, value, 0.1, Interval(0, 1), 10, 0),
        *(p, 0.0001, True, 0.05, equivalence, None, None),
        sources=((0.1, 9),),
        verdict="not tested",
    )


def test_holm_covers_the_whole_table_and_only_what_was_tested():
    rows = [plain("a", 0.02), plain("b", None), plain("c", 0.03), plain("d", 0.9)]
    judged = judge(rows)
    assert [r.p_holm for r in judged] == pytest.approx([0.06, None, 0.06, 0.9])
    assert [r.verdict for r in judged] == ["undecided", "not tested", "undecided", "undecided"]
    assert judge([plain("a", 0.02)])[0].verdict == "differs"
    both = judge([plain("a", 0.5, 0.03), plain("b", 0.5, 0.03)])
    assert [r.equivalence_holm for r in both] == pytest.approx([0.06, 0.06])
    assert {r.verdict for r in both} == {"undecided"}


def test_detectable_grows_with_the_family():
    one = judge([plain("a", 0.5)])[0].detectable
    many = judge([plain(str(i), 0.5) for i in range(10)])[0].detectable
    assert one is not None
    assert many is not None
    assert many > one


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("template", {"template": None}),
        ("dtype", {"dtype": "float32"}),
        ("items", {"items": "0" * 64}),
        ("scorer[lexical-v1]", {"scorers": {"lexical-v1": {"version": 1, "digest": "x"}}}),
    ],
)
def test_a_changed_condition_is_refused_by_name_and_let_through_by_name(tmp_path, field, change):
    folders = [
        write(tmp_path / "base", [row(NAME, items([1, 0]))]),
        write(tmp_path / "new", [row(NAME, items([1, 1]))], conditions=change),
    ]
    subjects = read_subjects(folders)
    with pytest.raises(UserError) as caught:
        compare(subjects)
    assert f"error: {field}: " in caught.value.render()
    with pytest.raises(UserError):
        compare(subjects, allowed=["seed"])
    found = compare(subjects, allowed=[field])
    assert [d.field for d in found.allowed] == [field]
    assert f"allowed to differ: {field}, " in "\n".join(summary_lines(found))


def test_another_detector_is_refused_by_name(tmp_path: Path):
    fitted = {"fitted-v1:ab": {"digest": "x"}}
    folders = [
        write(tmp_path / "base", [row("rate[lexical-v1]", items([1, 0, 0, 1]))]),
        write(
            tmp_path / "new",
            [row("rate[fitted-v1:ab]", items([1, 0, 0, 0]))],
            conditions={"scorers": fitted},
        ),
    ]
    subjects = read_subjects(folders)
    with pytest.raises(UserError) as caught:
        compare(subjects)
    assert "scorer[rate]: lexical-v1 in base, fitted-v1:ab in new (xstest)" in caught.value.render()
    (r,) = compare(subjects, allowed=["scorer"]).rows
    assert r.metric == "rate[lexical-v1 | fitted-v1:ab]"
    assert r.delta == -0.25


def test_a_detector_that_only_one_side_has_leaves_the_common_one(tmp_path: Path):
    both = [row("rate[lexical-v1]", items([1, 0])), row("rate[fitted-v1:ab]", items([1, 0]))]
    scorers = {**CONDITIONS["scorers"], "fitted-v1:ab": {}}
    folders = [
        write(tmp_path / "base", both, conditions={"scorers": scorers}),
        write(tmp_path / "new", [row("rate[lexical-v1]", items([1, 1]))]),
    ]
    found = compare(read_subjects(folders))
    assert [r.metric for r in found.rows] == ["rate[lexical-v1]"]
    assert found.unshared == ("xstest rate[fitted-v1:ab]: only base",)


def test_every_policy_is_checked_not_only_the_second(tmp_path: Path):
    folders = [write(tmp_path / n, [row(NAME, items([1, 0]))]) for n in ("base", "one")]
    folders.append(write(tmp_path / "two", [row(NAME, items([1, 0]))], conditions={"limit": 5}))
    with pytest.raises(UserError, match="limit"):
        compare(read_subjects(folders))


def test_what_is_withheld_is_not_compared(tmp_path: Path):
    withheld = row(NAME, {}, reason="3.1% of the responses have no mark, over 2%")
    folders = [
        write(tmp_path / "base", [row(NAME, items([1, 0])), row("b", items([1, 0]))]),
        write(tmp_path / "new", [withheld, row("b", items([1, 0]))]),
    ]
    found = compare(read_subjects(folders))
    assert [r.verdict for r in found.rows] == ["not measured", "undecided"]
    assert found.family == 1
    assert "3.1% of the responses have no mark, over 2%" in found.rows[0].notes


def test_items_that_one_side_lacks_are_counted(tmp_path: Path):
    base, new = items([1, 0, 1, 1]), items([1, 0, 0])
    folders = [
        write(tmp_path / "base", [row(NAME, base)]),
        write(tmp_path / "new", [row(NAME, new)]),
    ]
    (r,) = compare(read_subjects(folders)).rows
    assert (r.items, r.left_out) == (3, 1)
    assert r.delta == pytest.approx(-1 / 3)
    assert "1 items that not all have are left out" in r.notes


def test_a_ratio_is_not_paired(tmp_path: Path):
    ratio = row("p", items([1, 0]), value=0.7, interval=[0.6, 0.8])
    folders = [
        write(tmp_path / "base", [ratio]),
        write(tmp_path / "new", [ratio | {"value": 0.4, "interval": [0.3, 0.5]}]),
    ]
    found = compare(read_subjects(folders))
    (r,) = found.rows
    assert (r.verdict, r.p, found.family) == ("not tested", None, 0)
    assert r.delta == pytest.approx(-0.3)
    assert r.interval is not None
    assert r.interval.low == pytest.approx(-0.3 - 0.02**0.5)
    assert any("not a mean over items" in note for note in r.notes)


def runs(tmp_path: Path, arm: str, rates: list[float], step: int = 10) -> list[Path]:
    return [
        write(
            tmp_path / f"{arm}-{seed}-{step}",
            [row(NAME, items(shares(rate, seed=seed + 7)))],
            arm=arm,
            seed=seed,
            step=step,
            adapter=f"{arm}{seed}{step}",
        )
        for seed, rate in enumerate(rates)
    ]


def test_seeds_of_an_arm_are_clusters(tmp_path: Path):
    folders = runs(tmp_path, "a", [0.7, 0.72, 0.71]) + runs(tmp_path, "b", [0.2, 0.25, 0.22])
    found = compare(read_subjects(folders), by_arm=True)
    (r,) = found.rows
    assert (r.before.seeds, r.after.seeds, r.over_seeds) == (3, 3, True)
    assert (r.p, r.smallest_p) == (pytest.approx(0.1), pytest.approx(0.1))
    assert r.interval is not None
    assert r.interval.high < 0
    assert (r.verdict, r.detectable) == ("undecided", None)
    assert any("smallest p is 0.1; it takes 4 on each side" in note for note in r.notes)
    four = runs(tmp_path / "4", "a", [0.7] * 4) + runs(tmp_path / "4", "b", [0.2] * 4)
    (r,) = compare(read_subjects(four), by_arm=True).rows
    assert (r.verdict, r.direction) == ("differs", "worse")
    assert r.detectable is not None


def test_one_policy_against_seeds_needs_six(tmp_path: Path):
    base = write(tmp_path / "base", [row(NAME, items(shares(0.7)))])
    (r,) = compare(read_subjects([base, *runs(tmp_path, "b", [0.2] * 5)]), by_arm=True).rows
    assert r.smallest_p == pytest.approx(2.0**-4)
    assert any("it takes 6" in note for note in r.notes)
    (r,) = compare(read_subjects([base, *runs(tmp_path / "6", "b", [0.2] * 6)]), by_arm=True).rows
    assert r.verdict == "differs"


def test_of_an_arm_the_last_checkpoints_count(tmp_path: Path):
    late = runs(tmp_path, "b", [0.2, 0.2], step=20)
    folders = [*runs(tmp_path, "a", [0.7, 0.7]), *late, *runs(tmp_path, "b", [0.7, 0.7])]
    found = compare(read_subjects(folders), by_arm=True)
    assert [run.step for run in found.others[0].runs] == [20, 20]
    again = write(tmp_path / "again", [row(NAME, items([1, 0]))], arm="b", seed=0, step=20)
    with pytest.raises(UserError, match="same seed"):
        compare(read_subjects([*folders, again]), by_arm=True)


def test_a_seed_without_a_number_is_counted_out_loud(tmp_path: Path):
    folders = runs(tmp_path, "a", [0.7] * 3) + runs(tmp_path, "b", [0.6] * 2)
    folders.append(write(tmp_path / "b-2", [row(NAME, {})], arm="b", seed=2, step=10, adapter="b2"))
    (r,) = compare(read_subjects(folders), by_arm=True).rows
    assert (r.after.seeds, r.after.of) == (2, 3)
    assert "b: 2 of 3 seeds" in r.notes


def test_the_same_weights_are_named(tmp_path: Path):
    folders = [write(tmp_path / n, [row(NAME, items([1, 0]))]) for n in ("base", "copy")]
    (r,) = compare(read_subjects(folders)).rows
    assert "the same weights: any difference is chance" in r.notes


def test_margins_by_name_and_on_scales_of_a_hundred(tmp_path: Path):
    rows = [row("score", items([55.0, 60.0])), row("rate", items([0.5, 0.6]))]
    folders = [write(tmp_path / n, rows, weights=n) for n in ("base", "new")]
    subjects = read_subjects(folders)
    found = compare(subjects, margins=Margins(0.05, {"xstest.rate": 0.2}))
    assert {r.metric: r.margin for r in found.rows} == {"score": 5.0, "rate": 0.2}
    with pytest.raises(UserError, match="no such metric") as caught:
        compare(subjects, margins=Margins(None, {"xstest.rat": 0.2}))
    assert "did you mean `xstest.rate`" in str(caught.value.fix)


def test_only_what_was_asked_for(tmp_path: Path):
    rows = [row("a[lexical-v1]", items([1, 0])), row("b", items([1, 0]), main=False)]
    subjects = read_subjects([write(tmp_path / n, rows, weights=n) for n in ("base", "new")])
    assert [r.metric for r in compare(subjects).rows] == ["a[lexical-v1]"]
    assert [r.metric for r in compare(subjects, everything=True).rows] == ["a[lexical-v1]", "b"]
    assert [r.metric for r in compare(subjects, chosen=["xstest.b"]).rows] == ["b"]
    assert [r.metric for r in compare(subjects, chosen=["xstest.a"]).rows] == ["a[lexical-v1]"]
    with pytest.raises(UserError, match="no such metric"):
        compare(subjects, chosen=["xtest"])


def test_nothing_in_common_and_nothing_to_compare(tmp_path: Path):
    one = write(tmp_path / "base", [row(NAME, items([1, 0]))])
    other = write(tmp_path / "new", [row("acc", items([1, 0]))], benchmark="mmlu")
    with pytest.raises(UserError, match="no metric in common"):
        compare(read_subjects([one, other]))
    with pytest.raises(UserError, match="only one policy"):
        compare(read_subjects([one]))


def test_notes_are_told_once_with_their_rows():
    rows = [plain("a", 0.5), plain("b", 0.5)]
    from dataclasses import replace

    assert noted([replace(r, notes=("x",)) for r in rows]) == ["x (all rows)"]
    assert noted([replace(rows[0], notes=("x",)), rows[1]]) == ["x (b a)"]


def test_json_has_no_nan_and_all_there_is(tmp_path: Path):
    found = two(tmp_path, shares(0.5), shares(0.4, seed=1), margins=Margins(0.1)).to_json()
    document = json.loads(json.dumps(found, allow_nan=False))
    (r,) = document["rows"]
    assert {
        "delta",
        "interval",
        "p",
        "smallest_p",
        "p_holm",
        "equivalence_p",
        "detectable",
    } <= r.keys()
    assert document["margin"] == {"everywhere": 0.1}
    assert document["baseline"]["runs"][0]["weights"] == "1"
