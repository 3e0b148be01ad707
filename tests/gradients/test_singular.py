"""The singular-value adapter against dense linear algebra and against its own two forwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors import safe_open
from small_adapters import IDS, attached, distance, gradients, loss_of, move
from small_nets import Net, dense, inputs, spread, wrapped

from awry.errors import UserError
from awry.gradients import singular
from awry.gradients.adapters import Adapter, attach_singular_values
from awry.gradients.singular import SingularValueLinear, layers_of
from awry.models import load_policy


# ---- the start -------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("merged", [True, False])
@pytest.mark.parametrize("keep_master", [True, False])
def test_untrained_is_bitwise_the_identity(dtype: str, merged: bool, keep_master: bool) -> None:
    expected = load_policy("tiny-random", dtype).model(IDS).logits
    policy = load_policy("tiny-random", dtype, keep_master=keep_master)
    adapter = attach_singular_values(policy, merged=merged)
    assert torch.equal(policy.model(IDS).logits, expected)
    with torch.no_grad():
        assert torch.equal(policy.model(IDS).logits, expected)
        with adapter.reference() as base:
            assert torch.equal(base(IDS).logits, expected)
        move(adapter)
        assert not torch.equal(policy.model(IDS).logits, expected)
        with adapter.reference() as base:
            assert torch.equal(base(IDS).logits, expected)


def test_merged_where_the_base_is_known_exactly() -> None:
    assert attached("singular_values", dtype="float32").merged
    assert attached("singular_values", dtype="bfloat16").merged  # fp32 originals kept
    policy = load_policy("tiny-random", "bfloat16")
    assert not attach_singular_values(policy).merged


# ---- both forwards, and the gradient ---------------------------------------------------------
def test_merged_and_branch_agree() -> None:
    fast = attached("singular_values", merged=True)
    slow = attached("singular_values", merged=False)
    with torch.no_grad():
        expected = slow.policy.model(IDS).logits
        assert distance(fast.policy.model(IDS).logits, expected) < 1e-5
    assert distance(fast.policy.model(IDS).logits, expected) < 1e-5
    found, wanted = gradients(fast), gradients(slow)
    assert found.keys() == wanted.keys()
    for name, expected in wanted.items():
        assert distance(found[name], expected) < 1e-5, name


@pytest.mark.parametrize("merged", [True, False])
def test_gradient_is_the_diagonal_of_the_dense_one(merged: bool) -> None:
    """d loss / d dS = diag(U^T G V^T), G the gradient of an ordinary weight W + U diag(dS) V."""
    adapter = attached("singular_values", merged=merged)
    found = gradients(adapter)
    plain = load_policy("tiny-random", "float32").model
    weights = {}
    for name, layer in layers_of(adapter.policy.model).items():
        linear = plain.get_submodule(name)
        linear.weight.data += layer.get_delta_weight("default")
        weights[name] = linear.weight.requires_grad_()
    loss_of(plain(IDS).logits).backward()
    assert len(weights) == 14
    for name, weight in weights.items():
        layer = layers_of(adapter.policy.model)[name]
        expected = torch.diagonal(layer.basis_u.T @ weight.grad @ layer.basis_v.T)
        key = next(n for n in found if f".{name}." in n)
        assert distance(found[key], expected) < 1e-5, name


def test_bf16_gradients_are_close_to_fp32_ones() -> None:
    slow = gradients(attached("singular_values", merged=False))
    expected = torch.cat(list(slow.values()))
    for merged in (True, False):
        fast = gradients(attached("singular_values", merged=merged, dtype="bfloat16"))
        assert distance(torch.cat([fast[n].float() for n in slow]), expected) < 0.03


def test_forward_is_that_of_the_dense_weight_with_bias() -> None:
    for merged in (True, False):
        model = wrapped()
        spread(model)
        for layer in layers_of(model).values():
            layer.merged_forward = merged
        expected = dense(Net(), model)(inputs())
        assert distance(model(inputs()), expected) < 1e-5
        assert distance(model(inputs()[0]), expected[0]) < 1e-5, "one vector is a batch too"
        model(inputs()[0]).sum().backward()


@pytest.mark.parametrize("merged", [True, False])
def test_autocast_gives_gradients_near_the_exact_ones(merged: bool) -> None:
    exact = gradients(attached("singular_values", merged=merged))
    adapter = attached("singular_values", merged=merged)
    with torch.autocast("cpu", torch.bfloat16):
        loss = loss_of(adapter.policy.model(IDS).logits)
    loss.backward()
    found = torch.cat([p.grad for p in adapter.parameters.values()])  # type: ignore[arg-type]
    assert found.dtype == torch.float32
    assert distance(found, torch.cat(list(exact.values()))) < 0.03


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*deprecated")
@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("merged", [True, False])
def test_gradient_checkpointing_changes_nothing(reentrant: bool, merged: bool) -> None:
    expected = gradients(attached("singular_values", merged=merged))
    adapter = attached("singular_values", merged=merged)
    model = adapter.policy.model
    model.train()
    model.gradient_checkpointing_enable({"use_reentrant": reentrant})
    model.enable_input_require_grads()
    assert model.is_gradient_checkpointing
    loss_of(model(IDS).logits).backward()
    for name, parameter in adapter.parameters.items():
        assert parameter.grad is not None
        assert distance(parameter.grad, expected[name]) < 1e-6


# ---- staleness ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "make",
    [
        lambda ps: torch.optim.SGD(ps, 0.1),
        lambda ps: torch.optim.AdamW(ps, 0.01, foreach=False),
        lambda ps: torch.optim.AdamW(ps, 0.01, foreach=True),
        lambda ps: torch.optim.AdamW(ps, 0.01, fused=True),
    ],
    ids=["sgd", "adamw", "foreach", "fused"],
)
def test_merged_forward_sees_an_optimizer_step_by_itself(make: Any) -> None:
    adapter = attached("singular_values", merged=True)
    optimizer = make(list(adapter.parameters.values()))
    for _ in range(2):
        optimizer.zero_grad()
        loss_of(adapter.policy.model(IDS).logits).backward()
        optimizer.step()
        with torch.no_grad():
            seen = adapter.policy.model(IDS).logits
            adapter.refresh()
            assert torch.equal(seen, adapter.policy.model(IDS).logits)


def test_effective_weight_is_rebuilt_from_the_pristine_one() -> None:
    """A thousand small steps there and back leave no trace of rounding."""
    adapter = attached("singular_values", merged=True, dtype="bfloat16", by=0)
    layer = next(iter(layers_of(adapter.policy.model).values()))
    start = layer.effective.clone()
    d = next(iter(adapter.parameters.values()))
    with torch.no_grad():
        for sign in (1, -1):
            for _ in range(100):
                d.add_(sign * 2.0**-10)
                layer.refresh()
            assert torch.equal(layer.effective, start) == (sign < 0)


def test_small_updates_are_not_swallowed_by_rounding() -> None:
    """A change far below half a bf16 unit still moves the average weight by its own size."""
    adapter = attached("singular_values", merged=True, dtype="bfloat16", by=0)
    layer = next(iter(layers_of(adapter.policy.model).values()))
    u, v = layer.basis_u[:, 0].float(), layer.basis_v[0].float()
    wanted = 2e-4 * torch.outer(u, v)
    before = layer.effective.float().clone()
    with torch.no_grad():
        layer.singular_delta["default"][0] = 2e-4
    layer.refresh()
    moved = layer.effective.float() - before
    along = float((moved * wanted).sum() / wanted.square().sum())
    assert along == pytest.approx(1, abs=0.35)
    assert float(wanted.abs().max()) < 2.0**-13, "or the test says nothing"


def test_a_model_moved_to_another_type_is_built_anew() -> None:
    adapter = attached("singular_values", merged=True, dtype="bfloat16")
    expected = attached("singular_values", merged=True).policy.model(IDS).logits
    with torch.no_grad():
        adapter.policy.model(IDS)
        adapter.policy.model.float()
        assert distance(adapter.policy.model(IDS).logits, expected) < 0.02


# ---- files ---------------------------------------------------------------------------------------
def test_round_trip_is_exact_and_holds_deltas_only(tmp_path: Path) -> None:
    adapter = attached("singular_values", merged=False)
    adapter.save(tmp_path)
    with safe_open(tmp_path / "adapter_model.safetensors", "pt") as file:
        names = list(file.keys())
    assert len(names) == 14
    assert all(name.endswith("singular_delta") for name in names)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert config["peft_type"] == singular.PEFT_TYPE
    assert config["basis_digest"] == adapter.basis_digest
    again = PeftModel.from_pretrained(load_policy("tiny-random", "float32").model, tmp_path)
    with torch.no_grad():
        assert torch.equal(again(IDS).logits, adapter.policy.model(IDS).logits)
    for name, parameter in again.named_parameters():
        if "singular_delta" in name:
            assert torch.equal(parameter, adapter.parameters[name])
            assert not parameter.requires_grad
    base = load_policy("tiny-random", "float32").model
    trainable = PeftModel.from_pretrained(base, tmp_path, is_trainable=True)
    names = [n for n, p in trainable.named_parameters() if p.requires_grad]
    assert sorted(names) == sorted(adapter.parameters)


def test_another_base_is_refused(tmp_path: Path) -> None:
    attached("singular_values").save(tmp_path)
    other = load_policy("tiny-random", "float32").model
    other.get_submodule("model.layers.1.mlp.up_proj").weight.data[3, 4] += 1e-6
    with pytest.raises(UserError, match="trained on another base") as caught:
        PeftModel.from_pretrained(other, tmp_path)
    assert caught.value.field == "basis_digest"
    with pytest.raises(UserError, match="trained on another base"):
        PeftModel.from_pretrained(load_policy("tiny-random", "bfloat16").model, tmp_path)


def test_another_rank_is_another_basis() -> None:
    digests = [attached("singular_values", r=r, by=0).basis_digest for r in (None, 8, 8)]
    assert digests[0] != digests[1] == digests[2]


# ---- the cache ---------------------------------------------------------------------------------
def test_a_second_attach_reads_the_decomposition(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWRY_CACHE", str(tmp_path))
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(singular.CACHED_FROM // 128, 128, generator=generator)
    small = weight[:10]
    calls = []
    real = torch.linalg.svd

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        return real(*args, **kwargs)

    monkeypatch.setattr(torch.linalg, "svd", counted)
    first = singular.decompose(weight)
    (file,) = (tmp_path / "svd").iterdir()
    second = singular.decompose(weight)
    assert len(calls) == 1
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a, b)
    u, s, v = second
    assert torch.allclose((u * s) @ v, weight, atol=1e-4)
    for damage in (b"", b"not a file", file.read_bytes()[:-100]):
        file.unlink()  # what was read may still be mapped
        file.write_bytes(damage)
        calls.clear()
        assert torch.equal(singular.decompose(weight)[1], s)
        assert len(calls) == 1
        assert torch.equal(singular.decompose(weight)[1], s)
        assert len(calls) == 1, "and the file is whole again"
    singular.decompose(small)
    assert [f.name for f in (tmp_path / "svd").iterdir()] == [file.name], "small ones are not kept"
    singular.decompose(weight + 1)
    assert len(list((tmp_path / "svd").iterdir())) == 2


def test_a_cache_that_cannot_be_written_only_costs_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AWRY_CACHE", str(tmp_path / "file"))
    weight = torch.eye(256)
    assert torch.allclose(singular.decompose(weight)[1], torch.ones(256))


def test_original_weights_are_the_basis_of_a_rounded_model() -> None:
    exact = attached("singular_values", dtype="float32", by=0)
    rounded = attached("singular_values", dtype="bfloat16", by=0)
    assert exact.basis_digest == rounded.basis_digest
    bare = attach_singular_values(load_policy("tiny-random", "bfloat16"))
    assert bare.basis_digest != exact.basis_digest
    assert isinstance(bare, Adapter)
    layer = next(iter(layers_of(rounded.policy.model).values()))
    assert isinstance(layer, SingularValueLinear)
    assert layer.master.dtype == torch.float32
