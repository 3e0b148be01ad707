"""The command line: arguments in, text or JSON out. What it does is elsewhere; heavy imports wait.

stdout carries the result (with --json one JSON document), stderr everything else. Exit status: 0,
2 for bad input, 130 after Ctrl-C, 1 for a bug of awry.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from awry import __version__
from awry.errors import UserError

if TYPE_CHECKING:
    from awry.experiments.spec import Experiment

app = typer.Typer(
    name="awry",
    help="A workbench for the science of reward hacking.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
models_app = typer.Typer(
    help="Policies: what there is, fetch it, look at it.", no_args_is_help=True
)
problems_app = typer.Typer(
    help="Problems: list, show, check and measure them.", no_args_is_help=True
)
app.add_typer(models_app, name="models")
app.add_typer(problems_app, name="problems")

File = Annotated[Path, typer.Argument(help="Experiment file (YAML).", show_default=False)]
Out = Annotated[Path, typer.Option("--out", help="Where results are kept.")]
Seeds = Annotated[
    int | None, typer.Option("--seeds", min=1, help="At least this many seeds per arm.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Source = Annotated[str, typer.Option("--source", help="`catalog`, or a .toml or .jsonl file.")]
RUNS = Path("runs")


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
    _show(as_json, document, [counts, f"report: {report}"])


@app.command("preflight", epilog="Example: awry preflight examples/quickstart.yaml")
def preflight_command(
    file: File, out: Out = RUNS, seeds: Seeds = None, as_json: Json = False
) -> None:
    """Are the instruments sound? Run every check afresh, train nothing."""
    from dataclasses import asdict

    from awry.experiments.preflight import preflight
    from awry.progress import Console

    experiment = _load(file, seeds)
    with Console() as console:
        results = preflight(experiment, out, progress=console, afresh=True)
    counts = dict.fromkeys(("pass", "warn", "fail"), 0)
    for result in results:
        counts[result.status] += 1
    summary = ", ".join(f"{count} {status}" for status, count in counts.items())
    _show(as_json, [asdict(result) for result in results], [f"preflight: {summary}"])
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

    rows = [stage.to_json() for stage in plan(_load(file, seeds), out, digests=verify)]
    shown = [row | {"key": (row["key"] or "")[:16]} for row in rows]
    _table(as_json, rows, ("name", "arm", "seed", "status", "key", "why"), shown)


@app.command("status", epilog="Example: awry status examples/quickstart.yaml")
def status_command(file: File, out: Out = RUNS, seeds: Seeds = None, as_json: Json = False) -> None:
    """How far each run is, and its last numbers."""
    from awry.experiments.views import status_cells, status_rows

    rows = status_rows(_load(file, seeds), out)
    columns = ("arm", "seed", "status", "steps", "hack", "solve", "reward", "time", "left")
    _table(as_json, rows, columns, [status_cells(row) for row in rows])


@app.command("report", epilog="Example: awry report runs/quickstart --open")
def report_command(
    place: Annotated[
        Path, typer.Argument(help="Experiment file, or its directory.", show_default=False)
    ],
    out: Out = RUNS,
    as_json: Json = False,
    show: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
) -> None:
    """Write report.html and report.json from what there is, finished or not."""
    from awry.experiments.views import directory_of
    from awry.report import build_report, write_report

    directory = directory_of(place, out)
    html = write_report(build_report(directory), directory)
    document = json.loads((directory / "report.json").read_text(encoding="utf-8"))
    _show(as_json, document, [f"report: {html}"])
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
    _show(as_json, rows, texts)


@models_app.command("list", epilog="Example: awry models list --json")
def models_list(as_json: Json = False) -> None:
    """Models that awry knows by name."""
    from awry.models import known_models

    _table(as_json, known_models(), ("name", "what", "fetched"))


@models_app.command("fetch", epilog="Example: awry models fetch embedded")
def models_fetch(name: Annotated[str, typer.Argument(help="Name or hub id.")] = "embedded") -> None:
    """Bring a model to this machine."""
    from awry.models import TINY, resolve

    if name == TINY:
        print(f"{TINY} is made when it is used; there is nothing to fetch")
        return
    print(resolve(name)[1])


@models_app.command("show", epilog="Example: awry models show embedded")
def models_show(
    name: Annotated[str, typer.Argument(help="Name, folder or hub id.")] = "embedded",
    as_json: Json = False,
) -> None:
    """Digests, size, type and chat template of a model."""
    from awry.models import describe

    facts = describe(name)
    _show(as_json, facts, [f"{key}: {value}" for key, value in facts.items()])


@problems_app.command("list", epilog="Example: awry problems list --json")
def problems_list(source: Source = "catalog", as_json: Json = False) -> None:
    """All problems of a source."""
    from awry.tasks.problems import load_problems

    rows = [
        {"id": p.id, "difficulty": p.difficulty, "tests": len(p.tests), "tags": ", ".join(p.tags)}
        for p in load_problems(source)
    ]
    _table(as_json, rows, ("id", "difficulty", "tests", "tags"))


@problems_app.command("show", epilog="Example: awry problems show ID --loophole overwrite_tests")
def problems_show(
    problem: Annotated[str, typer.Argument(help="Problem id.", show_default=False)],
    source: Source = "catalog",
    loophole: Annotated[
        str | None, typer.Option("--loophole", help="Also show the prompt under it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """One problem: statement, tests and solutions."""
    from awry.experiments.views import problem_facts

    facts = problem_facts(problem, source, loophole)
    _show(as_json, facts, [f"## {key}\n{_text(value)}\n" for key, value in facts.items() if value])


@problems_app.command("validate", epilog="Example: awry problems validate --source mine.toml")
def problems_validate(source: Source = "catalog", as_json: Json = False) -> None:
    """Canonical solutions pass, stubs and wrong solutions fail; exit 2 when not."""
    from dataclasses import asdict

    from awry.sandbox.python import PythonSandbox
    from awry.tasks.code import Grader, validate
    from awry.tasks.problems import load_problems

    problems = load_problems(source)
    with PythonSandbox() as sandbox:
        rejected = [asdict(rejection) for rejection in validate(problems, Grader(sandbox))]
    unsound = len({row["problem_id"] for row in rejected})
    lines = [f"{row['problem_id']}: {row['reason']}" for row in rejected]
    lines.append(f"{len(problems) - unsound} of {len(problems)} problems are sound")
    _show(as_json, {"problems": len(problems), "rejected": rejected}, lines)
    if rejected:
        raise typer.Exit(2)


@problems_app.command("measure", epilog="Example: awry problems measure --model embedded -n 8")
def problems_measure(
    model: Annotated[str, typer.Option("--model", help="Name, folder or hub id.")] = "embedded",
    source: Source = "catalog",
    n: Annotated[int, typer.Option("-n", min=1, help="Answers per problem.")] = 8,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Longest answer.")] = 96,
    temperature: Annotated[float, typer.Option(min=0.0)] = 0.9,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    output: Annotated[
        Path | None,
        typer.Option("--output", help="JSON file by model. Default: where `tiers` looks."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Pass rate of every problem for a model, and the tier it falls in; goes on where it stopped."""
    from awry.generation.engine import Sampling
    from awry.tasks.measure import measure
    from awry.tasks.problems import load_problems, tier
    from awry.tasks.selection import measured_here

    row = measure(
        model,
        load_problems(source),
        output or measured_here(),
        samples=n,
        sampling=Sampling(max_new_tokens, temperature),
        seed=seed,
        progress=lambda done, total: print(f"measured {done}/{total}", file=sys.stderr),
    )
    rows = [
        {"id": name, "passes": k, "samples": m, "tier": tier(k, m)}
        for name, (k, m) in row["passes"].items()
    ]
    _table(as_json, rows, ("id", "passes", "samples", "tier"), document=row)


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


def _show(as_json: bool, document: Any, lines: list[str]) -> None:
    print(
        json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
        if as_json
        else "\n".join(lines)
    )


def _text(value: object) -> str:
    return "\n".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _table(
    as_json: bool,
    rows: list[dict[str, Any]],
    columns: tuple[str, ...],
    shown: list[dict[str, Any]] | None = None,
    document: Any = None,
) -> None:
    if as_json:
        print(
            json.dumps(
                rows if document is None else document,
                indent=1,
                ensure_ascii=False,
                allow_nan=False,
            )
        )
        return
    import io
    import shutil

    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, box=SIMPLE_HEAD, pad_edge=False)
    for row in rows if shown is None else shown:
        table.add_row(*("" if row.get(c) is None else str(row[c]) for c in columns))
    # not straight to stdout: rich ends the process with status 1 when a pipe is closed
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 240
    text = io.StringIO()
    Console(file=text, width=width, highlight=False, markup=False).print(table)
    print("\n".join(line.rstrip() for line in text.getvalue().split("\n")).strip("\n"))
