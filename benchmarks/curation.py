"""Tokens per second of curation's sampling: many problems x k answers in a batch, beside one answer
at a time with the same requests, prompts, seeds and engine.

    python benchmarks/curation.py [--problems 8] [-k 16] [--rows 64 ...] [--singles 8] [--threads 2]

Answers end where they end, as in curation. One at a time is slow, so it answers `--singles` of the
requests, spread evenly; both sides are rates, and the two take turns so that what else the machine
does meets both. Several `--rows` compare sizes of a batch; the last line is about the first.

The floor of one at a time on a CPU is reading the weights for every token (SmolLM2-135M in bf16: 270
MB, 13 ms at 20 GB/s, 75 tokens/s); that of a batch is the products (0.27 GFLOP a token).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time

import torch

from awry.generation import engine as engine_module
from awry.generation.engine import Completion, Engine, Request, Sampling, derive
from awry.models import load_policy
from awry.tasks.measure import prompt
from awry.tasks.problems import load_catalog
from workload import MACHINE

ROUNDS = 2


def timed(engine: Engine, calls: list[list[Request]], rows: int, sampling: Sampling):
    """(tokens per second, all completions) of these calls of the engine."""
    engine_module.ROWS = rows
    begun = time.perf_counter()
    done = [c for call in calls for group in engine.sample(call, sampling) for c in group]
    seconds = time.perf_counter() - begun
    return sum(len(c.ids) for c in done) / seconds, done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # pyright: ignore
    parser.add_argument("--problems", type=int, default=8)
    parser.add_argument("-k", type=int, default=16, help="answers per problem")
    parser.add_argument("--rows", type=int, nargs="+", default=[engine_module.ROWS])
    parser.add_argument("--singles", type=int, default=8, help="answers sampled one at a time")
    parser.add_argument("--max-new-tokens", type=int, default=96)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    policy = load_policy("embedded")
    engine = Engine(policy.model, policy.stop_ids)
    sampling = Sampling(args.max_new_tokens, 0.9)
    catalog = load_catalog()
    chosen = catalog[:: max(1, len(catalog) // args.problems)][: args.problems]
    requests = [
        Request(
            prompt(policy, p, "none", 0)[1],
            tuple(derive("curate", 0, p.id, i) for i in range(args.k)),
        )
        for p in chosen
    ]
    alone = [[Request(r.prompt, (seed,))] for r in requests for seed in r.seeds]
    picked = [i * len(alone) // args.singles for i in range(args.singles)]
    engine.sample(alone[0], sampling)  # a warm-up
    single_rates: list[float] = []
    rates: dict[int, list[float]] = {rows: [] for rows in args.rows}
    singles: list[Completion] = []
    together: list[Completion] = []
    share = max(1, args.singles // ROUNDS)
    for turn in range(ROUNDS):
        own = picked[turn * share : (turn + 1) * share]
        speed, done = timed(engine, [alone[i] for i in own], 1, sampling)
        single_rates.append(speed)
        singles += done
        for rows in args.rows:
            speed, together = timed(engine, [requests], rows, sampling)
            rates[rows].append(speed)
            print(f"{rows} rows: {speed:.0f} tokens/s", file=sys.stderr)
    equal = sum(c.ids == together[i].ids for i, c in zip(picked, singles, strict=False))
    theirs = statistics.mean(single_rates)
    print(f"one at a time: {theirs:.0f} tokens/s ({len(singles)} answers)")
    for rows, found in rates.items():
        speed = statistics.mean(found)
        print(
            f"{rows} rows at a time: {speed:.0f} tokens/s ({len(alone)} answers), "
            f"{speed / theirs:.1f} times as fast"
        )
    print(f"{equal} of {len(singles)} answers are the same tokens either way")
    ours = statistics.mean(rates[args.rows[0]])
    print(
        json.dumps(
            {
                "name": "curation",
                "ours": round(ours),
                "theirs": round(theirs),
                "unit": "tokens/s",
                "ratio": round(ours / theirs, 2),
                "machine": MACHINE,
            }
        )
    )


if __name__ == "__main__":
    main()
