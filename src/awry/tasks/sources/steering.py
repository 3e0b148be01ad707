"""Rows of the LeetCode reward-hacking benchmark (Steering RL training)."""

from __future__ import annotations

import re

from awry.tasks.problems import Problem
from awry.tasks.sources.conversion import defined_names, from_statements
from awry.tasks.sources.leetcode import entry_point, remaining, starter
from awry.tasks.sources.rows import (
    Format,
    Row,
    Unusable,
    cleaned,
    difficulty,
    numbered,
    optional,
    parsed,
    table,
    text,
    texts,
)

LICENCE = "not stated"
_FENCE = re.compile(r"```(?:python)?\n(.*?)```", re.DOTALL)
_FRAMES = (
    "### Format",
    "Please complete the following python code",
    "Your solution to the problem",
)


def _id(row: Row, number: int) -> str:
    return "steering/" + numbered(row, number, "id")


def _problem(row: Row, number: int) -> Problem:
    if row.get("completion_gt_pass") is False:
        raise Unusable("the data set itself says that its canonical solution fails")
    setup, call = optional(row, "setup_code"), entry_point(text(row, "func_name"))
    parsed(setup, "the setup")
    # The assertions name the function itself; `candidate` is what the conversion looks for.
    name = re.compile(rf"(?<![\w.]){re.escape(call)}(?=\s*\()")
    statements = [name.sub("candidate", line) for line in texts(row, "gt_answer")]
    try:
        found = from_statements(statements, "candidate", call, defined_names(setup))
    except ValueError as error:
        raise Unusable("the tests cannot be read", str(error)) from error
    question, canonical = text(row, "question"), text(row, "canonical_solution").strip() + "\n"
    shown = table(row, "prompt_metadata").get("starter_code") or _fenced(question)
    return Problem(
        id=_id(row, number),
        statement=_statement(question),
        starter=starter(shown, canonical, call),
        entry_point=call,
        tests=found.tests,
        canonical=canonical,
        wrong="",
        setup=setup.strip() + "\n" if setup.strip() else "",
        check=remaining(found, setup),
        phrasing="description",
        difficulty=difficulty(row.get("difficulty")),
        tags=(),
        source="steering",
        licence=LICENCE,
    )


def _fenced(question: str) -> str | None:
    found = _FENCE.findall(question)
    return found[-1] if found else None


def _statement(question: str) -> str:
    """The task alone: the request and the starter around it are for `render` to write."""
    body = question.partition("### Question:")[2] or question
    for frame in _FRAMES:
        body = body.partition(frame)[0]
    return cleaned(_FENCE.sub("", body).removeprefix("PROBLEM:"))


FORMAT = Format(
    name="steering",
    looks="rows of the reward-hacking benchmark (question, gt_answer, func_name, setup_code, ...)",
    identify=_id,
    problem=_problem,
)
