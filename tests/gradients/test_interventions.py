"""Projection against loops over single numbers: of the gradient, of the update, refreshed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_directions import noise
from small_steps import all_of, given, gradient, orthonormal, step, toward

from awry.errors import UserError
from awry.gradients.directions import Direction, extract, overlap, random_direction
from awry.gradients.interventions import Mode, Place, Projection, Surgeon, project

MODES: tuple[Mode, ...] = ("one_sided", "two_sided", "reverse")


# ---- one module ------------------------------------------------------------------------------------
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("overshoot", [0.0, 0.5])
@pytest.mark.parametrize("preserve_norm", [False, True])
def test_project_against_a_slow_reference(
    mode: Mode, overshoot: float, preserve_norm: bool
) -> None:
    axes = orthonormal(3, 11)
    fired = 0
    for seed in range(10):
        g = noise(11, seed=seed)
        left, removed = project(g, axes, mode, overshoot=overshoot, preserve_norm=preserve_norm)
        expected = [0.0] * 11
        for axis in axes:
            c = sum(float(a) * float(b) for a, b in zip(axis, g, strict=True))
            c = {"one_sided": max(c, 0.0), "two_sided": c, "reverse": 2 * c}[mode]
            for i in range(11):
                expected[i] += (1 + overshoot) * c * float(axis[i])
        wanted = torch.tensor([float(x) - e for x, e in zip(g, expected, strict=True)])
        if preserve_norm:
            wanted *= float(g.norm()) / float(wanted.norm())
            assert float(left.norm() / g.norm()) == pytest.approx(1, abs=1e-6)
        assert torch.allclose(removed, torch.tensor(expected), atol=1e-5)
        assert torch.allclose(left, wanted, atol=1e-5)
        fired += bool(removed.any())
        before, after = axes @ g, axes @ left
        cosines = after / left.norm()
        if mode == "two_sided" and not overshoot:
            assert float(cosines.abs().max()) <= 1e-3
        if mode == "one_sided":
            assert float(cosines.max()) <= 1e-3
        if mode == "reverse":
            assert torch.equal(after.sign(), -before.sign())
            if not (overshoot or preserve_norm):
                assert torch.allclose(after, -before, atol=1e-5)
                assert float(left.norm()) == pytest.approx(float(g.norm()), rel=1e-5)
    assert fired >= 8


def test_one_sided_leaves_steps_away_from_hacking_alone() -> None:
    axes = torch.eye(4)[:2]
    g = torch.tensor([-1.0, -2.0, 3.0, 4.0])
    left, removed = project(g, axes, "one_sided", overshoot=3.0)
    assert torch.equal(left, g)
    assert not removed.any()
    left, removed = project(torch.tensor([5.0, -2.0, 3.0, 4.0]), axes, "one_sided")
    assert left.tolist() == [0.0, -2.0, 3.0, 4.0]
    assert removed.tolist() == [5.0, 0.0, 0.0, 0.0]


def test_projecting_nothing_and_projecting_all() -> None:
    axes = torch.eye(3)[:1]
    for g in (torch.zeros(3), torch.tensor([2.0, 0, 0])):
        left, _ = project(g, axes, "two_sided", preserve_norm=True)
        assert left.tolist() == [0.0, 0.0, 0.0], "a gradient that is all direction has no rest"


# ---- the update, not only the gradient ----------------------------------------------------------
def trained(at: Place | None, mode: Mode, decay: float = 0.0) -> tuple[list[float], list[float]]:
    """(leak, leak share) of 50 AdamW steps with a hack component and gradients of all scales."""
    rank = 600
    scales = noise(rank, seed=1).exp()
    axes = orthonormal(2, rank, seed=2)
    bias = 0.3 * axes.sum(0) * scales.mean()
    direction = toward({"m": axes})
    coordinates = given(m=torch.zeros(rank))
    (p,) = coordinates["m"]
    optimizer = torch.optim.AdamW([p], lr=1e-3, weight_decay=decay)
    intervention = None if at is None else Projection(direction, mode=mode, at=at)
    surgeon = Surgeon(coordinates, [p], intervention=intervention, meter=direction)
    leaks, shares = [], []
    for i in range(50):
        p.grad = scales * noise(rank, seed=i + 10) * 0.02 + bias
        surgeon.before()
        optimizer.step()
        surgeon.after()
        leaks.append(float(surgeon.metrics["direction_leak"] or 0.0))
        shares.append(float(surgeon.metrics["direction_leak_share"] or 0.0))
    return leaks, shares


@pytest.mark.parametrize("mode", ["one_sided", "two_sided"])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_adamw_puts_back_what_was_taken_from_the_gradient(mode: Mode, decay: float) -> None:
    free, _ = trained(None, mode, decay)
    gradient_only, _ = trained("gradient", mode, decay)
    assert min(free) > 0.1
    assert max(abs(x) for x in gradient_only) > 0.01
    places: tuple[Place, ...] = ("update", "both")
    for at in places:
        leaks, shares = trained(at, mode, decay)
        assert max(leaks) <= 1e-6
        assert max(shares) <= 1e-6
        if mode == "two_sided":
            assert max(abs(x) for x in leaks) <= 1e-6


def test_a_projected_update_by_hand() -> None:
    """SGD, v = (1, 0): of the step towards (-3, -4) the part against the gradient's v goes."""
    for sign, expected, share in ((1.0, [0.0, -0.4], 9 / 25), (-1.0, [0.3, 0.4], 0.0)):
        coordinates = given(m=[3.0 * sign, 4.0 * sign])
        (p,) = coordinates["m"]
        projection = Projection(toward({"m": torch.tensor([[1.0, 0.0]])}), at="update")
        surgeon = Surgeon(coordinates, [p], intervention=projection)
        optimizer = torch.optim.SGD([p], lr=0.1)
        surgeon.before()
        assert gradient(coordinates, "m").tolist() == [3.0 * sign, 4.0 * sign]
        optimizer.step()
        surgeon.after()
        assert p.detach().tolist() == pytest.approx(expected)
        assert surgeon.metrics["removed_share"] == pytest.approx(share)
        assert surgeon.metrics["fired_share"] == float(share > 0)


def test_a_projected_update_keeps_its_length_on_demand() -> None:
    coordinates = given(m=[3.0, 4.0])
    projection = Projection(
        toward({"m": torch.tensor([[1.0, 0.0]])}), at="update", preserve_norm=True
    )
    surgeon = Surgeon(coordinates, all_of(coordinates), intervention=projection)
    surgeon.before()
    torch.optim.SGD(all_of(coordinates), lr=0.1).step()
    surgeon.after()
    assert coordinates["m"][0].detach().tolist() == pytest.approx([0.0, -0.5])


# ---- refreshing, and state ------------------------------------------------------------------------
def drawn(seed: int, top_k: int = 3) -> Direction:
    differences = {name: noise(9, 8, seed=seed) + 1 for name in ("z", "b", "k", "a")}
    start = extract(
        differences, top_k=top_k, noise_floor=0.0, drop_quantile=0.0,
        adapter_kind="lora", basis_digest="b", pairs_digest="p", model_digest="m",
    )  # fmt: skip
    return start if seed == 0 else random_direction(start, seed)


def test_a_direction_is_refreshed_every_so_many_steps() -> None:
    made: list[Direction] = []

    def again() -> Direction:
        made.append(drawn(len(made) + 1))
        return made[-1]

    projection = Projection(drawn(0), top_k=2, refresh=again, refresh_every=3)
    start = projection.direction
    assert start.top_k == 2
    coordinates = given(**{n: noise(8, seed=3) for n in ("z", "b", "k", "a")})
    surgeon = Surgeon(coordinates, all_of(coordinates), intervention=projection)
    overlaps = [step(coordinates, surgeon)["overlap"] for _ in range(7)]
    assert [o is not None for o in overlaps] == [False, False, True, False, False, True, False]
    assert overlaps[2] == pytest.approx(overlap(start, made[0].truncated(2)))
    assert overlaps[5] == pytest.approx(overlap(made[0].truncated(2), made[1].truncated(2)))
    assert torch.equal(projection.direction.axes["k"], made[1].axes["k"][:2])
    with pytest.raises(ValueError, match="refresh_every needs refresh"):
        Projection(start, refresh_every=2)


def test_a_refreshed_direction_may_have_fewer_axes_than_asked_for() -> None:
    projection = Projection(drawn(0), top_k=3, refresh=lambda: drawn(0, top_k=2), refresh_every=1)
    projection.after_step({}, {})
    assert projection.direction.top_k == 2
    with pytest.raises(UserError, match="has 2 axes"):
        Projection(drawn(0, top_k=2), top_k=3)


def test_state_survives_the_disk_in_its_order(tmp_path: Path) -> None:
    first = Projection(drawn(0), refresh=lambda: drawn(5), refresh_every=2)
    coordinates = given(**{n: noise(8, seed=3) for n in ("z", "b", "k", "a")})
    surgeon = Surgeon(coordinates, all_of(coordinates), intervention=first)
    for _ in range(3):
        step(coordinates, surgeon)
    save_file(first.state(), tmp_path / "state.safetensors")
    second = Projection(drawn(0), refresh=lambda: drawn(6), refresh_every=2)
    second.load_state(load_file(tmp_path / "state.safetensors"))
    assert second.steps == 3
    assert list(second.direction.axes) == ["z", "b", "k", "a"], "sums depend on it"
    for part in ("axes", "values", "means"):
        for name, tensor in getattr(first.direction, part).items():
            assert torch.equal(getattr(second.direction, part)[name], tensor)
    surgeon.intervention = second
    assert step(coordinates, surgeon)["overlap"] == pytest.approx(overlap(drawn(5), drawn(6)))
    fixed = Projection(drawn(0))
    assert fixed.state() == {}
    fixed.load_state({})
