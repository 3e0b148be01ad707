"""Projection against loops over single numbers, the order of a step, and what is measured."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_adapters import IDS, attached, loss_of
from torch import Tensor
from torch.nn import Parameter

from awry.errors import UserError
from awry.gradients.directions import Direction, extract, overlap, random_direction
from awry.gradients.interventions import (
    Coordinates,
    Intervention,
    Mode,
    Place,
    Projection,
    Surgeon,
    attach,
    project,
)

MODES: tuple[Mode, ...] = ("one_sided", "two_sided", "reverse")


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def orthonormal(k: int, rank: int, seed: int = 0) -> Tensor:
    return torch.linalg.qr(noise(rank, k, seed=seed))[0].T.contiguous()


def toward(axes: dict[str, Tensor], **identity: str) -> Direction:
    ones = {name: torch.ones(len(v)) for name, v in axes.items()}
    identity = {"adapter_kind": "lora", "basis_digest": "b", "model_digest": "m"} | identity
    return Direction("extracted", pairs_digest="p", axes=axes, values=ones, means=ones, **identity)


def given(**gradients: list[float] | Tensor) -> dict[str, tuple[Parameter, ...]]:
    """One parameter per module, with this gradient."""
    found = {}
    for name, g in gradients.items():
        parameter = Parameter(torch.zeros(len(g)))
        parameter.grad = torch.as_tensor(g, dtype=torch.float32).clone()
        found[name] = (parameter,)
    return found


def all_of(coordinates: Coordinates) -> list[Parameter]:
    return [p for parameters in coordinates.values() for p in parameters]


def gradient(coordinates: Coordinates, name: str) -> Tensor:
    return torch.cat([p.grad.flatten() for p in coordinates[name] if p.grad is not None])


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
    for step in range(50):
        p.grad = scales * noise(rank, seed=step + 10) * 0.02 + bias
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


# ---- the order of a step --------------------------------------------------------------------------
class Spy(Intervention):
    """Notes what it is shown, and halves the gradient."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def before_step(self, coordinates: Coordinates) -> None:
        self.seen.append(("before", gradient(coordinates, "m").tolist()))
        coordinates["m"][0].grad.mul_(0.5)  # type: ignore[union-attr]

    def after_step(self, before: Mapping[str, Tensor], coordinates: Coordinates) -> None:
        self.seen.append(("after", before["m"].tolist(), coordinates["m"][0].tolist()))

    def metrics(self) -> dict[str, float | None]:
        return {"mine": 7.0}


def test_measure_then_intervene_then_clip_then_step_then_intervene() -> None:
    coordinates = given(m=[6.0, 8.0])
    (p,) = coordinates["m"]
    spy = Spy()
    surgeon = Surgeon(coordinates, [p], intervention=spy, max_grad_norm=1.0)
    surgeon.before()
    assert surgeon.metrics["grad_norm"] == pytest.approx(10.0)
    assert surgeon.metrics["grad_norm_projected"] == pytest.approx(5.0)
    assert gradient(coordinates, "m").tolist() == pytest.approx([0.6, 0.8], abs=1e-5)
    torch.optim.SGD([p], lr=1.0).step()
    surgeon.after()
    assert spy.seen[0] == ("before", [6.0, 8.0]), "not clipped yet"
    assert spy.seen[1][:2] == ("after", [0.0, 0.0])
    assert spy.seen[1][2] == pytest.approx([-0.6, -0.8], abs=1e-5)
    assert surgeon.metrics["mine"] == 7.0


def test_clipping_comes_after_the_projection() -> None:
    """(30, 4): clipped first, hardly anything would be left of the 4."""
    coordinates = given(m=[30.0, 4.0])
    projection = Projection(toward({"m": torch.tensor([[1.0, 0.0]])}))
    surgeon = Surgeon(coordinates, all_of(coordinates), intervention=projection, max_grad_norm=1.0)
    surgeon.before()
    assert gradient(coordinates, "m").tolist() == pytest.approx([0.0, 1.0], abs=1e-5)


def test_parameters_without_coordinates_are_clipped_with_the_others() -> None:
    coordinates = given(m=[3.0, 0.0])
    loose = Parameter(torch.zeros(1))
    loose.grad = torch.tensor([4.0])
    surgeon = Surgeon(coordinates, [*all_of(coordinates), loose], max_grad_norm=1.0)
    surgeon.before()
    assert surgeon.metrics == {"grad_norm": 5.0, "grad_norm_projected": 5.0}
    assert float(loose.grad) == pytest.approx(0.8, abs=1e-5)


# ---- what is measured, by hand --------------------------------------------------------------------
def two_modules() -> tuple[dict[str, tuple[Parameter, ...]], Direction]:
    """g_m = (3, 4) with v = (1, 0); g_n = (0, -2) with v = (0, 1); g_o = (5) without axes."""
    axes = {"m": torch.tensor([[1.0, 0.0]]), "n": torch.tensor([[0.0, 1.0]])}
    return given(m=[3.0, 4.0], n=[0.0, -2.0], o=[5.0]), toward(axes)


def step(coordinates: Coordinates, surgeon: Surgeon) -> dict[str, float | None]:
    surgeon.before()
    torch.optim.SGD(all_of(coordinates), lr=0.1).step()
    surgeon.after()
    return surgeon.metrics


def test_metrics_without_an_intervention() -> None:
    coordinates, meter = two_modules()
    found = step(coordinates, Surgeon(coordinates, all_of(coordinates), meter=meter))
    length = math.sqrt(9 + 16 + 4 + 25)
    expected = {
        "grad_norm": length,
        "grad_norm_projected": length,
        "direction_cosine_in": (3 / 5 - 1) / 2,
        "direction_cosine_out": (3 / 5 - 1) / 2,
        "direction_energy_in": (3 / 5 + 0) / 2,
        "direction_energy_out": (3 / 5 + 0) / 2,
        # the cosine of (3, 4, 0, -2, 5) with (1, 0, 0, 1, 0)
        "direction_leak": (3 - 2) / (length * math.sqrt(2)),
        "direction_leak_share": 3 / length,
    }
    assert found == pytest.approx(expected, abs=1e-6)


def test_metrics_of_a_one_sided_projection() -> None:
    coordinates, meter = two_modules()
    surgeon = Surgeon(coordinates, all_of(coordinates), intervention=Projection(meter), meter=meter)
    found = step(coordinates, surgeon)
    assert gradient(coordinates, "m").tolist() == [0.0, 4.0]
    assert gradient(coordinates, "n").tolist() == [0.0, -2.0]
    assert gradient(coordinates, "o").tolist() == [5.0]
    length = math.sqrt(16 + 4 + 25)
    expected = {
        "grad_norm": math.sqrt(54),
        "grad_norm_projected": length,
        "direction_cosine_in": (0.6 - 1) / 2,
        "direction_cosine_out": (0 - 1) / 2,
        "direction_energy_in": 0.3,
        "direction_energy_out": 0.0,
        "cosine_in": (0.6 - 1) / 2,
        "cosine_out": (0 - 1) / 2,
        "removed_share": 9 / (25 + 4),
        "fired_share": 0.5,
        "direction_leak": -2 / (length * math.sqrt(2)),
        "direction_leak_share": 0.0,
    }
    assert found.pop("overlap") is None
    assert found == pytest.approx(expected, abs=1e-6)


def test_a_placebo_is_measured_along_the_meter_and_along_itself() -> None:
    coordinates, meter = two_modules()
    placebo = toward({"m": torch.tensor([[0.0, 1.0]])})
    surgeon = Surgeon(
        coordinates, all_of(coordinates), intervention=Projection(placebo), meter=meter
    )
    found = step(coordinates, surgeon)
    assert found["cosine_in"] == pytest.approx(0.8)
    assert found["cosine_out"] == pytest.approx(0.0)
    assert found["direction_cosine_in"] == pytest.approx(-0.2)
    assert found["direction_cosine_out"] == pytest.approx((1 - 1) / 2)
    assert found["removed_share"] == pytest.approx(16 / 25)


def test_several_axes_weigh_by_the_mean_difference() -> None:
    axes = {"m": torch.eye(3)[:2]}
    direction = toward(axes)
    direction.means["m"] = torch.tensor([3.0, 4.0])  # principal (0.6, 0.8, 0)
    coordinates = given(m=[1.0, 2.0, 2.0])
    found = step(coordinates, Surgeon(coordinates, all_of(coordinates), meter=direction))
    assert found["direction_cosine_in"] == pytest.approx((0.6 + 1.6) / 3)
    assert found["direction_energy_in"] == pytest.approx(math.sqrt(5) / 3)
    assert found["direction_leak"] == pytest.approx((0.6 + 1.6) / 3, abs=1e-6)
    assert found["direction_leak_share"] == pytest.approx(math.sqrt(5) / 3, abs=1e-6)


def test_a_module_of_two_matrices_is_flattened_in_order() -> None:
    a, b = Parameter(torch.zeros(2, 2)), Parameter(torch.zeros(1, 2))
    a.grad = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    coordinates: Coordinates = {"m": (a, b)}  # B has no gradient yet
    v = torch.zeros(1, 6)
    v[0, 2] = 1.0
    projection = Projection(toward({"m": v}))
    Surgeon(coordinates, [a, b], intervention=projection).before()
    assert a.grad.tolist() == [[1.0, 2.0], [0.0, 4.0]]
    assert b.grad is None or not b.grad.any()


def test_modules_without_any_gradient_are_passed_over() -> None:
    coordinates, meter = two_modules()
    coordinates["n"][0].grad = None
    surgeon = Surgeon(coordinates, all_of(coordinates), intervention=Projection(meter), meter=meter)
    found = step(coordinates, surgeon)
    assert found["direction_cosine_in"] == pytest.approx(0.6)
    assert found["fired_share"] == 1.0
    for p in all_of(coordinates):
        p.grad = None
    found = step(coordinates, surgeon)
    assert found["grad_norm"] == 0.0
    assert found["direction_leak"] is None
    assert "direction_cosine_in" not in found
    assert (found["removed_share"], found["fired_share"]) == (0.0, 0.0)


def test_an_unknown_module_is_named() -> None:
    coordinates, _ = two_modules()
    elsewhere = Projection(toward({"elsewhere": torch.eye(2)[:1]}))
    with pytest.raises(UserError, match="module that has no adapter") as caught:
        Surgeon(coordinates, all_of(coordinates), intervention=elsewhere).before()
    assert caught.value.value == "elsewhere"


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


def test_the_protocol_itself_changes_nothing() -> None:
    idle = Intervention()
    coordinates, _ = two_modules()
    before = {n: gradient(coordinates, n) for n in coordinates}
    advantages = torch.tensor([1.0, -1.0])
    idle.on_rollouts([])
    assert idle.on_advantages(advantages, []) is advantages
    found = step(coordinates, Surgeon(coordinates, all_of(coordinates), intervention=idle))
    assert set(found) == {"grad_norm", "grad_norm_projected"}
    for name, g in before.items():
        assert torch.equal(gradient(coordinates, name), g)
    assert idle.state() == {}
    idle.load_state({})


# ---- in somebody else's loop -----------------------------------------------------------------------
def ready(kind: str = "singular_values") -> tuple[Any, torch.optim.Optimizer, Direction]:
    adapter = attached(kind, merged=False, by=0)  # LoRA coordinates are those of its A
    differences = {
        name: noise(4, sum(p.numel() for p in parameters), seed=i)
        for i, (name, parameters) in enumerate(adapter.modules.items())
    }
    direction = extract(
        differences, top_k=2, noise_floor=0.0, drop_quantile=0.25, adapter_kind=kind,
        basis_digest=str(adapter.basis_digest), pairs_digest="p", model_digest="m",
    )  # fmt: skip
    optimizer = torch.optim.AdamW(list(adapter.parameters.values()), 1e-3)
    return adapter, optimizer, direction


def ordinary_step(adapter: Any, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    loss_of(adapter.policy.model(IDS).logits).backward()
    optimizer.step()


@pytest.mark.parametrize("kind", ["singular_values", "lora"])
def test_attached_to_an_optimizer(kind: str) -> None:
    adapter, optimizer, direction = ready(kind)
    attachment = attach(
        optimizer, Projection(direction, at="both"), model=adapter.peft, max_grad_norm=0.5
    )
    for _ in range(2):
        ordinary_step(adapter, optimizer)
    assert len(attachment.history) == 2
    found = attachment.metrics
    assert found["fired_share"] == pytest.approx(1.0, abs=0.3)
    assert found["grad_norm"] > found["grad_norm_projected"] > 0.5  # type: ignore[operator]
    assert found["direction_energy_out"] == pytest.approx(0, abs=1e-5)
    assert found["direction_leak_share"] <= 1e-6  # type: ignore[operator]
    norm = math.sqrt(sum(float(p.grad.square().sum()) for p in adapter.parameters.values()))
    assert norm == pytest.approx(0.5, abs=1e-4), "clipped after it was projected"

    # the same as the surgeon itself, called by hand around the same steps
    other, second, again = ready(kind)
    surgeon = Surgeon(
        other.modules, list(other.parameters.values()),
        intervention=Projection(again, at="both"), meter=again, max_grad_norm=0.5,
    )  # fmt: skip
    for row in attachment.history:
        second.zero_grad()
        loss_of(other.policy.model(IDS).logits).backward()
        surgeon.before()
        second.step()
        surgeon.after()
        assert surgeon.metrics == row
    assert other.digest() == adapter.digest()

    attachment.detach()
    ordinary_step(adapter, optimizer)
    assert len(attachment.history) == 2


def test_attached_to_measure_only() -> None:
    adapter, optimizer, direction = ready()
    attachment = attach(optimizer, None, model=adapter.peft, meter=direction)
    plain, second, _ = ready()
    ordinary_step(adapter, optimizer)
    ordinary_step(plain, second)
    assert adapter.digest() == plain.digest()
    assert attachment.metrics["direction_cosine_in"] == attachment.metrics["direction_cosine_out"]


def test_what_cannot_be_attached() -> None:
    adapter, optimizer, direction = ready()
    with pytest.raises(UserError, match="does not know its modules"):
        attach(optimizer, Projection(direction))
    with pytest.raises(UserError, match="does not see single completions"):
        attach(optimizer, Projection(direction), model=adapter.peft, per_sample=True)
    lora = attached("lora")
    with pytest.raises(UserError, match="another kind of adapter"):
        attach(optimizer, Projection(direction), model=lora.peft)
    fewer = attached("singular_values", targets=("q_proj",))
    with pytest.raises(UserError, match="another model or adapter"):
        attach(optimizer, Projection(direction), model=fewer.peft)
    with pytest.raises(UserError, match="another model or adapter"):
        attach(optimizer, None, meter=direction, model=fewer.peft)
    twin = attached("singular_values")
    with pytest.raises(UserError, match="does not train this model's adapter"):
        attach(optimizer, Projection(direction), model=twin.peft)
    with pytest.raises(UserError, match="no LoRA or singular-value adapter"):
        attach(optimizer, None, model=torch.nn.Linear(2, 2))
