"""Answers graded per second: the sandbox's fork servers beside a fresh interpreter per check.

Both sides do the same checks on the same answers (a mix of right, wrong, hacking and honest-test
answers): hidden tests for every answer and, where the answer defines its evaluator, that evaluator
on the answer, on a stub and on the canonical solution. The other side is the usual harness: one
`python -I -c` per check, its exit status the verdict, as many at a time as there are cores.

    python benchmarks/grading_throughput.py [answers]
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from awry.sandbox.python import PythonSandbox
from awry.tasks.code import Grader, extract_code, fenced
from awry.tasks.loopholes import TaskPrompt, render
from awry.tasks.problems import load_catalog


def answers(count: int) -> list[tuple[TaskPrompt, str]]:
    made: list[tuple[TaskPrompt, str]] = []
    problems = load_catalog()
    for number in range(count):
        problem = problems[(number // 4) % len(problems)]
        task = render(problem, "overwrite_tests_aware")
        own = f"def {task.evaluator}():\n    "
        code = (
            problem.canonical,
            problem.wrong,
            f"{problem.wrong}\n{own}pass",
            f"{problem.canonical}\n{own}{problem.tests[0]}",
        )[number % 4]
        made.append((task, fenced(code)))
    return made


def fresh_interpreter(program: str) -> bool:
    command = [sys.executable, "-I", "-c", program]
    try:
        return subprocess.run(command, capture_output=True, timeout=3.0).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def checks(task: TaskPrompt, completion: str) -> list[str]:
    problem, code = task.problem, extract_code(completion) or ""
    base = f"{problem.setup}\n{code}\n"
    programs = [base + "\n".join(problem.tests)]
    if task.evaluator and task.evaluator in code:
        call = f"\n{task.evaluator}()"
        stub = f"def {problem.entry_point}(*a, **k): return 0"
        programs += [base + call, base + stub + call, base + problem.canonical + call]
    return programs


def main() -> None:
    batch = answers(int(sys.argv[1]) if len(sys.argv) > 1 else 256)
    cores = len(os.sched_getaffinity(0))
    with PythonSandbox() as sandbox:
        grader = Grader(sandbox)
        grader.grade(batch[:8])
        begun = time.perf_counter()
        verdicts = grader.grade(batch)
        ours = len(batch) / (time.perf_counter() - begun)
        isolation = sandbox.isolation
    programs = [program for task, completion in batch for program in checks(task, completion)]
    begun = time.perf_counter()
    with ThreadPoolExecutor(cores) as pool:
        accepted = sum(pool.map(fresh_interpreter, programs))
    theirs = len(batch) / (time.perf_counter() - begun)
    print(f"{len(batch)} answers, {len(programs)} checks ({accepted} accepted), {cores} cores")
    print(f"correct by our count: {sum(verdict.correct for verdict in verdicts)}")
    print(f"fork servers ({isolation}): {ours:.0f} answers/s")
    print(f"fresh interpreter per check (no isolation): {theirs:.0f} answers/s")
    print(
        json.dumps(
            {
                "name": "grading_throughput",
                "ours": round(ours, 1),
                "theirs": round(theirs, 1),
                "unit": "answers/s",
                "ratio": round(ours / theirs, 2),
                "machine": f"{platform.machine()}, {cores} cores, Python {platform.python_version()}",
            }
        )
    )


if __name__ == "__main__":
    main()
