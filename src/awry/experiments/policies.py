"""Policies by any name a user has for them: a model, an adapter, a run, one of its checkpoints."""

from __future__ import annotations

import hashlib
import json
import warnings
from dataclasses import replace
from pathlib import Path

from awry.errors import UserError
from awry.experiments.spec import RunConfig
from awry.files import file_sha256, read_json, writing
from awry.generation.subject import Kind, Origin, Subject
from awry.models import Policy, load_policy, model_digest, quiet
from awry.tasks.measure import open_engine
from awry.training import checkpoint
from awry.training.loop import open_policy

MANIFEST, ADAPTER = "manifest.json", "adapter_config.json"


def kind_of(name: str) -> Kind:
    """What a name stands for, from the files there."""
    folder = Path(name)
    if (folder / MANIFEST).is_file():
        return "run"
    if (folder / "trained.safetensors").is_file() and _run_of(folder) is not None:
        return "checkpoint"
    return "adapter" if (folder / ADAPTER).is_file() else "model"


def expand(name: str) -> list[str]:
    """What a name stands for: itself, or for an experiment's directory the directories of its runs.

    Runs without a checkpoint are left out. Raises UserError when none has any.
    """
    home = Path(name)
    record = read_json(home / "experiment.json")
    if record is None or kind_of(name) != "model":
        return [name]
    runs = [home.parent / run["dir"] for run in record["runs"] if run["dir"]]
    found = [str(run) for run in runs if checkpoint.newest(run / "checkpoints") is not None]
    if not found:
        raise UserError(
            "no run of this experiment has a checkpoint yet",
            field="policy",
            value=name,
            fix="run it first: awry run FILE",
        )
    return found


def open_subject(name: str, dtype: str = "auto") -> Subject:
    """A policy ready to be sampled. Raises UserError for what cannot be loaded or sampled.

    name: a model (name, folder, hub id), a folder that PEFT's `save_pretrained` wrote, a run's
    directory (its last checkpoint), or a checkpoint's folder in it. A run has its own dtype.
    """
    kind = kind_of(name)
    if kind == "run":
        last = checkpoint.newest(Path(name) / "checkpoints")
        if last is None:
            raise UserError(
                "this run has no checkpoint yet",
                field="policy",
                value=name,
                fix="let it finish a step",
            )
        return _of_run(name, Path(name), last, kind, dtype)
    if kind == "checkpoint":
        run = _run_of(Path(name))
        assert run is not None  # kind_of has seen it
        return _of_run(name, run, Path(name), kind, dtype)
    if kind == "adapter":
        return _adapted(name, dtype)
    policy = load_policy(name, dtype)
    return Subject(name, policy, open_engine(policy))


def save_merged(name: str, out: Path) -> str:
    """Write a run's policy (its last checkpoint, or the one named) as a plain model folder, the
    adapter merged in float32; the digest of its weights. Raises UserError for anything else, and
    for a folder that is not empty.
    """
    kind = kind_of(name)
    folder = checkpoint.newest(Path(name) / "checkpoints") if kind == "run" else Path(name)
    run = Path(name) if kind == "run" else _run_of(Path(name))
    if kind not in ("run", "checkpoint") or folder is None or run is None:
        raise UserError(
            "not a run with a checkpoint",
            field="policy",
            value=name,
            fix="give a run's directory, one of its checkpoints, or an experiment of one run",
        )
    if out.exists() and any(out.iterdir()):
        raise UserError("this folder is not empty", field="OUT", value=out, fix="give a new one")
    config = RunConfig.model_validate(json.loads((run / MANIFEST).read_text())["config"])
    model = config.model.model_copy(update={"dtype": "float32"})
    policy, adapter, _ = open_policy(config.model_copy(update={"model": model}))
    checkpoint.load_weights(folder, adapter)
    with quiet(), writing(out):
        plain = policy.model if adapter.peft is None else adapter.peft.merge_and_unload()
        plain.save_pretrained(out)  # pyright: ignore[reportCallIssue]
        policy.tokenizer.save_pretrained(out)
    return model_digest(str(out))


def _run_of(checkpoint_folder: Path) -> Path | None:
    """RUN for RUN/checkpoints/step_000010."""
    run = checkpoint_folder.resolve().parent.parent
    return run if (run / MANIFEST).is_file() else None


def _of_run(name: str, run: Path, folder: Path, kind: Kind, dtype: str) -> Subject:
    config = RunConfig.model_validate(json.loads((run / MANIFEST).read_text())["config"])
    if dtype not in ("auto", config.model.dtype):
        config = config.model_copy(
            update={"model": config.model.model_copy(update={"dtype": dtype})}
        )
    policy, adapter, engine = open_policy(config)
    checkpoint.load_weights(folder, adapter)
    state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    origin = Origin(config.name, config.arm, config.seed, int(state["progress"]["step"]), str(run))
    return Subject(name, policy, engine, state["digests"]["trained.safetensors"], kind, origin)


def _adapted(name: str, dtype: str) -> Subject:
    """A base model with the adapter beside it, not merged: a merge would round small updates."""
    from peft import PeftModel
    from torch import nn

    from awry.gradients import singular  # makes PEFT know our adapters

    del singular
    folder = Path(name)
    base = (read_json(folder / ADAPTER) or {}).get("base_model_name_or_path")
    if not base:
        raise UserError(
            "this adapter does not say of which model it is",
            field="policy",
            value=name,
            file=folder / ADAPTER,
            fix="set base_model_name_or_path to a model's name or folder",
        )
    policy = load_policy(base, dtype)
    if (folder / "tokenizer_config.json").is_file():
        _same_tokenizer(policy, folder)
    try:
        with quiet(), warnings.catch_warnings():
            # PEFT 0.21 asks transformers 5.23 for an attribute by its old name
            warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")
            wrapped = PeftModel.from_pretrained(policy.model, name)
    except Exception as error:  # PEFT and safetensors raise many kinds for one cause
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"this adapter cannot be put on {base}: {first[:300]}",
            field="policy",
            value=name,
            fix="give a folder that save_pretrained wrote for this base model",
        ) from error
    wrapped.eval().requires_grad_(False)
    policy = replace(policy, model=wrapped.get_base_model())
    if type(policy.model.get_output_embeddings()) is not nn.Linear:
        raise UserError(
            "this adapter changes the output layer, which our sampler computes by itself",
            field="policy",
            value=name,
            fix="merge it into a full checkpoint, or train one without lm_head",
        )
    return Subject(name, policy, open_engine(policy), _files_digest(folder), "adapter")


def _same_tokenizer(policy: Policy, folder: Path) -> None:
    """Refuse an adapter that was trained under another template than its base would be asked with."""
    from transformers import AutoTokenizer

    with quiet():
        own = AutoTokenizer.from_pretrained(folder)
    for what, mine, theirs in (
        ("chat template", own.chat_template, policy.tokenizer.chat_template),
        ("vocabulary", own.get_vocab(), policy.tokenizer.get_vocab()),
    ):
        if mine and mine != theirs:
            raise UserError(
                f"the {what} saved with this adapter is not that of its base, {policy.name}",
                field="policy",
                value=folder,
                fix="merge it into a full checkpoint with its tokenizer, or remove the tokenizer's "
                "files from its folder to ask it as its base is asked",
            )


def _files_digest(folder: Path) -> str:
    """sha256 over an adapter's weights and the settings that say how they act."""
    settings = read_json(folder / ADAPTER) or {}
    for key in ("base_model_name_or_path", "revision", "inference_mode", "peft_version"):
        settings.pop(key, None)  # the base has its own digest
    total = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for file in sorted([*folder.glob("*.safetensors"), *folder.glob("*.bin")]):
        total.update(f"{file.name}:{file_sha256(file)}\n".encode())
    return total.hexdigest()
