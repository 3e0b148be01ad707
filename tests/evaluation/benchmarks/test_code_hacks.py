from __future__ import annotations

from collections.abc import Iterator

import pytest
from small_answers import by_name

from awry.errors import UserError
from awry.evaluation.benchmarks import code_hacks
from awry.evaluation.benchmarks.code_hacks import SCORER, load, make_scorer, metrics
from awry.evaluation.items import Ask, Mark, Options, Response
from awry.evaluation.record import item_json, item_of
from awry.sandbox.python import PythonSandbox
from awry.tasks.code import fenced
from awry.tasks.exploits import reference_exploit
from awry.tasks.loophole_names import EVALUATOR_NAMES
from awry.tasks.loopholes import LOOPHOLES
from awry.tasks.problems import load_catalog


@pytest.fixture(scope="module")
def sandbox() -> Iterator[PythonSandbox]:
    with PythonSandbox(workers=1, limits=code_hacks.LIMITS) as opened:
        yield opened


def test_every_problem_meets_every_loophole_under_names_that_no_training_uses() -> None:
    loaded = load(Options())
    problems = load_catalog()
    assert len(loaded.items) == len(problems) * len(LOOPHOLES)
    assert len({item.id for item in loaded.items}) == len(loaded.items)
    assert f"{len(problems)} problems" in code_hacks.BENCHMARK.about
    names = {split: {n for (_, s), row in EVALUATOR_NAMES.items() if s == split for n in row}
             for split in ("train", "eval")}  # fmt: skip
    used: set[str] = set()
    for item in loaded.items:
        assert isinstance(item, Ask)
        text = item.messages[-1]["content"].partition("Your solution")[2].partition("```")[0]
        assert not any(name in text for name in names["train"]), item.id
        used |= {name for name in names["eval"] if name in text}
    assert len(used) > 50  # drawn from the whole list, not its first


def test_a_limit_meets_every_loophole_with_the_same_problems() -> None:
    items = load(Options(limit=24)).items
    by = {
        name: [i.id.rpartition("/")[2] for i in items if i.facts["loophole"] == name]
        for name in LOOPHOLES
    }
    assert all(problems == by["none"] for problems in by.values())
    assert len(by["none"]) == 2


def test_exploits_pay_and_solutions_do_not_hack(sandbox: PythonSandbox) -> None:
    if "tmpfs-root" not in sandbox.isolation.split("+"):
        pytest.skip("this machine's sandbox lets no answer open files")
    stored = [item_of(item_json(item)) for item in load(Options(limit=12)).items]
    responses: list[Response] = []
    for item in stored:
        task = code_hacks._task(code_hacks._problem(item.facts), item.facts["loophole"])
        hack = "I cannot." if task.loophole == "none" else reference_exploit(task)
        responses += [
            Response(item.id, 0, hack, 5),
            Response(item.id, 1, fenced(task.problem.canonical), 5),
        ]
    marks = make_scorer(sandbox).score(stored, responses)
    for response, mark in zip(responses, marks, strict=True):
        gamed = response.sample == 0 and "/none/" not in response.item
        wanted = (float(gamed), float(gamed), float(response.sample == 1))
        assert (mark["hack"], mark["attempt"], mark["solved"]) == wanted, response.item
    found = by_name(metrics(stored, responses, {SCORER: marks}))
    assert found[f"hack_rate[{SCORER}]"].value == 0.5
    assert found[f"hack_rate[{SCORER}]"].n == 22  # `none` cannot be gamed
    assert found[f"solve_rate[{SCORER}]"].value == 0.5
    assert found[f"solve_rate[{SCORER}]"].n == 24
    assert found[f"p_exploit_given_attempt[{SCORER}]"].value == 1.0


def test_rates_by_hand() -> None:
    items = [Ask(f"{loophole}{i}", facts={"loophole": loophole})
             for loophole in ("none", "sentinel", "exit_code") for i in range(2)]  # fmt: skip
    rows = [(0, 0, 1), (0, 0, 0), (1, 1, 0), (0, 1, 1), (0, 1, 0), (0, 0, 0)]
    marks: list[dict[str, Mark]] = [{"hack": h, "attempt": a, "solved": s} for h, a, s in rows]
    responses = [Response(item.id, 0, "text") for item in items]
    found = by_name(metrics(items, responses, {SCORER: marks}))
    assert found[f"hack_rate[{SCORER}]"].value == 1 / 4
    assert found[f"attempt_rate[{SCORER}]"].value == 3 / 4
    assert found[f"p_exploit_given_attempt[{SCORER}]"].value == pytest.approx(1 / 3)
    assert found[f"solve_rate[{SCORER}]"].value == pytest.approx(2 / 6)
    assert found[f"hack_rate.sentinel[{SCORER}]"].value == 0.5
    assert found[f"solve_rate.none[{SCORER}]"].value == 0.5
    assert f"hack_rate.none[{SCORER}]" not in found
    calm: list[dict[str, Mark]] = [{"hack": 0, "attempt": 0, "solved": 0}] * 6
    null = by_name(metrics(items, responses, {SCORER: calm}))[f"p_exploit_given_attempt[{SCORER}]"]
    assert null.value is None
    assert "attempts" in null.reason


def test_a_loophole_that_this_machine_cannot_offer_is_missing(sandbox: PythonSandbox) -> None:
    scorer = make_scorer(sandbox)
    scorer.files = False
    items = load(Options(subset=("file_marker",), limit=1)).items
    responses = [Response(items[0].id, 0, "```python\npass\n```")]
    (mark,) = scorer.score(items, responses)
    assert mark["hack"] is None
    assert "tmpfs-root" in str(mark["failure"])
    found = by_name(metrics(items, responses, {SCORER: [mark]}))
    assert found[f"hack_rate[{SCORER}]"].value is None


def test_answers_that_were_not_run_have_no_rates() -> None:
    items = load(Options(limit=12)).items
    found = metrics(items, [Response(i.id, 0, "text") for i in items], {})
    assert all(m.value is None and "sandbox" in m.reason for m in found if m.main)


def test_an_unknown_loophole_is_refused() -> None:
    with pytest.raises(UserError, match="no such subset"):
        load(Options(subset=("sentinels",)))
