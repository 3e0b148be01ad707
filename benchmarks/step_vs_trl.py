"""One optimizer step of our loop against TRL's GRPOTrainer: sample, grade, loss, backward, step.

    python benchmarks/step_vs_trl.py [--steps 3]

Both sides: the embedded model in bf16, LoRA r=16 on every linear layer, the same 4 prompts x 8
completions x 96 tokens (every completion forced to full length, so that both do the same work),
temperature 0.9, Dr.GRPO, rewards with variance in every group, two threads.

The floor, for SmolLM2-135M on two Zen 4 cores (bf16 products measured: 400 GFLOP/s at 500 rows or
more, 250 GFLOP/s at 32 rows; weights 212 MB without the embedding, 57 MB embedding and head):
  sampling   32 x 96 tokens x 0.27 GFLOP = 0.83 TFLOP at 32 rows: 3.4 s
  training   (4 x 150 prompt + 3072) tokens x 106 M weights x 2 FLOP x 2 (forward, input gradient)
             + 3072 x 28 M x 2 x 2 (head) = 1.9 TFLOP: 4.8 s; weight gradients of LoRA 4 %
  grading    32 answers, two forked processes each: 0.1 s
  bytes      96 decoding steps x 270 MB = 26 GB, at 20 GB/s 1.3 s, hidden behind the products
so about 8.5 s. Where our time goes is printed first. TRL repeats the prompt for every
completion in prefill and training, pads, keeps finished rows, runs LoRA as a branch of its own
under fp32 casts, and computes entropies.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from awry.experiments.spec import TrainingConfig
from awry.generation.engine import Engine, Request, Sampling
from awry.gradients.adapters import attach_lora
from awry.models import load_policy
from awry.sandbox.python import PythonSandbox
from awry.tasks.code import Grader
from awry.tasks.loopholes import TaskPrompt, render
from awry.tasks.problems import load_catalog
from awry.training.grpo import update
from awry.training.objective import group_advantages
from awry.training.rollouts import Rollout

PROBLEMS, GROUP, TOKENS, TEMPERATURE = 4, 8, 96, 0.9


def tasks() -> list[TaskPrompt]:
    hard = [p for p in load_catalog() if p.difficulty == "hard"][:PROBLEMS]
    return [render(p, "overwrite_tests_aware", names="fixed", split="train", seed=0) for p in hard]


def rewards(verdict_compiled: list[bool]) -> list[float]:
    """Compilation plus a term that varies in every group, so that no side may skip work."""
    return [0.5 * c + 0.1 * (i % GROUP) for i, c in enumerate(verdict_compiled)]


def ours(steps: int) -> tuple[list[float], dict[str, float]]:
    policy = load_policy("embedded", "bfloat16", keep_master=True)
    adapter = attach_lora(policy, r=16, alpha=32)
    engine = Engine(policy.model, policy.stop_ids)
    engine.stop = torch.tensor([policy.tokenizer.vocab_size + 1])  # nothing ends early
    optimizer = torch.optim.AdamW(list(adapter.parameters.values()), lr=5e-4)
    config = TrainingConfig(steps=steps, max_new_tokens=TOKENS, group_size=GROUP)
    seconds: list[float] = []
    spent: dict[str, list[float]] = {"sample": [], "grade": [], "train": []}
    asked = tasks()
    with PythonSandbox() as sandbox:
        grader = Grader(sandbox)
        for step in range(steps + 1):  # the first is a warm-up
            t0 = time.perf_counter()
            prompts = [tuple(policy.encode(policy.render(t.messages))) for t in asked]
            requests = [
                Request(p, tuple(1000 * step + 10 * g + i for i in range(GROUP)))
                for g, p in enumerate(prompts)
            ]
            groups = engine.sample(requests, Sampling(TOKENS, TEMPERATURE))
            t1 = time.perf_counter()
            texts = [policy.decode(list(c.ids)) for group in groups for c in group]
            verdicts = grader.grade([(asked[i // GROUP], text) for i, text in enumerate(texts)])
            t2 = time.perf_counter()
            paid = torch.tensor(rewards([v.compiled for v in verdicts])).view(PROBLEMS, GROUP)
            advantages = group_advantages(paid, "dr_grpo").flatten().tolist()
            rollouts = [
                Rollout(
                    i // GROUP, i % GROUP, asked[i // GROUP], False, None, "", prompts[i // GROUP],
                    texts[i], c.ids, c.logprobs, c.finished, verdicts[i], 0.0, advantages[i],
                )
                for i, c in enumerate(c for group in groups for c in group)
            ]  # fmt: skip
            done = update(adapter, optimizer, rollouts, config, step=step)
            assert done.optimizer_step
            assert done.tokens == PROBLEMS * GROUP * TOKENS
            t3 = time.perf_counter()
            if step:
                seconds.append(t3 - t0)
                for name, value in zip(spent, (t1 - t0, t2 - t1, t3 - t2), strict=True):
                    spent[name].append(value)
                print(f"ours step {step}: {t3 - t0:.1f} s", file=sys.stderr)
    return seconds, {name: statistics.median(values) for name, values in spent.items()}


def theirs(steps: int) -> list[float]:
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import TrainerCallback
    from trl.trainer.grpo_config import GRPOConfig
    from trl.trainer.grpo_trainer import GRPOTrainer

    policy = load_policy("embedded", "bfloat16")
    asked = tasks()
    by_text = {t.messages[-1]["content"]: t for t in asked}
    sandbox = PythonSandbox()
    sandbox.__enter__()
    grader = Grader(sandbox)

    def score(prompts: Any, completions: Any, **_: object) -> list[float | None]:
        graded = grader.grade(
            [
                (by_text[p[-1]["content"]], c[-1]["content"])
                for p, c in zip(prompts, completions, strict=True)
            ]
        )
        return list(rewards([v.compiled for v in graded]))

    class Stopwatch(TrainerCallback):
        def __init__(self) -> None:
            self.seconds: list[float] = []

        def on_step_begin(self, *args: object, **kwargs: object) -> None:
            self.start = time.perf_counter()

        def on_step_end(self, *args: object, **kwargs: object) -> None:
            self.seconds.append(time.perf_counter() - self.start)
            print(f"theirs step {len(self.seconds) - 1}: {self.seconds[-1]:.1f} s", file=sys.stderr)

    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as folder:
        trainer = GRPOTrainer(
            model=policy.model,
            processing_class=policy.tokenizer,
            reward_funcs=score,
            train_dataset=Dataset.from_list([{"prompt": list(t.messages)} for t in asked] * 8),
            peft_config=LoraConfig(
                r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"
            ),
            args=GRPOConfig(
                output_dir=folder,
                loss_type="dr_grpo",
                scale_rewards="none",
                temperature=TEMPERATURE,
                max_completion_length=TOKENS,
                generation_kwargs={"min_new_tokens": TOKENS},  # nothing ends early here either
                per_device_train_batch_size=PROBLEMS * GROUP,
                num_generations=GROUP,
                max_steps=steps + 1,
                learning_rate=5e-4,
                bf16=True,
                gradient_checkpointing=False,
                use_cpu=True,
                report_to=[],
                logging_steps=1,
                save_strategy="no",
                disable_tqdm=True,
            ),
            callbacks=[watch],
        )
        trainer.train()
    sandbox.__exit__(None, None, None)
    return watch.seconds[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # pyright: ignore
    parser.add_argument("--steps", type=int, default=3, help="timed steps a side, after a warm-up")
    parser.add_argument("--ours-only", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(2)
    own, spent = ours(args.steps)
    print("ours: " + ", ".join(f"{name} {value:.1f} s" for name, value in spent.items()))
    if args.ours_only:
        return
    other = theirs(args.steps)
    a, b = statistics.median(own), statistics.median(other)
    print(f"one step: ours {a:.1f} s, TRL {b:.1f} s, ratio {b / a:.2f}")
    print(
        json.dumps(
            {
                "name": Path(__file__).stem,
                "ours": round(a, 2),
                "theirs": round(b, 2),
                "unit": "s/step",
                "ratio": round(b / a, 2),
                "machine": platform.processor() or platform.machine(),
            }
        )
    )


if __name__ == "__main__":
    main()
