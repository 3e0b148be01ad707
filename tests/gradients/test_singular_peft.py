"""What PEFT's own suite asks of every tuner, asked of ours in short: on a small net and a Llama.

PEFT 0.21.2's generic checks (testing_common.py, test_custom_models.py) pass on it but for one, on
purpose: `autocast_adapter_dtype=False` does not round dS to the model's half precision.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import (
    PeftConfig,
    PeftModel,
    get_peft_model,
    get_peft_model_state_dict,
    inject_adapter_in_model,
    set_peft_model_state_dict,
)
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import load_file
from small_adapters import IDS
from torch import Tensor, nn

from awry.gradients.singular import PEFT_TYPE, SingularValueConfig, layers_of
from awry.models import load_policy

TARGETS: list[dict[str, Any]] = [
    {"target_modules": ["lin0"]},
    {"target_modules": "lin1"},
    {"target_modules": ["lin0", "lin1"], "r": 3},
    {"target_modules": ["lin0"], "modules_to_save": ["lin1"]},
]
X = torch.arange(90).view(9, 10)


class MLP(nn.Module):
    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.lin0, self.lin1 = nn.Linear(10, 20), nn.Linear(20, 2)
        self.drop = nn.Dropout(0.5)
        self.to(dtype)
        self.dtype = dtype

    def forward(self, x: Tensor) -> Tensor:
        return self.lin1(self.drop(torch.relu(self.lin0(x.to(self.dtype))))).log_softmax(-1)


def tuned(options: dict[str, Any], *, seed: int | None = 1, **more: Any) -> PeftModel:
    """An MLP with the adapter, away from its start unless seed is None, in evaluation mode."""
    model = get_peft_model(MLP(), SingularValueConfig(**options), **more)
    if seed is not None:
        shake(model, seed)
    return model.eval()  # type: ignore[return-value]


def shake(model: nn.Module, seed: int = 1, adapter: str = "default") -> None:
    generator = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        if f".{adapter}" in name:
            p.data += torch.randn(p.shape, generator=generator) * 0.5


def ours(model: nn.Module) -> dict[str, Tensor]:
    return {n: p for n, p in model.named_parameters() if "singular_" in n}


# ---- the shape of the thing ------------------------------------------------------------------
@pytest.mark.parametrize("options", TARGETS)
def test_only_the_adapter_is_trained_and_the_loss_falls(options: dict[str, Any]) -> None:
    model = tuned(options, seed=None)
    trained = {n for n, p in model.named_parameters() if p.requires_grad}
    assert trained
    assert all("singular_delta" in n or "modules_to_save" in n for n in trained)
    before = {n: p.clone() for n, p in model.named_parameters()}
    optimizer = torch.optim.SGD((p for p in model.parameters() if p.requires_grad), 1e-3)
    losses = []
    for _ in range(4):
        optimizer.zero_grad()
        loss = -model(X)[:, 0].mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0]
    for name, p in model.named_parameters():
        assert torch.equal(p, before[name]) == (name not in trained), name


def test_layers_tell_their_sizes_and_their_names(capsys: pytest.CaptureFixture[str]) -> None:
    model = tuned({"target_modules": ["lin0", "lin1"], "r": 4}, adapter_name="my-adapter")
    layers = [m for m in model.modules() if isinstance(m, BaseTunerLayer)]
    assert [(m.in_features, m.out_features) for m in layers] == [(10, 20), (20, 2)]
    assert [m.weight.shape for m in layers] == [(20, 10), (2, 20)]
    assert all("my-adapter" in name for name in ours(model))
    assert model.get_nb_trainable_parameters()[0] == 4 + 2
    model.print_trainable_parameters()
    assert "trainable params: 6 || all params: 268" in capsys.readouterr().out
    assert "SingularValueLinear" in repr(model)
    assert str(model.active_peft_config.peft_type.value) == PEFT_TYPE


@pytest.mark.parametrize("options", TARGETS)
def test_state_dict_keys(options: dict[str, Any]) -> None:
    model = tuned(options)
    kept = get_peft_model_state_dict(model)
    wanted = options["target_modules"]
    wanted = [wanted] if isinstance(wanted, str) else wanted
    keys = {f"base_model.model.{name}.singular_delta" for name in wanted}
    for name in options.get("modules_to_save", []):
        keys |= {f"base_model.model.{name}.{kind}" for kind in ("weight", "bias")}
    assert set(kept) == keys
    basis = [n for n in model.state_dict() if "basis" in n or "effective" in n or "packed" in n]
    assert not basis, "what can be recomputed is not kept"


# ---- save and load -----------------------------------------------------------------------------
@pytest.mark.parametrize("options", TARGETS)
@pytest.mark.parametrize("safe", [True, False])
@pytest.mark.parametrize("low_cpu_mem_usage", [True, False])
def test_save_and_load(
    options: dict[str, Any], safe: bool, low_cpu_mem_usage: bool, tmp_path: Path
) -> None:
    model = tuned(options)
    expected = model(X)
    assert not torch.allclose(expected, MLP().eval()(X))
    model.save_pretrained(str(tmp_path), safe_serialization=safe)
    files = {f.name for f in tmp_path.iterdir()}
    weights = "adapter_model.safetensors" if safe else "adapter_model.bin"
    assert files == {"README.md", "adapter_config.json", weights}
    again = PeftModel.from_pretrained(MLP(), tmp_path, low_cpu_mem_usage=low_cpu_mem_usage)
    assert torch.equal(again(X), expected)
    assert {p.device.type for p in again.parameters()} == {"cpu"}
    assert not any(p.requires_grad for p in again.parameters()), "inference mode"
    assert not again.training


def test_state_dict_goes_into_a_model_with_the_adapter_injected() -> None:
    config = SingularValueConfig(target_modules=["lin0"])
    first = inject_adapter_in_model(config, MLP()).eval()
    shake(first)
    second = inject_adapter_in_model(SingularValueConfig(target_modules=["lin0"]), MLP()).eval()
    found = set_peft_model_state_dict(second, get_peft_model_state_dict(first))
    assert not found.unexpected_keys
    assert torch.equal(first(X), second(X))


def test_loaded_with_a_configuration_of_ones_own(tmp_path: Path) -> None:
    model = tuned({"target_modules": ["lin0"], "r": 4})
    model.save_pretrained(str(tmp_path))
    read = PeftConfig.from_pretrained(tmp_path)
    assert isinstance(read, SingularValueConfig)
    assert (read.r, read.target_modules, read.inference_mode) == (4, {"lin0"}, True)
    own = SingularValueConfig.from_pretrained(tmp_path, inference_mode=False)
    again = PeftModel.from_pretrained(MLP(), tmp_path, config=own, is_trainable=True).eval()
    assert again.peft_config["default"] is own
    assert torch.equal(again(X), model(X))
    assert all(p.requires_grad for p in ours(again).values())


def test_chosen_adapters_are_saved_and_names_within_names_do_not_mix(tmp_path: Path) -> None:
    model = tuned({"target_modules": ["lin0"]})
    for seed, name in enumerate(("default0", "evil", "evil2")):
        model.add_adapter(name, SingularValueConfig(target_modules=["lin0"]))
        shake(model, seed + 5, name)
    model.save_pretrained(str(tmp_path), selected_adapters=["evil", "evil2"])
    assert {f.name for f in tmp_path.iterdir() if f.is_dir()} == {"evil", "evil2"}
    again = PeftModel.from_pretrained(MLP(), tmp_path / "evil", adapter_name="evil")
    again.load_adapter(tmp_path / "evil2", "evil2")
    for name in ("evil", "evil2"):
        (kept,) = load_file(tmp_path / name / "adapter_model.safetensors").values()
        assert torch.equal(kept, layers_of(model)["lin0"].singular_delta[name])
        again.set_adapter(name)
        model.set_adapter(name)
        assert torch.equal(again(X), model(X))


# ---- merge, disable, delete, unload -----------------------------------------------------------
@pytest.mark.parametrize("options", TARGETS)
@pytest.mark.parametrize("safe_merge", [True, False])
def test_merging(options: dict[str, Any], safe_merge: bool) -> None:
    model = tuned(options)
    expected = model(X)
    model.merge_adapter(safe_merge=safe_merge)
    assert torch.allclose(model(X), expected, atol=1e-4)
    model.unmerge_adapter()
    assert torch.equal(model(X), expected)
    merged = model.merge_and_unload(safe_merge=safe_merge)
    assert torch.allclose(merged(X), expected, atol=1e-4)
    assert merged.state_dict().keys() == MLP().state_dict().keys()


@pytest.mark.filterwarnings("ignore:All adapters are already merged")
@pytest.mark.filterwarnings("ignore:Already unmerged")
def test_merging_twice_is_merging_once() -> None:
    model = tuned({"target_modules": ["lin0", "lin1"]})
    model.merge_adapter()
    once = model(X)
    model.merge_adapter()
    assert torch.equal(model(X), once)
    for _ in range(2):
        model.unmerge_adapter()
    assert torch.equal(model(X), tuned({"target_modules": ["lin0", "lin1"]})(X))


@pytest.mark.parametrize("options", TARGETS[:3])
def test_disabling(options: dict[str, Any]) -> None:
    model = tuned(options)
    base, expected = MLP().eval()(X), model(X)
    for _ in range(2):
        with model.disable_adapter():
            assert torch.equal(model(X), base)
            with model.disable_adapter():
                assert torch.equal(model(X), base)
        assert torch.equal(model(X), expected)
    assert all(p.requires_grad for p in ours(model).values())
    assert torch.equal(model.unload()(X), base)


def test_adapters_with_other_configurations_come_and_go() -> None:
    model = tuned({"target_modules": ["lin0"], "r": 2})
    expected = model(X)
    with pytest.raises(ValueError, match="default"):
        model.add_adapter("default", SingularValueConfig(target_modules=["lin0"]))
    model.add_adapter("other", SingularValueConfig(target_modules=["lin0", "lin1"]))
    shake(model, 2, "other")
    assert torch.equal(model(X), expected), "added, not active"
    assert {n for n, p in ours(model).items() if p.requires_grad} == {
        "base_model.model.lin0.singular_delta.default"
    }
    model.set_adapter("other")
    other = model(X)
    assert not torch.allclose(other, expected)
    assert [n.rsplit(".", 1)[1] for n, p in ours(model).items() if p.requires_grad] == ["other"] * 2
    model.delete_adapter("default")
    assert torch.equal(model(X), other)
    assert "default" not in model.peft_config
    assert not [n for n in model.state_dict() if "default" in n]
    assert layers_of(model)["lin0"].singular_rank == {"other": 10}
    with pytest.raises(ValueError, match="unknown-adapter"):
        model.delete_adapter("unknown-adapter")
    model.delete_adapter("other")
    assert torch.equal(model.base_model.model(X), MLP().eval()(X))


def test_a_merged_adapter_is_not_deleted() -> None:
    model = tuned({"target_modules": ["lin0"]})
    model.merge_adapter()
    with pytest.raises(ValueError, match="merged"):
        model.delete_adapter("default")
    model.unmerge_adapter()
    assert torch.equal(model(X), tuned({"target_modules": ["lin0"]})(X))


# ---- number types ------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("autocast_adapter_dtype", [True, False])
def test_deltas_stay_in_full_precision(
    dtype: torch.dtype, autocast_adapter_dtype: bool, tmp_path: Path
) -> None:
    options = {"target_modules": ["lin0", "lin1"]}
    config = SingularValueConfig(**options)
    model = get_peft_model(MLP(dtype), config, autocast_adapter_dtype=autocast_adapter_dtype).eval()
    shake(model)
    assert {p.dtype for p in ours(model).values()} == {torch.float32}
    y = model(X / 90)
    assert y.dtype == dtype
    assert torch.allclose(y.float(), tuned(options)(X / 90), atol=0.05)
    y.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in ours(model).values())
    model.save_pretrained(str(tmp_path))
    again = PeftModel.from_pretrained(
        MLP(dtype), tmp_path, autocast_adapter_dtype=autocast_adapter_dtype
    )
    assert torch.equal(again(X / 90), y)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_autocast(dtype: torch.dtype) -> None:
    model = tuned({"target_modules": ["lin0", "lin1"]})
    expected = model(X / 90)
    with torch.autocast("cpu", dtype):
        y = model(X / 90)
    assert torch.allclose(y.float(), expected, atol=0.05)
    y.float().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in ours(model).values())


# ---- a language model ----------------------------------------------------------------------------
def test_a_llama_generates_trains_and_survives_the_disk(tmp_path: Path) -> None:
    config = SingularValueConfig(task_type="CAUSAL_LM", r=16)  # type: ignore[arg-type]
    model = get_peft_model(load_policy("tiny-random", "float32").model, config)
    assert len(layers_of(model)) == 14
    assert not any("embed" in n or "lm_head" in n for n in layers_of(model))
    optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), 0.01)
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        loss = model(input_ids=IDS, labels=IDS).loss
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses == sorted(losses, reverse=True)
    model.eval()
    given = {"input_ids": IDS, "attention_mask": torch.ones_like(IDS)}
    sample = model.generate(**given, max_new_tokens=5, do_sample=False)
    assert sample.shape[1] > IDS.shape[1]
    assert torch.equal(
        model.generate(IDS, max_new_tokens=5, do_sample=False, attention_mask=torch.ones_like(IDS)),
        sample,
    )
    model.save_pretrained(str(tmp_path))
    base = load_policy("tiny-random", "float32").model
    again = PeftModel.from_pretrained(base, tmp_path)
    assert torch.equal(again.generate(**given, max_new_tokens=5, do_sample=False), sample)
    assert torch.equal(again(**given).logits, model(**given).logits)
