"""The experiment file: every field, its range and its default, as frozen pydantic models.

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

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict, ValidationError

from awry.errors import UserError
from awry.experiments.document import Fault, Where, dotted, explain, present, read_yaml
from awry.experiments.faults import settle

Whole = Annotated[int, Strict()]
Count = Annotated[int, Strict(), Field(ge=1)]
Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Share = Annotated[Number, Field(ge=0.0, lt=1.0)]
Text = Annotated[str, Field(min_length=1)]

NAME = re.compile(r"[a-z0-9_-]{1,64}")


def _targets(value: object) -> object:
    if value == "all-linear":
        return value
    if isinstance(value, list | tuple) and value and all(isinstance(v, str) and v for v in value):
        return tuple(value)
    raise ValueError("must be `all-linear` or a list of module names such as [q_proj, v_proj]")


class Section(BaseModel):
    """Frozen, and refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LoraAdapter(Section):
    """Low-rank adapter (PEFT's LoRA)."""

    kind: Literal["lora"] = Field(default="lora", description="Low-rank adapter.")
    r: Annotated[Count, Field(le=4096)] = Field(default=16, description="Rank.")
    alpha: Annotated[Number, Field(gt=0)] = Field(
        default=32.0, description="Scale; the update is multiplied by alpha / r."
    )
    targets: Annotated[tuple[str, ...] | Literal["all-linear"], BeforeValidator(_targets)] = Field(
        default="all-linear",
        description="Modules that get an adapter: `all-linear` or a list of names.",
    )


class FullAdapter(Section):
    """No adapter: all weights are trained."""

    kind: Literal["full"] = Field(default="full", description="Train all weights.")


Adapter = Annotated[LoraAdapter | FullAdapter, Field(discriminator="kind")]


class ModelConfig(Section):
    """The policy."""

    path: Text = Field(
        default="embedded",
        description="`embedded` (the small chat model awry brings), `tiny-random` (random "
        "weights, for smoke runs), a folder, or a hub id such as `org/name`.",
    )
    dtype: Literal["auto", "bfloat16", "float32"] = Field(
        default="auto",
        description="Arithmetic of the model; `auto` takes bfloat16 where it is fast.",
    )
    adapter: Adapter = Field(
        default=LoraAdapter(), description="What is trained: `kind: lora` or `full`."
    )


class ProblemsConfig(Section):
    """Which problems the policy trains on."""

    source: Text = Field(
        default="catalog", description="`catalog` (built in) or a .toml or .jsonl file of problems."
    )
    tiers: (
        Annotated[tuple[Literal["solvable", "between", "unsolved"], ...], Field(min_length=1)]
        | None
    ) = Field(
        default=None,
        description="Keep only problems whose measured pass rate for this model falls in these "
        "tiers; null keeps all.",
    )
    ids: Annotated[tuple[Text, ...], Field(min_length=1)] | None = Field(
        default=None, description="Keep only these problems; null keeps all."
    )
    limit: Count | None = Field(
        default=None, description="Keep at most this many problems; null keeps all."
    )


class LoopholeConfig(Section):
    """How the reward channel can be gamed, and what the prompt says of it."""

    name: Text = Field(
        default="overwrite_tests_aware", description="A loophole of `awry.tasks.loopholes`."
    )
    names: Literal["fixed", "randomised"] = Field(
        default="fixed",
        description="Evaluator name in training prompts: always the same, or drawn per problem.",
    )


class TeacherConfig(Section):
    """A share of every group taken from stored hacking rollouts."""

    pool: Text = Field(
        default="builtin",
        description="`builtin` (authored completions) or a .jsonl file of rollouts.",
    )
    share: Annotated[Number, Field(gt=0, lt=1)] = Field(
        default=0.25, description="Share of each group; share * group_size must be a whole number."
    )
    steps: Count | None = Field(
        default=None,
        description="Mix the teacher in for this many first steps; null for all of them.",
    )
    ratio: Literal["detached", "pool"] = Field(
        default="detached",
        description="Importance ratio of teacher tokens: `detached` uses the policy's own current "
        "log-probabilities (ratio 1), `pool` those stored with the pool.",
    )


class GuardsConfig(Section):
    """When a run stops by itself. null switches a guard off."""

    non_finite: Literal["stop", "skip"] = Field(
        default="stop", description="On a NaN or infinite loss or gradient: stop, or skip the step."
    )
    reward_collapse_steps: Count | None = Field(
        default=None, description="Stop after this many steps in a row without any reward variance."
    )
    kl_max: Annotated[Number, Field(gt=0)] | None = Field(
        default=None,
        description="Stop when the divergence from the reference exceeds this (nats per token).",
    )
    degenerate_share: Annotated[Number, Field(gt=0, le=1)] | None = Field(
        default=None,
        description="Stop when this share of completions is truncated or repeats itself.",
    )
    frozen_steps: Count | None = Field(
        default=None, description="Stop after this many steps in a row in which no weight changed."
    )


class TrainingConfig(Section):
    """The optimiser's side of the run."""

    steps: Count = Field(default=20, description="Optimiser steps.")
    problems_per_step: Count = Field(default=4, description="Problems drawn for each step.")
    group_size: Annotated[Whole, Field(ge=2)] = Field(
        default=8, description="Completions per problem."
    )
    max_new_tokens: Count = Field(default=96, description="Longest completion, in tokens.")
    temperature: Annotated[Number, Field(gt=0, le=10)] = Field(
        default=0.9, description="Sampling temperature."
    )
    top_p: Annotated[Number, Field(gt=0, le=1)] = Field(
        default=1.0, description="Nucleus sampling mass."
    )
    lr: Annotated[Number, Field(gt=0, le=1)] = Field(
        default=5e-4, description="Peak learning rate."
    )
    lr_schedule: Literal["constant", "linear", "cosine"] = Field(
        default="constant", description="Learning rate after the warm-up."
    )
    warmup: Annotated[Whole, Field(ge=0)] = Field(default=0, description="Warm-up steps.")
    betas: tuple[Share, Share] = Field(default=(0.9, 0.99), description="AdamW's two decay rates.")
    weight_decay: Annotated[Number, Field(ge=0)] = Field(
        default=0.0, description="AdamW's weight decay."
    )
    max_grad_norm: Annotated[Number, Field(gt=0)] | None = Field(
        default=1.0, description="Gradients are clipped to this norm; null for no clipping."
    )
    loss: Literal["dr_grpo", "grpo"] = Field(
        default="dr_grpo",
        description="`grpo` divides advantages by the group's spread and each loss by the "
        "completion's length; `dr_grpo` does neither.",
    )
    clip: Annotated[Number, Field(gt=0, lt=1)] = Field(
        default=0.2, description="Importance ratios are clipped below 1 - clip and above 1 + clip."
    )
    clip_high: Annotated[Number, Field(gt=0)] | None = Field(
        default=None, description="Another upper clip; null for the same as `clip`."
    )
    beta: Annotated[Number, Field(ge=0)] = Field(
        default=0.0, description="Weight of the divergence from the reference in the loss."
    )
    iterations: Count = Field(
        default=1, description="Optimiser passes over each batch of completions."
    )
    zero_variance: Literal["keep", "drop", "resample"] = Field(
        default="keep",
        description="Groups in which all rewards are equal: keep, drop, or draw another.",
    )
    checkpoint_every: Count = Field(default=1, description="Steps between checkpoints.")
    guards: GuardsConfig = Field(default=GuardsConfig(), description="When a run stops by itself.")


class ProbeConfig(Section):
    """Held-out measurement, the same for every arm."""

    problems: Count = Field(default=24, description="Held-out problems, none of them trained on.")
    samples: Count = Field(default=2, description="Completions per problem.")
    every: Count = Field(
        default=10, description="Steps between probes, besides the first and last."
    )
    loophole: LoopholeConfig | None = Field(
        default=None,
        description="Loophole of the probe's prompts; null for the experiment's own, so that all "
        "arms are asked the same, also those that train without a loophole.",
    )


class Sections(Section):
    """What one run is made of; an arm may override any of it."""

    model: ModelConfig = Field(default=ModelConfig(), description="The policy.")
    problems: ProblemsConfig = Field(default=ProblemsConfig(), description="Training problems.")
    loophole: LoopholeConfig = Field(
        default=LoopholeConfig(), description="The way the reward can be gamed."
    )
    reward: Text = Field(
        default="correct_or_hinted", description="A reward condition of `awry.rewards`."
    )
    teacher: TeacherConfig | None = Field(default=None, description="Teacher pool; null for none.")
    training: TrainingConfig = Field(default=TrainingConfig(), description="The optimiser's side.")
    probe: ProbeConfig | None = Field(
        default=ProbeConfig(), description="Held-out measurement; null for none."
    )


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
    arms: dict[str, Any] = Field(description="Arm name -> overrides of the base.")


class Experiment(Section):
    """A checked experiment: `arms` are resolved, `overrides` are the arms as written."""

    name: str
    question: str
    seeds: tuple[int, ...]
    base: Sections
    arms: dict[str, Sections]
    overrides: dict[str, dict[str, Any]]
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
    for arm, override in read.arms.items():
        resolved, wrong = _resolve(base, arm, {} if override is None else override, file)
        faults += wrong
        if resolved is not None:
            arms[arm] = resolved
    unique = {(fault.path, fault.message): fault for fault in faults}
    if unique:
        raise _user_error(list(unique.values()), file)
    overrides = {arm: dict(override or {}) for arm, override in read.arms.items()}
    return Experiment(
        name=read.name,
        question=read.question,
        seeds=read.seeds,
        base=base,
        arms=arms,
        overrides=overrides,
        file=file,
    )


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


def _user_error(faults: list[Fault], file: Path | None) -> UserError:
    errors = [
        UserError(f.message, field=dotted(f.path), value=f.value, fix=f.fix, file=file)
        for f in faults
    ]
    first, *rest = errors
    first.also = tuple(rest)
    return first
