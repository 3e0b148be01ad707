"""What one field of an experiment cannot tell alone: registries, files, agreement of two fields."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from awry.errors import nearest, spelling_fix
from awry.experiments.document import Fault, Where, present

if TYPE_CHECKING:
    from awry.experiments.spec import Sections
    from awry.tasks.kinds import Kind

NAMED_MODELS = ("embedded", "tiny-random")


def settle(
    sections: Sections, override: Mapping[str, Any], file: Path | None
) -> tuple[Sections, list[Fault]]:
    """Check what one field alone cannot tell, and make paths absolute."""
    from awry.tasks.kinds import NAMED_SOURCES, source_kind

    folder = (file.parent if file else Path()).absolute()
    model, no_model = _model_path(sections.model.path, folder)
    source, no_source = _data_file(
        ("problems", "source"), sections.problems.source, [*NAMED_SOURCES], folder, "curation.json"
    )
    faults = [fault for fault in (no_model, no_source) if fault]
    update: dict[str, Any] = {
        "model": sections.model.model_copy(update={"path": model}),
        "problems": sections.problems.model_copy(update={"source": source}),
    }
    if sections.teacher:
        pool, fault = _data_file(("teacher", "pool"), sections.teacher.pool, ["builtin"], folder)
        faults += [fault] if fault else []
        update["teacher"] = sections.teacher.model_copy(update={"pool": pool})
    if sections.direction:
        pairs, fault = _data_file(
            ("direction", "pairs"), sections.direction.pairs, ["builtin"], folder
        )
        faults += [fault] if fault else []
        update["direction"] = sections.direction.model_copy(update={"pairs": pairs})
    faults += [
        *_registry_faults(sections, None if no_source else source_kind(source)),
        *_cross_faults(sections, override),
        *_direction_faults(sections, override),
    ]
    return sections.model_copy(update=update), faults


def _registry_faults(sections: Sections, kind: Kind | None) -> Iterator[Fault]:
    """Names that no registry has, or one of another kind of problems; kind None: not known."""
    from awry.rewards import CONDITIONS, KINDS
    from awry.tasks.kinds import LOOPHOLES_OF

    every = [name for names in LOOPHOLES_OF.values() for name in names]
    known = LOOPHOLES_OF[kind] if kind else every
    loopholes: dict[Where, str] = {("loophole", "name"): sections.loophole.name}
    if sections.probe and sections.probe.loophole:
        loopholes["probe", "loophole", "name"] = sections.probe.loophole.name
    for where, name in loopholes.items():
        if name not in known:
            told = f"not a loophole of {kind} problems" if name in every else "no such loophole"
            yield Fault(where, told, name, spelling_fix(name, known))
    reward = sections.reward
    if reward not in CONDITIONS:
        fix = spelling_fix(reward, [*CONDITIONS])
        yield Fault(("reward",), "no such reward condition", reward, fix)
    elif kind and KINDS.get(reward, kind) != kind:
        fix = "use " + ", ".join(n for n in CONDITIONS if KINDS.get(n, kind) == kind)
        yield Fault(("reward",), f"not a reward of {kind} problems", reward, fix)


def _cross_faults(sections: Sections, override: Mapping[str, Any]) -> Iterator[Fault]:
    """Faults between fields, told at the field that the arm overrides, else at the first."""
    at = partial(_place, override)
    training, teacher, problems = sections.training, sections.teacher, sections.problems
    if teacher:
        share, size = teacher.share, training.group_size
        count = share * size
        # 0.1667 of 6 counts as one: six digits of a third are a fair way to write it
        if abs(count - round(count)) > 1e-3 or not 1 <= round(count) < size:
            choices = ", ".join(f"{k / size:.4g}" for k in range(1, min(size, 9)))
            yield Fault(
                at(("teacher", "share"), ("training", "group_size")),
                f"share * group_size is {count:.6g}; it must be a whole number of completions, at "
                f"least 1 and less than {size}",
                f"share {share:g}, group_size {size}",
                f"shares that fit a group of {size}: {choices}",
            )
        if sections.loophole.name == "none":
            yield Fault(
                at(("loophole", "name"), ("teacher",)),
                "a teacher of hacks needs a loophole",
                f"loophole.name none, teacher.pool {teacher.pool}",
                "write `teacher: null` beside `loophole: {name: none}`",
            )
        if teacher.ratio == "pool" and teacher.pool == "builtin":
            yield Fault(
                at(("teacher", "ratio"), ("teacher", "pool")),
                "the builtin pool is authored and has no log-probabilities",
                "pool",
                "use `ratio: detached`, or a pool recorded from a policy",
            )
    if teacher and training.method == "supervised":
        yield Fault(
            at(("training", "method"), ("teacher",)),
            "a teacher's samples belong to groups that a reward compares",
            "supervised",
            "write `teacher: null`, or `method: grpo`",
        )
    if training.keep_every and training.keep_every % training.checkpoint_every:
        yield Fault(
            at(("training", "keep_every"), ("training", "checkpoint_every")),
            "only checkpoints that are written can be kept: give a multiple of checkpoint_every",
            f"keep_every {training.keep_every}, checkpoint_every {training.checkpoint_every}",
            f"keep_every: {-(-training.keep_every // training.checkpoint_every) * training.checkpoint_every}",
        )
    if training.warmup > training.steps:
        yield Fault(
            at(("training", "warmup"), ("training", "steps")),
            "the warm-up is longer than the run",
            f"warmup {training.warmup}, steps {training.steps}",
            f"at most {training.steps}",
        )
    if problems.ids and len(set(problems.ids)) < len(problems.ids):
        twice = sorted({i for i in problems.ids if problems.ids.count(i) > 1})
        yield Fault(("problems", "ids"), "an id appears twice", twice[0], "list each once")
    sizes = (problems.limit, len(problems.ids) if problems.ids else None)
    most = min((size for size in sizes if size is not None), default=None)
    if most is not None and training.problems_per_step > most:
        yield Fault(
            at(("training", "problems_per_step"), ("problems", "limit"), ("problems", "ids")),
            f"asks for more problems a step than there are ({most})",
            training.problems_per_step,
            f"at most {most}",
        )


def _direction_faults(sections: Sections, override: Mapping[str, Any]) -> Iterator[Fault]:
    """Faults between the direction, what is done with it, and the adapter it lives in."""
    at = partial(_place, override)
    direction, intervention = sections.direction, sections.intervention
    adapter = sections.model.adapter
    if intervention and not direction:
        yield Fault(
            at(("intervention",), ("direction",)),
            "an intervention needs a direction",
            "direction: null",
            "add `direction: {pairs: builtin, top_k: 3}`, or write `intervention: null`",
        )
    if not direction:
        return
    if adapter.kind == "full":
        yield Fault(
            at(("model", "adapter", "kind"), ("model", "adapter"), ("direction",)),
            "a direction lives in the coordinates of an adapter, and all weights are trained here",
            "full",
            "use `adapter: {kind: singular_values}` or `kind: lora`, or write `direction: null`",
        )
    if adapter.kind == "singular_values" and adapter.r and direction.top_k > adapter.r:
        yield Fault(
            at(("direction", "top_k"), ("model", "adapter", "r"), ("direction",)),
            f"more axes than the adapter has coordinates in a module ({adapter.r})",
            direction.top_k,
            f"at most {adapter.r}, or a larger model.adapter.r",
        )
    axes = direction.top_k if direction.method == "svd" else 1
    if intervention and intervention.top_k and intervention.top_k > axes:
        yield Fault(
            at(
                ("intervention", "top_k"),
                ("direction", "method"),
                ("direction", "top_k"),
                ("intervention",),
            ),
            f"more axes than the direction has ({axes}, by method {direction.method})",
            intervention.top_k,
            f"at most {axes}" + (", or a larger direction.top_k" if axes > 1 else ""),
        )


def _place(override: Mapping[str, Any], *paths: Where) -> Where:
    """The first of these that the arm overrides, else the first."""
    return next((path for path in paths if present(override, path)), paths[0])


def _model_path(written: str, folder: Path) -> tuple[str, Fault | None]:
    where: Where = ("model", "path")
    if written in NAMED_MODELS:
        return written, None
    local = folder / Path(written).expanduser()
    if local.is_dir():
        return str(local), None
    if not written.startswith((".", "/", "~")) and re.fullmatch(r"[\w.-]+/[\w.-]+", written):
        return written, None
    close, named = nearest(written, NAMED_MODELS), ", ".join(NAMED_MODELS)
    fix = (f"did you mean `{close}`? " if close else "") + (
        f"allowed: {named}, a folder (looked for at {local}), or a hub id org/name"
    )
    return written, Fault(where, "no such model", written, fix)


def _data_file(
    where: Where, written: str, named: Sequence[str], folder: Path, marker: str | None = None
) -> tuple[str, Fault | None]:
    """marker: a folder with a file of this name will do as well."""
    if written in named:
        return written, None
    path = folder / Path(written).expanduser()
    if path.is_file() or (marker and (path / marker).is_file()):
        return str(path), None
    guess, listed = nearest(written, named), ", ".join(named)
    close = f"did you mean `{guess}`? " if guess else ""
    fix = f"{close}allowed: {listed}, or a file (looked for at {path})"
    return written, Fault(where, "no such file", written, fix)
