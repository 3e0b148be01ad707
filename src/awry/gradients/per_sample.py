"""Exact per-sample gradients of adapter coordinates, taken during one ordinary backward.

An adapted layer's backward has, for every token t, its input x_t and the gradient g_t at its output.
Summing per sample instead of over the batch gives each sample's own gradient:

    singular values   dS_b = sum_t (U^T g_t) * (V x_t)
    LoRA              dA_b = s sum_t (B^T g_t) x_t^T,   dB_b = s sum_t g_t (A x_t)^T

The caller runs the backward with the *same unit loss* for every sample (mean token NLL) and names
the weight that each sample has in the training loss; the parameters then receive the weighted sum,
which is the training gradient. So samples without an advantage keep their gradient, and one
backward serves both. Samples must not share tokens: every token belongs to one sample.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

Sink = Callable[[str, Tensor], None]
_BLOCK = 128  # tokens whose products are formed at a time where samples need not be told apart


class Recorder:
    """Hands per-sample gradients c [samples, coordinates] to `sink`, one module at a time.

    The tokens of a backward lie flat, sample after sample, `lengths[b]` of them each (padding
    included: its gradient is zero). Coordinates of a LoRA module are A, then B, flattened.
    """

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.lengths: tuple[int, ...] = ()
        self.weights: Tensor | None = None
        self.active = False

    def start(self, lengths: Sequence[int], weights: Tensor) -> None:
        """Record the next backward. weights [samples]: what each unit loss counts in training."""
        self.lengths, self.weights, self.active = tuple(lengths), weights, True

    def stop(self) -> None:
        self.active = False

    def singular(self, name: str, gu: Tensor, xv: Tensor) -> Tensor:
        """gu, xv [tokens, r] -> the weighted sum [r] of the samples' gradients."""
        return self._sum(name, product_sums(gu, xv, self.lengths))

    def low_rank(
        self, name: str, x: Tensor, g: Tensor, down: Tensor, up: Tensor
    ) -> tuple[Tensor, Tensor]:
        """x [tokens, I], g [tokens, O], down = s x A^T, up = s g B [tokens, r] -> gradients of A
        [r, I] and B [O, r], weighted and summed over samples."""
        r, inputs, outputs = down.shape[1], x.shape[1], g.shape[1]
        c = torch.empty(len(self.lengths), r * (inputs + outputs), device=x.device)
        parts = (t.split(self.lengths) for t in (x, g, down, up))
        for b, (x_b, g_b, down_b, up_b) in enumerate(zip(*parts, strict=True)):
            c[b, : r * inputs] = (up_b.T @ x_b).flatten()
            c[b, r * inputs :] = (g_b.T @ down_b).flatten()
        total = self._sum(name, c)
        return total[: r * inputs].view(r, inputs), total[r * inputs :].view(outputs, r)

    def _sum(self, name: str, c: Tensor) -> Tensor:
        assert self.weights is not None
        self.sink(name, c)
        return self.weights.to(c.device, c.dtype) @ c


def product_sums(a: Tensor, b: Tensor, lengths: Sequence[int]) -> Tensor:
    """a, b [tokens, r], the samples' one after the other -> sums of a * b [samples, r], float32.

    Sample by sample, so that a product stays in the processor's cache: the whole of it is written
    to memory and read back otherwise, which took nine times as long at r = 1536.
    """
    if sum(lengths) != len(a):
        raise ValueError(f"{len(a)} tokens for samples of {sum(lengths)} in all")
    sums = a.new_empty(len(lengths), a.shape[1], dtype=torch.float32)
    start = 0
    for row, length in zip(sums, lengths, strict=True):
        part = slice(start, start + length)
        torch.sum(a[part].float() * b[part].float(), 0, out=row)
        start += length
    return sums


def product_sum(a: Tensor, b: Tensor) -> Tensor:
    """a, b [tokens, r] -> the sum of a * b over all tokens [r], float32."""
    whole, rest = divmod(len(a), _BLOCK)
    return product_sums(a, b, [_BLOCK] * whole + [rest] * bool(rest)).sum(0)


class Components:
    """A sink: each sample's components along a few vectors per module, nothing more kept.

    axes: module -> V [k, coordinates]. Modules without one are not looked at.
    """

    def __init__(self, axes: Mapping[str, Tensor]) -> None:
        self.axes = axes
        self._along: dict[str, list[Tensor]] = {name: [] for name in axes}
        self._squares: dict[str, list[Tensor]] = {name: [] for name in axes}

    def __call__(self, name: str, c: Tensor) -> None:
        if (axes := self.axes.get(name)) is not None:
            self._along[name].append(c @ axes.to(c.device).T)
            self._squares[name].append(c.square().sum(1))

    def along(self, name: str) -> Tensor:
        """V c of every sample of every backward so far [samples, k], on the CPU."""
        return torch.cat(self._along[name]).cpu()

    def squares(self) -> Tensor:
        """|c|^2 [samples, modules], modules in the order of `axes`, on the CPU."""
        return torch.stack([torch.cat(self._squares[name]) for name in self.axes], 1).cpu()


class Gradients:
    """A sink: keeps every sample's gradient, module -> [samples, coordinates]."""

    def __init__(self) -> None:
        self._kept: dict[str, list[Tensor]] = {}

    def __call__(self, name: str, c: Tensor) -> None:
        self._kept.setdefault(name, []).append(c)

    def table(self) -> dict[str, Tensor]:
        return {name: torch.cat(parts).cpu() for name, parts in self._kept.items()}


def module_cosines(dots: Tensor, squares: Tensor) -> Tensor:
    """True cosines [..., modules]; 0 where a gradient vanishes."""
    norms = squares.sqrt()
    return torch.where(norms > 0, dots / norms.clamp(min=1e-30), torch.zeros_like(dots))


def alignment(dots: Tensor, squares: Tensor) -> Tensor:
    """The norm-weighted aggregate sum_m <c_m, v_m> / sqrt(sum_m |c_m|^2) [...].

    Not a cosine: its bound is the square root of the number of modules.
    """
    norms = squares.sum(-1).sqrt()
    return torch.where(norms > 0, dots.sum(-1) / norms.clamp(min=1e-30), torch.zeros_like(norms))
