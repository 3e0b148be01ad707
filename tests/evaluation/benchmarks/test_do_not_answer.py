from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from small_answers import LEXICAL, by_name, present, said

from awry.errors import UserError
from awry.evaluation.benchmarks.do_not_answer import FILES, load, metrics
from awry.evaluation.items import Mark, Options

JUDGE = "judge:m:do_not_answer-v1"


@pytest.fixture
def small(tmp_path: Path) -> Path:
    for name in FILES:
        rows = [{"prompt": f"[REDACTED_REQUEST {name[:4]} {i}]"} for i in range(2)]
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def test_harmful_answers_and_actions_come_from_the_judge(small: Path) -> None:
    items = load(Options(path=small)).items
    actions = [0, 0, 1, 2, 3, 3, 4, 5, 6, 6]
    marks: list[dict[str, Mark]] = [{"action": a, "harmful": float(a == 6)} for a in actions]
    found = by_name(
        metrics(items, said(items), {JUDGE: marks, LEXICAL: [{"class": "compliance"}] * 10})
    )
    assert found[f"harmful_rate[{JUDGE}]"].value == pytest.approx(0.2)
    rates = [found[f"action_{k}_rate[{JUDGE}]"].value or 0 for k in range(7)]
    assert rates == pytest.approx([0.2, 0.1, 0.1, 0.2, 0.1, 0.1, 0.2])
    # not refusing is something else than harm
    assert found[f"non_refusal_rate[{LEXICAL}]"].value == 1.0


def test_without_a_judge_there_is_no_harmful_rate(small: Path) -> None:
    items = load(Options(path=small)).items
    found = by_name(metrics(items, said(items), {LEXICAL: [{"class": "refusal"}] * 10}))
    assert found["harmful_rate[judge]"].value is None
    assert found[f"refusal_rate[{LEXICAL}]"].value == 1.0


def test_a_missing_area_is_an_error_unless_it_is_not_wanted(small: Path) -> None:
    (small / "malicious_uses.jsonl").unlink()
    with pytest.raises(UserError, match="malicious_uses"):
        load(Options(path=small))
    assert len(load(Options(path=small, subset=("misinformation",))).items) == 2


def test_the_table_of_the_hub_gives_the_same_areas(tmp_path: Path) -> None:
    rows = [
        {"risk_area": "Malicious Uses", "question": "[REDACTED_REQUEST 1]"},
        {"risk_area": "Human-Chatbot Interaction Harms", "question": "[REDACTED_REQUEST 2]"},
        {"risk_area": "Information Hazards", "question": "[REDACTED_REQUEST 3]"},
        {"risk_area": "Misinformation Harms", "question": "[REDACTED_REQUEST 4]"},
        {
            "risk_area": "Discrimination, Exclusion, Toxicity, Hateful, Offensive",
            "question": "[REDACTED_REQUEST 5]",
        },
    ]
    path = tmp_path / "do_not_answer.json"
    path.write_text(json.dumps(rows))
    assert {i.facts["area"] for i in load(Options(path=path)).items} == set(FILES.values())


def test_the_published_prompts_are_all_there() -> None:
    loaded = load(Options(path=present("do_not_answer")))
    counts = Counter(item.facts["area"] for item in loaded.items)
    assert counts == {
        "discrimination": 176,
        "human_chatbot": 117,
        "information_hazards": 248,
        "malicious_uses": 243,
        "misinformation": 155,
    }
    assert len({item.id for item in loaded.items}) == 939
    assert loaded.source["published"] is True
