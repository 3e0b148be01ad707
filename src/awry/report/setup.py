"""What was asked: the setup in words, read from the manifests of the runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from awry.report.load import Run, read_texts
from awry.rewards import CONDITIONS
from awry.tasks.kinds import source_kind
from awry.tasks.loopholes import LOOPHOLES
from awry.tasks.proof_loopholes import PROOF_LOOPHOLES

NAMING = ("name", "kind", "pool", "path", "source")  # keys whose value speaks for itself


def facts(runs: Sequence[Run]) -> list[tuple[str, list[str]]]:
    """(name, lines). Loophole and reward list every arm's; otherwise the first run speaks, and
    `differences` shows where the arms disagree.
    """
    config = next((run.config for run in runs if run.config), {})
    manifest = next((run.manifest for run in runs if run.manifest), {})
    model, problems = config.get("model") or {}, config.get("problems") or {}
    probe, digests = config.get("probe") or {}, manifest.get("digests") or {}
    seen = {r.problem for run in runs for r in run.rollouts}
    tiers = problems.get("tiers")
    rows: list[tuple[str, list[str]]] = [
        (
            "Model",
            [
                _join(
                    model.get("path"),
                    digests.get("weights") and f"weights {str(digests['weights'])[:12]}",
                    words(model.get("adapter")),
                )
            ],
        ),
        (
            "Problems",
            [
                _join(
                    problems.get("source"),
                    tiers and "tier " + ", ".join(map(str, tiers)),
                    f"{len(seen)} seen in training",
                    probe and f"{probe.get('problems')} held out for the probe",
                )
            ],
        ),
        ("Loophole", _distinct(runs, _loophole)),
        ("Reward", _distinct(runs, _reward)),
        ("Teacher", [words(config.get("teacher"))]),
        ("Direction", _distinct(runs, lambda config: _named(config.get("direction")))),
        ("Intervention", _distinct(runs, lambda config: _named(config.get("intervention")))),
        ("Training", [words(config.get("training"))]),
        ("Seeds", [", ".join(str(s) for s in sorted({run.seed for run in runs}))]),
        ("Sandbox", [str(manifest.get("isolation") or "")]),
    ]
    return [(name, kept) for name, lines in rows if (kept := [line for line in lines if line])]


def differences(runs: Sequence[Run]) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Settings in which the arms differ: (arm names, rows of (setting, one value per arm))."""
    configs = {run.arm: run.config for run in runs if run.config}
    rows = _compare(list(configs.values()), "")
    return list(configs), [row for row in rows if row[0] not in ("arm", "seed", "name")]


def differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """Names of the settings, such as `training.lr`, in which two configurations differ."""
    return [key for key, _ in _compare([a, b], "")]


def example_prompt(runs: Sequence[Run]) -> tuple[str, str] | None:
    """The first prompt of the first run that has one: (where it is from, text)."""
    for run in runs:
        steps = sorted({r.step for r in run.rollouts})
        for row in read_texts(run, steps[:1]):
            if row["prompt"]:
                return f"{run.arm}, step {row['step']}, problem {row['problem_id']}", row["prompt"]
    return None


def words(value: Any) -> str:
    """{'kind': 'lora', 'r': 16, 'pool': None} -> 'lora, r 16, pool none'; nested parts are left out."""
    if value is None:
        return "none"
    if not isinstance(value, Mapping):
        return str(value)
    return ", ".join(
        str(inner)
        if key in NAMING and inner is not None
        else f"{key.replace('_', ' ')} {_plain(inner)}"
        for key, inner in value.items()
        if not isinstance(inner, Mapping)
    )


def _compare(values: Sequence[Any], path: str) -> list[tuple[str, list[str]]]:
    if all(isinstance(v, Mapping) for v in values):
        keys = sorted({key for v in values for key in v})
        return [
            row
            for key in keys
            for row in _compare([v.get(key) for v in values], f"{path}.{key}" if path else key)
        ]
    shown = [words(v) for v in values]
    return [(path, shown)] if len(set(shown)) > 1 else []


def _distinct(runs: Sequence[Run], describe) -> list[str]:
    return list(dict.fromkeys(describe(run.config) for run in runs if run.config))


def _loophole(config: Mapping[str, Any]) -> str:
    section = config.get("loophole") or {}
    proofs = source_kind((config.get("problems") or {}).get("source") or "catalog") == "proof"
    known = (PROOF_LOOPHOLES if proofs else LOOPHOLES).get(str(section.get("name")))
    told = f": “{known.hint.replace('{X}', '⟨evaluator⟩')}”" if known else ""
    return f"{words(section)}{told}"


def _reward(config: Mapping[str, Any]) -> str:
    name = config.get("reward")
    return _join(name) + (f": {CONDITIONS[name]}" if name in CONDITIONS else "")


def _named(section: Any) -> str:
    return words(section) if section else ""


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "none" if value is None else str(value)


def _join(*parts: Any) -> str:
    return "; ".join(str(p) for p in parts if p)
