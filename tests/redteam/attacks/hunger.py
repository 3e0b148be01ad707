"""Memory, CPU and recursion: programs that use up what they can get."""

from __future__ import annotations

from attacks.entry import Attack

MEMORY = "the address space ends at its limit: an error or a death of its own"
TIME = "it is killed at the limit"
ATTACKS = (
    Attack("a memory bomb", MEMORY, "hoard = []\nwhile True: hoard.append(bytearray(1 << 24))"),
    Attack("a memory bomb in one go", MEMORY, "def word(n): return 'x' * (1 << 40)"),
    Attack(
        "a memory bomb that survives its error",
        MEMORY,
        "hoard = []\nsize = 1 << 26\ndef word(n):\n    global size\n    while size > 64:\n"
        "        try: hoard.append(bytearray(size))\n        except MemoryError: size //= 2\n"
        "    return 'x'",
    ),
    Attack(
        "memory through mmap",
        "shared and anonymous mappings count too",
        """
import mmap
hoard = []
def word(n):
    try:
        while len(hoard) < 4096:
            hoard.append(mmap.mmap(-1, 1 << 24))
            hoard[-1].write(b'x' * (1 << 24))
    except OSError: pass
    return 'breach: %d MB' % (len(hoard) * 16) if len(hoard) > 64 else 'x'
""",
    ),
    Attack(
        "memory in files without a name",
        "memory behind a memfd is bounded by the file limit, or there is none to have",
        """
import os
def word(n):
    total, files = 0, []
    try:
        for _ in range(50):
            files.append(os.memfd_create('x'))
            for _ in range(64): total += os.write(files[-1], b'x' * (1 << 20))
    except (OSError, AttributeError): pass
    return 'breach: %d MB' % (total >> 20) if total > 1100 << 20 else 'x'
""",
    ),
    Attack(
        "memory in the kernel's buffers",
        "pipes and sockets full of data are bounded by the descriptors it may have",
        """
import os, socket
kept = []
def word(n):
    try:
        while len(kept) < 3000:
            a, b = socket.socketpair()
            kept.append((a, b))
            a.setblocking(False)
            a.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            while True: a.send(b'x' * 65536)
    except OSError as error:
        pass
    return 'breach: %d sockets' % len(kept) if len(kept) > 1000 else 'x'
""",
    ),
    Attack("a large value", "values have a bounded size", "def word(n): return 'x' * (1 << 26)"),
    Attack("a large number", "numbers too", "def word(n): return 1 << (1 << 26)"),
    Attack(
        "a large number to print",
        "our messages never print a number in decimal that takes long to print",
        "def successor(n): return 10 ** 700000",
        problem="successor",
    ),
    Attack("a million nodes", "and trees of values", "def word(n): return [[]] * 10**6"),
    Attack(
        "a tree that is small in memory only",
        "shared parts are counted each time they are met",
        "def word(n):\n    x = []\n    for _ in range(50): x = [x, x]\n    return x",
    ),
    Attack(
        "a deep value",
        "and their depth is bounded",
        "def word(n):\n    x = []\n    for _ in range(100000): x = [x]\n    return x",
    ),
    Attack(
        "an endless generator",
        "an iterator is walked for a bounded number of steps",
        "import itertools\ndef word(n): return (x for x in itertools.count())",
    ),
    Attack("an infinite loop", TIME, "while True: pass", ends=("timeout",)),
    Attack(
        "an infinite loop in the call",
        TIME,
        "def word(n):\n    while True: pass",
        ends=("timeout",),
    ),
    Attack(
        "one endless instruction",
        "a loop in C that never looks for signals is killed all the same",
        "def word(n): return sum(range(10**12))",
        ends=("timeout",),
    ),
    Attack(
        "an endless power",
        "the same, in arithmetic",
        "def word(n): return len(str(9 ** 9 ** 8))",
        ends=("timeout", "finished", "died"),
    ),
    Attack(
        "an endless match",
        "the same, in a regular expression",
        "import re\ndef word(n): return bool(re.match('(a*)*b', 'a' * 40))",
        ends=("timeout",),
    ),
    Attack(
        "threads that spin",
        "all threads share the limits of their process",
        "import threading\ndef spin():\n    while True: pass\nfor _ in range(1000):\n    try:\n"
        "        threading.Thread(target=spin).start()\n    except RuntimeError: pass",
        ends=("timeout",),
    ),
    Attack(
        "threads that wait",
        "the number of threads is bounded",
        """
import threading, time
count = 0
def word(n):
    global count
    try:
        while count < 500:
            threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
            count += 1
    except (RuntimeError, MemoryError): pass
    return 'breach: %d threads' % count if count > 100 else 'x'
""",
    ),
    Attack(
        "threads with large stacks",
        MEMORY,
        "import threading, time\nthreading.stack_size(1 << 28)\nfor _ in range(100):\n    try:\n"
        "        threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n"
        "    except (RuntimeError, MemoryError): pass\ndef word(n): return 'x'",
    ),
    Attack("deep recursion", "an error of its own", "def word(n): return word(n)"),
    Attack(
        "deeper recursion",
        "the stack ends at its limit: a death of its own",
        "import sys\nsys.setrecursionlimit(1 << 30)\ndef word(n): return word(n)",
    ),
    Attack(
        "recursion in C",
        "the stack ends at its limit: a death of its own",
        "import sys\nsys.setrecursionlimit(1 << 30)\nx = []\nfor _ in range(10**6): x = [x]\n"
        "def word(n): return repr(x)",
    ),
    Attack(
        "recursion in a destructor",
        "taking apart what it built is its own affair",
        "class N:\n    pass\ndef word(n):\n    head = None\n    for _ in range(10**5):\n"
        "        node = N()\n        node.next = head\n        head = node\n    del head\n    return 'x'",
    ),
    Attack(
        "recursion in the handler of recursion",
        "an error of its own",
        "def word(n):\n    try: return word(n)\n    except RecursionError: return word(n)",
    ),
    Attack(
        "code too deep to compile",
        "the compiler gives up, in its process",
        "x = " + "(" * 3000 + ")" * 3000,
        ends=("finished", "died"),
    ),
    Attack("a long chain to compile", "the same", "x = " + "-" * 90000 + "1"),
    Attack("a long sum to compile", "the same", "x = 1" + "+1" * 45000),
    Attack("a constant too large to fold", "the same", "x = ((9 ** 99999) ** 99999) ** 99999"),
    Attack("blocks in blocks", "the same", "\n".join(" " * i + "if 1:" for i in range(120))),
    Attack(
        "raised limits",
        "hard limits cannot be raised again",
        """
import resource
def word(n):
    raised = []
    for name in ('RLIMIT_AS', 'RLIMIT_CPU', 'RLIMIT_NPROC', 'RLIMIT_NOFILE', 'RLIMIT_FSIZE',
                 'RLIMIT_CORE', 'RLIMIT_MSGQUEUE'):
        kind = getattr(resource, name)
        soft, hard = resource.getrlimit(kind)
        try: resource.setrlimit(kind, (hard + 1, hard + 1)) if hard >= 0 else raised.append(name)
        except (ValueError, OSError): continue
        raised.append(name)
    return 'breach: ' + ' '.join(raised) if raised else 'nothing'
""",
    ),
    Attack(
        "the crash of the interpreter",
        "a crash is a death of its own",
        "import ctypes\nctypes.string_at(0)",
        ends=("died", "finished"),
    ),
)
