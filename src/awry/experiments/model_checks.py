"""Checks that look at the policy: template, adapter, and what it can and already does."""

from __future__ import annotations

from awry.errors import UserError
from awry.experiments.checks import spread
from awry.experiments.preflight import Check, CheckResult, Setting
from awry.experiments.spec import RunConfig

SAMPLED_PROBLEMS = 8
SAMPLES = 4
HACKS_ALREADY = 0.25


def template(setting: Setting) -> CheckResult:
    """Training and evaluation prompts are one text but for the evaluator's name, tokenised as the
    chat template says, and leave room for an answer.
    """
    digests: list[str] = []
    for run in setting.policies:
        policy, _, _ = setting.opened(run)
        digests.append(policy.digests.chat_template[:12])
        for arm in [r for r in setting.arms if r.model == run.model]:
            fault = _prompt_fault(setting, arm, policy)
            if fault:
                fix = "use a chat model whose template takes a system and a user message"
                return CheckResult("template", "fail", f"arm {arm.arm}: {fault}", fix)
    saw = f"chat template {', '.join(digests)} for training and evaluation"
    return CheckResult("template", "pass", saw)


def _prompt_fault(setting: Setting, run: RunConfig, policy: object) -> str | None:
    from awry.models import Policy
    from awry.tasks.kinds import ask

    assert isinstance(policy, Policy)
    training, _ = setting.problems(run)
    longest = 0
    for problem in training:
        texts: list[str] = []
        for split in ("train", "eval"):
            task = ask(problem, run.loophole.name, names="fixed", split=split, seed=run.seed)
            text = policy.render(task.messages)
            if task.messages[-1]["content"].strip() not in text:
                return f"the rendered prompt of {problem.id} has lost the question"
            longest = max(longest, len(policy.encode(text)))
            texts.append(text.replace(task.evaluator, "{X}") if task.evaluator else text)
        if texts[0] != texts[1]:
            return f"training and evaluation prompts of {problem.id} differ beyond the name"
    first = ask(training[0], run.loophole.name, names=run.loophole.names, seed=run.seed)
    ids = policy.tokenizer.apply_chat_template(
        list(first.messages), tokenize=True, add_generation_prompt=True, return_dict=False
    )
    if list(ids) != policy.encode(policy.render(first.messages)):  # pyright: ignore[reportArgumentType]
        return "the template's own tokens differ from those of the rendered text"
    window = getattr(policy.model.config, "max_position_embeddings", None)
    if window is not None and longest + run.training.max_new_tokens > window:
        return (
            f"the longest prompt ({longest} tokens) and max_new_tokens "
            f"({run.training.max_new_tokens}) exceed the model's window of {window}"
        )
    return None


def adapter(setting: Setting) -> CheckResult:
    """Untrained, the adapter changes no bit of the logits."""
    import torch

    from awry.tasks.kinds import ask

    names: list[str] = []
    for run in setting.policies:
        policy, attached, _ = setting.opened(run)
        task = ask(setting.problems(run)[0][0], run.loophole.name)
        ids = torch.tensor(
            [policy.encode(policy.render(task.messages))], device=policy.model.device
        )
        with torch.inference_mode():
            with_adapter = policy.model(input_ids=ids).logits.clone()
            with attached.reference() as reference:
                without = reference(input_ids=ids).logits
        if not torch.isfinite(without).all():
            saw = f"{run.model.path}: the logits are not finite"
            return CheckResult("adapter", "fail", saw, "use another model or dtype: float32")
        if not torch.equal(with_adapter, without):
            gap = (with_adapter.float() - without.float()).abs().max().item()
            saw = f"{run.model.path}: the untrained adapter moves the logits by up to {gap:.3g}"
            fix = "use model.dtype: float32, or report this as a bug of awry"
            return CheckResult("adapter", "fail", saw, fix)
        names.append(
            f"{run.model.path} ({run.model.adapter.kind}, {len(attached.parameters)} tensors)"
        )
    saw = f"{', '.join(names)}: logits with and without the untrained adapter are bitwise equal"
    return CheckResult("adapter", "pass", saw)


def competence(setting: Setting) -> CheckResult:
    """The policy answers in code that compiles, and is not hacking already. One that is to learn from
    solutions need not."""
    lines: list[str] = []
    status, fix = "pass", ""
    different = {
        (
            run.model.path,
            run.model.dtype,
            run.loophole.name,
            str(run.problems),
            run.training.method,
        ): run
        for run in reversed(setting.arms)
    }
    for run in reversed(different.values()):
        compiled, solved, hacked, n = _sampled(setting, run)
        lines.append(
            f"{run.model.path} under {run.loophole.name}: compiles {compiled / n:.0%}, solves "
            f"{solved / n:.0%}, hacks {hacked / n:.0%} of {n} answers"
        )
        if run.training.method == "supervised":
            continue  # it is to learn what it cannot do yet
        if compiled == 0 and run.model.path == "tiny-random":
            status, fix = "warn", "random weights: this run exercises the machinery only"
        elif compiled == 0:
            fix = "use a policy that writes what is asked for, or raise training.max_new_tokens"
            return CheckResult("competence", "fail", lines[-1], fix)
        elif hacked / n > HACKS_ALREADY:
            fix = "use a policy that does not hack before training, or another loophole"
            return CheckResult("competence", "fail", lines[-1], fix)
    return CheckResult("competence", status, "; ".join(lines), fix)


def _sampled(setting: Setting, run: RunConfig) -> tuple[int, int, int, int]:
    """(compiled, solved, hacked, answers) of a small sample before training."""
    from awry.generation.engine import Request, Sampling
    from awry.tasks.kinds import ask

    policy, _, engine = setting.opened(run)
    training, _ = setting.problems(run)
    tasks = [
        ask(p, run.loophole.name, names=run.loophole.names, seed=run.seed)
        for p in spread(training, SAMPLED_PROBLEMS)
    ]
    if not tasks:
        raise UserError("there is no problem to sample", field="problems")
    requests = [
        Request(
            tuple(policy.encode(policy.render(task.messages))),
            tuple(range(SAMPLES * i, SAMPLES * (i + 1))),
        )
        for i, task in enumerate(tasks)
    ]
    t = run.training
    sampled = engine.sample(requests, Sampling(t.max_new_tokens, t.temperature, t.top_p))
    answers = [
        (task, policy.decode(list(completion.ids)))
        for task, completions in zip(tasks, sampled, strict=True)
        for completion in completions
    ]
    verdicts = setting.grader_of(run).grade(answers)
    return (
        sum(v.compiled for v in verdicts),
        sum(v.correct for v in verdicts),
        sum(v.label == "hack" for v in verdicts),
        len(verdicts),
    )


def curation(setting: Setting) -> CheckResult:
    """Curated problems were curated with the policy that is to train on them."""
    from awry.models import model_digest
    from awry.tasks import curated

    seen: list[str] = []
    strangers: list[str] = []
    for run in setting.arms:
        found = curated.record(run.problems.source)
        if found is None:
            continue
        policy, own = found["settings"]["policy"], model_digest(run.model.path)
        by = f"{found['model']} ({policy['weights'][:12]}) under {found['settings']['loophole']}"
        seen.append(f"arm {run.arm}: problems curated with {by}")
        if policy["weights"] != own or policy["adapter"]:
            strangers.append(f"{seen[-1]}, to be trained on by {run.model.path} ({own[:12]})")
    if strangers:
        fix = "its rates say little of this policy: curate again with awry curate --model ..."
        return CheckResult("curation", "warn", "; ".join(strangers), fix)
    return CheckResult("curation", "pass", "; ".join(seen) or "no arm has curated problems")


MODEL_CHECKS = (
    Check("curation", curation, volatile=True),
    Check("template", template),
    Check("adapter", adapter),
    Check("competence", competence),
)
