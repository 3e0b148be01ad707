"""miniF2F: statements of competition mathematics to prove in Lean 4.

Zheng, Han and Polu, ICLR 2022; Lean 4 statements of DeepSeek-Prover-V1.5 (Lean 4.9). pass@1 is
acceptance by Lean's kernel without `sorry` and without axioms beyond the standard three. This
version of awry asks and keeps the answers; only a Lean verifier may say which are proofs.
"""

from __future__ import annotations

from collections.abc import Sequence

from awry.evaluation.benchmarks.counting import Marks, truncated
from awry.evaluation.data import Place, find, limited, no_shots, subset
from awry.evaluation.items import Ask, Benchmark, Item, Loaded, Metric, Options, Response
from awry.generation.engine import Sampling

SPLITS = ("test", "valid")
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


def metrics(items: Sequence[Item], responses: Sequence[Response], marks: Marks) -> list[Metric]:
    reason = "it needs the Lean verifier, which this version of awry does not have"
    null = Metric("pass@1[lean]", None, 0, reason=reason, better="higher", floor=0.0, main=True)
    return [null, truncated(responses)]


BENCHMARK = Benchmark(
    name="minif2f",
    title="miniF2F (Lean 4)",
    version=1,
    about="244 test and 244 valid statements to prove in Lean 4. Answers are kept; without the Lean "
    "verifier there is no score. MIT.",
    load=load,
    metrics=metrics,
    sampling=Sampling(max_new_tokens=1024, temperature=0.0),
    subsets=SPLITS,
    suites=(),
)
