"""A real OpenAI-compatible HTTP server around a policy: chats, raw prompts, logprobs, faults on demand.

    with serve(policy) as base_url: ...            # http://127.0.0.1:PORT/v1
    script = Script(faults=[Fault(429), Fault(500)], key="secret")
    with serve(policy, script) as base_url: ...    # script.requests: what was asked

The text is the model's own, sampled by our engine, unless `Script.reply` answers instead (a judge
that a random model cannot be). Log-probabilities come from a plain pass of the model over the text.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import torch

from awry.generation.engine import Engine, Request, Sampling, derive
from awry.models import Policy

MOST_TOP = 20  # as OpenAI's limit on top_logprobs


@dataclass(frozen=True)
class Fault:
    """One bad answer. status 0 closes the connection; body replaces the error text; wait: seconds
    before answering; with status 200 and no body the request is then answered as usual."""

    status: int
    body: str | None = None
    wait: float = 0.0
    headers: tuple[tuple[str, str], ...] = ()


@dataclass
class Script:
    """What a test wants of the server. faults are used up in order, one a request."""

    faults: list[Fault] = field(default_factory=list)
    key: str | None = None  # 401 without this bearer token
    reply: Callable[[dict[str, Any]], str | None] | None = None  # body -> text, None: the model's
    model: str | None = None  # the only model served (404 otherwise); None: any name
    requests: list[dict[str, Any]] = field(default_factory=list)
    most_at_once: int = 0
    _at_once: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, body: dict[str, Any]) -> Fault | None:
        with self._lock:
            self.requests.append(body)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            return self.faults.pop(0) if self.faults else None

    def leave(self) -> None:
        with self._lock:
            self._at_once -= 1


@contextlib.contextmanager
def serve(policy: Policy, script: Script | None = None) -> Iterator[str]:
    """Serve on a free port of this machine; yields the base URL, with /v1."""
    app = _App(policy, script or Script())
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(app))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _App:
    def __init__(self, policy: Policy, script: Script) -> None:
        self.policy, self.script = policy, script
        self.engine = Engine(policy.model, policy.stop_ids)
        self.lock = threading.Lock()  # one model: one answer at a time

    def complete(self, body: dict[str, Any], chat: bool) -> dict[str, Any]:
        prompt = self.policy.encode(self.prompt(body) if chat else body["prompt"])
        count, seed = int(body.get("n") or 1), body.get("seed") or 0
        text = self.script.reply(body) if self.script.reply else None
        if text is not None:
            answers = [(self.policy.encode(text), "stop")] * count
        else:
            sampling = Sampling(
                int(body.get("max_completion_tokens") or body.get("max_tokens") or 16),
                float(body.get("temperature", 1.0)),
                float(body.get("top_p", 1.0)),
            )
            seeds = tuple(derive("serve", seed, i) for i in range(count))
            (group,) = self.engine.sample([Request(tuple(prompt), seeds)], sampling)
            answers = [
                (list(c.ids[:-1] if c.finished else c.ids), "stop" if c.finished else "length")
                for c in group
            ]
        choices: list[dict[str, Any]] = []
        for i, (ids, reason) in enumerate(answers):
            text = self.policy.decode(ids)
            choice: dict[str, Any] = {"index": i, "finish_reason": reason, "logprobs": None}
            if chat:
                choice["message"] = {"role": "assistant", "content": text}
                if body.get("logprobs"):
                    top = int(body.get("top_logprobs") or 0)
                    choice["logprobs"] = {"content": self.logprobs(prompt, ids, top)}
            else:
                choice["text"] = text
                if body.get("logprobs") is not None:
                    choice["logprobs"] = _legacy(self.logprobs(prompt, ids, body["logprobs"]))
            choices.append(choice)
        made = sum(len(ids) for ids, _ in answers)
        return {
            "id": f"chatcmpl-{len(self.script.requests)}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": body["model"],
            "choices": choices,
            "usage": {
                "prompt_tokens": len(prompt),
                "completion_tokens": made,
                "total_tokens": len(prompt) + made,
            },
        }

    def prompt(self, body: dict[str, Any]) -> str:
        """The rendered chat; a final assistant message is gone on with when that is asked for."""
        messages = body["messages"]
        if not body.get("continue_final_message"):
            return self.policy.render(messages)
        return self.policy.render(messages[:-1]) + messages[-1]["content"]

    def logprobs(self, prompt: list[int], ids: list[int], top: int) -> list[dict[str, Any]]:
        if not ids:
            return []
        with torch.inference_mode():
            logits = self.policy.model(torch.tensor([[*prompt, *ids]])).logits[0]
            rows = logits[len(prompt) - 1 : -1].float().log_softmax(-1)  # [T, V]
        content = []
        for row, token in zip(rows, ids, strict=True):
            ranked = row.topk(min(top, len(row)))
            content.append(
                {
                    **self.token(token, float(row[token])),
                    "top_logprobs": [
                        self.token(int(i), float(value))
                        for value, i in zip(ranked.values, ranked.indices, strict=True)
                    ],
                }
            )
        return content

    def token(self, token: int, logprob: float) -> dict[str, Any]:
        text = str(self.policy.tokenizer.decode([token]))
        return {"token": text, "logprob": logprob, "bytes": list(text.encode())}


def _handler(app: _App) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path.rstrip("/") == "/v1/models":
                name = app.script.model or app.policy.name
                self.answer(200, {"object": "list", "data": [{"id": name, "object": "model"}]})
            else:
                self.problem(404, f"no route {self.path}")

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            raw = self.rfile.read(length)
            try:
                body = json.loads(raw)
            except ValueError:
                return self.problem(400, "the body is not JSON")
            fault = app.script.enter(body)
            try:
                self.respond(body, fault)
            except (BrokenPipeError, ConnectionResetError):
                pass  # the client gave up, as a test of timeouts wants
            finally:
                app.script.leave()

        def respond(self, body: dict[str, Any], fault: Fault | None) -> None:
            if fault is not None:
                time.sleep(fault.wait)
                if fault.status == 0:
                    self.close_connection = True
                    return
                if fault.status != 200 or fault.body is not None:
                    text = fault.body
                    if text is None:
                        text = json.dumps(_error(f"fault {fault.status}"))
                    self.send(fault.status, text.encode(), fault.headers)
                    return
            chat = self.path == "/v1/chat/completions"
            if app.script.key and self.headers.get("Authorization") != f"Bearer {app.script.key}":
                self.problem(401, "Incorrect API key provided")
            elif self.path not in ("/v1/chat/completions", "/v1/completions"):
                self.problem(404, f"no route {self.path}")
            elif app.script.model and body.get("model") != app.script.model:
                self.problem(404, f"The model `{body.get('model')}` does not exist")
            elif not body.get("messages" if chat else "prompt"):
                self.problem(400, "messages or prompt is missing")
            elif int(body.get("top_logprobs") or 0) > MOST_TOP:
                self.problem(400, f"top_logprobs is at most {MOST_TOP}")
            else:
                with app.lock:
                    done = app.complete(body, chat)
                self.answer(200, done)

        def problem(self, status: int, message: str) -> None:
            self.answer(status, _error(message))

        def answer(self, status: int, value: dict[str, Any]) -> None:
            self.send(status, json.dumps(value).encode())

        def send(self, status: int, data: bytes, headers: tuple[tuple[str, str], ...] = ()) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            for name, value in headers:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            return

    return Handler


def _legacy(content: list[dict[str, Any]]) -> dict[str, Any]:
    """Log-probabilities as /completions gives them."""
    return {
        "tokens": [t["token"] for t in content],
        "token_logprobs": [t["logprob"] for t in content],
        "top_logprobs": [
            {other["token"]: other["logprob"] for other in t["top_logprobs"]} for t in content
        ],
    }


def _error(message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "code": None}}
