"""Who answers: a policy in memory, or a model behind an endpoint.

Both give the answers to a batch of items, and say what an answer depends on. An answer has its own
seed, made of benchmark, item, number and the evaluation's seed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from awry.errors import UserError
from awry.evaluation.items import Ask, Choose, Item, Response
from awry.generation import likelihood
from awry.generation.endpoint import Chat, ChatReply, Endpoint, RequestFailed
from awry.generation.engine import Completion, Request, Sampling, derive
from awry.generation.subject import Subject
from awry.models import EMBEDDED, EMBEDDED_FOLDER, Policy

BATCH = 256  # answers made and saved together: what a kill can lose; a minute or two on two cores
BATCH_GPU = 2048
ENDPOINT = "openai:"

Count = Callable[[int, int], None]  # answers done of those asked for, tokens


@dataclass(frozen=True)
class Questions:
    """What every item is asked with. sampling: None for log-likelihoods."""

    benchmark: str
    sampling: Sampling | None
    samples: int
    seed: int

    def seed_of(self, item: str, sample: int) -> int:
        return derive("evaluation", self.benchmark, item, sample, self.seed)


class Respondent(Protocol):
    """Whoever is evaluated."""

    name: str
    batch_depends: bool  # whether an answer's rounding depends on what else is in its batch
    batch: int  # answers asked for together, unless the user says otherwise

    @property
    def subject(self) -> dict[str, Any]:
        """Who it is, for the record."""
        ...

    @property
    def conditions(self) -> dict[str, Any]:
        """template, tokenizer, dtype, quantisation, engine."""
        ...

    @property
    def device(self) -> str: ...

    def batches(
        self, items: Sequence[Item], questions: Questions, size: int
    ) -> tuple[list[list[Item]], list[dict[str, str]]]:
        """All items in the order and batches in which they are asked, and those that cannot be."""
        ...

    def answer(
        self,
        wanted: Sequence[tuple[Item, tuple[int, ...]]],
        questions: Questions,
        count: Count,
    ) -> list[Response]:
        """Answers to items with the numbers of the samples wanted; fewer where requests failed."""
        ...


# ---- a policy in memory --------------------------------------------------------------------------
class InProcess:
    """A policy that is loaded here."""

    batch_depends = True

    def __init__(self, subject: Subject) -> None:
        # one name however a path is written: `run/` and `./run` are `run`
        self.name = os.path.normpath(subject.name)
        self._subject = subject
        self.policy, self.engine = subject.policy, subject.engine
        self.batch = BATCH if self.device == "cpu" else BATCH_GPU
        self._prompts: dict[str, tuple[int, ...]] = {}

    @property
    def subject(self) -> dict[str, Any]:
        own, origin = self._subject, self._subject.origin
        slug = slugged(self.name)
        if origin is not None:
            slug = slugged(f"{origin.experiment}-{origin.arm}-seed{origin.seed}-step{origin.step}")
        return {
            "name": self.name,
            "slug": slug,
            "kind": own.kind,
            "weights": self.policy.digests.weights,
            "adapter": own.adapter,
            "experiment": origin.experiment if origin else None,
            "arm": origin.arm if origin else None,
            "seed": origin.seed if origin else None,
            "step": origin.step if origin else None,
            "run": origin.run if origin else None,
        }

    @property
    def conditions(self) -> dict[str, Any]:
        return {
            "template": self.policy.digests.chat_template,
            "tokenizer": self.policy.digests.tokenizer,
            "dtype": str(self.policy.dtype).removeprefix("torch."),
            "quantisation": quantisation(self.policy),
            "engine": "awry",
        }

    @property
    def device(self) -> str:
        return self.policy.model.device.type

    def batches(
        self, items: Sequence[Item], questions: Questions, size: int
    ) -> tuple[list[list[Item]], list[dict[str, str]]]:
        """Asks from the longest prompt to the shortest, so that the time left is not understated;
        choices by their contexts, so that those that begin alike are computed together.
        """
        asks = [item for item in items if isinstance(item, Ask)]
        choices = [item for item in items if isinstance(item, Choose)]
        self._prompts = {item.id: self._prompt(item) for item in asks}
        asks, left_out = self._fitting(asks, questions)
        asks.sort(key=lambda item: (-len(self._prompts[item.id]), item.id))
        choices.sort(key=lambda item: (item.context, item.id))
        return [
            *cut(asks, max(1, size // questions.samples)),
            *cut(choices, size),
        ], left_out

    def _prompt(self, item: Ask) -> tuple[int, ...]:
        if item.text is not None:  # no template has written special tokens into it
            return tuple(self.policy.tokenizer.encode(item.text + item.prefix))
        messages = [dict(message) for message in item.messages]
        return tuple(self.policy.encode(self.policy.render(messages) + item.prefix))

    def _fitting(
        self, asks: list[Ask], questions: Questions
    ) -> tuple[list[Ask], list[dict[str, str]]]:
        window = getattr(self.policy.model.config, "max_position_embeddings", None)
        if window is None or questions.sampling is None:
            return asks, []
        room = window - questions.sampling.max_new_tokens
        left_out = [
            {
                "id": item.id,
                "reason": f"its prompt ({len(self._prompts[item.id])} tokens) and the answer exceed "
                f"{window} tokens",
            }
            for item in asks
            if len(self._prompts[item.id]) > room
        ]
        gone = {row["id"] for row in left_out}
        return [item for item in asks if item.id not in gone], left_out

    def answer(
        self,
        wanted: Sequence[tuple[Item, tuple[int, ...]]],
        questions: Questions,
        count: Count,
    ) -> list[Response]:
        asks = [(item, numbers) for item, numbers in wanted if isinstance(item, Ask)]
        choices = [item for item, _ in wanted if isinstance(item, Choose)]
        return [*self._sample(asks, questions, count), *self._weigh(choices, count)]

    def _sample(
        self, asks: Sequence[tuple[Ask, tuple[int, ...]]], questions: Questions, count: Count
    ) -> list[Response]:
        if not asks:
            return []
        assert questions.sampling is not None
        requests = [
            Request(self._prompts[item.id], tuple(questions.seed_of(item.id, i) for i in numbers))
            for item, numbers in asks
        ]
        answered = tokens = 0

        def done(_: int, completions: list[Completion]) -> None:
            nonlocal answered, tokens
            answered += len(completions)
            tokens += sum(len(c.ids) for c in completions)
            count(answered, tokens)

        groups = self.engine.sample(requests, questions.sampling, done=done)
        return [
            Response(item.id, i, clean(self.policy.decode(list(c.ids))), len(c.ids), c.finished)
            for (item, numbers), group in zip(asks, groups, strict=True)
            for i, c in zip(numbers, group, strict=True)
        ]

    def _weigh(self, choices: Sequence[Choose], count: Count) -> list[Response]:
        if not choices:
            return []
        answered = tokens = 0

        def done(_: int, scored: list[likelihood.Likelihood]) -> None:
            nonlocal answered, tokens
            answered += 1
            tokens += sum(each.tokens for each in scored)
            count(answered, tokens)

        pairs = [(item.context, item.continuations) for item in choices]
        found = likelihood.score(self.policy, self.engine, pairs, done=done)
        return [
            Response(
                item.id,
                0,
                tokens=sum(each.tokens for each in scored),
                loglikelihoods=tuple(each.total for each in scored),
                greedy=tuple(each.greedy for each in scored),
            )
            for item, scored in zip(choices, found, strict=True)
        ]


def quantisation(policy: Policy) -> str:
    """What the weights went through before they were loaded at `dtype`."""
    if policy.name == EMBEDDED or Path(policy.name).name == EMBEDDED_FOLDER:
        return "gguf-q4_1->float32"
    config = getattr(policy.model.config, "quantization_config", None)
    if config is None:
        return "none"
    found = config if isinstance(config, Mapping) else vars(config)
    return str(getattr(found.get("quant_method"), "value", found.get("quant_method", "unknown")))


# ---- a model behind an endpoint ------------------------------------------------------------------
class Served:
    """A model that an OpenAI-compatible server answers for."""

    batch_depends = False

    def __init__(self, name: str, endpoint: Endpoint) -> None:
        self.name, self.endpoint = name, endpoint
        self.batch = 4 * endpoint.concurrency
        self.failures: list[str] = []  # why requests of the last batch failed

    @property
    def subject(self) -> dict[str, Any]:
        nothing = ("weights", "adapter", "experiment", "arm", "seed", "step", "run")
        return {
            "name": self.name,
            "slug": slugged(f"{self.endpoint.model}-at-{self.endpoint.host}"),
            "kind": "endpoint",
            **dict.fromkeys(nothing),
        }

    @property
    def conditions(self) -> dict[str, Any]:
        # what a server does with a chat before the model sees it cannot be known from here
        unknown = ("template", "tokenizer", "dtype", "quantisation")
        return {**dict.fromkeys(unknown), "engine": "endpoint"}

    @property
    def device(self) -> str:
        return "endpoint"

    def batches(
        self, items: Sequence[Item], questions: Questions, size: int
    ) -> tuple[list[list[Item]], list[dict[str, str]]]:
        if any(isinstance(item, Choose) for item in items):
            raise UserError(
                "this benchmark needs the log-likelihood of given texts, which an endpoint does not "
                "tell",
                field="--benchmark",
                value=questions.benchmark,
                fix="evaluate the model from its files, or leave the benchmark out with --skip",
            )
        return cut(list(items), max(1, size // questions.samples)), []

    def answer(
        self,
        wanted: Sequence[tuple[Item, tuple[int, ...]]],
        questions: Questions,
        count: Count,
    ) -> list[Response]:
        assert questions.sampling is not None
        asked = [(item, i) for item, numbers in wanted for i in numbers]
        chats = [self._chat(item, i, questions) for item, i in asked]
        answered = tokens = 0

        def done(_: int, what: list[ChatReply] | RequestFailed) -> None:
            nonlocal answered, tokens
            if not isinstance(what, RequestFailed):
                answered += 1
                tokens += what[0].tokens or 0
                count(answered, tokens)

        replies = self.endpoint.chat_all(chats, done=done)
        self.failures = [str(r) for r in replies if isinstance(r, RequestFailed)]
        return [
            Response(item.id, i, clean(found[0].text), found[0].tokens or 0, found[0].finished)
            for (item, i), found in zip(asked, replies, strict=True)
            if not isinstance(found, RequestFailed)
        ]

    def _chat(self, item: Item, sample: int, questions: Questions) -> Chat:
        assert isinstance(item, Ask)
        assert questions.sampling is not None
        raw = item.text is not None
        return Chat(
            item.text if item.text is not None else [dict(m) for m in item.messages],
            questions.sampling,
            seed=questions.seed_of(item.id, sample) % 2**31,  # what most servers take
            prefix=item.prefix,
            raw=raw,
        )


def open_endpoint(name: str, *, key_env: str | None, concurrency: int) -> Served:
    """`openai:MODEL@BASE_URL`. Raises UserError for another spelling."""
    found = re.fullmatch(r"openai:(.+)@(https?://.+)", name)
    if found is None:
        raise UserError(
            "this is not an endpoint",
            field="PATH",
            value=name,
            fix="write openai:MODEL@BASE_URL, for example openai:my-model@http://127.0.0.1:8000/v1",
        )
    model, url = found.groups()
    return Served(name, Endpoint(url, model, api_key_env=key_env, concurrency=concurrency))


# ---- shared --------------------------------------------------------------------------------------
def cut(items: list[Any], size: int) -> list[list[Any]]:
    return [items[i : i + size] for i in range(0, len(items), size)]


def slugged(name: str) -> str:
    """A folder's name for a policy: at most the last three parts of a path."""
    parts = [part for part in name.strip("/").split("/") if part not in ("", ".", "..")]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(parts[-3:])).strip("-.") or "policy"


def clean(text: str) -> str:
    """Text without halves of characters, which no file can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")
