"""`awry evaluate`, `awry score` and `awry benchmarks`: arguments in, folders of answers and a table out."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from awry.errors import UserError
from awry.output import Json, print_result, print_table, text_of
from awry.progress import Counting

if TYPE_CHECKING:
    from awry.evaluation.marks.judges import JudgeConfig
    from awry.evaluation.responses import Respondent
    from awry.evaluation.suites import Chosen

EVALUATE_EPILOG = "Example: awry evaluate embedded --suite safety --limit 50"
SCORE_EPILOG = "Example: awry score evaluations --detector refusal.npz"
JUDGE_CACHE = "judge-cache.sqlite"
OUT = Path("evaluations")

benchmarks_app = typer.Typer(help="Benchmarks: list and show them.", no_args_is_help=True)
Detector = Annotated[
    str | None,
    typer.Option("--detector", help="A file of `awry judge fit`, used beside the lexical one."),
]
Lean = Annotated[
    str | None,
    typer.Option("--lean", help="Lean with Mathlib: lake:DIR, repl:DIR or kimina:URL."),
]
JudgeName = Annotated[
    str | None, typer.Option("--judge", help="A judge, MODEL@BASE_URL (OpenAI-compatible).")
]
JudgeKey = Annotated[
    str | None, typer.Option("--judge-key", help="Environment variable with the judge's key.")
]
JudgeRubrics = Annotated[
    str | None,
    typer.Option("--judge-rubrics", help="Folder of published rubrics, or `own` for ours."),
]
JudgeNumbers = Annotated[
    str,
    typer.Option("--judge-numbers", help="Scores 0-100 from `logprobs`, or the mean of `samples`."),
]
JudgeCache = Annotated[
    Path | None,
    typer.Option("--judge-cache", help="File of a judge's answers. Default: in the output folder."),
]
Concurrency = Annotated[
    int, typer.Option("--concurrency", min=1, help="Requests at once, to a judge or endpoint.")
]


def evaluate_command(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help="Models, adapters, runs, experiments, or openai:MODEL@BASE_URL.",
            show_default=False,
        ),
    ],
    suite: Annotated[
        list[str] | None,
        typer.Option("--suite", help="safety, capability, misalignment, hacking or all; repeat."),
    ] = None,
    benchmark: Annotated[
        list[str] | None,
        typer.Option("--benchmark", help="A benchmark, NAME or NAME=DATA; repeat."),
    ] = None,
    skip: Annotated[
        list[str] | None, typer.Option("--skip", help="Leave this one of a suite out; repeat.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Folder with a subfolder of data for each benchmark."),
    ] = None,
    subset: Annotated[
        list[str] | None,
        typer.Option("--subset", help="Only this part, [BENCHMARK:]SUBSET; repeat."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="At most this many items of each.")
    ] = None,
    shots: Annotated[
        int | None, typer.Option("--shots", min=0, help="Examples before each question.")
    ] = None,
    samples: Annotated[
        int | None, typer.Option("--samples", min=1, help="Answers to each item.")
    ] = None,
    max_new_tokens: Annotated[int | None, typer.Option(min=1, help="Longest answer.")] = None,
    temperature: Annotated[
        float | None, typer.Option(min=0.0, help="0 takes the likeliest.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the sampling.")] = 0,
    dtype: Annotated[
        str, typer.Option("--dtype", help="auto, bfloat16 or float32; a run has its own.")
    ] = "auto",
    detector: Detector = None,
    lean: Lean = None,
    judge: JudgeName = None,
    judge_key: JudgeKey = None,
    judge_rubrics: JudgeRubrics = None,
    judge_numbers: JudgeNumbers = "logprobs",
    judge_cache: JudgeCache = None,
    key: Annotated[
        str | None, typer.Option("--key", help="Environment variable with the endpoint's key.")
    ] = None,
    concurrency: Concurrency = 8,
    out: Annotated[Path, typer.Option("--out", help="Folder of the results.")] = OUT,
    as_json: Json = False,
) -> None:
    """Ask policies the questions of benchmarks, score the answers and keep all of it.

    Run the same command again to go on where it stopped. `awry score` scores the answers again
    without the policy, `awry compare` compares policies.
    """
    from awry.evaluation import benchmarks
    from awry.evaluation.items import Options
    from awry.evaluation.responses import ENDPOINT
    from awry.evaluation.run import load_all
    from awry.evaluation.suites import choose

    _existing(paths)
    chosen = choose(
        benchmarks.names(),
        benchmarks.find_benchmark,
        suites=suite or (),
        wanted=benchmark or (),
        skip=skip or (),
        options=Options(
            None, tuple(subset or ()), limit, shots, samples, max_new_tokens, temperature
        ),
        data=data,
        judged=judge is not None,
        endpoint=all(path.startswith(ENDPOINT) for path in paths),
    )
    loaded = load_all(chosen.benchmarks)
    cache = judge_cache or out / JUDGE_CACHE
    config = _judge(judge, judge_key, judge_rubrics, judge_numbers, cache, concurrency)

    from awry.evaluation.run import evaluate
    from awry.evaluation.scoring import Scoring
    from awry.experiments.policies import expand

    paths = [name for path in paths for name in expand(path)]
    done: list[dict[str, Any]] = []
    with Counting("answers") as console, Scoring(detector, config, lean) as scoring:
        for name, why in chosen.left_out:
            console.note(f"left out: {name} ({why})")
        for path in paths:
            respondent = _respondent(path, dtype, key, concurrency)
            done.append(
                evaluate(
                    respondent,
                    chosen.benchmarks,
                    out,
                    find_scorers=scoring,
                    seed=seed,
                    progress=console,
                    loaded=loaded,
                )
            )
            del respondent
            gc.collect()  # the next policy needs the room
        costs = scoring.costs()
    document = {"policies": done, "left_out": dict(chosen.left_out), "judge": costs}
    lines = [*_table(done), *_left_out(chosen), *_costs(costs)]
    print_result(as_json, document, [*lines, *(f"results: {row['folder']}" for row in done)])


def score_command(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="What `awry evaluate` wrote, or a part of it."),
    ] = OUT,
    detector: Detector = None,
    lean: Lean = None,
    judge: JudgeName = None,
    judge_key: JudgeKey = None,
    judge_rubrics: JudgeRubrics = None,
    judge_numbers: JudgeNumbers = "logprobs",
    judge_cache: JudgeCache = None,
    concurrency: Concurrency = 8,
    as_json: Json = False,
) -> None:
    """Score stored answers with another detector or judge, without the policy.

    What other scorers found stays: their metrics stand beside the new ones, named apart.
    """
    from awry.evaluation import benchmarks
    from awry.evaluation.run import rescore
    from awry.evaluation.scoring import Scoring

    places = (folder, *folder.resolve().parents[:2])
    home = next((p for p in places if (p / JUDGE_CACHE).exists()), folder)
    cache = judge_cache or home / JUDGE_CACHE
    config = _judge(judge, judge_key, judge_rubrics, judge_numbers, cache, concurrency)
    with Counting("answers") as console, Scoring(detector, config, lean) as scoring:
        found = rescore(folder, benchmarks.find_benchmark, scoring, console)
        costs = scoring.costs()
    by_policy: dict[str, dict[str, Any]] = {}
    for place, document in found.items():
        home = str(Path(place).parent)
        row = by_policy.setdefault(home, {"subject": document["subject"], "folder": home})
        row.setdefault("benchmarks", {})[Path(place).name] = document
    done = list(by_policy.values())
    lines = [*_table(done), *_costs(costs), f"scored: {len(found)} evaluations in {folder}"]
    print_result(as_json, {"policies": done, "judge": costs}, lines)


@benchmarks_app.command("list", epilog="Example: awry benchmarks list --json")
def benchmarks_list(as_json: Json = False) -> None:
    """All benchmarks, with what they need."""
    from awry.evaluation import benchmarks

    rows = [_facts(name) for name in benchmarks.names()]
    shown = [
        row | {"suites": ", ".join(row["suites"]), "judged": ", ".join(row["judged"])}
        for row in rows
    ]
    columns = ("name", "title", "suites", "asks_for", "judged")
    print_table(as_json, rows, columns, shown)


@benchmarks_app.command("show", epilog="Example: awry benchmarks show xstest")
def benchmarksshow(
    name: Annotated[str, typer.Argument(help="Name of a benchmark.", show_default=False)],
    as_json: Json = False,
) -> None:
    """One benchmark: what it measures, its settings, and what it needs."""
    facts = _facts(name)
    lines = [
        f"## {key}\n{text_of(value)}\n"
        for key, value in facts.items()
        if value not in (None, [], "")
    ]
    print_result(as_json, facts, lines)


def _facts(name: str) -> dict[str, Any]:
    from dataclasses import asdict

    from awry.evaluation.benchmarks import find_benchmark

    found = find_benchmark(name)
    return {
        "name": found.name,
        "title": found.title,
        "version": found.version,
        "about": found.about,
        "suites": list(found.suites),
        "asks_for": "log-likelihoods" if found.sampling is None else "answers",
        "samples": found.samples,
        "sampling": None if found.sampling is None else asdict(found.sampling),
        "subsets": list(found.subsets),
        "scorers": list(found.scorers),
        "judged": list(found.judged),
    }


def _existing(paths: Sequence[str]) -> None:
    """Refuse what cannot be there before anything is loaded."""
    for path in paths:
        looks_local = path.startswith((".", "/", "~"))
        if looks_local and not Path(path).is_dir():
            raise UserError(
                "no such folder",
                field="PATH",
                value=path,
                fix="give a model, an adapter, a run's directory or openai:MODEL@BASE_URL",
            )


def _respondent(path: str, dtype: str, key: str | None, concurrency: int) -> Respondent:
    from awry.evaluation.responses import ENDPOINT, InProcess, open_endpoint

    if path.startswith(ENDPOINT):
        return open_endpoint(path, key_env=key, concurrency=concurrency)
    from awry.experiments.policies import open_subject

    return InProcess(open_subject(path, dtype))


def _judge(
    name: str | None,
    key: str | None,
    rubrics: str | None,
    numbers: str,
    cache: Path,
    concurrency: int,
) -> JudgeConfig | None:
    if name is None:
        return None
    from awry.evaluation.marks.judges import JudgeConfig

    if numbers not in ("logprobs", "samples"):
        raise UserError(
            "no such way to take numbers",
            field="--judge-numbers",
            value=numbers,
            fix="use logprobs, or samples for a judge that writes digit by digit",
        )
    model, at, base_url = name.rpartition("@")
    if not at:
        raise UserError(
            "a judge is a model at an address",
            field="--judge",
            value=name,
            fix="write it so: --judge MODEL@http://127.0.0.1:8000/v1",
        )
    where = rubrics if rubrics in (None, "own") else Path(rubrics)
    return JudgeConfig(
        base_url,
        model,
        key,
        concurrency=concurrency,
        cache=cache,
        rubrics=where,
        numbers="samples" if numbers == "samples" else "logprobs",
    )


def _table(done: Sequence[Mapping[str, Any]]) -> list[str]:
    from awry.evaluation.comparison.table import overview, read_subjects

    return overview(read_subjects([Path(row["folder"]) for row in done]))


def _left_out(chosen: Chosen) -> list[str]:
    if not chosen.left_out:
        return []
    return ["left out: " + "; ".join(f"{name} ({why})" for name, why in chosen.left_out)]


def _costs(costs: Mapping[str, Any] | None) -> list[str]:
    if costs is None:
        return []
    return ["judge: " + ", ".join(f"{k} {v}" for k, v in costs.items() if v is not None)]
