"""MMLU: 57 subjects of school and professional knowledge, four choices each.

Hendrycks et al., ICLR 2021. Right where the letter of the answer has the greatest log-likelihood.
`acc` is the mean over questions (micro, as lm-eval), `acc_macro` the mean over subjects: they
differ because subjects have 100 to 1,534 questions. Shots: the first k of the dev file.
"""

from __future__ import annotations

from collections.abc import Sequence

from awry.errors import UserError
from awry.evaluation.benchmarks import letters
from awry.evaluation.benchmarks.counting import Marks
from awry.evaluation.data import Place, Table, find, limited, subset
from awry.evaluation.items import Benchmark, Choose, Item, Loaded, Metric, Options, Response

SHOTS = 0  # as lm-eval without --num_fewshot; Hendrycks et al. use 5
MOST_SHOTS = 5
CATEGORIES: dict[str, tuple[str, ...]] = {
    "stem": (
        *("abstract_algebra", "anatomy", "astronomy", "college_biology", "college_chemistry"),
        *("college_computer_science", "college_mathematics", "college_physics"),
        *("computer_security", "conceptual_physics", "electrical_engineering"),
        *("elementary_mathematics", "high_school_biology", "high_school_chemistry"),
        *("high_school_computer_science", "high_school_mathematics", "high_school_physics"),
        *("high_school_statistics", "machine_learning"),
    ),
    "humanities": (
        *("formal_logic", "high_school_european_history", "high_school_us_history"),
        *("high_school_world_history", "international_law", "jurisprudence", "logical_fallacies"),
        *("moral_disputes", "moral_scenarios", "philosophy", "prehistory", "professional_law"),
        "world_religions",
    ),
    "social_sciences": (
        *("econometrics", "high_school_geography", "high_school_government_and_politics"),
        *("high_school_macroeconomics", "high_school_microeconomics", "high_school_psychology"),
        *("human_sexuality", "professional_psychology", "public_relations", "security_studies"),
        *("sociology", "us_foreign_policy"),
    ),
    "other": (
        *("business_ethics", "clinical_knowledge", "college_medicine", "global_facts"),
        *("human_aging", "management", "marketing", "medical_genetics", "miscellaneous"),
        *("nutrition", "professional_accounting", "professional_medicine", "virology"),
    ),
}
SUBJECTS = tuple(sorted(subject for part in CATEGORIES.values() for subject in part))
PLACE = Place(
    "mmlu",
    files=("*_test.csv", "*_dev.csv", "test-*.parquet", "dev-*.parquet"),
    hub="cais/mmlu",
    revision="c30699e8356da336a370243923dbaf21066bb9fe",
    hub_files=("all/test-00000-of-00001.parquet", "all/dev-00000-of-00001.parquet"),
)


def load(options: Options) -> Loaded:
    """Questions of the wanted subjects, in the order of subjects and files."""
    shots = SHOTS if options.shots is None else options.shots
    if not 0 <= shots <= MOST_SHOTS:
        raise UserError(f"must be from 0 to {MOST_SHOTS}", field="--shots", value=shots)
    wanted = _wanted(options)
    found = find(options, PLACE)
    tests, examples = _sorted(found.tables, "test"), _sorted(found.tables, "dev")
    _complete(tests, wanted, "test", options)
    if shots:
        _complete(examples, wanted, "dev", options)
    items: list[Choose] = []
    for subject in wanted:
        given = [_solved(t, n) for t, n in examples.get(subject, [])[:shots]]
        if len(given) < shots:
            raise UserError(
                f"has fewer than {shots} examples", field="--shots", value=f"{subject} (dev)"
            )
        before = "".join(f"{example}\n\n" for example in given)
        topic = letters.description(subject.replace("_", " "))
        for number, (table, row) in enumerate(tests[subject], 1):
            question, choices, gold = letters.row(table, row)
            context = topic + before + letters.asked(question, choices)
            facts = {"subject": subject, "gold": gold, "question": question}
            items.append(Choose(f"mmlu/{subject}/{number}", context, letters.CONTINUATIONS, facts))
    chosen = limited(items, options.limit, lambda item: item.facts["subject"])
    return Loaded(chosen, {**found.source, "shots": shots})


def _wanted(options: Options) -> tuple[str, ...]:
    """Subjects; a category stands for its own."""
    named = subset(options, "mmlu", (*CATEGORIES, *SUBJECTS)) if options.subset else SUBJECTS
    single = {s for name in named for s in CATEGORIES.get(name, (name,))}
    return tuple(s for s in SUBJECTS if s in single)


def _sorted(tables: Sequence[Table], part: str) -> dict[str, list[tuple[Table, int]]]:
    """Subject -> its rows, of the test or of the dev files."""
    found: dict[str, list[tuple[Table, int]]] = {}
    for table in tables:
        stem = table.name.rpartition("/")[2].partition(".")[0]
        if not (stem.endswith(f"_{part}") or stem.startswith(f"{part}-")):
            continue
        of_file = stem.removesuffix(f"_{part}")
        for number, row in enumerate(table.rows):
            found.setdefault(str(row.get("subject", of_file)), []).append((table, number))
    return found


def _complete(
    rows: dict[str, list[tuple[Table, int]]], wanted: Sequence[str], part: str, options: Options
) -> None:
    """Some subjects alone are another benchmark: they have to be named."""
    absent = [subject for subject in wanted if subject not in rows]
    if absent:
        raise UserError(
            f"{len(absent)} of {len(wanted)} subjects have no {part} file here",
            field="--benchmark mmlu",
            value=", ".join(absent),
            file=options.path,
            fix="add them, or name those that are there with --subset",
        )


def _solved(table: Table, number: int) -> str:
    question, choices, gold = letters.row(table, number)
    return letters.asked(question, choices) + letters.CONTINUATIONS[gold]


def metrics(items: Sequence[Item], responses: Sequence[Response], marks: Marks) -> list[Metric]:
    return letters.accuracies(items, responses, "subject", "acc")


BENCHMARK = Benchmark(
    name="mmlu",
    title="MMLU",
    version=1,
    about="14,042 questions of 57 subjects, four choices, by log-likelihood of the letter; raw "
    "prompt, 0 examples unless --shots 5. Measures knowledge. MIT.",
    load=load,
    metrics=metrics,
    subsets=(*CATEGORIES, *SUBJECTS),
    suites=("capability",),
)
