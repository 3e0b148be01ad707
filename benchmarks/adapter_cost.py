"""A training step on the full-rank singular-value adapter against LoRA r=16.

    python benchmarks/adapter_cost.py [--rounds 3]

The embedded model in bf16, 4 prompts x 8 completions x 48 tokens, sampling and update. Sides: our
merged LoRA, PEFT's own LoRA branch, the singular-value adapter merged and as a branch. Each side is
a process of its own (an adapter changes the model in place); the rounds of all sides take turns.
First the merged forward is checked against the plain form in fp32: same log-probabilities, same
gradients.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

import workload
from awry.gradients.adapters import Adapter, attach_lora, attach_singular_values, lora_layers
from awry.training.grpo import update
from awry.training.logprobs import packed_logprobs

SIDES = ("lora_merged", "lora_peft", "singular_merged", "singular_branch")


def attach(side: str, dtype: str = "bfloat16") -> Adapter:
    own = workload.policy(dtype)
    if side.startswith("singular"):
        return attach_singular_values(own, merged=side == "singular_merged")
    adapter = attach_lora(own, r=16, alpha=32, merged=side == "lora_merged")
    if side == "lora_peft":
        for layer in lora_layers(own.model).values():
            del layer.forward  # PEFT's own again
    return adapter


def equality() -> float:
    """Largest relative difference of gradients, merged against branch, in fp32."""
    worst = 0.0
    gradients: dict[str, dict[str, torch.Tensor]] = {}
    for side in ("singular_merged", "singular_branch"):
        adapter = attach(side, "float32")
        workload.sampler(adapter.policy)
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for _, p in sorted(adapter.parameters.items()):
                p.add_(torch.randn(p.shape, generator=generator) * 0.02)
        adapter.refresh()
        ids = adapter.policy.encode("def add(a, b):\n    return a + b\n")
        packed_logprobs(adapter.policy.model, [((ids[0],), [ids[1:]])], 1.0).sum().backward()
        gradients[side] = {n: p.grad for n, p in adapter.parameters.items() if p.grad is not None}
    for name, merged in gradients["singular_merged"].items():
        plain = gradients["singular_branch"][name]
        worst = max(worst, float((merged - plain).norm() / plain.norm().clamp(min=1e-12)))
    return worst


def serve(side: str) -> None:
    """Run a step for every line on stdin; print its sampling and update seconds."""
    adapter = attach(side)
    engine = workload.sampler(adapter.policy)
    optimizer, config = workload.optimizer(adapter), workload.training()
    for number, _ in enumerate(sys.stdin):
        start = time.perf_counter()
        rows = workload.rollouts(adapter.policy, engine, seed=number)
        sampled = time.perf_counter()
        assert update(adapter, optimizer, rows, config, step=number).optimizer_step
        print(sampled - start, time.perf_counter() - sampled, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3, help="timed rounds, after a warm-up")
    parser.add_argument("--serve", choices=SIDES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(2)
    if args.serve:
        serve(args.serve)
        return
    worst = equality()
    print(f"merged against branch, fp32: largest relative gradient difference {worst:.1e}")
    assert worst < 1e-4
    servers = {
        side: subprocess.Popen(
            [sys.executable, __file__, "--serve", side],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for side in SIDES
    }
    spent: dict[str, list[tuple[float, float]]] = {side: [] for side in SIDES}
    for i in range(args.rounds + 1):
        for side, server in servers.items():
            assert server.stdin is not None
            assert server.stdout is not None
            server.stdin.write("step\n")
            server.stdin.flush()
            sampling, updating = map(float, server.stdout.readline().split())
            if i:
                spent[side].append((sampling, updating))
    for server in servers.values():
        server.communicate()
    total = {side: statistics.median(a + b for a, b in each) for side, each in spent.items()}
    for side, each in spent.items():
        sampling, updating = (statistics.median(x) for x in zip(*each, strict=True))
        print(
            f"{side:16} sampling {sampling:5.2f} s, update {updating:5.2f} s, step {total[side]:5.2f} s"
        )
    ours = total["singular_merged"]
    print(
        json.dumps(
            {
                "name": Path(__file__).stem,
                "ours": round(ours, 2),
                "theirs": round(total["lora_peft"], 2),
                "unit": "s/step",
                "ratio": round(ours / total["lora_peft"], 3),
                "to_merged_lora": round(ours / total["lora_merged"], 3),
                "branch_to_lora_peft": round(total["singular_branch"] / total["lora_peft"], 3),
                "machine": workload.MACHINE,
            }
        )
    )


if __name__ == "__main__":
    main()
