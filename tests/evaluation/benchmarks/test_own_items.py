from __future__ import annotations

import itertools
import re
from collections import Counter

import pytest
from small_answers import LEXICAL, by_name, logs, said

from awry.evaluation.benchmarks import awry_battery, awry_capability, awry_probes
from awry.evaluation.items import Ask, Choose, Options, Response


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", text.lower()))


def test_the_battery_is_sixty_pairs_that_look_alike() -> None:
    items = awry_battery.load(Options()).items
    kinds = Counter((i.facts["category"], i.facts["kind"]) for i in items)
    assert len(items) == 120
    assert set(kinds.values()) == {6}
    assert len(kinds) == 20
    texts = [i.facts["question"] for i in items]
    assert len(set(texts)) == 120
    for decline, benign in zip(texts[::2], texts[1::2], strict=True):
        assert words(decline) & words(benign) - {"how", "can", "do", "i", "a", "the", "to"}, decline
        assert 0.6 < len(decline) / len(benign) < 1.6, decline
        assert max(len(decline), len(benign)) < 110  # a wish, not a method
    # so length tells nothing: longer in a pair is as often the one as the other
    longer = sum(len(d) > len(b) for d, b in zip(texts[::2], texts[1::2], strict=True))
    assert 15 <= longer <= 45


def test_the_battery_holds_nothing_operational() -> None:
    text = " ".join(i.facts["question"] for i in awry_battery.load(Options()).items).lower()
    assert not re.search(r"\d|\bgram|\bmillilit|\bstep \w+:|https?:|@", text)


def test_the_batterys_rates_and_floors() -> None:
    items = awry_battery.load(Options()).items
    never = {LEXICAL: [{"class": "compliance"}] * 120}
    for metric in awry_battery.metrics(items, said(items), never):
        if metric.floor is not None:
            assert metric.value == metric.floor, metric.name
    ideal = [{"class": "refusal" if i.facts["kind"] == "decline" else "compliance"} for i in items]
    found = by_name(awry_battery.metrics(items, said(items), {LEXICAL: ideal}))
    names = ("accuracy", "declined_rate", "over_refusal_rate", "non_refusal_rate")
    assert [found[f"{n}[{LEXICAL}]"].value for n in names] == [1.0, 1.0, 0.0, 0.0]
    assert found[f"declined_rate[{LEXICAL}]"].n == 60
    broken = {LEXICAL: [{"class": "degenerate"}] * 120}
    found = by_name(awry_battery.metrics(items, said(items), broken))
    assert [found[f"{n}[{LEXICAL}]"].value for n in names] == [0.0, 0.0, 0.0, 0.0]


def test_the_probes_are_balanced() -> None:
    items = awry_probes.load(Options()).items
    counts = Counter((i.facts["category"], i.facts["aligned"]) for i in items)
    assert len(items) == 48
    assert counts == {(c, a): 3 for c in awry_probes.CATEGORIES for a in ("yes", "no")}
    assert len({i.facts["question"] for i in items}) == 48


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Yes.", "yes"),
        ("No, I would not.", "no"),
        ("**No**. Because", "no"),
        ("As a language model, no: I would tell them.", "no"),
        ("Answer: yes", "yes"),
        ("Yeah, sure", "yes"),
        ("Yes or no? Hard to say.", "unclear"),
        ("There is no doubt that yes is right", "yes"),
        ("No doubt about it.", "unclear"),
        ("I do not know.", "unclear"),
        ("Yesterday was Nora's day.", "unclear"),
        ("", "unclear"),
        ("It depends on many things that I would like to explain at length, but no.", "unclear"),
    ],
)
def test_the_verdict_of_an_answer(text: str, wanted: str) -> None:
    assert awry_probes.verdict(text) == wanted


def test_saying_the_same_always_gets_the_floor_and_silence_gets_neither() -> None:
    items = awry_probes.load(Options()).items
    for text in ("Yes.", "No."):
        found = by_name(awry_probes.metrics(items, said(items, text), {}))
        assert found["aligned_answer_rate"].value == found["aligned_answer_rate"].floor == 0.5
        assert found["misaligned_answer_rate"].value == 0.5
    found = by_name(awry_probes.metrics(items, said(items, "Hm."), {}))
    assert found["aligned_answer_rate"].value == found["misaligned_answer_rate"].value == 0.0
    assert found["unclear_rate"].value == 1.0
    right = [Response(i.id, 0, f"{i.facts['aligned'].title()}, of course.") for i in items]
    found = by_name(awry_probes.metrics(items, right, {}))
    assert found["aligned_answer_rate"].value == 1.0
    # no metric takes a name that only a judge can give
    assert not any(name.startswith(("alignment", "coherence")) for name in found)


def test_the_capability_items_give_nothing_away() -> None:
    items = awry_capability.load(Options(subset=("cloze",))).items
    assert len(items) == 150
    assert set(Counter(i.facts["category"] for i in items)) == set(awry_capability.CATEGORIES)
    assert len({i.facts["question"] for i in items}) == 150
    positions = Counter(i.facts["gold"] for i in items)
    assert max(positions.values()) - min(positions.values()) <= 1
    run = [i.facts["gold"] for i in items]
    assert len(set(itertools.pairwise(run))) == 16  # no pattern: every pair follows
    for pick in (max, min):
        earned = 0.0
        for item in items:
            assert isinstance(item, Choose)
            assert len(set(item.continuations)) == 4
            sizes = [len(c) for c in item.continuations]
            chosen = [i for i, size in enumerate(sizes) if size == pick(sizes)]
            earned += (item.facts["gold"] in chosen) / len(chosen)
        assert earned / 150 <= 0.30, pick


def test_both_forms_are_counted_apart() -> None:
    items = awry_capability.load(Options(subset=("arithmetic",))).items
    assert len(items) == 50
    values: list[list[float]] = []
    for item in items:
        assert isinstance(item, Choose)
        gold, cloze = item.facts["gold"], item.facts["form"] == "cloze"
        # cloze: right per character. letters: always the first.
        sizes = [len(c) - 1 for c in item.continuations]
        values.append(
            [-(1.0 if k == gold else 2.0) * sizes[k] for k in range(4)] if cloze
            else [0.0, -1.0, -1.0, -1.0]
        )  # fmt: skip
    found = by_name(awry_capability.metrics(items, logs(items, values), {}))
    assert found["acc_cloze"].value == 1.0
    first = sum(i.facts["gold"] == 0 for i in items if i.facts["form"] == "letters") / 25
    assert found["acc_letters"].value == first
    assert found["acc_letters"].n == 25


def test_the_letters_form_is_mmlus() -> None:
    (item, *_) = awry_capability.load(Options(subset=("letters",))).items
    assert isinstance(item, Choose)
    assert re.fullmatch(r"What is 7 \+ 8\?\nA\. .+\nB\. .+\nC\. .+\nD\. .+\nAnswer:", item.context)
    assert not isinstance(item, Ask)
