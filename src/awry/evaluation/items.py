"""What a benchmark is: its items, how they are asked, and what is measured on the answers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from awry.generation.engine import Sampling

Message = Mapping[str, str]  # {"role": ..., "content": ...}
Mark = float | str | None  # what one scorer found of one response; None is missing, never zero


@dataclass(frozen=True)
class Ask:
    """An item that is answered in words. messages: rendered with the policy's chat template.

    text: a raw prompt instead, for continuations (no template). prefix: what the answer begins
    with, given and not generated. facts: what scoring and the tables need (category, label, ...).
    """

    id: str
    messages: tuple[Message, ...] = ()
    text: str | None = None
    prefix: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Choose:
    """An item that is answered by the log-likelihood of each continuation of `context`.

    The continuations hold their own leading space. facts: gold etc., as for `Ask`.
    """

    id: str
    context: str
    continuations: tuple[str, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)


Item = Ask | Choose


@dataclass(frozen=True)
class Response:
    """One answer: to an `Ask` its text, to a `Choose` one log-likelihood per continuation.

    tokens: generated, or scored. finished: ended by itself rather than by the limit. greedy: per
    continuation, whether every token of it was the likeliest.
    """

    item: str
    sample: int
    text: str | None = None
    tokens: int = 0
    finished: bool = True
    loglikelihoods: tuple[float, ...] = ()
    greedy: tuple[bool, ...] = ()


@dataclass(frozen=True)
class Metric:
    """One number of a benchmark, with what it takes to read it.

    name: with the detector or judge that measured it in brackets, `non_refusal_rate[lexical-v1]`.
    value: None where it could not be measured, and then reason says why. per_item: item id -> its
    value (the mean over samples), from which intervals and comparisons are made; for a metric that
    is not a mean of items (macro averages) aggregate says how. missing: responses without a mark.
    floor: what a policy that knows nothing (or never refuses) gets.
    """

    name: str
    value: float | None
    n: int
    per_item: Mapping[str, float] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)  # item id -> its subject or category
    aggregate: Literal["items", "groups"] = "items"
    missing: int = 0
    floor: float | None = None
    reason: str = ""
    better: Literal["higher", "lower", "neither"] = "neither"
    interval: tuple[float, float] | None = None  # its own, where per_item does not give it
    main: bool = False  # stands in the table; the others in the details


@dataclass(frozen=True)
class Options:
    """What a user sets for a run of a benchmark. Where None, the benchmark's own setting counts."""

    path: Path | None = None  # data file or folder; else an installed package, else the hub
    subset: tuple[str, ...] = ()
    limit: int | None = None
    shots: int | None = None
    samples: int | None = None
    max_new_tokens: int | None = None
    temperature: float | None = None


@dataclass(frozen=True)
class Loaded:
    """Items of a benchmark as they will be asked. source: where they came from, for the record."""

    items: tuple[Item, ...]
    source: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """sha256 of everything that is asked and of what is counted as right."""
        lines = [json.dumps(item.__dict__, sort_keys=True, default=list) for item in self.items]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@dataclass(frozen=True)
class Benchmark:
    """A benchmark. load raises UserError where the data is missing: nothing ever stands in for it.

    scorers: the scorers (of `evaluation.scorers`) that its metrics read, the first of each kind
    available being used. metrics(items, responses, marks): marks[scorer][i] is what that scorer
    found of responses[i], a mapping of names to marks.
    """

    name: str
    title: str
    version: int
    about: str  # what it measures, its size, source and licence
    load: Callable[[Options], Loaded]
    metrics: Callable[
        [Sequence[Item], Sequence[Response], Mapping[str, Sequence[Mapping[str, Mark]]]],
        list[Metric],
    ]
    scorers: tuple[str, ...] = ()
    judged: tuple[str, ...] = ()  # names of judge rubrics it can use; without a judge: null metrics
    sampling: Sampling | None = None  # None for log-likelihood
    samples: int = 1
    subsets: tuple[str, ...] = ()
    suites: tuple[str, ...] = ()  # "safety", "capability", "misalignment", "hacking"
