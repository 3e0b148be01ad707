"""The order of a step, what is measured of it by hand, and the way into other people's loops."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from small_adapters import IDS, attached, loss_of
from small_directions import noise
from small_steps import all_of, given, gradient, step, toward, two_modules
from torch import Tensor
from torch.nn import Parameter

from awry.errors import UserError
from awry.gradients.directions import Direction, extract
from awry.gradients.interventions import Coordinates, Intervention, Projection, Surgeon, attach


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
