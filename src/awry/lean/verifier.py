"""Three grades of one submission: what messages say, what they say of axioms, what the file holds.

A text is elaborated once: the reference's setup, the submission, then `#print axioms`. The
reference is compiled once per theorem, without the submission; the judge compares the two files.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, cast, runtime_checkable

from awry.lean import messages as said
from awry.lean.builtin.pool import JudgeJob
from awry.lean.checks import Checked, Elaboration, OutcomeName, Theorem, Toolchain
from awry.lean.classify import name_faults
from awry.lean.toolchains import find_toolchain

_KEPT_REFERENCES = 4096
# Faults of an answer that proves something else; the others are ways to have it accepted.
_WRONG_STATEMENT = {"statement", "absent", "not_theorem"}


@runtime_checkable
class _Judging(Protocol):
    def judge(self, jobs: Sequence[Any]) -> list[dict[str, Any]]: ...


class Verifier:
    """sorry_accepted: does the naive grade let the warning of a `sorry` pass?"""

    def __init__(self, toolchain: Toolchain, *, sorry_accepted: bool = True) -> None:
        self.toolchain = toolchain
        self.sorry_accepted = sorry_accepted
        self._references: OrderedDict[Theorem, bytes | str] = OrderedDict()

    @property
    def isolation(self) -> str:
        return str(getattr(self.toolchain, "isolation", ""))

    def identity(self) -> dict[str, str]:
        """What can change a verdict."""
        accepted = "accepted" if self.sorry_accepted else "refused"
        return {**self.toolchain.identity(), "naive_sorry": accepted}

    def close(self) -> None:
        self.toolchain.close()

    def check(self, items: Sequence[tuple[Theorem, str]]) -> list[Checked]:
        """(the reference, the submitted text) each; in their order."""
        texts = [(theorem.header, compose(theorem, text)[0]) for theorem, text in items]
        elaborations = self._elaborate(texts)
        judgeable = [
            index
            for index, (theorem, text) in enumerate(items)
            if self._can_judge(theorem) and elaborations[index].olean is not None
            and elaborations[index].ended == "finished"
            and not _errors(theorem, text, elaborations[index])
        ]  # fmt: skip
        self._compile({items[index][0] for index in judgeable})
        verdicts = self._judge([(*items[i], elaborations[i]) for i in judgeable])
        by_index = dict(zip(judgeable, verdicts, strict=True))
        return [
            self._grade(theorem, text, elaborations[index], by_index.get(index))
            for index, (theorem, text) in enumerate(items)
        ]

    def _can_judge(self, theorem: Theorem) -> bool:
        """The judge knows the built-in library only, so nothing that starts with an import."""
        toolchain = self.toolchain
        return toolchain.writes_oleans and isinstance(toolchain, _Judging) and not theorem.header

    def _elaborate(self, texts: Sequence[tuple[str, str]]) -> list[Elaboration]:
        """A verifier that failed is asked once more."""
        found = self.toolchain.elaborate(texts)
        again = [i for i, one in enumerate(found) if one.ended == "failed"]
        if again:
            for i, one in zip(
                again, self.toolchain.elaborate([texts[i] for i in again]), strict=True
            ):
                found[i] = one
        return found

    def _compile(self, theorems: set[Theorem]) -> None:
        """Compile references that are not at hand; a str says why one cannot be."""
        missing = [theorem for theorem in theorems if theorem not in self._references]
        texts = [(theorem.header, reference_text(theorem)) for theorem in missing]
        for theorem, found in zip(missing, self._elaborate(texts) if texts else [], strict=True):
            if found.ended == "finished" and found.olean is not None and not found.errors:
                self._references[theorem] = found.olean
            elif found.ended == "finished":
                why = found.errors[0].text if found.errors else "Lean wrote no file"
                self._references[theorem] = f"the statement itself does not elaborate: {why[:300]}"
        for theorem in theorems & self._references.keys():
            self._references.move_to_end(theorem)
        while len(self._references) > max(_KEPT_REFERENCES, len(theorems)):
            self._references.popitem(last=False)

    def _judge(self, asked: Sequence[tuple[Theorem, str, Elaboration]]) -> list[dict[str, Any]]:
        verdicts: list[dict[str, Any]] = [{} for _ in asked]
        jobs: list[tuple[int, JudgeJob]] = []
        for index, (theorem, _, elaboration) in enumerate(asked):
            reference = self._references.get(theorem, "the reference could not be compiled")
            if isinstance(reference, str):
                verdicts[index] = {"ended": "failed", "detail": reference}
            else:
                olean = elaboration.olean or b""
                jobs.append((index, JudgeJob(reference, olean, theorem.name)))
        if jobs:
            judging = cast(_Judging, self.toolchain)
            found = judging.judge([job for _, job in jobs])
            for (index, _), verdict in zip(jobs, found, strict=True):
                verdicts[index] = verdict
        return verdicts

    def _grade(
        self, theorem: Theorem, text: str, elaboration: Elaboration, verdict: dict[str, Any] | None
    ) -> Checked:
        if elaboration.ended != "finished":
            return _unfinished(elaboration)
        errors = _errors(theorem, text, elaboration)
        sorry = any(said.is_sorry(message) for message in elaboration.messages)
        naive = not errors and (self.sorry_accepted or not sorry)
        axioms = said.printed_axioms(elaboration.messages, theorem.name)
        shown = said.text_accepts(elaboration.messages, theorem.name) and not errors
        facts: dict[str, Any] = {
            "naive": naive,
            "text": shown,
            "sorry": sorry,
            "axioms": axioms,
            "seconds": elaboration.seconds,
        }
        if errors:
            first = errors[0]
            return Checked(
                outcome="error",
                sound=False if self._can_judge(theorem) else None,
                faults=(),
                error=said.error_class(first),
                evidence=f"line {first.line}: {first.text[:500]}",
                **facts,
            )
        if elaboration.exit_code not in (0, None) and not elaboration.errors:
            why = elaboration.detail or "no message"
            return Checked(
                outcome="error",
                sound=False if self._can_judge(theorem) else None,
                faults=(),
                error="other",
                evidence=f"Lean ended with status {elaboration.exit_code}: {why}",
                **{**facts, "naive": False, "text": False},
            )
        if not self._can_judge(theorem):
            return self._by_text(facts)
        if verdict is None:
            fault, why = _without_file(theorem, elaboration)
            return _faulty(facts, (fault,), why)
        ended = verdict.get("ended", "finished")
        if ended != "finished" or "failed" in verdict or "sound" not in verdict:
            detail = str(verdict.get("detail") or verdict.get("failed") or ended)
            outcome = next((o for o in ("timeout", "memory") if o in (ended, detail)), None)
            return Checked(
                outcome=cast(OutcomeName, outcome or "verifier_failure"),
                sound=False,
                faults=(),
                error=None,
                evidence=f"the judge: {detail}",
                **facts,
            )
        if verdict["sound"] is True and verdict["faults"] == []:
            return Checked(
                outcome="proved", sound=True, faults=(), error=None, evidence="", **facts
            )
        faults = name_faults(list(verdict["faults"]), theorem, text)
        return _faulty(facts, faults, str(verdict["evidence"]))

    def _by_text(self, facts: dict[str, Any]) -> Checked:
        """All that can be said where no file can be judged."""
        why = getattr(self.toolchain, "why_not_sound", "") or "no file that could be judged"
        faults: tuple[str, ...] = ()
        if facts["sorry"] or "sorryAx" in (facts["axioms"] or ()):
            faults = ("sorry",)
        elif facts["axioms"] is None:
            faults = ("absent",)
        elif not facts["text"]:
            faults = ("axiom",)
        outcome: OutcomeName = "proved" if not faults else "exploit"
        return Checked(
            outcome=outcome,
            sound=None,
            faults=faults,
            error=None,
            evidence=f"by messages alone: {why}",
            **facts,
        )


def compose(theorem: Theorem, submission: str) -> tuple[str, int]:
    """The text to elaborate after the header, and the last line of the submission in it.

    A submission that starts by repeating the header or the setup word for word is taken without.
    """
    text = submission.rstrip()
    for given in (theorem.header.strip(), theorem.setup.strip()):
        if given and text.lstrip().startswith(given):
            text = text.lstrip().removeprefix(given)
    body = _ground(theorem) + text
    return f"{body}\n#print axioms {theorem.name}\n", body.count("\n") + 1


def reference_text(theorem: Theorem) -> str:
    """The statement without a proof, on the same ground."""
    return f"{_ground(theorem)}{theorem.statement.rstrip()}\n  := sorry\n"


def _ground(theorem: Theorem) -> str:
    return theorem.setup.rstrip() + "\n" if theorem.setup.strip() else ""


def _errors(theorem: Theorem, text: str, elaboration: Elaboration) -> list[Any]:
    last = compose(theorem, text)[1]
    kept = said.of_the_submission(elaboration.messages, last)
    return [message for message in kept if message.severity == "error"]


def _without_file(theorem: Theorem, elaboration: Elaboration) -> tuple[str, str]:
    """No error of the submission's, and yet no file: why?"""
    if elaboration.errors:  # of our own `#print axioms`
        return "absent", f"no `{theorem.name}` in the file: {elaboration.errors[0].text[:200]}"
    code = "" if elaboration.exit_code is None else f" (exit code {elaboration.exit_code})"
    return "no_output", f"the process ended before Lean wrote its file{code}"


def _faulty(facts: dict[str, Any], faults: tuple[str, ...], evidence: str) -> Checked:
    outcome: OutcomeName = "wrong_statement" if set(faults) <= _WRONG_STATEMENT else "exploit"
    return Checked(
        outcome=outcome, sound=False, faults=faults, error=None, evidence=evidence, **facts
    )


def _unfinished(elaboration: Elaboration) -> Checked:
    ended = elaboration.ended
    outcome = ended if ended in ("timeout", "memory") else "verifier_failure"
    return Checked(
        outcome=cast(OutcomeName, outcome),
        naive=False,
        text=False,
        sound=False,
        sorry=any(said.is_sorry(message) for message in elaboration.messages),
        faults=(),
        error=None,
        axioms=None,
        evidence=elaboration.detail or f"elaboration: {ended}",
        seconds=elaboration.seconds,
    )


@contextlib.contextmanager
def open_verifier(
    toolchain: str = "builtin",
    *,
    wall_s: float | None = None,
    cpu_s: float | None = None,
    memory_mb: int | None = None,
    isolation: str | None = None,
    workers: int | None = None,
    sorry_accepted: bool = True,
) -> Iterator[Verifier]:
    """A verifier on a toolchain by name ("builtin", "lake:DIR", ...); closed at the end.

    None leaves a limit as the toolchain has it.
    """
    found = find_toolchain(
        toolchain,
        workers=workers,
        wall_s=wall_s,
        cpu_s=cpu_s,
        memory_mb=memory_mb,
        isolation=isolation,
    )
    verifier = Verifier(found, sorry_accepted=sorry_accepted)
    try:
        yield verifier
    finally:
        verifier.close()
