"""Several adapters on one basis, merging, rank, and layers the adapter cannot be put on."""

from __future__ import annotations

import pytest
import torch
from peft import get_peft_model
from small_adapters import distance
from small_nets import Net, dense, inputs, spread, wrapped
from torch import nn
from transformers.pytorch_utils import Conv1D

from awry.errors import UserError
from awry.gradients.adapters import attach_singular_values
from awry.gradients.singular import SingularValueConfig, layers_of
from awry.models import load_policy


# ---- several adapters ------------------------------------------------------------------------------
@pytest.mark.parametrize("merged", [True, False])
def test_adapters_share_a_basis_and_add_up(merged: bool) -> None:
    model = wrapped(r=2)
    model.add_adapter("evil", SingularValueConfig(target_modules=["a", "b"]))
    spread(model, "default", seed=0)
    spread(model, "evil", seed=1)
    x = inputs()
    for layer in layers_of(model).values():
        layer.merged_forward = merged
        assert layer.singular_rank == {"default": 2, "evil": layer.basis_u.shape[1]}
    assert layers_of(model)["a"].basis_u.shape == (10, 6)
    assert distance(model(x), dense(Net(), model)(x)) < 1e-5

    model.base_model.set_adapter(["default", "evil"])
    both = model(x)
    assert distance(both, dense(Net(), model, ("default", "evil"))(x)) < 1e-5
    both.sum().backward()
    for layer in layers_of(model).values():
        first, second = layer.singular_delta["default"].grad, layer.singular_delta["evil"].grad
        assert first is not None
        assert second is not None
        assert torch.equal(first, second[:2])

    model.set_adapter("default")  # evil is ablated
    assert distance(model(x), dense(Net(), model)(x)) < 1e-5
    assert not layers_of(model)["a"].singular_delta["evil"].requires_grad
    model.set_adapter("evil")
    assert distance(model(x), dense(Net(), model, ("evil",))(x)) < 1e-5
    with model.disable_adapter():
        assert torch.equal(model(x), Net()(x))


def test_a_second_adapter_of_the_same_rank_takes_no_further_basis() -> None:
    model = wrapped()
    before = {n: layer.basis_u.data_ptr() for n, layer in layers_of(model).items()}
    model.add_adapter("evil", SingularValueConfig(target_modules=["a", "b"], r=3))
    assert before == {n: layer.basis_u.data_ptr() for n, layer in layers_of(model).items()}


def test_adapters_on_different_modules() -> None:
    model = wrapped(target_modules=["a"])
    model.add_adapter("evil", SingularValueConfig(target_modules=["b"]))
    spread(model, "evil")
    assert torch.equal(model(inputs()), Net()(inputs()))
    model.base_model.set_adapter(["default", "evil"])
    assert not torch.allclose(model(inputs()), Net()(inputs()))
    model.delete_adapter("evil")
    assert torch.equal(model(inputs()), Net()(inputs()))


# ---- merging -------------------------------------------------------------------------------------
@pytest.mark.filterwarnings("ignore:Already following adapters were merged")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_unmerge_restores_every_bit(dtype: torch.dtype) -> None:
    x = inputs(dtype=dtype)
    net = Net(dtype)
    before = {n: p.clone() for n, p in net.named_parameters()}
    model = wrapped(net)
    model.add_adapter("evil", SingularValueConfig(target_modules=["a", "b"]))
    spread(model)
    spread(model, "evil", seed=4)
    for _ in range(3):
        expected = model(x)
        model.merge_adapter()
        assert torch.allclose(model(x), expected, atol=1e-6 if dtype == torch.float32 else 0.05)
        model.merge_adapter(["evil"])  # on top of the first
        both = dense(Net(), model, ("default", "evil"))(inputs())
        assert torch.allclose(model(x).float(), both, atol=1e-5 if dtype == torch.float32 else 0.1)
        model.unmerge_adapter()
        for name in ("a", "b"):
            base = layers_of(model)[name].get_base_layer()
            assert torch.equal(base.weight, before[f"{name}.weight"])
            assert torch.equal(base.bias, before[f"{name}.bias"])
        assert torch.equal(model(x), expected)


def test_disabling_a_merged_adapter_gives_the_base_back() -> None:
    model = wrapped()
    spread(model)
    model.merge_adapter()
    with model.disable_adapter():
        assert torch.equal(model(inputs()), Net()(inputs()))


def test_safe_merge_leaves_a_broken_adapter_out() -> None:
    model = wrapped()
    with torch.no_grad():
        layers_of(model)["b"].singular_delta["default"][0] = torch.nan
    with pytest.raises(ValueError, match="NaNs detected in the merged weights"):
        model.merge_adapter(safe_merge=True)
    layer = layers_of(model)["b"]
    assert torch.equal(layer.get_base_layer().weight, Net().b.weight)
    assert not layer.merged


def test_merge_and_unload_gives_plain_layers() -> None:
    model = wrapped()
    spread(model)
    expected = model(inputs())
    plain = model.merge_and_unload()
    assert type(plain.a) is nn.Linear
    assert type(plain.b) is nn.Linear
    assert not layers_of(plain)
    assert distance(plain(inputs()), expected) < 1e-5
    assert plain.state_dict().keys() == Net().state_dict().keys()

    model = wrapped()
    spread(model)
    plain = model.unload()
    assert torch.equal(plain(inputs()), Net()(inputs()))


# ---- rank --------------------------------------------------------------------------------------
def test_top_r_are_the_largest_singular_directions() -> None:
    model = wrapped(r=3)
    for name, layer in layers_of(model).items():
        weight = getattr(Net(), name).weight.detach()
        u, s, v = torch.linalg.svd(weight)
        d = layer.singular_delta["default"]
        assert d.shape == (3,)
        with torch.no_grad():
            d.copy_(-s[:3])
        # taking the three largest away leaves the rest
        rest = (u[:, 3 : len(s)] * s[3:]) @ v[3 : len(s)]
        assert torch.allclose(weight + layer.get_delta_weight("default"), rest, atol=1e-6)
    assert distance(model(inputs()), dense(Net(), model)(inputs())) < 1e-5


def test_a_rank_beyond_the_matrix_is_its_full_rank() -> None:
    model = wrapped(r=1000)
    assert {n: r.singular_rank["default"] for n, r in layers_of(model).items()} == {"a": 6, "b": 4}
    for wrong in (0, -1):
        with pytest.raises(UserError, match="at least 1"):
            SingularValueConfig(r=wrong)


# ---- what it cannot be put on ----------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["embedding", "conv1d"])
def test_other_layers_are_named_in_the_error(kind: str) -> None:
    model = nn.Sequential(nn.Embedding(5, 6) if kind == "embedding" else Conv1D(4, 6))
    with pytest.raises(
        ValueError, match=r"Target module 0 \((Embedding|Conv1D)\) is not supported"
    ):
        get_peft_model(model, SingularValueConfig(target_modules=["0"]))


@pytest.mark.filterwarnings("ignore:.*tie_word_embeddings")
@pytest.mark.parametrize("target", ["embed_tokens", "no_such_module"])
def test_useless_targets_are_one_clear_error(target: str) -> None:
    with pytest.raises(UserError, match="no adapter could be attached") as caught:
        attach_singular_values(load_policy("tiny-random", "float32"), targets=(target,))
    assert caught.value.field == "model.adapter.targets"
    assert caught.value.value == (target,)


def test_layers_to_transform_needs_a_list_of_names() -> None:
    with pytest.raises(UserError, match="list of module names"):
        SingularValueConfig(layers_to_transform=[0])
    policy = load_policy("tiny-random", "float32")
    config = SingularValueConfig(target_modules=["q_proj"], layers_to_transform=[1])
    model = get_peft_model(policy.model, config)
    assert list(layers_of(model)) == ["model.layers.1.self_attn.q_proj"]
