"""Killing, stopping, tracing and tuning other processes: @VICTIM@ belongs to the tester's user."""

from __future__ import annotations

from attacks.entry import Attack

OUTSIDE = "no process outside can be reached"
# Same user, no process namespace, no scope for signals: nothing is left that could stop it.
SIGNALS = ("pidns", "setuid", "landlock")
TRY = """
import os, signal
got = []
def attempt(name, function, *args):
    try: function(*args)
    except (OSError, ImportError, AttributeError, ValueError): return
    got.append(name)
def word(n): return 'breach: ' + ' '.join(got) if got else 'nothing'
"""
TRACE = (
    TRY
    + """
import ctypes, time
libc = ctypes.CDLL(None)
for pid in (@PIDS@):
    if libc.ptrace(16, pid, None, None) == 0:
        got.append('ptrace')
        time.sleep(0.1)
        libc.ptrace(17, pid, None, None)
"""
)
ATTACKS = (
    Attack(
        "kills everybody",
        OUTSIDE,
        "import os, signal\nos.kill(-1, signal.SIGKILL)\ndef word(n): return 'x'",
        effect="signal",
        stopped_by=SIGNALS,
        broadcast=True,
    ),
    Attack(
        "kills its parent",
        "the fork server cannot be ended by its child",
        "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\ndef word(n): return 'x'",
        effect="signal",
        stopped_by=SIGNALS,
        broadcast=True,
    ),
    Attack(
        "stops its parent",
        "nor stopped",
        "import os, signal\nos.kill(os.getppid(), signal.SIGSTOP)\ndef word(n): return 'x'",
        effect="signal",
        stopped_by=SIGNALS,
        broadcast=True,
    ),
    Attack(
        "sends its parent every signal",
        "nor sent anything else",
        "import os\nfor number in range(1, 65):\n    try: os.kill(os.getppid(), number)\n"
        "    except OSError: pass\ndef word(n): return 'x'",
        effect="signal",
        stopped_by=SIGNALS,
        broadcast=True,
    ),
    Attack(
        "kills the first process",
        OUTSIDE,
        "import os, signal\nfor pid in (1, -1):\n    for number in (9, 19, 15):\n"
        "        try: os.kill(pid, number)\n        except OSError: pass\ndef word(n): return 'x'",
        effect="signal",
        stopped_by=SIGNALS,
        broadcast=True,
    ),
    Attack(
        "stops a process outside",
        OUTSIDE,
        TRY + "attempt('stop', os.kill, @VICTIM@, signal.SIGSTOP)",
        effect="signal",
        stopped_by=SIGNALS,
    ),
    Attack(
        "stops a process outside by a thread's signal",
        OUTSIDE,
        TRY
        + "import ctypes\nlibc = ctypes.CDLL(None)\nnumber = 131 if os.uname().machine == 'aarch64' else 234\n"
        "if libc.syscall(number, @VICTIM@, @VICTIM@, 19) == 0: got.append('tgkill')",
        effect="signal",
        stopped_by=SIGNALS,
    ),
    Attack(
        "stops a process outside by its descriptor",
        OUTSIDE,
        TRY
        + "attempt('pidfd', lambda: signal.pidfd_send_signal(os.pidfd_open(@VICTIM@), signal.SIGSTOP))",
        effect="signal",
        stopped_by=(*SIGNALS, "no-open"),
    ),
    Attack(
        "a signal by way of a pipe",
        "the owner of a descriptor, to be told of its readiness, is no process outside",
        TRY
        + """
import fcntl
def by_pipe():
    out, into = os.pipe()
    fcntl.fcntl(out, 10, 19)  # F_SETSIG: SIGSTOP
    fcntl.fcntl(out, fcntl.F_SETOWN, @VICTIM@)
    fcntl.fcntl(out, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    os.write(into, b'x')
try: by_pipe()
except OSError: pass
""",
        effect="signal",
        stopped_by=(*SIGNALS, "no-open"),
    ),
    Attack(
        "traces a process outside",
        OUTSIDE,
        TRACE.replace("@PIDS@", "@VICTIM@,"),
        effect="breach",
        stopped_by=("pidns", "setuid", "landlock", "seccomp"),
    ),
    Attack(
        "traces its parent and its parent's parent",
        OUTSIDE,
        TRACE.replace("@PIDS@", "os.getppid(), @PARENT@"),
        effect="breach",
        stopped_by=("pidns", "setuid", "landlock", "seccomp"),
        broadcast=True,
    ),
    Attack(
        "asks to be traced by its parent",
        "the fork server is nobody's tracer",
        "import ctypes\nctypes.CDLL(None).ptrace(0, 0, None, None)\nimport os, signal\n"
        "os.kill(os.getpid(), signal.SIGTRAP)\ndef word(n): return 'x'",
        ends=("died", "timeout", "finished"),
    ),
    Attack(
        "reads the memory of a process outside",
        OUTSIDE,
        TRY + "import ctypes\nlibc = ctypes.CDLL(None)\nbuffer = ctypes.create_string_buffer(64)\n"
        "vector = ctypes.c_void_p * 2\n"
        "for pid in (@VICTIM@, @PARENT@, os.getppid()):\n"
        "    mine = vector(ctypes.addressof(buffer), 64)\n"
        "    there = vector(id(buffer) & ~4095, 64)\n    ctypes.set_errno(0)\n"
        "    if libc.process_vm_readv(pid, mine, 1, there, 1, 0) > 0: got.append('readv')",
        effect="breach",
        stopped_by=("pidns", "setuid", "landlock", "seccomp"),
    ),
    Attack(
        "writes the memory of its parent",
        "it was copied from the fork server and knows its addresses; it cannot write there",
        TRY + "import ctypes\nlibc = ctypes.CDLL(None)\nbuffer = ctypes.create_string_buffer(8)\n"
        "vector = ctypes.c_void_p * 2\nthing = b'x' * 4096\n"
        "mine, there = vector(ctypes.addressof(buffer), 8), vector(id(thing) + 2048, 8)\n"
        "if libc.process_vm_writev(os.getppid(), mine, 1, there, 1, 0) > 0: got.append('writev')",
        effect="breach",
        stopped_by=("pidns", "setuid", "landlock", "seccomp"),
    ),
    Attack(
        "opens the memory of its parent",
        "a copy of the fork server cannot write to the fork server",
        TRY + "for pid in (os.getppid(), @PARENT@, @VICTIM@, 1):\n"
        "    attempt('mem', open, f'/proc/{pid}/mem', 'r+b')\n"
        "    attempt('fd', os.listdir, f'/proc/{pid}/fd')\n"
        "    attempt('fd', os.readlink, f'/proc/{pid}/fd/0')",
        effect="breach",
        stopped_by=("tmpfs-root", "setuid", "landlock"),
    ),
    Attack(
        "takes a descriptor from a process outside",
        OUTSIDE,
        TRY
        + "import ctypes\nlibc = ctypes.CDLL(None)\nfor pid in (@VICTIM@, @PARENT@, os.getppid()):\n"
        "    link = libc.syscall(434, pid, 0)\n"
        "    if link >= 0 and libc.syscall(438, link, 0, 0) >= 0: got.append('getfd')",
        effect="breach",
        stopped_by=("pidns", "setuid", "landlock", "seccomp", "no-open"),
    ),
    Attack(
        "slows a process outside down",
        "priorities, limits and processors of others are theirs",
        TRY + "import resource\n"
        "attempt('nice', lambda: os.setpriority(os.PRIO_PROCESS, @VICTIM@, 19))\n"
        "attempt('affinity', lambda: os.sched_setaffinity(@VICTIM@, {0}))\n"
        "attempt('batch', lambda: os.sched_setscheduler(@VICTIM@, os.SCHED_BATCH, os.sched_param(0)))\n"
        "attempt('limit', lambda: resource.prlimit(@VICTIM@, resource.RLIMIT_CORE, (0, 0)))",
        effect="signal",
        stopped_by=("pidns", "setuid", "seccomp"),
    ),
    Attack(
        "makes itself important",
        "it cannot take the processor from others",
        TRY + "attempt('nice', lambda: os.setpriority(os.PRIO_PROCESS, 0, -5))\n"
        "attempt('fifo', lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)))",
    ),
)
