"""Lean proofs checked per second, naively and soundly: ours against a cold process per check.

    python benchmarks/lean.py [--checks 200] [--rounds 3] [--isolation auto]
    python benchmarks/lean.py --soak 10000 [--every 1000]

Proofs are those of the easy theorems of the built-in catalogue, every second check one that fails
(the same theorem with `sorry`, or with a proof that does not fit). The rounds of the sides take
turns. The cold side starts an interpreter, loads Lean and runs its command line, as many at a time
as there are cores, with nothing but a time limit; it reads messages only, so it is the naive grade.
All sides find the same, or this script fails. Latencies are of one check at a time.

--soak: so many mixed checks, among them of every 10 000 200 crashes, 200 time-outs and 50 that use
up their memory, right and wrong proofs, texts that end the process, exploits of each sort, floods.
For a machine that does little else: the limit is 3 s on the clock.
Exit status 1 on a fault as in watch.py, or if a known outcome is not as it must be.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import statistics
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from awry.lean.builtin import core, library
from awry.lean.builtin.limits import LeanLimits
from awry.lean.builtin.pool import LeanPool, read_messages
from awry.lean.checks import Theorem
from awry.lean.verifier import Verifier, compose
from awry.tasks.theorems import load_proof_catalog
from watch import Subject, endure, family, machine, resident_mb

CORES = len(os.sched_getaffinity(0))
WANTED = {"naive": 20.0, "sound": 12.0}
TIGHT = LeanLimits(wall_s=3.0, cpu_s=2.0, memory_mb=260, message_bytes=1 << 16)
CHUNK = 250
Item = tuple[Theorem, str]


def items(count: int) -> tuple[list[Item], list[tuple[bool, bool]]]:
    """Checks, and of each whether the naive and the sound grade accept it."""
    problems = [p for p in load_proof_catalog() if p.difficulty == "easy"]
    made: list[Item] = []
    wanted: list[tuple[bool, bool]] = []
    for number in range(count):
        problem = problems[number % len(problems)]
        text, verdict = problem.solution, (True, True)
        if number % 4 == 1:
            text, verdict = f"{problem.statement} := sorry", (True, False)
        elif number % 4 == 3:
            text, verdict = f"{problem.statement} := Nat.succ.Nat", (False, False)
        made.append((problem.reference, text))
        wanted.append(verdict)
    return made, wanted


# ---- three sides -------------------------------------------------------------------------------
def ours_naive(pool: LeanPool, asked: Sequence[Item]) -> list[bool]:
    """No error among the messages; nothing else is done."""
    texts = [(theorem.header, compose(theorem, text)[0]) for theorem, text in asked]
    return [found.exit_code == 0 and not found.errors for found in pool.elaborate(texts)]


def cold(asked: Sequence[Item]) -> list[bool]:
    command = library.find().command("--stdin", "--json")
    environment = library.environment(core.built())

    def one(item: Item) -> bool:
        text = compose(*item)[0].encode()
        ended = subprocess.run(
            command, input=text, capture_output=True, env=environment, timeout=60
        )
        errors = [m for m in read_messages(ended.stdout) if m.severity == "error"]
        return ended.returncode == 0 and not errors

    with ThreadPoolExecutor(CORES) as threads:
        return list(threads.map(one, asked))


def percentiles(check: Callable[[Item], object], asked: Sequence[Item]) -> dict[str, float]:
    """Milliseconds, one check at a time."""
    spent: list[float] = []
    for item in asked:
        begun = time.perf_counter()
        check(item)
        spent.append((time.perf_counter() - begun) * 1e3)
    cuts = statistics.quantiles(spent, n=100, method="inclusive")
    return {"p50": round(cuts[49], 1), "p95": round(cuts[94], 1), "p99": round(cuts[98], 1)}


def private_mb(pid: int) -> float:
    """What a process has to itself, in MB."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def compare(checks: int, rounds: int, isolation: str) -> None:
    asked, wanted = items(checks)
    spent: dict[str, list[float]] = {"naive": [], "sound": [], "cold": []}
    with LeanPool(isolation=isolation) as pool:  # type: ignore[arg-type]
        verifier = Verifier(pool)
        begun = time.perf_counter()
        first = verifier.check(asked)  # compiles the references, starts the judges
        print(f"first batch, references and all: {time.perf_counter() - begun:.1f} s")
        odd = [
            f"{asked[i][0].name}: {found.outcome}, {found.evidence}"
            for i, (found, want) in enumerate(zip(first, wanted, strict=True))
            if (found.naive, found.sound) != want
        ]
        if odd:
            sys.exit("not as they must be:\n" + "\n".join(odd[:5]))
        for number in range(rounds):
            for side, run in (
                ("naive", lambda: ours_naive(pool, asked)),
                ("sound", lambda: [bool(found.sound) for found in verifier.check(asked)]),
                ("cold", lambda: cold(asked)),
            ):
                begun = time.perf_counter()
                told = run()
                spent[side].append(time.perf_counter() - begun)
                if told != [want[1 if side == "sound" else 0] for want in wanted]:
                    sys.exit(f"the {side} side is of another opinion")
            rates = ", ".join(f"{side} {checks / s[-1]:.1f}/s" for side, s in spent.items())
            print(f"round {number + 1}: {rates}", file=sys.stderr, flush=True)
        few = asked[: min(100, checks)]
        latency = {
            "naive": percentiles(lambda item: ours_naive(pool, [item]), few),
            "sound": percentiles(lambda item: verifier.check([item]), few),
            "cold": percentiles(lambda item: cold([item]), few[:25]),
        }
        peak = max(found.peak_mb for found in pool.elaborate([("", "#check Nat")] * 4))
        below = [pid for pid, state in family().items() if state != "Z"]
        servers = [resident_mb(pid) for pid in below]
        own = sum(private_mb(pid) for pid in below)
    rates = {side: checks / statistics.median(s) for side, s in spent.items()}
    for side, rate in rates.items():
        low, high = (checks / pick(spent[side]) for pick in (max, min))
        cuts = ", ".join(f"{name} {value:.0f} ms" for name, value in latency[side].items())
        print(f"{side:>6}: {rate:5.1f} checks/s ({low:.1f}-{high:.1f}); one at a time {cuts}")
    print(
        f"{len(below)} server processes, {max(servers):.0f} MB resident at most, {own:.0f} MB of "
        f"their own in all; a small check {peak:.0f} MB ({pool.isolation})"
    )
    for side, least in WANTED.items():
        print(f"{side} {rates[side]:.1f} checks/s (at least {least:.0f} are wanted), {CORES} cores")
    print(
        json.dumps(
            {
                "name": Path(__file__).stem,
                "ours": round(rates["naive"], 1),
                "theirs": round(rates["cold"], 1),
                "unit": "checks/s",
                "ratio": round(rates["naive"] / rates["cold"], 2),
                "sound": round(rates["sound"], 1),
                "latency_ms": latency,
                "private_mb": round(own),
                "machine": machine(),
            }
        )
    )


# ---- the soak ----------------------------------------------------------------------------------
def native(declared: str, call: str) -> str:
    return (
        f'@[extern "any"] opaque {declared}\nsyntax "native" : term\nmacro_rules\n'
        f"  | `(native) => if Nat.beq ({call}) 7 then `(True) else `(False)\n#check (native : Prop)\n"
    )


CRASH = native("IO.FS.Stream.lines (stream : Nat) (world : Nat) : Nat", "IO.FS.Stream.lines 3 0")
SLEEP = native("IO.sleep (ms : Nat) (world : Nat) : Nat", "IO.sleep 100000 0")
EXIT = native(
    "IO.Process.exit {α : Type} (code : Nat) (world : Nat) : Nat", "@IO.Process.exit Nat 0 0"
)
BLOW_UP = "theorem soak : Nat.log2 (Nat.shiftLeft 1 4000000000) = 5 := by decide +kernel\n"
LOOP = (
    "theorem soak : (Nat.rec (motive := fun _ => Nat → Nat) (fun a => a) (fun _ f a => f (f a)) 40 0)"
    " = 1 := by decide +kernel\n"
)
OWN = Theorem("soak", "theorem soak : 1 = 2")
# of 10 000: how many, the text, the outcomes that it may have
MIX: tuple[tuple[int, str, tuple[str, ...]], ...] = (
    (200, CRASH, ("verifier_failure",)),
    (200, SLEEP, ("timeout",)),
    (20, LOOP, ("timeout", "memory")),
    (50, BLOW_UP, ("memory",)),
    (100, EXIT, ("exploit",)),
    (100, "axiom cheat : 1 = 2\ntheorem soak : 1 = 2 := cheat", ("exploit",)),
    (100, "theorem soak : 1 = 2 := sorry", ("exploit",)),
    (100, "theorem soak : 1 = 1 := rfl", ("wrong_statement",)),
    (50, "theorem soak : 1 = 2 := rfl -- N", ("error",)),
    (50, "theorem soak : 1 = 2 := rfl\n" * 300, ("error",)),
    (50, "theorem soak N (", ("error",)),
)


def mixed(
    start: int, count: int, pool_items: Sequence[Item], verdicts: Sequence[tuple[bool, bool]]
) -> Iterator[tuple[Item, tuple[str, ...]]]:
    """Items with what each may come to; kinds are spread by a fixed stride."""
    kinds = [kind for kind, (share, _, _) in enumerate(MIX) for _ in range(share)]
    for number in range(start, start + count):
        place = (number * 7919) % 10_000
        if place < len(kinds):
            _, text, allowed = MIX[kinds[place]]
            yield (OWN, text.replace("N", str(number))) if "-- N" in text else (OWN, text), allowed
            continue
        (theorem, text), (naive, sound) = (
            pool_items[number % len(pool_items)],
            verdicts[number % len(pool_items)],
        )
        allowed = ("proved",) if sound else ("exploit",) if naive else ("error",)
        yield (theorem, f"{text}\n-- {number}"), allowed


@contextlib.contextmanager
def checking(isolation: str) -> Iterator[Subject]:
    asked, verdicts = items(400)
    counted: Counter[str] = Counter()
    with LeanPool(limits=TIGHT, isolation=isolation) as pool:  # type: ignore[arg-type]
        print(pool.isolation, flush=True)
        verifier = Verifier(pool)
        verifier.check(asked)  # every server is there, every reference compiled

        def batch(start: int, count: int) -> list[str]:
            made = list(mixed(start, count, asked, verdicts))
            found = verifier.check([item for item, _ in made])
            counted.update(each.outcome for each in found)
            return [
                f"{each.outcome}, not {allowed}: {text[:80]!r} {each.evidence}"
                for ((_, text), allowed), each in zip(made, found, strict=True)
                if each.outcome not in allowed
            ]

        yield Subject(batch, pool.servers)
    print(", ".join(f"{count} {name}" for name, count in sorted(counted.items())))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--checks", type=int, default=200, help="in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--soak", type=int, default=0, metavar="CHECKS")
    parser.add_argument("--every", type=int, default=1000, help="checks between two lines")
    parser.add_argument("--isolation", default="auto")
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # the isolation is printed
    if args.soak:
        core.built()  # before anything is counted
        start, name = functools.partial(checking, args.isolation), f"{Path(__file__).stem} soak"
        sys.exit(endure(name, "checks", args.soak, args.every, CHUNK, start))
    compare(args.checks, args.rounds, args.isolation)


if __name__ == "__main__":
    main()
