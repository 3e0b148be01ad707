"""Every public row is read; a sample is run here, all of them by benchmarks/canonical.py."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from small_rows import HUMANEVAL, TEST, TRAIN, present, rows_of, steering_row

from awry.sandbox.python import Limits, PythonSandbox
from awry.tasks.code import Grader, fenced
from awry.tasks.loopholes import render
from awry.tasks.problems import Problem
from awry.tasks.sources import FORMATS
from awry.tasks.sources.conversion import evenly
from awry.tasks.sources.importing import Import, read_problems
from awry.tasks.starters import complete


@pytest.fixture(scope="module")
def patient() -> Iterator[Grader]:
    """Public canonical solutions may be slow, and the machine busy."""
    with PythonSandbox(limits=Limits(wall_s=20.0, cpu_s=10.0)) as sandbox:
        yield Grader(sandbox)


@cache
def imported(path: Path) -> Import:
    return read_problems("humaneval" if path == HUMANEVAL else "leetcode", str(present(path)))


def correct(problems: list[Problem], codes: list[str], grader: Grader) -> dict[str, bool]:
    answers = [
        (render(problem, "none"), fenced(code))
        for problem, code in zip(problems, codes, strict=True)
    ]
    verdicts = grader.grade(answers)
    return {p.id: v.correct for p, v in zip(problems, verdicts, strict=True)}


@pytest.mark.parametrize(("path", "count"), [(TRAIN, 1890), (TEST, 228)])
def test_every_row_of_leetcode_becomes_a_problem(path: Path, count: int) -> None:
    found = imported(path)
    assert (len(found.problems), found.dropped) == (count, ())
    assert len({p.id for p in found.problems}) == count
    assert not any(p.check for p in found.problems)  # the tests say all
    assert all(p.tests and p.entry_point.startswith("Solution().") for p in found.problems)


def test_a_sample_of_leetcode_passes_and_its_stubs_fail(patient: Grader) -> None:
    problems = [
        *imported(TRAIN).problems[::50],
        *(replace(p, tests=evenly(p.tests, 20)) for p in imported(TEST).problems[::15]),
    ]
    passed = correct(problems, [p.canonical for p in problems], patient)
    assert [name for name, good in passed.items() if not good] == []
    stubs = correct(problems, [complete(p.starter, "pass") for p in problems], patient)
    assert [name for name, good in stubs.items() if good] == []


def test_linked_lists_and_trees_of_leetcode_pass(patient: Grader) -> None:
    problems = [p for p in imported(TRAIN).problems if "_node(" in p.tests[0].rpartition("==")[2]][
        ::4
    ]
    assert len(problems) >= 10
    passed = correct(problems, [p.canonical for p in problems], patient)
    assert all(passed.values()), passed


def test_humaneval_whole(patient: Grader) -> None:
    problems = list(imported(HUMANEVAL).problems)
    assert len(problems) == 164
    assert sum(bool(p.check) for p in problems) == 14
    passed = correct(problems, [p.canonical for p in problems], patient)
    assert [name for name, good in passed.items() if not good] == []
    stubs = correct(problems, [complete(p.starter, "pass") for p in problems], patient)
    assert [name for name, good in stubs.items() if good] == []


def test_the_benchmarks_format_agrees_with_leetcode() -> None:
    for number, row in enumerate(rows_of(TEST)):
        if number % 20 == 0 and row["difficulty"] != "Easy":
            ours = FORMATS["leetcode"].problem(row, 0)
            theirs = FORMATS["steering"].problem(steering_row(row), 0)
            assert theirs.tests == ours.tests
            assert (theirs.statement, theirs.starter) == (ours.statement, ours.starter)
