from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model

from awry.errors import UserError
from awry.experiments.policies import expand, kind_of, open_subject, save_merged
from awry.experiments.spec import experiment
from awry.generation.engine import Request, Sampling
from awry.gradients.singular import SingularValueConfig
from awry.models import load_policy
from awry.training.loop import train

PROMPT = "<|im_start|>user\nSay a word.<|im_end|>\n<|im_start|>assistant\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    document = {
        "name": "small",
        "model": {"path": "tiny-random", "dtype": "float32"},
        "problems": {"limit": 2},
        "probe": None,
        "training": {
            "steps": 2,
            "problems_per_step": 1,
            "group_size": 2,
            "max_new_tokens": 4,
            "checkpoint_every": 1,
        },
        "teacher": None,
        "arms": {"vanilla": {}},
    }
    (config,) = experiment(document).runs()
    directory = tmp_path_factory.mktemp("run")
    train(config, directory)
    return directory


def test_a_run_is_its_last_checkpoint(run: Path) -> None:
    whole = open_subject(str(run))
    last = open_subject(str(run / "checkpoints/step_000002"))
    first = open_subject(str(run / "checkpoints/step_000001"))
    assert (whole.kind, last.kind) == ("run", "checkpoint")
    assert whole.origin is not None
    assert (whole.origin.experiment, whole.origin.arm, whole.origin.seed) == ("small", "vanilla", 0)
    assert (whole.origin.step, first.origin.step if first.origin else None) == (2, 1)
    assert whole.adapter == last.adapter
    assert whole.policy.digests == load_policy("tiny-random", "float32").digests
    assert len(whole.adapter or "") == 64


@pytest.mark.parametrize("kind", ["lora", "singular"])
def test_an_adapter_is_put_on_its_base(kind: str, tmp_path: Path) -> None:
    policy = load_policy("tiny-random", "float32")
    settings = (
        LoraConfig(r=2, target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM")
        if kind == "lora"
        else SingularValueConfig(target_modules=["q_proj"], task_type="CAUSAL_LM")  # pyright: ignore
    )
    wrapped = get_peft_model(policy.model, settings)  # pyright: ignore
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in wrapped.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter))
    wrapped.peft_config["default"].base_model_name_or_path = "tiny-random"
    wrapped.save_pretrained(str(tmp_path))
    ids = torch.tensor([policy.encode(PROMPT)])
    with torch.inference_mode():
        expected = wrapped(input_ids=ids).logits

    subject = open_subject(str(tmp_path), "float32")
    assert subject.kind == kind_of(str(tmp_path)) == "adapter"
    with torch.inference_mode():
        found = subject.policy.model(input_ids=ids).logits
    assert torch.equal(found, expected)
    base = open_subject("tiny-random", "float32")
    with torch.inference_mode():
        assert not torch.allclose(base.policy.model(input_ids=ids).logits, expected, atol=1e-2)
    # the sampler sees the adapter too: greedy tokens are those of the adapted model
    (group,) = subject.engine.sample(
        [Request(tuple(ids[0].tolist()), (0,))], Sampling(1, temperature=0.0)
    )
    assert group[0].ids[0] == int(expected[0, -1].argmax())
    assert base.adapter is None
    assert len(subject.adapter or "") == 64


def test_an_adapter_says_of_which_model_it_is(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    with pytest.raises(UserError, match="does not say of which model"):
        open_subject(str(tmp_path))
    (tmp_path / "adapter_config.json").write_text(
        '{"peft_type": "LORA", "base_model_name_or_path": "tiny-random"}'
    )
    with pytest.raises(UserError, match="cannot be put on tiny-random"):
        open_subject(str(tmp_path))


def test_an_adapter_trained_under_another_template_is_refused(tmp_path: Path) -> None:
    policy = load_policy("tiny-random", "float32")
    wrapped = get_peft_model(policy.model, LoraConfig(r=2, target_modules=["q_proj"]))  # pyright: ignore
    wrapped.peft_config["default"].base_model_name_or_path = "tiny-random"
    wrapped.save_pretrained(str(tmp_path))
    policy.tokenizer.save_pretrained(tmp_path)
    assert open_subject(str(tmp_path)).kind == "adapter"
    policy.tokenizer.chat_template += "{# changed #}"  # pyright: ignore
    policy.tokenizer.save_pretrained(tmp_path)
    with pytest.raises(UserError, match="chat template saved with this adapter") as found:
        open_subject(str(tmp_path))
    assert found.value.fix is not None


def test_an_experiment_is_its_runs(run: Path, tmp_path: Path) -> None:
    home, empty = tmp_path / "small", tmp_path / "empty"
    home.mkdir()
    empty.mkdir()
    (tmp_path / "run").symlink_to(run)
    runs = [{"dir": "run"}, {"dir": "empty"}, {"dir": None}]
    (home / "experiment.json").write_text(json.dumps({"runs": runs}))
    assert expand(str(home)) == [str(tmp_path / "run")]
    assert expand("tiny-random") == ["tiny-random"]
    assert expand(str(run)) == [str(run)]
    (home / "experiment.json").write_text(json.dumps({"runs": runs[1:]}))
    with pytest.raises(UserError, match="no run of this experiment"):
        expand(str(home))


def test_a_run_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(UserError, match="no checkpoint yet"):
        open_subject(str(tmp_path))


@pytest.mark.parametrize("kind", ["lora", "singular_values", "full"])
def test_what_a_run_trained_is_written_as_a_plain_model(kind: str, tmp_path: Path) -> None:
    document = {
        "name": "small",
        "model": {"path": "tiny-random", "dtype": "float32", "adapter": {"kind": kind}},
        "problems": {"limit": 2},
        "probe": None,
        "reward": "random",
        "training": {"steps": 2, "problems_per_step": 2, "group_size": 4, "max_new_tokens": 4},
        "teacher": None,
        "arms": {"vanilla": {}},
    }
    (config,) = experiment(document).runs()
    train(config, tmp_path / "run")
    digest = save_merged(str(tmp_path / "run"), tmp_path / "plain")
    policy = load_policy(str(tmp_path / "plain"), "float32")
    assert policy.digests.weights == digest != load_policy("tiny-random", "float32").digests.weights
    assert policy.digests.chat_template == load_policy("tiny-random").digests.chat_template
    ids = torch.tensor([policy.encode(PROMPT)])
    adapted = open_subject(str(tmp_path / "run")).policy
    with torch.inference_mode():
        merged = policy.model(input_ids=ids).logits
        trained = adapted.model(input_ids=ids).logits
    assert torch.allclose(merged, trained, atol=1e-5)
    with pytest.raises(UserError, match="not empty"):
        save_merged(str(tmp_path / "run"), tmp_path / "plain")
    with pytest.raises(UserError, match="not a run"):
        save_merged("tiny-random", tmp_path / "other")
