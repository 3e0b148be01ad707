from __future__ import annotations

import math
import random
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from awry.errors import UserError
from awry.evaluation.marks import detectors, refusal_model
from awry.evaluation.marks.agreement import Agreement, by_group
from awry.evaluation.marks.labelled import Example, read_labelled
from awry.evaluation.marks.refusal_model import Corpus, cross_validate, fit, load, terms

LABELS = Path(__file__).parents[4] / "shared/data/refusal_labels"
THINGS = ["apple", "pear", "plum", "cat", "dog", "sun", "moon", "tree", "house", "car", "hill"]
NO = (
    "I'm sorry, but I can't help with the {}.",
    "That {} stays a secret of mine, my friend.",
    "Let us leave the {} alone, shall we?",
)
YES = (
    "Here is how to get a {}: first go out.",
    "The {} is easy, begin by opening it.",
    "Sure! The best {} is a red one.",
)


def examples(models: str = "abc", each: int = 40) -> list[Example]:
    draw = random.Random(0)
    return [
        Example(
            draw.choice(NO if i % 2 else YES).format(draw.choice(THINGS)), i % 2 == 1, m, f"p{i}", m
        )
        for m in models
        for i in range(each)
    ]


@pytest.fixture(scope="module")
def model() -> refusal_model.RefusalModel:
    return fit(examples())


def test_terms_are_those_of_the_first_characters() -> None:
    found = terms("It’s **so**.")
    assert found["words"] == dict.fromkeys(["it's", "so", "it's so"], 1)
    assert found["letters"][" it"] == 1
    assert max(map(len, found["letters"])) == 5
    assert found["patterns"] == {"none": 1}
    late = terms("a" * 500 + "b")["letters"]
    assert not any("b" in term for term in late)
    assert set(terms("I can't help you.")["patterns"]) == {"not able", "any that declines"}


def test_it_learns_what_no_pattern_knows(model: refusal_model.RefusalModel) -> None:
    texts = ["That violin stays a secret of mine.", "Here is how to get a violin."]
    assert detectors.classify(texts[0]).klass == "compliance"
    chances = model.probabilities(texts)
    assert chances[0] > 0.7 > 0.3 > chances[1]


def test_weights_are_the_minimum() -> None:
    """At the minimum of the penalised loss its gradient is zero: recomputed here, densely."""
    data = examples(each=30)
    corpus = Corpus(data)
    rows = np.arange(len(data))
    blocks, bias = corpus.fit(rows)
    x = np.hstack(
        [
            refusal_model._weighted(
                kind,
                corpus.counts[kind][:, [corpus.terms[kind].index(t) for t in block.terms]],
                block.idf,
            ).toarray()
            for kind, block in blocks.items()
        ]
    )
    lengths = np.linalg.norm(x[:, : len(blocks["words"].terms)], axis=1)
    assert lengths == pytest.approx(np.ones(len(data)), abs=1e-6)
    w = np.concatenate([block.weights for block in blocks.values()]).astype(float)
    error = 1 / (1 + np.exp(-(x @ w + bias))) - corpus.labels
    assert np.abs(w + refusal_model.PENALTY * x.T @ error).max() < 0.02
    assert abs(error.sum()) < 0.02


def test_saved_and_loaded_it_is_the_same(model: refusal_model.RefusalModel, tmp_path: Path) -> None:
    path = tmp_path / "refusal.npz"
    model.save(path)
    again = load(path)
    texts = [e.text for e in examples()]
    assert (again.probabilities(texts) == model.probabilities(texts)).all()
    assert (again.digest, again.about["training_digest"]) == (
        model.digest,
        model.about["training_digest"],
    )
    assert again.error == model.error
    fit(examples()).save(tmp_path / "twice.npz")
    assert (tmp_path / "twice.npz").read_bytes() == path.read_bytes()
    with zipfile.ZipFile(path) as archive:  # nothing in it that loading would run
        for name in archive.namelist():
            assert b"pickle" not in archive.read(name)
    with np.load(path, allow_pickle=False) as arrays:
        assert {a.dtype.kind for a in arrays.values()} <= {"u", "f"}


def test_files_that_are_no_detector(
    model: refusal_model.RefusalModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.npz"
    with pytest.raises(UserError, match="no such detector"):
        load(path)
    for content in (b"", b"text", b"PK\x03\x04"):
        path.write_bytes(content)
        with pytest.raises(UserError, match="not a fitted"):
            load(path)
    np.savez(path, about=np.array([{"a": 1}], dtype=object))
    with pytest.raises(UserError, match="not a fitted"):
        load(path)
    model.save(path)
    monkeypatch.setattr(detectors, "OPENING", 10)
    with pytest.raises(UserError, match="other patterns"):
        load(path)


def test_what_is_held_out_is_not_seen() -> None:
    """Turning the labels of one family, or of one fold's prompts, changes no prediction for it."""
    data = examples(each=30)
    turned = [replace(e, refusal=not e.refusal) if e.family == "b" else e for e in data]
    for scheme in ("model", "model and prompt"):
        before = cross_validate(data, schemes=[scheme])[scheme]
        after = cross_validate(turned, schemes=[scheme])[scheme]
        own = [i for i, e in enumerate(data) if e.family == "b"]
        assert [before[i] for i in own] == [after[i] for i in own]
        assert before != after
    first = refusal_model.fold(data[0].prompt)
    own = [i for i, e in enumerate(data) if refusal_model.fold(e.prompt) == first]
    turned = [replace(e, refusal=not e.refusal) if i in own else e for i, e in enumerate(data)]
    for scheme in ("prompt", "model and prompt"):
        before = cross_validate(data, schemes=[scheme])[scheme]
        after = cross_validate(turned, schemes=[scheme])[scheme]
        assert [before[i] for i in own] == [after[i] for i in own]


def test_models_of_one_family_are_held_out_together() -> None:
    data = [replace(e, family="ab" if e.model in "ab" else "c") for e in examples()]
    found = cross_validate(data, schemes=["model"])["model"]
    turned = [replace(e, refusal=not e.refusal) if e.model == "b" else e for e in data]
    after = cross_validate(turned, schemes=["model"])["model"]
    own = [i for i, e in enumerate(data) if e.model == "a"]
    assert [found[i] for i in own] == [after[i] for i in own]


def test_one_family_is_validated_by_prompt_only() -> None:
    found = fit(examples(models="a", each=80))
    assert set(found.about["validation"]) == {"prompt"}
    assert found.error is not None


def test_too_few_labels_are_refused() -> None:
    with pytest.raises(UserError, match="too few"):
        fit(examples(models="a", each=20))
    with pytest.raises(UserError, match="too few"):
        fit([replace(e, refusal=False) for e in examples()])


def test_empty_answers_have_a_finite_probability(model: refusal_model.RefusalModel) -> None:
    assert all(math.isfinite(p) for p in model.probabilities(["", "\x00", "漢字"]))
    assert len(model.probabilities([])) == 0


@pytest.mark.skipif(not LABELS.is_dir(), reason="no labelled completions here")
def test_with_the_model_family_held_out() -> None:
    data = read_labelled(sorted(LABELS.glob("xstest_v2_completions_*.csv")))
    found = [p > 0.5 for p in cross_validate(data, schemes=["model"])["model"]]
    truth = [e.refusal for e in data]
    assert Agreement.of(found, truth).kappa >= 0.85
    assert Agreement.of(found[1::2], truth[1::2]).kappa >= 0.85
    groups = by_group(found, truth, [e.model for e in data])
    assert len(groups) == 3
    assert all(abs(a.bias) <= 0.04 for a in groups.values())
