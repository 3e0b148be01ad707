"""The report as one HTML file: no network, no second file, everything from data escaped."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from typing import Any

from awry import __version__
from awry.report import charts, findings, setup
from awry.report.charts import Chart, Series, Strip
from awry.report.load import Experiment, Run
from awry.report.rollouts import embed
from awry.report.summary import MEASURES, WINDOW, ArmSummary, Change, Rate, ReportData

LABELS = {
    "correct": "Correct",
    "correct_attempted": "Correct, attempted",
    "hack": "Hack",
    "attempted": "Attempted",
    "incorrect": "Incorrect",
}
MAIN_CURVES = (
    # metric, title, unit, percent
    ("attempt_rate", "Attempts", "% of student rollouts", True),
    ("solve_rate", "Solved", "% of student rollouts", True),
    ("reward_mean", "Mean reward", "per student rollout", False),
    ("reward_std", "Spread of the reward", "standard deviation", False),
    ("zero_variance_share", "Groups without reward spread", "% of groups", True),
    ("kl", "KL from the reference policy", "nats per token", False),
    ("completion_length", "Completion length, mean", "tokens", False),
)
MORE_CURVES = (
    ("compile_rate", "Compiles", "% of student rollouts", True),
    ("truncated_share", "Cut off at the token limit", "% of student rollouts", True),
    ("grad_norm", "Gradient norm before clipping", "norm", False),
    ("teacher_gradient_share", "Teacher's share of the gradient", "⟨g_teacher, g⟩ / |g|²", False),
    ("clip_fraction", "Clipped ratios", "% of tokens", True),
    ("sampler_logp_gap", "Sampler against trainer log-probability", "mean |gap|, nats", False),
)
STEP_TABLE = (
    *("hack_rate", "attempt_rate", "solve_rate", "proxy_rate", "reward_mean", "reward_std"),
    *("zero_variance_share", "kl", "completion_length", "truncated_share", "grad_norm"),
    *("loss", "n_student", "n_teacher", "optimizer_step"),
)
EVENT_LIMIT = 200


def render_html(data: ReportData) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_asset),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(
        percent=findings.percent,
        change=lambda change: findings.signed(change.estimate),
        tie=lambda text: re.sub(r" (?=%)|(?<=\bp) (?=[=<])|(?<=[=<]) (?=\d)", "\u00a0", str(text)),
        p_value=findings.p_value,
        interval=_interval,
        pretty=lambda value: json.dumps(value, indent=2, ensure_ascii=False, default=str),
        cell=_cell,
        duration=_duration,
    )
    script = _asset("report.js")
    experiment = data.experiment
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("report.html.j2").render(
        style=_asset("report.css"),
        script=script,
        script_digest=digest,
        version=__version__,
        data=data,
        experiment=experiment,
        index={name: i for i, name in enumerate(experiment.arms)},
        asked=setup.facts(experiment.runs),
        differences=setup.differences(experiment.runs),
        example=setup.example_prompt(experiment.runs),
        strips={arm.name: _strip(i, arm) for i, arm in enumerate(data.arms)},
        hero=_hero(data),
        curves=[_curve(data, *curve) for curve in MAIN_CURVES],
        more_curves=[_curve(data, *curve) for curve in MORE_CURVES],
        rollouts=embed(experiment.runs),
        events=_events(experiment)[:EVENT_LIMIT],
        event_count=len(_events(experiment)),
        labels=LABELS,
        measures=tuple(MEASURES),
        window=WINDOW,
        margin=findings.MARGIN,
        step_columns=STEP_TABLE,
        line_chart=charts.line_chart,
        swatch=charts.swatch,
    )


def _hero(data: ReportData) -> tuple[Chart, Chart]:
    """The student's hack rate in training, and on the probe."""
    training = _curve(data, "hack_rate", "Student hacks in training", "% of student rollouts", True)
    probe = _chart(
        data,
        "probe-hack",
        "Hacks on the held-out probe",
        "% of probe answers",
        True,
        lambda run: {int(row["step"]): _finite(row.get("hack_rate")) for row in run.probe},
    )
    return training, probe


def _curve(data: ReportData, metric: str, title: str, unit: str, percent: bool) -> Chart:
    return _chart(
        data,
        metric,
        title,
        unit,
        percent,
        lambda run: {int(row["step"]): _finite(row.get(metric)) for row in run.metrics},
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


def _strip(index: int, arm: ArmSummary) -> Any:
    def side(rate: Rate) -> tuple[float, float, float]:
        return rate.value, rate.interval.low, rate.interval.high

    return charts.interval_strip(Strip(index, side(arm.start["hack"]), side(arm.end["hack"])))


def _events(experiment: Experiment) -> list[tuple[str, Mapping[str, Any]]]:
    """(whose, event): the experiment's own first, then each run's."""
    own = [("experiment", event) for event in experiment.events]
    return own + [
        (f"{run.arm}, seed {run.seed}", event) for run in experiment.runs for event in run.events
    ]


def _finite(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < float("inf") else None


def _interval(value: Rate | Change) -> str:
    if isinstance(value, Change):
        return f"{findings.signed(value.interval.low)} to {findings.signed(value.interval.high)}"
    if not value.trials:
        return "–"
    return f"{value.interval.low * 100:.0f}–{value.interval.high * 100:.0f} %"


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours} h {minutes} min"
        if hours
        else f"{minutes} min {rest} s"
        if minutes
        else f"{rest} s"
    )


def _asset(name: str) -> str:
    return (resources.files("awry.report") / "assets" / name).read_text(encoding="utf-8")
