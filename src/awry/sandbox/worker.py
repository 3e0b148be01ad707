"""Programs, as a fork server is sent them, and their outcomes, as it tells them."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import secrets
import signal
import struct
from dataclasses import asdict
from pathlib import Path
from typing import Any

from awry.sandbox.forkserver import ForkServer, Request
from awry.sandbox.program import (
    NOT_REACHED,
    CheckState,
    EvaluatorState,
    Limits,
    Outcome,
    Program,
    Status,
)
from awry.sandbox.values import Failed, Returned, decode

PACKAGES = ("numpy", "sortedcontainers")
# An answer that names one of these is run where they are loaded (zygote.EXTRAS).
_EXTRA_WORDS = (*PACKAGES, "asyncio", "concurrent")
_OTHER_MESSAGES = 8  # that a program may send beside one per call


class Worker(ForkServer[Program, Outcome]):
    """core: the one that the server and its children keep to. A child then finds what it shares
    with its server in that core's cache, which halves the time of a program. extras: with the
    modules loaded that few answers name, which make every fork of the server dearer.
    """

    def __init__(self, limits: Limits, level: str, core: int, extras: bool = False) -> None:
        self.limits, self.level, self.core, self.extras = limits, level, core, extras
        settings = {
            "limits": asdict(limits),
            "level": level,
            "core": core,
            "extras": _package_folders() if extras else [],
        }
        # One arena: more of them would take an answer's threads beyond its address space.
        environment = {"MALLOC_ARENA_MAX": "1", "OPENBLAS_NUM_THREADS": "1"}
        super().__init__("awry.sandbox.zygote", settings, limits.wall_s, environment)

    def successor(self, item: Program | None = None) -> Worker:
        extras = self.extras or (item is not None and _needs_extras(item))
        return Worker(self.limits, self.level, self.core, extras)

    def suits(self, item: Program) -> bool:
        return self.extras or not _needs_extras(item)

    def request(self, item: Program) -> Request[Program]:
        nonce, check_nonce = secrets.token_hex(8), secrets.token_hex(8)
        answer = {
            "source": item.source,
            "setup": item.setup,
            "override": item.override,
            "calls": item.calls,
            "evaluator": item.evaluator,
            "target": item.target,
        }
        body, check = json.dumps(answer).encode(), b""
        if item.check:
            parts = {"check": item.check, "setup": item.setup, "nonce": check_nonce}
            check = json.dumps(parts).encode()
        head = struct.pack("!QQ", len(body), len(check)) + nonce.encode()
        return Request(item, head + body + check, (nonce, check_nonce))

    def read(self, header: dict[str, Any], rest: bytes, request: Request[Program]) -> Outcome:
        return _read_outcome(header, rest, request, self.isolation)


def _needs_extras(program: Program) -> bool:
    text = program.source + program.setup
    return any(word in text for word in _EXTRA_WORDS)


def _package_folders() -> list[str]:
    """Where the packages are that answers may import and the standard library lacks."""
    found = [importlib.util.find_spec(name) for name in PACKAGES]
    return sorted({str(Path(spec.origin).parents[1]) for spec in found if spec and spec.origin})


def failure(program: Program, error: str, isolation: str) -> Outcome:
    """Of a program that the sandbox failed: nothing is known of it."""
    return Outcome(
        status="sandbox_error",
        compiled=False,
        loaded=False,
        error=error,
        values=(NOT_REACHED,) * len(program.calls),
        evaluator="not run",
        evaluator_error="",
        check="not run",
        check_error="",
        exit_code=None,
        seconds=0.0,
        isolation=isolation,
    )


def _messages(nonce: str, report: bytes, most: int) -> list[list[Any]]:
    """What was said under `nonce`, at most so many messages. Hostile: what is malformed is passed
    over, and a flood costs no more than looking for the nonce in it."""
    found: list[list[Any]] = []
    start, place = b'\n["' + nonce.encode() + b'"', 0
    while len(found) < most and (place := report.find(start, place)) >= 0:
        most -= 1  # malformed messages count too
        place += 1
        end = report.find(b"\n", place)
        try:
            match json.loads(report[place : end if end >= 0 else None]):
                case [_, str(word), *rest]:
                    most += 1
                    found.append([word, *rest])
                case _:
                    pass
        except (ValueError, RecursionError):
            continue
    return found


def _read_outcome(
    header: dict[str, Any], reports: bytes, request: Request[Program], isolation: str
) -> Outcome:
    """Read what the children wrote. Of contradicting messages the first counts."""
    cut = len(reports) - header["verdict"]
    values: list[Returned | Failed] = [NOT_REACHED] * len(request.item.calls)
    seen: dict[str, str] = {}
    evaluator: EvaluatorState = "not run"
    evaluator_error = ""
    most = len(values) + _OTHER_MESSAGES
    for message in _messages(request.nonces[0], reports[:cut], most):
        match message:
            case ["value", int(index), encoded]:
                if 0 <= index < len(values) and values[index] is NOT_REACHED:
                    with contextlib.suppress(ValueError, RecursionError):
                        values[index] = decode(encoded)
            case ["raised" | "unreadable", int(index), str(text)]:
                if 0 <= index < len(values) and values[index] is NOT_REACHED:
                    values[index] = Failed(text)
            case ["evaluator", ("returned" | "raised" | "missing") as word, str(text)]:
                if evaluator == "not run":
                    evaluator, evaluator_error = word, text
            case [word, *rest]:
                seen.setdefault(word, str(rest[0]) if rest else "")
    check, check_error = _read_verdict(request, reports[cut:])
    exit_status = os.waitstatus_to_exitcode(header["exit"])
    status: Status = "finished" if "done" in seen else header["status"]
    exit_code = None
    if status == "died" and exit_status >= 0:
        exit_code = exit_status
    elif seen.get("exited", "").isdecimal():
        exit_code = int(seen["exited"][:4])
    error = seen.get("uncompilable") or seen.get("unloadable") or ""
    if status == "died" and exit_status == -signal.SIGXCPU:
        status = "timeout"
    if status != "finished" and not error:
        error = {"timeout": "timed out", "overflow": "reported too much"}.get(
            status, "exited early"
        )
    return Outcome(
        status=status,
        compiled="compiled" in seen,
        loaded="loaded" in seen,
        error=error,
        values=tuple(values),
        evaluator=evaluator,
        evaluator_error=evaluator_error,
        check=check,
        check_error=check_error,
        exit_code=exit_code,
        seconds=float(header["seconds"]),
        isolation=isolation,
    )


def _read_verdict(request: Request[Program], report: bytes) -> tuple[CheckState, str]:
    for message in _messages(request.nonces[1], report, 1):
        match message:
            case ["passed"]:
                return "passed", ""
            case ["failed", str(text)]:
                return "failed", text
    return "not run", ""
