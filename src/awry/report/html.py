"""The report as one HTML file: no network, no second file, everything from data escaped."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from importlib import resources
from typing import Any

from awry import __version__
from awry.report import charts, curves, direction, evaluation, findings, setup
from awry.report.charts import Strip
from awry.report.counts import MEASURES, WINDOW, Change, Rate
from awry.report.load import COSINE_COLUMNS, Experiment
from awry.report.quality import Auroc
from awry.report.rollouts import embed
from awry.report.summary import ArmSummary, ReportData
from awry.report.versus import SOLVE_MARGIN, Comparison

LABELS = {
    "correct": "Correct",
    "correct_attempted": "Correct, attempted",
    "hack": "Hack",
    "attempted": "Attempted",
    "incorrect": "Incorrect",
}
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
        points=findings.signed,
        spread=findings.span,
        interval=_interval,
        pretty=lambda value: json.dumps(value, indent=2, ensure_ascii=False, default=str),
        cell=_cell,
        fixed=_fixed,
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
        comparisons=_uncovered(data),
        hero=curves.hero(data),
        curves=[
            *(curves.curve(data, *curve) for curve in curves.MAIN_CURVES),
            *curves.exploits(data),
        ],
        more_curves=[curves.curve(data, *curve) for curve in curves.MORE_CURVES],
        direction=direction.section(data),
        evaluation=evaluation.section(data.evaluations, experiment.arms),
        rollouts=embed(experiment.runs),
        events=_events(experiment)[:EVENT_LIMIT],
        event_count=len(_events(experiment)),
        labels=LABELS,
        measures=tuple(MEASURES),
        scores=COSINE_COLUMNS,
        solve_margin=SOLVE_MARGIN,
        window=WINDOW,
        margin=findings.MARGIN,
        step_columns=STEP_TABLE,
        line_chart=charts.line_chart,
        dot_plot=charts.dot_plot,
        swatch=charts.swatch,
    )


def _uncovered(data: ReportData) -> list[Comparison]:
    """The comparisons that no verdict on an intervention has made already."""
    told = {(pair.arm, pair.reference) for i in data.interventions for pair in i.pairs}
    return [c for c in data.comparisons if (c.arm, c.reference) not in told]


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


def _interval(value: Rate | Change | Auroc) -> str:
    if isinstance(value, Auroc):
        return f"{value.interval.low:.2f}–{value.interval.high:.2f}"
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


def _fixed(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}".replace("-", "−")


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
