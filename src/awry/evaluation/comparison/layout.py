"""A comparison and a table of checkpoints as lines of text. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from awry.evaluation.comparison.compare import Comparison, Row
from awry.evaluation.comparison.conditions import shown
from awry.evaluation.comparison.table import Key, figure, heading, lines, signed_figure, span_text
from awry.evaluation.comparison.trajectories import Checkpoints, Course


def summary_lines(comparison: Comparison) -> list[str]:
    """Benchmark, metric, baseline, policy, delta; below it how sure that is."""
    several = len(comparison.others) > 1
    theirs = "value" if several else comparison.others[0].name
    first = ("benchmark", "metric", *(("policy",) if several else ()))
    measured = [
        {"benchmark": row.benchmark, "metric": row.metric, "policy": row.side}
        | {"floor": "" if row.floor is None else figure(row.floor, row.span)}
        | {comparison.baseline.name: figure(row.before.value, row.span)}
        | {theirs: figure(row.after.value, row.span)}
        | {"delta": signed_figure(row.delta, row.span)}
        | {"95 % interval": span_text(row.interval, row.span, sign=True)}
        | {"verdict": verdict_text(row)}
        for row in comparison.rows
    ]
    columns = (*first, "floor", comparison.baseline.name, theirs, "delta", "95 % interval")
    tested = [
        {"benchmark": row.benchmark, "metric": row.metric, "policy": row.side}
        | {"items": str(row.items), "seeds": seeds_text(row)}
        | {"p": p_text(row.p), "smallest p": p_text(row.smallest_p), "p (Holm)": p_text(row.p_holm)}
        | {"margin": "" if row.margin is None else f"{row.margin:g}"}
        | {"equivalence p (Holm)": p_text(row.equivalence_holm)}
        | {"effect": effect_text(row), "detectable": figure(row.detectable, row.span)}
        for row in comparison.rows
        if row.p is not None
    ]
    out = lines(measured, (*columns, "verdict"))
    if tested:
        names = ("items", "seeds", "p", "smallest p", "p (Holm)")
        names += ("margin", "equivalence p (Holm)", "effect", "detectable")
        out += ["", *lines(tested, (*first, *names))]
    return [*out, "", *remarks(comparison)]


def remarks(comparison: Comparison) -> list[str]:
    """What has to be known to read the table, and what was let through."""
    c = comparison
    out = [
        f"{c.family} tests, adjusted together by Holm; differs: p (Holm) < {c.alpha:g}; detectable: "
        f"the smallest true difference found with {c.power:.0%} power at p < {c.alpha / max(1, c.family):.2g}"
    ]
    if c.margins.everywhere is None and not c.margins.named:
        out.append(
            "no margin was set, so nothing can be called equivalent; undecided is not equal "
            "(--margin 0.05 before looking)"
        )
    if any(len(s.runs) == 1 and s.runs[0].arm for s in (c.baseline, *c.others)):
        out.append(
            "one training run a side: it says nothing about training again with another seed"
        )
    out += [
        f"allowed to differ: {d.field}, {shown(d.values[0])} in {d.sides[0]}, "
        f"{shown(d.values[1])} in {d.sides[1]} ({d.benchmark})"
        for d in c.allowed
    ]
    out += [f"not compared: {text}" for text in c.unshared]
    return out + noted(c.rows)


def noted(rows: Sequence[Row]) -> list[str]:
    """Each note once, with the rows that it is about."""
    found: dict[str, list[str]] = {}
    for row in rows:
        for note in row.notes:
            found.setdefault(note, []).append(f"{row.benchmark} {row.metric}")
    return [
        f"{note} ({'all rows' if len(where) == len(rows) else ', '.join(dict.fromkeys(where))})"
        for note, where in found.items()
    ]


def verdict_text(row: Row) -> str:
    if row.verdict == "equivalent":
        return f"equivalent within {row.margin:g}"
    return f"{row.verdict}, {row.direction}" if row.direction else row.verdict


def seeds_text(row: Row) -> str:
    return f"{row.before.seeds} and {row.after.seeds}" if row.over_seeds else ""


def effect_text(row: Row) -> str:
    name, value = row.effect or ("", None)
    return "" if value is None else f"{name} {signed_figure(round(value, 2))[:-1]}"


def p_text(p: float | None) -> str:
    if p is None:
        return ""
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def checkpoint_lines(found: Checkpoints) -> list[str]:
    """Rows: policies; columns: metrics. Below: means over seeds, and what happens along each run."""
    spans = {
        key: max([s.measures[key].span for s in found.rows if key in s.measures], default=1.0)
        for key in found.metrics
    }

    def value_of(policy, key: Key) -> str:
        measure = policy.measures.get(key)
        return figure(None if measure is None else measure.value, spans[key])

    rows = [
        {"checkpoint": s.name} | {heading(k): value_of(s, k) for k in found.metrics}
        for s in found.rows
    ]
    for mean in found.means:
        cells = {}
        for key, (value, known, seeds) in mean.values.items():
            fewer = f" ({known} of {seeds})" if known < seeds else ""
            cells[heading(key)] = figure(value, spans[key]) + fewer
        seeds = max(of for _, _, of in mean.values.values())
        rows.append({"checkpoint": f"{mean.arm}, mean of {seeds} seeds"} | cells)
    out = lines(rows, ("checkpoint", *map(heading, found.metrics)))
    courses = [row for course in found.courses for row in _course_rows(course)]
    if courses:
        columns = ("metric", "arm", "seed", "checkpoints", "area per step", "reached at step")
        out += ["", *lines(courses, columns)]
        out += ["", *(text for course in found.courses for text in course_texts(course))]
    return out


def _course_rows(course: Course) -> list[dict[str, str]]:
    return [
        {"metric": heading(course.metric), "arm": course.arm, "seed": str(run.seed)}
        | {"checkpoints": _measured(run.curve, run.missing)}
        | {"area per step": figure(run.area, course.span)}
        | {"reached at step": reached_text(course, run.crossed)}
        for run in course.runs
    ]


def _measured(curve, missing: Sequence[int]) -> str:
    return str(len(curve)) + (f" ({len(missing)} without a number)" if missing else "")


def reached_text(course: Course, step: float | None) -> str:
    if course.threshold is None:
        return ""
    return "not reached" if step is None else f"{round(step, 1):g}"


def course_texts(course: Course) -> list[str]:
    """Over the seeds of an arm: mean area, its test, and the share that had not reached yet."""
    name = f"{heading(course.metric)}, {course.arm}"
    out: list[str] = []
    if course.area is not None and len(course.runs) > 1:
        interval = span_text(course.area_interval, course.span)
        tested = ""
        if course.area_test is not None:
            test = course.area_test
            tested = (
                f"; against the first arm p {p_text(test.p)}, smallest p {p_text(test.smallest)}"
            )
        out.append(
            f"{name}: area per step {figure(course.area, course.span)} ({interval}) over "
            f"{sum(run.area is not None for run in course.runs)} seeds{tested}"
        )
    if course.threshold is not None:
        way = "rises to" if course.rising else "falls to"
        steps = "; ".join(
            f"after step {s.time:g} {s.share:.2f} ({s.low:.2f} to {s.high:.2f})"
            for s in course.survival
        )
        median = "none" if course.median is None else f"step {course.median:g}"
        out.append(
            f"{name}: share of {len(course.runs)} runs before it {way} {course.threshold:g}: "
            f"{steps or '1.00 to the end'}; median {median}"
        )
    return out
