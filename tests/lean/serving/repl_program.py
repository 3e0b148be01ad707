"""The community REPL's protocol over the wheel's Lean. Run as `repl_program.py LIBRARY`.

An environment is kept as the text that made it, and elaborated again with each command on it. What
goes wrong is asked for by a comment in the command: `-- serving: WORD [NUMBER]`.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from lean_program import run

FLOOD = 3 << 20


def main() -> None:
    library = ctypes.CDLL(sys.argv[1], mode=os.RTLD_NOW)
    environments: list[str] = []
    broken = False
    while command := read_command():
        word, number = asked(command.get("cmd", ""))
        if broken:
            os.kill(os.getpid(), signal.SIGSEGV)
        broken = word == "poison"
        misbehave(word, number, len(environments))
        reply = answer(library, command, environments)
        if word == "flood":
            reply["messages"] = [{**message(), "data": "x" * 1000} for _ in range(FLOOD // 1000)]
        if word == "unnumbered":
            del reply["env"]
        print(json.dumps(reply, indent=1, ensure_ascii=False), end="\n\n", flush=True)


def read_command() -> dict[str, Any]:
    lines: list[str] = []
    for line in sys.stdin:
        if not line.strip():
            if lines:
                return json.loads("".join(lines))
            continue
        if re.search(r"\\u[dD][89a-fA-F]", line):  # as older versions of Lean's JSON
            raise SystemExit("escapes of half a character are not known")
        lines.append(line)
    return {}


def asked(text: str) -> tuple[str, float]:
    found = re.search(r"-- serving: ([\w-]+) ?([\d.]*)", text)
    return (found[1], float(found[2] or 0)) if found else ("", 0.0)


def misbehave(word: str, number: float, next_environment: int) -> None:
    if word == "slow":
        time.sleep(number)
    if word == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if word == "exit":
        os._exit(0)
    if word == "garbage":
        print("this is no JSON", end="\n\n", flush=True)
    if word in ("forge", "forge-and-end"):  # as a submission's native code would
        print(json.dumps({"env": next_environment}), end="\n\n", flush=True)
    if word == "forge-and-end":
        os._exit(0)
    if word == "number":
        print(json.dumps({"env": 7777}), end="\n\n", flush=True)
    if word == "eat":
        held = bytearray(int(number) << 20)
        time.sleep(20 if held else 0)


def message(line: int = 1) -> dict[str, Any]:
    return {"severity": "info", "pos": {"line": line, "column": 0}, "data": ""}


def answer(
    library: ctypes.CDLL, command: dict[str, Any], environments: list[str]
) -> dict[str, Any]:
    number, text = command.get("env"), command["cmd"]
    if number is not None and number >= len(environments):
        return {"message": "Unknown environment."}
    prefix = environments[number] if number is not None else ""
    messages = elaborate(library, prefix + text)
    missing = [m["data"] for m in messages if m["data"].startswith("unknown module prefix")]
    if missing and number is None:  # an error of the REPL's own, with no environment
        return {"message": missing[0]}
    # as in the real one, a command on an environment can neither import nor begin with `prelude`
    environments.append(f"{prefix}{text}\n" if prefix or text.strip() else "section\nend\n")
    own, sorries = [], []
    for found in messages:
        place = {**found["pos"], "line": found["pos"]["line"] - prefix.count("\n")}
        if place["line"] < 1:
            continue
        if found["kind"] == "hasSorry":
            sorries.append({"pos": place, "endPos": place, "goal": "", "proofState": 0})
        severity = {"information": "info"}.get(found["severity"], found["severity"])
        entry = {"severity": severity, "pos": place, "endPos": place, "data": found["data"]}
        own.append(entry)
    if "warn.sorry false" in text and re.search(r"\bsorry\b", text):  # listed all the same
        sorries.append({"pos": {"line": 1, "column": 0}, "endPos": {}, "goal": "", "proofState": 0})
    reply: dict[str, Any] = {"env": len(environments) - 1}
    if own:
        reply["messages"] = own
    if sorries:
        reply["sorries"] = sorries
    return reply


def elaborate(library: ctypes.CDLL, text: str) -> list[dict[str, Any]]:
    """Messages; where the text ends Lean's process, it ends this one, as in the real REPL."""
    with tempfile.TemporaryDirectory() as folder:
        source, said, olean = (Path(folder) / name for name in ("source", "said", "olean"))
        source.write_text(text, encoding="utf-8")
        pid = os.fork()
        if pid == 0:
            os.dup2(os.open(source, os.O_RDONLY), 0)
            os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT), 1)
            os._exit(run(library, ["--stdin", "--json", "-o", str(olean)]))
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code < 0:
            os.kill(os.getpid(), -code)
        found: list[dict[str, Any]] = []
        for line in said.read_text(encoding="utf-8").splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                print(line, flush=True)
        if code == 0 and not olean.exists():
            os._exit(code)
        return found


if __name__ == "__main__":
    main()
