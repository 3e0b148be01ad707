"""Commands about the sandbox: `awry sandbox ...`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from awry.output import Json, print_result

sandbox_app = typer.Typer(help="Where untrusted code is run.", no_args_is_help=True)


@sandbox_app.command("doctor", epilog="Example: awry sandbox doctor --require")
def doctor(
    require: Annotated[
        bool, typer.Option("--require", help="Exit 2 unless isolation is complete.")
    ] = False,
    as_json: Json = False,
) -> None:
    """What this machine gives: layers of isolation, what hostile code can do, and what it costs."""
    from awry.sandbox.doctor import advice, examine, insist

    facts, levels = examine()
    lines = [f"{name}: {value}" for name, value in facts.items()]
    for level in levels:
        lines += [
            "",
            f"{level.name}: {level.layers.replace('+', ', ')}",
            f"  {level.milliseconds:.2f} ms per empty program",
            f"  hostile code can: {', '.join(level.allowed) or 'nothing of what was tried'}",
            *[f"  missing: {reason}" for reason in level.missing],
        ]
    fault = advice(levels[0])
    lines += ["", f"`isolation: auto` takes {levels[0].layers}"]
    lines.append(fault or "`isolation: require` is satisfied")
    document = {"system": facts, "levels": [asdict(level) for level in levels], "advice": fault}
    print_result(as_json, document, lines)
    if require:
        insist(levels)
