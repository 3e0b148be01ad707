"""atexit, signals, threads, finalizers: code that runs when the grader thinks it is over."""

from __future__ import annotations

from attacks.entry import Attack

LATE = "it is killed when it has said its last word; what runs later is not heard"
ATTACKS = (
    Attack(
        "an atexit that exits well",
        LATE,
        "import atexit, os\natexit.register(os._exit, 0)\ndef word(n): return 'x'",
    ),
    Attack(
        "an atexit that never ends",
        LATE,
        "import atexit, time\natexit.register(time.sleep, 1000)\ndef word(n): return 'x'",
        ends=("finished",),
    ),
    Attack(
        "a finalizer that never ends",
        "a finalizer that runs in the report costs the attacker's own time",
        "class Slow:\n    def __del__(self):\n        while True: pass\n"
        "def word(n): return [Slow()] and 'x'",
        ends=("timeout",),
    ),
    Attack(
        "a finalizer that comes back",
        LATE,
        "kept = []\nclass Again:\n    def __del__(self):\n        kept.append(self)\n        Again()\n"
        "def word(n):\n    for _ in range(100): Again()\n    return 'x'",
    ),
    Attack(
        "a weak reference that calls",
        LATE,
        "import os, weakref\nclass C: pass\nthing = C()\nweakref.finalize(thing, os._exit, 0)\n"
        "def word(n):\n    globals().pop('thing', None)\n    return 'x'",
    ),
    Attack(
        "a collector callback",
        LATE,
        "import gc, os\ngc.callbacks.append(lambda *a: os._exit(0))\n"
        "def word(n):\n    gc.collect()\n    return 'x'",
    ),
    Attack(
        "a thread that speaks later",
        LATE,
        "import threading, time, os\ndef later():\n    time.sleep(0.2)\n    os.write(3, b'passed')\n"
        "    os._exit(0)\nthreading.Thread(target=later).start()\ndef word(n): return 'x'",
    ),
    Attack(
        "a thread that is not waited for",
        LATE,
        "import threading\ndef spin():\n    while True: pass\nthreading.Thread(target=spin).start()\n"
        "def word(n): return 'x'",
    ),
    Attack(
        "a timer signal that exits",
        "a handler of its own ends its own process",
        "import os, signal, time\nsignal.signal(signal.SIGALRM, lambda *a: os._exit(0))\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.05)\ndef word(n):\n    time.sleep(0.1)",
    ),
    Attack(
        "a handler for running out of time",
        "the limit of CPU time cannot be caught away: the kill comes a moment later",
        "import os, signal\nsignal.signal(signal.SIGXCPU, lambda *a: None)\nwhile True: pass",
        ends=("timeout",),
    ),
    Attack(
        "an endless sleep that hears no signal",
        "no signal it can ignore is needed to end it",
        "import signal, time\nfor number in range(1, 65):\n    try:\n"
        "        signal.signal(number, signal.SIG_IGN)\n    except (OSError, ValueError):\n"
        "        pass\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\n"
        "while True: time.sleep(1000)",
        ends=("timeout",),
    ),
    Attack(
        "a loop that catches everything",
        "no exception is needed to end it",
        "while True:\n    try:\n        while True: pass\n    except: pass",
        ends=("timeout",),
    ),
    Attack(
        "an interpreter that forks when it ends",
        "nothing it starts outlives it",
        "import atexit, os, time\ndef again():\n    try:\n        if os.fork() == 0:\n"
        "            os.setsid()\n            time.sleep(20)\n    except OSError: pass\n"
        "atexit.register(again)\nraise SystemExit",
    ),
)
