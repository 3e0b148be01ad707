"""What a run records about itself: enough to say whether two numbers are comparable."""

from __future__ import annotations

import hashlib
import os
import platform
import time
from dataclasses import asdict
from importlib import metadata
from typing import TYPE_CHECKING, Any

import psutil
import torch

from awry import __version__
from awry.files import code_state
from awry.models import Policy
from awry.tasks import curated
from awry.tasks.kinds import AnyProblem, Grading

if TYPE_CHECKING:
    from awry.experiments.spec import RunConfig

_PACKAGES = ("torch", "transformers", "peft", "safetensors", "tokenizers", "numpy", "pyarrow")


def manifest(
    config: RunConfig,
    policy: Policy,
    grader: Grading,
    training: tuple[AnyProblem, ...],
    probing: tuple[AnyProblem, ...],
) -> dict[str, Any]:
    """The content of manifest.json."""
    return {
        "awry": __version__,
        "config": config.model_dump(mode="json"),
        "digests": {
            **asdict(policy.digests),
            "problems_trained": problem_digest(training),
            "problems_probed": problem_digest(probing),
            "curation": curated.digest(config.problems.source),
        },
        "problems_trained": [p.id for p in training],
        "problems_probed": [p.id for p in probing],
        "dtype": str(policy.dtype).removeprefix("torch."),
        "device": str(policy.model.device),
        "versions": {
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in _PACKAGES},
        },
        "code": code_state(),
        "hardware": hardware(),
        "isolation": grader.isolation,
        "grader": grader.identity(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def problem_digest(problems: tuple[AnyProblem, ...]) -> str:
    """sha256 over the digests of problems, in order."""
    return hashlib.sha256("".join(p.digest for p in problems).encode()).hexdigest()


def hardware() -> dict[str, Any]:
    """Processor, memory (GB) and accelerators of this machine."""
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "gpus": gpus,
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:
            names = [line.split(":", 1)[1].strip() for line in stream if "model name" in line]
        return names[0] if names else platform.processor()
    except OSError:
        return platform.processor()
