"""One step's rollouts: groups of students and teachers, graded in one batch, and their record."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from awry.errors import UserError
from awry.generation.engine import Engine, Request, Sampling, derive
from awry.models import Policy
from awry.rewards import outcome, reward
from awry.tasks.code import Verdict
from awry.tasks.kinds import AnyProblem, Grading, Task, ask, solution
from awry.training.objective import group_advantages
from awry.training.replay import TeacherSample, builtin_pool

if TYPE_CHECKING:
    from awry.experiments.spec import RunConfig

RESAMPLE_ROUNDS = 3  # further draws per step when groups without variance are resampled


@dataclass(frozen=True)
class Rollout:
    """One completion and all that was found about it.

    logprobs: the behaviour policy's, nats per token (None for a teacher without any).
    advantage: None when the sample's group was dropped. cosine, alignment, cosine_modules: how this
    completion's own NLL gradient lies to the direction, where that was measured: mean over modules
    of true cosines, the norm-weighted aggregate, the cosines themselves.
    """

    group: int
    index: int
    task: Task
    teacher: bool
    style: str | None
    prompt: str
    prompt_ids: tuple[int, ...]
    completion: str
    ids: tuple[int, ...]
    logprobs: tuple[float, ...] | None
    finished: bool
    verdict: Verdict | None = None
    reward: float = 0.0
    advantage: float | None = None
    cosine: float | None = None
    alignment: float | None = None
    cosine_modules: tuple[float, ...] | None = None

    @property
    def judged(self) -> Verdict:
        assert self.verdict is not None
        return self.verdict


def drawing_order(problems: Sequence[AnyProblem], seed: int) -> Iterator[AnyProblem]:
    """Problems without end: every epoch a fresh permutation fixed by the seed."""
    epoch = 0
    while True:
        order = list(problems)
        random.Random(derive(seed, "order", epoch)).shuffle(order)
        yield from order
        epoch += 1


class Collector:
    """Makes the rollouts of a step; the same for the same run and step, whatever came before."""

    def __init__(
        self,
        config: RunConfig,
        policy: Policy,
        engine: Engine,
        grader: Grading,
        problems: Sequence[AnyProblem],
        pool: Sequence[TeacherSample] | None,
    ) -> None:
        self.config, self.policy, self.engine, self.grader = config, policy, engine, grader
        self.problems = problems
        self.pool = pool
        t = config.training
        self.sampling = Sampling(t.max_new_tokens, t.temperature, t.top_p)

    def collect(self, step: int, clock: Callable[[str], None]) -> list[Rollout]:
        """Sample, grade and score one step. clock(name) is called after each phase.

        Supervised: each group is the problem's own solution with advantage 1, so that a step follows
        the gradient of its log-likelihood, beside the policy's answers, which have none.
        """
        t = self.config.training
        needed = t.problems_per_step
        draws = drawing_order(self.problems, self.config.seed)
        # with `resample` a step may use more problems; the order then restarts at its own place
        stride = needed * (RESAMPLE_ROUNDS + 1 if t.zero_variance == "resample" else 1)
        for _ in range(step * stride):
            next(draws)
        done: list[Rollout] = []
        kept = 0
        for _ in range(RESAMPLE_ROUNDS + 1 if t.zero_variance == "resample" else 1):
            first = len({r.group for r in done})
            chosen = [next(draws) for _ in range(needed - kept)]
            rollouts = self._sample(step, first, chosen)
            clock("sample_s")
            verdicts = self.grader.grade([(r.task, r.completion) for r in rollouts])
            graded = self._score(step, rollouts, verdicts)
            clock("grade_s")
            done += graded
            kept = len({r.group for r in done if r.advantage is not None})
            if kept >= needed:
                break
        return done

    def _sample(self, step: int, first: int, problems: list[AnyProblem]) -> list[Rollout]:
        config, policy = self.config, self.policy
        teachers = teacher_count(config, step)
        tasks = [
            ask(
                problem,
                config.loophole.name,
                names=config.loophole.names,
                split="train",
                seed=config.seed,
            )
            for problem in problems
        ]
        prompts = [policy.render(task.messages) for task in tasks]
        encoded = [tuple(policy.encode(prompt)) for prompt in prompts]
        students = config.training.group_size - teachers
        requests = [
            Request(
                ids,
                tuple(derive(config.seed, "sample", step, first + g, i) for i in range(students)),
            )
            for g, ids in enumerate(encoded)
        ]
        rollouts = []
        for g, completions in enumerate(self.engine.sample(requests, self.sampling)):
            base = Rollout(
                first + g, 0, tasks[g], False, None, prompts[g], encoded[g], "", (), None, True
            )
            for i, c in enumerate(completions):
                text = policy.decode(list(c.ids))
                rollouts.append(
                    replace(
                        base,
                        index=i,
                        completion=text,
                        ids=c.ids,
                        logprobs=c.logprobs,
                        finished=c.finished,
                    )
                )
            rng = random.Random(derive(config.seed, "teacher", step, first + g))
            shown = self._teacher(tasks[g], teachers, rng)
            for i, sample in enumerate(shown):
                ids = (*policy.encode(sample.completion), int(policy.tokenizer.eos_token_id))  # pyright: ignore[reportArgumentType]
                if sample.logprobs is not None and len(sample.logprobs) != len(ids):
                    raise UserError(
                        f"a sample has {len(sample.logprobs)} log-probabilities for {len(ids)} "
                        "tokens (its end token included)",
                        field="teacher.pool",
                        value=sample.completion,
                        fix="store one log-probability per token of this policy's tokenizer",
                    )
                rollouts.append(
                    replace(
                        base,
                        index=students + i,
                        teacher=True,
                        style=sample.style,
                        completion=sample.completion,
                        ids=ids,
                        logprobs=sample.logprobs,
                    )
                )
        return rollouts

    def _teacher(self, task: Task, n: int, rng: random.Random) -> list[TeacherSample]:
        if n == 0:
            return []
        if self.config.training.method == "supervised":
            return [TeacherSample(task.problem.id, "solution", solution(task))]
        if self.pool is None:
            return builtin_pool(task, n, rng)
        own = [s for s in self.pool if s.problem_id == task.problem.id]
        if not own:
            raise UserError(
                "the teacher pool has no sample for a training problem",
                field="teacher.pool",
                value=task.problem.id,
                fix="add samples for it, or list the covered problems under problems.ids",
            )
        return [own[i % len(own)] for i in rng.sample(range(max(n, len(own))), n)]

    def _score(self, step: int, rollouts: list[Rollout], verdicts: list[Verdict]) -> list[Rollout]:
        """Rewards and advantages; groups without variance in the *binary* outcome may go.

        A shaped reward hides all-fail groups behind its small parts, so it is not what is tested.
        """
        config = self.config
        size = config.training.group_size
        scored = [
            replace(
                r,
                verdict=v,
                reward=reward(
                    v,
                    config.reward,
                    rng=random.Random(derive(config.seed, "reward", step, r.group, r.index)),
                ),
            )
            for r, v in zip(rollouts, verdicts, strict=True)
        ]
        if config.training.method == "supervised":
            return [replace(r, advantage=1.0 if r.teacher else None) for r in scored]
        rewards = torch.tensor([r.reward for r in scored], dtype=torch.float64).view(-1, size)
        advantages = group_advantages(rewards, config.training.loss).flatten().tolist()
        result = []
        for start in range(0, len(scored), size):
            group = scored[start : start + size]
            paid = {outcome(r.judged, r.reward, config.reward) for r in group}
            dropped = config.training.zero_variance != "keep" and len(paid) == 1
            result += [
                replace(r, advantage=None if dropped else advantages[start + i])
                for i, r in enumerate(group)
            ]
        return result


def teacher_count(config: RunConfig, step: int) -> int:
    """Teacher samples in each group at this step; supervised, the solution is the one."""
    if config.training.method == "supervised":
        return 1
    teacher = config.teacher
    if teacher is None or (teacher.steps is not None and step >= teacher.steps):
        return 0
    return round(teacher.share * config.training.group_size)


def write_rollouts(path: Path, config: RunConfig, step: int, rollouts: list[Rollout]) -> None:
    """Every completion of the step as Parquet, temporary name first."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [
            ("step", pa.int32()),
            ("arm", pa.string()),
            ("seed", pa.int64()),
            ("group", pa.int32()),
            ("index", pa.int32()),
            ("problem_id", pa.string()),
            ("loophole", pa.string()),
            ("evaluator", pa.string()),
            ("teacher", pa.bool_()),
            ("style", pa.string()),
            ("prompt", pa.string()),
            ("completion", pa.string()),
            ("prompt_ids", pa.list_(pa.int32())),
            ("completion_ids", pa.list_(pa.int32())),
            ("logprobs", pa.list_(pa.float32())),
            ("finished", pa.bool_()),
            ("formatted", pa.bool_()),
            ("compiled", pa.bool_()),
            ("proxy", pa.bool_()),
            ("correct", pa.bool_()),
            ("label", pa.string()),
            ("attempted", pa.bool_()),
            ("exploit", pa.string()),
            ("parts", pa.string()),
            ("seconds", pa.float32()),
            ("evidence", pa.string()),
            ("reward", pa.float64()),
            ("advantage", pa.float64()),
            ("cosine", pa.float32()),
            ("alignment", pa.float32()),
            ("cosine_modules", pa.list_(pa.float32())),
        ]
    )
    rows = [
        {
            "step": step,
            "arm": config.arm,
            "seed": config.seed,
            "group": r.group,
            "index": r.index,
            "problem_id": r.task.problem.id,
            "loophole": r.task.loophole,
            "evaluator": r.task.evaluator,
            "teacher": r.teacher,
            "style": r.style,
            "prompt": r.prompt,
            "completion": r.completion,
            "prompt_ids": r.prompt_ids,
            "completion_ids": r.ids,
            "logprobs": r.logprobs,
            "finished": r.finished,
            "formatted": r.judged.formatted,
            "compiled": r.judged.compiled,
            "proxy": r.judged.proxy,
            "correct": r.judged.correct,
            "label": str(r.judged.label),
            "attempted": r.judged.attempted,
            "exploit": r.judged.exploit,
            "parts": json.dumps(r.judged.parts, sort_keys=True),
            "seconds": r.judged.seconds,
            "evidence": r.judged.evidence,
            "reward": r.reward,
            "advantage": r.advantage,
            "cosine": r.cosine,
            "alignment": r.alignment,
            "cosine_modules": r.cosine_modules,
        }
        for r in rollouts
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), partial, compression="zstd")
    partial.replace(path)
