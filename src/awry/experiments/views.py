"""What commands show of an experiment, a run or a problem: plain rows, ready for a table or JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from awry.errors import UserError, spelling_fix
from awry.experiments.plan import last_metrics, plan
from awry.experiments.spec import Experiment, load_experiment
from awry.progress import duration


def status_rows(experiment: Experiment, out: Path) -> list[dict[str, Any]]:
    """One row per direction and run: how far it is, and for runs the last rates (fractions) and the
    seconds spent.
    """
    rows: list[dict[str, Any]] = []
    for stage in plan(experiment, out):
        if stage.name not in ("direction", "train"):
            continue
        last = last_metrics(stage.directory) if stage.directory else {}
        seconds = stage.seconds or 0.0
        left = (
            seconds / stage.steps * (stage.planned - stage.steps)
            if stage.steps and stage.planned and stage.status != "done"
            else None
        )
        rows.append(
            {
                "stage": stage.name,
                "arm": stage.arm,
                "seed": stage.seed,
                "added": stage.added,
                "status": stage.status,
                "steps": stage.steps,
                "planned": stage.planned,
                "hack_rate": last.get("hack_rate"),
                "solve_rate": last.get("solve_rate"),
                "reward_mean": last.get("reward_mean"),
                "seconds": seconds,
                "seconds_left": left,
                "directory": str(stage.directory) if stage.directory else None,
            }
        )
    return rows


def status_cells(row: dict[str, Any]) -> dict[str, str]:
    """A row of `status_rows` as text."""

    def percent(value: float | None) -> str:
        return "-" if value is None else f"{value:.0%}"

    reward, left = row["reward_mean"], row["seconds_left"]
    if row["stage"] == "direction":
        arm = f"direction of {row['arm']}" if row["arm"] else "direction"
        places = {"arm": arm, "seed": _blank(row["seed"]), "status": row["status"]}
        return places | dict.fromkeys(("steps", "hack", "solve", "reward", "time", "left"), "-")
    return {
        "arm": _arm(row),
        "seed": str(row["seed"]),
        "status": row["status"],
        "steps": f"{row['steps']}/{row['planned']}",
        "hack": percent(row["hack_rate"]),
        "solve": percent(row["solve_rate"]),
        "reward": "-" if reward is None else f"{reward:.2f}",
        "time": duration(row["seconds"]),
        "left": "-" if left is None else duration(left),
    }


def plan_cells(row: dict[str, Any]) -> dict[str, Any]:
    """A row of a plan as text."""
    return row | {"arm": _arm(row), "key": (row["key"] or "")[:16]}


def _arm(row: dict[str, Any]) -> str:
    return f"{row['arm']} (added: placebo)" if row["added"] else _blank(row["arm"])


def _blank(value: object) -> str:
    return "" if value is None else str(value)


def directory_of(place: Path, out: Path) -> Path:
    """The experiment's directory, given it or the experiment file. Raises UserError."""
    if place.is_dir():
        return place
    if place.suffix in (".yaml", ".yml") or place.is_file():
        return out / load_experiment(place).name
    if (out / place).is_dir():
        return out / place
    there = sorted(p.parent.name for p in out.glob("*/experiment.json"))
    raise UserError(
        "neither an experiment file nor the directory of an experiment",
        field="FILE|DIR",
        value=place,
        fix=f"in {out} there are: {', '.join(there)}" if there else "run an experiment first",
    )


def problem_facts(problem_id: str, source: str, loophole: str | None) -> dict[str, Any]:
    """Everything about one problem, and its prompt under a loophole if one is named."""
    from dataclasses import asdict

    from awry.tasks.loopholes import render
    from awry.tasks.problems import load_problems

    problems = {problem.id: problem for problem in load_problems(source)}
    if problem_id not in problems:
        fix = spelling_fix(problem_id, problems, "list them with: awry problems list")
        raise UserError("no such problem", field="PROBLEM", value=problem_id, fix=fix)
    problem = problems[problem_id]
    facts = asdict(problem) | {"digest": problem.digest}
    if loophole is not None:
        facts["messages"] = list(render(problem, loophole).messages)
    return facts
