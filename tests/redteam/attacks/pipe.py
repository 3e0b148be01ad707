"""The result pipe: filled, closed, doubled, resized, left open. And output without end."""

from __future__ import annotations

from attacks.entry import Attack

PIPE = """
import fcntl, os, stat
def pipes():
    found = []
    for fd in range(256):
        try: mode = os.fstat(fd).st_mode
        except OSError: continue
        if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode): found.append(fd)
    return found
"""
HEARD = "too much, too little or nothing on the pipe ends this program only"
ATTACKS = (
    Attack(
        "floods its report",
        "a report is cut off at its size limit",
        PIPE + "def word(n):\n    while True:\n"
        "        for fd in pipes(): os.write(fd, b'[[[[[[[[[[[[[[[[[[' * 4000)",
    ),
    Attack(
        "floods its report with line ends",
        "and reading a full report costs the parent little",
        PIPE + "def word(n):\n    while True:\n"
        "        for fd in pipes(): os.write(fd, b'\\n' * 65536)",
        alone=True,
    ),
    Attack(
        "floods its report with small words",
        "and reading a full report costs the parent little",
        PIPE + "def word(n):\n    while True:\n"
        "        for fd in pipes(): os.write(fd, b'1\\n' * 32768)",
        alone=True,
    ),
    Attack(
        "floods its report with small lists",
        "and reading a full report costs the parent little",
        PIPE + "def word(n):\n    while True:\n"
        "        for fd in pipes(): os.write(fd, b'[[],{}]\\n' * 8192)",
        alone=True,
    ),
    Attack(
        "nests its report deeply",
        HEARD,
        PIPE + "def word(n):\n    for fd in pipes(): os.write(fd, b'\\n' + b'[' * 50000 + b'\\n')",
    ),
    Attack(
        "fills the pipe and waits",
        HEARD,
        PIPE + "import time\nfor fd in pipes(): os.write(fd, b'x' * 60000)\ntime.sleep(1000)",
        ends=("timeout",),
    ),
    Attack(
        "closes the pipe and goes on",
        "a program that has hung up is ended, it does not run on",
        PIPE + "import time\nfor fd in pipes(): os.close(fd)\ntime.sleep(1000)",
    ),
    Attack(
        "closes the pipe in a call",
        HEARD,
        PIPE + "def word(n):\n    for fd in pipes(): os.close(fd)\n    return 'x'",
    ),
    Attack(
        "doubles the pipe",
        "a pipe that is open many times is closed for us by a kill",
        PIPE + "import time\nfor fd in pipes():\n    try:\n        while True: os.dup(fd)\n"
        "    except OSError: pass\n    os.close(fd)\ntime.sleep(1000)",
    ),
    Attack(
        "makes the pipe non-blocking",
        "a report that breaks off is one that breaks off",
        PIPE + "for fd in pipes(): os.set_blocking(fd, False)\ndef word(n): return 'x' * 300000",
    ),
    Attack(
        "makes the pipe asynchronous",
        HEARD,
        PIPE
        + "for fd in pipes():\n    try:\n        fcntl.fcntl(fd, fcntl.F_SETOWN, os.getpid())\n"
        "        fcntl.fcntl(fd, fcntl.F_SETFL, os.O_ASYNC | os.O_DIRECT | os.O_NONBLOCK)\n"
        "    except OSError: pass\ndef word(n): return 'x'",
    ),
    Attack(
        "makes the pipe small",
        HEARD,
        PIPE
        + "for fd in pipes():\n    try: fcntl.fcntl(fd, 1031, 4096)\n    except OSError: pass\n"
        "def word(n): return 'x' * 20000",
    ),
    Attack(
        "makes the pipe large",
        HEARD,
        PIPE
        + "for fd in pipes():\n    try: fcntl.fcntl(fd, 1031, 1 << 20)\n    except OSError: pass\n"
        "def word(n): return 'x' * 900000",
    ),
    Attack(
        "shuts the socket down",
        HEARD,
        PIPE + "import socket\ndef word(n):\n    for fd in pipes():\n"
        "        try: socket.socket(fileno=fd).shutdown(2)\n        except OSError: pass\n    return 'x'",
    ),
    Attack(
        "reads what was meant for others",
        "nothing comes down the pipe that it could read",
        PIPE
        + "import select\ndef word(n):\n    for fd in pipes():\n        os.set_blocking(fd, False)\n"
        "        try: return 'breach: ' + os.read(fd, 4096).decode('latin-1')\n"
        "        except OSError: pass\n    return 'nothing'",
    ),
    Attack(
        "sends urgent data and file marks",
        HEARD,
        PIPE + "import ctypes\nlibc = ctypes.CDLL(None)\nfor fd in pipes():\n"
        "    libc.lseek(fd, 0, 0); libc.ftruncate(fd, 0); libc.flock(fd, 2); libc.fchmod(fd, 0)\n"
        "def word(n): return 'x'",
    ),
    Attack(
        "locks the pipe",
        HEARD,
        PIPE + "import ctypes\nlibc = ctypes.CDLL(None)\nfor fd in pipes():\n    try:\n"
        "        fcntl.lockf(fd, fcntl.LOCK_EX)\n    except OSError: pass\ndef word(n): return 'x'",
    ),
    Attack(
        "huge output",
        "what it prints goes nowhere and fills nothing",
        "def word(n):\n    while True: print('x' * 65536)",
        ends=("timeout",),
    ),
    Attack(
        "huge output in one go",
        "what it prints goes nowhere and fills nothing",
        "import sys\ndef word(n):\n    for _ in range(4): sys.stdout.write('x' * (1 << 25))\n    return 'x'",
    ),
    Attack(
        "stdout closed",
        "it may do without",
        "import os, sys\nos.close(1)\nos.close(2)\nos.close(0)\nsys.stdout = sys.stderr = None\n"
        "def word(n): print('x')",
    ),
    Attack(
        "values that are hard to put into a set",
        "numbers chosen to collide cost the parent little",
        "hard = {k * (2 ** 61 - 1) for k in range(1, 2500)}\ndef word(n): return [hard] * 40",
        alone=True,
    ),
    Attack(
        "keys that are hard to put into a mapping",
        "numbers chosen to collide cost the parent little",
        "hard = dict.fromkeys(range(0, 2400 * (2**61 - 1), 2**61 - 1))\n"
        "def word(n): return [hard] * 20",
        alone=True,
    ),
    Attack(
        "values that are hard to collect",
        "a test that makes a set of what an answer returns is no way to stop the grader",
        "def several(n): return [k * (2 ** 61 - 1) for k in range(90000)]",
        problem="several",
        alone=True,
    ),
)
