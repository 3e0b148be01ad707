"""Tiny trainers of TRL, and a direction in the coordinates of whatever adapter they train."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from torch import Tensor
from trl import DPOConfig, DPOTrainer, GRPOConfig, GRPOTrainer, SFTConfig, SFTTrainer

from awry.gradients.adapters import basis_of, coordinates
from awry.gradients.directions import Direction, extract
from awry.gradients.singular import SingularValueConfig
from awry.models import load_policy

KINDS = ("singular_values", "lora")
SETTINGS: dict[str, Any] = {
    "report_to": [],
    "use_cpu": True,
    "bf16": False,
    "save_strategy": "no",
    "disable_tqdm": True,
    "logging_steps": 1,
    "max_steps": 2,
    "learning_rate": 1e-2,
    "gradient_checkpointing": False,
}


def adapter_config(kind: str, **changes: Any) -> Any:
    if kind == "lora":
        settings = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear"}
        return LoraConfig(**settings | {"task_type": "CAUSAL_LM"} | changes)
    return SingularValueConfig(target_modules="all-linear", task_type="CAUSAL_LM")  # pyright: ignore


def grpo(
    folder: Path,
    kind: str,
    *,
    reward: Callable[..., list[float]] | None = None,
    adapter: dict[str, Any] | None = None,
    trainer: type[GRPOTrainer] = GRPOTrainer,
    **settings: Any,
) -> GRPOTrainer:
    """Two groups of four completions a step, in four micro-batches."""
    torch.set_num_threads(1)
    policy = load_policy("tiny-random", "float32")
    base = {
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 4,
        "num_generations": 4,
        "max_completion_length": 8,
        "beta": 0.0,
    }
    return trainer(
        model=policy.model,
        processing_class=policy.tokenizer,
        reward_funcs=reward or by_length,
        train_dataset=Dataset.from_list([{"prompt": f"{'long ' * i}prompt"} for i in range(4)]),
        args=GRPOConfig(output_dir=str(folder), **SETTINGS | base | settings),
        peft_config=adapter_config(kind, **adapter or {}),
    )


def by_length(completion_ids: list[list[int]], **_: Any) -> list[float]:
    """Different for nearly all completions."""
    return [float(sum(ids) % 17) for ids in completion_ids]


def sft(folder: Path, kind: str | None = None, *, model: Any = None, **settings: Any) -> SFTTrainer:
    """model: one with an adapter, instead of a new one of this kind."""
    torch.set_num_threads(1)
    policy = load_policy("tiny-random", "float32")
    return SFTTrainer(
        model=model or policy.model,
        processing_class=policy.tokenizer,
        train_dataset=Dataset.from_list([{"text": f"some text {i}"} for i in range(8)]),
        args=SFTConfig(output_dir=str(folder), **SETTINGS | {"max_length": 32} | settings),
        peft_config=adapter_config(kind) if kind else None,
    )


def dpo(folder: Path, kind: str, **settings: Any) -> DPOTrainer:
    torch.set_num_threads(1)
    policy = load_policy("tiny-random", "float32")
    rows = [{"prompt": f"{i}?", "chosen": "yes, it is", "rejected": "no"} for i in range(8)]
    return DPOTrainer(
        model=policy.model,
        processing_class=policy.tokenizer,
        train_dataset=Dataset.from_list(rows),
        args=DPOConfig(output_dir=str(folder), **SETTINGS | {"max_length": 32} | settings),
        peft_config=adapter_config(kind),
    )


def direction_for(model: Any, *, seed: int = 0, **changes: Any) -> Direction:
    """Two random axes in three quarters of the modules."""
    generator = torch.Generator().manual_seed(seed)
    kind, digest = basis_of(model)
    differences = {
        name: torch.randn(5, sum(p.numel() for p in parameters), generator=generator) + 0.3
        for name, parameters in coordinates(model).items()
    }
    identity = {"adapter_kind": kind, "basis_digest": digest}
    identity |= {"pairs_digest": "", "model_digest": ""} | changes
    return extract(differences, top_k=2, noise_floor=0.0, drop_quantile=0.25, **identity)


def gradients(model: Any) -> dict[str, Tensor]:
    """module -> its gradient in the coordinates of directions."""
    return {
        name: torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])
        for name, parameters in coordinates(model).items()
    }


def move(model: Any) -> None:
    """Away from the start, where LoRA's A has no gradient; A stays, and with it the basis."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for _, parameters in sorted(coordinates(model).items()):
            last = parameters[-1]
            last.add_(torch.randn(last.shape, generator=generator) * 0.05)
