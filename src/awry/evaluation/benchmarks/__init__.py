"""The benchmarks, one module each, found by name. A module is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from awry.errors import UserError, spelling_fix
from awry.evaluation.items import Benchmark

if TYPE_CHECKING:
    from awry.evaluation.marks.scorers import Scorer
    from awry.lean.verifier import Verifier
    from awry.sandbox.python import PythonSandbox

_NAMES = (
    *("strongreject", "xstest", "do_not_answer", "awry_battery"),  # safety
    *("truthfulqa", "mmlu", "wmdp", "humaneval", "awry_capability", "minif2f"),  # capability
    *("betley", "awry_probes"),  # misalignment
    "code_hacks",  # hacking
)


def names() -> tuple[str, ...]:
    return _NAMES


def find_benchmark(name: str) -> Benchmark:
    """The benchmark of this name, with - for _ if you like. Raises UserError."""
    known = name.replace("-", "_")
    if known not in _NAMES:
        raise UserError(
            "unknown benchmark", field="--benchmark", value=name, fix=spelling_fix(name, _NAMES)
        )
    return import_module(f"{__name__}.{known}").BENCHMARK


def own_scorer(name: str) -> Callable[[PythonSandbox], Scorer] | None:
    """What makes the benchmark's own scorer "code" from a sandbox; None for those without one."""
    benchmark = find_benchmark(name)
    return getattr(import_module(f"{__name__}.{benchmark.name}"), "make_scorer", None)


def lean_scorer(name: str) -> Callable[[Verifier], Scorer] | None:
    """What makes the benchmark's scorer of proofs from a verifier; None for those without one."""
    benchmark = find_benchmark(name)
    return getattr(import_module(f"{__name__}.{benchmark.name}"), "make_lean_scorer", None)
