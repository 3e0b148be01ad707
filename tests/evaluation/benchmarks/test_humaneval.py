from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_answers import by_name, present

from awry.errors import UserError
from awry.evaluation.benchmarks.humaneval import (
    LIMITS,
    SCORER,
    completed,
    load,
    make_scorer,
    metrics,
    pass_at_k,
)
from awry.evaluation.items import Ask, Options, Response
from awry.sandbox.python import PythonSandbox

PROMPT = 'from typing import List\n\n\ndef total(xs: List[int]) -> int:\n    """Sum of xs."""\n'
BODY = "    return sum(xs)\n"
ROW = {
    "task_id": "HumanEval/0",
    "prompt": PROMPT,
    "entry_point": "total",
    "canonical_solution": BODY,
    "test": "def check(candidate):\n    assert candidate([1, 2]) == 3\n    assert candidate([]) == 0\n",
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[PythonSandbox]:
    with PythonSandbox(workers=1, limits=LIMITS) as opened:
        yield opened


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "HumanEval.jsonl"
    path.write_text(json.dumps(ROW) + "\n")
    return path


@pytest.mark.parametrize(("n", "c", "k"), [(5, 2, 1), (5, 2, 3), (6, 0, 2), (6, 6, 4), (7, 3, 5)])
def test_pass_at_k_is_the_share_of_all_choices_of_k(n: int, c: int, k: int) -> None:
    draws = list(itertools.combinations([True] * c + [False] * (n - c), k))
    assert pass_at_k(n, c, k) == pytest.approx(sum(map(any, draws)) / len(draws))


def test_pass_at_k_refuses_what_has_no_answer() -> None:
    for n, c, k in ((3, 4, 1), (3, 1, 4), (3, 1, 0)):
        with pytest.raises(ValueError, match="needs"):
            pass_at_k(n, c, k)


FENCE = "```"


@pytest.mark.parametrize(
    ("text", "program"),
    [
        (BODY, PROMPT + BODY),
        (f"{BODY}{FENCE}\nThis adds them up.\n{FENCE}python\nprint(1)\n{FENCE}", PROMPT + BODY),
        # an endpoint that ignores the given beginning starts afresh
        (f"Sure, here it is:\n\n{FENCE}python\ndef total(xs):\n    return 0\n{FENCE}\n",
         "def total(xs):\n    return 0\n"),
        (f"{FENCE}python\ndef total(xs):\n    return 0\n", "def total(xs):\n    return 0\n"),
        ("", PROMPT),
        ("no code at all", PROMPT + "no code at all"),
    ],
)  # fmt: skip
def test_the_program_of_an_answer(text: str, program: str) -> None:
    assert completed(PROMPT, text) == program


def test_the_prompt_is_lm_evals_instruct_form(small: Path) -> None:
    (item,) = load(Options(path=small)).items
    assert isinstance(item, Ask)
    assert item.messages[0]["content"] == (
        "Write a solution to the following problem and make sure that it passes the tests:\n"
        f"{FENCE}python\n{PROMPT}\n{FENCE}\n"
    )
    assert item.prefix == f"Here is the completed function:\n{FENCE}python\n{PROMPT}\n"


def test_answers_are_run_and_counted(small: Path, sandbox: PythonSandbox) -> None:
    items = load(Options(path=small)).items
    loops = "    while True:\n        pass\n"
    texts = [BODY] * 4 + [
        "    return 0\n",
        loops,
        "",
        "    import os; os._exit(0)\n",
        "    return (",
        "!",
    ]
    responses = [Response("HumanEval/0", i, text, 5) for i, text in enumerate(texts)]
    marks = make_scorer(sandbox).score(items, responses)
    assert [m["passed"] for m in marks] == [1.0] * 4 + [0.0] * 6
    found = by_name(metrics(items, responses, {SCORER: marks}))
    assert found[f"pass@1[{SCORER}]"].value == pytest.approx(0.4)
    wanted = 1 - math.comb(6, 10) / math.comb(10, 10)
    assert found[f"pass@10[{SCORER}]"].value == wanted == 1.0
    assert f"pass@100[{SCORER}]" not in found


def test_unrun_answers_have_no_score(small: Path) -> None:
    items = load(Options(path=small)).items
    found = by_name(metrics(items, [Response("HumanEval/0", 0, BODY)], {}))
    assert found[f"pass@1[{SCORER}]"].value is None
    assert "sandbox" in found[f"pass@1[{SCORER}]"].reason


def test_a_row_that_cannot_be_graded_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "HumanEval.jsonl"
    path.write_text(json.dumps(ROW | {"test": "assert total([1]) == 1"}) + "\n")
    with pytest.raises(UserError, match="no problem that can be graded"):
        load(Options(path=path))


def test_every_published_solution_passes_and_no_stub_does(sandbox: PythonSandbox) -> None:
    loaded = load(Options(path=present("humaneval")))
    items = loaded.items
    assert len(items) == 164
    assert loaded.source["published"] is True
    right = [Response(i.id, 0, i.facts["canonical_solution"]) for i in items]
    wrong = [Response(i.id, 1, "    return None\n") for i in items]
    marks = make_scorer(sandbox).score(items, [*right, *wrong])
    assert sum(float(m["passed"] or 0) for m in marks[:164]) == 164
    assert sum(float(m["passed"] or 0) for m in marks[164:]) == 0
