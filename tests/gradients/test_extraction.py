"""From pairs to a direction stage, against plain backwards over single completions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_adapters import KINDS, attached, distance, move
from torch import Tensor

from awry.errors import UserError
from awry.generation import attention
from awry.gradients.adapters import Adapter, attach_full
from awry.gradients.directions import auroc, load_direction, overlap, random_direction
from awry.gradients.extraction import (
    DRAWS,
    Extractor,
    Options,
    encode,
    extract_to,
    pair_differences,
    read_verification,
    verify_file,
)
from awry.models import Policy, load_policy
from awry.tasks.pairs import Pair, load_benign_pairs, load_pairs, pairs_digest

OPTIONS = Options(top_k=2)


def some(split: str, count: int, benign: bool = False) -> list[Pair]:
    """Short ones: what is tested does not depend on the text."""
    found = [p for p in (load_benign_pairs() if benign else load_pairs()) if p.split == split]
    messages = ({"role": "user", "content": "Write the function."},)
    return [
        replace(p, honest=p.honest[-60:], hack=p.hack[-40 - 7 * i :], messages=messages)
        for i, p in enumerate(found[:count])
    ]


PAIRS = [*some("extraction", 5), *some("heldout", 3)]
BENIGN = some("extraction", 4, benign=True)


def ready(kind: str, merged: bool | None = None, by: float = 0.05) -> Adapter:
    adapter = attached(kind, merged=merged, by=by)
    attention.install(adapter.policy.model)
    return adapter


def nll_gradient(adapter: Adapter, messages: Any, completion: str) -> dict[str, Tensor]:
    """module -> gradient of the mean token NLL of one completion, by an ordinary forward."""
    policy: Policy = adapter.policy
    prompt = policy.encode(policy.render(messages))
    ids = [*policy.encode(completion), policy.tokenizer.eos_token_id]
    adapter.policy.model.config._attn_implementation = "sdpa"
    logits = policy.model(torch.tensor([[*prompt, *ids]])).logits[0, len(prompt) - 1 : -1]
    attention.install(policy.model)
    losses = -logits.log_softmax(-1)[range(len(ids)), ids]
    names, parameters = zip(*adapter.parameters.items(), strict=True)
    grads = dict(zip(names, torch.autograd.grad(losses.mean(), parameters), strict=True))
    by_id = {id(p): grads[n].flatten() for n, p in adapter.parameters.items()}
    return {name: torch.cat([by_id[id(p)] for p in ps]) for name, ps in adapter.modules.items()}


# ---- differences of pairs -------------------------------------------------------------------------
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("merged", [True, False])
def test_differences_are_those_of_two_separate_backwards(kind: str, merged: bool) -> None:
    adapter = ready(kind, merged)
    held = {}
    for i, (name, parameter) in enumerate(adapter.parameters.items()):
        if i % 2:  # some in the middle of a training step
            parameter.grad = torch.full_like(parameter, 0.25)
            held[name] = parameter.grad
    before = adapter.digest()
    told: list[int] = []
    with torch.no_grad():  # as within an optimizer's hook
        found = pair_differences(adapter, PAIRS, told=told.append)
    assert adapter.digest() == before
    for name, parameter in adapter.parameters.items():
        assert parameter.grad is held.get(name)
        assert parameter.grad is None or bool((parameter.grad == 0.25).all())
    assert told[-1] == len(PAIRS)
    assert list(found) == list(adapter.modules)
    for row, pair in enumerate(PAIRS):
        hack = nll_gradient(adapter, pair.messages, pair.hack)
        honest = nll_gradient(adapter, pair.messages, pair.honest)
        for name, d in found.items():
            assert distance(d[row], hack[name] - honest[name]) < 1e-4, (pair.id, name)


def test_both_sides_end_with_the_end_token_and_share_the_prompt() -> None:
    policy = load_policy("tiny-random", "float32")
    (prompt, hack), (again, honest) = encode(policy, PAIRS[0])
    assert prompt == again == tuple(policy.encode(policy.render(PAIRS[0].messages)))
    assert hack[-1] == honest[-1] == policy.tokenizer.eos_token_id
    assert policy.decode(list(hack)) == PAIRS[0].hack
    assert policy.decode(list(honest)) == PAIRS[0].honest


# ---- the stage --------------------------------------------------------------------------------------
@pytest.fixture(scope="module", params=KINDS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """(folder, adapter, document) of a finished stage."""
    folder = tmp_path_factory.mktemp("stage")
    adapter = ready(request.param, by=0)
    return folder, adapter, extract_to(adapter, PAIRS, BENIGN, OPTIONS, folder)


def test_the_files_of_the_stage(made: Any) -> None:
    folder, adapter, document = made
    names = {"direction", "shuffled", "benign"}
    assert {f.name for f in folder.iterdir()} == {f"{n}.safetensors" for n in names} | {
        "verification.json"
    }
    assert json.loads((folder / "verification.json").read_text()) == document
    assert read_verification(folder) == document
    for name in names:
        direction = load_direction(folder / f"{name}.safetensors")
        assert direction.kind == ("extracted" if name == "direction" else name)
        assert direction.adapter_kind == adapter.kind
        assert direction.basis_digest == adapter.basis_digest
        assert direction.model_digest == adapter.policy.digests.weights
        used = BENIGN if name == "benign" else PAIRS
        assert direction.pairs_digest == pairs_digest(used)
        assert direction.top_k == 2
        assert set(direction.axes) <= set(adapter.modules)
        for module, v in direction.axes.items():
            assert v.shape[1] == sum(p.numel() for p in adapter.modules[module])


def test_the_document_has_the_promised_shape(made: Any) -> None:
    _, adapter, document = made
    assert set(document) >= {
        "adapter_kind", "basis_digest", "pairs_digest", "top_k", "modules", "modules_dropped",
        "pairs_extraction", "pairs_heldout", "seconds", "energy", "sign_agreement", "null_energy",
        "rows", "scores",
    }  # fmt: skip
    assert document["adapter_kind"] == adapter.kind
    assert (document["modules"], document["modules_dropped"]) == (11, 3)
    assert (document["pairs_extraction"], document["pairs_heldout"]) == (5, 3)
    assert {row["direction"] for row in document["rows"]} == {
        "extracted", "shuffled", "benign", "random",
    }  # fmt: skip
    for row in document["rows"]:
        assert set(row) >= {
            "direction", "auroc_cosine", "auroc_alignment", "cosine_hack", "cosine_honest",
            "energy_in", "auroc_spread",
        }  # fmt: skip
        assert (row["auroc_spread"] is not None) == (row["direction"] == "random")
    for scores in document["scores"].values():
        assert [len(scores[side]) for side in ("hack", "honest")] == [3, 3]


def test_verification_against_single_backwards(made: Any) -> None:
    folder, adapter, document = made
    main = load_direction(folder / "direction.safetensors")
    heldout = [p for p in PAIRS if p.split == "heldout"]
    hack = [nll_gradient(adapter, p.messages, p.hack) for p in heldout]
    honest = [nll_gradient(adapter, p.messages, p.honest) for p in heldout]

    def cosine(g: dict[str, Tensor], direction: Any) -> float:
        each = [float(g[m] @ direction.principal(m) / g[m].norm()) for m in direction.axes]
        return sum(each) / len(each)

    def aggregate(g: dict[str, Tensor], direction: Any) -> float:
        dots = sum(float(g[m] @ direction.principal(m)) for m in direction.axes)
        return dots / sum(float(g[m].square().sum()) for m in direction.axes) ** 0.5

    def energy(g: dict[str, Tensor], direction: Any) -> float:
        each = [
            float((v @ g[m]).clamp(min=0).norm() / g[m].norm()) for m, v in direction.axes.items()
        ]
        return sum(each) / len(each)

    rows = {row["direction"]: row for row in document["rows"]}
    for name in ("extracted", "shuffled", "benign"):
        file = "direction" if name == "extracted" else name
        direction = load_direction(folder / f"{file}.safetensors")
        a, b = ([cosine(g, direction) for g in side] for side in (hack, honest))
        assert document["scores"][name]["hack"] == pytest.approx(a, abs=1e-4)
        assert document["scores"][name]["honest"] == pytest.approx(b, abs=1e-4)
        row = rows[name]
        assert row["auroc_cosine"] == auroc(torch.tensor(a), torch.tensor(b))
        assert row["cosine_hack"] == pytest.approx(sum(a) / 3, abs=1e-4)
        assert row["cosine_honest"] == pytest.approx(sum(b) / 3, abs=1e-4)
        c, d = (torch.tensor([aggregate(g, direction) for g in side]) for side in (hack, honest))
        assert row["auroc_alignment"] == auroc(c, d)
        both = [energy(g, direction) for g in (*hack, *honest)]
        assert row["energy_in"] == pytest.approx(sum(both) / 6, abs=1e-4)
    votes = [
        float(main.principal(m) @ (h[m] - c[m])) > 0
        for h, c in zip(hack, honest, strict=True)
        for m in main.axes
    ]
    assert document["sign_agreement"] == pytest.approx(sum(votes) / len(votes))
    draws = []
    for seed in range(DRAWS):
        drawn = random_direction(main, seed)
        a, b = (torch.tensor([cosine(g, drawn) for g in side]) for side in (hack, honest))
        draws.append(auroc(a, b))
    assert rows["random"]["auroc_cosine"] == pytest.approx(sum(draws) / DRAWS, abs=1e-6)
    assert rows["random"]["auroc_spread"] == pytest.approx([min(draws), max(draws)], abs=1e-6)
    assert document["null_energy"] == pytest.approx(main.null_share())


def test_a_saved_direction_is_verified_to_the_same_numbers(made: Any) -> None:
    folder, adapter, document = made
    again = verify_file(folder / "direction.safetensors", adapter, PAIRS)
    assert again["sign_agreement"] == pytest.approx(document["sign_agreement"])
    assert [row["direction"] for row in again["rows"]] == ["extracted", "random"]
    first = next(row for row in document["rows"] if row["direction"] == "extracted")
    for name, value in first.items():
        assert again["rows"][0][name] == (
            value if value is None else pytest.approx(value, abs=1e-6)
        )


def test_a_direction_from_another_model_is_refused(made: Any) -> None:
    folder, adapter, _ = made
    other = ready("lora" if adapter.kind == "singular_values" else "singular_values", by=0)
    with pytest.raises(UserError, match="another kind of adapter"):
        verify_file(folder / "direction.safetensors", other, PAIRS)
    rank = attached(adapter.kind, r=3, by=0)
    with pytest.raises(UserError, match="another model or adapter"):
        verify_file(folder / "direction.safetensors", rank, PAIRS)


# ---- the extractor ---------------------------------------------------------------------------------
def test_every_kind_one_by_one_is_as_all_at_once() -> None:
    adapter = ready("singular_values")
    extractor = Extractor(adapter, PAIRS, BENIGN, OPTIONS)
    together = extractor.all(seed=3)
    assert list(together) == ["extracted", "shuffled", "benign"]
    for kind, direction in together.items():
        alone = extractor.make(kind, seed=3)
        assert alone.kind == kind
        for name, v in direction.axes.items():
            assert torch.equal(alone.axes[name], v)
    again = extractor.make("extracted")
    move(adapter, by=0.3, seed=8)  # as training would
    assert overlap(again, extractor.make("extracted")) < 0.99


def test_what_cannot_be_extracted() -> None:
    adapter = ready("singular_values")
    extraction = [p for p in PAIRS if p.split == "extraction"]
    with pytest.raises(UserError, match="heldout split") as caught:
        Extractor(adapter, extraction, BENIGN, OPTIONS)
    assert caught.value.field == "direction.pairs"
    assert "heldout" in str(caught.value.fix)
    with pytest.raises(UserError, match="no pair is in the extraction split"):
        Extractor(adapter, PAIRS[5:], BENIGN, OPTIONS)
    with pytest.raises(UserError, match=r"at most 5 \(5 extraction pairs\)") as caught:
        Extractor(adapter, PAIRS, BENIGN, Options(top_k=6)).make("extracted")
    assert caught.value.field == "direction.top_k"
    full = attach_full(load_policy("tiny-random", "float32"), keep_reference=False)
    with pytest.raises(UserError, match="no adapter coordinates") as caught:
        Extractor(full, PAIRS, BENIGN, OPTIONS)
    assert caught.value.value == "full"


def test_an_unreadable_verification_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_verification(tmp_path)
    (tmp_path / "verification.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read") as caught:
        read_verification(tmp_path)
    assert "delete" in caught.value.render()
