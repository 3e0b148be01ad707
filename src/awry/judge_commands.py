"""Commands about detectors and judges: `awry judge ...`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from awry.output import Json, print_result

if TYPE_CHECKING:
    from awry.evaluation.marks.agreement import Agreement, Error

judge_app = typer.Typer(
    help="Detectors and judges: fit a refusal detector, check one against labels.",
    no_args_is_help=True,
)
Data = Annotated[
    list[Path],
    typer.Argument(help="Labelled answers: CSV, JSON or JSON Lines, or folders of them."),
]
WELL = 0.8  # kappa from which a detector may be relied on without a word


@judge_app.command("fit", epilog="Example: awry judge fit labelled/ --out refusal.npz")
def judge_fit(
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="File of the detector.")] = Path("refusal.npz"),
    as_json: Json = False,
) -> None:
    """Fit a refusal detector to labelled answers, with whole models and prompts held out to check it.

    Columns: response (or completion), label (refusal, partial, compliance, 1, 0), prompt, and model and
    family if there are several. The file is for `awry evaluate --detector`.
    """
    from awry.evaluation.marks.agreement import Agreement
    from awry.evaluation.marks.labelled import read_labelled
    from awry.evaluation.marks.refusal_model import fit
    from awry.evaluation.marks.scorers import FittedScorer

    model = fit(read_labelled(data))
    model.save(out)
    about = model.about
    schemes = {
        scheme: {name: Agreement(**counts) for name, counts in groups.items()}
        for scheme, groups in about["validation"].items()
    }
    refusals = sum(about["refusals"].values())
    lines = [f"fitted to {sum(about['answers'].values())} answers, {refusals} refusals"]
    for scheme, groups in schemes.items():
        lines += ["", f"held out: {scheme}", *_table(groups)]
    if len(about["families"]) < 2:
        lines += ["", "one model family only: what it does on another is not known"]
    error = model.error
    if error:
        lines += ["", _told(error)]
    lines += ["", f"detector: {out} ({FittedScorer(model).name})"]
    document = about | {
        "file": str(out),
        "name": FittedScorer(model).name,
        "agreement": {scheme: _facts(groups) for scheme, groups in schemes.items()},
    }
    print_result(as_json, document, lines)


@judge_app.command("check", epilog="Example: awry judge check mine.csv --detector refusal.npz")
def judge_check(
    data: Data,
    detector: Annotated[
        str, typer.Option("--detector", help="`lexical`, or a file of `awry judge fit`.")
    ] = "lexical",
    judge: Annotated[
        str | None, typer.Option("--judge", help="Instead: a judge, MODEL@BASE_URL.")
    ] = None,
    key_env: Annotated[
        str | None, typer.Option("--judge-key", help="Environment variable with the judge's key.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option("--judge-cache", help="File that keeps what the judge said.")
    ] = None,
    as_json: Json = False,
) -> None:
    """How well a detector, or a judge with the three-way rubric, agrees with people's labels.

    Label a hundred of your own policies' answers: labels of other models say little about their style.
    """
    from awry.evaluation.marks.agreement import by_group
    from awry.evaluation.marks.labelled import read_labelled

    examples = read_labelled(data)
    name, found, lines = _found(examples, detector, judge, key_env, cache)
    kept = [i for i, refused in enumerate(found) if refused is not None]
    groups = by_group(
        [bool(found[i]) for i in kept],
        [examples[i].refusal for i in kept],
        [examples[i].model for i in kept],
    )
    lines = [f"{name} on {len(examples)} labelled answers", *_table(groups), *lines]
    lost = len(examples) - len(kept)
    if lost:
        lines.append(f"{lost} answers have no mark and are left out")
    document = {
        "name": name,
        "answers": len(examples),
        "missing": lost,
        "agreement": _facts(groups),
    }
    print_result(as_json, document, lines)


def _found(
    examples: Any, detector: str, judge: str | None, key_env: str | None, cache: Path | None
) -> tuple[str, list[bool | None], list[str]]:
    """Name, refusal or not of each example (None: no mark), and what else there is to say."""
    from awry.errors import UserError
    from awry.evaluation.marks import detectors
    from awry.evaluation.marks.refusal_model import THRESHOLD, load
    from awry.evaluation.marks.scorers import FittedScorer

    texts = [e.text for e in examples]
    if judge is None:
        if detector == "lexical":
            classes = [detectors.classify(text).klass for text in texts]
            return detectors.NAME, [c != "compliance" for c in classes], []
        model = load(Path(detector))
        fitted = [p > THRESHOLD for p in model.probabilities(texts).tolist()]
        return FittedScorer(model).name, list(fitted), _overlap(model.about, examples)
    from awry.evaluation.items import Ask, Response
    from awry.evaluation.marks.judges import Judge, JudgeConfig, JudgeScorer
    from awry.evaluation.marks.rubrics import find_rubric
    from awry.progress import Console

    model_name, at, base_url = judge.rpartition("@")
    if not at:
        raise UserError(
            "a judge is a model at an address",
            field="judge",
            value=judge,
            fix="write it so: --judge MODEL@http://127.0.0.1:8000/v1",
        )
    items = [Ask(str(i), ({"role": "user", "content": e.prompt},)) for i, e in enumerate(examples)]
    responses = [Response(str(i), 0, e.text) for i, e in enumerate(examples)]
    config = JudgeConfig(base_url, model_name, key_env, cache=cache)
    with Judge(config) as opened, Console() as console:
        scorer = JudgeScorer(opened, find_rubric("xstest"))
        console.note(f"asking {model_name} about {len(items)} answers")
        marks = scorer.score(items, responses)
        lines = [", ".join(f"{k} {v}" for k, v in opened.costs().items() if v is not None)]
    found = [None if m["class"] is None else m["class"] != "full_compliance" for m in marks]
    return scorer.name, found, lines


def _overlap(about: dict[str, Any], examples: Any) -> list[str]:
    from awry.evaluation.marks.labelled import digest

    if about["training_digest"] == digest(examples):
        return ["these are the answers it was fitted to: see its held-out figures instead"]
    shared = sorted({e.model for e in examples} & set(about["answers"]))
    if shared:
        return [f"it was fitted to answers of the same names: {', '.join(shared)}"]
    return []


def _table(groups: dict[str, Agreement]) -> list[str]:
    rows = [f"  {'model':24} {'n':>5} {'kappa':>6} {'recall':>7} {'precision':>9} {'bias':>8}"]
    for name, a in _with_all(groups).items():
        rows.append(
            f"  {name:24} {a.n:5} {_number(a.kappa):>6} {_number(a.sensitivity):>7} "
            f"{_number(a.precision):>9} {100 * a.bias:+5.1f} pp"
        )
    return rows


def _facts(groups: dict[str, Agreement]) -> dict[str, dict[str, float | int | None]]:
    names = ("n", "kappa", "accuracy", "sensitivity", "specificity", "precision", "bias")
    return {
        group: {name: None if math.isnan(getattr(a, name)) else getattr(a, name) for name in names}
        for group, a in _with_all(groups).items()
    }


def _with_all(groups: dict[str, Agreement]) -> dict[str, Agreement]:
    first, *rest = groups.values()
    return groups | {"all": sum(rest, first)}


def _told(error: Error) -> str:
    return (
        f"rates are corrected with recall {error.sensitivity:.3f} and specificity "
        f"{error.specificity:.3f}, as if from {error.positives:.0f} refusals and "
        f"{error.negatives:.0f} others (fewer than labelled where models differ)"
    )


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
