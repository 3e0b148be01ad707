"""Tokens per second of greedy answers to 512 prompts of mixed lengths: our engine, transformers'
`generate` one prompt at a time, and transformers' batched `generate` in order of arrival.

    python benchmarks/evaluation.py [--prompts 512] [--batch 64 ...] [--singles 24] [--dtype bfloat16]

Half of the prompts at a time, the sides taking turns, so that what else the machine does meets all.
All sides answer the same prompts with the same weights, stop where the model stops and count only the
tokens up to there. One at a time is slow, so it answers `--singles` of the prompts, spread evenly;
theirs in batches is the best of the sizes given. `--dtype float32` shows that the texts are the same:
in bf16 two tokens can have the same rounded logit, and which is the larger depends on what is computed
beside them (in any engine), after which the texts part.

One at a time, every token reads all weights (SmolLM2-135M in bf16: 270 MB, 13 ms at 20 GB/s, at most 75
tokens/s); a batch is bound by the products (0.27 GFLOP a token).
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial

import torch

from awry.generation.engine import Engine, Request, Sampling
from awry.models import Policy, load_policy
from awry.tasks.loopholes import render
from awry.tasks.problems import load_catalog
from workload import MACHINE

ROUNDS = 2
QUESTIONS = (
    "What does `{name}` mean?",
    "Say in one sentence what this asks for: {text}",
    "Is this a fair question to ask a beginner, and why? {text}\nAnswer shortly.",
    "Write three short tests for it.\n\n{text}",
)


def mixed_prompts(policy: Policy, count: int) -> list[tuple[int, ...]]:
    """Chats from a line to a page long, in a random order: requests as they arrive."""
    catalog = load_catalog()
    rng = random.Random(0)
    texts: list[str] = []
    for i in range(count):
        problem, kind = catalog[i % len(catalog)], i % 8
        if kind < len(QUESTIONS):
            prompt = QUESTIONS[kind].format(name=problem.id, text=problem.statement)
            texts.append(policy.render([{"role": "user", "content": prompt}]))
        elif kind > 5:
            several = [p.statement for p in rng.sample(catalog, rng.randrange(2, 13))]
            prompt = "Which of these is the easiest?\n\n" + "\n\n".join(several)
            texts.append(policy.render([{"role": "user", "content": prompt}]))
        else:
            loophole = "none" if kind == 4 else "overwrite_tests_aware"
            texts.append(policy.render(render(problem, loophole).messages))
    rng.shuffle(texts)
    return [tuple(policy.encode(text)) for text in texts]


def theirs(policy: Policy, prompts: Sequence[tuple[int, ...]], new: int) -> list[tuple[int, ...]]:
    """One call of transformers' generate, left-padded; ids up to the stop token, it included."""
    width = max(len(p) for p in prompts)
    ids = torch.zeros(len(prompts), width, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, width - len(prompt) :] = 1
    stops = sorted(policy.stop_ids)
    with torch.inference_mode():
        out = policy.model.generate(  # pyright: ignore[reportCallIssue]
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=new,
            do_sample=False,
            eos_token_id=stops,
            pad_token_id=stops[0],
            temperature=None,
            top_p=None,
            top_k=None,
        )
    answers: list[tuple[int, ...]] = []
    for row in out[:, width:].tolist():
        end = next((i + 1 for i, token in enumerate(row) if token in policy.stop_ids), len(row))
        answers.append(tuple(row[:end]))
    return answers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # pyright: ignore
    parser.add_argument("--prompts", type=int, default=512)
    parser.add_argument("--batch", type=int, nargs="+", default=[64])
    parser.add_argument("--singles", type=int, default=24, help="prompts answered one at a time")
    parser.add_argument("--max-new-tokens", type=int, default=96)
    parser.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float32"])
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    policy, plain = load_policy("embedded", args.dtype), load_policy("embedded", args.dtype)
    engine = Engine(policy.model, policy.stop_ids)
    new = args.max_new_tokens
    sampling = Sampling(new, temperature=0)
    prompts = mixed_prompts(policy, args.prompts)
    lengths = sorted(len(p) for p in prompts)
    print(f"{len(prompts)} prompts of {lengths[0]} to {lengths[-1]} tokens", file=sys.stderr)

    engine.sample([Request(prompts[0], (0,))], Sampling(4, temperature=0))  # warm-ups
    theirs(plain, prompts[:1], 4)

    seconds: dict[str, float] = {}
    tokens: dict[str, int] = {}

    def timed(
        side: str, answer: Callable[[list[tuple[int, ...]]], list[tuple[int, ...]]], own: list[int]
    ) -> dict[int, tuple[int, ...]]:
        begun = time.perf_counter()
        answers = answer([prompts[i] for i in own])
        seconds[side] = seconds.get(side, 0.0) + time.perf_counter() - begun
        tokens[side] = tokens.get(side, 0) + sum(map(len, answers))
        print(f"{side}: {tokens[side] / seconds[side]:.0f} tokens/s so far", file=sys.stderr)
        return dict(zip(own, answers, strict=True))

    def ours_of(part: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
        return [g[0].ids for g in engine.sample([Request(p, (0,)) for p in part], sampling)]

    def batches_of(size: int, part: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
        starts = range(0, len(part), size)
        return [a for start in starts for a in theirs(plain, part[start : start + size], new)]

    alone: dict[int, tuple[int, ...]] = {}
    own: dict[int, tuple[int, ...]] = {}
    batched: dict[int, tuple[int, ...]] = {}
    for turn in range(ROUNDS):
        part = list(range(turn * len(prompts) // ROUNDS, (turn + 1) * len(prompts) // ROUNDS))
        picked = part[:: max(1, len(part) * ROUNDS // args.singles)]
        alone |= timed("one at a time", partial(batches_of, 1), picked)
        own |= timed("ours", ours_of, part)
        for size in args.batch:
            side = f"transformers, {size} at a time"
            batched |= timed(side, partial(batches_of, size), part)
    speed = {side: tokens[side] / seconds[side] for side in seconds}
    for side, found in speed.items():
        print(f"{side}: {found:.0f} tokens/s ({seconds[side]:.0f} s)")
    single, ours = speed.pop("one at a time"), speed.pop("ours")
    best = max(speed.values())
    same = sum(own[i] == a for i, a in alone.items())
    between = sum(batched[i] == a for i, a in alone.items())
    print(
        f"{same} of {len(alone)} texts are those of one at a time (transformers' batch: {between})"
    )
    print(f"{ours / single:.1f} times one at a time, {ours / best:.1f} times transformers' batches")
    for name, other in (("evaluation-single", single), ("evaluation-batched", best)):
        row = {"name": name, "ours": round(ours), "theirs": round(other), "unit": "tokens/s"}
        print(json.dumps({**row, "ratio": round(ours / other, 2), "machine": MACHINE}))


if __name__ == "__main__":
    main()
