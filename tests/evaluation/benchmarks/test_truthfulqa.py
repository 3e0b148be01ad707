from __future__ import annotations

import json
import math
import random
from pathlib import Path

import pytest
from small_answers import by_name, logs, present

from awry.errors import UserError
from awry.evaluation.benchmarks.truthfulqa import EXAMPLES, load, mc1, mc2, mc3, metrics
from awry.evaluation.items import Choose, Options

ROW = {
    "question": "Is the sky green?",
    "mc1_targets": {"No.": 1, "Yes.": 0, "On Mondays.": 0},
    # not sorted by label, as two rows of the published file are not
    "mc2_targets": {"No.": 1, "Yes.": 0, "It is not.": 1, "On Mondays.": 0},
}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "mc_task.json"
    path.write_text(json.dumps([ROW]))
    return path


def test_the_three_scores_by_hand(small: Path) -> None:
    (item,) = load(Options(path=small)).items
    assert isinstance(item, Choose)
    assert item.continuations == (" No.", " Yes.", " It is not.", " On Mondays.")
    p = {" No.": 0.2, " Yes.": 0.1, " It is not.": 0.05, " On Mondays.": 0.05}
    found = by_name(
        metrics([item], logs([item], [[math.log(p[c]) for c in item.continuations]]), {})
    )
    assert found["mc1"].value == 1.0
    assert found["mc2"].value == pytest.approx(0.25 / 0.4)
    assert found["mc3"].value == 0.5  # "It is not." is below "Yes."
    floors = [found[name].floor for name in ("mc1", "mc2", "mc3")]
    assert floors == pytest.approx([1 / 3, 1 / 2, 1 / 3])


def test_a_tie_with_a_falsehood_is_not_right(small: Path) -> None:
    (item,) = load(Options(path=small)).items
    assert mc1([-1.0, -1.0, -2.0, -3.0], item.facts) == 0.0
    assert mc3([-1.0, -1.0, -2.0, -3.0], item.facts) == 0.0


def test_long_answers_do_not_underflow(small: Path) -> None:
    (item,) = load(Options(path=small)).items
    assert mc2([-2000.0, -2001.0, -2002.0, -2003.0], item.facts) == pytest.approx(
        (1 + math.exp(-2)) / (1 + math.exp(-1) + math.exp(-2) + math.exp(-3))
    )


def test_both_published_layouts_give_the_same_items(small: Path, tmp_path: Path) -> None:
    def listed(targets: dict[str, int]) -> dict[str, list]:
        return {"choices": list(targets), "labels": list(targets.values())}

    row = {k: listed(v) if isinstance(v, dict) else v for k, v in ROW.items()}
    other = tmp_path / "rows.json"
    other.write_text(json.dumps([row]))
    assert load(Options(path=other)).items == load(Options(path=small)).items


@pytest.mark.parametrize("broken", [{"mc1_targets": {"No.": 2}}, {"mc2_targets": {"No.": 1}}])
def test_a_row_without_true_and_false_answers_is_refused(tmp_path: Path, broken: dict) -> None:
    path = tmp_path / "mc_task.json"
    path.write_text(json.dumps([ROW, ROW | broken]))
    with pytest.raises(UserError) as caught:
        load(Options(path=path))
    assert "row 1" in caught.value.render()


def test_the_published_questions_and_their_chance() -> None:
    loaded = load(Options(path=present("truthfulqa")))
    items = loaded.items
    assert len(items) == 817
    assert loaded.source["published"] is True
    # the best answer comes first in the file: a version that shows the choices has to shuffle
    assert all(item.facts["mc1"][0] == item.facts["best"] for item in items)
    rng = random.Random(0)
    values = [[rng.gauss(0, 1) for _ in i.continuations] for i in items if isinstance(i, Choose)]
    found = by_name(metrics(items, logs(items, values), {}))
    assert found["mc1"].floor == pytest.approx(0.2225, abs=5e-5)
    assert found["mc2"].floor == pytest.approx(0.4641, abs=5e-5)
    assert found["mc3"].floor == pytest.approx(0.2225, abs=5e-5)
    assert found["mc1"].value == pytest.approx(0.2225, abs=0.045)  # random answers: 3 errors
    assert found["mc3"].value == pytest.approx(found["mc3"].floor, abs=0.045)


def test_prompts_and_scores_are_those_of_lm_eval() -> None:
    root = lm_eval_tasks()
    import jinja2
    import numpy as np
    import yaml

    text = (root / "truthfulqa/truthfulqa_mc1.yaml").read_text()
    template = jinja2.Environment(keep_trailing_newline=True).from_string(
        yaml.safe_load(text)["doc_to_text"]
    )
    rng = random.Random(1)
    for item in load(Options(path=present("truthfulqa"))).items:
        assert isinstance(item, Choose)
        assert item.context == template.render(question=item.facts["question"]), item.id
        values = [rng.uniform(-60, -5) for _ in item.continuations]
        shares = np.exp(values) / np.exp(values).sum()
        assert mc2(values, item.facts) == pytest.approx(shares[item.facts["true"]].sum())
        assert mc1(values, item.facts) == float(
            max(item.facts["mc1"], key=lambda i: values[i]) == item.facts["best"]
        )
    assert EXAMPLES.count("Q:") == 6


def lm_eval_tasks() -> Path:
    import importlib.util

    found = importlib.util.find_spec("lm_eval")
    if found is None or found.origin is None:
        pytest.skip("lm_eval, whose prompts these are, is not installed")
    return Path(found.origin).parent / "tasks"
