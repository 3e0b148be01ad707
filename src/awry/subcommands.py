"""Commands about policies and problems: `awry models ...`, `awry problems ...`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from awry.output import Json, print_result, print_table, text_of

models_app = typer.Typer(
    help="Policies: what there is, fetch it, look at it.", no_args_is_help=True
)
problems_app = typer.Typer(
    help="Problems: list, show, check and measure them.", no_args_is_help=True
)
Source = Annotated[str, typer.Option("--source", help="`catalog`, or a .toml or .jsonl file.")]


@models_app.command("list", epilog="Example: awry models list --json")
def models_list(as_json: Json = False) -> None:
    """Models that awry knows by name."""
    from awry.models import known_models

    print_table(as_json, known_models(), ("name", "what", "fetched"))


@models_app.command("fetch", epilog="Example: awry models fetch embedded")
def models_fetch(name: Annotated[str, typer.Argument(help="Name or hub id.")] = "embedded") -> None:
    """Bring a model to this machine."""
    from awry.models import TINY, resolve

    if name == TINY:
        print(f"{TINY} is made when it is used; there is nothing to fetch")
        return
    print(resolve(name)[1])


@models_app.command("show", epilog="Example: awry models show embedded")
def modelsshow(
    name: Annotated[str, typer.Argument(help="Name, folder or hub id.")] = "embedded",
    as_json: Json = False,
) -> None:
    """Digests, size, type and chat template of a model."""
    from awry.models import describe

    facts = describe(name)
    print_result(as_json, facts, [f"{key}: {value}" for key, value in facts.items()])


@problems_app.command("list", epilog="Example: awry problems list --json")
def problems_list(source: Source = "catalog", as_json: Json = False) -> None:
    """All problems of a source."""
    from awry.tasks.problems import load_problems

    rows = [
        {"id": p.id, "difficulty": p.difficulty, "tests": len(p.tests), "tags": ", ".join(p.tags)}
        for p in load_problems(source)
    ]
    print_table(as_json, rows, ("id", "difficulty", "tests", "tags"))


@problems_app.command("show", epilog="Example: awry problems show ID --loophole overwrite_tests")
def problemsshow(
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
    print_result(
        as_json, facts, [f"## {key}\n{text_of(value)}\n" for key, value in facts.items() if value]
    )


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
    print_result(as_json, {"problems": len(problems), "rejected": rejected}, lines)
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
    print_table(as_json, rows, ("id", "passes", "samples", "tier"), document=row)
