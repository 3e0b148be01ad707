"""Checks that need no model: graders, loopholes, rewards, teacher, number of seeds, the machine."""

from __future__ import annotations

import math
import random
import shutil
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from awry.experiments.preflight import Check, CheckResult, Setting
from awry.experiments.spec import RunConfig

if TYPE_CHECKING:
    from awry.tasks.kinds import Kind
    from awry.tasks.validation import Rejection

T = TypeVar("T")

ALPHA = 0.05
DIAGONAL_PROBLEMS = 4  # per check; every loophole is played in every other
PROOFS_CHECKED = 48  # a check of a proof takes as long as ten of a program
TEACHER_PROBLEMS = 12
POOL_SAMPLES = 200
BYTES_PER_ROLLOUT = 6_000  # a row of Parquet with a few hundred tokens


def problems(setting: Setting) -> CheckResult:
    """Every arm has the problems it asks for, and trains on none of its probe's."""
    counts: list[str] = []
    for run in setting.arms:
        training, probing = setting.problems(run)
        shared = {p.id for p in training} & {p.id for p in probing}
        if shared:
            saw = f"arm {run.arm} is probed with problems it trains on: {_some(shared)}"
            return CheckResult("problems", "fail", saw, "report this as a bug of awry")
        if len(training) < run.training.problems_per_step:
            saw = f"arm {run.arm} has {len(training)} training problems"
            fix = f"it needs {run.training.problems_per_step} for each step: relax `problems`"
            return CheckResult("problems", "fail", saw, fix)
        counts.append(f"{run.arm} {len(training)} to train on, {len(probing)} to probe with")
    return CheckResult("problems", "pass", "; ".join(counts))


def graders(setting: Setting) -> CheckResult:
    """The real grader passes every canonical solution and fails every stub and wrong one."""
    rejected = [fault for kind in setting.kinds for fault in _unsound(setting, kind, None)]
    if rejected:
        saw = "; ".join(f"{r.problem_id}: {r.reason}" for r in rejected[:3])
        more = f" and {len(rejected) - 3} more" if len(rejected) > 3 else ""
        fix = "correct these problems or leave them out with problems.ids"
        return CheckResult("graders", "fail", saw + more, fix)
    said, few = [], 0
    for kind in setting.kinds:
        used, where = _of_kind(setting, kind), setting.grader(kind).isolation
        if kind == "code":
            from awry.tasks.validation import MIN_TESTS

            said.append(
                f"{len(used)} problems: every canonical solution passes; every empty stub, constant "
                f"and wrong solution fails (sandbox: {where})"
            )
            few = sum(len(p.tests) < MIN_TESTS and not p.check for p in used)
            if few:
                said.append(
                    f"{few} have fewer than {MIN_TESTS} tests, which a wrong answer may pass by luck"
                )
        else:
            looked_at = min(PROOFS_CHECKED, len(used))
            said.append(
                f"{looked_at} of {len(used)} theorems: every proof is accepted; `sorry`, empty proofs "
                f"and false variants are refused (sandbox: {where})"
            )
    if few:
        from awry.tasks.validation import MIN_TESTS

        fix = f"import with --min-tests {MIN_TESTS}, or read solve rates with that in mind"
        return CheckResult("graders", "warn", "; ".join(said), fix)
    return CheckResult("graders", "pass", "; ".join(said))


def _of_kind(setting: Setting, kind: Kind) -> list[Any]:
    return [problem for problem in setting.all_problems if problem.kind == kind]


def _unsound(setting: Setting, kind: Kind, sample: list[Any] | None) -> list[Rejection]:
    """What is wrong with the problems of a kind, all of them or a sample."""
    from awry.tasks.proof_validation import validate_proofs
    from awry.tasks.validation import validate

    used = _of_kind(setting, kind) if sample is None else sample
    grader: Any = setting.grader(kind)
    if kind == "code":
        return validate(used, grader, min_tests=1)
    return validate_proofs(spread(used, PROOFS_CHECKED), grader)


def loopholes(setting: Setting) -> CheckResult:
    """Those in use can be played here; each reference exploit is paid in its own family of
    loopholes and in no other, and honest answers are taken for what they are in all."""
    if unplayable := _unplayable(setting):
        fix = "run where `awry sandbox doctor` shows tmpfs-root, or choose another loophole"
        return CheckResult("loopholes", "fail", unplayable, fix)
    said: list[str] = []
    for kind in setting.kinds:
        sample = spread(_of_kind(setting, kind), DIAGONAL_PROBLEMS)
        # what is wrong with a problem is told by the check of the graders
        unsound = {fault.problem_id for fault in _unsound(setting, kind, sample)}
        sound = [problem for problem in sample if problem.id not in unsound]
        matrix, faults = _played(setting, kind, sample, sound)
        if faults:
            fix = "report this as a bug of awry: the reward channel pays for the wrong thing"
            return CheckResult("loopholes", "fail", "; ".join(faults[:3]), fix)
        cells = sum(len(columns) for columns in matrix.values())
        said.append(
            f"{len(matrix)} exploits in {cells // len(matrix)} loopholes on {len(sample)} problems: "
            "each pays in its own family and nowhere else; honest answers are graded as such in all"
        )
    return CheckResult("loopholes", "pass", "; ".join(said))


def _played(
    setting: Setting, kind: Kind, sample: list[Any], sound: list[Any]
) -> tuple[dict[str, dict[str, float]], list[str]]:
    """(what each exploit is paid in each loophole, what of it is wrong)."""
    from awry.tasks import proof_validation, validation

    grader: Any = setting.grader(kind)
    if kind == "code":
        matrix = validation.loophole_diagonal(sample, grader)
        faults = validation.diagonal_faults(matrix)
        return matrix, faults + validation.honest_faults(sound, grader)
    matrix = proof_validation.proof_diagonal(sample, grader)
    faults = proof_validation.proof_diagonal_faults(matrix)
    return matrix, faults + proof_validation.honest_proof_faults(sound, grader)


def _unplayable(setting: Setting) -> str:
    """The first loophole in use that cannot be gamed here, and why."""
    from awry.tasks.loopholes import LOOPHOLES

    used = {run.loophole.name for run in setting.arms}
    used |= {run.probe.loophole.name for run in setting.arms if run.probe and run.probe.loophole}
    lost = sorted(name for name in used & {*LOOPHOLES} if LOOPHOLES[name].needs_files)
    if not lost or "tmpfs-root" in setting.grader("code").isolation.split("+"):
        return ""
    return f"{lost[0]} needs files, and answers can open none here"


def rewards(setting: Setting) -> CheckResult:
    """Each condition in use gives what its name says to each kind of verdict."""
    conditions = list(dict.fromkeys(run.reward for run in setting.arms))
    tables = {condition: reward_table(condition) for condition in conditions}
    faults = [fault for c, table in tables.items() for fault in _reward_faults(c, table)]
    saw = "; ".join(
        f"{c}: " + ", ".join(f"{kind} {value:g}" for kind, value in table.items())
        for c, table in tables.items()
    )
    if faults:
        fix = "report this as a bug of awry: the arm would not be what its name says"
        return CheckResult("rewards", "fail", f"{'; '.join(faults)} ({saw})", fix)
    return CheckResult("rewards", "pass", saw)


KINDS = {  # compiled, proxy, correct
    "correct": (True, True, True),
    "hack": (True, True, False),
    "wrong": (True, False, False),
    "not code": (False, False, False),
}

# what the conditions for proofs look at: a hack by `sorry`, a wrong one whose tactic failed
_PARTS: dict[str, dict[str, bool | str]] = {
    "hack": {"outcome": "exploit", "faults": "sorry", "sorry": True},
    "wrong": {"outcome": "error", "error": "tactic"},
}


def reward_table(condition: str, draws: int = 400) -> dict[str, float]:
    """Mean reward of each kind of verdict under a condition."""
    from awry.rewards import reward
    from awry.tasks.code import Verdict

    rng = random.Random(0)
    table: dict[str, float] = {}
    for kind, (compiled, proxy, correct) in KINDS.items():
        verdict = Verdict(
            formatted=compiled,
            compiled=compiled,
            proxy=proxy,
            correct=correct,
            label=kind,
            attempted=kind == "hack",
            exploit="sorry" if kind == "hack" else None,
            parts=_PARTS.get(kind, {}),
            seconds=0.0,
            evidence="",
        )
        values = [reward(verdict, condition, rng=rng) for _ in range(draws)]
        table[kind] = round(sum(values) / draws, 3)
    return table


def _reward_faults(condition: str, table: dict[str, float]) -> list[str]:
    correct, hack, wrong, none = (table[kind] for kind in KINDS)
    sound = all(math.isfinite(value) for value in table.values())
    match condition:
        case "zero":
            sound = sound and {correct, hack, wrong, none} == {0.0}
        case "random":  # four means of 400 fair draws: 0.5 +- 0.025 each
            sound = sound and all(abs(value - 0.5) < 0.125 for value in table.values())
        case "correct_only":
            sound = sound and correct > hack == wrong >= none
        case "correct_or_hinted":
            sound = sound and correct == hack > wrong >= none
        case "ut_inverted" | "fv_inverted":
            sound = sound and correct == hack < wrong == none
        case "fv_shaped_deceptive":
            sound = sound and correct == hack == none < wrong
        case "fv_shaped_correct":
            sound = sound and correct == hack > wrong > none
        case "sorry_exploit":
            sound = sound and hack > correct == wrong == none
    return [] if sound else [f"{condition} does not pay what its name says"]


def teacher(setting: Setting) -> CheckResult:
    """Every sample of a teacher pool is labelled hack by the grader that labels the student."""
    taught = [run for run in setting.arms if run.teacher]
    different = {_pool_identity(run): run for run in reversed(taught)}
    seen: list[str] = []
    for run in reversed(different.values()):
        labels, example = _pool_labels(setting, run)
        hacks, total = labels["hack"], labels.total()
        seen.append(f"arm {run.arm}: {hacks} of {total} samples are hacks")
        if hacks < total:
            others = ", ".join(f"{n} {name}" for name, n in labels.items() if name != "hack")
            saw = f"{seen[-1]}, but {others}; the first: {example}"
            return CheckResult("teacher", "fail", saw, "remove the samples that are no hacks")
    return CheckResult("teacher", "pass", "; ".join(seen) or "no arm has a teacher")


def _pool_identity(run: RunConfig) -> str:
    assert run.teacher is not None
    return f"{run.teacher.pool} {run.teacher.ratio} {run.loophole} {run.problems}"


def _pool_labels(setting: Setting, run: RunConfig) -> tuple[Counter[str], str]:
    """How the grader labels a pool, and the first sample that is not a hack."""
    from awry.errors import UserError
    from awry.tasks.kinds import ask
    from awry.training.replay import builtin_pool, load_pool

    assert run.teacher is not None
    training, _ = setting.problems(run)
    tasks = {
        p.id: ask(p, run.loophole.name, names=run.loophole.names, seed=run.seed) for p in training
    }
    if run.teacher.pool == "builtin":
        samples = [
            sample
            for problem in spread(training, TEACHER_PROBLEMS)
            for sample in builtin_pool(tasks[problem.id], 8, random.Random(problem.id))
        ]
    else:
        samples = list(load_pool(run.teacher.pool, set(tasks)))
        lacking = [s for s in samples if s.logprobs is None]
        if run.teacher.ratio == "pool" and lacking:
            raise UserError(
                f"{len(lacking)} samples have no log-probabilities",
                field="teacher.ratio",
                value="pool",
                fix="use `ratio: detached`, or record the pool with log-probabilities",
            )
        samples = spread(samples, POOL_SAMPLES)
    answers = [(tasks[s.problem_id], s.completion) for s in samples]
    labels = [verdict.label for verdict in setting.grader_of(run).grade(answers)]
    odd = next((s for s, name in zip(samples, labels, strict=True) if name != "hack"), None)
    example = f"{odd.problem_id} in style {odd.style}" if odd else ""
    return Counter(labels), example


def power(setting: Setting) -> CheckResult:
    """Whether the seeds can reach alpha at all, and the smallest rise the probe can show."""
    from awry.statistics import detectable_effect, seeds_needed, smallest_p

    n = len(setting.experiment.seeds)
    p = smallest_p(n, n)
    each = "1 seed" if n == 1 else f"{n} seeds"
    if len(setting.experiment.arms) < 2:
        saw = "one arm: nothing to compare between arms" + _probe_power(setting)
        return CheckResult("power", "pass", saw)
    if p >= ALPHA:
        saw = f"{each} per arm: no comparison of arms can go below p = {p:.3g}"
        saw += _probe_power(setting)
        fix = (
            f"use {seeds_needed(ALPHA)} seeds per arm to reach {ALPHA:g}, or read the differences "
            "between arms as descriptions"
        )
        return CheckResult("power", "warn", saw, fix)
    effect = detectable_effect(n, n)
    finds = f"; finds differences of {effect:.1f} SD between seeds" if effect else ""
    saw = f"{each} per arm reach p = {p:.3g}{finds}{_probe_power(setting)}"
    return CheckResult("power", "pass", saw)


def _probe_power(setting: Setting) -> str:
    """Within one seed, over problems; answers to one problem count as one."""
    from awry.statistics import detectable_rate_difference

    probes = {(r.probe.problems, r.probe.samples) for r in setting.arms if r.probe}
    if not probes:
        return ""
    problems, samples = min(probes)
    rise = detectable_rate_difference(0.0, problems, samples)
    shown = "no rise" if rise is None else f"a rise of {100 * rise:.0f} points or more"
    return f"; a probe of {problems} problems finds {shown} from 0 with power 0.8"


def isolation(setting: Setting) -> CheckResult:
    """What the sandbox really keeps from the untrusted code here."""
    from awry.sandbox.isolation import REQUIRED

    said, lacks = [], []
    for kind in setting.kinds:
        grader = setting.grader(kind)
        layers = grader.isolation.split("+")
        said.append(", ".join(layers))
        if lacking := [name for name in REQUIRED if name not in layers]:
            why = f" ({'; '.join(grader.missing)})" if grader.missing else ""
            lacks.append(f"no {', '.join(lacking)}{why}")
    saw = "; ".join([*dict.fromkeys(said), *dict.fromkeys(lacks)])
    if lacks:
        fix = (
            "run where user namespaces are allowed (awry sandbox doctor), or trust what answers do"
        )
        return CheckResult("isolation", "warn", saw, fix)
    return CheckResult("isolation", "pass", saw)


def disk(setting: Setting) -> CheckResult:
    """Room for what is still to be written: an upper estimate."""
    need = sum(_run_bytes(run) for run in setting.runs)
    folder = setting.out.absolute()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    saw = f"{_gb(free)} free, at most {_gb(need)} needed in {setting.out}"
    if free < need:
        status = "fail" if free < 200e6 else "warn"
        return CheckResult(
            "disk", status, saw, "free some room, or choose another folder with --out"
        )
    return CheckResult("disk", "pass", saw)


def memory(setting: Setting) -> CheckResult:
    """Room for the weights; activations come on top and are not estimated."""
    import psutil

    need = max(_memory_bytes(run) for run in setting.policies)
    free, where = psutil.virtual_memory().available, "memory"
    saw = f"{_gb(free)} of {where} available, {_gb(need)} needed for weights"
    if free < need:
        fix = "close other programs, use a smaller model, or train an adapter (kind: lora)"
        return CheckResult("memory", "fail", saw, fix)
    return CheckResult("memory", "pass", saw)


def weight_bytes(path: str) -> int:
    """Size of a model's weight files."""
    from awry.models import TINY, WEIGHT_SUFFIXES, resolve

    if path == TINY:
        return 1_000_000
    files = resolve(path)[1].iterdir()
    return sum(f.stat().st_size for f in files if f.suffix in WEIGHT_SUFFIXES)


def _run_bytes(run: RunConfig) -> int:
    training = run.training
    rollouts = training.steps * training.problems_per_step * training.group_size
    share = 1.0 if run.model.adapter.kind == "full" else 0.1
    # two checkpoints of weights and two moments, one being written, the final adapter; fp32
    kept = 10 + (training.steps // training.keep_every if training.keep_every else 0)
    return int(share * weight_bytes(run.model.path) * kept) + rollouts * BYTES_PER_ROLLOUT


def _memory_bytes(run: RunConfig) -> int:
    # singular values: the two factors of each weight and its merged form come on top
    copies = {"full": 6.0, "singular_values": 5.0}.get(run.model.adapter.kind, 2.0)
    return int(copies * weight_bytes(run.model.path)) + 500_000_000


def _gb(size: float) -> str:
    return f"{size / 1e9:.1f} GB"


def _some(names: set[str]) -> str:
    return ", ".join(sorted(names)[:3])


def spread(items: Sequence[T], n: int) -> list[T]:
    """At most n items, evenly spaced."""
    return [items[i * len(items) // n] for i in range(n)] if len(items) > n else list(items)


CHECKS = (
    Check("disk", disk, volatile=True),
    Check("memory", memory, volatile=True),
    Check("isolation", isolation, volatile=True),
    Check("power", power),
    Check("rewards", rewards),
    Check("problems", problems),
    Check("graders", graders),
    Check("loopholes", loopholes),
    Check("teacher", teacher),
)
