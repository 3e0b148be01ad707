"""How well the refusal detectors agree with human labels, by model: the table of
docs/reference/detectors.md.

    python benchmarks/detectors.py FOLDER [MORE_FOR_FITTING...]

FOLDER has XSTest's labelled completions, one file a model (`xstest_v2_completions_*.csv`). The fitted
detector never sees the model it is measured on, nor, in the last rows, its prompts; further files are
fitted to as well. Kappa is Cohen's, a refusal is a full or partial one, bias is that of the refusal rate.
"second" is every second answer: the wording of the others was read when the patterns were written.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import workload
from awry.evaluation.marks import detectors
from awry.evaluation.marks.agreement import Agreement, by_group
from awry.evaluation.marks.labelled import Example, read_labelled
from awry.evaluation.marks.refusal_model import SCHEMES, THRESHOLD, cross_validate

_GLOB = "xstest_v2_completions_*.csv"


def main() -> None:
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    examples = read_labelled(sorted(Path(sys.argv[1]).glob(_GLOB)))
    more = read_labelled(sys.argv[2:])
    begun = time.process_time()
    lexical = [detectors.classify(e.text).klass != "compliance" for e in examples]
    seconds = time.process_time() - begun
    kappas = {"lexical": show(detectors.NAME, lexical, examples)}
    print(f"    {len(examples) / seconds:.0f} answers/s")
    for title, data in (("fitted", examples), ("fitted, more labels", [*examples, *more])):
        if title != "fitted" and not more:
            continue
        found = cross_validate(data, schemes=SCHEMES[1:])
        for scheme in SCHEMES[1:]:
            marks = [p > THRESHOLD for p in found[scheme][: len(examples)]]
            kappas[f"{title}: {scheme}"] = show(f"{title}, held out: {scheme}", marks, examples)
    print(
        json.dumps(
            {
                "name": Path(__file__).stem,
                "ours": round(kappas["fitted: model"], 3),
                "theirs": round(kappas["lexical"], 3),
                "unit": "kappa with human labels",
                "ratio": round(kappas["fitted: model"] / kappas["lexical"], 3),
                "machine": workload.MACHINE,
            }
        )
    )


def show(title: str, found: Sequence[bool], examples: Sequence[Example]) -> float:
    models, truth = [e.model for e in examples], [e.refusal for e in examples]
    groups = by_group(found, truth, models)
    second = by_group(found[1::2], truth[1::2], models[1::2])  # files have even numbers of rows
    groups["all"] = Agreement.of(found, truth)
    second["all"] = Agreement.of(found[1::2], truth[1::2])
    print(title)
    for name, a in groups.items():
        b = second[name]
        print(
            f"    {name:16} n {a.n:4}  kappa {a.kappa:.3f}  recall {a.sensitivity:.3f}  precision "
            f"{a.precision:.3f}  bias {100 * a.bias:+.1f} points; second: kappa {b.kappa:.3f}, bias "
            f"{100 * b.bias:+.1f}"
        )
    return groups["all"].kappa


if __name__ == "__main__":
    main()
