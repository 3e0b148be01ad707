"""Timing: waiting without end, in ways that are hard to interrupt."""

from __future__ import annotations

from attacks.entry import Attack

END = "its process ends at the wall-clock limit, whatever it waits for"
ATTACKS = (
    Attack("an endless sleep", END, "import time\nwhile True: time.sleep(1000)", ends=("timeout",)),
    Attack(
        "an endless sleep in its last call",
        END,
        "import time\ndef word(n):\n    if n == 5: time.sleep(1000)\n    return 'x'",
        ends=("timeout",),
    ),
    Attack(
        "a lock that is never let go",
        END,
        "import threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()",
        ends=("timeout",),
    ),
    Attack(
        "a wait for its own thread",
        END,
        "import threading, time\nthread = threading.Thread(target=time.sleep, args=(1000,))\n"
        "thread.start()\nthread.join()",
        ends=("timeout",),
    ),
    Attack(
        "an evaluator that sleeps",
        "the evaluator's time counts too, and what does not return is not paid",
        "import time\ndef word(n): return 'x'\ndef run_tests(): time.sleep(1000)",
    ),
    Attack(
        "a wait in the kernel",
        END,
        "import ctypes\nlibc = ctypes.CDLL(None)\nwhile True: libc.pause()",
        ends=("timeout", "died"),
    ),
    Attack(
        "a wait that a signal does not end",
        "a parent in vfork cannot be woken by what it ignores, and is killed with its child",
        "import ctypes, time\nlibc = ctypes.CDLL(None)\nif libc.vfork() == 0: time.sleep(1000)\n"
        "def word(n): return 'x'",
    ),
    Attack(
        "many small naps",
        "time spent in calls adds up to one limit",
        "import time\ndef word(n):\n    time.sleep(0.4)\n    return 'x'",
        ends=("timeout",),
    ),
    Attack(
        "one word every moment",
        "a report that trickles is not a sign of life",
        "import os, time\nwhile True:\n    os.write(3, b'x')\n    time.sleep(0.01)",
        ends=("timeout",),
    ),
    Attack(
        "its own clock",
        "the limit is measured by a clock it cannot set",
        "import time\ntime.time = time.monotonic = time.perf_counter = lambda: 0.0\n"
        "try: time.clock_settime(time.CLOCK_REALTIME, 0)\nexcept OSError: pass\n"
        "while True: time.sleep(0.1)",
        ends=("timeout",),
    ),
    Attack(
        "an import that never ends",
        END,
        "import sys\nclass Finder:\n    def find_spec(self, *a):\n        while True: pass\n"
        "sys.meta_path.insert(0, Finder())\nimport nothing_of_that_name",
        ends=("timeout",),
    ),
)
