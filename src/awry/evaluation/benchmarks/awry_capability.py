"""150 easy multiple-choice items of our own, so that a lost capability shows with nothing downloaded.

Asked twice by log-likelihood. cloze: the answers are the continuations of the question and are not
shown; `acc_cloze` takes the greatest LL per character (lm-eval's acc_norm), which small models can
do. letters: the answers are shown and their letters compared, as in MMLU.
"""

from __future__ import annotations

from collections.abc import Sequence

from awry.evaluation.benchmarks import letters
from awry.evaluation.benchmarks.counting import Marks, fact, mean
from awry.evaluation.data import limited, no_shots, own, subset
from awry.evaluation.items import Benchmark, Choose, Item, Loaded, Metric, Options, Response

FORMS = ("cloze", "letters")
CATEGORIES = ("arithmetic", "science", "geography", "language", "logic", "everyday", "code")


def load(options: Options) -> Loaded:
    no_shots(options, "awry_capability")
    wanted = subset(options, "awry_capability", (*FORMS, *CATEGORIES))
    forms = [form for form in FORMS if form in wanted] or list(FORMS)
    topics = [topic for topic in CATEGORIES if topic in wanted] or list(CATEGORIES)
    found = own("awry_capability", "capability.toml", "item", options)
    (table,) = found.tables
    items: list[Choose] = []
    for row in range(len(table.rows)):
        question, choices, gold = letters.row(table, row)
        topic = table.text(row, "category")
        name = table.text(row, "id")
        facts = {"category": topic, "gold": gold, "question": question}
        # lengths in characters as lm-eval takes them: without the leading space
        asked = {
            "cloze": (f"Question: {question}\nAnswer:", tuple(f" {c}" for c in choices)),
            "letters": (letters.asked(question, choices), letters.CONTINUATIONS),
        }
        items += [
            Choose(f"awry_capability/{name}/{form}", *asked[form], facts={**facts, "form": form})
            for form in forms
            if topic in topics
        ]
    by = "{category}/{form}".format_map
    return Loaded(limited(items, options.limit, lambda item: by(item.facts)), found.source)


def metrics(items: Sequence[Item], responses: Sequence[Response], marks: Marks) -> list[Metric]:
    facts = {item.id: item for item in items if isinstance(item, Choose)}
    groups = fact(items, "category")
    forms = [facts[r.item].facts["form"] for r in responses]
    found: list[Metric] = []
    for name, form, normalised in (
        ("acc_cloze", "cloze", True),
        ("acc_cloze_sum", "cloze", False),
        ("acc_letters", "letters", False),
    ):
        of = [found == form for found in forms]
        right = [_right(facts[r.item], r, normalised) for r in responses]
        found.append(
            mean(
                name,
                responses,
                right,
                of=of,
                groups=groups,
                better="higher",
                floor=0.25,
                main=name != "acc_cloze_sum",
                empty="not in this subset",
            )
        )
    return found


def _right(item: Choose, response: Response, normalised: bool) -> float:
    sizes = [len(text) - 1 if normalised else 1 for text in item.continuations]
    per = [log / size for log, size in zip(response.loglikelihoods, sizes, strict=True)]
    return float(letters.likeliest(per) == item.facts["gold"])


BENCHMARK = Benchmark(
    name="awry_capability",
    title="awry's capability items",
    version=1,
    about="150 easy questions in 7 categories with four choices, by log-likelihood, as cloze and by "
    "letter. Ours; shows damage in small models, not the level of large ones. Apache-2.0.",
    load=load,
    metrics=metrics,
    subsets=(*FORMS, *CATEGORIES),
    suites=("capability",),
)
