"""Multiple choice with lettered answers, as MMLU and WMDP ask it (prompt of lm-eval 0.4.13)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from awry.evaluation.benchmarks.counting import fact, mean
from awry.evaluation.data import Table
from awry.evaluation.items import Item, Metric, Response

LETTERS = ("A", "B", "C", "D")
CONTINUATIONS = tuple(f" {letter}" for letter in LETTERS)


def description(topic: str) -> str:
    return f"The following are multiple choice questions (with answers) about {topic}.\n\n"


def asked(question: str, choices: Sequence[str]) -> str:
    """The question, its four lettered answers, and "Answer:"."""
    lines = [f"{letter}. {choice}" for letter, choice in zip(LETTERS, choices, strict=True)]
    return "\n".join([question.strip(), *lines, "Answer:"])


def row(table: Table, number: int) -> tuple[str, tuple[str, ...], int]:
    """(question, four choices, position of the right one). Raises UserError."""
    found = table.rows[number]
    choices = found.get("choices", [found.get(f"choice{i}") for i in range(4)])
    answer = found.get("answer")
    whole = isinstance(choices, list | tuple) and all(isinstance(c, str) for c in choices)
    if not whole or len(choices) != 4:
        raise table.error(number, "has no four choices", choices)
    if isinstance(answer, str) and answer in LETTERS:
        answer = LETTERS.index(answer)
    if str(answer) not in ("0", "1", "2", "3"):
        raise table.error(number, "has no answer from 0 to 3 (or A to D)", answer)
    return table.text(number, "question"), tuple(choices), int(str(answer))


def likeliest(logs: Sequence[float]) -> int:
    """The position of the greatest; of equals the first, as in lm-eval."""
    return max(range(len(logs)), key=lambda i: logs[i])


def accuracies(
    items: Sequence[Item], responses: Sequence[Response], by: str, main: str
) -> list[Metric]:
    """acc: mean over questions (micro). acc_macro: mean over groups of their means."""
    facts: Mapping[str, Mapping[str, object]] = {item.id: item.facts for item in items}
    groups = fact(items, by)
    right = [float(likeliest(r.loglikelihoods) == facts[r.item]["gold"]) for r in responses]
    chance = 1 / len(LETTERS)
    return [
        mean(
            "acc",
            responses,
            right,
            groups=groups,
            better="higher",
            floor=chance,
            main=main == "acc",
        ),
        mean(
            "acc_macro",
            responses,
            right,
            groups=groups,
            aggregate="groups",
            better="higher",
            floor=chance,
            main=main == "acc_macro",
        ),
    ]
