"""report.json: the whole summary as one JSON document. Rates are fractions, missing numbers null."""

from __future__ import annotations

import math
from typing import Any

from awry.report import findings
from awry.report.findings import Finding
from awry.report.summary import MEASURES, WINDOW, ArmSummary, Change, Rate, ReportData
from awry.statistics import Interval


def to_json(data: ReportData) -> dict[str, Any]:
    return {
        "name": data.experiment.name,
        "question": data.experiment.question,
        "arms": {arm.name: _arm_json(arm) for arm in data.arms},
        "hypotheses": [
            *(
                {"id": f"{a.name}.change", "arm": a.name, **_finding_json(a.finding)}
                for a in data.arms
            ),
            *(
                {
                    "id": f"{c.arm}.against.{c.reference}",
                    "arm": c.arm,
                    "reference": c.reference,
                    **_finding_json(c.finding),
                    "difference": c.change and _change_json(c.change),
                    "seed_permutation_p": c.seed_p,
                    "smallest_reachable_p": c.smallest_p,
                }
                for c in data.comparisons
            ),
        ],
        "preflight": [_strict(check) for check in data.experiment.preflight or ()],
        "warnings": list(data.warnings),
        "intraclass_correlation": data.icc,
        "rules": {
            "window_steps": WINDOW,
            "margin": findings.MARGIN,
            "alpha": findings.ALPHA,
            "student_rollouts_only": True,
        },
    }


def _arm_json(arm: ArmSummary) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for m in MEASURES:
        for end, rates in (("start", arm.start), ("end", arm.end)):
            out[f"{m}_rate_{end}"] = _number(rates[m].value)
            out[f"{m}_rate_{end}_interval"] = _interval_json(rates[m].interval)
            out[f"{m}_rate_{end}_n"] = [rates[m].hits, rates[m].trials]
    return {
        **out,
        "change": {m: _change_json(c) for m, c in arm.change.items()},
        "steps": arm.steps,
        "finished": arm.finished,
        "seconds": round(arm.seconds, 3),
        "first_hack_step": arm.first_hack_step,
        "onset_step": arm.onset_step,
        "window_steps": arm.window,
        "probe": [
            {
                "step": p.step,
                "prompts": list(p.prompts),
                **{f"{m}_rate": _rate_json(r) for m, r in p.rates.items()},
            }
            for p in arm.probe
        ],
        "probe_change": {m: _change_json(c) for m, c in arm.probe_change.items()},
        "verdict": _finding_json(arm.finding),
        "seeds": [
            {
                "seed": s.seed,
                "status": s.status,
                "steps": s.steps,
                "planned": s.planned,
                "seconds": round(s.seconds, 3),
                "first_hack_step": s.first_hack_step,
                "onset_step": s.onset_step,
                "hack_rate_start": _number(s.hack_rate_start),
                "hack_rate_end": _number(s.hack_rate_end),
            }
            for s in arm.seeds
        ],
    }


def _rate_json(r: Rate) -> dict[str, Any]:
    return {
        "rate": _number(r.value),
        "hits": r.hits,
        "trials": r.trials,
        "problems": r.problems,
        "interval": _interval_json(r.interval),
    }


def _change_json(c: Change) -> dict[str, Any]:
    return {
        "estimate": _number(c.estimate),
        "interval": _interval_json(c.interval),
        "equivalence_p": _number(c.equivalence_p),
    }


def _finding_json(f: Finding) -> dict[str, str]:
    return {"kind": f.kind, "headline": f.headline, "text": f.text, "rule": f.rule}


def _interval_json(i: Interval) -> list[float | None]:
    return [_number(i.low), _number(i.high)]


def _strict(value: Any) -> Any:
    """The same value without NaN and infinities, which JSON does not have."""
    if isinstance(value, dict):
        return {key: _strict(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_strict(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 6)
