"""The merged LoRA forward against PEFT's own, and what the adapter promises."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft import PeftModel

from awry.errors import UserError
from awry.gradients.adapters import (
    Adapter,
    attach_full,
    attach_lora,
    basis_of,
    coordinates,
    lora_layers,
)
from awry.models import load_policy

IDS = torch.arange(3, 43).view(2, 20)


def moved(dtype: str, merged: bool) -> Adapter:
    """An adapter away from its start, the same for every dtype and forward."""
    torch.set_num_threads(1)
    policy = load_policy("tiny-random", dtype, keep_master=True)
    adapter = attach_lora(policy, r=4, alpha=8, seed=1, merged=merged)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for _, parameter in sorted(adapter.parameters.items()):
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    adapter.refresh()
    return adapter


def gradients(adapter: Adapter) -> dict[str, torch.Tensor]:
    adapter.policy.model(IDS).logits.float().log_softmax(-1)[..., 7].sum().backward()
    return {name: p.grad for name, p in adapter.parameters.items() if p.grad is not None}


def test_merged_gradients_are_those_of_the_branch() -> None:
    fast, slow = gradients(moved("float32", True)), gradients(moved("float32", False))
    assert fast.keys() == slow.keys()
    for name, expected in slow.items():
        assert torch.allclose(fast[name], expected, rtol=1e-4, atol=1e-5 * float(expected.norm()))


def test_bf16_gradients_are_close_to_fp32_ones() -> None:
    fast, slow = gradients(moved("bfloat16", True)), gradients(moved("float32", False))
    a = torch.cat([fast[n].flatten() for n in slow])
    b = torch.cat([slow[n].flatten() for n in slow])
    assert float((a - b).norm() / b.norm()) < 0.03


@pytest.mark.parametrize("merged", [True, False])
def test_autocast_gives_gradients_near_the_exact_ones(merged: bool) -> None:
    """As in a trainer that keeps fp32 weights and computes in bf16."""
    exact = gradients(moved("float32", merged))
    adapter = moved("float32", merged)
    with torch.autocast("cpu", torch.bfloat16):
        logits = adapter.policy.model(IDS).logits
    logits.float().log_softmax(-1)[..., 7].sum().backward()
    found = torch.cat([p.grad.flatten() for p in adapter.parameters.values() if p.grad is not None])
    expected = torch.cat([exact[name].flatten() for name in adapter.parameters])
    assert found.dtype == torch.float32
    assert float((found - expected).norm() / expected.norm()) < 0.03


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_untrained_adapter_is_bitwise_the_identity(dtype: str) -> None:
    expected = load_policy("tiny-random", dtype).model(IDS).logits
    policy = load_policy("tiny-random", dtype, keep_master=True)
    adapter = attach_lora(policy, r=4, alpha=8, merged=True)
    with torch.no_grad():
        assert torch.equal(policy.model(IDS).logits, expected)
        with adapter.reference() as base:
            assert torch.equal(base(IDS).logits, expected)


def test_reference_is_the_base_after_training() -> None:
    expected = load_policy("tiny-random", "bfloat16").model(IDS).logits
    adapter = moved("bfloat16", True)
    with torch.no_grad():
        assert not torch.equal(adapter.policy.model(IDS).logits, expected)
        with adapter.reference() as base:
            assert torch.equal(base(IDS).logits, expected)


def test_small_updates_are_not_swallowed_by_rounding() -> None:
    """An update far below half a bf16 unit moves the average weight by its own size."""
    policy = load_policy("tiny-random", "bfloat16", keep_master=True)
    adapter = attach_lora(policy, r=4, alpha=8, merged=True)
    name, layer = next(iter(lora_layers(policy.model).items()))
    before = layer.awry_merged.float().clone()
    wanted = torch.full_like(before, 2e-5)  # half a unit is 6e-5 where weights are 0.02
    with torch.no_grad():
        layer.lora_A["default"].weight.zero_()
        layer.lora_A["default"].weight[0] = 1.0
        layer.lora_B["default"].weight[:, 0] = 1e-5  # scale alpha / r = 2
    adapter.refresh()
    assert float((layer.awry_merged.float() - before).mean()) == pytest.approx(
        float(wanted.mean()), rel=0.2
    )
    assert name in adapter._master


def test_saved_adapter_is_an_ordinary_peft_adapter(tmp_path: Path) -> None:
    adapter = moved("float32", True)
    adapter.save(tmp_path)
    with torch.no_grad():
        expected = adapter.policy.model(IDS).logits
        other = PeftModel.from_pretrained(load_policy("tiny-random", "float32").model, tmp_path)
        assert torch.allclose(other(IDS).logits, expected, atol=1e-5)


def test_digest_sees_every_bit() -> None:
    adapter = moved("float32", True)
    before = adapter.digest()
    parameter = next(iter(adapter.parameters.values()))
    with torch.no_grad():
        parameter.view(-1)[0] = torch.nextafter(parameter.view(-1)[0], torch.tensor(9.0))
    assert adapter.digest() != before


def test_unknown_target_is_an_error() -> None:
    with pytest.raises(UserError, match="no adapter could be attached"):
        attach_lora(load_policy("tiny-random", "float32"), r=2, alpha=4, targets=("nope",))


def test_full_training_needs_float32() -> None:
    with pytest.raises(UserError, match="float32"):
        attach_full(load_policy("tiny-random", "bfloat16"), keep_reference=False)


def test_full_training_keeps_a_frozen_reference() -> None:
    adapter = attach_full(load_policy("tiny-random", "float32"), keep_reference=True)
    with torch.no_grad():
        expected = adapter.policy.model(IDS).logits.clone()
        next(iter(adapter.parameters.values())).add_(0.1)
        with adapter.reference() as base:
            assert torch.equal(base(IDS).logits, expected)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_lora_coordinates_are_known_by_base_and_draw(dtype: str) -> None:
    """The digest that binds a direction: the same for the same seed, from inside and outside."""
    digests = {}
    for name, seed, alpha in (
        ("one", 1, 8.0),
        ("again", 1, 8.0),
        ("two", 2, 8.0),
        ("scale", 1, 4.0),
    ):
        policy = load_policy("tiny-random", dtype, keep_master=True)
        adapter = attach_lora(policy, r=4, alpha=alpha, seed=seed)
        assert adapter.peft is not None
        assert basis_of(adapter.peft) == ("lora", adapter.basis_digest)
        digests[name] = adapter.basis_digest
    assert digests.pop("again") == digests["one"]
    assert len(set(digests.values())) == 3
    fewer = attach_lora(
        load_policy("tiny-random", dtype), r=4, alpha=8, seed=1, targets=("q_proj",)
    )
    assert fewer.basis_digest not in digests.values()


def test_coordinates_list_what_is_trained() -> None:
    adapter = attach_lora(load_policy("tiny-random", "float32"), r=4, alpha=8)
    assert len(adapter.modules) == 14
    name, parameters = next(iter(adapter.modules.items()))
    assert name == "model.layers.0.self_attn.q_proj"
    assert [p.shape for p in parameters] == [(4, 48), (48, 4)]
    listed = {id(p) for ps in adapter.modules.values() for p in ps}
    assert listed == {id(p) for p in adapter.parameters.values()}
    full = attach_full(load_policy("tiny-random", "float32"), keep_reference=False)
    assert not full.modules
    assert full.basis_digest is None
    with pytest.raises(UserError, match="no LoRA or singular-value adapter"):
        coordinates(full.policy.model)
