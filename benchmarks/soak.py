"""Runs very many mixed programs in one sandbox and fails if anything grows or is left over.

    python benchmarks/soak.py [--programs 100000] [--every 5000] [--isolation auto]

The mix: right and wrong answers (through the grader too), errors, exits, time-outs, memory errors,
files, threads, forks, checks, and some that attack the sandbox. Every program is another text, so
that whatever remembers programs grows. What a line says, and what counts as a fault: watch.py.
Exit status 1 on a fault, or if a known answer is not as it must be.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from awry.sandbox.python import Limits, Outcome, Program, PythonSandbox, Returned
from awry.tasks.code import Grader, fenced
from awry.tasks.loopholes import render
from awry.tasks.problems import load_catalog
from watch import Subject, endure

LIMITS = Limits(wall_s=0.5, cpu_s=1.0, memory_mb=256)
CHUNK, GRADED = 500, 20  # programs given at a time, and how many of these as answers to a problem

# (how many of a thousand, source with N for a number of its own, the value of f(1) if it has one)
MIX: tuple[tuple[int, str, object], ...] = (
    (400, "def f(n):\n    return [n + N] * 3", "N+1"),
    (180, "import heapq, re\ndef f(n):\n    h = [3, n, N]\n    heapq.heapify(h)\n    return h[0]", 1),
    (90, "def f(n):\n    raise ValueError('N')", None),
    (40, "x = N // 0", None),
    (20, "def f(n:\n    return N", None),
    (30, "import sys\nsys.exit(N % 3)", None),
    (30, "import os\ndef f(n): os._exit(N % 3)", None),
    (50, "def f(n):\n    open('file-N', 'w').write('x' * 5000)\n    return 'written'", None),
    (20, "import os\nos.makedirs('a/b/N')\nos.symlink('/', 'a/link')\nos.chmod('a/b', 0)\ndef f(n): pass", None),
    (
        30,
        "import threading\nout = []\nts = [threading.Thread(target=out.append, args=(i,)) for i in range(4)]\n"
        "for t in ts: t.start()\nfor t in ts: t.join()\ndef f(n): return len(out) + N",
        "N+4",
    ),
    (8, "import threading, time\nthreading.Thread(target=time.sleep, args=(9,)).start()\ndef f(n): return N", "N"),
    (20, "import os\nfor _ in range(3):\n    try: os.fork()\n    except OSError: pass\ndef f(n): return N", None),
    (10, "hoard = ['N']\nwhile True: hoard.append(bytearray(1 << 25))", None),
    (10, "def f(n): return 'x' * (N % 9 + 1) * 100000", None),
    (8, "def f(n): print('N' * 99999)", None),
    (10, "def f(n): return f(n + N)", None),
    (6, "import asyncio\nasync def g(): return N\ndef f(n): return asyncio.run(g())", "N"),
    (4, "import os\nos.kill(os.getpid(), 11)\n# N", None),
    (4, "import os\nwhile True: os.write(3, b'N' * 60000)", None),
    (4, "import os\nos.closerange(0, 64)\ndef f(n): return N", None),
    (3, "import os, signal\nfor p in (1, -1, os.getppid()):\n    try: os.kill(p, 15 + N % 2)\n    except OSError: pass", None),
    (3, "import ctypes\nctypes.CDLL(None).shmget(N, 4096, 0o1666)\nctypes.string_at(N % 9)", None),
    (3, "import os, socket\nkept = [socket.socketpair() for _ in range(N % 40)]\nos._exit(0)", None),
    (3, "class L:\n    def __del__(self): L()\nx = L()\nx.self = x\ndel x\ndef f(n): return N", "N"),
    (2, "import time\ntime.sleep(9)\n# N", None),
    (1, "while True: pass\n# N", None),
    (1, "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\n# N", None),
)  # fmt: skip
CHECK = "def check(candidate):\n    for n in range(5): assert candidate(n) == n + 1"


def programs(start: int, count: int) -> tuple[list[Program], list[object]]:
    """Programs and, where known, what f(1) gives. Kinds are spread evenly, by a fixed stride."""
    kinds = [kind for kind, (share, _, _) in enumerate(MIX) for _ in range(share)]
    made: list[Program] = []
    wanted: list[object] = []
    for number in range(start, start + count):
        if number % 50 == 49:  # one that is checked in a process beside it
            made.append(Program(f"def f(n): return n + 1 # {number}", check=CHECK, target="f"))
            wanted.append("passed")
            continue
        _, source, value = MIX[kinds[(number * 7919) % len(kinds)]]
        made.append(Program(source.replace("N", str(number)), calls=("f(1)",)))
        known = {"N+1": [number + 1] * 3, "N+4": number + 4, "N": number}
        wanted.append(known.get(value, value) if isinstance(value, str) else value)
    return made, wanted


def wrong(outcomes: Sequence[Outcome], wanted: Sequence[object]) -> list[str]:
    found: list[str] = []
    for outcome, value in zip(outcomes, wanted, strict=True):
        if outcome.status == "sandbox_error":
            found.append(f"the sandbox failed: {outcome.error}")
        elif value == "passed" and not outcome.values:
            if outcome.check != "passed":
                found.append(f"a check: {outcome}")
        elif value is not None and outcome.values != (Returned(value),):
            found.append(f"expected {value}: {outcome}")
    return found


@contextlib.contextmanager
def grading(isolation: str) -> Iterator[Subject]:
    problems = load_catalog()
    with PythonSandbox(limits=LIMITS, isolation=isolation) as sandbox:  # type: ignore[arg-type]
        grader = Grader(sandbox)
        print(sandbox.isolation, flush=True)
        # Every server has the further modules that some programs name before anything is counted.
        sandbox.run([Program("import asyncio", calls=("1",)) for _ in range(8 * sandbox.workers)])
        files = "tmpfs-root" in sandbox.isolation

        def batch(start: int, count: int) -> list[str]:
            made, wanted = programs(start, max(0, count - GRADED))
            if not files:  # no descriptors, so no event loops
                wanted = [
                    None if "asyncio" in p.source else w for p, w in zip(made, wanted, strict=True)
                ]
            faults = wrong(sandbox.run(made), wanted)
            answers = []
            for number in range(start, start + GRADED):
                problem = problems[number % len(problems)]
                code = problem.wrong if number % 2 else problem.canonical
                own = f"\ndef run_tests(): pass  # {number}"
                answers.append((render(problem, "overwrite_tests"), fenced(code + own)))
            right = [verdict.correct for verdict in grader.grade(answers)]
            if right != [True, False] * (GRADED // 2):
                faults.append(f"answers were graded {right}")
            return faults

        yield Subject(batch, sandbox.servers)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--programs", type=int, default=100_000)
    parser.add_argument("--every", type=int, default=5_000)
    parser.add_argument("--isolation", default="auto")
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # the isolation is printed
    start = functools.partial(grading, args.isolation)
    sys.exit(endure(Path(__file__).stem, "programs", args.programs, args.every, CHUNK, start))


if __name__ == "__main__":
    main()
