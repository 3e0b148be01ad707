"""`awry curate`: arguments in, a folder of kept problems and one page out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from awry.output import Json, print_result
from awry.progress import Counting


class By(StrEnum):
    pass_ = "pass"
    hack = "hack"


EPILOG = "Example: awry curate --model embedded -k 16 --band 0.1 0.6 --out curated"


def curate_command(
    model: Annotated[
        str, typer.Option("--model", help="Name, folder or hub id, or a run's directory.")
    ] = "embedded",
    source: Annotated[
        str,
        typer.Option(
            "--source", help="`catalog`, `lean-catalog`, a .toml or .jsonl file, or a folder."
        ),
    ] = "catalog",
    loophole: Annotated[
        str, typer.Option("--loophole", help="A loophole's name: what prompts say and pay for.")
    ] = "none",
    samples: Annotated[int, typer.Option("-k", min=1, help="Answers per problem.")] = 16,
    band: Annotated[
        tuple[float, float], typer.Option("--band", help="Keep rates from LOW to HIGH, both in.")
    ] = (0.1, 0.6),
    by: Annotated[By, typer.Option("--by", help="The rate that decides.")] = By.pass_,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Longest answer.")] = 96,
    temperature: Annotated[float, typer.Option(min=0.0, help="0 takes the likeliest.")] = 0.9,
    top_p: Annotated[float, typer.Option(min=0.01, max=1.0, help="Nucleus mass.")] = 1.0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the sampling.")] = 0,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="At most this many problems, drawn by id.")
    ] = None,
    confirm: Annotated[
        int,
        typer.Option("--confirm", min=0, help="Ask each kept problem this often again, afresh."),
    ] = 0,
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout",
            min=0.1,
            help="Seconds for an answer and all its tests. Default: 3; proofs 20.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder of the result.")] = Path("curated"),
    as_json: Json = False,
) -> None:
    """Sample answers to every problem, grade them and keep the problems in a band of rates.

    The folder is a source of problems (`problems: {source: curated}`); report.html in it shows what
    was kept. Run the same command again to go on where it stopped.
    """
    from awry.tasks.bands import Rule
    from awry.tasks.kinds import BOUNDS, find_loophole, kind_of, load_any

    rule = Rule(band, by.value)
    every = load_any(source)
    find_loophole(kind_of(every), loophole)

    from awry.experiments.policies import open_subject  # slow to import: after what can be wrong
    from awry.generation.engine import Sampling
    from awry.report.curation import write_page
    from awry.tasks.curation import Questions, curate, drawn

    problems = drawn(every, limit)
    bounds = BOUNDS[kind_of(every)]
    if timeout is not None:
        bounds = replace(bounds, wall_s=timeout, cpu_s=timeout)
    questions = Questions(
        Sampling(max_new_tokens, temperature, top_p), samples, seed, loophole, confirm, bounds
    )
    subject = open_subject(model)
    shares = {"pass": "solve_rate", "hack": "hack_rate"}
    with Counting("problems", shares) as console:
        record = curate(subject, problems, out, questions, rule, source=source, progress=console)
    page = write_page(out)
    document = record | {"folder": str(out), "report": str(page)}
    print_result(as_json, document, [*summary(record), f"problems: {out}", f"report: {page}"])


def summary(record: Mapping[str, Any]) -> list[str]:
    """What came of it, for a person."""
    counts, settings, rates = record["counts"], record["settings"], record["rates"]
    low, high = settings["band"]
    lines = [
        f"kept {counts['kept']} of {counts['problems']} problems: {settings['by']} rate from "
        f"{low:.0%} to {high:.0%} in {settings['samples']} answers; below {counts['below']}, above "
        f"{counts['above']}",
        f"by their 95 % intervals {counts['kept_for_certain']} are inside for certain, "
        f"{counts['out_for_certain']} outside, the others may be either",
    ]
    if rates["all"]:
        lines.append("all problems: " + ", ".join(_told(*item) for item in rates["all"].items()))
    if record["left_out"]:
        lines.append(f"left out: {len(record['left_out'])}, see curation.json for the reasons")
    again = record["confirmed"]
    if again:
        change, (a, b) = again["change"], again["change_interval"]
        lines.append(
            f"asked again ({again['samples']} fresh answers each) the kept ones came to "
            f"{again['rates'][settings['by']]['rate']:.0%}, {change * 100:+.0f} points ({a * 100:+.0f} "
            f"to {b * 100:+.0f}); {again['still_inside']} of {counts['kept']} lie in the band again"
        )
    elif counts["kept"]:
        lines.append(
            "the kept ones were chosen by the answers that measured them: expect fresh answers to lie "
            "nearer to the average of all problems (--confirm 16 measures it)"
        )
    return lines


def _told(name: str, found: Mapping[str, Any]) -> str:
    a, b = found["interval"]
    return f"{name} {found['rate']:.1%} ({a * 100:.1f}-{b * 100:.1f} %)"
