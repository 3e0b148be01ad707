from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from awry.errors import UserError
from awry.json_client import JsonClient, NoAnswer


class Server(ThreadingHTTPServer):
    """Answers what it is told to, one after the other, and keeps what it was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[tuple[int, str]] = []
        self.bodies: list[Any] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append((self.path, json.loads(body), self.headers["X-Own"]))
        status, text = self.server.answers.pop(0)
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.02,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def client(url: str, **settings: Any) -> JsonClient:
    given = {"connections": 2, "timeout": 10.0, "retries": 3, "pause": 0.01} | settings
    return JsonClient(url, field="base_url", example="http://127.0.0.1:8000", **given)


class Refused(Exception):
    pass


def refused(status: int, said: str) -> Exception:
    return Refused(status, said)


def ask(one: JsonClient, body: Any = None) -> dict[str, Any]:
    return one.post("/ask", body or {"a": 1}, {"X-Own": "own"}, refused)


def test_an_object_comes_back_and_what_was_sent_arrives(server: Server) -> None:
    server.answers = [(200, '{"b": 2}')]
    one = client(f"{server.url}/v1/")
    assert ask(one, {"text": "\ud800 ∀"}) == {"b": 2}
    assert server.bodies == [("/v1/ask", {"text": "\ud800 ∀"}, "own")]
    assert (one.url, one.host, one.retried) == (f"{server.url}/v1", "127.0.0.1", 0)


def test_what_may_pass_is_asked_again(server: Server) -> None:
    server.answers = [(503, "busy"), (200, "[1]"), (429, "slower"), (200, "{}")]
    one = client(server.url)
    assert ask(one) == {}
    assert one.retried == 3


def test_in_the_end_there_is_no_answer(server: Server) -> None:
    server.answers = [(503, '{"error": {"message": "loading\\nthe model"}}')] * 4
    with pytest.raises(NoAnswer, match=r"^503: loading the model \(asked 4 times\)$"):
        ask(client(server.url))


def test_a_status_may_be_asked_again_less_often(server: Server) -> None:
    server.answers = [(500, "ended")] * 4
    with pytest.raises(NoAnswer, match=r"^500: ended \(asked 2 times\)$"):
        ask(client(server.url, most_retries={500: 1}))
    assert len(server.bodies) == 2


def test_what_will_not_pass_is_the_callers_to_name(server: Server) -> None:
    server.answers = [(404, '{"error": "no such route"}')]
    with pytest.raises(Refused) as caught:
        ask(client(server.url))
    assert caught.value.args == (404, "no such route")


def test_a_server_that_is_not_there_is_said_at_once_and_one_that_went_is_waited_for() -> None:
    with Server() as gone:
        url = gone.url
    with pytest.raises(UserError, match="nothing answers") as caught:
        ask(client(url))
    assert caught.value.field == "base_url"
    one = client(url)
    one._answered = True
    with pytest.raises(NoAnswer, match="the server is gone"):
        ask(one)


@pytest.mark.parametrize("url", ["", "nowhere", "ftp://host", "http://", "http://host/?a=1"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(UserError, match="not the address") as caught:
        client(url)
    assert "http://127.0.0.1:8000" in (caught.value.fix or "")
