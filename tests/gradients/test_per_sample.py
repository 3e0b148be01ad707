"""Per-sample gradients of one backward against a loop of backwards over single samples."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import pytest
import torch
from peft import LoraConfig, get_peft_model
from small_adapters import KINDS, attached, coordinates_of, distance
from torch import Tensor

from awry.errors import UserError
from awry.generation import attention
from awry.gradients.adapters import Adapter, lora_layers, set_recorder
from awry.gradients.per_sample import (
    Components,
    Gradients,
    Recorder,
    alignment,
    module_cosines,
    product_sum,
    product_sums,
)
from awry.models import load_policy
from awry.training.logprobs import packed_logprobs

PROMPT = tuple(range(5, 16))
# prompts and completions of different lengths; the third is a single token
SAMPLES = [
    (PROMPT, tuple(range(20, 27))),
    (PROMPT[:4], tuple(range(40, 43))),
    (PROMPT[2:], (9,)),
    (PROMPT, tuple(range(60, 75))),
]
WEIGHTS = torch.tensor([0.7, -1.3, 0.0, 0.4])


def nll(logprobs: Tensor, lengths: list[int]) -> Tensor:
    """Mean token NLL of every sample [samples]."""
    return torch.stack([-part.mean() for part in logprobs.split(lengths)])


def one_by_one(adapter: Adapter, loss: Callable[[int], Tensor], count: int) -> dict[str, Tensor]:
    """module -> [samples, coordinates], by as many backwards."""
    rows: dict[str, list[Tensor]] = {name: [] for name in adapter.modules}
    for b in range(count):
        grads = dict(
            zip(
                adapter.parameters,
                torch.autograd.grad(loss(b), list(adapter.parameters.values())),
                strict=True,
            )
        )
        by_id = {id(p): grads[n].flatten() for n, p in adapter.parameters.items()}
        for name, parameters in adapter.modules.items():
            rows[name].append(torch.cat([by_id[id(p)] for p in parameters]))
    return {name: torch.stack(found) for name, found in rows.items()}


def packed(adapter: Adapter, samples: list[tuple[tuple[int, ...], tuple[int, ...]]]) -> Tensor:
    groups = [(prompt, [ids]) for prompt, ids in samples]
    return packed_logprobs(adapter.policy.model, groups, 0.9)


def single(adapter: Adapter) -> Callable[[int], Tensor]:
    return lambda b: -packed(adapter, [SAMPLES[b]]).mean()


def installed(kind: str, merged: bool) -> Adapter:
    adapter = attached(kind, merged=merged)
    attention.install(adapter.policy.model)
    return adapter


def check(found: dict[str, Tensor], expected: dict[str, Tensor], within: float = 1e-5) -> None:
    assert found.keys() == expected.keys()
    for name, rows in expected.items():
        assert found[name].shape == rows.shape
        for b, row in enumerate(rows):
            assert distance(found[name][b], row) < within, (name, b)


# ---- exactness -----------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("merged", [True, False])
def test_packed_samples_of_different_lengths(kind: str, merged: bool) -> None:
    adapter = installed(kind, merged)
    expected = one_by_one(adapter, single(adapter), len(SAMPLES))
    sink = Gradients()
    recorder = Recorder(sink)
    with adapter.recording(recorder):
        losses = nll(packed(adapter, SAMPLES), [len(ids) for _, ids in SAMPLES])
        recorder.start([len(p) + len(ids) for p, ids in SAMPLES], WEIGHTS)
        losses.sum().backward()
    check(sink.table(), expected)
    # the parameters got what an ordinary backward of the weighted loss would have given them
    for name, total in coordinates_of(adapter).items():
        assert distance(total, WEIGHTS @ expected[name]) < 1e-5, name
    # and the sample that counts nothing was recorded like the others
    assert all(rows[2].norm() > 0 for rows in sink.table().values())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("merged", [True, False])
@pytest.mark.parametrize("checkpointing", [None, True, False], ids=["plain", "reentrant", "new"])
@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*deprecated")
def test_a_padded_batch(kind: str, merged: bool, checkpointing: bool | None) -> None:
    adapter = attached(kind, merged=merged)
    model = adapter.policy.model
    rows = [(*prompt, *ids) for prompt, ids in SAMPLES]
    width = max(map(len, rows))
    batch = torch.tensor([[*row, *[2] * (width - len(row))] for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])

    def loss(chosen: list[int]) -> Tensor:
        given = {"input_ids": batch[chosen], "attention_mask": mask[chosen]}
        logprobs = model(**given).logits.log_softmax(-1)
        found = []
        for b, row in zip(chosen, logprobs, strict=True):
            prompt, ids = SAMPLES[b]
            own = row[len(prompt) - 1 : len(prompt) + len(ids) - 1]
            found.append(-own.gather(-1, torch.tensor(ids)[:, None]).mean())
        return torch.stack(found)

    expected = one_by_one(adapter, lambda b: loss([b]).sum(), len(SAMPLES))
    if checkpointing is not None:
        model.train()
        model.gradient_checkpointing_enable({"use_reentrant": checkpointing})
        model.enable_input_require_grads()
    sink = Gradients()
    recorder = Recorder(sink)
    with adapter.recording(recorder):
        losses = loss([0, 1, 2, 3])
        recorder.start([width] * 4, WEIGHTS)
        losses.sum().backward()
    check(sink.table(), expected)
    for name, total in coordinates_of(adapter).items():
        assert distance(total, WEIGHTS @ expected[name]) < 1e-5, name


@pytest.mark.parametrize("kind", KINDS)
def test_bf16_rows_are_close(kind: str) -> None:
    exact, rounded = attached(kind), attached(kind, dtype="bfloat16")
    tables = []
    for adapter in (exact, rounded):
        attention.install(adapter.policy.model)
        sink = Gradients()
        recorder = Recorder(sink)
        with adapter.recording(recorder):
            losses = nll(packed(adapter, SAMPLES), [len(ids) for _, ids in SAMPLES])
            recorder.start([len(p) + len(ids) for p, ids in SAMPLES], WEIGHTS)
            losses.sum().backward()
        tables.append(torch.cat(list(sink.table().values()), 1))
    assert tables[1].dtype == torch.float32
    assert distance(tables[1], tables[0]) < 0.05


@pytest.mark.parametrize("kind", KINDS)
def test_components_are_those_of_the_whole_gradients(kind: str) -> None:
    adapter = installed(kind, True)
    expected = one_by_one(adapter, single(adapter), len(SAMPLES))
    generator = torch.Generator().manual_seed(0)
    axes = {
        name: torch.randn(2, rows.shape[1], generator=generator)
        for name, rows in list(expected.items())[::2]  # the others are not looked at
    }
    sink = Components(axes)
    recorder = Recorder(sink)
    with adapter.recording(recorder):
        for part in (SAMPLES[:3], SAMPLES[3:]):  # two backwards: rows are put together
            losses = nll(packed(adapter, part), [len(ids) for _, ids in part])
            recorder.start([len(p) + len(ids) for p, ids in part], torch.zeros(len(part)))
            losses.sum().backward()
            recorder.stop()
    for name, v in axes.items():
        assert distance(sink.along(name), expected[name] @ v.T) < 1e-5
    lengths = torch.stack([expected[name].square().sum(1) for name in axes], 1)
    assert distance(sink.squares(), lengths) < 1e-5
    for total in coordinates_of(adapter).values():
        assert not total.any(), "weights of zero leave nothing"


@pytest.mark.parametrize("kind", KINDS)
def test_a_backward_that_was_not_announced_is_an_ordinary_one(kind: str) -> None:
    plain, watched = installed(kind, True), installed(kind, True)
    calls: list[str] = []
    recorder = Recorder(lambda name, c: calls.append(name))
    for adapter, context in ((plain, nullcontext()), (watched, watched.recording(recorder))):
        with context:
            packed(adapter, SAMPLES).sum().backward()
    assert not calls
    expected = coordinates_of(plain)
    for name, total in coordinates_of(watched).items():
        assert torch.equal(total, expected[name])
    # and outside of the context nobody listens
    recorder.start([1], torch.ones(1))
    packed(watched, SAMPLES).sum().backward()
    assert not calls


def test_wrong_lengths_are_not_summed_up() -> None:
    rows = torch.ones(7, 2)
    with pytest.raises(ValueError, match="7 tokens for samples of 6"):
        product_sums(rows, rows, [3, 3])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("lengths", [[4, 4, 4], [1, 5, 6], [12], [1] * 12, [0, 12], [300, 7]])
def test_product_sums(lengths: list[int], dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(sum(lengths), 3, generator=generator).to(dtype) for _ in range(2))
    expected = torch.zeros(len(lengths), 3)
    at = 0
    for b, n in enumerate(lengths):
        for _ in range(n):
            expected[b] += x[at].float() * y[at].float()
            at += 1
    assert torch.allclose(product_sums(x, y, lengths), expected, rtol=1e-5, atol=1e-5)
    assert torch.allclose(product_sum(x, y), expected.sum(0), rtol=1e-5, atol=1e-5)


# ---- LoRA layers of others -------------------------------------------------------------------------
def test_a_lora_made_by_others_is_recorded_exactly() -> None:
    """`set_recorder` gives PEFT's own layers a forward that can record: the same numbers."""
    policy = load_policy("tiny-random", "float32")
    model = get_peft_model(policy.model, LoraConfig(target_modules=["q_proj"], r=3))
    generator = torch.Generator().manual_seed(0)
    for p in model.parameters():
        if p.requires_grad:
            p.data = torch.randn(p.shape, generator=generator) * 0.1
    ids = torch.arange(3, 43).view(2, 20)

    def losses() -> Tensor:
        return model(ids).logits.log_softmax(-1)[..., 7].mean(1)

    names = list(lora_layers(model))
    expected = []
    for b in (0, 1):
        model.zero_grad()
        losses()[b].backward()
        expected.append(
            [
                torch.cat([layer.lora_A["default"].weight.grad.flatten(),
                           layer.lora_B["default"].weight.grad.flatten()])
                for layer in lora_layers(model).values()
            ]
        )  # fmt: skip
    with torch.no_grad():
        before = model(ids).logits
    sink = Gradients()
    recorder = Recorder(sink)
    set_recorder(model, recorder)
    with torch.no_grad():
        assert distance(model(ids).logits, before) < 1e-6
    recorder.start([20, 20], torch.ones(2))
    losses().sum().backward()
    for i, name in enumerate(names):
        for b in (0, 1):
            assert distance(sink.table()[name][b], expected[b][i]) < 1e-5


def test_another_active_adapter_computes_as_before() -> None:
    """TRL keeps the start as an adapter `ref`: it must not become the trained one."""
    policy = load_policy("tiny-random", "float32")
    model = get_peft_model(policy.model, LoraConfig(target_modules=["q_proj"], r=3))
    model.add_adapter("ref", LoraConfig(target_modules=["q_proj"], r=3, init_lora_weights=False))
    ids = torch.arange(3, 43).view(2, 20)
    with torch.no_grad():
        trained = model(ids).logits
        model.set_adapter("ref")
        reference = model(ids).logits
        assert not torch.allclose(trained, reference)
        model.set_adapter("default")
        set_recorder(model, None)
        model.set_adapter("ref")
        assert torch.equal(model(ids).logits, reference)
        model.set_adapter("default")
        assert distance(model(ids).logits, trained) < 1e-6


@pytest.mark.parametrize(
    ("options", "named"),
    [({"lora_dropout": 0.1}, "lora_dropout"), ({"use_dora": True}, "use_dora")],
)
def test_what_our_lora_forward_would_leave_out_is_refused(options: dict, named: str) -> None:
    policy = load_policy("tiny-random", "float32")
    model = get_peft_model(policy.model, LoraConfig(target_modules=["q_proj"], r=3, **options))
    with pytest.raises(UserError, match="plain LoRA") as caught:
        set_recorder(model, Recorder(lambda name, c: None))
    assert named in str(caught.value.value)


# ---- cosines --------------------------------------------------------------------------------------
def test_alignment_is_no_cosine() -> None:
    """Four modules whose gradients all lie on their axes: every cosine 1, the aggregate 2."""
    axes = torch.nn.functional.normalize(torch.randn(4, 6), dim=1)
    c = axes * 3.0
    dots, squares = (c * axes).sum(1), c.square().sum(1)
    assert torch.allclose(module_cosines(dots, squares), torch.ones(4))
    assert float(alignment(dots, squares)) == pytest.approx(2.0)


def test_bounds_and_references() -> None:
    generator = torch.Generator().manual_seed(2)
    c = torch.randn(50, 5, 8, generator=generator)
    axes = torch.nn.functional.normalize(torch.randn(5, 8, generator=generator), dim=1)
    dots, squares = (c * axes).sum(2), c.square().sum(2)
    cosines, aligned = module_cosines(dots, squares), alignment(dots, squares)
    for i in range(50):
        for m in range(5):
            expected = torch.nn.functional.cosine_similarity(c[i, m], axes[m], dim=0)
            assert float(cosines[i, m]) == pytest.approx(float(expected), abs=1e-6)
        whole = float(c[i].flatten() @ axes.flatten() / c[i].norm())
        assert float(aligned[i]) == pytest.approx(whole, abs=1e-5)
    assert float(cosines.abs().max()) <= 1 + 1e-6
    assert float(aligned.abs().max()) <= 5**0.5
    nothing = torch.zeros(3, 5)
    assert torch.equal(module_cosines(nothing, nothing), nothing)
    assert torch.equal(alignment(nothing, nothing), torch.zeros(3))
