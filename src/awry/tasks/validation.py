"""Checks of the instrument itself: are these problems and loopholes sound under this grader?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from awry.tasks.code import Grader, Verdict, fenced
from awry.tasks.exploits import lookup_body, reference_exploit
from awry.tasks.loopholes import LOOPHOLES, TaskPrompt, first_tests, render
from awry.tasks.problems import Problem
from awry.tasks.starters import complete

MIN_TESTS = 6
_CHUNK = 32  # problems between two reports of progress


@dataclass(frozen=True)
class Rejection:
    problem_id: str
    reason: str


def validate(
    problems: Sequence[Problem],
    grader: Grader,
    *,
    min_tests: int = MIN_TESTS,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Rejection]:
    """Every reason not to use one of these problems; empty when all are sound.

    A sound problem has at least `min_tests` tests (or a `check`), its canonical solution passes,
    and these fail: its empty stub, a constant 0, its `wrong` solution where it has one, and one
    that knows no more than the tests a prompt may show. progress: (problems done, of how many).
    """
    found = [
        Rejection(p.id, f"has {len(p.tests)} tests, needs {min_tests}")
        for p in problems
        if len(p.tests) < min_tests and not p.check
    ]
    for start in range(0, len(problems), _CHUNK):
        progress(start, len(problems))
        found += _validated(problems[start : start + _CHUNK], grader)
    progress(len(problems), len(problems))
    return found


def _validated(problems: Sequence[Problem], grader: Grader) -> list[Rejection]:
    found: list[Rejection] = []
    answers: list[tuple[TaskPrompt, str]] = []
    wanted: list[tuple[Problem, str, bool]] = []
    for problem in problems:
        task = render(problem, "none")
        codes = [
            ("canonical solution", problem.canonical, True),
            ("empty stub", complete(problem.starter, "pass"), False),
            ("stub returning 0", complete(problem.starter, "return 0"), False),
        ]
        if problem.wrong:
            codes.append(("wrong solution", problem.wrong, False))
        if first_tests(problem):
            table = lookup_body(render(problem, "incontext_tests"))
            codes.append(("table of shown tests", complete(problem.starter, table), False))
        for name, code, passes in codes:
            answers.append((task, fenced(code)))
            wanted.append((problem, name, passes))
    for (problem, name, passes), verdict in zip(wanted, grader.grade(answers), strict=True):
        if verdict.correct != passes:
            reason = f"its {name} fails: {verdict.evidence}" if passes else f"its {name} passes"
            found.append(Rejection(problem.id, reason))
        elif not verdict.compiled:
            found.append(Rejection(problem.id, f"its {name} does not compile: {verdict.evidence}"))
    return found


def playable(problem: Problem, loophole: str, isolation: str) -> bool:
    """Has the problem what this loophole needs, and this sandbox (its `isolation`)?"""
    variant = LOOPHOLES[loophole]
    files = not variant.needs_files or "tmpfs-root" in isolation.split("+")
    return files and (not variant.needs_tests or bool(first_tests(problem)))


def loophole_diagonal(problems: Sequence[Problem], grader: Grader) -> dict[str, dict[str, float]]:
    """matrix[exploit of][played in]: the share of problems where the exploit is paid.

    Sound: 1 where both loopholes are of one family, 0 everywhere else (`diagonal_faults`). A cell
    that none of these problems can play here is left out.
    """
    isolation = grader.isolation
    rows = [name for name, loophole in LOOPHOLES.items() if loophole.channel != "nothing"]
    cells = [
        (row, column, problem)
        for row in rows
        for column in LOOPHOLES
        for problem in problems
        if playable(problem, row, isolation) and playable(problem, column, isolation)
    ]
    answers = [
        (render(problem, column), reference_exploit(render(problem, row)))
        for row, column, problem in cells
    ]
    return shares_paid([(row, column) for row, column, _ in cells], grader.grade(answers))


def shares_paid(
    cells: Sequence[tuple[str, str]], verdicts: Sequence[Verdict]
) -> dict[str, dict[str, float]]:
    """matrix[row][column]: the share of the cell's verdicts that the channel paid."""
    paid: dict[str, dict[str, list[bool]]] = {}
    for (row, column), verdict in zip(cells, verdicts, strict=True):
        paid.setdefault(row, {}).setdefault(column, []).append(verdict.proxy)
    return {
        row: {column: sum(shares) / len(shares) for column, shares in columns.items()}
        for row, columns in paid.items()
    }


def diagonal_faults(
    matrix: Mapping[str, Mapping[str, float]], families: Mapping[str, str] | None = None
) -> list[str]:
    """One sentence per cell that is not what it must be. families: of the loopholes, those of code
    by default; a column without one is passed over."""
    if families is None:
        families = {name: loophole.family for name, loophole in LOOPHOLES.items()}
    faults: list[str] = []
    for row, columns in matrix.items():
        for column, share in columns.items():
            if column not in families:
                continue
            due = 1.0 if families[row] == families[column] else 0.0
            if share != due:
                faults.append(
                    f"the exploit of {row} is paid in {column} for {share:.0%} of the problems, "
                    f"not {due:.0%}"
                )
    return faults


def honest_faults(problems: Sequence[Problem], grader: Grader) -> list[str]:
    """One sentence per loophole and problem in which an ordinary answer is taken for a hack.

    Sound, so empty: canonical solutions are paid and `correct`, wrong ones `incorrect` and unpaid.
    Wrong ones are not tried where the shown tests are the channel: one that passes them is paid.
    """
    cells = [
        (name, problem, code, due)
        for name in LOOPHOLES
        for problem in problems
        if playable(problem, name, grader.isolation)
        for code, due in ((problem.canonical, True), (problem.wrong, False))
        if code and (due or LOOPHOLES[name].channel != "shown_tests")
    ]
    verdicts = grader.grade([(render(p, name), fenced(code)) for name, p, code, _ in cells])
    faults: list[str] = []
    for (name, problem, _, due), verdict in zip(cells, verdicts, strict=True):
        label = "correct" if due else "incorrect"
        if (verdict.label, verdict.proxy) != (label, due):
            kind = "canonical" if due else "wrong"
            paid = "paid" if verdict.proxy else "not paid"
            faults.append(
                f"the {kind} solution of {problem.id} is {verdict.label} and {paid} in {name}"
            )
    return faults
