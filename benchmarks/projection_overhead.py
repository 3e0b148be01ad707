"""What projection and per-sample cosines add to an optimizer step, and what extraction costs.

    python benchmarks/projection_overhead.py [--rounds 5]

The embedded model in bf16, full-rank singular-value adapter, 4 prompts x 8 completions x 48 tokens.
Sides take turns in one process. `vanilla` is the update without any direction. Cosines need every
completion to have its own copy of the prompt, so their cost is told twice: against an update in that
same layout (what other trainers do anyway), and against ours, which computes each prompt once.
Memory is the peak of a process of its own.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

import awry.training.grpo as grpo
import workload
from awry.gradients.adapters import attach_singular_values
from awry.gradients.directions import Direction, extract, random_direction
from awry.gradients.extraction import encode, pair_differences
from awry.gradients.interventions import Projection, Surgeon
from awry.tasks.pairs import load_pairs
from awry.training.grpo import micro_batches, update
from awry.training.logprobs import packed_logprobs

SIDES = ("vanilla", "projected", "cosines", "own_prompts")
PAIRS = 8


def setting() -> tuple[Any, dict[str, Any]]:
    own = workload.policy()
    adapter = attach_singular_values(own)
    engine = workload.sampler(own)
    rows = workload.rollouts(own, engine)
    optimizer, config = workload.optimizer(adapter), workload.training()
    r = {name: p[0].numel() for name, p in adapter.modules.items()}
    # a direction's cost does not depend on where it points
    shape = extract(
        {name: torch.randn(4, size) for name, size in r.items()},
        top_k=3, noise_floor=0.0, drop_quantile=0.0, adapter_kind="singular_values",
        basis_digest="", pairs_digest="", model_digest="",
    )  # fmt: skip
    direction: Direction = random_direction(shape, 0)

    def side(name: str) -> Any:
        projects = name == "projected"
        surgeon = Surgeon(
            adapter.modules if name in ("projected", "cosines") else {},
            list(adapter.parameters.values()),
            intervention=Projection(direction) if projects else None,
            meter=direction if name in ("projected", "cosines") else None,
            max_grad_norm=1.0,
        )

        def run() -> None:
            shared = grpo.micro_batches
            if name == "own_prompts":
                grpo.micro_batches = lambda rows, shared=True: micro_batches(rows, shared=False)
            try:
                done = update(
                    adapter, optimizer, rows, config, step=0, surgeon=surgeon,
                    record=name == "cosines",
                )  # fmt: skip
            finally:
                grpo.micro_batches = shared
            assert done.optimizer_step
            assert (done.rollouts[0].cosine is not None) == (name == "cosines")

        return run

    return adapter, {name: side(name) for name in SIDES}


def extraction_seconds(adapter: Any) -> tuple[float, float]:
    """(ours, a loop with one backward per completion), for the same pairs."""
    pairs = load_pairs()[:PAIRS]
    start = time.perf_counter()
    ours = pair_differences(adapter, pairs)
    spent = time.perf_counter() - start
    start = time.perf_counter()
    differences: list[dict[str, torch.Tensor]] = []
    for pair in pairs:
        sides = []
        for prompt, ids in encode(adapter.policy, pair):
            for parameter in adapter.parameters.values():
                parameter.grad = None
            logprobs = packed_logprobs(adapter.policy.model, [(prompt, [ids])], 1.0)
            (-logprobs.mean()).backward()
            sides.append({n: p[0].grad.clone() for n, p in adapter.modules.items()})
        differences.append({n: sides[0][n] - sides[1][n] for n in sides[0]})
    loop = time.perf_counter() - start
    for name, d in ours.items():
        theirs = torch.stack([row[name] for row in differences])
        cosine = torch.nn.functional.cosine_similarity(d.flatten(), theirs.flatten(), 0)
        assert cosine > 0.95, f"{name}: {cosine}"  # both in bf16
    return spent, loop


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds, after a warm-up")
    parser.add_argument("--memory", choices=SIDES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(2)
    adapter, sides = setting()
    if args.memory:
        sides[args.memory]()
        # not getrusage: its peak is inherited from the process that started this one
        status = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        print(next(int(row.split()[1]) // 1024 for row in status if row.startswith("VmHWM")))
        return
    seconds = workload.interleaved(sides, args.rounds)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    memory = {
        name: int(subprocess.check_output([sys.executable, __file__, "--memory", name]))
        for name in SIDES
    }
    for name in SIDES:
        print(f"{name:12} {median[name]:6.2f} s/update, peak {memory[name]} MB")
    ratios: dict[str, float] = {}
    for a, b in (("projected", "vanilla"), ("cosines", "own_prompts"), ("cosines", "vanilla")):
        each = [x / y for x, y in zip(seconds[a], seconds[b], strict=True)]  # of one round each
        ratios[f"{a}/{b}"] = statistics.median(each)
        print(f"{a} / {b}: {statistics.median(each):.3f} ({min(each):.3f} to {max(each):.3f})")
    ours, loop = extraction_seconds(adapter)
    print(f"extraction of {PAIRS} pairs: {ours:.1f} s; one backward per completion: {loop:.1f} s")
    print(
        json.dumps(
            {
                "name": Path(__file__).stem,
                "ours": round(median["projected"], 3),
                "theirs": round(median["vanilla"], 3),
                "unit": "s/update",
                "ratio": round(ratios["projected/vanilla"], 3),
                "cosines_same_layout": round(ratios["cosines/own_prompts"], 3),
                "cosines_shared_layout": round(ratios["cosines/vanilla"], 3),
                "memory_mb": memory,
                "extraction_ratio": round(loop / ours, 2),
                "machine": workload.MACHINE,
            }
        )
    )


if __name__ == "__main__":
    main()
