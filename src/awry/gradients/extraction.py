"""From pairs to directions on a policy, and how well they tell hack from honest on held-out pairs.

A pair's difference g_hack - g_honest is the gradient of NLL_hack - NLL_honest, so both completions
share one computed prompt and several pairs share one backward. Held-out completions go through one
by one (each with its own prompt): there every completion's own gradient is wanted.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from awry.errors import UserError
from awry.files import atomic_write_json
from awry.gradients.adapters import Adapter
from awry.gradients.directions import (
    Direction,
    Method,
    auroc,
    check_fits,
    extract,
    load_direction,
    random_direction,
    save_direction,
    shuffled,
)
from awry.gradients.per_sample import Components, Gradients, Recorder, alignment, module_cosines
from awry.models import Policy
from awry.progress import Progress, Silent
from awry.tasks.pairs import Pair, load_benign_pairs, load_pairs, pairs_digest
from awry.training.logprobs import batches, packed_logprobs

if TYPE_CHECKING:
    from awry.experiments.spec import DirectionConfig, RunConfig

DRAWS = 20  # random directions that the extracted one is compared with

Completion = tuple[tuple[int, ...], tuple[int, ...]]  # token ids of prompt and completion


@dataclass(frozen=True)
class Options:
    """What an extraction depends on besides policy and pairs."""

    top_k: int = 3
    noise_floor: float = 0.1
    drop_quantile: float = 0.25
    method: Method = "svd"

    @classmethod
    def of(cls, config: DirectionConfig) -> Options:
        return cls(config.top_k, config.noise_floor, config.drop_quantile, config.method)


def encode(policy: Policy, pair: Pair) -> tuple[Completion, Completion]:
    """(hack, honest), each with the policy's end token, as rollouts are."""
    prompt = tuple(policy.encode(policy.render(pair.messages)))
    end = int(policy.tokenizer.eos_token_id)  # pyright: ignore[reportArgumentType]
    hack, honest = ((*policy.encode(text), end) for text in (pair.hack, pair.honest))
    return (prompt, hack), (prompt, honest)


def pair_differences(
    adapter: Adapter, pairs: Sequence[Pair], *, told: Callable[[int], None] = lambda done: None
) -> dict[str, Tensor]:
    """g_hack - g_honest of every pair: module -> D [pairs, coordinates], fp32.

    g are gradients of the mean token NLL (nats per token) at the policy as it is now; parameters
    and their .grad stay as they are. told(pairs done) is called as it goes.
    """
    coded = [encode(adapter.policy, pair) for pair in pairs]
    sizes = [len(hack[0]) + len(hack[1]) + len(honest[1]) for hack, honest in coded]
    sink = Gradients()
    done = 0
    for chosen in batches(sizes):
        groups = [(coded[i][0][0], [coded[i][0][1], coded[i][1][1]]) for i in chosen]
        signs = [sign for _ in chosen for sign in (1.0, -1.0)]
        _backward(adapter, groups, signs, [sizes[i] for i in chosen], sink)
        done += len(chosen)
        told(done)
    found = sink.table()  # as a backward comes by: the last layer first
    return {name: found[name] for name in adapter.modules if name in found}


def completion_components(
    adapter: Adapter, completions: Sequence[Completion], axes: Mapping[str, Tensor]
) -> Components:
    """Components of every completion's own NLL gradient along axes (module -> V [k, coordinates])."""
    sink = Components(axes)
    sizes = [len(prompt) + len(ids) for prompt, ids in completions]
    for chosen in batches(sizes):
        groups = [(completions[i][0], [completions[i][1]]) for i in chosen]
        _backward(adapter, groups, [1.0] * len(chosen), [sizes[i] for i in chosen], sink)
    return sink


def _backward(
    adapter: Adapter,
    groups: list[tuple[tuple[int, ...], list[tuple[int, ...]]]],
    signs: list[float],
    lengths: list[int],
    sink: Callable[[str, Tensor], None],
) -> None:
    """One backward of sum of sign * mean token NLL; `lengths` are the tokens of each sample."""
    before = {n: p.grad for n, p in adapter.parameters.items()}
    for parameter in adapter.parameters.values():
        parameter.grad = None  # a backward adds to what is there, in place
    recorder = Recorder(sink)
    with adapter.recording(recorder), torch.enable_grad():
        logprobs = packed_logprobs(adapter.policy.model, groups, temperature=1.0)
        counts = [len(ids) for _, completions in groups for ids in completions]
        scale = torch.cat(
            [logprobs.new_full((n,), -sign / n) for n, sign in zip(counts, signs, strict=True)]
        )
        recorder.start(lengths, torch.zeros(len(lengths)))
        torch.autograd.backward(logprobs, scale)
    for name, parameter in adapter.parameters.items():
        parameter.grad = before[name]


class Extractor:
    """Makes directions of every kind from a policy's pairs; also while it trains (`refresh_every`)."""

    def __init__(
        self, adapter: Adapter, pairs: Sequence[Pair], benign: Sequence[Pair], options: Options
    ) -> None:
        if adapter.basis_digest is None:
            raise UserError(
                "training all weights has no adapter coordinates for a direction",
                field="model.adapter.kind",
                value=adapter.kind,
                fix="use kind: singular_values or lora",
            )
        self.adapter, self.options = adapter, options
        self.pairs = {name: _of_split(pairs, name) for name in ("extraction", "heldout")}
        self.benign = _of_split(benign, "extraction")
        self.digest = pairs_digest(pairs)
        self.benign_digest = pairs_digest(benign)

    def make(self, kind: str, *, seed: int = 0) -> Direction:
        """An extracted, shuffled or benign direction from the policy as it is now. (Random ones need
        no pairs: `random_direction`.)"""
        if kind == "random":
            raise ValueError("a random direction is drawn, not extracted")
        pairs = self.benign if kind == "benign" else self.pairs["extraction"]
        return self._from(pair_differences(self.adapter, pairs), kind, seed)

    def all(
        self, *, seed: int = 0, told: Callable[[int], None] = lambda done: None
    ) -> dict[str, Direction]:
        """extracted, shuffled and benign, each pair computed once."""
        differences = pair_differences(self.adapter, self.pairs["extraction"], told=told)
        made = {kind: self._from(differences, kind, seed) for kind in ("extracted", "shuffled")}
        base = len(self.pairs["extraction"])
        benign = pair_differences(self.adapter, self.benign, told=lambda n: told(base + n))
        return made | {"benign": self._from(benign, "benign", seed)}

    def _from(self, differences: Mapping[str, Tensor], kind: str, seed: int) -> Direction:
        options: dict[str, Any] = {
            "top_k": self.options.top_k,
            "noise_floor": self.options.noise_floor,
            "drop_quantile": self.options.drop_quantile,
            "method": self.options.method,
            "adapter_kind": self.adapter.kind,
            "basis_digest": self.adapter.basis_digest,
            "model_digest": self.adapter.policy.digests.weights,
            "pairs_digest": self.benign_digest if kind == "benign" else self.digest,
        }
        if kind == "shuffled":
            return shuffled(differences, seed=seed, **options)
        return extract(differences, kind=kind, **options)


def _of_split(pairs: Sequence[Pair], split: str) -> tuple[Pair, ...]:
    chosen = tuple(pair for pair in pairs if pair.split == split)
    if not chosen:
        raise UserError(
            f"no pair is in the {split} split, so nothing could be checked on pairs not used"
            if split == "heldout"
            else "no pair is in the extraction split",
            field="direction.pairs",
            fix=f'give some pairs `split = "{split}"`, by problem',
        )
    return chosen


def verify(
    adapter: Adapter, directions: Mapping[str, Direction], heldout: Sequence[Pair]
) -> dict[str, Any]:
    """How directions order held-out completions: the document of verification.json.

    directions: name -> direction, `extracted` among them; random draws are added here.
    """
    main = directions["extracted"]
    draws = [random_direction(main, seed) for seed in range(DRAWS)]
    tried = [(name, d) for name, d in directions.items()] + [("random", d) for d in draws]
    names = [name for name in adapter.modules if any(name in d.axes for _, d in tried)]
    axes = {name: torch.cat([d.axes[name] for _, d in tried if name in d.axes]) for name in names}
    coded = [encode(adapter.policy, pair) for pair in heldout]
    completions = [pair[side] for side in (0, 1) for pair in coded]  # all hacks, then all honest
    seen = completion_components(adapter, completions, axes)
    squares = dict(zip(names, seen.squares().T, strict=True))
    where = dict.fromkeys(names, 0)
    rows: list[dict[str, Any]] = []
    scores: dict[str, dict[str, list[float]]] = {}
    agreement = 0.0
    n = len(heldout)
    for kind, direction in tried:
        dots, lengths, energies, votes = [], [], [], []
        for name, v in direction.axes.items():
            part = seen.along(name)[:, where[name] : where[name] + len(v)]
            where[name] += len(v)
            dots.append(part @ direction.weights(name))
            lengths.append(squares[name])
            energies.append(part.clamp(min=0).norm(dim=1) / squares[name].sqrt().clamp(min=1e-30))
            gap = (part[:n] - part[n:]) @ direction.weights(name)
            votes.append((gap > 0).float())
        dot, square = torch.stack(dots, 1), torch.stack(lengths, 1)
        cosine = module_cosines(dot, square).mean(1)
        aligned = alignment(dot, square)
        if direction is main:
            agreement = float(torch.cat(votes).mean())
        scores.setdefault(kind, {"hack": cosine[:n].tolist(), "honest": cosine[n:].tolist()})
        rows.append(
            {
                "direction": kind,
                "auroc_cosine": auroc(cosine[:n], cosine[n:]),
                "auroc_alignment": auroc(aligned[:n], aligned[n:]),
                "cosine_hack": float(cosine[:n].mean()),
                "cosine_honest": float(cosine[n:].mean()),
                "energy_in": float(torch.stack(energies).mean()),
                "auroc_spread": None,
            }
        )
    return {
        "adapter_kind": main.adapter_kind,
        "basis_digest": main.basis_digest,
        "pairs_digest": main.pairs_digest,
        "top_k": main.top_k,
        "modules": len(main.axes),
        "modules_dropped": main.stats.get("modules_dropped"),
        "pairs_extraction": main.stats.get("pairs"),
        "pairs_heldout": n,
        "energy": main.stats.get("energy"),
        "sign_agreement": agreement,
        "null_energy": main.null_share(),
        "rows": _pooled(rows),
        "scores": scores,
    }


def _pooled(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The random draws as one row of means, with the spread of their AUROC."""
    drawn = [row for row in rows if row["direction"] == "random"]
    spread = [row["auroc_cosine"] for row in drawn]
    pooled = {
        key: sum(row[key] for row in drawn) / len(drawn)
        for key in drawn[0]
        if key not in ("direction", "auroc_spread")
    }
    pooled |= {"direction": "random", "auroc_spread": [min(spread), max(spread)]}
    return [*(row for row in rows if row["direction"] != "random"), pooled]


def extract_to(
    adapter: Adapter,
    pairs: Sequence[Pair],
    benign: Sequence[Pair],
    options: Options,
    directory: Path,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Extract, verify on held-out pairs, write directions and verification.json; the latter."""
    progress = progress or Silent()
    start = time.monotonic()
    extractor = Extractor(adapter, pairs, benign, options)
    total = len(extractor.pairs["extraction"]) + len(extractor.benign)
    told = _teller(progress, total)
    made = extractor.all(seed=seed, told=told)
    heldout = extractor.pairs["heldout"]
    progress.note(f"direction: verifying on {len(heldout)} held-out pairs")
    document = verify(adapter, made, heldout)
    document["seconds"] = round(time.monotonic() - start, 1)
    for kind, direction in made.items():
        name = "direction" if kind == "extracted" else kind
        save_direction(direction, directory / f"{name}.safetensors")
    atomic_write_json(directory / "verification.json", document)
    return document


def extract_stage(
    config: RunConfig, directory: Path, *, progress: Progress | None = None
) -> dict[str, Any]:
    """The direction stage of a run's model and adapter. Raises UserError."""
    from awry.training.loop import open_policy

    assert config.direction is not None
    pairs = load_pairs(config.direction.pairs)
    _, adapter, _ = open_policy(config)
    return extract_to(
        adapter,
        pairs,
        load_benign_pairs(),
        Options.of(config.direction),
        directory,
        seed=config.seed if adapter.kind == "lora" else 0,
        progress=progress,
    )


def verify_file(
    file: Path, adapter: Adapter, pairs: Sequence[Pair], *, progress: Progress | None = None
) -> dict[str, Any]:
    """Verify a saved direction on held-out pairs, beside fresh random draws. Raises UserError."""
    direction = load_direction(file)
    check_fits(direction, adapter.kind, adapter.basis_digest)
    start = time.monotonic()
    heldout = _of_split(pairs, "heldout")
    (progress or Silent()).note(f"direction: verifying on {len(heldout)} held-out pairs")
    document = verify(adapter, {"extracted": direction}, heldout)
    return document | {"seconds": round(time.monotonic() - start, 1)}


def _teller(progress: Progress, total: int) -> Callable[[int], None]:
    """A note about every fifth of the way."""
    state = {"last": 0, "start": time.monotonic()}

    def told(done: int) -> None:
        if done == total or done - state["last"] >= total / 5:
            state["last"] = done
            spent = time.monotonic() - state["start"]
            left = spent / done * (total - done)
            progress.note(f"direction: {done} of {total} pairs, {left:.0f} s left")

    return told


def read_verification(directory: Path) -> dict[str, Any]:
    """verification.json of a direction stage. Raises UserError."""
    file = directory / "verification.json"
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"the direction's verification cannot be read: {error}",
            field="direction",
            fix="delete the folder; the direction is then extracted again",
            file=file,
        ) from error
