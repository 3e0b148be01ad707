"""The stages of an experiment and what each key is made of.

direction (one per model, adapter and pairs) -> preflight -> train (one per arm and seed) -> report.
Where a file lies does not enter a key, what is in it does: a renamed problem file or a moved model
trains nothing again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from awry.errors import UserError, spelling_fix
from awry.experiments.sections import LeanConfig
from awry.experiments.spec import Experiment, RunConfig, Sections, canonical_json
from awry.experiments.store import Stage
from awry.files import file_sha256

DIRECTION_VERSION = 1
PREFLIGHT_VERSION = 1
TRAIN_VERSION = 1
REPORT_VERSION = 1


def train_stage(config: RunConfig) -> Stage:
    """One arm with one seed. The experiment's name is left out: experiments that share an arm share
    its runs. Raises UserError when the model or a file cannot be read.
    """
    params = config.model_dump(mode="json", exclude={"name"})
    inputs = input_digests(config)
    if config.direction:
        inputs["direction"] = direction_stage(config).key
    return Stage("train", TRAIN_VERSION, _without_places(params), inputs)


def direction_stage(config: RunConfig) -> Stage:
    """The direction of a run, with its placebos and its verification. Arms that differ in nothing
    it depends on share it; so do all seeds, but for LoRA, whose coordinates depend on the seed.
    """
    assert config.direction is not None
    params: dict[str, Any] = {
        "adapter": config.model.adapter.model_dump(mode="json"),
        "dtype": config.model.dtype,
        # cosines_every says when training looks at it
        "direction": config.direction.model_dump(mode="json", exclude={"pairs", "cosines_every"}),
    }
    if config.model.adapter.kind == "lora":
        params["seed"] = config.seed
    source = config.direction.pairs
    stamp = None if source == "builtin" else Path(source).stat().st_mtime_ns
    pairs, benign = _pairs_digests(source, stamp)
    inputs = {
        "model": _model_digest(config.model.path),
        "chat": _chat_digest(config.model.path),
        "pairs": pairs,
        "pairs_benign": benign,
    }
    return Stage("direction", DIRECTION_VERSION, params, inputs)


def sharing_direction(runs: Sequence[RunConfig]) -> list[list[RunConfig]]:
    """Runs that have a direction, in groups that share one. Needs no model at hand."""
    groups: dict[str, list[RunConfig]] = {}
    for run in runs:
        if run.direction is not None:
            seed = run.seed if run.model.adapter.kind == "lora" else None
            direction = run.direction.model_dump(mode="json", exclude={"cosines_every"})
            name = canonical_json([run.model.model_dump(mode="json"), direction, seed])
            groups.setdefault(name, []).append(run)
    return list(groups.values())


def direction_stages(runs: Sequence[RunConfig]) -> list[tuple[Stage, list[RunConfig]]]:
    """Every direction that these runs need, with the runs that use it."""
    stages: dict[str, tuple[Stage, list[RunConfig]]] = {}
    for group in sharing_direction(runs):
        stage = direction_stage(group[0])
        stages.setdefault(stage.key, (stage, []))[1].extend(group)
    return list(stages.values())


def preflight_stage(experiment: Experiment) -> Stage:
    """The checks of a whole experiment."""
    params: dict[str, Any] = {"seeds": list(experiment.seeds), "arms": {}}
    inputs: dict[str, str] = {}
    for arm, sections in experiment.arms.items():
        params["arms"][arm] = _without_places(sections.model_dump(mode="json"))
        inputs |= {f"{arm}.{name}": d for name, d in input_digests(sections).items()}
    for number, (stage, _) in enumerate(direction_stages(experiment.runs())):
        inputs[f"direction.{number}"] = stage.key
    return Stage("preflight", PREFLIGHT_VERSION, params, inputs)


def report_stage(runs: Mapping[str, str]) -> Stage:
    """runs: for each training run the digest of its DONE, or how far it is."""
    return Stage("report", REPORT_VERSION, {}, dict(runs))


def input_digests(sections: Sections) -> dict[str, str]:
    """sha256 of everything a run reads: its model and tokenizer, the problems it is trained on and
    probed with, its teacher pool. Raises UserError when one of them cannot be read or is too small.
    """
    from awry.tasks.kinds import NAMED_SOURCES

    source = sections.problems.source
    stamp = None if source in NAMED_SOURCES else Path(source).stat().st_mtime_ns
    document = sections.model_dump_json(include=set(Sections.model_fields))
    trained, probed = _problem_digests(document, stamp)
    inputs = {
        "model": _model_digest(sections.model.path),
        "chat": _chat_digest(sections.model.path),
        "problems_trained": trained,
        "problems_probed": probed,
    }
    if sections.teacher:
        pool = sections.teacher.pool
        inputs["teacher"] = _builtin_pool_digest() if pool == "builtin" else file_sha256(Path(pool))
    return inputs


def model_at_hand(path: str) -> bool:
    """False for the embedded model before it was fetched; its digest is not known until then."""
    from awry.models import known_models

    return all(row["fetched"] for row in known_models() if row["name"] == path)


@cache
def _problem_digests(sections: str, stamp: int | None) -> tuple[str, str]:
    """Digests of the problems that a configuration selects; `stamp` tells versions of a file."""
    from awry.tasks.selection import select

    chosen = Sections.model_validate_json(sections)
    trained, probed = (
        hashlib.sha256("".join(problem.digest for problem in part).encode()).hexdigest()
        for part in select(chosen, chosen.model.path)
    )
    return trained, probed


@cache
def _pairs_digests(source: str, stamp: int | None) -> tuple[str, str]:
    """Digests of a source of pairs and of the benign ones; `stamp` tells versions of a file."""
    from awry.tasks.pairs import load_benign_pairs, load_pairs, pairs_digest

    return pairs_digest(load_pairs(source)), pairs_digest(load_benign_pairs())


@cache
def _model_digest(path: str) -> str:
    from awry.models import model_digest

    return model_digest(path)


@cache
def _chat_digest(path: str) -> str:
    """sha256 over what turns a chat into tokens and ends an answer: tokenizer, template, stop ids.

    The version of transformers that wrote a file does not count.
    """
    from awry.models import TINY, resolve

    total = hashlib.sha256()
    if path == TINY:  # made in memory; its digest covers all of it
        return total.hexdigest()
    for file in sorted(resolve(path)[1].iterdir()):
        if file.name == "config.json" or file.name.endswith(".index.json"):
            continue
        if file.suffix == ".json":
            content = json.loads(file.read_bytes())
            if isinstance(content, dict):
                content.pop("transformers_version", None)
            total.update(f"{file.name} {canonical_json(content)}\n".encode())
        elif file.suffix in (".jinja", ".model", ".txt"):
            total.update(f"{file.name} {file_sha256(file)}\n".encode())
    return total.hexdigest()


@cache
def _builtin_pool_digest() -> str:
    file = resources.files("awry.tasks") / "catalog" / "teacher.toml"
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _without_places(params: dict[str, Any]) -> dict[str, Any]:
    """Parameters without those that only say where something lies (digests stand for them), and
    without newer ones at their defaults, so that older stages keep their keys."""
    kept = {name: dict(v) if isinstance(v, dict) else v for name, v in params.items()}
    del kept["model"]["path"], kept["problems"]["source"]
    if kept["training"]["method"] == "grpo":
        del kept["training"]["method"]
    if LeanConfig.model_validate(kept["lean"]) == LeanConfig():
        del kept["lean"]
    if kept["teacher"]:
        del kept["teacher"]["pool"]
    if kept["direction"]:
        del kept["direction"]["pairs"]
    return kept


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What sets two stage identities apart, as `training.lr: 0.0005 -> 0.001`."""
    before, after = _flat(_identity(old)), _flat(_identity(new))
    found: list[str] = []
    for name in sorted(before.keys() | after.keys()):
        a, b = before.get(name, "absent"), after.get(name, "absent")
        if a == b:
            continue
        if name.startswith("inputs."):
            found.append(f"{name.removeprefix('inputs.')} changed")
        else:
            found.append(f"{name.removeprefix('params.')}: {_short(a)} -> {_short(b)}")
    return found


def _identity(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: record.get(name) for name in ("version", "params", "inputs")}


def _flat(value: object, at: str = "") -> dict[str, object]:
    if isinstance(value, Mapping) and value:
        parts = [_flat(v, f"{at}.{k}" if at else str(k)) for k, v in value.items()]
        return {name: leaf for part in parts for name, leaf in part.items()}
    return {at: value}


def _short(value: object) -> str:
    text = value if value == "absent" else json.dumps(value)
    return str(text)[:60]


def selected(
    runs: Sequence[RunConfig], arms: Sequence[str], seeds: Sequence[int]
) -> list[RunConfig]:
    """The runs of these arms and seeds; empty filters keep all. Raises UserError for a filter that
    names nothing.
    """
    known = list(dict.fromkeys(run.arm for run in runs))
    for arm in arms:
        if arm not in known:
            raise UserError("no such arm", field="--arm", value=arm, fix=spelling_fix(arm, known))
    seeded = sorted({run.seed for run in runs})
    for seed in seeds:
        if seed not in seeded:
            listed = ", ".join(map(str, seeded))
            raise UserError(
                "no such seed in this experiment",
                field="--seed",
                value=seed,
                fix=f"one of {listed}",
            )
    return [r for r in runs if (not arms or r.arm in arms) and (not seeds or r.seed in seeds)]
