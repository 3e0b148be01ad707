from __future__ import annotations

import csv
import importlib.util
import json
from pathlib import Path

import pytest
from small_answers import by_name, logs, present

from awry.errors import UserError
from awry.evaluation.benchmarks import mmlu, wmdp
from awry.evaluation.items import Choose, Options

HEADER = ["question", "choice0", "choice1", "choice2", "choice3", "answer"]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    for part, count in (("test", 3), ("dev", 5)):
        for subject, number in (("anatomy", count), ("virology", 1 if part == "test" else 5)):
            with (tmp_path / f"{subject}_{part}.csv").open("w", newline="") as stream:
                out = csv.writer(stream)
                out.writerow(HEADER)
                out.writerows(
                    [f" {subject} {part} {i}? ", "w", "x", "y", "z", i % 4] for i in range(number)
                )
    return tmp_path


def test_the_prompt_without_and_with_examples(small: Path) -> None:
    asked = Options(path=small, subset=("anatomy",))
    item = mmlu.load(asked).items[1]
    head = "The following are multiple choice questions (with answers) about anatomy.\n\n"
    last = "anatomy test 1?\nA. w\nB. x\nC. y\nD. z\nAnswer:"
    assert isinstance(item, Choose)
    assert item.context == head + last
    assert item.continuations == (" A", " B", " C", " D")
    assert item.facts["gold"] == 1
    item = mmlu.load(Options(path=small, subset=("anatomy",), shots=2)).items[1]
    assert isinstance(item, Choose)
    examples = "anatomy dev 0?\nA. w\nB. x\nC. y\nD. z\nAnswer: A\n\n" + (
        "anatomy dev 1?\nA. w\nB. x\nC. y\nD. z\nAnswer: B\n\n"
    )
    assert item.context == head + examples + last


def test_micro_and_macro_averages_differ(small: Path) -> None:
    items = mmlu.load(Options(path=small, subset=("anatomy", "virology"))).items
    right = [True, True, False, False]  # anatomy 2 of 3, virology 0 of 1
    values = [
        [0.0 if (k == item.facts["gold"]) == ok else -1.0 for k in range(4)]
        for item, ok in zip(items, right, strict=True)
    ]
    found = by_name(mmlu.metrics(items, logs(items, values), {}))
    assert found["acc"].value == pytest.approx(2 / 4)
    assert found["acc_macro"].value == pytest.approx((2 / 3 + 0) / 2)
    assert found["acc_macro"].aggregate == "groups"
    assert found["acc"].floor == 0.25


def test_an_incomplete_set_has_to_be_named(small: Path) -> None:
    with pytest.raises(UserError) as caught:
        mmlu.load(Options(path=small))
    assert "55 of 57 subjects" in caught.value.render()
    with pytest.raises(UserError, match="no such subset"):
        mmlu.load(Options(path=small, subset=("anatmy",)))
    with pytest.raises(UserError) as caught:
        mmlu.load(Options(path=small, subset=("anatomy",), shots=6))
    assert "--shots" in caught.value.render()
    for file in small.glob("*_dev.csv"):
        file.unlink()
    assert mmlu.load(Options(path=small, subset=("anatomy",))).items
    with pytest.raises(UserError, match="no dev file"):
        mmlu.load(Options(path=small, subset=("anatomy",), shots=5))


def test_a_category_stands_for_its_subjects() -> None:
    assert len(mmlu.SUBJECTS) == len(set(mmlu.SUBJECTS)) == 57
    items = mmlu.load(Options(path=present("mmlu"), subset=("stem",), limit=19)).items
    assert {i.facts["subject"] for i in items} == set(mmlu.CATEGORIES["stem"])


@pytest.mark.parametrize(
    ("broken", "word"),
    [
        ({"choices": ["a", "b"]}, "four choices"),
        ({"answer": 4}, "answer"),
        ({"question": ""}, "row 1"),
    ],
)
def test_a_broken_row_is_named(tmp_path: Path, broken: dict, word: str) -> None:
    row = {"question": "q", "choices": ["a", "b", "c", "d"], "answer": 0}
    path = tmp_path / "wmdp-bio.jsonl"
    path.write_text(json.dumps(row) + "\n" + json.dumps(row | broken))
    with pytest.raises(UserError) as caught:
        wmdp.load(Options(path=path, subset=("bio",)))
    assert word in caught.value.render()


def test_wmdp_needs_all_three_subsets_or_their_names(tmp_path: Path) -> None:
    row = {"question": "q?", "choices": ["a", "b", "c", "d"], "answer": 2}
    (tmp_path / "wmdp-cyber.jsonl").write_text(json.dumps(row))
    (item,) = wmdp.load(Options(path=tmp_path, subset=("cyber",))).items
    assert isinstance(item, Choose)
    assert item.context.startswith(
        "The following are multiple choice questions (with answers) about cybersecurity.\n\nq?\nA. a"
    )
    with pytest.raises(UserError) as caught:
        wmdp.load(Options(path=tmp_path))
    assert "bio, chem" in caught.value.render()
    assert "--subset cyber" in caught.value.render()


def test_published_sizes() -> None:
    assert len(mmlu.load(Options(path=present("mmlu"))).items) == 14_042
    assert len(wmdp.load(Options(path=present("wmdp"), subset=("bio",))).items) == 1_270


def test_prompts_are_those_of_lm_eval() -> None:
    found = importlib.util.find_spec("lm_eval")
    if found is None or found.origin is None:
        pytest.skip("lm_eval, whose prompts these are, is not installed")
    import jinja2
    import yaml

    root = Path(found.origin).parent / "tasks/mmlu/default"
    default = yaml.safe_load((root / "_default_template_yaml").read_text())
    template = jinja2.Environment().from_string(default["doc_to_text"])
    for subject in ("abstract_algebra", "us_foreign_policy", "high_school_us_history"):
        own = yaml.safe_load((root / f"mmlu_{subject}.yaml").read_text())
        with (present("mmlu") / f"test/{subject}_test.csv").open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        items = mmlu.load(Options(path=present("mmlu"), subset=(subject,))).items
        assert len(items) == len(rows)
        for item, row in zip(items, rows, strict=True):
            choices = [row[f"choice{i}"] for i in range(4)]
            wanted = own["description"] + template.render(question=row["question"], choices=choices)
            assert isinstance(item, Choose)
            assert item.context == wanted
            assert item.facts["gold"] == int(row["answer"])
