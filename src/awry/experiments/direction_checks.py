"""Checks of the direction: its pairs, what it separates, and the basis it is written in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from awry import files
from awry.experiments import store
from awry.experiments.preflight import Check, CheckResult, Setting
from awry.experiments.stages import direction_stages

AUROC_LEAST, AUROC_GOOD = 0.75, 0.9
SIGNS_GOOD = 0.6
SURFACE_AUROC = 0.75  # of a classifier that only counts; mirrored below one half

Status = Literal["pass", "warn", "fail"]


def pairs(setting: Setting) -> CheckResult:
    """Every completion of the contrastive pairs is graded what it claims to be, and counting
    characters or lines does not tell the two classes apart.
    """
    from awry.tasks.pairs import load_benign_pairs, load_pairs, statistics, validate

    grader: Any = setting.grader("code")
    seen: list[str] = []
    status, fix = "pass", ""
    for source in dict.fromkeys(run.direction.pairs for run in setting.arms if run.direction):
        given = load_pairs(source)
        wrong = validate(given, grader)
        if wrong:
            more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
            saw = f"{source}: {'; '.join(wrong[:3])}{more}"
            return CheckResult("pairs", "fail", saw, "correct these pairs or leave them out")
        looks = statistics(given)
        surface = {name: looks["all"]["auroc"][name] for name in ("characters", "lines")}
        seen.append(
            f"{source}: {len(given)} pairs on {looks['all']['problems']} problems, "
            f"{looks['heldout']['pairs']} held out, every completion is graded what it claims to "
            "be; AUROC of counting " + ", ".join(f"{n} {v:.2f}" for n, v in surface.items())
        )
        if max(abs(value - 0.5) for value in surface.values()) > SURFACE_AUROC - 0.5:
            status = "warn"
            fix = "write hacks and honest answers of like length, or the direction is one of length"
    if wrong := validate(load_benign_pairs(), grader, benign=True):
        fix = "report this as a bug of awry: its benign pairs are unsound"
        return CheckResult("pairs", "fail", f"benign: {'; '.join(wrong[:3])}", fix)
    return CheckResult("pairs", status, "; ".join(seen), fix)


def direction(setting: Setting) -> CheckResult:
    """The direction separates held-out pairs, and better than directions that mean nothing."""
    stages = direction_stages(setting.runs)
    judged: list[tuple[Status, str, str]] = []
    for number, (stage, users) in enumerate(stages, start=1):
        directory = stage.directory(setting.out / "store")
        status, why = store.status(directory)
        found = files.read_json(directory / "verification.json")
        if status != "done" or found is None:
            saw = f"{directory}: there is no verification ({why or 'not readable'})"
            return CheckResult("direction", "fail", saw, "extract it again: awry run with --force")
        verdict, saw, fix = judge(found)
        if verdict == "fail" and users[0].model.path == "tiny-random":
            verdict, fix = "warn", "random weights: this run exercises the machinery only"
        judged.append((verdict, f"{number}: {saw}" if len(stages) > 1 else saw, fix))
    worst = max(judged, key=lambda row: ("pass", "warn", "fail").index(row[0]))
    return CheckResult("direction", worst[0], "; ".join(saw for _, saw, _ in judged), worst[2])


def judge(verification: Mapping[str, Any]) -> tuple[Status, str, str]:
    """(status, figures, what to do) of a verification.json."""
    rows = {row["direction"]: row for row in verification["rows"]}
    own = rows["extracted"]["auroc_cosine"]
    nulls = {name: _highest(row) for name, row in rows.items() if name != "extracted"}
    signs = verification["sign_agreement"]
    figures = ", ".join([f"extracted {own:.2f}", *(_figure(n, rows[n]) for n in nulls)])
    saw = (
        f"AUROC of the cosine on {verification['pairs_heldout']} held-out pairs: {figures}; "
        f"{signs:.0%} of signs agree; {verification['top_k']} axes in each of "
        f"{verification['modules']} modules carry {verification['energy']:.0%} of the pairs' energy"
    )
    better = "use more or clearer pairs, other `direction.top_k`, or a policy that tells them apart"
    beaten_by = [name for name, value in nulls.items() if own <= value]
    if own < AUROC_LEAST:
        return "fail", f"separates hack from honest too poorly: {saw}", better
    if beaten_by:
        return "fail", f"does not beat {' and '.join(beaten_by)}: {saw}", better
    if own < AUROC_GOOD or signs < SIGNS_GOOD:
        return "warn", saw, f"it is weak: {better}"
    return "pass", saw, ""


def _highest(row: Mapping[str, Any]) -> float:
    spread = row.get("auroc_spread")
    return max(spread) if spread else row["auroc_cosine"]


def _figure(name: str, row: Mapping[str, Any]) -> str:
    spread = row.get("auroc_spread")
    span = f" ({spread[0]:.2f} to {spread[1]:.2f})" if spread else ""
    return f"{name} {row['auroc_cosine']:.2f}{span}"


def basis(setting: Setting) -> CheckResult:
    """The stored directions are vectors in the coordinates that training will use."""
    from awry.gradients.directions import check_fits, load_direction

    names: list[str] = []
    # the first seeds only: their policies are opened for other checks anyway
    for stage, (run, *_) in direction_stages(setting.arms):
        _, adapter, _ = setting.opened(run)
        for name in ("direction", "shuffled", "benign"):
            file = stage.directory(setting.out / "store") / f"{name}.safetensors"
            check_fits(load_direction(file), adapter.kind, adapter.basis_digest)
        names.append(f"{run.model.path} ({adapter.kind}, basis {adapter.basis_digest[:12]})")
    return CheckResult("basis", "pass", f"directions are written in that of {', '.join(names)}")


DIRECTION_CHECKS = (
    Check("pairs", pairs),
    Check("direction", direction, volatile=True),  # the store may have changed since
    Check("basis", basis),
)
