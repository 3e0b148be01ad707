"""The fork server: a small interpreter that forks one limited child per untrusted program.

Started by `python.py` in a bare interpreter (standard library only, no site-packages).
It speaks over one inherited socket. A request: 8 bytes of length, 16 of nonce, then JSON; a reply:
8 bytes of length, then one JSON line followed by the raw bytes the child wrote to its private pipe.

Every child is a copy of this process, so nothing about one program may stay in it: requests are
read by the child itself, and what children report passes through memory that forks do not copy.
Expected values never come here at all; the parent compares (docs/design/sandbox.md).
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import mmap
import os
import random
import select
import signal
import socket
import struct
import sys
import time
import types
from typing import Any

from awry.sandbox.confinement import clean, confine, isolate

# What answers may import. All of it is loaded before the file system goes away.
PRELOADED = """
abc array ast base64 binascii bisect builtins calendar cmath codecs collections collections.abc
contextlib copy copyreg csv dataclasses datetime decimal difflib
enum fractions functools gc graphlib hashlib heapq inspect io itertools json
keyword linecache locale logging math numbers operator os os.path pathlib pprint queue random re
reprlib secrets shlex signal stat statistics string struct sys tempfile textwrap threading time
timeit token tokenize traceback types typing unicodedata unittest uuid warnings
weakref zlib
"""

# Bound before any untrusted code runs, so that a patched builtin does not break the report.
_type, _len, _str, _repr, _format = type, len, str, repr, format
_dict_items, _exec, _eval, _compile = dict.items, exec, eval, compile
_callable, _getattr, _write, _BaseException = callable, getattr, os.write, BaseException
_exit = os._exit
_dumps = json.JSONEncoder(check_circular=False).encode

MAX_NODES, MAX_KEYS, MAX_DEPTH = 200_000, 5_000, 60


# ---- values ------------------------------------------------------------------------------------
class _TooLarge(Exception):
    pass


def encode(value: Any, budget: list[int], depth: int = 0) -> Any:
    """A JSON tree that names every exact type. Anything else becomes ["?", type name].

    The walk goes by `type(x) is T`, so no method of a subclass is ever called.
    """
    kind = _type(value)
    budget[0] -= 1
    if budget[0] < 0 or depth > MAX_DEPTH:
        raise _TooLarge
    if value is None or kind is bool or kind is float:
        return value
    if kind is int:
        return value if -(10**15) < value < 10**15 else ["i", _format(value, "x")]
    if kind is str:
        budget[0] -= _len(value) // 64
        return value
    if kind is list or kind is tuple:
        tag = "l" if kind is list else "t"
        return [tag, *[encode(item, budget, depth + 1) for item in value]]
    if kind is set or kind is frozenset:
        if _len(value) > MAX_KEYS:
            raise _TooLarge
        return ["s", *[encode(item, budget, depth + 1) for item in value]]
    if kind in _MAPPINGS:
        if _len(value) > MAX_KEYS:
            raise _TooLarge
        pairs = _dict_items(value)
        return [
            "d",
            *[[encode(k, budget, depth + 1), encode(v, budget, depth + 1)] for k, v in pairs],
        ]
    if kind is bytes:
        return ["b", value.hex()]
    if kind is complex:
        return ["c", value.real, value.imag]
    if kind in _ITERABLES:
        return ["g", *[encode(item, budget, depth + 1) for item in value]]
    return ["?", _str(_getattr(kind, "__name__", "object"))[:80]]


def _exact_types() -> tuple[tuple[type, ...], tuple[type, ...]]:
    from collections import Counter, OrderedDict, defaultdict, deque

    mappings = (dict, Counter, OrderedDict, defaultdict)
    generator = (item for item in ())
    empty: dict[int, int] = {}
    iterables = (
        *(range, map, filter, zip, enumerate, reversed, deque, type(generator)),
        *(type(empty.keys()), type(empty.values()), type(empty.items())),
        *(type(iter([])), type(iter(())), type(iter(set())), type(iter(empty)), type(reversed([]))),
    )
    return mappings, iterables


_MAPPINGS, _ITERABLES = _exact_types()


# ---- the child ---------------------------------------------------------------------------------
def _describe(error: BaseException) -> str:
    with contextlib.suppress(_BaseException):
        return f"{_type(error).__name__}: {_str(error)}"[:300]
    return "an exception without a readable message"


def execute(request: dict[str, Any], nonce: str, channel: int) -> None:
    """Load the program, evaluate its calls, call its evaluator; report each on `channel`."""

    def say(*message: Any) -> None:
        data = ("\n" + _dumps([nonce, *message]) + "\n").encode()
        while data:
            data = data[_write(channel, data) :]

    try:
        program = _compile(request["source"], "<answer>", "exec", dont_inherit=True)
    except _BaseException as error:
        return say("uncompilable", _describe(error))
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
        return say("unloadable", _describe(error))
    say("loaded")
    for index, call in enumerate(request["calls"]):
        try:
            value = _eval(_compile(call, "<call>", "eval", dont_inherit=True), namespace)
            say("value", index, encode(value, [MAX_NODES]))
        except _TooLarge:
            say("unreadable", index, "value too large or too deep")
        except _BaseException as error:
            say("raised", index, _describe(error))
    name = request["evaluator"]
    if name is not None:
        function: Any = namespace.get(name)
        try:
            if not _callable(function):
                solution: Any = namespace.get("Solution")
                if not _callable(solution) or not hasattr(solution, name):
                    return say("evaluator", "missing", "")
                function = _getattr(solution(), name)
            function()
            say("evaluator", "returned", "")
        except _BaseException as error:
            say("evaluator", "raised", _describe(error))


# ---- the server --------------------------------------------------------------------------------
def run_one(
    link: socket.socket, size: int, nonce: str, limits: dict[str, Any], state: dict[str, Any]
) -> None:
    """Fork, watch, kill, reply. The child reads its own request of `size` bytes from `link`."""
    begun = time.monotonic()
    end_mark = ("\n" + _dumps([nonce, "done"]) + "\n").encode()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            request = json.loads(_receive(link, size) or b"")
            confine(limits, writer, state)
            random.seed(0)
        except BaseException:
            _exit(125)
        try:
            execute(request, nonce, 3)
            _write(3, end_mark)
        finally:
            _exit(0)
    os.close(writer)
    deadline = begun + limits["wall_s"]
    report = memoryview(state["buffer"])
    count = 0
    status = "died"
    poller = select.poll()
    poller.register(reader, select.POLLIN | select.POLLHUP)
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not poller.poll(left * 1000):
            status = "timeout"
            break
        got = os.readv(reader, [report[count:]])
        count += got
        if not got:
            break
        if count == len(report):
            status = "overflow"
            break
        if report[max(0, count - len(end_mark)) : count] == end_mark:
            status = "finished"
            break
    os.close(reader)
    wait_status = _kill_tree(pid, state)
    if count == 0 and os.waitstatus_to_exitcode(wait_status) == 125:
        sys.exit("a child could not be confined")  # no reply: a failure of the sandbox
    header = {"status": status, "seconds": time.monotonic() - begun, "exit": wait_status}
    head = json.dumps(header).encode() + b"\n"
    link.sendall(struct.pack("!Q", len(head) + count) + head)
    link.sendall(report[:count])


def _kill_tree(pid: int, state: dict[str, Any]) -> int:
    """Kill the child and whatever it left behind; reap all. Returns the child's wait status."""
    if state["init"]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)  # we are process 1 of this PID namespace
    else:
        for kill in (os.kill, os.killpg):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(ChildProcessError):
        while state["init"]:
            os.waitpid(-1, 0)
    return status


def _receive(link: socket.socket, count: int) -> bytes | None:
    data = bytearray()
    while len(data) < count:
        chunk = link.recv(count - len(data))
        if not chunk:
            return None
        data += chunk
    return bytes(data)


def serve(descriptor: int, options: str) -> None:
    """Say which layers are in force, then run requests until the parent hangs up."""
    link, settings = socket.socket(fileno=descriptor), json.loads(options)
    for name in PRELOADED.split():
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    sys.path.clear()
    sys.argv.clear()
    os.environ.clear()
    state, layers = isolate(settings["base"], settings["namespaces"])
    gc.collect()
    gc.freeze()
    hello = json.dumps({"layers": layers}).encode()
    link.sendall(struct.pack("!Q", len(hello)) + hello)
    state["buffer"] = mmap.mmap(-1, settings["limits"]["output_bytes"])
    state["buffer"].madvise(mmap.MADV_DONTFORK)
    while (head := _receive(link, 24)) is not None:
        (size,) = struct.unpack("!Q", head[:8])
        run_one(link, size, head[8:].decode(), settings["limits"], state)
        clean(state)
