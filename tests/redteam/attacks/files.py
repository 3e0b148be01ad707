"""Reading and writing outside: @CANARY@ is a folder everybody may write to."""

from __future__ import annotations

from attacks.entry import Attack

OUTSIDE = "nothing outside its own folder is made, changed or removed"
PATHS = ("tmpfs-root", "landlock")
# Landlock has no rule for these; without a root of its own only a filter of calls stops them.
UNRULED = ("tmpfs-root", "seccomp")
TRY = """
import os
def attempt(function, *args, **named):
    try: function(*args, **named)
    except OSError: pass
def word(n): return 'x'
"""


def _path(name: str, must: str, line: str, stopped_by: tuple[str, ...]) -> Attack:
    return Attack(name, must, TRY + line, effect="file", stopped_by=stopped_by)


ATTACKS = (
    _path(
        "writes a file outside",
        OUTSIDE,
        "attempt(lambda: open('@CANARY@/@NAME@', 'w').close())",
        (*PATHS, "no-open"),
    ),
    _path("makes a folder outside", OUTSIDE, "attempt(os.mkdir, '@CANARY@/@NAME@')", PATHS),
    _path("makes a link outside", OUTSIDE, "attempt(os.symlink, 'x', '@CANARY@/@NAME@')", PATHS),
    _path("makes a pipe outside", OUTSIDE, "attempt(os.mkfifo, '@CANARY@/@NAME@', 0o666)", PATHS),
    _path("removes a file outside", OUTSIDE, "attempt(os.unlink, '@CANARY@/keep')", PATHS),
    _path("removes a folder outside", OUTSIDE, "attempt(os.rmdir, '@CANARY@/empty')", PATHS),
    _path(
        "renames a file outside",
        OUTSIDE,
        "attempt(os.rename, '@CANARY@/keep', '@CANARY@/@NAME@')",
        PATHS,
    ),
    _path("cuts a file outside", OUTSIDE, "attempt(os.truncate, '@CANARY@/keep', 0)", PATHS),
    _path("touches a file outside", OUTSIDE, "attempt(os.utime, '@CANARY@/keep')", UNRULED),
    _path(
        "marks a file outside",
        "extended attributes are changes too",
        "attempt(os.setxattr, '@CANARY@/keep', 'user.mark', b'@NAME@')",
        UNRULED,
    ),
    Attack(
        "opens a file outside to the world",
        "modes of the user's own files stay as they are",
        TRY + "attempt(os.chmod, '@CANARY@/keep', 0o777)",
        effect="file",
        stopped_by=("tmpfs-root", "seccomp", "setuid"),
    ),
    Attack(
        "gives a file outside away",
        "owners stay as they are",
        TRY + "attempt(os.chown, '@CANARY@/keep', os.getuid(), 12345)",
    ),
    Attack(
        "writes by way of ..",
        OUTSIDE,
        TRY + "up = '../' * 40\nattempt(os.mkdir, up + '@CANARY@/@NAME@')\n"
        "attempt(os.chdir, up)\nattempt(os.mkdir, '@CANARY@'.lstrip('/') + '/@NAME@-2')",
        effect="file",
        stopped_by=PATHS,
    ),
    Attack(
        "writes by way of a link",
        OUTSIDE,
        TRY + "attempt(os.symlink, '@CANARY@', 'way')\nattempt(os.mkdir, 'way/@NAME@')\n"
        "attempt(lambda: open('way/@NAME@-2', 'w').close())",
    ),
    Attack(
        "writes by way of the process folder",
        OUTSIDE,
        TRY + "for pid in ('self', '1', os.getppid(), @PARENT@):\n"
        "    for name in ('root', 'cwd'): attempt(os.mkdir, f'/proc/{pid}/{name}@CANARY@/@NAME@')",
        effect="file",
        stopped_by=PATHS,
    ),
    Attack(
        "writes by way of an open folder",
        "no descriptor of a folder outside is inherited",
        TRY + "for fd in range(64):\n    attempt(os.mkdir, '@NAME@', dir_fd=fd)\n"
        "    attempt(os.fchdir, fd)\n    attempt(os.mkdir, '.@CANARY@/@NAME@')",
    ),
    Attack(
        "writes in the world's temporary folder",
        OUTSIDE,
        TRY + "import tempfile\ntry: tempfile.NamedTemporaryFile(dir='@CANARY@', delete=False)\n"
        "except OSError: pass",
        effect="file",
        stopped_by=(*PATHS, "no-open"),
    ),
    Attack(
        "writes through a library in C",
        "the way in makes no difference",
        TRY + "try:\n    import ctypes\n    libc = ctypes.CDLL(None)\n"
        "    libc.mkdir(b'@CANARY@/@NAME@', 0o777)\n    libc.remove(b'@CANARY@/keep')\n"
        "except ImportError: pass",
        effect="file",
        stopped_by=PATHS,
    ),
    Attack(
        "links a file outside into its folder",
        "a hard link is a way to change a file outside",
        TRY + "attempt(os.link, '@CANARY@/keep', 'mine')\n"
        "attempt(lambda: open('mine', 'a').write('changed'))",
    ),
    Attack(
        "keeps a shared memory segment",
        "memory shared by key does not outlive it",
        "import ctypes\nlibc = ctypes.CDLL(None)\n"
        "for key in (0x41575259,): libc.shmget(key, 4096, 0o1666), libc.semget(key, 1, 0o1666), "
        "libc.msgget(key, 0o1666)\ndef word(n): return 'x'",
        effect="ipc",
        stopped_by=("ipcns", "seccomp"),
    ),
    Attack(
        "reads the system's files",
        "nothing outside can be read",
        """
def word(n):
    for path in ('/etc/passwd', '/etc/hostname', '/proc/self/maps', '/proc/version', '/dev/mem',
                 '/sys/kernel/notes', '@CANARY@/keep', '/proc/self/exe', '/dev/null'):
        try: text = open(path, 'rb').read(64)
        except OSError: continue
        return 'breach: ' + path
    return 'nothing'
""",
    ),
    Attack(
        "lists the system's folders",
        "nothing outside can be listed",
        """
import os
def word(n):
    for path in ('@CANARY@', '/etc', '/proc', '/home', '/usr', '/dev'):
        try: os.listdir(path)
        except OSError: continue
        return 'breach: ' + path
    return 'nothing'
""",
    ),
    Attack(
        "loads a library from outside",
        "no code is loaded from files",
        "import ctypes\ndef word(n):\n    for name in ('libm.so.6', 'libutil.so.1', 'libanl.so.1'):\n"
        "        try: ctypes.CDLL(name, 4).anything\n        except (OSError, AttributeError): pass\n"
        "    return 'x'",
    ),
)
