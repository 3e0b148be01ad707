"""Our loss and gradients equal TRL's on the same model and completions, in fp32."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from awry.generation.engine import Engine, Request, Sampling
from awry.gradients.adapters import attach_full
from awry.models import load_policy
from awry.training.logprobs import packed_logprobs
from awry.training.objective import reduce_loss, token_loss

trl = pytest.importorskip("trl", reason="the extra [trl] is not installed")
TEMPERATURE, LONGEST = 0.9, 24


@pytest.mark.parametrize("loss", ["dr_grpo", "grpo"])
@pytest.mark.parametrize("beta", [0.0, 0.05])
def test_gradients_equal(loss: str, beta: float, tmp_path: Path) -> None:
    from datasets import Dataset

    torch.set_num_threads(1)
    ours = load_policy("tiny-random", "float32")
    adapter = attach_full(ours, keep_reference=False)
    texts = [ours.render([{"role": "user", "content": t}]) for t in ("a", "longer")]
    prompts = [tuple(ours.encode(text)) for text in texts]
    sampled = Engine(ours.model, ours.stop_ids).sample(
        [Request(p, (1, 2, 3)) for p in prompts], Sampling(LONGEST, TEMPERATURE)
    )
    ids = [[c.ids for c in group] for group in sampled]
    assert len({len(i) for group in ids for i in group}) > 1
    generator = torch.Generator().manual_seed(5)
    advantages = torch.randn(6, generator=generator)
    shift = [[torch.randn(len(i), generator=generator) * 0.3 for i in group] for group in ids]

    # ours: one packed row per group
    total = 0.0
    olds, references = [], []
    for g, prompt in enumerate(prompts):
        lengths = [len(i) for i in ids[g]]
        logprobs = packed_logprobs(ours.model, [(prompt, ids[g])], TEMPERATURE)
        old = logprobs.detach() + torch.cat(shift[g])
        reference = logprobs.detach() - torch.cat(shift[g])
        olds += old.split(lengths)
        references += reference.split(lengths)
        spread = torch.cat([advantages[3 * g + i].expand(n) for i, n in enumerate(lengths)])
        tokens = token_loss(
            logprobs, old, spread, clip_low=0.2, clip_high=0.28, beta=beta, reference=reference
        )
        part = reduce_loss(tokens.loss, lengths, loss=loss, samples=6, max_new_tokens=LONGEST)
        part.backward()
        total += part.item()

    ours.model.config._attn_implementation = "sdpa"
    adapter.save(tmp_path / "model")  # TRL reads its reference model from disk
    theirs = load_policy(str(tmp_path / "model"), "float32")
    theirs.model.requires_grad_(True)
    trainer = trl.GRPOTrainer(
        model=theirs.model,
        processing_class=theirs.tokenizer,
        reward_funcs=lambda completions, **kw: [0.0] * len(completions),
        train_dataset=Dataset.from_list([{"prompt": "a"}]),
        args=trl.GRPOConfig(
            output_dir=str(tmp_path),
            loss_type=loss,
            beta=beta,
            epsilon=0.2,
            epsilon_high=0.28,
            temperature=TEMPERATURE,
            max_completion_length=LONGEST,
            per_device_train_batch_size=6,
            num_generations=6,
            use_bias_correction_kl=False,
            gradient_checkpointing=False,
            report_to=[],
            bf16=False,
            use_cpu=True,
        ),
    )
    trainer.current_gradient_accumulation_steps = 1
    theirs.model.train()

    def right(rows: list[torch.Tensor], value: float) -> torch.Tensor:
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)

    flat = [torch.tensor(i) for group in ids for i in group]
    width = max(map(len, prompts))
    left = [[2] * (width - len(p)) + list(p) for p in prompts for _ in range(3)]
    left_mask = [[0] * (width - len(p)) + [1] * len(p) for p in prompts for _ in range(3)]
    loss_theirs = trainer._compute_loss(
        theirs.model,
        {
            "prompt_ids": torch.tensor(left),
            "prompt_mask": torch.tensor(left_mask),
            "completion_ids": right(flat, 2),
            "completion_mask": right([torch.ones(len(f), dtype=torch.long) for f in flat], 0),
            "advantages": advantages,
            "old_per_token_logps": right(olds, 0.0),
            "ref_per_token_logps": right(references, 0.0),
            "num_items_in_batch": torch.tensor(float(sum(map(len, flat)))),
        },
    )
    loss_theirs.backward()
    assert total == pytest.approx(loss_theirs.item(), abs=1e-5)
    expected = dict(theirs.model.named_parameters())
    compared = 0
    for name, parameter in adapter.parameters.items():
        grad = expected[name].grad
        assert grad is not None
        assert parameter.grad is not None
        assert float((parameter.grad - grad).abs().max()) < 1e-5
        compared += int(grad.abs().max() > 1e-4)
    assert compared > 10, "the gradients must not be trivially zero"
