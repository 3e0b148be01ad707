"""miniF2F: statements of competition mathematics to prove in Lean 4.

Zheng, Han and Polu, ICLR 2022; Lean 4 statements of DeepSeek-Prover-V1.5 (Lean 4.9). pass@1 is
acceptance by Lean without `sorry` and without axioms beyond the standard three: by a toolchain of
the user's that has Mathlib, since only Lean may say which answers are proofs.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from awry.errors import UserError
from awry.evaluation.benchmarks.counting import Marks, mean, number, truncated
from awry.evaluation.data import Place, find, limited, no_shots, subset
from awry.evaluation.items import Ask, Benchmark, Item, Loaded, Mark, Metric, Options, Response
from awry.generation.engine import Sampling
from awry.lean.checks import Theorem
from awry.lean.reading import blanked, find_statement, without_reference

if TYPE_CHECKING:
    from awry.lean.verifier import Verifier

SCORER = "lean-text-v1"
SPLITS = ("test", "valid")
ANSWERS = 64  # checked between two reports of progress
_FENCE = re.compile(r"```(\w*)")
PLACE = Place(
    "minif2f",
    files=("minif2f*.jsonl", "miniF2F*.jsonl"),
    known=frozenset({"d6654c88476ff14db19d57dea25bd955a240525fb52171e460f89d98f83d7dd5"}),
)


def load(options: Options) -> Loaded:
    """The test split, unless --subset names another."""
    no_shots(options, "minif2f")
    wanted = subset(options, "minif2f", SPLITS) if options.subset else ("test",)
    found = find(options, PLACE)
    items: list[Ask] = []
    for table in found.tables:
        for row in range(len(table.rows)):
            name, split = table.text(row, "name"), table.text(row, "split")
            if split not in SPLITS:
                raise table.error(row, "is of an unknown split", split)
            header, statement = table.text(row, "header"), table.text(row, "formal_statement")
            informal = table.rows[row].get("informal_prefix") or ""
            code = f"```lean4\n{header}{informal}{statement}```"
            facts = {"split": split, "header": header, "statement": statement}
            messages = (
                {"role": "user", "content": f"Complete the following Lean 4 code:\n\n{code}"},
            )
            if split in wanted:
                items.append(Ask(f"minif2f/{name}", messages, facts=facts))
    chosen = limited(items, options.limit, lambda item: item.facts["split"])
    return Loaded(chosen, found.source)


def reference(facts: Mapping[str, Any]) -> Theorem:
    """What is to be proved. Raises UserError for a row whose statement cannot be told."""
    words = blanked(facts["statement"]).split()
    place = next((n for n, word in enumerate(words) if word in ("theorem", "lemma")), None)
    if place is None or place + 1 >= len(words):
        raise UserError("a row states no theorem", value=facts["statement"][:100])
    setup, statement = find_statement(facts["statement"], words[place + 1])
    return Theorem(words[place + 1], statement, setup, facts["header"].strip())


def submission(facts: Mapping[str, Any], text: str) -> str:
    """The Lean text of an answer: a code block with the theorem in it, or else what the answer goes
    on with after the statement's `:= by`."""
    from awry.tasks.proofs import extract_lean

    theorem, block = reference(facts), extract_lean(text)
    fences = _FENCE.findall(text)
    # an odd one without a tag ends the block that the request began
    if block is None or (len(fences) % 2 and not fences[0]):
        block = text.partition("```")[0]
    if theorem.name in blanked(block).split():
        # other imports than the given ones stay where Lean refuses them
        with contextlib.suppress(UserError):
            block = without_reference(block, theorem)
        return block
    proof = block.strip("\n").removeprefix(":= by").removeprefix("by\n")
    if proof and not proof[0].isspace():
        proof = "\n".join(f"  {line}" for line in proof.splitlines())
    return f"{theorem.statement} := by\n{proof}\n"


class LeanScorer:
    """Marks {"proved": 0 or 1, "outcome", "evidence"} by the text grade: no error, no `sorry`, axioms
    as printed. The sound grade judges files that rest on our own core, not on Mathlib. What the
    verifier cannot tell is missing."""

    name = SCORER

    def __init__(self, verifier: Verifier) -> None:
        self.verifier = verifier
        self.identity: dict[str, Any] = {"version": 1, "grade": "text", **verifier.identity()}

    def score(
        self,
        items: Sequence[Item],
        responses: Sequence[Response],
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> list[dict[str, Mark]]:
        """Raises UserError where the toolchain lacks Mathlib."""
        rows = {item.id: item.facts for item in items}
        marks: list[dict[str, Mark]] = []
        for start in range(0, len(responses), ANSWERS):
            part = responses[start : start + ANSWERS]
            asked = [
                (reference(rows[r.item]), submission(rows[r.item], r.text or "")) for r in part
            ]
            for found in self.verifier.check(asked):
                unknown = found.outcome == "verifier_failure"
                marks.append(
                    {
                        "proved": None if unknown else float(found.text),
                        "outcome": found.outcome,
                        "evidence": found.evidence[:500],
                    }
                )
            progress(len(marks), len(responses))
        return marks


def make_lean_scorer(verifier: Verifier) -> LeanScorer:
    return LeanScorer(verifier)


def metrics(items: Sequence[Item], responses: Sequence[Response], marks: Marks) -> list[Metric]:
    """pass@1; null without marks of a Lean toolchain."""
    name = f"pass@1[{SCORER}]"
    if SCORER not in marks:
        reason = "it needs Lean with Mathlib: give --lean lake:DIR, repl:DIR or kimina:URL"
        null = Metric(name, None, 0, reason=reason, better="higher", floor=0.0, main=True)
        return [null, truncated(responses)]
    proved = [number(mark, "proved") for mark in marks[SCORER]]
    rate = mean(name, responses, proved, better="higher", floor=0.0, main=True)
    return [rate, truncated(responses)]


BENCHMARK = Benchmark(
    name="minif2f",
    title="miniF2F (Lean 4)",
    version=1,
    about="244 test and 244 valid statements to prove in Lean 4. Answers are kept; without a Lean "
    "toolchain that has Mathlib there is no score. MIT.",
    load=load,
    metrics=metrics,
    sampling=Sampling(max_new_tokens=1024, temperature=0.0),
    subsets=SPLITS,
    suites=(),
)
