"""report.json: the whole summary as one JSON document. Rates are fractions, missing numbers null."""

from __future__ import annotations

import math
from typing import Any

from awry.errors import UserError
from awry.report import findings
from awry.report.counts import MEASURES, WINDOW, Change, Rate
from awry.report.evaluated import Evaluations
from awry.report.findings import Finding
from awry.report.interventions import Intervention, Placebo
from awry.report.quality import ArmQuality, Auroc, Separation
from awry.report.summary import ArmSummary, ReportData
from awry.report.trajectories import REACHED, Gap, Trajectory
from awry.report.versus import SOLVE_MARGIN, Measured, SeedSpread, Versus
from awry.statistics import Interval


def to_json(data: ReportData) -> dict[str, Any]:
    measured = {quality.arm: _quality_json(quality) for quality in data.quality}
    return {
        "name": data.experiment.name,
        "question": data.experiment.question,
        "arms": {
            arm.name: {**_arm_json(arm), "cosines": measured.get(arm.name)} for arm in data.arms
        },
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
        "interventions": [_intervention_json(i) for i in data.interventions],
        "directions": [
            {
                "key": stage.key,
                "dir": str(stage.directory),
                "verification": _strict(stage.verification),
            }
            for stage in data.experiment.directions
        ],
        "evaluations": data.evaluations and _evaluations_json(data.evaluations),
        "preflight": [_strict(check) for check in data.experiment.preflight or ()],
        "warnings": list(data.warnings),
        "intraclass_correlation": data.icc,
        "rules": {
            "window_steps": WINDOW,
            "margin": findings.MARGIN,
            "solve_margin": SOLVE_MARGIN,
            "reached": REACHED,
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


def _intervention_json(i: Intervention) -> dict[str, Any]:
    """versus_placebo is the first of versus_placebos: the random direction, unless switched off."""
    placebos = [_placebo_json(p) for p in i.placebos]
    return {
        "arm": i.arm,
        **_finding_json(i.finding),
        "verdict": i.finding.headline,
        "solve_matched": i.solve_matched,
        "delays": i.delays,
        "versus_vanilla": i.vanilla and _versus_json(i.vanilla),
        "versus_placebo": placebos[0] if placebos else None,
        "versus_placebos": placebos,
    }


def _placebo_json(p: Placebo) -> dict[str, Any]:
    return {
        "direction": p.kind,
        "standing": p.standing,
        "other_settings": list(p.differing),
        **_versus_json(p.versus),
        "placebo_versus_vanilla": p.effect and _versus_json(p.effect),
    }


def _versus_json(v: Versus) -> dict[str, Any]:
    return {
        "reference": v.reference,
        "kind": v.kind,
        "over_seeds": v.over_seeds,
        "measured_on": v.measured_on,
        "hack_rate": v.hack and _measured_json(v.hack),
        "solve_rate": v.solve and _measured_json(v.solve),
        "solving": v.solving,
        "compile_rate": v.compiling and _rates_json(v.compiling),
        "training_end": v.training and _measured_json(v.training),
        "seeds": v.seeds and _seeds_json(v.seeds),
        "trajectory": v.course and _trajectory_json(v.course),
        "headline": v.finding.headline,
    }


def _measured_json(m: Measured) -> dict[str, Any]:
    return {**_rates_json(m.rates), "difference": _change_json(m.change)}


def _rates_json(rates: tuple[float, float]) -> dict[str, float | None]:
    return dict(zip(("reference", "arm"), map(_number, rates), strict=True))


def _seeds_json(s: SeedSpread) -> dict[str, Any]:
    return {
        "seeds": list(s.seeds),
        "differences": [_number(d) for d in s.differences],
        "estimate": _number(s.estimate),
        "interval": s.interval and _interval_json(s.interval),
        "permutation_p": s.p,
        "smallest_reachable_p": s.smallest_p,
    }


def _trajectory_json(t: Trajectory) -> dict[str, Any]:
    return {
        "steps": t.steps,
        "reached_step": dict(zip(("reference", "arm"), t.reached, strict=True)),
        "area_difference": _number(t.area),
        "earlier": t.earlier and _gap_json(t.earlier),
        "end": _gap_json(t.end),
        "delays": t.delays,
    }


def _gap_json(g: Gap) -> dict[str, Any]:
    rates = dict(zip(("reference", "arm"), map(_number, g.rates), strict=True))
    estimate = {"difference": _number(g.estimate), "interval": _interval_json(g.interval)}
    return {"steps": [g.first, g.last], **rates, **estimate, "level": round(g.interval.level, 6)}


def _evaluations_json(e: Evaluations) -> dict[str, Any]:
    """comparison and checkpoints are as `awry compare --group arm --json` prints them."""
    return {
        "folder": str(e.folder),
        "left_out": [{"folder": folder, "why": why} for folder, why in e.left_out],
        "notes": list(e.notes),
        "refused": e.refused and _refused_json(e.refused),
        "comparison": e.comparison and _strict(e.comparison.to_json()),
        "checkpoints_refused": e.found_refused and _refused_json(e.found_refused),
        "checkpoints": e.found and _strict(e.found.to_json()),
    }


def _refused_json(error: UserError) -> dict[str, Any]:
    value = None if error.value is None else str(error.value)
    also = [{"field": e.field, "message": e.message} for e in error.also]
    return {"message": error.message, "value": value, "fix": error.fix, "also": also}


def _quality_json(q: ArmQuality) -> dict[str, Any]:
    return {
        "scores": {name: s and _separation_json(s) for name, s in q.scores.items()},
        "means": {name: _number(value) for name, value in q.metrics.items()},
    }


def _separation_json(s: Separation) -> dict[str, Any]:
    return {
        "hacks": s.hacks,
        "others": s.others,
        "mean_hack": _number(s.mean_hack),
        "mean_other": _number(s.mean_other),
        "auroc": _auroc_json(s.pooled),
        "auroc_within_step": s.within and _auroc_json(s.within),
    }


def _auroc_json(a: Auroc) -> dict[str, Any]:
    return {"value": _number(a.value), "interval": _interval_json(a.interval)}


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
    if isinstance(value, list | tuple):
        return [_strict(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 6)
