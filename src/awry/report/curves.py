"""Which curves the page shows, and the numbers of each: one line per arm. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from awry.report.charts import Chart, Series
from awry.report.load import Run
from awry.report.summary import ReportData

Curve = tuple[str, str, str, bool]
# metric, title, unit, percent
MAIN_CURVES: tuple[Curve, ...] = (
    ("attempt_rate", "Attempts", "% of student rollouts", True),
    ("solve_rate", "Solved", "% of student rollouts", True),
    ("reward_mean", "Mean reward", "per student rollout", False),
    ("reward_std", "Spread of the reward", "standard deviation", False),
    ("zero_variance_share", "Groups without reward spread", "% of groups", True),
    ("kl", "KL from the reference policy", "nats per token", False),
    ("completion_length", "Completion length, mean", "tokens", False),
)
MORE_CURVES: tuple[Curve, ...] = (
    ("compile_rate", "Compiles", "% of student rollouts", True),
    ("truncated_share", "Cut off at the token limit", "% of student rollouts", True),
    ("grad_norm", "Gradient norm before clipping", "norm", False),
    ("teacher_gradient_share", "Teacher's share of the gradient", "⟨g_teacher, g⟩ / |g|²", False),
    ("clip_fraction", "Clipped ratios", "% of tokens", True),
    ("sampler_logp_gap", "Sampler against trainer log-probability", "mean |gap|, nats", False),
)
# curves of one group are drawn to one scale; groups of the second list only where an arm intervenes
MEASURED: tuple[tuple[Curve, ...], ...] = (
    (("direction_cosine_in", "Gradient's cosine, before", "with the direction", False),),
    (("direction_energy_in", "Gradient's energy, before", "‖relu(V g)‖ / ‖g‖", False),),
    (
        ("direction_cosine_hack", "Cosine of hacking rollouts", "mean per-sample cosine", False),
        ("direction_cosine_other", "Cosine of all others", "mean per-sample cosine", False),
    ),
    (("direction_auroc", "Hacks told apart by the cosine", "AUROC within the step", False),),
    (("direction_leak", "Leak", "cosine of the update; above 0: towards hacking", False),),
    (("direction_leak_share", "Share of the update towards it", "‖relu(V u)‖ / ‖u‖", False),),
    (("direction_overlap", "Overlap with the one before", "at a refresh", False),),
)
INTERVENED: tuple[tuple[Curve, ...], ...] = (
    (
        ("direction_cosine_in", "Gradient's cosine, before", "with the direction", False),
        ("direction_cosine_out", "Gradient's cosine, after", "with the direction", False),
    ),
    (
        ("direction_energy_in", "Gradient's energy, before", "‖relu(V g)‖ / ‖g‖", False),
        ("direction_energy_out", "Gradient's energy, after", "‖relu(V g)‖ / ‖g‖", False),
    ),
    (("direction_removed_share", "Removed", "% of the squared gradient norm", True),),
    (("direction_fired_share", "Modules where it acted", "% of modules", True),),
)
PLACEBO: tuple[tuple[Curve, ...], ...] = (
    (
        ("placebo_cosine_in", "Gradient's cosine, before", "with the placebo", False),
        ("placebo_cosine_out", "Gradient's cosine, after", "with the placebo", False),
    ),
    (("placebo_removed_share", "Removed by the placebo", "% of the squared norm", True),),
    (("placebo_fired_share", "Modules where the placebo acted", "% of modules", True),),
)


def direction_charts(data: ReportData, chance: float | None) -> tuple[list[Chart], list[Chart]]:
    """(along the direction, along the placebos' own); only what was measured.

    chance: the energy of a direction that has nothing to do with the gradient.
    """
    treated = any(run.config.get("intervention") for run in data.experiment.runs)
    groups = (*INTERVENED, *MEASURED[2:]) if treated else MEASURED
    levels = {"direction_auroc": (0.5, "chance")}
    if chance is not None:
        levels |= {f"direction_energy_{end}": (chance, "chance") for end in ("in", "out")}
    return (
        [chart for group in groups for chart in _group(data, group, levels)],
        [chart for group in PLACEBO for chart in _group(data, group, {})],
    )


def _group(
    data: ReportData, group: Sequence[Curve], levels: Mapping[str, tuple[float, str]]
) -> list[Chart]:
    found = [curve(data, *spec, sparse=True) for spec in group]
    cover = tuple(v for chart in found for v in chart.values)
    return [
        replace(
            chart,
            cover=(min(cover), max(cover)) if len(found) > 1 else (),
            levels=(levels[chart.id],) if chart.id in levels else (),
        )
        for chart in found
        if chart.values
    ]


def hero(data: ReportData) -> tuple[Chart, Chart]:
    """The student's hack rate in training, and on the probe."""
    training = curve(data, "hack_rate", "Student hacks in training", "% of student rollouts", True)
    probe = _chart(
        data,
        "probe-hack",
        "Hacks on the held-out probe",
        "% of probe answers",
        True,
        lambda run: {int(row["step"]): _finite(row.get("hack_rate")) for row in run.probe},
    )
    return training, probe


def exploits(data: ReportData) -> list[Chart]:
    """Hacks by exploit, to one scale, where more than one way of hacking was seen."""
    rows = [row for run in data.experiment.runs for row in run.metrics]
    kinds = sorted({kind for row in rows for kind in row.get("exploits") or {}})
    if len(kinds) < 2:
        return []
    found = [
        _chart(
            data,
            f"exploit-{kind}",
            f"Hacks by {kind}",
            "% of student rollouts",
            True,
            partial(_exploit_rate, kind=kind),
            teacher=True,
        )
        for kind in kinds
    ]
    values = tuple(v for chart in found for v in chart.values)
    return [replace(chart, cover=(min(values), max(values))) for chart in found]


def _exploit_rate(run: Run, kind: str) -> dict[int, float | None]:
    return {
        int(row["step"]): (row["exploits"] or {}).get(kind, 0) / row["n_student"]
        for row in run.metrics
        if row.get("n_student") and "exploits" in row
    }


def curve(
    data: ReportData, metric: str, title: str, unit: str, percent: bool, *, sparse: bool = False
) -> Chart:
    """sparse: not measured at every step; the line then goes on over the steps between."""
    return _chart(
        data,
        metric,
        title,
        unit,
        percent,
        lambda run: {
            int(row["step"]): value
            for row in run.metrics
            if (value := _finite(row.get(metric))) is not None or not sparse
        },
        counts=metric in ("hack_rate", "attempt_rate", "solve_rate"),
        teacher=True,
    )


def _chart(
    data: ReportData,
    key: str,
    title: str,
    unit: str,
    percent: bool,
    values_of: Callable[[Run], Mapping[int, float | None]],
    *,
    counts: bool = False,
    teacher: bool = False,
) -> Chart:
    """One line per arm: the run itself, or the mean over seeds with each seed drawn faintly."""
    series: list[Series] = []
    mixed: dict[int, tuple[int, ...]] = {}
    for i, arm in enumerate(data.experiment.arms):
        runs = data.experiment.runs_of(arm)
        lines = [values_of(run) for run in runs]
        if len(runs) > 1:
            series += [
                Series(f"{arm}, seed {run.seed}", i, line, faint=True)
                for run, line in zip(runs, lines, strict=True)
            ]
        notes = _counts(runs[0], lines[0]) if counts and len(runs) == 1 else {}
        name = arm if len(runs) == 1 else f"{arm}, mean of {len(runs)} seeds"
        series.append(Series(name, i, _mean(lines), notes))
        if teacher:
            steps = {int(r["step"]) for run in runs for r in run.metrics if r.get("n_teacher")}
            mixed[i] = tuple(sorted(steps))
    return Chart(key, title, unit, tuple(series), percent, mixed)


def _mean(lines: Sequence[Mapping[int, float | None]]) -> dict[int, float | None]:
    """Per step over seeds; None where a seed has no number, so no mean mixes seeds unnoticed."""
    out: dict[int, float | None] = {}
    for step in sorted({step for line in lines for step in line}):
        known = [v for line in lines if (v := line.get(step)) is not None]
        out[step] = sum(known) / len(known) if len(known) == len(lines) else None
    return out


def _counts(run: Run, line: Mapping[int, float | None]) -> dict[int, str]:
    students = {int(row["step"]): row.get("n_student") for row in run.metrics}
    return {
        step: f"{round(value * n)} of {n}"
        for step, value in line.items()
        if value is not None and (n := students.get(step))
    }


def _finite(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < float("inf") else None
