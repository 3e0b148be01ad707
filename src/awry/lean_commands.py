"""Commands about Lean: `awry lean doctor` and `awry lean check`."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from awry.errors import UserError
from awry.output import Json, print_result

if TYPE_CHECKING:
    from awry.lean.checks import Checked, Theorem

lean_app = typer.Typer(help="Lean 4: toolchains, and checks of proofs.", no_args_is_help=True)
REFUSED = 3  # exit status of a check that does not accept: not an error, and not bad input


class Grade(StrEnum):
    naive = "naive"
    text = "text"
    sound = "sound"


@lean_app.command("doctor", epilog="Example: awry lean doctor --toolchain lake:~/mathlib4")
def doctor(
    toolchain: Annotated[
        list[str] | None,
        typer.Option("--toolchain", help="Try this too: lake:DIR, repl:DIR[@PROGRAM], kimina:URL."),
    ] = None,
    require: Annotated[
        bool, typer.Option("--require", help="Exit 2 unless the toolchains named work.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Which toolchains work here: versions, isolation, grades, and the time of a check."""
    from awry.lean.doctor import examine, insist

    named = tuple(toolchain or ())
    findings = examine(named)
    usable = [f.name for f in findings if f.grades]
    lines = [line for finding in findings for line in finding.lines()]
    lines.append(f"usable toolchains: {', '.join(usable) or 'none'}")
    document = {"toolchains": [asdict(f) for f in findings], "usable": usable}
    print_result(as_json, document, lines)
    if require:
        insist(findings, named)


@lean_app.command(
    "check",
    epilog="Example: awry lean check answer.lean --theorem and_swap "
    "--statement 'theorem and_swap (p q : Prop) : p ∧ q → q ∧ p'",
)
def check(
    file: Annotated[Path, typer.Argument(help="Lean file with the proof.", show_default=False)],
    theorem: Annotated[str, typer.Option("--theorem", help="Full name of the theorem.")],
    grade: Annotated[Grade, typer.Option("--grade", help="How strictly.")] = Grade.sound,
    statement: Annotated[
        str | None,
        typer.Option(
            "--statement",
            help="What is to be proved: `theorem NAME ... : ...`, or a file with that and what "
            "stands before it. Default: the statement in FILE, taken alone.",
        ),
    ] = None,
    toolchain: Annotated[
        str, typer.Option("--toolchain", help="builtin, lake:DIR, repl:DIR, kimina:URL.")
    ] = "builtin",
    refuse_sorry: Annotated[
        bool, typer.Option("--refuse-sorry", help="Grade naive: the warning of a sorry fails.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check a proof. Exit status 0: the grade accepts it; 3: it does not."""
    from awry.lean.reading import without_reference
    from awry.lean.toolchains import find_toolchain
    from awry.lean.verifier import Verifier

    text = _read(file)
    reference = _reference(text, theorem, statement)
    submission = without_reference(text, reference)
    found = find_toolchain(toolchain, workers=1)
    verifier = Verifier(found, sorry_accepted=not refuse_sorry)
    try:
        (checked,) = verifier.check([(reference, submission)])
        identity = verifier.identity()
    finally:
        verifier.close()
    if checked.outcome == "verifier_failure":
        raise UserError(
            f"the verifier could not tell: {checked.evidence}",
            file=file,
            fix="give what the statement needs by --statement FILE"
            if "statement itself" in checked.evidence
            else "run it again; see `awry lean doctor`",
        )
    if grade == Grade.sound and checked.sound is None:
        why = getattr(found, "why_not_sound", "") or "its header imports what the judge cannot know"
        raise UserError(
            f"this toolchain cannot give the grade `sound`: {why}",
            field="--grade",
            fix="use --grade text, or the toolchain builtin",
        )
    accepted = checked.accepted(grade.value)
    document = {
        "accepted": accepted,
        "grade": grade.value,
        **asdict(checked),
        "statement": asdict(reference),
        "statement_from": "--statement" if statement else "FILE",
        "toolchain": identity,
    }
    print_result(as_json, document, _lines(checked, reference, grade, accepted, statement))
    if not accepted:
        raise typer.Exit(REFUSED)


def _lines(
    checked: Checked, reference: Theorem, grade: Grade, accepted: bool, statement: str | None
) -> list[str]:
    from awry.lean.checks import FAULTS

    grades = {"naive": checked.naive, "text": checked.text, "sound": checked.sound}
    words = {True: "accepts", False: "refuses", None: "cannot tell"}
    lines = [
        f"{reference.name}: {'accepted' if accepted else 'not accepted'} ({grade.value})",
        f"  {checked.outcome}" + (f": {checked.error}" if checked.error else ""),
        "  " + ", ".join(f"{name} {words[said]}" for name, said in grades.items()),
        *[f"  {fault}: {FAULTS[fault]}" for fault in checked.faults],
    ]
    lines += [f"  {line}" for line in checked.evidence.split("\n") if line.strip()]
    if checked.axioms is not None:
        lines.append(f"  axioms: {', '.join(checked.axioms) or 'none'}")
    if not statement:
        lines += ["  the statement is the file's own: give --statement to say what is to be proved"]
    return lines


def _reference(text: str, name: str, statement: str | None) -> Theorem:
    """What is to be proved. Of the answer's own file only the imports and the statement count."""
    from dataclasses import replace

    from awry.lean.reading import read_theorem, split_header

    if statement is None:
        return replace(read_theorem(text, name), setup="")
    given = statement
    if not statement.lstrip().startswith(("theorem", "lemma", "import")):
        given = _read(Path(statement))
    found = read_theorem(given, name)
    return found if found.header else replace(found, header=split_header(text)[0])


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"the file cannot be read: {error}", file=path) from error
