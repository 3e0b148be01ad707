"""A session of an evaluation, to be killed: it writes down what it asks before it is answered."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from small_benchmark import PICKS, WORDS, WORDS_BENCHMARK, Letters, tiny

from awry.evaluation.items import Ask, Loaded, Options
from awry.evaluation.run import evaluate
from awry.generation.engine import Completion, Request, Sampling
from awry.progress import Silent

NUMBER = 40  # items, each asked twice


def many(options: Options) -> Loaded:
    items = tuple(
        Ask(
            f"{WORDS[i % 8]}/{i}",
            ({"role": "user", "content": f"{WORDS[i % 8]} " * (1 + i % 5) + str(i)},),
            facts={"kind": "even"},
        )
        for i in range(NUMBER)
    )
    return Loaded(items, {"kind": "test"})


MANY = replace(WORDS_BENCHMARK, load=many, sampling=Sampling(24, 1.0))


class Journal:
    """An engine that writes the seeds it is asked for to a file, for good, before it answers."""

    def __init__(self, engine: Any, file: Path) -> None:
        self.engine, self.file = engine, file

    def sample(
        self, requests: Sequence[Request], sampling: Sampling, **options: Any
    ) -> list[list[Completion]]:
        with self.file.open("a") as stream:
            stream.writelines(f"{seed}\n" for r in requests for seed in r.seeds)
            stream.flush()
            os.fsync(stream.fileno())
        return self.engine.sample(requests, sampling, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)


def session(out: Path, journal: Path, ready: Any) -> None:
    import torch

    torch.set_num_threads(1)
    respondent = tiny()
    respondent.engine = Journal(respondent.engine, journal)  # pyright: ignore
    ready.set()
    evaluate(
        respondent,
        [(MANY, Options()), (PICKS, Options())],
        out,
        find_scorers=lambda benchmark: [Letters("a"), Letters("b")],
        progress=Silent(),
        batch=4,
    )
