"""Loading by name, folder and hub id; digests; errors that say what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from awry.errors import UserError
from awry.models import Policy, describe, folder_digest, load_policy, model_digest


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved copy of the tiny model: what a user's own model folder looks like."""
    torch.set_num_threads(1)
    policy = load_policy("tiny-random", "float32")
    target = tmp_path_factory.mktemp("model")
    policy.model.save_pretrained(target)
    policy.tokenizer.save_pretrained(target)
    return target


def logits(policy: Policy) -> torch.Tensor:
    ids = policy.encode(policy.render([{"role": "user", "content": "héllo"}]))
    with torch.no_grad():
        return policy.model(torch.tensor([ids])).logits


def test_a_folder_is_the_same_policy(folder: Path) -> None:
    direct, saved = load_policy("tiny-random", "float32"), load_policy(str(folder), "float32")
    assert torch.equal(logits(direct), logits(saved))
    assert direct.digests.tokenizer == saved.digests.tokenizer
    assert direct.digests.chat_template == saved.digests.chat_template
    assert saved.digests.weights == model_digest(str(folder))


def test_text_survives_the_tokenizer() -> None:
    policy = load_policy("tiny-random", "float32")
    text = "def f(x):\n    return 'ü' + x\n"
    assert policy.decode(policy.encode(text)) == text
    assert policy.stop_ids == {policy.tokenizer.eos_token_id}


def test_master_weights_are_kept_only_when_asked() -> None:
    plain = load_policy("tiny-random", "bfloat16")
    kept = load_policy("tiny-random", "bfloat16", keep_master=True)
    assert plain.master is None
    assert kept.master
    for name, weight in kept.master.items():
        assert weight.dtype == torch.float32
        assert torch.equal(weight.bfloat16(), kept.model.get_submodule(name).weight)  # pyright: ignore


def test_digest_follows_weights_but_not_a_resave(folder: Path, tmp_path: Path) -> None:
    before = folder_digest(folder)
    policy = load_policy(str(folder), "float32")
    again = tmp_path / "again"
    policy.model.save_pretrained(again)
    config = json.loads((again / "config.json").read_text())
    config["transformers_version"] = "0.0.0"
    (again / "config.json").write_text(json.dumps(config))
    assert folder_digest(again) == before
    with torch.no_grad():
        next(policy.model.parameters()).view(-1)[0] += 1
    policy.model.save_pretrained(tmp_path / "changed")
    assert folder_digest(tmp_path / "changed") != before


def test_describe_names_what_matters() -> None:
    facts = describe("tiny-random")
    assert facts["architecture"] == "LlamaForCausalLM"
    assert set(facts["digests"]) == {"weights", "tokenizer", "chat_template"}


def broken(folder: Path, target: Path, how: str) -> str:
    import shutil

    shutil.copytree(folder, target)
    match how:
        case "no template":
            (target / "chat_template.jinja").unlink(missing_ok=True)
            file = target / "tokenizer_config.json"
            config = json.loads(file.read_text())
            config.pop("chat_template", None)
            file.write_text(json.dumps(config))
        case "no weights":
            (target / "model.safetensors").unlink()
        case "cut weights":
            file = target / "model.safetensors"
            file.write_bytes(file.read_bytes()[:1000])
        case "bad config":
            (target / "config.json").write_text("{")
        case "missing":
            shutil.rmtree(target)
    return str(target)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("no template", "no chat template"),
        ("no weights", "cannot be loaded"),
        ("cut weights", "cannot be loaded"),
        ("bad config", "cannot be loaded"),
        ("missing", "no such model folder"),
    ],
)
def test_broken_folders_are_one_clear_error(
    folder: Path, tmp_path: Path, how: str, says: str
) -> None:
    path = broken(folder, tmp_path / "model", how)
    with pytest.raises(UserError, match=says) as caught:
        load_policy(path)
    assert caught.value.field == "model.path"
    assert caught.value.value == path
    assert caught.value.fix


def test_unreachable_hub_is_a_user_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="hub could not give this model"):
        load_policy("nobody/no-such-model")
