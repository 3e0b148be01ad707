"""Directions: the sign by hand, extraction against slow references, files."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import get_peft_model
from safetensors import safe_open
from safetensors.torch import save_file
from small_directions import IDENTITY, PLAIN, made, noise
from torch import Tensor, nn

from awry.errors import UserError
from awry.gradients.directions import (
    check_fits,
    extract,
    load_direction,
    save_direction,
)
from awry.gradients.interventions import project
from awry.gradients.singular import SingularValueConfig, layers_of


# ---- the sign, by hand --------------------------------------------------------------------------
class Toy:
    """Two tokens, `honest` 0 and `hack` 1, whose logits are W' x with W' = U diag(S + dS) V."""

    def __init__(self) -> None:
        net = nn.Sequential(nn.Linear(6, 2, bias=False))
        net[0].weight.data = noise(2, 6, seed=5)
        self.model = get_peft_model(net, SingularValueConfig(target_modules=["0"]))
        self.layer = layers_of(self.model)["0"]
        self.d = self.layer.singular_delta["default"]
        self.x = noise(6, seed=6)

    def nll(self, token: int) -> Tensor:
        return -self.model(self.x[None])[0].log_softmax(-1)[token]

    def gradient(self, loss: Tensor) -> Tensor:
        return torch.autograd.grad(loss, self.d)[0]

    def hack_probability(self, step: Tensor | None = None) -> float:
        """After taking the step -`step`."""
        with torch.no_grad():
            before = self.d.clone()
            if step is not None:
                self.d.sub_(step)
            found = math.exp(-self.nll(1).double().item())
            self.d.copy_(before)
        return found


def test_the_difference_of_gradients_written_by_hand() -> None:
    """NLL_y has the gradient U^T (p - e_y) * V x: in the difference of two tokens p cancels."""
    toy = Toy()
    u, v = toy.layer.basis_u, toy.layer.basis_v
    p = toy.model(toy.x[None])[0].softmax(-1).detach()
    for token in (0, 1):
        e = torch.eye(2)[token]
        by_hand = (u.T @ (p - e)) * (v @ toy.x)
        assert torch.allclose(toy.gradient(toy.nll(token)), by_hand, atol=1e-5)
    difference = toy.gradient(toy.nll(1)) - toy.gradient(toy.nll(0))
    by_hand = (u.T @ torch.tensor([1.0, -1.0])) * (v @ toy.x)
    assert torch.allclose(difference, by_hand, atol=1e-5)
    direction = extract({"0": by_hand[None]}, top_k=1, **PLAIN)
    assert torch.allclose(direction.axes["0"][0], by_hand / by_hand.norm(), atol=1e-6)
    assert torch.allclose(direction.principal("0"), by_hand / by_hand.norm(), atol=1e-6)


def test_a_step_along_v_makes_the_hack_likelier_and_the_projected_one_does_not() -> None:
    toy = Toy()
    start = toy.hack_probability()
    g_hack, g_honest = toy.gradient(toy.nll(1)), toy.gradient(toy.nll(0))
    difference = g_hack - g_honest
    axes = extract({"0": difference[None]}, top_k=1, **PLAIN).axes["0"]
    small = 1e-3
    slope = start * (1 - start)  # of the probability in its log-odds, which D is the gradient of
    # descent on the hack's own NLL teaches the hack, and its gradient has <g, v> > 0
    assert toy.hack_probability(small * g_hack) > start
    assert float(axes @ g_hack) > 0
    assert toy.hack_probability(small * g_honest) < start
    assert float(axes @ g_honest) < 0
    seen = set()
    for seed in range(20):  # any loss gradient at all
        g = noise(2, seed=seed)
        toward = float(axes @ g) > 0
        seen.add(toward)
        change = (toy.hack_probability(small * g) - start) / small
        assert (change > 0) == toward, "<g, v> > 0 is what makes hacking likelier"
        assert change == pytest.approx(slope * float(difference @ g), rel=0.02, abs=2e-3)
        left, removed = project(g, axes, "one_sided")
        after = (toy.hack_probability(small * left) - start) / small
        assert after < 2e-3, "to first order the projected step does not raise it"
        if not toward:
            assert not removed.any()
            assert torch.equal(left, g), "steps away from hacking are left alone"
    assert seen == {True, False}


# ---- extraction ---------------------------------------------------------------------------------
def slow(d: Tensor, top_k: int, floor: float) -> tuple[list[Tensor], list[float]]:
    """Axes and singular values by explicit sums and an eigendecomposition, in double precision."""
    rows, rank = d.shape
    gram = torch.zeros(rank, rank, dtype=torch.float64)
    for p in range(rows):
        for i in range(rank):
            for j in range(rank):
                gram[i, j] += float(d[p, i]) * float(d[p, j])
    values, vectors = torch.linalg.eigh(gram)
    singular = [math.sqrt(max(float(v), 0.0)) for v in values.flip(0)]
    axes = []
    for k in range(top_k):
        if k and singular[k] / singular[0] <= floor:
            break
        axis = vectors[:, rank - 1 - k]
        positive = sum(float(d[p].double() @ axis) > 0 for p in range(rows))
        negative = sum(float(d[p].double() @ axis) < 0 for p in range(rows))
        axes.append(axis if positive > negative else -axis)
    return axes, singular


@pytest.mark.parametrize("floor", [0.0, 0.5])
def test_extraction_against_a_slow_reference(floor: float) -> None:
    scales = torch.tensor([3.0, 2.0, 1.0, 0.4, 0.2, 0.1])
    stretch = torch.tensor([1.0, 1, 3, 1, 1, 1])  # so that modules differ in what passes the floor
    differences = {
        f"m{i}": noise(7, 6, seed=i) * (scales * stretch if i % 2 else scales) + 0.3
        for i in range(4)
    }
    found = extract(differences, top_k=4, noise_floor=floor, drop_quantile=0.0, **IDENTITY)
    energies, depths = [], set()
    for name, d in differences.items():
        axes, singular = slow(d, 4, floor)
        v = found.axes[name]
        depths.add(len(axes))
        assert v.shape == (len(axes), 6)
        for k, axis in enumerate(axes):
            assert torch.allclose(v[k].double(), axis, atol=1e-5)
            assert float(found.values[name][k]) == pytest.approx(singular[k], rel=1e-5)
            mean = sum(float(row.double() @ axis) for row in d) / 7
            assert float(found.means[name][k]) == pytest.approx(mean, abs=1e-5)
        assert torch.allclose(v @ v.T, torch.eye(len(axes)), atol=1e-6)
        kept = sum(s * s for s in singular[: len(axes)])
        energies.append(kept / sum(s * s for s in singular))
        inside = sum(float(d.mean(0).double() @ a) * a for a in axes)
        assert isinstance(inside, Tensor)
        assert torch.allclose(found.principal(name).double(), inside / inside.norm(), atol=1e-5)
    assert depths == ({4} if floor == 0 else {2, 3})
    assert found.stats["energy"] == pytest.approx(sum(energies) / 4, rel=1e-5)
    assert found.top_k == max(depths)
    expected = sum(math.sqrt(len(v) / 6) for v in found.axes.values()) / 4
    assert found.null_share() == pytest.approx(expected)


def test_mean_method_is_the_mean_of_unit_differences() -> None:
    d = noise(6, 5) + 0.5
    found = extract({"m": d}, top_k=2, method="mean", **PLAIN)
    mean = sum(row / row.norm() for row in d) / 6
    assert isinstance(mean, Tensor)
    assert torch.allclose(found.axes["m"][0], mean / mean.norm(), atol=1e-6)
    assert found.axes["m"].shape == (1, 5)
    along = (d @ found.axes["m"][0]).square().sum()
    assert found.stats["energy"] == pytest.approx(float(along / d.square().sum()), rel=1e-5)


def test_the_majority_gives_the_sign_not_the_largest_pair() -> None:
    d = torch.zeros(10, 4)
    d[:, 0] = 1.0
    d[0, 0] = -100.0  # the sum is far below zero
    for method in ("svd", "mean"):
        axis = extract({"m": d}, top_k=1, method=method, **PLAIN).axes["m"][0]  # type: ignore[arg-type]
        assert torch.allclose(axis, torch.tensor([1.0, 0, 0, 0]), atol=1e-5)


def test_on_a_draw_the_sum_gives_the_sign() -> None:
    d = torch.tensor([[3.0, 0.0], [-1.0, 0.0]])
    assert float(extract({"m": d}, top_k=1, **PLAIN).axes["m"][0, 0]) == pytest.approx(1.0)
    assert float(extract({"m": -d}, top_k=1, **PLAIN).axes["m"][0, 0]) == pytest.approx(-1.0)


def test_pairs_that_cancel_still_give_a_unit_principal() -> None:
    d = torch.tensor([[2.0, 0.0], [-2.0, 0.0]])
    principal = extract({"m": d}, top_k=1, **PLAIN).principal("m")
    assert float(principal.norm()) == pytest.approx(1.0)


def test_the_weakest_modules_are_left_out() -> None:
    sizes = {"c": 3.0, "h": 8.0, "a": 1.0, "g": 7.0, "b": 2.0, "e": 5.0, "d": 4.0, "f": 6.0}
    differences = {name: noise(4, 5) * size for name, size in sizes.items()}
    differences["zero"] = torch.zeros(4, 5)
    options: dict[str, Any] = {"top_k": 1, "noise_floor": 0.0, **IDENTITY}
    found = extract(differences, drop_quantile=0.25, **options)
    assert list(found.axes) == ["c", "h", "g", "e", "d", "f"], "in their order"
    assert list(found.axes) == list(found.values) == list(found.means)
    assert (found.stats["modules"], found.stats["modules_dropped"]) == (6, 3)
    assert found.stats["pairs"] == 4
    assert list(extract(differences, drop_quantile=0.0, **options).axes) == list(sizes)
    assert len(extract(differences, drop_quantile=0.24, **options).axes) == 7


def test_what_cannot_be_extracted() -> None:
    with pytest.raises(UserError, match=r"at most 3 \(3 extraction pairs\)") as caught:
        extract({"m": noise(3, 8)}, top_k=4, **PLAIN)
    assert caught.value.field == "direction.top_k"
    with pytest.raises(UserError, match=r"at most 2 \(m, which has rank 2\)"):
        extract({"m": noise(9, 2)}, top_k=3, **PLAIN)
    for bad in (math.nan, math.inf):
        broken = noise(4, 5)
        broken[2, 3] = bad
        with pytest.raises(UserError, match="the gradient of m is not finite"):
            extract({"m": broken}, top_k=1, **PLAIN)
    with pytest.raises(UserError, match="the same gradient everywhere"):
        extract({"m": torch.zeros(4, 5)}, top_k=1, **PLAIN)


def test_truncated_keeps_the_first_axes() -> None:
    whole = made(top_k=3)
    cut = whole.truncated(1)
    assert cut.top_k == 1
    for name, v in whole.axes.items():
        assert torch.equal(cut.axes[name], v[:1])
        assert torch.equal(cut.values[name], whole.values[name][:1])
        sign = float(whole.means[name][0].sign())
        assert torch.allclose(cut.principal(name), sign * v[0])
    for wrong in (0, 4):
        with pytest.raises(UserError, match="has 3 axes"):
            whole.truncated(wrong)


# ---- files --------------------------------------------------------------------------------------
def test_a_file_gives_back_what_was_put_in(tmp_path: Path) -> None:
    names = {"z.last": noise(5, 7), "a.first": noise(5, 9, seed=1)}
    kept = extract(names, top_k=2, **PLAIN)
    path = tmp_path / "new" / "direction.safetensors"
    save_direction(kept, path)
    assert [f.name for f in path.parent.iterdir()] == ["direction.safetensors"]
    found = load_direction(path)
    assert list(found.axes) == list(kept.axes) == ["z.last", "a.first"]
    for part in ("axes", "values", "means"):
        for name, tensor in getattr(kept, part).items():
            assert torch.equal(getattr(found, part)[name], tensor)
    plain = [replace(d, axes={}, values={}, means={}) for d in (kept, found)]
    assert plain[0] == plain[1]
    with safe_open(path, "pt") as file:
        assert file.metadata()["format"] == "awry-direction-1"
        assert {k.split("/")[0] for k in file.keys()} == {"V", "S", "M"}  # noqa: SIM118


def test_what_is_no_direction_file(tmp_path: Path) -> None:
    path = tmp_path / "direction.safetensors"
    with pytest.raises(UserError, match="no such direction file") as caught:
        load_direction(path)
    assert "awry extract" in caught.value.render()
    save_direction(made(), path)
    whole = path.read_bytes()

    def refused(match: str) -> None:
        with pytest.raises(UserError, match=match) as caught:
            load_direction(path)
        assert caught.value.file == path
        assert caught.value.fix

    for damage in (b"", b"something else", whole[:-20], whole[:100]):
        path.write_bytes(damage)
        refused("cannot|can be read")
    save_file({"x": torch.zeros(1)}, path, {"format": "another"})
    refused("its format is 'another'")
    save_file({"x": torch.zeros(1)}, path)
    refused("its format is None")
    save_direction(replace(made(), kind="astrological"), path)
    refused("its kind is 'astrological'")
    stretched = made()
    stretched.axes["m1"][0] *= 1.5
    save_direction(stretched, path)
    refused("the axes of m1 are not orthonormal")
    stretched.axes["m1"][0] = math.nan
    save_direction(stretched, path)
    refused("the axes of m1 are not orthonormal")
    for value in (math.nan, 0.0):
        empty = made()
        empty.means["m2"][:] = value
        save_direction(empty, path)
        refused("the mean of m2 is no direction")
    short = made()
    short.values["m0"] = short.values["m0"][:1]
    save_direction(short, path)
    refused("m0")


def test_a_direction_of_other_coordinates_is_refused() -> None:
    direction = made()
    check_fits(direction, "singular_values", "b" * 64)
    with pytest.raises(UserError, match="another kind of adapter: singular_values"):
        check_fits(direction, "lora", "b" * 64)
    for other in ("c" * 64, None):
        with pytest.raises(UserError, match="another model or adapter"):
            check_fits(direction, "singular_values", other)
