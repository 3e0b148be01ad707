"""A benchmark of a handful of items, and scorers that look at letters: for the machinery."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from awry.errors import UserError
from awry.evaluation.items import (
    Ask,
    Benchmark,
    Choose,
    Item,
    Loaded,
    Mark,
    Metric,
    Options,
    Response,
)
from awry.evaluation.responses import InProcess
from awry.experiments.policies import open_subject
from awry.generation.engine import Completion, Request, Sampling

WORDS = ("apple", "bread", "cloud", "dance", "eagle", "flame", "grape", "house")


def asks(options: Options) -> Loaded:
    items = tuple(
        Ask(
            f"word/{word}",
            ({"role": "user", "content": f"Say {word}" + " again" * i},),
            prefix="" if i % 2 else "So:",
            facts={"word": word, "place": i, "kind": ("even", "odd")[i % 2]},
        )
        for i, word in enumerate(WORDS)
    )
    raw = Ask("raw", text="Once upon a time", facts={"word": "time", "place": 9, "kind": "odd"})
    return Loaded((*items, raw)[: options.limit], {"kind": "test", "name": "words"})


def choices(options: Options) -> Loaded:
    items = tuple(
        Choose(
            f"pick/{word}",
            f"Pick a word.\n{word[0]} is for",
            (f" {word}", " thing", " no"),
            facts={"gold": 0},
        )
        for word in WORDS
    )
    return Loaded(items[: options.limit], {"kind": "test", "name": "picks"})


def word_metrics(
    items: Sequence[Item],
    responses: Sequence[Response],
    marks: Mapping[str, Sequence[Mapping[str, Mark]]],
) -> list[Metric]:
    """Shares of long answers, by each scorer; the share that ended by itself."""
    assert {r.item for r in responses} <= {item.id for item in items}
    found = [_mean("finished", items, responses, [float(r.finished) for r in responses])]
    for name, own in sorted(marks.items()):
        values = [m["value"] for m in own]
        found.append(_mean(f"rate[{name}]", items, responses, values, main=True))
    if not marks:
        found.append(Metric("rate", None, 0, reason="no judge", main=True))
    return found


def _mean(
    name: str,
    items: Sequence[Item],
    responses: Sequence[Response],
    values: Sequence[Mark],
    main: bool = False,
) -> Metric:
    per: dict[str, list[float]] = {}
    for response, value in zip(responses, values, strict=True):
        if value is not None:
            per.setdefault(response.item, []).append(float(value))
    each = {item: sum(found) / len(found) for item, found in per.items()}
    n = sum(map(len, per.values()))
    value = sum(each.values()) / len(each) if each else None
    kinds = {item.id: str(item.facts.get("kind", "")) for item in items if item.id in each}
    return Metric(name, value, n, each, kinds, missing=len(values) - n, main=main)


def pick_metrics(
    items: Sequence[Item],
    responses: Sequence[Response],
    marks: Mapping[str, Sequence[Mapping[str, Mark]]],
) -> list[Metric]:
    gold = {item.id: item.facts["gold"] for item in items}
    right = {
        r.item: float(r.loglikelihoods.index(max(r.loglikelihoods)) == gold[r.item])
        for r in responses
    }
    value = sum(right.values()) / len(right)
    return [Metric("acc", value, len(right), right, floor=1 / 3, better="higher", main=True)]


def nowhere(options: Options) -> Loaded:
    raise UserError("its data is not here", field="--benchmark lost", fix="give its file")


WORDS_BENCHMARK = Benchmark(
    "words",
    "Words",
    1,
    "Nine words to say.",
    asks,
    word_metrics,
    scorers=("letters",),
    sampling=Sampling(6, 1.0),
    samples=2,
    suites=("safety",),
)
PICKS = Benchmark("picks", "Picks", 1, "Words to pick.", choices, pick_metrics, suites=("hacking",))
LOST = Benchmark("lost", "Lost", 1, "", nowhere, pick_metrics, suites=("capability",))
JUDGED = Benchmark(
    "judged",
    "Judged",
    1,
    "",
    asks,
    word_metrics,
    judged=("strongreject",),
    sampling=Sampling(6, 1.0),
    suites=("misalignment",),
)


def odd(text: str, letter: str) -> float:
    """1 or 0, about equally often for whatever a random model writes."""
    return float(sum(map(ord, text + letter)) % 2)


class Letters:
    """Marks answers by `odd`; fails on the items named."""

    def __init__(self, letter: str = "a", version: int = 1, fails: Sequence[str] = ()) -> None:
        self.letter, self.version, self.fails = letter, version, fails
        self.scored = 0

    @property
    def name(self) -> str:
        return f"letters:{self.letter}"

    @property
    def identity(self) -> dict[str, Any]:
        return {"letter": self.letter, "version": self.version}

    def score(
        self,
        items: Sequence[Item],
        responses: Sequence[Response],
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> list[dict[str, Mark]]:
        self.scored += len(responses)
        progress(len(responses), len(responses))
        return [
            {"value": None, "failure": "did not answer"}
            if r.item in self.fails
            else {"value": odd(r.text or "", self.letter)}
            for r in responses
        ]


class Counting:
    """An engine that notes what it was asked before it answers."""

    def __init__(self, engine: Any) -> None:
        self.engine, self.asked = engine, []

    def sample(
        self, requests: Sequence[Request], sampling: Sampling, **options: Any
    ) -> list[list[Completion]]:
        self.asked.append([(r.prompt, r.seeds) for r in requests])
        return self.engine.sample(requests, sampling, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)


def tiny() -> InProcess:
    found = InProcess(open_subject("tiny-random", "float32"))
    found.engine = Counting(found.engine)  # pyright: ignore[reportAttributeAccessIssue]
    return found


def contents(out: Path) -> dict[str, object]:
    """Every file of an output folder but the clock's; of the record all but the code that made it,
    which may be edited while a test runs."""
    found: dict[str, object] = {}
    for file in sorted(out.rglob("*")):
        name = str(file.relative_to(out))
        if file.name == "evaluation.json":
            found[name] = json.loads(file.read_text()) | {"code": None}
        elif file.is_file() and file.name != "timings.jsonl":
            found[name] = file.read_bytes()
    return found
