"""Directions in adapter coordinates that point toward hacking, and the nulls they must beat.

Sign: v points like g_hack - g_honest, gradients of the mean token NLL of two completions of one
prompt. A descent step along -g_hack makes that hack likelier, so a loss gradient g with <g, v> > 0
is one whose step makes hacking *more* likely; a one-sided projection removes exactly that part.

Per module, D [pairs, coordinates] holds the pairs' differences; the axes are the first right
singular vectors of D, each signed so that most pairs have a positive component. (After the v_hack of
projected_grpo; top-k, noise floor and module quantile are its own terms.) The *principal* vector,
with which signed cosines are taken, is the mean difference within these axes: on held-out pairs it
tells the classes apart better than axes weighted by their singular values, and so does method
`mean`, one axis per module, the mean of the pairs' unit differences.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from awry.errors import UserError
from awry.files import writing
from awry.generation.engine import derive

FORMAT = "awry-direction-1"
Method = Literal["svd", "mean"]
KINDS = ("extracted", "random", "shuffled", "benign")


@dataclass(frozen=True)
class Direction:
    """axes: module -> V [k, coordinates], orthonormal rows, fp32; values: their singular values [k];
    means: the mean difference's components along them [k].

    kind: extracted, or which null (`random`, `shuffled`, `benign`); the digests say of which model,
    basis and pairs it is a direction; options and stats: how it was made and what was seen.
    """

    kind: str
    adapter_kind: str
    basis_digest: str
    pairs_digest: str
    model_digest: str
    axes: dict[str, Tensor]
    values: dict[str, Tensor]
    means: dict[str, Tensor]
    options: dict[str, Any] = field(default_factory=dict)
    stats: dict[str, Any] = field(default_factory=dict)

    @property
    def top_k(self) -> int:
        return max(len(v) for v in self.axes.values())

    def weights(self, module: str) -> Tensor:
        """The principal vector in the axes' own frame: unit length [k]."""
        mean = self.means[module]
        return mean / mean.norm()

    def principal(self, module: str) -> Tensor:
        """The unit vector V^T V mean(D), normalised [coordinates], for signed cosines."""
        return self.weights(module) @ self.axes[module]

    def truncated(self, top_k: int) -> Direction:
        """With the first `top_k` axes of every module."""
        if not 1 <= top_k <= self.top_k:
            raise UserError(
                f"the direction has {self.top_k} axes",
                field="intervention.top_k",
                value=top_k,
                fix=f"use 1 to {self.top_k}, or extract with a larger direction.top_k",
            )
        return replace(
            self,
            axes={name: v[:top_k].clone() for name, v in self.axes.items()},
            values={name: s[:top_k].clone() for name, s in self.values.items()},
            means={name: m[:top_k].clone() for name, m in self.means.items()},
        )

    def null_share(self) -> float:
        """sqrt(k / r), mean over modules: what |V g| / |g| is for a gradient without structure."""
        shares = [(v.shape[0] / v.shape[1]) ** 0.5 for v in self.axes.values()]
        return sum(shares) / len(shares)


def extract(
    differences: Mapping[str, Tensor],
    *,
    top_k: int,
    noise_floor: float,
    drop_quantile: float,
    method: Method = "svd",
    kind: str = "extracted",
    **identity: str,
) -> Direction:
    """The direction of these pair differences, module -> D [pairs, coordinates].

    method: `svd`, or `mean` (one axis, whatever top_k says). noise_floor: axes with a singular value below this share of the module's first are left out.
    drop_quantile: this share of the modules, those with the smallest first singular value, is left
    out. identity: adapter_kind, basis_digest, pairs_digest, model_digest. Raises UserError when a
    gradient is not finite, everything vanishes, or top_k exceeds what pairs and rank can carry.
    """
    axes: dict[str, Tensor] = {}
    values: dict[str, Tensor] = {}
    means: dict[str, Tensor] = {}
    energy: dict[str, float] = {}
    for name, d in differences.items():
        rows, rank = d.shape
        if top_k > min(rows, rank):
            what = f"{rows} extraction pairs" if rows < rank else f"{name}, which has rank {rank}"
            raise UserError(
                f"asks for more axes than there can be: at most {min(rows, rank)} ({what})",
                field="direction.top_k",
                value=top_k,
                fix=f"use at most {min(rows, rank)}",
            )
        if not torch.isfinite(d).all():
            raise UserError(
                f"the gradient of {name} is not finite for some pair",
                field="direction.pairs",
                fix="look for a completion that the policy cannot produce, or use float32",
            )
        d = d.float()
        lengths = d.norm(dim=1, keepdim=True)
        if not lengths.any():
            continue
        if method == "mean":
            v = torch.nn.functional.normalize((d / lengths.clamp(min=1e-30)).mean(0), dim=0)[None]
            s = (d @ v.T).norm(dim=0)
            spectrum = d.norm().square()
        else:
            _, s, v = torch.linalg.svd(d, full_matrices=False)
            spectrum = s.square().sum()
            keep = max(1, int((s[:top_k] / s[0] > noise_floor).sum()))
            s, v = s[:keep], _signed(d, v[:keep])
        v = v.contiguous()  # as a file gives it back: products depend on it in their last bit
        mean = v @ d.mean(0)
        axes[name], values[name] = v, s.clone()
        means[name] = mean if mean.any() else values[name].clone()
        energy[name] = float(s.square().sum() / spectrum)
    if not axes:
        raise UserError(
            "hack and honest completions have the same gradient everywhere",
            field="direction.pairs",
            fix="check that the two completions of a pair differ",
        )
    kept = _strongest(values, drop_quantile)
    return Direction(
        kind=kind,
        axes={name: axes[name] for name in kept},
        values={name: values[name] for name in kept},
        means={name: means[name] for name in kept},
        options={
            "method": method,
            "top_k": top_k,
            "noise_floor": noise_floor,
            "drop_quantile": drop_quantile,
        },
        stats={
            "pairs": len(next(iter(differences.values()))),
            "modules": len(kept),
            "modules_dropped": len(differences) - len(kept),
            "energy": sum(energy[name] for name in kept) / len(kept),
        },
        **identity,  # pyright: ignore[reportArgumentType]
    )


def _signed(d: Tensor, axes: Tensor) -> Tensor:
    """Every axis turned to the side on which most pairs lie (their sum decides a draw)."""
    along = d @ axes.T  # [pairs, k]
    votes = along.sign().sum(0)
    side = torch.where(votes == 0, along.sum(0), votes)
    return axes * torch.where(side < 0, -1.0, 1.0)[:, None]


def _strongest(values: Mapping[str, Tensor], drop: float) -> list[str]:
    """Module names in their order, without the share `drop` of smallest first singular values."""
    ranked = sorted(values, key=lambda name: float(values[name][0]))
    dropped = set(ranked[: int(drop * len(ranked))])
    return [name for name in values if name not in dropped]


def shuffled(differences: Mapping[str, Tensor], *, seed: int = 0, **options: Any) -> Direction:
    """A null: pairs are put together two by two, and their differences (D_i - D_j) / sqrt(2) taken.

    Whatever hacks have in common cancels, the spread among pairs stays. (Swapping the labels within
    single pairs would not do: it changes the signs of rows of D, and so no singular vector.)
    """
    rows = len(next(iter(differences.values())))
    if rows < 2:
        raise UserError(
            "the null needs at least two extraction pairs", field="direction.pairs", value=rows
        )
    options["top_k"] = min(options["top_k"], rows // 2)
    order = torch.randperm(rows - rows % 2, generator=_generator(seed, "shuffled"))
    mixed = {name: (d[order[0::2]] - d[order[1::2]]) / 2**0.5 for name, d in differences.items()}
    return extract(mixed, kind="shuffled", **options)


def random_direction(like: Direction, seed: int) -> Direction:
    """A null: Haar-random axes, as many per module and weighted as those of `like`."""
    axes: dict[str, Tensor] = {}
    for name, v in like.axes.items():
        gaussian = torch.randn(v.shape[1], v.shape[0], generator=_generator(seed, name))
        q, upper = torch.linalg.qr(gaussian)
        axes[name] = (q * upper.diagonal().sign()).T.contiguous()
    return replace(like, axes=axes, kind="random", stats={"seed": seed})


def overlap(a: Direction, b: Direction) -> float:
    """Mean over shared modules of |V_a V_b^T|^2 / k: 1 for equal subspaces, about k/r by chance."""
    shared = [name for name in a.axes if name in b.axes]
    if not shared:
        return 0.0
    each = [
        float((a.axes[n] @ b.axes[n].T).square().sum()) / min(len(a.axes[n]), len(b.axes[n]))
        for n in shared
    ]
    return sum(each) / len(each)


def auroc(positive: Tensor, negative: Tensor) -> float:
    """P(a positive scores above a negative), ties count half."""
    if not len(positive) or not len(negative):
        raise ValueError("both classes need at least one score")
    gap = positive.double()[:, None] - negative.double()[None, :]
    return float((gap > 0).double().mean() + 0.5 * (gap == 0).double().mean())


def save_direction(direction: Direction, path: Path) -> None:
    """Write as safetensors (`V/`, `S/`, `M/<module>`, metadata), whole or not at all."""
    from safetensors.torch import save_file

    tensors = {f"V/{name}": v.contiguous() for name, v in direction.axes.items()}
    tensors |= {f"S/{name}": s.contiguous() for name, s in direction.values.items()}
    tensors |= {f"M/{name}": m.contiguous() for name, m in direction.means.items()}
    metadata = {
        "format": FORMAT,
        "kind": direction.kind,
        "adapter_kind": direction.adapter_kind,
        "basis_digest": direction.basis_digest,
        "pairs_digest": direction.pairs_digest,
        "model_digest": direction.model_digest,
        "top_k": str(direction.top_k),
        "modules": json.dumps(list(direction.axes)),
        "options": json.dumps(direction.options, sort_keys=True),
        "stats": json.dumps(direction.stats, sort_keys=True),
    }
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        save_file(tensors, partial, metadata)
        partial.replace(path)


def load_direction(path: Path) -> Direction:
    """Read a direction and check that it is whole. Raises UserError."""
    from safetensors import safe_open

    path = Path(path)
    if not path.is_file():
        raise UserError(
            "no such direction file", value=path, fix="make one with `awry extract`", file=path
        )
    try:
        with safe_open(path, "pt") as file:
            about = file.metadata() or {}
            if about.get("format") != FORMAT:
                raise ValueError(f"its format is {about.get('format')!r}, not {FORMAT!r}")
            if about["kind"] not in KINDS:
                raise ValueError(f"its kind is {about['kind']!r}, none of {', '.join(KINDS)}")
            names = json.loads(about["modules"])
            axes = {name: file.get_tensor(f"V/{name}") for name in names}
            values = {name: file.get_tensor(f"S/{name}") for name in names}
            means = {name: file.get_tensor(f"M/{name}") for name in names}
        for name, v in axes.items():
            gap = (v @ v.T - torch.eye(len(v))).abs().max().item()
            if not v.shape[:1] == values[name].shape == means[name].shape or not gap < 1e-3:
                raise ValueError(f"the axes of {name} are not orthonormal")
            if not (torch.isfinite(means[name]).all() and means[name].any()):
                raise ValueError(f"the mean of {name} is no direction")
        return Direction(
            axes=axes,
            values=values,
            means=means,
            options=json.loads(about["options"]),
            stats=json.loads(about["stats"]),
            **{key: about[key] for key in _IDENTITY},
        )
    except Exception as error:  # whatever is wrong with the bytes, the remedy is the same
        raise UserError(
            f"not a direction that can be read: {error}",
            value=path,
            fix="make it again with `awry extract`",
            file=path,
        ) from error


_IDENTITY = ("kind", "adapter_kind", "basis_digest", "pairs_digest", "model_digest")


def check_fits(direction: Direction, adapter_kind: str, basis_digest: str | None) -> None:
    """Raises UserError unless the direction's coordinates are those of this adapter."""
    if direction.adapter_kind != adapter_kind:
        raise UserError(
            f"the direction is one of another kind of adapter: {direction.adapter_kind}",
            field="direction",
            value=f"the policy has {adapter_kind}",
            fix=f"extract it for model.adapter.kind: {adapter_kind}",
        )
    if direction.basis_digest != basis_digest:
        raise UserError(
            "the direction belongs to another model or adapter: its coordinates mean something else",
            field="direction",
            value=f"basis {direction.basis_digest[:12]}, the policy's is {str(basis_digest)[:12]}",
            fix="extract it from this model, in this dtype, with this adapter (for LoRA: this seed)",
        )


def _generator(seed: int, purpose: str) -> torch.Generator:
    return torch.Generator().manual_seed(derive(seed, "direction", purpose))
