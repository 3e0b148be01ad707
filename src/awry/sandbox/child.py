"""What runs in a child of the fork server: an answer, or the checker that talks to it.

Everything here that an answer's process uses after the answer was loaded is bound beforehand, under
a name of this module. Standard library only.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import sys
import types
from typing import Any, NamedTuple, NoReturn

from awry.sandbox.checker import answer_calls, run_check
from awry.sandbox.confinement import confine
from awry.sandbox.values import TooLarge, encode

# Bound before any untrusted code runs, so that a patched builtin does not break the report.
_type, _str, _int = type, str, int
_exec, _eval, _compile = exec, eval, compile
_callable, _getattr, _write, _BaseException = callable, getattr, os.write, BaseException
_SystemExit, _isinstance, _exit = SystemExit, isinstance, os._exit
_encode, _TooLarge, _answer_calls = encode, TooLarge, answer_calls
_dumps = json.JSONEncoder(check_circular=False).encode

REPORT, REQUESTS, REPLIES = 3, 4, 5  # descriptors of a child
UNCONFINED, BROKEN = 125, 70  # exit statuses: confinement failed; the report could not be written
_PR_SET_DUMPABLE = 4


class Job(NamedTuple):
    """One request on its way: how much of it there is to read, and what reports must say."""

    link: socket.socket
    size: int
    check_size: int
    nonce: str
    limits: dict[str, Any]

    def mark(self, word: str) -> bytes:
        return ("\n" + _dumps([self.nonce, word]) + "\n").encode()


def describe(error: BaseException) -> str:
    with contextlib.suppress(_BaseException):
        return f"{_type(error).__name__}: {_str(error)}"[:300]
    return "an exception without a readable message"


def _speaker(nonce: str) -> Any:
    def say(*message: Any) -> None:
        data = ("\n" + _dumps([nonce, *message]) + "\n").encode()
        while data:
            data = data[_write(REPORT, data) :]

    return say


def execute(request: dict[str, Any], nonce: str) -> None:
    """Load the program, evaluate its calls, call its evaluator, serve its target; report each."""
    say = _speaker(nonce)
    try:
        program = _compile(request["source"], "<answer>", "exec", dont_inherit=True)
    except _BaseException as error:
        return say("uncompilable", describe(error))
    say("compiled")
    module = types.ModuleType("answer")  # registered: dataclasses look their module up
    sys.modules["answer"] = module
    namespace = module.__dict__
    try:
        _exec(_compile(request["setup"], "<setup>", "exec", dont_inherit=True), namespace)
        _exec(program, namespace)
        override = request["override"]
        if override:
            _exec(_compile(override, "<override>", "exec", dont_inherit=True), namespace)
    except _BaseException as error:
        if _isinstance(error, _SystemExit):
            say("exited", _exit_code(error))
        return say("unloadable", describe(error))
    say("loaded")
    for index, call in enumerate(request["calls"]):
        try:
            value = _eval(_compile(call, "<call>", "eval", dont_inherit=True), namespace)
            say("value", index, _encode(value))
        except _TooLarge:
            say("unreadable", index, "value too large or too deep")
        except _BaseException as error:
            say("raised", index, describe(error))
    if request["evaluator"] is not None:
        say("evaluator", *_evaluate(request["evaluator"], namespace))
    if request["target"]:
        say("serving")
        _answer_calls(request["target"], namespace, REQUESTS, REPLIES, describe)


def _evaluate(name: str, namespace: dict[str, Any]) -> tuple[str, str]:
    function: Any = namespace.get(name)
    try:
        if not _callable(function):
            solution: Any = namespace.get("Solution")
            if not _callable(solution) or not hasattr(solution, name):
                return "missing", ""
            function = _getattr(solution(), name)
        function()
        return "returned", ""
    except _BaseException as error:
        return "raised", describe(error)


def _exit_code(error: SystemExit) -> int:
    """What the interpreter would end with (0 for None, 1 for a message)."""
    with contextlib.suppress(_BaseException):
        return 0 if error.code is None else error.code & 0xFF if _type(error.code) is _int else 1
    return 1


def answer_child(job: Job, state: dict[str, Any], descriptors: list[int]) -> NoReturn:
    """Reads its own request: the server must not hold what a program was sent."""
    try:
        request = json.loads(receive(job.link, job.size) or b"")
        confine(job.limits, descriptors, state, state["uid"])
        random.seed(0)
    except BaseException:
        _exit(UNCONFINED)
    end_mark, status = job.mark("done"), BROKEN
    try:
        execute(request, job.nonce)
        _write(REPORT, end_mark)
        status = 0
    finally:
        _exit(status)


def checker_child(job: Job, state: dict[str, Any], descriptors: list[int]) -> NoReturn:
    """Its nonce is in its own request, which the answer's process never sees."""
    try:
        state["prctl"](_PR_SET_DUMPABLE, 0, 0, 0, 0)  # not to be traced, whoever its user is
        request = json.loads(receive(job.link, job.check_size) or b"")
        confine(job.limits, descriptors, state, state["checker_uid"])
        random.seed(0)
    except BaseException:
        _exit(UNCONFINED)
    try:
        say = _speaker(request["nonce"])
        fault = run_check(request["check"], request["setup"], REQUESTS, REPLIES, describe)
        say("failed", fault) if fault else say("passed")
    finally:
        _exit(0)


def receive(link: socket.socket, count: int) -> bytes | None:
    data = bytearray()
    while len(data) < count:
        chunk = link.recv(count - len(data))
        if not chunk:
            return None
        data += chunk
    return bytes(data)
