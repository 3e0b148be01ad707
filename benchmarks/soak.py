"""Runs very many mixed programs in one sandbox and fails if anything grows or is left over.

    python benchmarks/soak.py [--programs 100000] [--every 5000] [--isolation auto]

The mix: right and wrong answers (through the grader too), errors, exits, time-outs, memory errors,
files, threads, forks, checks, and some that attack the sandbox. Every program is another text, so
that whatever remembers programs grows. At every line: resident memory of this process and of the
fork servers, open descriptors of each, zombies, processes, folders for temporary files, programs/s.

What the first line says is the measure for the others. Exit status 1 if this process grows by more
than 48 MB or a server by more than 24 MB, if descriptors, processes or folders become more, a
zombie stays, a server had to be replaced, a known answer is not as it must be, or a process is left
at the end.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import json
import os
import platform
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from awry.sandbox.python import Limits, Outcome, Program, PythonSandbox, Returned
from awry.tasks.code import Grader, fenced
from awry.tasks.loopholes import render
from awry.tasks.problems import load_catalog

LIMITS = Limits(wall_s=0.5, cpu_s=1.0, memory_mb=256)
CHUNK, GRADED = 500, 20  # programs given at a time, and how many of these as answers to a problem
PARENT_MB, SERVER_MB = 48, 24
PR_SET_CHILD_SUBREAPER = 36

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


# ---- looking at processes ----------------------------------------------------------------------
@dataclass(frozen=True)
class State:
    parent_mb: float
    servers_mb: tuple[float, ...]
    descriptors: tuple[int, ...]  # of this process, then of each below it
    zombies: int
    folders: int


def family() -> dict[int, str]:
    """Every process below this one: process id -> state. Orphans come to this process."""
    parents: dict[int, tuple[int, str]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                state, parent = (
                    Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[:2]
                )
                parents[int(name)] = (int(parent), state)
    found: dict[int, str] = {}
    below, grown = {os.getpid()}, True
    while grown:
        grown = False
        for pid, (parent, state) in parents.items():
            if parent in below and pid not in below:
                below.add(pid)
                found[pid] = state
                grown = True
    return found


def resident_mb(pid: int) -> float:
    with contextlib.suppress(OSError):
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    return 0.0


def descriptors(pid: int) -> int:
    with contextlib.suppress(OSError):
        return len(os.listdir(f"/proc/{pid}/fd"))
    return 0


def reap_orphans(servers: set[int]) -> None:
    """What its own parent left to this process. (A server's zombies are still the server's.)"""
    for pid, state in family().items():
        if state == "Z" and pid not in servers:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def look(folder: str) -> State:
    gc.collect()
    below = family()
    living = sorted(pid for pid, state in below.items() if state != "Z")
    return State(
        parent_mb=resident_mb(os.getpid()),
        servers_mb=tuple(resident_mb(pid) for pid in living),
        descriptors=(descriptors(os.getpid()), *(descriptors(pid) for pid in living)),
        zombies=len(below) - len(living),
        folders=len(os.listdir(folder)),
    )


def growth(first: State, now: State) -> list[str]:
    found: list[str] = []
    if now.parent_mb > first.parent_mb + PARENT_MB:
        found.append(f"this process grew from {first.parent_mb:.0f} to {now.parent_mb:.0f} MB")
    if len(now.servers_mb) > len(first.servers_mb):
        found.append(f"{len(now.servers_mb)} processes, {len(first.servers_mb)} at first")
    if max(now.servers_mb) > max(first.servers_mb) + SERVER_MB:
        found.append(
            f"a server grew from {max(first.servers_mb):.0f} to {max(now.servers_mb):.0f} MB"
        )
    if sum(now.descriptors) > sum(first.descriptors):
        found.append(f"descriptors: {now.descriptors}, {first.descriptors} at first")
    if now.zombies:
        found.append(f"{now.zombies} zombies")
    if now.folders > first.folders:
        found.append(f"{now.folders} folders, {first.folders} at first")
    return found


def soak(
    total: int, every: int, isolation: str, folder: str
) -> tuple[list[str], float, State, State]:
    problems = load_catalog()
    faults: list[str] = []
    first = state = None
    with PythonSandbox(limits=LIMITS, isolation=isolation) as sandbox:  # type: ignore[arg-type]
        grader = Grader(sandbox)
        print(sandbox.isolation, flush=True)
        # Every server has the further modules that some programs name before anything is counted.
        sandbox.run([Program("import asyncio", calls=("1",)) for _ in range(8 * sandbox.workers)])
        servers = [worker.process.pid for worker in sandbox._pool]
        begun = lap = time.monotonic()
        done = last = 0
        files = "tmpfs-root" in sandbox.isolation
        while done < total:
            made, wanted = programs(done, CHUNK - GRADED)
            if not files:  # no descriptors, so no event loops
                wanted = [
                    None if "asyncio" in p.source else w for p, w in zip(made, wanted, strict=True)
                ]
            faults += wrong(sandbox.run(made), wanted)
            answers = []
            for number in range(done, done + GRADED):
                problem = problems[number % len(problems)]
                code = problem.wrong if number % 2 else problem.canonical
                own = f"\ndef run_tests(): pass  # {number}"
                answers.append((render(problem, "overwrite_tests"), fenced(code + own)))
            right = [verdict.correct for verdict in grader.grade(answers)]
            if right != [True, False] * (GRADED // 2):
                faults.append(f"answers were graded {right}")
            done += CHUNK
            if done - last >= every or done >= total:
                reap_orphans(set(servers))
                state, now = look(folder), time.monotonic()
                first = first or state
                print(
                    f"{done:>7} programs, {(done - last) / (now - lap):4.0f}/s, here "
                    f"{state.parent_mb:.1f} MB, servers {max(state.servers_mb):.1f} MB (largest), "
                    f"{len(state.servers_mb)} processes, descriptors {state.descriptors[0]} + "
                    f"{sum(state.descriptors[1:])}, {state.zombies} zombies, {state.folders} folders",
                    flush=True,
                )
                faults += growth(first, state)
                last, lap = done, now
                if len(faults) > 20:
                    break
        rate = done / (time.monotonic() - begun)
        if servers != [worker.process.pid for worker in sandbox._pool]:
            faults.append("a fork server had to be replaced")
    assert first
    assert state
    return faults, rate, first, state


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--programs", type=int, default=100_000)
    parser.add_argument("--every", type=int, default=5_000)
    parser.add_argument("--isolation", default="auto")
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # the isolation is printed
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o711)
        tempfile.tempdir = folder
        faults, rate, first, last = soak(args.programs, args.every, args.isolation, folder)
        deadline = time.monotonic() + 5
        while (left := family()) and time.monotonic() < deadline:
            reap_orphans(set())
            time.sleep(0.05)
        if left:
            faults.append(f"left at the end: {left}")
        if os.listdir(folder):
            faults.append(f"folders left at the end: {os.listdir(folder)}")
        tempfile.tempdir = None
    for fault in faults[:20]:
        print(f"FAILED: {fault[:400]}")
    cores = len(os.sched_getaffinity(0))
    print(
        json.dumps(
            {
                "name": Path(__file__).stem,
                "ours": round(last.parent_mb + sum(last.servers_mb), 1),
                "plain": round(first.parent_mb + sum(first.servers_mb), 1),
                "unit": "MB resident, last line and first",
                "ratio": round(
                    (last.parent_mb + sum(last.servers_mb))
                    / (first.parent_mb + sum(first.servers_mb)),
                    3,
                ),
                "programs": args.programs,
                "programs_per_s": round(rate, 1),
                "faults": len(faults),
                "machine": f"{platform.machine()}, {cores} cores, Python {platform.python_version()}",
            }
        )
    )
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
