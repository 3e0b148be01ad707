"""The community REPL (leanprover-community/repl) in a Lake project: headers are loaded once.

A request is a JSON object and a blank line, {"cmd": ..., "env": n}; the reply another one,
{"env": m, "messages": [...], "sorries": [...]} or {"message": error}. Environments never change,
so each text starts from its header's; the process is shared, and what native code does to it lasts.
"""

from __future__ import annotations

import json
import os
import queue
import secrets
import shutil
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from awry.errors import UserError
from awry.lean.checks import Elaboration, Message
from awry.lean.elsewhere.lake import (
    FLOOD,
    MEMORY_MB,
    MOST_OUTPUT,
    WALL_S,
    default_workers,
    position,
    project_identity,
)
from awry.lean.elsewhere.outside import Came, Project, Running, confinement, open_project

USES = 100  # texts after which a process is replaced: it keeps every environment it ever made
_HEADERS = 3  # loaded into one process
_HEADER_S = 300.0  # Mathlib from a cold disk
_WITHOUT_FILES = (
    "the REPL writes no file that the sound grade could judge (use the toolchain lake:DIR)"
)
_PLACES = (
    ".lake/build/bin/repl",
    ".lake/packages/repl/.lake/build/bin/repl",
    ".lake/packages/REPL/.lake/build/bin/repl",
)


class ReplFailed(Exception):
    """What came back is not this protocol, or nothing came."""


class LeanRepl:
    """A pool of REPL processes. executable: by default looked for in the project.

    wall_s: for one text. A process is replaced after `uses` texts, and whenever a text took too
    long, used too much memory or ended it.
    """

    name = "repl"
    writes_oleans = False
    why_not_sound = _WITHOUT_FILES

    def __init__(
        self,
        folder: Path,
        executable: Path | None = None,
        *,
        workers: int | None = None,
        wall_s: float = WALL_S,
        memory_mb: float = MEMORY_MB,
        uses: int = USES,
    ) -> None:
        self.project = open_project(folder)
        self.executable = find_repl(self.project, executable)
        self.workers = workers or default_workers()
        self.wall_s, self.memory_mb, self.uses = wall_s, memory_mb, uses
        self.isolation = confinement()[1]
        self._slots = [Slot(self) for _ in range(self.workers)]
        self._lock = threading.Lock()

    def __enter__(self) -> LeanRepl:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        for slot in self._slots:
            slot.stop()

    def identity(self) -> dict[str, str]:
        return {
            "toolchain": self.name,
            **project_identity(self.project),
            "wall_s": str(self.wall_s),
            "memory_mb": str(self.memory_mb),
        }

    def elaborate(self, texts: Sequence[tuple[str, str]]) -> list[Elaboration]:
        """Raises UserError for a header that does not elaborate in this project."""
        with self._lock:
            return self._elaborate(texts)

    def _elaborate(self, texts: Sequence[tuple[str, str]]) -> list[Elaboration]:
        found: dict[int, Elaboration] = {}
        failures: queue.SimpleQueue[BaseException] = queue.SimpleQueue()
        waiting, lock = deque(enumerate(texts)), threading.Lock()

        def serve(slot: Slot) -> None:
            while failures.empty():
                with lock:
                    if not waiting:
                        return
                    # a text whose header is loaded here, before others
                    known = (i for i, (_, pair) in enumerate(waiting) if pair[0] in slot.headers)
                    place = next(known, 0)
                    index, (header, text) = waiting[place]
                    del waiting[place]
                try:
                    found[index] = slot.elaborate(header, text)
                except BaseException as error:  # raised again in the caller's thread
                    failures.put(error)

        threads = [
            threading.Thread(target=serve, args=(slot,), name="repl", daemon=True)
            for slot in self._slots[: len(texts)]
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if not failures.empty():
            raise failures.get()
        return [found[index] for index in range(len(texts))]


def find_repl(project: Project, given: Path | None) -> Path:
    """The REPL's program: as given, in the project, or where `lake env` finds it."""
    places = [given] if given else [project.folder / place for place in _PLACES]
    for place in places:
        if place.is_file() and os.access(place, os.X_OK):
            return place.resolve()
    on_path = None if given else shutil.which("repl", path=project.environment.get("PATH"))
    if on_path:
        return Path(on_path)
    raise UserError(
        "there is no REPL in this project",
        field="toolchain",
        value=str(given or project.folder),
        fix="require leanprover-community/repl in the lakefile and `lake build repl`, or name its "
        "program: repl:DIR@PROGRAM",
    )


class Slot:
    """One worker of a pool: its process, started when there is something to do."""

    def __init__(self, pool: LeanRepl) -> None:
        self.pool = pool
        self.headers: dict[str, int] = {}  # header -> its environment in the process
        self._running: Running | None = None
        self._used = 0
        self._next = 0  # the number of the next environment

    def elaborate(self, header: str, text: str) -> Elaboration:
        found = self._once(header, text)
        # a process that others used may have been broken by them: ask again in a fresh one
        if found.ended in ("failed", "crashed") or (found.ended == "memory" and self._used > 1):
            self.stop()
            found = self._once(header, text)
        if found.ended != "finished" or found.exit_code is not None:
            self.stop()
        return found

    def _once(self, header: str, text: str) -> Elaboration:
        begun, pool = time.monotonic(), self.pool
        try:
            running = self._loaded(header)
        except ReplFailed as failure:
            return Elaboration("failed", detail=str(failure), isolation=pool.isolation)
        self._used += 1
        running.peak_mb = 0.0
        try:
            came, reply = self._ask(running, text, self.headers[header], pool.wall_s)
            found = self._read(came, reply, running)
        except ReplFailed as failure:
            # the header was answered rightly by this very process: it is the text that forges
            found = Elaboration("crashed", detail=str(failure))
        return replace(
            found,
            seconds=time.monotonic() - begun,
            peak_mb=running.peak_mb,
            isolation=pool.isolation,
        )

    def _read(self, came: Came, reply: dict[str, Any], running: Running) -> Elaboration:
        if came == "flood":
            return Elaboration("finished", (FLOOD,), exit_code=1)
        if came in ("timeout", "memory"):
            return Elaboration(came)
        if came == "ended":
            code = running.exit_code()
            detail = f"the process ended with status {code}. {running.errors()[-300:]}"
            return Elaboration("crashed", exit_code=code, detail=detail)
        try:
            return Elaboration("finished", read_reply(reply))
        except ReplFailed as failure:
            return Elaboration("failed", detail=str(failure))

    def _loaded(self, header: str) -> Running:
        """A process in which this header is an environment. Raises ReplFailed, UserError."""
        running = self._running
        stale = self._used >= self.pool.uses or len(self.headers) >= _HEADERS
        if running and (
            not running.alive()
            or self._used >= self.pool.uses
            or (header not in self.headers and stale)
        ):
            self.stop()
            running = None
        if running is None:
            pool = self.pool
            command = [str(pool.executable)]
            running = Running(command, pool.project.environment, pool.project.folder, 0.0)
            self._running = running
        if header not in self.headers:
            # an empty one, too: without an environment a text would begin a session of its own,
            # with imports of its choice
            came, reply = self._ask(running, header.strip() or "\n", None, _HEADER_S)
            if came != "done":
                raise ReplFailed(f"the header: {came}; {running.errors()[-300:]}")
            # an import that is not there is the REPL's own error, everything else a message
            errors = [str(reply["message"])] if "message" in reply else [
                m.text for m in read_reply(reply) if m.severity == "error"
            ]  # fmt: skip
            if errors:
                self.stop()
                raise UserError(
                    "the header does not elaborate in this project",
                    field="header",
                    value=errors[0],
                    fix="build the project (`lake build`, for Mathlib `lake exe cache get`)",
                )
            self.headers[header] = reply["env"]
        return running

    def _ask(
        self, running: Running, text: str, environment: int | None, wall_s: float
    ) -> tuple[Came, dict[str, Any]]:
        """One command and its reply, both numbered and followed by a question with an answer that
        cannot be known before: what a text printed itself is then one reply too many."""
        word = f"awry_{secrets.token_hex(8)}"
        command: dict[str, Any] = {"cmd": text}
        question: dict[str, Any] = {"cmd": f"#check {word}"}
        if environment is not None:
            command["env"] = environment
        question["env"] = self._next if environment is None else environment
        came, reply = self._exchange(running, command, wall_s)
        if came != "done":
            return came, reply
        if environment is None and "message" in reply:  # nothing that a question could be put to
            return "done", reply
        if "message" not in reply and reply.get("env") != self._next:
            raise ReplFailed("a reply without the number that was due")
        came, answer = self._exchange(running, question, wall_s)
        if came != "done":
            return came, {}
        if "message" in reply:  # no environment was made: nothing is counted
            self._next -= 1
        if answer.get("env") != self._next + 1 or word not in json.dumps(answer):
            raise ReplFailed("a reply that no command was given for")
        self._next += 2
        return "done", reply

    def _exchange(
        self, running: Running, command: dict[str, Any], wall_s: float
    ) -> tuple[Came, dict[str, Any]]:
        running.output.clear()
        # as UTF-8: not every Lean reads the escapes of characters beyond the first 65,536
        line = json.dumps(command, ensure_ascii=False) + "\n\n"
        came = running.exchange(
            line.encode(errors="replace"),
            _complete,
            wall_s=wall_s,
            memory_mb=self.pool.memory_mb,
            most=MOST_OUTPUT,
        )
        if came != "done":
            return came, {}
        first, _, rest = bytes(running.output).partition(b"\n\n")
        try:
            reply = json.loads(first)
        except (ValueError, RecursionError) as error:
            raise ReplFailed(f"a reply that is no JSON: {first[:200]!r}") from error
        if rest.strip() or not isinstance(reply, dict):
            raise ReplFailed("more than one reply to one command")
        return "done", reply

    def stop(self) -> None:
        if self._running:
            self._running.close()
        self._running, self._used, self._next = None, 0, 0
        self.headers.clear()


def _complete(output: bytearray) -> bool:
    return b"\n\n" in output


def read_reply(reply: object) -> tuple[Message, ...]:
    """The messages of a command's reply, those of `sorries` that no message tells of added.

    Raises ReplFailed for an error of the REPL's own, and for what has another form.
    """
    if not isinstance(reply, dict):
        raise ReplFailed("a reply of another form")
    if "message" in reply:
        raise ReplFailed(f"the REPL says: {str(reply['message'])[:300]}")
    messages, sorries = (reply.get(name) for name in ("messages", "sorries"))
    messages, sorries = [] if messages is None else messages, [] if sorries is None else sorries
    if not isinstance(messages, list) or not isinstance(sorries, list):
        raise ReplFailed("a reply of another form")
    found = [_message(data) for data in messages]
    if sorries and not any(m.kind == "hasSorry" for m in found):
        # listed even where an option silences the warning
        for entry in sorries:
            line, column = position(entry.get("pos") if isinstance(entry, dict) else None)
            note = Message("warning", "declaration uses `sorry`", "hasSorry", line, column)
            found.append(note)
    return tuple(found)


def _message(data: object) -> Message:
    severities = {"error": "error", "warning": "warning", "info": "information"}
    severities |= {"trace": "information", "information": "information"}
    severity = data.get("severity") if isinstance(data, dict) else None
    if not isinstance(data, dict) or severity not in severities or "data" not in data:
        raise ReplFailed(f"a message of another form: {str(data)[:200]}")
    text = str(data["data"])
    # the two wordings of Lean: 'sorry' up to 4.20 or so, `sorry` after
    sorry = severity == "warning" and text.startswith("declaration uses ")
    line, column = position(data.get("pos"))
    word = severities[severity]
    assert word in ("error", "warning", "information")
    return Message(word, text, "hasSorry" if sorry and "sorry" in text else "", line, column)
