"""A Kimina Lean server: many REPLs behind HTTP, for checks on other machines.

POST /api/check {"snippets": [{"id", "code"}], "timeout", "reuse"} -> {"results": [{"id", "time",
"response" or "error"}]}, or on older servers /verify with {"codes": [{"custom_id", "proof"}]}. The
server cuts the import lines off, loads them once per REPL and runs the rest there.
"""

from __future__ import annotations

import math
import os
import secrets
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from awry.errors import UserError
from awry.json_client import JsonClient, NoAnswer
from awry.lean.checks import Elaboration
from awry.lean.elsewhere.lake import FLOOD, MOST_OUTPUT
from awry.lean.elsewhere.repl import ReplFailed, read_reply

KEY = "LEAN_SERVER_API_KEY"  # environment variable: as the server itself calls it
WALL_S = 60.0
_QUEUE_S = 600.0  # beyond a text's own limit: it waits for a free REPL
_CONCURRENCY, _RETRIES, _PAUSE = 16, 6, 1.0
_RETRIES_500 = 1
_KEPT_OF_FLOOD = 100  # messages
_ROUTES = ("/api/check", "/verify")
# Between header and text: no import line of a text is one of the header's, which the server cuts off.
_BETWEEN = "-- text"


class _Failed(Exception):
    """One request got no answer that could be read."""


class _Gone(_Failed):
    """No answer after all retries."""


class _NoRoute(Exception):
    """The server does not know this path."""


class Kimina:
    """wall_s: what the server is told for each text, and kept to by it. The environment variable
    LEAN_SERVER_API_KEY is sent as a bearer token where it is set."""

    name = "kimina"
    writes_oleans = False
    why_not_sound = "the server gives no file that the sound grade could judge"

    def __init__(
        self,
        url: str,
        *,
        workers: int | None = None,
        wall_s: float = WALL_S,
        retries: int = _RETRIES,
        pause: float = _PAUSE,
    ) -> None:
        self.wall_s, self.workers = wall_s, workers or _CONCURRENCY
        self._client = JsonClient(
            url,
            field="toolchain",
            example="kimina:http://127.0.0.1:8000",
            connections=self.workers,
            timeout=wall_s + _QUEUE_S,
            retries=retries,
            pause=pause,
            most_retries={500: _RETRIES_500},  # what a text gives that ends its REPL
        )
        self.url = self._client.url
        self._route = ""
        self._offsets: dict[str, int] = {}  # header -> what is added to the server's lines
        self._facts: dict[str, str] | None = None

    def __enter__(self) -> Kimina:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    def identity(self) -> dict[str, str]:
        """Lean's version as the server's own Lean prints it: "unknown" where it has no #eval."""
        if self._facts is None:
            (found,) = self.elaborate(
                [("", "#eval Lean.versionString\n#eval Lean.githash")],
            )
            said = [m.text.strip('"') for m in found.messages if m.severity == "information"]
            version, githash = said if len(said) == 2 else ("unknown", "unknown")
            self._facts = {"toolchain": self.name, "lean": version, "githash": githash}
        return {**self._facts, "wall_s": str(self.wall_s)}

    def elaborate(self, texts: Sequence[tuple[str, str]]) -> list[Elaboration]:
        """Raises UserError for a header that does not elaborate there, or where nothing answers."""
        for header in dict.fromkeys(header for header, _ in texts):
            if header not in self._offsets:
                self._offsets[header] = self._measure(header)
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="kimina")
        try:
            return list(pool.map(lambda pair: self._elaborate(*pair), texts))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _measure(self, header: str) -> int:
        """What to add to the lines of messages: some servers count the import lines, some do not.

        Measured with an error of our own behind the header; errors before it are the header's.
        """
        word = f"awry_{secrets.token_hex(8)}"
        found = self._elaborate(header, f"#check {word}", offset=0)
        errors = found.errors
        if found.ended != "finished":
            raise UserError(
                f"the server could not elaborate a header: {found.ended}",
                field="header",
                value=found.detail or header,
                fix="see the server's own log",
            )
        ours = [m for m in errors if word in m.text]
        if len(ours) != 1 or len(errors) != 1:
            raise UserError(
                "the header does not elaborate on this server",
                field="header",
                value=next((m.text for m in errors if m not in ours), header),
                fix="use a header that the server's project knows",
            )
        return 1 - ours[0].line

    def _elaborate(self, header: str, text: str, offset: int | None = None) -> Elaboration:
        head = header.strip("\n") + "\n" if header.strip() else ""
        # Without imports the first text of a REPL would be the environment of those after it.
        reuse = any(line.startswith("import ") for line in head.splitlines())
        begun, shift = time.monotonic(), self._offsets[header] if offset is None else offset
        detail = ""
        for attempt in range(2):
            name = f"awry-{secrets.token_hex(8)}"
            try:
                code = f"{head}{_BETWEEN}\n{text}".encode(errors="replace").decode()
                answer = self._ask(name, code, reuse and not attempt)
                found = self._read(answer, shift)
            except (_Failed, ReplFailed) as failure:
                detail = str(failure)
                if isinstance(failure, _Gone):
                    break
                continue
            seconds = answer.get("time")
            if not isinstance(seconds, int | float) or not math.isfinite(seconds):
                seconds = time.monotonic() - begun
            return Elaboration(
                found.ended, found.messages, seconds=float(seconds), detail=found.detail,
                isolation="the server's",
            )  # fmt: skip
        return Elaboration("failed", detail=detail, isolation="the server's")

    def _read(self, answer: Mapping[str, Any], shift: int) -> Elaboration:
        error, response = answer.get("error"), answer.get("response")
        if (error is None) == (response is None):
            raise _Failed("an answer with both or neither of `error` and `response`")
        if error is not None:
            text = str(error)[:300]
            if "timed out" in text:
                return Elaboration("timeout", detail=text)
            if "memory" in text.lower():
                return Elaboration("memory", detail=text)
            raise _Failed(text)
        messages = tuple(
            replace(m, line=m.line + shift if m.line else 0) for m in read_reply(response)
        )
        if sum(len(m.text) for m in messages) > MOST_OUTPUT:
            return Elaboration("finished", (*messages[:_KEPT_OF_FLOOD], FLOOD))
        return Elaboration("finished", messages)

    def _ask(self, name: str, code: str, reuse: bool) -> dict[str, Any]:
        """The server's result of this name. Raises _Failed, or UserError where nothing can work."""
        seconds = max(1, math.ceil(self.wall_s))
        for route in [self._route] if self._route else _ROUTES:
            if route == "/api/check":
                body: dict[str, Any] = {
                    "snippets": [{"id": name, "code": code}],
                    "timeout": seconds,
                    "debug": False,
                    "reuse": reuse,
                }
            else:
                codes = [{"custom_id": name, "proof": code}]
                body = {"codes": codes, "timeout": seconds, "disable_cache": not reuse}
            data = self._post(route, body)
            if data is None:
                continue
            self._route = route
            results = data.get("results")
            if not isinstance(results, list) or len(results) != 1:
                raise _Failed("an answer without the one result")
            (result,) = results
            field = "id" if route == "/api/check" else "custom_id"
            if not isinstance(result, dict) or result.get(field) != name:
                raise _Failed("an answer to another question")
            return result
        raise UserError(
            "the server has neither /api/check nor /verify",
            field="toolchain",
            value=self.url,
            fix="give the address of a Kimina Lean server, such as http://127.0.0.1:8000",
        )

    def _post(self, route: str, body: dict[str, Any]) -> dict[str, Any] | None:
        """The answer; None where there is no such route."""
        try:
            return self._client.post(route, body, _key(), self._refused)
        except NoAnswer as failure:
            raise _Gone(str(failure)) from failure
        except _NoRoute:
            return None

    def _refused(self, status: int, said: str) -> Exception:
        if status in (404, 405) and not self._route:
            return _NoRoute()
        if status in (401, 403):
            return UserError(
                f"the server refused the key ({status}): {said}",
                field="toolchain",
                value=f"${KEY}" if os.environ.get(KEY) else "no key was sent",
                fix=f"export {KEY}=... before the command",
            )
        return UserError(
            f"the server answers {status}: {said}",
            field="toolchain",
            value=self.url,
            fix="check that the address is that of a Kimina Lean server",
        )


def _key() -> dict[str, str]:
    """Read at each call and never kept, printed or recorded."""
    key = os.environ.get(KEY, "").strip()
    return {"Authorization": f"Bearer {key}", "X-Auth-Token": f"Bearer {key}"} if key else {}
