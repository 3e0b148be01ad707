"""The experiment file as a whole; its sections are in `sections.py`.

One YAML document describes one base and its arms; an arm is a mapping of overrides.
`load_experiment` reads and checks all of it before anything runs; `Experiment.runs()` gives one
fully resolved `RunConfig` per arm and seed. Nothing here imports torch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from awry.errors import UserError
from awry.experiments.document import Fault, Where, dotted, explain, present, read_yaml
from awry.experiments.faults import settle
from awry.experiments.placebos import placebo_override, with_placebos
from awry.experiments.sections import (
    Adapter,
    DirectionConfig,
    FullAdapter,
    GatesConfig,
    GuardsConfig,
    LoopholeConfig,
    LoraAdapter,
    ModelConfig,
    ProbeConfig,
    ProblemsConfig,
    ProjectionConfig,
    SandboxConfig,
    Section,
    Sections,
    SingularValuesAdapter,
    TeacherConfig,
    Text,
    TrainingConfig,
    Whole,
)

__all__ = [
    "Adapter",
    "DirectionConfig",
    "Experiment",
    "FullAdapter",
    "GatesConfig",
    "GuardsConfig",
    "LoopholeConfig",
    "LoraAdapter",
    "ModelConfig",
    "ProbeConfig",
    "ProblemsConfig",
    "ProjectionConfig",
    "RunConfig",
    "SandboxConfig",
    "Section",
    "Sections",
    "SingularValuesAdapter",
    "TeacherConfig",
    "TrainingConfig",
    "canonical_json",
    "experiment",
    "load_experiment",
    "merge",
]

LONGEST_NAME = 64
NAME = re.compile(rf"[a-z0-9_-]{{1,{LONGEST_NAME}}}")


class RunConfig(Sections):
    """One arm with one seed, every default written out."""

    name: str
    arm: str
    seed: Whole

    def canonical_json(self) -> str:
        """One text per meaning: sorted keys, no blanks, defaults included."""
        return canonical_json(self.model_dump(mode="json"))


class _Document(Sections):
    """The file's top level, before its arms are resolved."""

    name: Text = Field(description="Name of the experiment: [a-z0-9_-].")
    question: str = Field(default="", description="The question it answers, in one sentence.")
    seeds: Annotated[tuple[Annotated[Whole, Field(ge=0)], ...], Field(min_length=1)] = Field(
        default=(0,), description="Every arm runs once per seed."
    )
    without_placebos: tuple[Literal["random", "shuffled"], ...] = Field(
        default=(), description="Kinds of placebo arms that are not added."
    )
    gates: GatesConfig | None = Field(
        default=None, description="What must hold before training; null for preflight's own checks."
    )
    arms: dict[str, Any] = Field(description="Arm name -> overrides of the base.")


class Experiment(Section):
    """A checked experiment: `arms` are resolved, `overrides` are the arms as written. Both include
    the placebos that were added; `added` has (arm, kind) for each of these.
    """

    name: str
    question: str
    seeds: tuple[int, ...]
    base: Sections
    arms: dict[str, Sections]
    overrides: dict[str, dict[str, Any]]
    without_placebos: tuple[str, ...] = ()
    added: dict[str, tuple[str, str]] = Field(default_factory=dict)
    gates: GatesConfig | None = None
    file: Path | None = None

    def with_seeds(self, count: int) -> Experiment:
        """The same experiment with `count` seeds: those listed, then the smallest others."""
        others = (s for s in range(len(self.seeds) + count) if s not in self.seeds)
        seeds = list(self.seeds)
        while len(seeds) < count:
            seeds.append(next(others))
        return self.model_copy(update={"seeds": tuple(seeds)})

    def runs(self) -> tuple[RunConfig, ...]:
        """One configuration per arm and seed; arms in the file's order, seeds within an arm."""
        return tuple(
            RunConfig(name=self.name, arm=arm, seed=seed, **dict(sections))
            for arm, sections in self.arms.items()
            for seed in self.seeds
        )


def canonical_json(value: object) -> str:
    """JSON with sorted keys and no blanks; refuses NaN."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def load_experiment(path: str | Path) -> Experiment:
    """Read and check an experiment file. Raises UserError that lists everything wrong in it."""
    file = Path(path)
    return experiment(read_yaml(file), file)


def experiment(document: Mapping[str, Any], file: Path | None = None) -> Experiment:
    """Check a document; relative paths in it start at the file's folder. Raises UserError."""
    try:
        read = _Document.model_validate(dict(document))
    except ValidationError as error:
        raise _user_error(explain(error, _Document, document), file) from None
    base = Sections(**{name: getattr(read, name) for name in Sections.model_fields})
    faults = list(_naming_faults(read))
    arms: dict[str, Sections] = {}
    added: dict[str, tuple[str, str]] = {}
    for arm, override in read.arms.items():
        resolved, wrong = _resolve(base, arm, {} if override is None else override, file)
        faults += wrong
        if resolved is not None:
            arms[arm] = resolved
    if len(arms) == len(read.arms):  # else a placebo that is there could seem to be missing
        arms, added, wrong = with_placebos(arms, read.without_placebos, LONGEST_NAME)
        faults += wrong
    gates, wrong = _gates(read.gates, file)
    faults += [*wrong, *_mixture_faults(arms)]
    unique = {(fault.path, fault.message): fault for fault in faults}
    if unique:
        raise _user_error(list(unique.values()), file)
    overrides = {arm: dict(override or {}) for arm, override in read.arms.items()}
    for name, (arm, kind) in added.items():
        overrides[name] = placebo_override(overrides[arm], kind)
    return Experiment(
        name=read.name,
        question=read.question,
        seeds=read.seeds,
        base=base,
        arms=arms,
        overrides=overrides,
        without_placebos=read.without_placebos,
        added=added,
        gates=gates,
        file=file,
    )


def _gates(
    written: GatesConfig | None, file: Path | None
) -> tuple[GatesConfig | None, list[Fault]]:
    """With the evaluation's folder found, which is looked for beside the file."""
    if written is None:
        return None, []
    folder = (file.parent if file else Path()) / Path(written.evaluation).expanduser()
    if any(folder.rglob("metrics.json")):
        return written.model_copy(update={"evaluation": str(folder)}), []
    fix = f"write one with: awry evaluate MODEL --suite all (looked for at {folder})"
    where = ("gates", "evaluation")
    return written, [Fault(where, "no evaluation there", written.evaluation, fix)]


def merge(base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """Mapping into mapping; anything else replaces. A mapping of another `kind` replaces too."""
    merged = dict(base)
    for key, value in override.items():
        old = merged.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            same_kind = value.get("kind", old.get("kind")) == old.get("kind")
            merged[key] = merge(old, value) if same_kind else value
        else:
            merged[key] = value
    return merged


def _resolve(
    base: Sections, arm: str, override: object, file: Path | None
) -> tuple[Sections | None, list[Fault]]:
    at: Where = ("arms", arm)
    if not isinstance(override, Mapping):
        message = "must be a mapping of overrides"
        return None, [Fault(at, message, override, "write `{}` for an arm without overrides")]
    merged = merge(base.model_dump(mode="json"), override)
    try:
        resolved, wrong = Sections.model_validate(merged), []
    except ValidationError as error:
        resolved, wrong = None, explain(error, Sections, merged)
    if resolved is not None:
        resolved, wrong = settle(resolved, override, file)
    if resolved is not None and resolved.probe is not None and resolved.probe.loophole is None:
        probe = resolved.probe.model_copy(update={"loophole": base.loophole})
        resolved = resolved.model_copy(update={"probe": probe})

    def place(fault: Fault) -> Fault:
        written = present(override, fault.path) or fault.path[0] not in Sections.model_fields
        missing = fault.message.startswith("required") and present(override, fault.path[:-1])
        path = (*at, *fault.path) if written or missing else fault.path
        return Fault(path, fault.message, fault.value, fault.fix)

    return resolved, [place(fault) for fault in wrong]


def _naming_faults(read: _Document) -> Iterator[Fault]:
    allowed = "use a-z, 0-9, _ and -, at most 64 of them"
    if not NAME.fullmatch(read.name):
        yield Fault(("name",), "not a usable name", read.name, allowed)
    if not read.arms:
        yield Fault(("arms",), "has no arm", "{}", "add one, such as `vanilla: {}`")
    for arm in read.arms:
        if not NAME.fullmatch(arm):
            yield Fault(("arms", arm), "not a usable arm name", arm, allowed)
    for seed in sorted({s for s in read.seeds if read.seeds.count(s) > 1}):
        yield Fault(("seeds",), f"seed {seed} appears twice", list(read.seeds), "list each once")


def _mixture_faults(arms: Mapping[str, Sections]) -> Iterator[Fault]:
    """All arms are probed alike, so their problems are of one kind."""
    from awry.tasks.kinds import source_kind

    kinds = {arm: source_kind(sections.problems.source) for arm, sections in arms.items()}
    first = next(iter(kinds.values()), None)
    for arm, kind in kinds.items():
        if kind != first:
            yield Fault(
                ("arms", arm, "problems", "source"),
                f"{kind} problems, where the first arm has {first} ones",
                arms[arm].problems.source,
                "put them into an experiment of their own",
            )


def _user_error(faults: list[Fault], file: Path | None) -> UserError:
    errors = [
        UserError(f.message, field=dotted(f.path), value=f.value, fix=f.fix, file=file)
        for f in faults
    ]
    first, *rest = errors
    first.also = tuple(rest)
    return first
