"""Attacks on the process that runs a problem's own `check`: it must believe data only."""

from __future__ import annotations

from attacks.entry import Attack

DATA = "the checker is sent data; it compares in a process the answer never meets"


def _against(
    name: str, must: str, program: str, problem: str = "checked", **more: object
) -> Attack:
    return Attack(name, must, program, problem=problem, **more)  # type: ignore[arg-type]


ATTACKS = (
    _against("a wrong answer to a check", DATA, "def word(n): return 'x'"),
    _against(
        "an object equal to everything, checked",
        DATA,
        "class Any(str):\n    def __eq__(self, other): return True\n    __hash__ = str.__hash__\n"
        "def word(n): return Any('x')",
    ),
    _against(
        "ends while it is checked",
        "an answer that ends is an answer that failed",
        "import os\ndef word(n): os._exit(0)",
    ),
    _against(
        "exits while it is checked",
        "exits of the answer do not end the checker well",
        "import sys\ndef word(n): sys.exit(0)",
    ),
    _against(
        "sleeps while it is checked",
        "the checker waits no longer than the limit",
        "import time\ndef word(n): time.sleep(1000)",
    ),
    _against(
        "stops iteration",
        "an answer that raises StopIteration does not end the checker's loops early",
        "def word(n): raise StopIteration",
        problem="looped",
    ),
    _against(
        "stops iteration by a subclass",
        "nor does a class derived from it",
        "class Enough(StopIteration): pass\ndef word(n): raise Enough",
        problem="looped",
    ),
    _against(
        "closes the checker's generators",
        "nor do exceptions that the language itself uses",
        "def word(n): raise (GeneratorExit, StopAsyncIteration, SystemExit, KeyboardInterrupt)[n % 4]",
        problem="looped",
    ),
    _against(
        "an exception named after a function",
        "the name of an exception is looked up among exceptions only",
        "class exec(Exception): pass\ndef word(n): raise exec('import os, sys; os._exit(0)')",
    ),
    _against(
        "exceptions with other names",
        "unknown names are one general error",
        "names = ['eval', 'exit', 'quit', '__import__', 'print', 'input', 'breakpoint', 'object']\n"
        "def word(n): raise type(names[n % 8], (Exception,), {})('0')",
    ),
    _against(
        "an assertion that explains itself",
        "an AssertionError of the answer is the answer's",
        "def word(n): raise AssertionError('passed')",
    ),
    _against(
        "an exception that was expected",
        "a check that wants an error gets one only if it was raised for this argument",
        "def word(n): raise ValueError",
    ),
    _against(
        "a reply before it is asked",
        "a reply that was not asked for is no reply to the next question",
        """
import json, os, stat
def word(n):
    for fd in range(3, 64):
        try: mode = os.fstat(fd).st_mode
        except OSError: continue
        for tree in (True, 'x', ['value', 0, 'x'], ['check', 'passed', '']):
            try: os.write(fd, ('\\n' + json.dumps(tree) + '\\n').encode())
            except OSError: pass
    return 'x'
word(0)
""",
    ),
    _against(
        "many replies to one question",
        "one question, one reply",
        """
import json, os, sys
def word(n):
    frame = sys._getframe()
    texts = set()
    while frame is not None:
        texts |= {v for v in frame.f_locals.values() if type(v) is str and 8 <= len(v) <= 64}
        frame = frame.f_back
    for text in texts:
        for word in ('value', 'reply', 'returned', 'check', 'passed', 'done'):
            for rest in ((0, 'x'), ('passed', ''), ('x',), ()):
                for fd in (3, 4):
                    try: os.write(fd, ('\\n' + json.dumps([text, word, *rest]) + '\\n').encode())
                    except OSError: pass
    return 'x'
""",
    ),
    _against(
        "a reply too large",
        "large replies are refused, not collected",
        "def word(n): return ['x' * 1000] * 150000",
        alone=True,
    ),
    _against(
        "a reply that is hard to keep",
        "numbers chosen to collide cost the attacker's limit, not the grader's time",
        "def word(n): return [{k * (2 ** 61 - 1) for k in range(1, 2400)}] * 40",
        alone=True,
    ),
    _against(
        "a reply that is no reply",
        "what cannot be read is a failure of the answer",
        """
import os
def word(n):
    for fd in range(3, 64):
        try: os.write(fd, b'\\xff\\xfe\\n[[[[\\n{"a":\\n' + b'\\0' * 1000)
        except OSError: pass
    return object()
""",
    ),
    _against(
        "a pipe that is closed on the checker",
        "a broken connection is a failure of the answer, not of the sandbox",
        "import os\ndef word(n):\n    os.closerange(0, 64)\n    return 'x'",
    ),
    _against(
        "arguments that are changed",
        "changes of arguments are data as well: what the check kept is not changed",
        "def word(n):\n    return 'x'\ndef first(items):\n    items.clear()\n"
        "    items.append('x')\n    return 'x'",
        problem="changed",
    ),
    _against(
        "arguments changed into others",
        "an argument stays what it is, with other items",
        "def first(items):\n    items[:] = [items]\n    items.append(items)\n    return items",
        problem="changed",
    ),
    _against(
        "a target that is something else",
        "what is called is what the answer defines, and its value is compared",
        "class word:\n    def __new__(cls, n): return object.__new__(cls)\n"
        "    def __eq__(self, other): return True",
    ),
    _against(
        "a check of its own",
        "a check the answer defines is not the problem's",
        "def check(candidate): pass\ndef candidate(n): return 'x'\ncheck_passed = passed = True\n"
        "def word(n): return 'x'",
    ),
    _against(
        "it kills the checker",
        "the checker cannot be reached; if it dies, the check has not passed",
        "import os, signal\ndef word(n):\n    for pid in range(2, 12):\n"
        "        if pid != os.getpid():\n            try: os.kill(pid, signal.SIGKILL)\n"
        "            except OSError: pass\n    return 'x'",
        effect="signal",
        stopped_by=("pidns", "setuid", "seccomp"),
        broadcast=True,
    ),
    _against(
        "it stops the checker",
        "a checker that stands still has not passed the answer",
        "import os, signal\ndef word(n):\n    for pid in (os.getppid(), os.getpid() - 1, os.getpid() + 1):\n"
        "        try: os.kill(pid, signal.SIGSTOP)\n        except OSError: pass\n    return 'x'",
        effect="signal",
        stopped_by=("pidns", "setuid", "seccomp"),
        broadcast=True,
    ),
    _against(
        "it reads the checker's memory",
        DATA,
        """
import ctypes, os, re
libc = ctypes.CDLL(None)
buffer = ctypes.create_string_buffer(4096)
vector = ctypes.c_void_p * 2
def word(n):
    near = id(buffer) >> 24
    for pid in {os.getpid() - 1, os.getpid() + 1, os.getpid() + 2, os.getppid()}:
        for page in range((near - 1) << 24, (near + 1) << 24, 4096):
            got = libc.process_vm_readv(pid, vector(ctypes.addressof(buffer), 4096), 1, vector(page, 4096), 1, 0)
            if got < 0 and page == (near - 1) << 24 + 4096 * 64: break
            match = got > 0 and re.search(b'[a-z]+-[0-9]{4}-%d' % n, buffer.raw)
            if match: return match.group().decode()
    return 'nothing'
""",
    ),
    _against(
        "it copies the right answers it hears",
        "arguments of a question hold no answers",
        "heard = []\ndef word(n):\n    heard.append(n)\n    return heard[0]",
    ),
    _against(
        "it never loads",
        "an answer that does not load fails its check",
        "raise SystemExit(0)",
    ),
    _against("it has no such function", "nor one without the function", "x = 1"),
)
