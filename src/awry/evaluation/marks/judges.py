"""Judges: models behind an OpenAI-compatible endpoint that are asked a rubric's question.

What a judge does not say is missing, never zero: a failed request and a malformed answer give marks
of None with the reason. The judge is named by the user; the policy under test never grades itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from awry.errors import UserError
from awry.evaluation.items import Ask, Item, Mark, Response
from awry.evaluation.marks.judge_cache import JudgeCache, key
from awry.evaluation.marks.rubrics import (
    TOP,
    Malformed,
    Marks,
    Numbers,
    Rubric,
    mean_number,
    weighted_number,
)
from awry.generation.endpoint import Chat, ChatReply, Endpoint, RequestFailed
from awry.generation.engine import Sampling

SEED = 0
_SAID = 160  # characters of a malformed answer that its reason quotes
_PROBE = "Reply with exactly this number and nothing else: 85"


@dataclass(frozen=True)
class JudgeConfig:
    """Where a judge is and how it is asked.

    rubrics: folder of published texts, "own", or None (what is found, else our own). numbers: how
    scores of 0 to 100 are taken: "logprobs" of one token, or the mean of number_samples sampled
    answers for judges that write digit by digit. max_new_tokens: instead of the rubric's, for judges
    that think first. prices: dollars per million prompt and completion tokens.
    """

    base_url: str
    model: str
    key_env: str | None = None
    concurrency: int = 8
    cache: Path | None = None
    rubrics: Path | str | None = None
    numbers: Numbers = "logprobs"
    number_samples: int = 5
    max_new_tokens: int | None = None
    prices: tuple[float, float] | None = None
    retries: int = 5
    timeout: float = 300.0
    pause: float = 1.0


class Judge:
    """A judge and what it has cost. Use as a context manager, or call `close`."""

    def __init__(self, config: JudgeConfig) -> None:
        self.config = config
        self.endpoint = Endpoint(
            config.base_url,
            config.model,
            api_key_env=config.key_env,
            concurrency=config.concurrency,
            retries=config.retries,
            timeout=config.timeout,
            pause=config.pause,
        )
        self.cache = JudgeCache(config.cache) if config.cache else None
        self.cached = self.failed = self.malformed = 0
        self._whole_numbers: bool | None = None

    def __enter__(self) -> Judge:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self.endpoint.close()
        if self.cache is not None:
            self.cache.close()

    def ask(
        self, chats: Sequence[Chat], done: Callable[[int], None] = lambda i: None
    ) -> list[list[ChatReply] | RequestFailed]:
        """Replies in order; equal requests are sent once. done(index) as they come.

        Raises UserError where no request can succeed; what came before is in the cache.
        """
        places: dict[str, list[int]] = {}
        for i, chat in enumerate(chats):
            places.setdefault(self._key(chat), []).append(i)
        out: list[list[ChatReply] | RequestFailed] = [RequestFailed("not asked")] * len(chats)

        def settle(name: str, found: list[ChatReply] | RequestFailed) -> None:
            for i in places[name]:
                out[i] = found
                done(i)

        wanted: list[str] = []
        for name, own in places.items():
            kept = self.cache.get(name) if self.cache is not None else None
            if kept is None:
                wanted.append(name)
            else:
                self.cached += len(own)
                settle(name, kept)

        def arrived(i: int, found: list[ChatReply] | RequestFailed) -> None:
            if isinstance(found, RequestFailed):
                self.failed += len(places[wanted[i]])
            elif self.cache is not None:
                self.cache.put(wanted[i], found)
            settle(wanted[i], found)

        self.endpoint.chat_all([chats[places[name][0]] for name in wanted], done=arrived)
        return out

    def costs(self) -> dict[str, Any]:
        """What was asked of the endpoint in this process; dollars only where prices were given."""
        used = self.endpoint.usage
        dollars = None
        if self.config.prices:
            each = zip(
                (used.prompt_tokens, used.completion_tokens), self.config.prices, strict=True
            )
            dollars = sum(tokens * price for tokens, price in each) / 1e6
        return {
            "requests": used.requests,
            "retries": used.retries,
            "cached": self.cached,
            "failed": self.failed,
            "malformed": self.malformed,
            "prompt_tokens": used.prompt_tokens,
            "completion_tokens": used.completion_tokens,
            "dollars": dollars,
        }

    def check_numbers(self) -> None:
        """Raises UserError for a judge that writes numbers digit by digit: its first token would
        be taken for the score, 8 for 85."""
        if self._whole_numbers is None:
            (found,) = self.ask([_number_chat([{"role": "user", "content": _PROBE}])])
            first = "" if isinstance(found, RequestFailed) else _likeliest(found[0])
            self._whole_numbers = first.strip() != "8"
        if not self._whole_numbers:
            raise UserError(
                "this judge writes numbers digit by digit, so one token is not a score",
                field="judge.numbers",
                value="logprobs",
                fix="let it answer several times instead: --judge-numbers samples",
            )

    def _key(self, chat: Chat) -> str:
        return key(str(self.endpoint.base_url), self.config.model, chat)


class JudgeScorer:
    """Marks of one rubric by one judge (see `scorers.Scorer`)."""

    def __init__(self, judge: Judge, rubric: Rubric) -> None:
        self.judge, self.rubric = judge, rubric
        self.name = f"judge:{judge.config.model}:{rubric.name}"

    @property
    def identity(self) -> dict[str, Any]:
        config, rubric = self.judge.config, self.rubric
        return {
            "judge": config.model,
            "host": self.judge.endpoint.host,
            "rubric": rubric.name,
            "rubric_digest": rubric.digest,
            "rubric_source": rubric.source,
            "numbers": rubric.numbers,
            "samples": config.number_samples if rubric.numbers == "samples" else 1,
            "max_new_tokens": self._room(),
            "seed": SEED,
        }

    def score(
        self,
        items: Sequence[Item],
        responses: Sequence[Response],
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> list[dict[str, Mark]]:
        """One mapping per response. progress(done, total) is called in responses."""
        by_id = {item.id: item for item in items}
        if self.rubric.numbers == "logprobs" and responses:
            self.judge.check_numbers()
        chats: list[Chat] = []
        places: list[int] = []
        marks: list[dict[str, Mark]] = [self._missing("") for _ in responses]
        for i, response in enumerate(responses):
            item = by_id[response.item]
            if response.text is None:
                marks[i] = self._missing("not an answer in words")
                continue
            answer = (item.prefix if isinstance(item, Ask) else "") + response.text
            facts = dict(item.facts)
            chats.append(self._chat(self.rubric.messages(question(item), answer, facts)))
            places.append(i)
        count = len(responses) - len(chats)

        def told(_: int) -> None:
            nonlocal count
            count += 1
            progress(count, len(responses))

        for i, found in zip(places, self.judge.ask(chats, told), strict=True):
            marks[i] = self._marks(found)
        return marks

    def _marks(self, found: list[ChatReply] | RequestFailed) -> dict[str, Mark]:
        if isinstance(found, RequestFailed):
            return self._missing(f"the judge did not answer: {found}")
        try:
            return dict(self._read(found))
        except Malformed as error:
            self.judge.malformed += 1
            said = " ".join(found[0].text.split())[-_SAID:]
            return self._missing(f"malformed: {error}; it said: {said!r}")

    def _read(self, replies: list[ChatReply]) -> Marks:
        if self.rubric.numbers == "samples":
            return mean_number([reply.text for reply in replies])
        if self.rubric.numbers == "logprobs":
            if not replies[0].top_logprobs:
                raise Malformed("the endpoint gave no log-probabilities")
            top = replies[0].top_logprobs[0]
            return weighted_number({token: math.exp(value) for token, value in top.items()})
        if not replies[0].text.strip():
            raise Malformed("an empty answer")
        return self.rubric.read(replies[0].text)

    def _chat(self, messages: list[dict[str, str]]) -> Chat:
        if self.rubric.numbers == "logprobs":
            return _number_chat(messages)
        if self.rubric.numbers == "samples":
            sampling = Sampling(self._room(), temperature=1.0)
            return Chat(messages, sampling, SEED, n=self.judge.config.number_samples)
        return Chat(messages, Sampling(self._room(), temperature=0.0), SEED)

    def _room(self) -> int:
        own = None if self.rubric.numbers else self.judge.config.max_new_tokens
        return own or self.rubric.max_new_tokens

    def _missing(self, reason: str) -> dict[str, Mark]:
        return {**dict.fromkeys(self.rubric.marks, None), "failure": reason}


def question(item: Item) -> str:
    """What a judge is told was asked: the item's own word for it, or the last user message."""
    own = item.facts.get("question")
    if own:
        return str(own)
    if not isinstance(item, Ask):
        return item.context
    asked = [m["content"] for m in item.messages if m["role"] == "user"]
    return asked[-1] if asked else item.text or ""


def _number_chat(messages: list[dict[str, str]]) -> Chat:
    # as Betley et al. ask: one token, temperature 0, seed 0, the 20 likeliest
    return Chat(messages, Sampling(1, temperature=0.0), SEED, logprobs=True, top_logprobs=TOP)


def _likeliest(reply: ChatReply) -> str:
    if reply.top_logprobs and reply.top_logprobs[0]:
        top = reply.top_logprobs[0]
        return max(top, key=lambda token: top[token])
    return reply.text


def with_cache(config: JudgeConfig, path: Path) -> JudgeConfig:
    """The same judge with a cache, unless it has one."""
    return config if config.cache else replace(config, cache=path)
