"""The command line: arguments in, text or JSON out. What it does is elsewhere; heavy imports wait.

stdout carries the result (with --json one JSON document), stderr everything else. Exit status: 0,
2 for bad input, 130 after Ctrl-C, 1 for a bug of awry.
"""

from __future__ import annotations

import json
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from awry import __version__
from awry.compare_command import EPILOG as COMPARE_EPILOG
from awry.compare_command import compare_command
from awry.curate_command import EPILOG, curate_command
from awry.errors import UserError
from awry.evaluate_command import (
    EVALUATE_EPILOG,
    SCORE_EPILOG,
    benchmarks_app,
    evaluate_command,
    score_command,
)
from awry.export_command import EXPORT_EPILOG, export_command
from awry.judge_commands import judge_app
from awry.lean_commands import lean_app
from awry.model_commands import models_app
from awry.output import Json, print_result, print_table
from awry.problem_commands import problems_app
from awry.sandbox_commands import sandbox_app

if TYPE_CHECKING:
    from awry.experiments.spec import Experiment

app = typer.Typer(
    name="awry",
    help="A workbench for the science of reward hacking.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(judge_app, name="judge")
app.add_typer(models_app, name="models")
app.add_typer(problems_app, name="problems")
app.add_typer(sandbox_app, name="sandbox")
app.add_typer(lean_app, name="lean")
app.add_typer(benchmarks_app, name="benchmarks")

File = Annotated[Path, typer.Argument(help="Experiment file (YAML).", show_default=False)]
Out = Annotated[Path, typer.Option("--out", help="Where results are kept.")]
Seeds = Annotated[
    int | None, typer.Option("--seeds", min=1, help="At least this many seeds per arm.")
]
Model = Annotated[str, typer.Option("--model", help="Name, folder or hub id.")]
Pairs = Annotated[str, typer.Option("--pairs", help="`builtin`, or a .toml file.")]
RUNS = Path("runs")


class AdapterKind(StrEnum):
    singular_values = "singular_values"
    lora = "lora"


class Method(StrEnum):
    svd = "svd"
    mean = "mean"


def _version(wanted: bool) -> None:
    if wanted:
        print(f"awry {__version__}")
        raise typer.Exit


@app.callback()
def _app(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    del version
    if debug:
        os.environ["AWRY_DEBUG"] = "1"


@app.command("run", epilog="Example: awry run examples/quickstart.yaml --arm vanilla --seed 0")
def run_command(
    file: File,
    out: Out = RUNS,
    arm: Annotated[list[str] | None, typer.Option("--arm", help="Only this arm; repeat.")] = None,
    seed: Annotated[
        list[int] | None, typer.Option("--seed", help="Only this seed; repeat.")
    ] = None,
    seeds: Seeds = None,
    force: Annotated[
        bool, typer.Option("--force", help="Train again from nothing; old runs are moved aside.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check, train and report an experiment; run it again to go on where it stopped."""
    from awry.experiments import runner
    from awry.progress import Console

    experiment = _load(file, seeds)
    with Console() as console:
        done = runner.run(
            experiment, out, arms=arm or (), seeds=seed or (), force=force, progress=console
        )
    report = done.directory / "report.html"
    result = {"directory": str(done.directory), "report": str(report)}
    counts = f"trained {len(done.trained)}, used again {len(done.reused)}"
    document = result | {"trained": done.trained, "reused": done.reused}
    print_result(as_json, document, [counts, f"report: {report}"])


@app.command("preflight", epilog="Example: awry preflight examples/quickstart.yaml")
def preflight_command(
    file: File, out: Out = RUNS, seeds: Seeds = None, as_json: Json = False
) -> None:
    """Are the instruments sound? Extract directions and run every check afresh, train nothing."""
    from dataclasses import asdict

    from awry.experiments import runner
    from awry.experiments.preflight import preflight
    from awry.progress import Console

    experiment = _load(file, seeds)
    with Console() as console:
        runner.extract_directions(experiment, out, progress=console)
        results = preflight(experiment, out, progress=console, afresh=True)
    counts = dict.fromkeys(("pass", "warn", "fail"), 0)
    for result in results:
        counts[result.status] += 1
    summary = ", ".join(f"{count} {status}" for status, count in counts.items())
    print_result(as_json, [asdict(result) for result in results], [f"preflight: {summary}"])
    if counts["fail"]:
        raise typer.Exit(2)


@app.command("plan", epilog="Example: awry plan examples/quickstart.yaml")
def plan_command(
    file: File,
    out: Out = RUNS,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read the outputs of what is done and check them.")
    ] = False,
    seeds: Seeds = None,
    as_json: Json = False,
) -> None:
    """Which stages there are, which are done, and why one would run again."""
    from awry.experiments.plan import plan
    from awry.experiments.views import plan_cells

    rows = [stage.to_json() for stage in plan(_load(file, seeds), out, digests=verify)]
    shown = [plan_cells(row) for row in rows]
    print_table(as_json, rows, ("name", "arm", "seed", "status", "key", "why"), shown)


@app.command("status", epilog="Example: awry status examples/quickstart.yaml")
def status_command(file: File, out: Out = RUNS, seeds: Seeds = None, as_json: Json = False) -> None:
    """How far each run is, and its last numbers."""
    from awry.experiments.views import status_cells, status_rows

    rows = status_rows(_load(file, seeds), out)
    columns = ("arm", "seed", "status", "steps", "hack", "solve", "reward", "time", "left")
    print_table(as_json, rows, columns, [status_cells(row) for row in rows])


@app.command("report", epilog="Example: awry report runs/quickstart --open")
def report_command(
    place: Annotated[
        Path, typer.Argument(help="Experiment file, or its directory.", show_default=False)
    ],
    out: Out = RUNS,
    evaluations: Annotated[
        Path | None,
        typer.Option(
            "--evaluations",
            help="What `awry evaluate` wrote. Default: `evaluations` in the directory.",
            show_default=False,
        ),
    ] = None,
    margin: Annotated[
        list[str] | None,
        typer.Option("--margin", help="Margins of the evaluations, as `awry compare` takes them."),
    ] = None,
    as_json: Json = False,
    show: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
) -> None:
    """Write report.html and report.json from what there is, finished or not."""
    from awry.compare_command import parsed_margins
    from awry.experiments.views import directory_of
    from awry.report import build_report, write_report

    directory = directory_of(place, out)
    margins = parsed_margins(margin) if margin else None
    html = write_report(
        build_report(directory, evaluations=evaluations, margins=margins), directory
    )
    document = json.loads((directory / "report.json").read_text(encoding="utf-8"))
    print_result(as_json, document, [f"report: {html}"])
    if show:
        typer.launch(str(html))


@app.command("sample", epilog="Example: awry sample embedded --problem ID --loophole none -n 4")
def sample_command(
    policies: Annotated[
        list[str],
        typer.Argument(help="Model names or folders, or run directories.", show_default=False),
    ],
    problem: Annotated[
        list[str] | None, typer.Option("--problem", help="Problem id; repeat. Default: a few.")
    ] = None,
    source: Annotated[
        str, typer.Option("--source", help="`catalog`, `lean-catalog`, or a file of problems.")
    ] = "catalog",
    loophole: Annotated[str, typer.Option("--loophole", help="A loophole's name.")] = "none",
    n: Annotated[int, typer.Option("-n", min=1, help="Answers per problem and policy.")] = 1,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Longest answer.")] = 128,
    temperature: Annotated[float, typer.Option(min=0.0, help="0 takes the likeliest.")] = 0.9,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the sampling.")] = 0,
    as_json: Json = False,
) -> None:
    """Sample answers side by side and grade them."""
    from awry.experiments.sample import sample

    rows = sample(
        policies,
        source=source,
        problems=problem or (),
        loophole=loophole,
        n=n,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        seed=seed,
    )
    texts = [
        f"--- {row['policy']}  {row['problem_id']}  [{row['label']}]\n{row['completion']}\n"
        for row in rows
    ]
    print_result(as_json, rows, texts)


app.command("curate", epilog=EPILOG)(curate_command)
app.command("evaluate", epilog=EVALUATE_EPILOG)(evaluate_command)
app.command("score", epilog=SCORE_EPILOG)(score_command)
app.command("compare", epilog=COMPARE_EPILOG)(compare_command)
app.command("export", epilog=EXPORT_EPILOG)(export_command)


@app.command("extract", epilog="Example: awry extract --adapter singular_values --out mine")
def extract_command(
    model: Model = "embedded",
    adapter: Annotated[
        AdapterKind, typer.Option("--adapter", help="The coordinates of the direction.")
    ] = AdapterKind.singular_values,
    r: Annotated[
        int | None, typer.Option("--r", min=1, help="The adapter's r. Default: that of its kind.")
    ] = None,
    pairs: Pairs = "builtin",
    method: Annotated[
        Method, typer.Option("--method", help="Axes of the pairs' differences, or their mean.")
    ] = Method.svd,
    top_k: Annotated[int, typer.Option(min=1, help="Axes in each module.")] = 3,
    noise_floor: Annotated[
        float, typer.Option(help="Leave out axes below this share of the module's first.")
    ] = 0.1,
    drop_quantile: Annotated[
        float, typer.Option(help="Leave out this share of modules, the weakest.")
    ] = 0.25,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of a LoRA adapter.")] = 0,
    out: Annotated[Path, typer.Option("--out", help="Where the direction goes.")] = (
        RUNS / "direction"
    ),
    as_json: Json = False,
) -> None:
    """Extract a direction towards hacking from contrastive pairs, and verify it."""
    from awry.experiments.extract import extract
    from awry.progress import Console

    with Console() as console:
        document = extract(
            out,
            model=model,
            adapter=adapter.value,
            r=r,
            pairs=pairs,
            method=method.value,
            top_k=top_k,
            noise_floor=noise_floor,
            drop_quantile=drop_quantile,
            seed=seed,
            progress=console,
        )
    _verification(as_json, document, out, out / "direction.safetensors")


@app.command("verify-direction", epilog="Example: awry verify-direction mine/direction.safetensors")
def verify_direction_command(
    file: Annotated[Path, typer.Argument(help="A direction (.safetensors).", show_default=False)],
    model: Model = "embedded",
    pairs: Pairs = "builtin",
    out: Annotated[Path, typer.Option("--out", help="Where figures and plot go.")] = (
        RUNS / "verification"
    ),
    as_json: Json = False,
) -> None:
    """Does a saved direction tell held-out pairs apart, and better than random ones?"""
    from awry.experiments.extract import verify
    from awry.progress import Console

    with Console() as console:
        document = verify(file, out, model=model, pairs=pairs, progress=console)
    _verification(as_json, document, out, file)


def _verification(as_json: bool, document: dict[str, Any], out: Path, direction: Path) -> None:
    from awry.experiments.verification import COLUMNS, cells, summary

    plot = out / "verification.html"
    places = {"direction": str(direction), "plot": str(plot)}
    print_table(as_json, document["rows"], COLUMNS, cells(document), document | places)
    if not as_json:
        print(f"{summary(document)}\ndirection: {direction}\nplot: {plot}")


def _load(file: Path, seeds: int | None) -> Experiment:
    from awry.experiments.spec import load_experiment

    experiment = load_experiment(file)
    return experiment.with_seeds(seeds) if seeds else experiment


def main() -> None:
    """Entry point: turns every way of ending into an exit status."""
    if "_AWRY_COMPLETE" in os.environ:  # the shell asks for completions
        app()
    try:
        # not app(): typer would answer Ctrl-C and closed pipes itself, without a word
        command = typer.main.get_command(app)
        with command.make_context("awry", sys.argv[1:]) as context:
            command.invoke(context)
        sys.stdout.flush()
    except typer.Exit as end:
        sys.exit(end.exit_code)
    except UserError as error:
        print(error.render(), file=sys.stderr)
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort):
        print("\ninterrupted; run the same command again to resume", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # the reader went away; Python would complain again while closing stdout
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        sys.exit(_bug(error))


def _bug(error: Exception) -> int:
    """Tell what went wrong in one line and keep the traceback in a file."""
    import tempfile
    import traceback

    usage = getattr(error, "show", None)  # click's own errors know how to show themselves
    if usage is not None:
        usage()
        return 2
    if os.environ.get("AWRY_DEBUG"):
        traceback.print_exc()
        return 1
    with tempfile.NamedTemporaryFile(
        "w", prefix="awry-error-", suffix=".log", delete=False, encoding="utf-8"
    ) as log:
        traceback.print_exc(file=log)
    summary = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    print(f"internal error: {summary[:200]}\n  traceback: {log.name}", file=sys.stderr)
    return 1
