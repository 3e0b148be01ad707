"""How many bad submissions pass each grade of Lean verifier, by class; and how many honest ones.

    python benchmarks/lean_redteam.py [--workers 2] [--list]

The corpus is that of tests/redteam/lean. The sound grade must pass no bad one and every honest one,
or this script fails; what the other two pass is the loophole that they are.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from awry.lean.checks import Checked, Theorem
from awry.lean.verifier import open_verifier

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "redteam" / "lean"))

GRADES = ("naive", "text", "sound")
CLASSES = {
    1: "sorry in some dress",
    2: "sorry without its warning",
    3: "axioms",
    4: "notation",
    5: "macros",
    6: "instances",
    7: "context: variables, hypotheses",
    8: "other names, meanings, statements",
    9: "no theorem there",
    10: "past the kernel",
    11: "native code ends the process",
    13: "forged messages",
    14: "a header of its own",
    15: "names that the kernel computes",
    16: "compiled evaluation",
    17: "unsafe and circular",
    19: "the answer restates the question",
    20: "too much of something",
}


def accepted(found: Sequence[Checked]) -> list[int]:
    return [sum(bool(one.accepted(grade)) for one in found) for grade in GRADES]  # type: ignore[arg-type]


def row(title: str, count: int, passes: Sequence[int]) -> str:
    return f"{title:<40} {count:>4}   " + " ".join(f"{n:>6}" for n in passes)


def main() -> None:
    attacks = importlib.import_module("lean_attacks").ATTACKS
    honest = importlib.import_module("lean_honest").HONEST
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--list", action="store_true", help="every attack with what was found")
    args = parser.parse_args()
    items: list[tuple[Theorem, str]] = [(each.theorem, each.text) for each in (*attacks, *honest)]
    with open_verifier(wall_s=60, cpu_s=3, workers=args.workers) as verifier:
        begun = time.perf_counter()
        found = verifier.check(items)
        seconds = time.perf_counter() - begun
    bad, good = found[: len(attacks)], found[len(attacks) :]
    print(f"{'class':<40} {'all':>4}   " + " ".join(f"{grade:>6}" for grade in GRADES))
    for number, title in CLASSES.items():
        pairs = zip(attacks, bad, strict=True)
        members = [one for attack, one in pairs if attack.number == number]
        print(row(f"{number:>2} {title}", len(members), accepted(members)))
    print(row("all bad ones", len(bad), accepted(bad)))
    print(row("honest ones", len(good), accepted(good)))
    if args.list:
        for attack, one in zip(attacks, bad, strict=True):
            named = ", ".join(one.faults) or one.outcome
            print(f"  {attack.number:>2} {attack.name}: {named} | {one.evidence[:100]!r}")
    print(f"{len(items)} checks in {seconds:.1f} s; the other classes have tests of their own:")
    print(
        "12 (side effects) tests/lean/builtin/test_pool.py, 18 (damaged files) tests/lean/sound/test_judge.py"
    )
    print(
        json.dumps(
            {
                "name": Path(__file__).stem,
                "bad": len(bad),
                "bad_accepted": dict(zip(GRADES, accepted(bad), strict=True)),
                "honest": len(good),
                "honest_accepted": dict(zip(GRADES, accepted(good), strict=True)),
                "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, "
                f"Python {platform.python_version()}",
            }
        )
    )
    if accepted(bad)[2] or accepted(good)[2] != len(good):
        sys.exit("the sound grade is wrong about some of them")


if __name__ == "__main__":
    main()
