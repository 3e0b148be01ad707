"""Commands about policies: `awry models ...`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from awry.output import Json, print_result, print_table

models_app = typer.Typer(
    help="Policies: what there is, fetch it, look at it.", no_args_is_help=True
)


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


@models_app.command("export", epilog="Example: awry models export runs/lean_warmup warmed-up")
def models_export(
    policy: Annotated[
        str,
        typer.Argument(
            help="A run's directory, one of its checkpoints, or an experiment of one run.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Argument(help="New folder.", show_default=False)],
    as_json: Json = False,
) -> None:
    """Write what a run trained as a plain model folder: weights (float32), tokenizer, template."""
    from awry.errors import UserError
    from awry.experiments.policies import expand, save_merged

    found = expand(policy)
    if len(found) > 1:
        raise UserError(
            f"this experiment has {len(found)} runs",
            field="POLICY",
            value=policy,
            fix="name one: " + ", ".join(found[:4]),
        )
    digest = save_merged(found[0], out)
    facts = {"folder": str(out), "weights": digest}
    print_result(as_json, facts, [f"{out}: weights {digest[:16]}"])
