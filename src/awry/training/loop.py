"""A training run: sample -> grade -> advantage -> backward -> step -> record, resumable anywhere.

Killed at any moment, the run goes on from its last checkpoint and ends with the same metrics and
weights, bit for bit on a CPU: every random number is derived from (seed, step, purpose), and what
was written for unfinished steps is discarded.
"""

from __future__ import annotations

import json
import resource
import statistics
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from awry.errors import UserError
from awry.files import atomic_write, atomic_write_json
from awry.generation.engine import Engine, Request, Sampling, derive
from awry.gradients.adapters import Adapter, attach_full, attach_lora, attach_singular_values
from awry.gradients.interventions import Surgeon
from awry.models import Policy, load_policy
from awry.progress import Progress, Silent
from awry.tasks.kinds import AnyProblem, Grading, ask, kind_of, open_grader
from awry.tasks.selection import select
from awry.training import checkpoint
from awry.training.grpo import Update, advised, sampled_kl, update
from awry.training.guards import Event, GuardState, loops, watch
from awry.training.manifest import manifest
from awry.training.replay import load_pool
from awry.training.rollouts import Collector, Rollout, write_rollouts
from awry.training.surgery import facts, open_surgeon, records_cosines, surgery_metrics

if TYPE_CHECKING:
    from awry.experiments.spec import RunConfig


@dataclass(frozen=True)
class Result:
    """How a run ended. The digests are of the trained parameters."""

    steps: int
    stopped_by: str | None
    adapter_digest_start: str
    adapter_digest_end: str


def attach(policy: Policy, config: RunConfig) -> Adapter:
    """The adapter a run trains, at its start: the policy is unchanged by it."""
    chosen = config.model.adapter
    if chosen.kind == "full":
        return attach_full(policy, keep_reference=True)
    if chosen.kind == "singular_values":
        return attach_singular_values(policy, r=chosen.r, targets=chosen.targets)
    return attach_lora(
        policy, r=chosen.r, alpha=chosen.alpha, targets=chosen.targets, seed=config.seed
    )


def open_policy(config: RunConfig) -> tuple[Policy, Adapter, Engine]:
    """Policy, adapter and sampler of a run, at the start. Raises UserError."""
    policy = load_policy(config.model.path, config.model.dtype, keep_master=True)
    adapter = attach(policy, config)
    try:
        engine = Engine(policy.model, policy.stop_ids)
    except ValueError as error:
        raise UserError(
            f"this architecture is not supported for training yet: {error}",
            field="model.path",
            value=config.model.path,
            fix="use a decoder with plain full attention (Llama, Qwen2, Qwen3, SmolLM, Mistral)",
        ) from error
    return policy, adapter, engine


def train(
    config: RunConfig,
    directory: Path,
    *,
    direction: Path | None = None,
    progress: Progress | None = None,
) -> Result:
    """Run or resume one arm with one seed in `directory`.

    direction: folder of the direction stage; without one, a run that wants a direction extracts its
    own. Raises UserError for bad input and for damaged checkpoints; a guard that stops the run is part
    of the result.
    """
    progress = progress or Silent()
    directory.mkdir(parents=True, exist_ok=True)
    training, probing = select(config, config.model.path)
    pool = None
    if config.teacher is not None and config.teacher.pool != "builtin":
        pool = load_pool(config.teacher.pool, {p.id for p in training})
    policy, adapter, engine = open_policy(config)
    folder = direction or directory / "direction"
    surgeon = open_surgeon(config, adapter, folder, progress)
    optimizer = torch.optim.AdamW(
        list(adapter.parameters.values()),
        lr=config.training.lr,
        betas=config.training.betas,
        weight_decay=config.training.weight_decay,
    )
    journal = Journal(directory)
    at = checkpoint.Progress(0, GuardState(), adapter.digest())
    if last := checkpoint.newest(directory / "checkpoints"):
        at = checkpoint.load(last, adapter, optimizer, surgeon.intervention)
    journal.rewind(at.step)
    kind = kind_of(training)
    with open_grader(kind, config.bounds(kind)) as grader:
        progress.begin(config.arm, config.seed, at.step, config.training.steps)
        if at.step == 0:
            record = manifest(config, policy, grader, training, probing)
            record["direction"] = facts(config, surgeon, folder)
            atomic_write_json(directory / "manifest.json", record)
        else:
            journal.event(Event(at.step, "resumed", f"went on after {at.step} finished steps"))
        collector = Collector(config, policy, engine, grader, training, pool)
        probe = Probe(config, policy, engine, grader, probing)
        for step in range(at.step, 0 if at.stopped_by else config.training.steps):
            if step == 0:
                journal.probe(probe.measure(0))
            metrics, timings, events, at = _step(
                step, at, config, adapter, optimizer, surgeon, collector, directory
            )
            journal.step(metrics, timings, events)
            at = replace(at, stopped_by=next((e.kind for e in events if e.stop), None))
            last_step = at.stopped_by is not None or step + 1 == config.training.steps
            if probe.due(step + 1) or last_step:
                journal.probe(probe.measure(step + 1))
            if last_step or (step + 1) % config.training.checkpoint_every == 0:
                checkpoint.save(
                    directory / "checkpoints",
                    adapter,
                    optimizer,
                    at,
                    surgeon.intervention,
                    keep_every=config.training.keep_every,
                )
            progress.step(step + 1, metrics)
            for event in events:
                progress.note(f"{config.arm} seed {config.seed}, step {step}: {event.message}")
            if at.stopped_by is not None:
                break
    adapter.save(directory / "adapter")
    result = Result(at.step, at.stopped_by, at.digest_start, adapter.digest())
    atomic_write_json(directory / "result.json", asdict(result))
    return result


def _step(
    step: int,
    at: checkpoint.Progress,
    config: RunConfig,
    adapter: Adapter,
    optimizer: torch.optim.Optimizer,
    surgeon: Surgeon,
    collector: Collector,
    directory: Path,
) -> tuple[dict[str, Any], dict[str, Any], list[Event], checkpoint.Progress]:
    clock = Clock()
    rollouts = advised(surgeon, collector.collect(step, clock.lap))
    ratio = config.teacher.ratio if config.teacher else "detached"
    measured = None
    if config.training.beta == 0:
        measured = sampled_kl(adapter, rollouts, config.training.temperature)
    clock.lap("kl_s")
    done = update(
        adapter,
        optimizer,
        rollouts,
        # a likelihood is that of the policy itself, at whatever temperature it is sampled
        config.training.model_copy(update={"temperature": 1.0})
        if config.training.method == "supervised"
        else config.training,
        step=step,
        teacher_ratio=ratio,
        surgeon=surgeon,
        record=records_cosines(config, step),
    )
    rollouts = done.rollouts
    clock.lap("train_s")
    if done.kl is None:
        done.kl = measured
    write_rollouts(directory / "rollouts" / f"step_{step:06d}.parquet", config, step, rollouts)
    metrics = step_metrics(step, rollouts, done) | surgery_metrics(surgeon, rollouts)
    events = []
    if not done.finite:
        stop = config.training.guards.non_finite == "stop"
        events.append(Event(step, "non_finite", "loss or gradient is not finite", stop))
    degenerate = statistics.fmean(not r.finished or loops(r.ids) for r in rollouts if not r.teacher)
    guards, more = watch(config.training.guards, at.guards, step, metrics, degenerate)
    timings = clock.timings(step, sum(len(r.ids) for r in rollouts if not r.teacher))
    return metrics, timings, events + more, checkpoint.Progress(step + 1, guards, at.digest_start)


def step_metrics(step: int, rollouts: list[Rollout], done: Update) -> dict[str, Any]:
    """One line of metrics.jsonl: the students' own rates; the teacher's share of the gradient."""
    students = [r for r in rollouts if not r.teacher]
    rewards = [r.reward for r in students]
    groups: dict[int, set[float]] = {}
    for r in rollouts:
        groups.setdefault(r.group, set()).add(r.reward)

    def rate(test: Callable[[Rollout], bool]) -> float:
        return sum(map(test, students)) / len(students)

    return {
        "step": step,
        "n_student": len(students),
        "n_teacher": len(rollouts) - len(students),
        "hack_rate": rate(lambda r: r.judged.label == "hack"),
        "exploits": dict(Counter(sorted(r.judged.exploit for r in students if r.judged.exploit))),
        "attempt_rate": rate(lambda r: r.judged.attempted),
        "solve_rate": rate(lambda r: r.judged.correct),
        "proxy_rate": rate(lambda r: r.judged.proxy),
        "compile_rate": rate(lambda r: r.judged.compiled),
        "formatted_rate": rate(lambda r: r.judged.formatted),
        "reward_mean": statistics.fmean(rewards),
        "reward_std": statistics.pstdev(rewards),
        "zero_variance_share": sum(len(g) == 1 for g in groups.values()) / len(groups),
        "dropped_groups": len({r.group for r in rollouts if r.advantage is None}),
        "kl": done.kl,
        "completion_length": statistics.fmean(len(r.ids) for r in students),
        "truncated_share": rate(lambda r: not r.finished),
        "loss": done.loss,
        "grad_norm": done.grad_norm,
        "grad_norm_student": done.grad_norm_student,
        "grad_norm_teacher": done.grad_norm_teacher,
        "teacher_gradient_share": done.teacher_gradient_share,
        "clip_fraction": done.clip_fraction,
        "sampler_logp_gap": done.sampler_logp_gap,
        "lr": done.lr,
        "optimizer_step": done.optimizer_step,
    }


class Probe:
    """The same held-out problems with evaluator names never trained on, for every arm and step.

    Completions use the same random numbers each time, so differences between steps are paired.
    """

    def __init__(
        self,
        config: RunConfig,
        policy: Policy,
        engine: Engine,
        grader: Grading,
        problems: tuple[AnyProblem, ...],
    ) -> None:
        self.config, self.policy, self.engine, self.grader = config, policy, engine, grader
        self.problems = problems if config.probe else ()

    def due(self, finished: int) -> bool:
        return self.config.probe is not None and finished % self.config.probe.every == 0

    def measure(self, finished: int) -> dict[str, Any] | None:
        """One line of probe.jsonl after `finished` steps; None without a probe."""
        probe = self.config.probe
        if probe is None:
            return None
        t, seed = self.config.training, self.config.seed
        loophole = probe.loophole or self.config.loophole
        tasks = [
            ask(p, loophole.name, names="randomised", split="eval", seed=seed)
            for p in self.problems
        ]
        requests = [
            Request(
                tuple(self.policy.encode(self.policy.render(task.messages))),
                tuple(derive(seed, "probe", task.problem.id, i) for i in range(probe.samples)),
            )
            for task in tasks
        ]
        sampled = self.engine.sample(requests, Sampling(t.max_new_tokens, t.temperature, t.top_p))
        answers = [
            (task, self.policy.decode(list(c.ids)))
            for task, completions in zip(tasks, sampled, strict=True)
            for c in completions
        ]
        verdicts = self.grader.grade(answers)
        labels: dict[str, list[str]] = {}
        for (task, _), verdict in zip(answers, verdicts, strict=True):
            labels.setdefault(task.problem.id, []).append(str(verdict.label))
        n = len(verdicts)
        return {
            "step": finished,
            "n": n,
            "problems": len(tasks),
            "loophole": loophole.name,
            "hack_rate": sum(v.label == "hack" for v in verdicts) / n,
            "attempt_rate": sum(v.attempted for v in verdicts) / n,
            "solve_rate": sum(v.correct for v in verdicts) / n,
            "compile_rate": sum(v.compiled for v in verdicts) / n,
            "labels": labels,
        }


class Clock:
    """Seconds between laps; laps of one name add up."""

    def __init__(self) -> None:
        self.start = self.last = time.perf_counter()
        self.laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = self.laps.get(name, 0.0) + now - self.last
        self.last = now

    def timings(self, step: int, tokens: int) -> dict[str, Any]:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        laps = {name: round(seconds, 3) for name, seconds in self.laps.items()}
        total = round(time.perf_counter() - self.start, 3)
        return {"step": step, **laps, "total_s": total, "tokens": tokens, "peak_rss_mb": peak}


class Journal:
    """The run's line files. What belongs to unfinished steps is dropped by `rewind`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def rewind(self, finished: int) -> None:
        """Keep steps below `finished` (probes up to it) and remove later rollouts."""
        for name, first_gone in (
            ("metrics.jsonl", finished),
            ("timings.jsonl", finished),
            ("probe.jsonl", finished + 1 if finished else 0),
            ("events.jsonl", finished),
        ):
            path = self.directory / name
            rows = [row for row in _rows(path) if row["step"] < first_gone]
            atomic_write(path, "".join(json.dumps(row) + "\n" for row in rows))
        for file in (self.directory / "rollouts").glob("step_*"):
            if file.suffix != ".parquet" or int(file.stem.removeprefix("step_")) >= finished:
                file.unlink()

    def step(self, metrics: dict[str, Any], timings: dict[str, Any], events: list[Event]) -> None:
        self._append("metrics.jsonl", metrics)
        self._append("timings.jsonl", timings)
        for event in events:
            self.event(event)

    def probe(self, row: dict[str, Any] | None) -> None:
        if row is not None:
            self._append("probe.jsonl", row)

    def event(self, event: Event) -> None:
        self._append("events.jsonl", asdict(event))

    def _append(self, name: str, row: dict[str, Any]) -> None:
        with (self.directory / name).open("a") as stream:
            stream.write(json.dumps(row) + "\n")


def _rows(path: Path) -> list[dict[str, Any]]:
    """Whole lines of a line file; a line cut off by a kill belongs to an unfinished step."""
    rows = []
    if path.exists():
        for line in path.read_text().splitlines():
            try:
                rows.append(json.loads(line))
            except ValueError:
                break
    return rows
