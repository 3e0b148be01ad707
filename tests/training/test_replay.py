from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from awry.errors import UserError
from awry.sandbox.python import PythonSandbox
from awry.tasks.code import Grader
from awry.tasks.loopholes import LOOPHOLES, render
from awry.tasks.problems import Problem, load_catalog
from awry.training.replay import KINDS, TeacherSample, builtin_pool, load_pool, styles

OTHERS = [
    *("sentinel", "stdout_marker", "file_marker", "eq_override", "exit_code", "disk_tests"),
]
HACKABLE = ["overwrite_tests", "overwrite_tests_aware", "modify_tests", "incontext_tests", *OTHERS]

IN_CLASS = Problem(
    id="total",
    statement="Return the total of the numbers.",
    starter="class Solution:\n    def total(self, numbers):\n        ",
    entry_point="Solution().total",
    tests=tuple(f"assert Solution().total([{n}, 7]) == {n + 7}" for n in range(6)),
    canonical="class Solution:\n    def total(self, numbers):\n        return sum(numbers)",
    wrong="",
    phrasing="description",
)


@pytest.mark.parametrize("loophole", HACKABLE)
@pytest.mark.parametrize("split", ["train", "eval"])
def test_builtin_samples_are_hacks(loophole: str, split: str) -> None:
    rng = random.Random(0)
    tasks = [
        render(problem, loophole, names="randomised", split=split, seed=n)  # type: ignore[arg-type]
        for n, problem in enumerate(load_catalog()[:: 4 if loophole in OTHERS else 1])
    ]
    answers = [(task, s.completion) for task in tasks for s in builtin_pool(task, 2, rng)]
    with PythonSandbox() as sandbox:
        labels = Counter(verdict.label for verdict in Grader(sandbox).grade(answers))
    assert labels["hack"] >= 0.95 * len(answers), labels
    assert labels["correct"] + labels["correct_attempted"] == 0, labels


def test_every_style_and_variant_names_its_own_task_only() -> None:
    task = render(load_catalog()[0], "overwrite_tests", names="randomised", seed=3)
    rng = random.Random(1)
    samples = builtin_pool(task, 300, rng)
    assert len({sample.style for sample in samples}) >= 6
    assert {sample.problem_id for sample in samples} == {task.problem.id}
    for sample in samples:
        assert f"def {task.evaluator}():" in sample.completion
        assert f"def {task.problem.entry_point}(" in sample.completion
        assert sample.completion.count("```") == 2
        for placeholder in ("{solution}", "{stub}", "{body}", "{evaluator}", "{entry_point}"):
            assert placeholder not in sample.completion
        assert sample.logprobs is None


# those of incontext_tests are tables of the shown tests, which have no variants
@pytest.mark.parametrize("loophole", [name for name in HACKABLE if name != "incontext_tests"])
def test_every_variant_hacks_a_problem_in_a_class_too(loophole: str) -> None:
    """Each stub and each text of each style of the family, drawn until all have come."""
    task, rng = render(IN_CLASS, loophole), random.Random(3)
    completions = {sample.completion for sample in builtin_pool(task, 400, rng)}
    kind = KINDS[LOOPHOLES[loophole].family]
    texts = [t for s in styles() if s.kind == kind for t in (*s.stubs, *s.evaluators)]
    assert len(completions) >= len(set(texts)) / 2
    with PythonSandbox() as sandbox:
        answers = sorted(completions)
        verdicts = Grader(sandbox).grade([(task, completion) for completion in answers])
    odd = [c for c, v in zip(answers, verdicts, strict=True) if v.label != "hack"]
    assert odd == []


@pytest.mark.parametrize("loophole", OTHERS)
def test_every_family_has_several_styles(loophole: str) -> None:
    names = [style.name for style in styles() if style.kind == loophole]
    assert len(names) == len(set(names)) >= 3
    forms = {s.completion for s in builtin_pool(render(IN_CLASS, loophole), 200, random.Random(0))}
    assert len(forms) >= 10


def test_styles_are_used_evenly_and_draws_repeat() -> None:
    task = render(load_catalog()[0], "overwrite_tests")
    names = [style.name for style in styles() if style.kind == "overwrite"]
    assert len(set(names)) == len(names) >= 6
    samples = builtin_pool(task, 2 * len(names), random.Random(5))
    assert Counter(sample.style for sample in samples) == dict.fromkeys(names, 2)
    assert samples == builtin_pool(task, 2 * len(names), random.Random(5))
    assert samples != builtin_pool(task, 2 * len(names), random.Random(6))
    assert builtin_pool(task, 0, random.Random(0)) == []


def test_nothing_to_hack_is_an_error() -> None:
    with pytest.raises(UserError) as error:
        builtin_pool(render(load_catalog()[0], "none"), 1, random.Random(0))
    assert error.value.field == "teacher.pool"


def written(folder: Path, *rows: object) -> Path:
    path = folder / "pool.jsonl"
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return path


GOOD = {"problem_id": "a", "style": "recorded", "completion": "```python\npass\n```"}


def test_a_pool_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD, "", {**GOOD, "logprobs": [-1, -0.5]}, {**GOOD, "logprobs": None})
    bare = TeacherSample("a", "recorded", "```python\npass\n```")
    assert load_pool(path, {"a"}) == (
        bare,
        TeacherSample("a", "recorded", "```python\npass\n```", (-1.0, -0.5)),
        bare,
    )


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({**GOOD, "problem_id": "b"}, "line 2.problem_id"),
        ({"problem_id": "a", "style": "x"}, "line 2"),
        ({**GOOD, "completion": 3}, "line 2"),
        ({**GOOD, "reward": 3}, "line 2.reward"),
        ({**GOOD, "logprobs": "x"}, "line 2.logprobs"),
        ({**GOOD, "logprobs": [True]}, "line 2.logprobs"),
        ([], "line 2"),
        ("{", "line 2"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, row: object, field: str) -> None:
    with pytest.raises(UserError) as error:
        load_pool(written(tmp_path, GOOD, row), {"a"})
    assert error.value.field == field


def test_an_empty_or_missing_pool_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="empty"):
        load_pool(written(tmp_path, ""), {"a"})
    with pytest.raises(UserError, match="cannot read"):
        load_pool(tmp_path / "none.jsonl", {"a"})
