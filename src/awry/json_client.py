"""Posts JSON to one HTTP server, and asks again where the next time may go better."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx2 as httpx

from awry.errors import UserError

LONGEST_PAUSE = 60.0  # seconds: a server that asks for more is asked again after this
_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
_CONNECT_S = 10.0
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


class NoAnswer(Exception):
    """One request did not get an answer, after all retries."""


class JsonClient:
    """url: of the server; `field` and `example` are for errors about it. Safe to use from several
    threads. Raises UserError for what is no address."""

    def __init__(
        self,
        url: str,
        *,
        field: str,
        example: str,
        connections: int,
        timeout: float,
        retries: int,
        pause: float,
        most_retries: Mapping[int, int] | None = None,
    ) -> None:
        """timeout, pause: seconds; most_retries: status -> how often it is asked again at most."""
        self.url, self.field = _address(url, field, example), field
        self.host = httpx.URL(self.url).host
        self.retries, self.pause, self.most_retries = retries, pause, most_retries or {}
        self.timeout = timeout
        self.retried = 0  # requests so far
        self._answered = False
        self._lock = threading.Lock()
        self._client = httpx.Client(
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            trust_env=self.host not in _LOCAL,  # a proxy cannot reach this machine's own servers
        )

    def close(self) -> None:
        self._client.close()

    def post(
        self,
        route: str,
        body: Mapping[str, Any],
        headers: Mapping[str, str],
        refused: Callable[[int, str], Exception],
        timeout: float | None = None,
    ) -> dict[str, Any]:
        """The object that comes back. Raises NoAnswer, what `refused(status, the server's words)`
        makes of a status that will not change, or UserError where no server is."""
        reason, most, attempt = "", self.retries, 0
        limit = self.timeout if timeout is None else timeout
        for attempt in range(self.retries + 1):
            wait: float | None = None
            try:
                response = self._send(route, body, headers, limit)
            except httpx.ConnectError as error:
                if not self._answered:
                    raise UserError(
                        f"nothing answers at this address: {error}",
                        field=self.field,
                        value=self.url,
                        fix="start the server, or correct the host and port",
                    ) from error
                reason = f"the server is gone: {error}"
            except httpx.TimeoutException:
                reason = f"no answer within {limit:.0f} s"
            except httpx.TransportError as error:
                reason = f"the connection broke: {error}"
            else:
                self._answered, status = True, response.status_code
                if status == 200:
                    found = _object(response)
                    if found is not None:
                        return found
                    reason = "the answer is no JSON object"
                elif status in _AGAIN:
                    reason, wait = f"{status}: {_said(response)}", _asked_wait(response)
                    most = min(most, self.most_retries.get(status, most))
                else:
                    raise refused(status, _said(response))
            if attempt >= most:
                break
            with self._lock:
                self.retried += 1
            # jitter, so that what failed together does not come back together
            own = self.pause * 2**attempt * (0.5 + random.random())
            time.sleep(min(own if wait is None else max(wait, own / 4), LONGEST_PAUSE))
        raise NoAnswer(f"{reason} (asked {attempt + 1} times)")

    def _send(
        self, route: str, body: Mapping[str, Any], headers: Mapping[str, str], limit: float
    ) -> httpx.Response:
        return self._client.post(
            self.url + route,
            content=json.dumps(body).encode(),  # escapes what UTF-8 cannot hold
            headers={"Content-Type": "application/json", **headers},
            timeout=httpx.Timeout(limit, connect=_CONNECT_S),
        )


def _address(text: str, field: str, example: str) -> str:
    """A checked URL without a slash at its end."""
    cut = text.strip().rstrip("/")
    try:
        url = httpx.URL(cut)
        fine = url.scheme in ("http", "https") and bool(url.host) and not url.query
    except httpx.InvalidURL:
        fine = False
    if not fine:
        raise UserError(
            "this is not the address of a server",
            field=field,
            value=text,
            fix=f"give one such as {example}",
        )
    return cut


def _object(response: httpx.Response) -> dict[str, Any] | None:
    try:
        found = response.json()
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _said(response: httpx.Response) -> str:
    """The server's own word for what is wrong, in one line."""
    try:
        error = response.json()
        error = error.get("error", error)
        text = error.get("message", error) if isinstance(error, dict) else error
    except (ValueError, RecursionError, AttributeError):
        text = response.text
    return " ".join(str(text).split())[:300]


def _asked_wait(response: httpx.Response) -> float | None:
    try:
        return float(response.headers.get("retry-after", ""))
    except ValueError:
        return None
