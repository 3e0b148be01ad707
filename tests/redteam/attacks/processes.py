"""Fork bombs and programs that detach, to outlive the limits. Bounded, in case one gets through."""

from __future__ import annotations

from attacks.entry import Attack

# Every process of a bomb ends itself after 20 s, and there are at most 2^12 of them.
ALONE = "a program may start threads, no processes"
DETACH = "whatever it started dies with it"
REPORT = """
def word(n): return 'breach: ' + started if started else 'nothing'
"""
ATTACKS = (
    Attack(
        "a fork bomb",
        "it neither outlives its limit nor slows its neighbours down",
        "import os, time\nend = time.time() + 20\nfor _ in range(12):\n    try: os.fork()\n"
        "    except OSError: pass\nwhile time.time() < end: pass",
    ),
    Attack(
        "a fork bomb that sleeps",
        "the same, without using any CPU time",
        "import os, time\nfor _ in range(10):\n    try: os.fork()\n    except OSError: pass\n"
        "time.sleep(20)",
    ),
    Attack(
        "a chain of forks",
        "each process ends at once and leaves the work to its child: none is left",
        "import os, time\nend = time.time() + 20\nwhile time.time() < end:\n    try:\n"
        "        if os.fork(): os._exit(0)\n    except OSError: break\ndef word(n): return 'x'",
    ),
    Attack(
        "a child that outlives it",
        DETACH,
        "import os, time\ntry:\n    if os.fork() == 0:\n        os.setsid()\n        time.sleep(20)\n"
        "        os._exit(0)\nexcept OSError: pass\ndef word(n): return 'x'",
    ),
    Attack(
        "a daemon, by the book",
        DETACH,
        "import os, time\ntry:\n    if os.fork() == 0:\n        os.setsid()\n"
        "        if os.fork() == 0:\n            os.closerange(0, 64)\n            time.sleep(20)\n"
        "        os._exit(0)\nexcept OSError: pass\ndef word(n): return 'x'",
    ),
    Attack(
        "a process of its own",
        ALONE,
        "import os\nstarted = ''\ntry:\n    if os.fork() == 0: os._exit(0)\n    started = 'fork'\n"
        "except OSError: pass\n" + REPORT,
        effect="breach",
    ),
    Attack(
        "multiprocessing",
        ALONE,
        "started = ''\ntry:\n    import multiprocessing\n"
        "    with multiprocessing.get_context('fork').Pool(2) as pool: started = str(pool.map(abs, [1]))\n"
        "except (ImportError, OSError): pass\n" + REPORT,
        effect="breach",
    ),
    Attack(
        "a shell",
        ALONE,
        "import os\nstarted = ''\ntry:\n    if os.system('true') == 0: started = 'system'\n"
        "except OSError: pass\n" + REPORT,
        effect="breach",
    ),
    Attack(
        "a spawned process",
        ALONE,
        "import os\nstarted = ''\ntry: started = str(os.posix_spawn('/bin/true', ['true'], {}))\n"
        "except OSError: pass\n" + REPORT,
        effect="breach",
    ),
    Attack(
        "another program in its place",
        "nothing can be executed",
        "import os\nfor path in ('/bin/true', '/bin/sh', '/usr/bin/python3', '/proc/self/exe'):\n"
        "    try: os.execve(path, [path, '-c', ''], {})\n    except OSError: pass\n"
        "def word(n): return 'x'",
        ends=("finished",),
    ),
    Attack(
        "a subprocess",
        ALONE,
        "started = ''\ntry:\n    import subprocess\n"
        "    started = str(subprocess.run(['/bin/true']).returncode)\n"
        "except (ImportError, OSError): pass\n" + REPORT,
        effect="breach",
    ),
    Attack(
        "it stops itself",
        "a stopped process is killed at the limit",
        "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\ndef word(n): return 'x'",
        ends=("timeout",),
    ),
    Attack(
        "it kills its group",
        "its group is its own",
        "import os, signal\nos.killpg(0, signal.SIGKILL)",
    ),
    Attack(
        "it leaves its session",
        DETACH,
        "import os, time\nfor change in (os.setsid, lambda: os.setpgid(0, 0), lambda: os.setpgid(0, 1)):\n"
        "    try: change()\n    except OSError: pass\ntime.sleep(20)",
        ends=("timeout",),
    ),
)
