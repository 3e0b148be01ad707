"""What a direction must beat: shuffled and random ones; overlap and AUROC."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from small_directions import PLAIN, made, noise
from torch import Tensor

from awry.errors import UserError
from awry.gradients.directions import auroc, extract, overlap, random_direction, shuffled


# ---- nulls ----------------------------------------------------------------------------------------
def common_and_spread(pairs: int = 40, rank: int = 60) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """(what all pairs share, the axis along which they differ most, D)."""
    q, _ = torch.linalg.qr(noise(rank, 2, seed=3))
    common, axis = q.T
    d = common * 1.0 + noise(pairs, 1, seed=4) * axis * 0.5 + noise(pairs, rank, seed=5) * 0.02
    return common, axis, {"m": d}


def test_what_all_hacks_share_cancels_in_the_shuffled_null() -> None:
    common, axis, differences = common_and_spread()
    real = extract(differences, top_k=2, **PLAIN)
    assert float(real.principal("m") @ common) > 0.95
    null = shuffled(differences, top_k=2, **PLAIN)
    assert null.kind == "shuffled"
    # nothing of it in any axis, not even by chance: it is in none of the mixed differences
    inside = float((null.axes["m"] @ common).norm())
    assert inside < math.sqrt(2 / 60)
    assert abs(float(null.principal("m") @ common)) < 0.15
    assert float(null.axes["m"][0] @ axis) ** 2 > 0.95, "the spread among pairs stays"
    exact = {"m": torch.cat([differences["m"][:, :1] * 0 + 3.0, noise(40, 5)], 1)}
    assert not shuffled(exact, top_k=2, **PLAIN).axes["m"][:, 0].abs().max() > 1e-6


def test_swapping_labels_of_pairs_would_be_no_null() -> None:
    """A pair with its labels swapped is -D_p: D^T D, and so every axis, stays what it was."""
    _, _, differences = common_and_spread()
    d = differences["m"]
    signs = noise(len(d), 1, seed=9).sign()
    assert set(signs.flatten().tolist()) == {-1.0, 1.0}
    before, after = (torch.linalg.svd(x, full_matrices=False)[2][:2] for x in (d, d * signs))
    assert torch.allclose((before @ after.T).abs(), torch.eye(2), atol=1e-4)


def test_shuffling_is_fixed_by_its_seed_and_uses_every_pair_once() -> None:
    rows = torch.eye(7) * torch.arange(1.0, 8.0)[:, None]
    first, again = (shuffled({"m": rows}, seed=1, top_k=2, **PLAIN) for _ in range(2))
    assert torch.equal(first.axes["m"], again.axes["m"])
    draws = {
        tuple(shuffled({"m": rows}, seed=s, top_k=3, **PLAIN).values["m"].tolist())
        for s in range(8)
    }
    assert len(draws) > 1
    # pairs are put together two by two: |D_i - D_j|^2 / 2 add up to half of all squares but one's
    values = shuffled({"m": rows}, seed=1, top_k=3, **PLAIN).values["m"]
    squares = rows.square().sum(1)
    left_out = squares.sum() - 2 * values.square().sum()
    assert min((left_out - s).abs() for s in squares) < 1e-3


def test_shuffling_few_pairs() -> None:
    few = shuffled({"m": noise(5, 6)}, top_k=3, **PLAIN)  # two mixed rows carry two axes
    assert few.axes["m"].shape == (2, 6)
    with pytest.raises(UserError, match="at least two extraction pairs"):
        shuffled({"m": noise(1, 6)}, top_k=1, **PLAIN)


def test_random_axes_are_haar_and_fixed_by_their_seed() -> None:
    like = made(top_k=3, modules=2, rank=12)
    first, again, other = (random_direction(like, seed) for seed in (0, 0, 1))
    assert first.kind == "random"
    assert first.basis_digest == like.basis_digest
    for name, v in first.axes.items():
        assert v.shape == like.axes[name].shape
        assert v.dtype == torch.float32
        assert torch.allclose(v @ v.T, torch.eye(3), atol=1e-5)
        assert torch.equal(v, again.axes[name])
        assert not torch.allclose(v, other.axes[name])
        assert torch.equal(first.means[name], like.means[name])
    assert not torch.allclose(first.axes["m0"], first.axes["m1"])


def test_random_axes_catch_the_share_k_over_r() -> None:
    k, r, draws = 3, 60, 300
    like = extract({"m": noise(9, r)}, top_k=k, **PLAIN)
    g = noise(r, seed=11)
    shares, corner = [], []
    for seed in range(draws):
        v = random_direction(like, seed).axes["m"]
        shares.append(float((v @ g).norm() / g.norm()))
        corner.append(float(v[0, 0]))
    # the square is Beta(k/2, (r-k)/2): mean k/r, standard error .0023 here
    squares = sum(s * s for s in shares) / draws
    assert squares == pytest.approx(k / r, abs=0.01)
    assert sum(shares) / draws == pytest.approx(like.null_share(), rel=0.15)
    # a QR whose signs are LAPACK's would put every first entry on one side
    assert abs(sum(corner) / draws) < 0.04


def test_overlap() -> None:
    a = made(top_k=2)
    rotation = torch.tensor([[0.6, 0.8], [-0.8, 0.6]])
    rotated = replace(a, axes={name: rotation @ v for name, v in a.axes.items()})
    assert overlap(a, rotated) == pytest.approx(1.0, abs=1e-5)
    assert overlap(a, a.truncated(1)) == pytest.approx(1.0, abs=1e-5)
    eye = torch.eye(12)
    one, two = (replace(a, axes={"m0": rows}) for rows in (eye[:2], eye[2:4]))
    assert overlap(one, two) == 0.0
    half = replace(a, axes={"m0": eye[1:3], "elsewhere": eye[:1]})
    assert overlap(one, half) == pytest.approx(0.5)
    assert overlap(one, replace(a, axes={"elsewhere": eye[:1]})) == 0.0
    chance = [overlap(a, random_direction(a, seed)) for seed in range(60)]
    assert sum(chance) / 60 == pytest.approx(2 / 12, rel=0.2)


def test_auroc_counts_pairs() -> None:
    positive = torch.tensor([0.1, 0.5, 0.5, 0.9, -1.0])
    negative = torch.tensor([0.5, 0.2, -1.0])
    wins = 0.0
    for p in positive:
        for n in negative:
            wins += 1.0 if p > n else 0.5 if p == n else 0.0
    assert auroc(positive, negative) == pytest.approx(wins / 15)
    assert auroc(negative + 10, positive) == 1.0
    assert auroc(negative - 10, positive) == 0.0
    with pytest.raises(ValueError, match="at least one"):
        auroc(positive, negative[:0])
