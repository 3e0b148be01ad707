"""A model behind an OpenAI-compatible HTTP server (vLLM, SGLang, llama.cpp, a hosted service).

`UserError` means that no request can succeed as things are (key, address, model name); a
`RequestFailed` is about one request, which the others may outlive. Keys are read from the
environment at each call and never kept, printed or recorded.
"""

from __future__ import annotations

import json
import math
import os
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

import httpx2 as httpx

from awry.errors import UserError
from awry.generation.engine import Sampling

Message = Mapping[str, str]  # {"role": ..., "content": ...}
LONGEST_PAUSE = 60.0  # seconds: a server that asks for more is asked again after this
TIMEOUT = 300.0  # seconds for one answer: a queue of long ones in front of it is usual
_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


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


@dataclass
class Usage:
    """What has been asked of an endpoint so far, for cost."""

    requests: int = 0
    retries: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


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
        self.base_url = _address(base_url)
        self.host = httpx.URL(self.base_url).host
        self.model, self.api_key_env = model, api_key_env
        self.concurrency, self.retries, self.pause = concurrency, retries, pause
        self.usage = Usage()
        self._answered = False
        self._lock = threading.Lock()
        self._client = httpx.Client(
            timeout=httpx.Timeout(timeout, connect=10.0),
            limits=httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency),
            trust_env=self.host not in _LOCAL,  # a proxy cannot reach this machine's own servers
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
        data = self._post(f"{self.base_url}/{route}", self._body(chat), timeout)
        try:
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

    def _post(self, url: str, body: dict[str, Any], timeout: float | None) -> dict[str, Any]:
        reason = ""
        for attempt in range(self.retries + 1):
            if attempt:
                with self._lock:
                    self.usage.retries += 1
            wait: float | None = None
            try:
                response = self._send(url, body, timeout)
            except httpx.ConnectError as error:
                if not self._answered:
                    raise self._unreachable(error) from error
                reason = f"the server is gone: {error}"
            except httpx.TimeoutException:
                reason = f"no answer within {timeout or self._client.timeout.read:.0f} s"
            except httpx.TransportError as error:
                reason = f"the connection broke: {error}"
            else:
                self._answered = True
                if response.status_code == 200:
                    try:
                        return self._count(response.json())
                    except ValueError:
                        reason = "the answer is not JSON"
                elif response.status_code in _AGAIN:
                    reason = f"{response.status_code}: {_detail(response)}"
                    wait = _asked_wait(response)
                else:
                    raise self._refused(response)
            if attempt < self.retries:
                # jitter, so that what failed together does not come back together
                own = self.pause * 2**attempt * (0.5 + random.random())
                time.sleep(min(own if wait is None else max(wait, own / 4), LONGEST_PAUSE))
        raise RequestFailed(f"{reason} (asked {self.retries + 1} times)")

    def _send(self, url: str, body: dict[str, Any], timeout: float | None) -> httpx.Response:
        headers = {"Content-Type": "application/json"}
        if self.api_key_env:
            key = os.environ.get(self.api_key_env, "").strip()
            if not key:
                raise UserError(
                    "the environment variable with the endpoint's key is not set",
                    field="api_key_env",
                    value=self.api_key_env,
                    fix=f"export {self.api_key_env}=... before the command",
                )
            headers["Authorization"] = f"Bearer {key}"
        content = json.dumps(body).encode()
        if timeout is None:
            return self._client.post(url, content=content, headers=headers)
        return self._client.post(url, content=content, headers=headers, timeout=timeout)

    def _count(self, data: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise ValueError
        used = data.get("usage") or {}
        with self._lock:
            self.usage.requests += 1
            self.usage.prompt_tokens += int(used.get("prompt_tokens") or 0)
            self.usage.completion_tokens += int(used.get("completion_tokens") or 0)
        return data

    def _unreachable(self, error: Exception) -> UserError:
        return UserError(
            f"nothing answers at this address: {error}",
            field="base_url",
            value=self.base_url,
            fix="start the server, or correct the host and port",
        )

    def _refused(self, response: httpx.Response) -> Exception:
        status, detail = response.status_code, _detail(response)
        if status in (401, 403):
            named = f"${self.api_key_env}" if self.api_key_env else "no key was sent"
            return UserError(
                f"the endpoint refused the key ({status}): {detail}",
                field="api_key_env",
                value=named,
                fix="put a valid key into the environment and name its variable",
            )
        if status == 404:
            return UserError(
                f"the endpoint has no such model or route (404): {detail}",
                field="model",
                value=f"{self.model} at {self.base_url}",
                fix="list what it serves with GET BASE_URL/models; the base URL usually ends in /v1",
            )
        if status in (402, 405) or 300 <= status < 400:
            return UserError(
                f"the endpoint answers {status}: {detail}",
                field="base_url",
                value=self.base_url,
                fix="check the address (redirects are not followed) and the account",
            )
        return RequestFailed(f"{status}: {detail}")


def _address(text: str) -> str:
    """A checked base URL without a slash at its end."""
    cut = text.strip().rstrip("/").removesuffix("/chat/completions")
    try:
        url = httpx.URL(cut)
        fine = url.scheme in ("http", "https") and bool(url.host) and not url.query
    except httpx.InvalidURL:
        fine = False
    if not fine:
        raise UserError(
            "this is not the address of an endpoint",
            field="base_url",
            value=text,
            fix="give one such as http://127.0.0.1:8000/v1",
        )
    return cut


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


def _detail(response: httpx.Response) -> str:
    """The server's own word for what is wrong, in one line."""
    try:
        error = response.json()
        error = error.get("error", error)
        text = error.get("message", error) if isinstance(error, dict) else error
    except (ValueError, AttributeError):
        text = response.text
    return " ".join(str(text).split())[:300]


def _asked_wait(response: httpx.Response) -> float | None:
    try:
        return float(response.headers.get("retry-after", ""))
    except ValueError:
        return None
