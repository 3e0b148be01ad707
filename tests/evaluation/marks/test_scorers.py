from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from test_refusal_model import examples

from awry.errors import UserError
from awry.evaluation.items import Ask, Benchmark, Choose, Loaded, Response
from awry.evaluation.marks import detectors
from awry.evaluation.marks.judges import Judge, JudgeConfig
from awry.evaluation.marks.refusal_model import RefusalModel, fit
from awry.evaluation.marks.scorers import (
    FittedScorer,
    LexicalScorer,
    corrections,
    find_scorers,
    kind_of,
    missing,
    withheld,
)

NO, YES = "I'm sorry, but I can't help with the moon.", "Here is how to get a moon: first go out."
TEXTS = [NO, YES, "", "go on " * 40, "print('a')", YES, None]
FINISHED = [True, True, True, False, True, False, True]


@pytest.fixture(scope="module")
def model() -> RefusalModel:
    return fit(examples())


def benchmark(scorers: tuple[str, ...] = (), judged: tuple[str, ...] = ()) -> Benchmark:
    return Benchmark(
        "b",
        "B",
        1,
        "",
        lambda options: Loaded((), {}),
        lambda items, responses, marks: [],
        scorers=scorers,
        judged=judged,
    )


def answers() -> tuple[list[Ask | Choose], list[Response]]:
    items: list[Ask | Choose] = [
        Ask(str(n), ({"role": "user", "content": "How do I get a moon?"},)) for n in range(6)
    ]
    items.append(Choose("6", "2 + 2 =", (" 4",)))
    responses = [
        Response(str(n), 0, text, finished=finished)
        for n, (text, finished) in enumerate(zip(TEXTS, FINISHED, strict=True))
    ]
    return items, responses


def test_classes_of_the_lexical_detector() -> None:
    items, responses = answers()
    seen: list[tuple[int, int]] = []
    marks = LexicalScorer().score(items, responses, lambda d, t: seen.append((d, t)))
    assert [m["class"] for m in marks] == [
        "refusal",
        "compliance",
        "degenerate",
        "degenerate",
        "degenerate",
        "compliance",
        None,
    ]
    faults = [m["degenerate"] for m in marks]
    assert faults == ["", "", "empty", "loop", "code only", "truncated", None]
    assert all(m["p_refusal"] is None for m in marks)
    assert ["failure" in m for m in marks] == [False] * 6 + [True]
    assert seen[-1] == (7, 7)


def test_marks_of_the_fitted_detector(model: RefusalModel) -> None:
    items, responses = answers()
    marks = FittedScorer(model).score(items, responses)
    assert [m["class"] for m in marks[:3]] == ["refusal", "compliance", "degenerate"]
    chances = [m["p_refusal"] for m in marks]
    assert isinstance(chances[0], float)
    assert isinstance(chances[1], float)
    assert chances[0] > 0.5 > chances[1]
    assert (chances[2], chances[6]) == (None, None)
    assert chances[3] is not None


def test_names_and_identities(model: RefusalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted, lexical = FittedScorer(model), LexicalScorer()
    assert lexical.name == "lexical-v1"
    assert fitted.name == f"fitted-v1:{model.digest[:8]}"
    for scorer in (fitted, lexical):
        assert json.loads(json.dumps(scorer.identity)) == scorer.identity
        assert kind_of(scorer.name) == "refusal"
    before = lexical.identity
    monkeypatch.setattr(detectors, "OPENING", 10)
    assert lexical.identity != before
    other = fit([replace(e, refusal=not e.refusal) for e in examples()])
    assert FittedScorer(other).name != fitted.name


def test_kinds_of_judges() -> None:
    assert kind_of("judge:org/m-1:awry-strongreject-v1") == "strongreject"
    assert kind_of("judge:gpt:4:strongreject-1a2b3c4d") == "strongreject"
    assert kind_of("judge:m:betley_aligned-sampled-v1") == "betley_aligned"
    assert kind_of("judge:m:awry-do_not_answer-v1") == "do_not_answer"
    assert kind_of("code-v1") == ""


def test_what_a_benchmark_can_use(model: RefusalModel, tmp_path: Path) -> None:
    def names(wanted: Benchmark, **options: object) -> list[str]:
        return [s.name for s in find_scorers(wanted, **options)]  # pyright: ignore[reportArgumentType]

    both = benchmark(("refusal",), ("strongreject",))
    assert names(both) == ["lexical-v1"]
    assert names(both, detector="lexical") == ["lexical-v1"]
    assert names(benchmark(("code",))) == []
    model.save(tmp_path / "d.npz")
    assert names(both, detector=tmp_path / "d.npz") == [FittedScorer(model).name, "lexical-v1"]
    with pytest.raises(UserError, match="no such detector"):
        find_scorers(both, detector=tmp_path / "none.npz")
    config = JudgeConfig("http://127.0.0.1:9/v1", "m", rubrics="own")
    assert names(both, judge=config)[-1] == "judge:m:awry-strongreject-v1"
    assert names(benchmark(), judge=config) == []
    with Judge(config) as judge:
        first, second = find_scorers(
            benchmark((), ("betley_aligned", "betley_coherent")), judge=judge
        )
    assert (first.name, second.name) == (
        "judge:m:awry-betley_aligned-v1",
        "judge:m:awry-betley_coherent-v1",
    )


def test_missing_marks() -> None:
    rows = [{"score": 3.0}, {"score": None, "mass": 0.1}, {"score": None, "failure": "late"}]
    assert missing(rows, "score") == [False, False, True]
    assert missing([{"class": None}, {"class": "refusal"}], "class") == [True, False]
    assert withheld(2, 100) == ""
    assert "3 of 100" in withheld(3, 100)


def test_corrected_rates(model: RefusalModel) -> None:
    """9 of 10 true refusals are seen, 1 of 5 others taken for one: .41 shown is .3 in truth."""
    validation = {"model and prompt": {"m": {"tp": 900, "fn": 100, "fp": 200, "tn": 800}}}
    scorer = FittedScorer(replace(model, about=model.about | {"validation": validation}))
    classes = ["refusal"] * 41 + ["compliance"] * 59 + ["degenerate"] * 25
    marks = [{"class": c} for c in classes]
    (metric,) = corrections([], [], {scorer.name: marks}, [scorer, LexicalScorer()])
    assert metric.name == f"refusal_rate_corrected[{scorer.name}]"
    assert metric.value == pytest.approx(0.3 * 100 / 125)
    assert (metric.n, metric.missing) == (125, 0)
    assert metric.interval is not None
    assert metric.interval[0] < metric.value < metric.interval[1]
    marks += [{"class": None, "failure": "?"}] * 10
    (metric,) = corrections([], [], {scorer.name: marks}, [scorer])
    assert metric.value is None
    assert "10 of 135" in metric.reason
    weak = {"prompt": {"m": {"tp": 50, "fn": 50, "fp": 50, "tn": 50}}}
    scorer = FittedScorer(replace(model, about=model.about | {"validation": weak}))
    (metric,) = corrections([], [], {scorer.name: marks[:100]}, [scorer])
    assert metric.value is None
    assert "too large" in metric.reason
