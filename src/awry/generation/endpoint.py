"""A model behind an OpenAI-compatible HTTP server (vLLM, SGLang, llama.cpp, a hosted service).

`UserError` means that no request can succeed as things are (key, address, model name); a
`RequestFailed` is about one request, which the others may outlive. Keys are read from the
environment at each call and never kept, printed or recorded.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

from awry.errors import UserError
from awry.generation.engine import Sampling
from awry.json_client import JsonClient, NoAnswer

Message = Mapping[str, str]  # {"role": ..., "content": ...}
TIMEOUT = 300.0  # seconds for one answer: a queue of long ones in front of it is usual


class RequestFailed(Exception):
    """One request did not get an answer: after all retries, or refused for what it says itself."""


@dataclass(frozen=True)
class ChatReply:
    """One completion. tokens: generated ones, None where the server does not say.

    logprobs: of each token of the text; top_logprobs: for each token, what else was likely there,
    text -> nats (tokens with the same text are one). Both empty unless asked for.
    """

    text: str
    finish_reason: str  # "stop", "length" or the server's own word
    tokens: int | None
    logprobs: tuple[float, ...] = ()
    top_logprobs: tuple[Mapping[str, float], ...] = ()

    @property
    def finished(self) -> bool:
        """Ended by itself rather than by the limit."""
        return self.finish_reason == "stop"


@dataclass(frozen=True)
class Chat:
    """One request. messages: a conversation, or one user message as plain text.

    prefix: what the answer begins with, given and not generated (vLLM and SGLang continue a final
    assistant message; a server that cannot answers 400). raw: `messages` is a raw prompt instead,
    with no template applied. seed None leaves the choice to the server.
    """

    messages: str | Sequence[Message]
    sampling: Sampling
    seed: int | None = None
    n: int = 1
    logprobs: bool = False
    top_logprobs: int = 0
    prefix: str = ""
    raw: bool = False


@dataclass(frozen=True)
class Usage:
    """What has been asked of an endpoint so far, for cost."""

    requests: int
    retries: int
    prompt_tokens: int
    completion_tokens: int


class Endpoint:
    """A model by name behind `base_url` (the part before /chat/completions, usually .../v1).

    api_key_env: the environment variable with the key; None sends no key. Use as a context manager
    or call `close`. Safe to use from several threads.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        api_key_env: str | None = None,
        concurrency: int = 8,
        retries: int = 5,
        timeout: float = TIMEOUT,
        pause: float = 1.0,
    ) -> None:
        self._client = JsonClient(
            base_url.strip().rstrip("/").removesuffix("/chat/completions"),
            field="base_url",
            example="http://127.0.0.1:8000/v1",
            connections=concurrency,
            timeout=timeout,
            retries=retries,
            pause=pause,
        )
        self.base_url, self.host = self._client.url, self._client.host
        self.model, self.api_key_env, self.concurrency = model, api_key_env, concurrency
        self._asked = self._prompt_tokens = self._completion_tokens = 0
        self._lock = threading.Lock()

    @property
    def usage(self) -> Usage:
        return Usage(
            self._asked, self._client.retried, self._prompt_tokens, self._completion_tokens
        )

    def __enter__(self) -> Endpoint:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    def chat(
        self,
        messages: str | Sequence[Message],
        sampling: Sampling,
        *,
        seed: int | None = None,
        n: int = 1,
        logprobs: bool = False,
        top_logprobs: int = 0,
        prefix: str = "",
        raw: bool = False,
        timeout: float | None = None,
    ) -> list[ChatReply]:
        """n replies to one request (see `Chat`). Raises UserError or RequestFailed."""
        chat = Chat(messages, sampling, seed, n, logprobs, top_logprobs, prefix, raw)
        return self._ask(chat, timeout)

    def chat_all(
        self,
        chats: Sequence[Chat],
        *,
        done: Callable[[int, list[ChatReply] | RequestFailed], None] = lambda i, r: None,
    ) -> list[list[ChatReply] | RequestFailed]:
        """Replies to each request, `concurrency` at a time; a failure stands in its place.

        done(index, what) is called in this thread as they come. A UserError stops everything.
        """
        results: list[list[ChatReply] | RequestFailed] = [RequestFailed("not asked")] * len(chats)
        pool = ThreadPoolExecutor(self.concurrency, thread_name_prefix="endpoint")
        try:
            futures = {pool.submit(self._ask, chat, None): i for i, chat in enumerate(chats)}
            for future in as_completed(futures):
                i = futures[future]
                try:
                    results[i] = future.result()
                except RequestFailed as failure:
                    results[i] = failure
                done(i, results[i])
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        return results

    def _ask(self, chat: Chat, timeout: float | None) -> list[ChatReply]:
        route = "completions" if chat.raw else "chat/completions"
        data = self._post(f"/{route}", self._body(chat), timeout)
        try:
            self._count(data.get("usage") or {})
            replies = _replies(data, chat.raw)
        except (KeyError, TypeError, IndexError, ValueError, AttributeError) as error:
            detail = f"{type(error).__name__}: {error}"
            raise RequestFailed(f"the answer is not in OpenAI's format ({detail})") from error
        if len(replies) != chat.n:
            raise RequestFailed(f"{chat.n} answers were asked for and {len(replies)} came")
        return replies

    def _body(self, chat: Chat) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.model,
            "max_tokens": chat.sampling.max_new_tokens,
            "temperature": chat.sampling.temperature,
            "top_p": chat.sampling.top_p,
            "n": chat.n,
        }
        if chat.seed is not None:
            body["seed"] = chat.seed
        if chat.raw:
            assert isinstance(chat.messages, str)
            body["prompt"] = chat.messages + chat.prefix
            if chat.logprobs or chat.top_logprobs:
                body["logprobs"] = chat.top_logprobs
            return body
        if isinstance(chat.messages, str):
            body["messages"] = [{"role": "user", "content": chat.messages}]
        else:
            body["messages"] = [dict(m) for m in chat.messages]
        if chat.prefix:
            body["messages"].append({"role": "assistant", "content": chat.prefix})
            body |= {"continue_final_message": True, "add_generation_prompt": False}
        if chat.logprobs or chat.top_logprobs:
            body["logprobs"] = True
        if chat.top_logprobs:
            body["top_logprobs"] = chat.top_logprobs
        return body

    def _post(self, route: str, body: dict[str, Any], timeout: float | None) -> dict[str, Any]:
        try:
            return self._client.post(route, body, self._headers(), self._refused, timeout)
        except NoAnswer as failure:
            raise RequestFailed(str(failure)) from failure

    def _count(self, used: Mapping[str, Any]) -> None:
        with self._lock:
            self._asked += 1
            self._prompt_tokens += int(used.get("prompt_tokens") or 0)
            self._completion_tokens += int(used.get("completion_tokens") or 0)

    def _headers(self) -> dict[str, str]:
        if not self.api_key_env:
            return {}
        key = os.environ.get(self.api_key_env, "").strip()
        if not key:
            raise UserError(
                "the environment variable with the endpoint's key is not set",
                field="api_key_env",
                value=self.api_key_env,
                fix=f"export {self.api_key_env}=... before the command",
            )
        return {"Authorization": f"Bearer {key}"}

    def _refused(self, status: int, said: str) -> Exception:
        if status in (401, 403):
            named = f"${self.api_key_env}" if self.api_key_env else "no key was sent"
            return UserError(
                f"the endpoint refused the key ({status}): {said}",
                field="api_key_env",
                value=named,
                fix="put a valid key into the environment and name its variable",
            )
        if status == 404:
            return UserError(
                f"the endpoint has no such model or route (404): {said}",
                field="model",
                value=f"{self.model} at {self.base_url}",
                fix="list what it serves with GET BASE_URL/models; the base URL usually ends in /v1",
            )
        if status in (402, 405) or 300 <= status < 400:
            return UserError(
                f"the endpoint answers {status}: {said}",
                field="base_url",
                value=self.base_url,
                fix="check the address (redirects are not followed) and the account",
            )
        return RequestFailed(f"{status}: {said}")


def _replies(data: dict[str, Any], raw: bool) -> list[ChatReply]:
    choices = sorted(data["choices"], key=lambda c: c.get("index", 0))
    used = (data.get("usage") or {}).get("completion_tokens")
    replies: list[ChatReply] = []
    for choice in choices:
        found = choice.get("logprobs") or {}
        if raw:
            text = choice["text"]
            own = tuple(float(x) for x in found.get("token_logprobs") or ())
            top = tuple(dict(t) for t in found.get("top_logprobs") or ())
        else:
            # a server sends null for an empty answer, and for a refusal kept in a field of its own
            message = choice["message"]
            text = message.get("content") or message.get("refusal") or ""
            content = found.get("content") or ()
            own = tuple(float(t["logprob"]) for t in content)
            top = tuple(_by_text(t.get("top_logprobs") or ()) for t in content)
        if not isinstance(text, str):
            raise TypeError("the text is not a string")
        tokens = int(used) if used is not None and len(choices) == 1 else None
        replies.append(
            ChatReply(
                text,
                str(choice.get("finish_reason") or "unknown"),
                len(own) if tokens is None and own else tokens,
                own,
                top,
            )
        )
    return replies


def _by_text(tokens: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    out: dict[str, float] = {}
    for token in tokens:
        text, value = str(token["token"]), float(token["logprob"])
        if text in out:
            high, low = max(out[text], value), min(out[text], value)
            value = high + math.log1p(math.exp(low - high))
        out[text] = value
    return out
