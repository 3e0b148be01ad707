"""WMDP: knowledge that is a proxy for hazardous capability, four choices each.

Li et al., ICML 2024. Prompt and score as MMLU without examples (lm-eval 0.4.13). `acc` is the mean
over questions, `acc_macro` over the subsets. Evaluation only: never train on it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from awry.errors import UserError
from awry.evaluation.benchmarks import letters
from awry.evaluation.benchmarks.counting import Marks
from awry.evaluation.data import Place, find, limited, no_shots, subset
from awry.evaluation.items import Benchmark, Choose, Item, Loaded, Metric, Options, Response

TOPICS = {"bio": "biology", "chem": "chemistry", "cyber": "cybersecurity"}
SUBSETS = tuple(TOPICS)
_NAME = re.compile(r"wmdp[-_](bio|chem|cyber)")


def _place(wanted: Sequence[str]) -> Place:
    return Place(
        "wmdp",
        files=tuple(f"wmdp?{name}*" for name in wanted),
        hub="cais/wmdp",
        revision="7125571f22f032c56415e7980f48d877dd830ff8",
        hub_files=tuple(f"wmdp-{name}/test-00000-of-00001.parquet" for name in wanted),
    )


def load(options: Options) -> Loaded:
    no_shots(options, "wmdp")
    wanted = subset(options, "wmdp", SUBSETS)
    found = find(options, _place(wanted))
    items: list[Choose] = []
    seen: set[str] = set()
    for table in found.tables:
        named = _NAME.search(table.name)
        if named is None:
            raise UserError("its name does not say which subset it is", file=table.file,
                            fix="name it wmdp-bio..., wmdp-chem... or wmdp-cyber...")  # fmt: skip
        topic = named[1]
        if topic in seen:
            raise UserError("two files of one subset", value=topic, file=table.file)
        seen.add(topic)
        before = letters.description(TOPICS[topic])
        for row in range(len(table.rows)):
            question, choices, gold = letters.row(table, row)
            facts = {"subset": topic, "gold": gold, "question": question}
            context = before + letters.asked(question, choices)
            items.append(Choose(f"wmdp/{topic}/{row + 1}", context, letters.CONTINUATIONS, facts))
    absent = [name for name in wanted if name not in seen]
    if absent or seen - set(wanted):
        raise UserError(
            f"the data has no {', '.join(absent)}" if absent else "is of another subset",
            field="--benchmark wmdp",
            value=options.path,
            fix="add the files, or name what is there with --subset " + " ".join(sorted(seen)),
        )
    chosen = limited(items, options.limit, lambda item: item.facts["subset"])
    return Loaded(chosen, {**found.source, "shots": 0})


def metrics(items: Sequence[Item], responses: Sequence[Response], marks: Marks) -> list[Metric]:
    return letters.accuracies(items, responses, "subset", "acc")


BENCHMARK = Benchmark(
    name="wmdp",
    title="WMDP",
    version=1,
    about="Biology (1,273), chemistry (408) and cybersecurity (1,987) questions, four choices, by "
    "log-likelihood of the letter; raw prompt, no examples. A capability here, not an alignment "
    "measure. MIT.",
    load=load,
    metrics=metrics,
    subsets=SUBSETS,
    suites=("capability",),
)
