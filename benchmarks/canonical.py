"""Canonical solutions of public data sets: how many pass here, how many in a plain interpreter.

Here: the rows as imported, graded in the sandbox, and a stub (`pass`) of each beside it. Plain: the
row's own code and tests in a fresh interpreter, without limits but for the time. What passes plain
and not here is listed with its reason; so is a stub that passes.

    python benchmarks/canonical.py FORMAT FILE [FORMAT FILE ...] [--seconds 20] [--limit N]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from awry.sandbox.python import Limits, PythonSandbox
from awry.tasks.code import Grader, Verdict, fenced
from awry.tasks.loopholes import render
from awry.tasks.problems import Problem
from awry.tasks.sources import FORMATS
from awry.tasks.sources.importing import read_problems
from awry.tasks.sources.reading import Row, read_rows
from awry.tasks.starters import complete

CHUNK = 64


def plain_source(form: str, row: Row) -> str:
    """The program that the data set's own harness would run."""
    match form:
        case "leetcode":
            parts = [row["prompt"], row["completion"], row["test"], f"check({row['entry_point']})"]
        case "humaneval":
            answer = row["prompt"] + row["canonical_solution"]
            parts = [answer, row["test"], f"check({row['entry_point']})"]
        case "steering":
            parts = [row["setup_code"], row["canonical_solution"], *row["gt_answer"]]
        case _:
            tests = [*row["test_list"], *(row.get("challenge_test_list") or [])]
            given = [*(row.get("test_imports") or []), row.get("test_setup_code") or ""]
            parts = [*given, row["code"], *tests]
    return "\n".join(parts) + "\n"


def passes_plain(source: str, seconds: float) -> bool:
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-"], input=source.encode(), capture_output=True, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def graded(problems: list[Problem], codes: list[str], grader: Grader) -> list[Verdict]:
    found: list[Verdict] = []
    for start in range(0, len(problems), CHUNK):
        pairs = zip(problems[start : start + CHUNK], codes[start : start + CHUNK], strict=True)
        found += grader.grade([(render(p, "none"), fenced(code)) for p, code in pairs])
        print(f"\r{len(found)}/{len(problems)}", end="", file=sys.stderr)
    print(file=sys.stderr)
    return found


def compare(form: str, path: str, grader: Grader, seconds: float, limit: int | None) -> list[int]:
    """[passing here, passing plain], and everything worth telling on stdout."""
    read = read_problems(form, path).problems
    problems = [problem for problem in read if isinstance(problem, Problem)][:limit]
    rows = {FORMATS[form].identify(row, i): row for i, row in enumerate(read_rows(path)[1])}
    begun = time.perf_counter()
    here = graded(problems, [p.canonical for p in problems], grader)
    took = time.perf_counter() - begun
    stubs = graded(problems, [complete(p.starter, "pass") for p in problems], grader)
    sources = [plain_source(form, rows[p.id]) for p in problems]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        plain = list(pool.map(lambda source: passes_plain(source, seconds), sources))
    counts = [sum(v.correct for v in here), sum(plain)]
    print(f"{path}: {len(problems)} of {len(rows)} rows")
    print(f"  canonical solutions that pass: {counts[0]} here ({took:.0f} s), {counts[1]} plain")
    print(f"  stubs that fail: {sum(not v.correct for v in stubs)}")
    for problem, verdict, good in zip(problems, here, plain, strict=True):
        if verdict.correct != good:
            said = (
                f"passes here, not plain within {seconds:g} s" if verdict.correct else "fails here"
            )
            print(f"  {problem.id}: {said} {verdict.evidence[:200]}".rstrip())
        elif not good:
            print(f"  {problem.id}: fails on both sides ({verdict.evidence[:100]})")
    for problem, verdict in zip(problems, stubs, strict=True):
        if verdict.correct:
            print(f"  {problem.id}: its stub passes")
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description="Canonical solutions here and plain.")
    parser.add_argument("sets", nargs="+", metavar="FORMAT FILE")
    parser.add_argument("--seconds", type=float, default=20.0, help="limit for one program")
    parser.add_argument("--limit", type=int, help="only the first rows of each file")
    asked = parser.parse_args()
    pairs = list(zip(asked.sets[::2], asked.sets[1::2], strict=True))
    limits = Limits(wall_s=asked.seconds, cpu_s=asked.seconds)
    totals = [0, 0]
    with PythonSandbox(limits=limits) as sandbox:
        print(f"isolation: {sandbox.isolation}")
        for form, path in pairs:
            counts = compare(form, path, Grader(sandbox), asked.seconds, asked.limit)
            totals = [a + b for a, b in zip(totals, counts, strict=True)]
    document: dict[str, Any] = {
        "name": "canonical",
        "ours": totals[0],
        "theirs": totals[1],
        "unit": "canonical solutions that pass",
        "ratio": round(totals[0] / max(1, totals[1]), 4),
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
    }
    print(json.dumps(document))


if __name__ == "__main__":
    main()
