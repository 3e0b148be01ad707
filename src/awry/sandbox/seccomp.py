"""System-call filters (seccomp): what an untrusted process may ask of the kernel. Linux, x86-64 and Arm.

Two filters add up. `server_filter` is an allow list, installed once in the fork server and inherited;
it is long, and building it for every program would cost more than running most of them. `child_filter`
is short and takes from each child what only the server needs: new processes, signals to others, and,
where there is no private root, every change to a path. What is not allowed fails with EPERM, so an
honest program that asks for too much sees an ordinary error. Standard library only.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

# name, number on x86-64, number on Arm (aarch64); "-" where there is no such call
_ALLOWED = """
read 0 63, write 1 64, readv 19 65, writev 20 66, pread64 17 67, pwrite64 18 68, open 2 -,
openat 257 56, close 3 57, stat 4 -, fstat 5 80, lstat 6 -, newfstatat 262 79, statx 332 291,
lseek 8 62, mmap 9 222, munmap 11 215, mprotect 10 226, mremap 25 216, madvise 28 233, brk 12 214,
mincore 27 232, rt_sigaction 13 134, rt_sigprocmask 14 135, rt_sigreturn 15 139,
rt_sigpending 127 136, sigaltstack 131 132, poll 7 -, ppoll 271 73, select 23 -, pselect6 270 72,
epoll_create1 291 20, epoll_create 213 -, epoll_ctl 233 21, epoll_wait 232 -, epoll_pwait 281 22,
eventfd2 290 19, pipe 22 -, pipe2 293 59, dup 32 23, dup2 33 -, dup3 292 24, getpid 39 172,
getppid 110 173, gettid 186 178, getuid 102 174, geteuid 107 175, getgid 104 176, getegid 108 177,
getgroups 115 158, getresuid 118 148, getresgid 120 150, getpgrp 111 -, getpgid 121 155,
getsid 124 156, futex 202 98, set_robust_list 273 99, get_robust_list 274 100, rseq 334 293,
set_tid_address 218 96, sched_yield 24 124, sched_getaffinity 204 123, nanosleep 35 101,
clock_nanosleep 230 115, clock_gettime 228 113, clock_getres 229 114, gettimeofday 96 169,
time 201 -, getrandom 318 278, getcwd 79 17, chdir 80 49, fchdir 81 50, mkdir 83 -, mkdirat 258 34,
rmdir 84 -, unlink 87 -, unlinkat 263 35, rename 82 -, renameat 264 38, renameat2 316 276,
symlink 88 -, symlinkat 266 36, readlink 89 -, readlinkat 267 78, link 86 -, linkat 265 37,
chmod 90 -, fchmod 91 52, fchmodat 268 53, truncate 76 45, ftruncate 77 46, fallocate 285 47,
access 21 -, faccessat 269 48, faccessat2 439 439, getdents 78 -, getdents64 217 61, utime 132 -,
utimes 235 -, utimensat 280 88, umask 95 166, uname 63 160, sysinfo 99 179, getrlimit 97 163,
getrusage 98 165, times 100 153, alarm 37 -, setitimer 38 103, getitimer 36 102, pause 34 -,
sendto 44 206, recvfrom 45 207, shutdown 48 210, getsockopt 55 209, setsockopt 54 208,
getsockname 51 204, getpeername 52 205, exit 60 93, exit_group 231 94, restart_syscall 219 128,
getcpu 309 168, membarrier 324 283, fsync 74 82, fdatasync 75 83, flock 73 32,
copy_file_range 326 285, sendfile 40 71, close_range 436 436, wait4 61 260, waitid 247 95,
setsid 112 157, setresuid 117 147, setresgid 119 149, setgroups 116 159, capset 126 91, chown 92 -,
fchownat 260 54, landlock_restrict_self 446 446, setrlimit 160 164, fadvise64 221 223,
statfs 137 43, fstatfs 138 44
"""
_CONDITIONAL = """
kill 62 129, tgkill 234 131, tkill 200 130, clone 56 220, clone3 435 435, fork 57 -,
vfork 58 -, prctl 157 167, prlimit64 302 261, ioctl 16 29, fcntl 72 25, socketpair 53 199
"""
# What changes a path: taken away where the file system is the real one.
_PATHS = (
    *("mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat", "renameat2"),
    *("symlink", "symlinkat", "link", "linkat", "chmod", "fchmod", "fchmodat", "truncate"),
    *("utime", "utimes", "utimensat", "chown", "fchownat"),
)
_RENAMES = ("rename", "renameat", "renameat2", "unlink", "unlinkat")

_NEW_NAMESPACES = 0x7E020000  # every CLONE_NEW* flag of clone(2)
_CLONE_THREAD = 0x00010000
# isatty, window size, bytes waiting, close on exec, non-blocking
_IOCTL = (0x5401, 0x5413, 0x541B, 0x5450, 0x5451, 0x5421)
# duplicate, descriptor flags, status flags, locks, duplicate with close on exec
_FCNTL = (0, 1, 2, 3, 4, 5, 6, 7, 1030)
_PRCTL = (1, 4, 15, 16, 22, 38)  # parent's death, dumpable, names, filters, no new privileges
_PRCTL_CHILD = (15, 16)
_AF_UNIX = 1

_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_LOAD, _EQUAL, _ANY_BIT, _AT_LEAST, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
_NUMBER, _ARCH = 0, 4  # offsets in struct seccomp_data
_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_OWN_PID = 0x70000001  # stands for the child's process id until it is known

_Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, operand


class Filter:
    """A program in kernel form. `install` takes effect for the calling thread and is for good."""

    def __init__(self, instructions: list[_Instruction]) -> None:
        packed = b"".join(struct.pack("=HBBI", *line) for line in instructions)
        self._own_pid_at = [8 * i + 4 for i, line in enumerate(instructions) if line[3] == _OWN_PID]
        self._code = ctypes.create_string_buffer(packed, len(packed))
        header = struct.pack("@HP", len(instructions), ctypes.addressof(self._code))
        self._header = ctypes.create_string_buffer(header, len(header))
        self._prctl = ctypes.CDLL(None, use_errno=True).prctl
        self._prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
        self._address = ctypes.addressof(self._header)

    def install(self) -> bool:
        """False where the kernel has no filters. Needs "no new privileges" to be set."""
        for offset in self._own_pid_at:
            struct.pack_into("=I", self._code, offset, os.getpid())
        return self._prctl(_PR_SET_SECCOMP, _MODE_FILTER, self._address, 0, 0) == 0


def server_filter() -> Filter | None:
    """The allow list; None on a processor whose call numbers are not known here."""
    numbers = _numbers()
    if numbers is None:
        return None
    lines = _prologue()
    for name in ("kill", "tgkill", "tkill", "fork", "vfork"):
        lines += _answer(numbers.get(name), _ALLOW)
    lines += _answer(numbers["clone3"], _ERRNO | errno.ENOSYS)  # its flags are out of sight
    lines += _when(numbers["clone"], 0, (_ANY_BIT, _NEW_NAMESPACES), deny=True)
    lines += _among(numbers["ioctl"], 1, _IOCTL)
    lines += _among(numbers["fcntl"], 1, _FCNTL)
    lines += _among(numbers["prctl"], 0, _PRCTL)
    lines += _among(numbers["prlimit64"], 0, (0,))
    lines += _among(numbers["socketpair"], 0, (_AF_UNIX,))
    for name in _names(_ALLOWED):
        lines += _answer(numbers.get(name), _ALLOW)
    return Filter([*lines, (_RETURN, 0, 0, _ERRNO | errno.EPERM)])


def child_filter(contained: bool, renames: bool = False) -> Filter | None:
    """contained: process ids and files are private, so signals and paths cannot reach outside.

    renames: something else limits where files are renamed and removed (Landlock).
    """
    numbers = _numbers()
    if numbers is None:
        return None
    lines = _prologue()
    paths = [name for name in _PATHS if not (renames and name in _RENAMES)]
    for name in ("fork", "vfork", *(() if contained else ("tkill", *paths))):
        lines += _answer(numbers.get(name), _ERRNO | errno.EPERM)
    lines += _when(numbers["clone"], 0, (_ANY_BIT, _CLONE_THREAD), deny=False)
    if not contained:
        lines += _among(numbers["kill"], 0, (_OWN_PID,))
        lines += _among(numbers["tgkill"], 0, (_OWN_PID,))
        lines += _among(numbers["prctl"], 0, _PRCTL_CHILD)
    return Filter([*lines, (_RETURN, 0, 0, _ALLOW)])


# ---- assembling --------------------------------------------------------------------------------
def _prologue() -> list[_Instruction]:
    """Another architecture's numbers mean other calls: such a caller dies. x32 calls are refused."""
    lines = [(_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, _AUDIT[_machine()]), (_RETURN, 0, 0, _KILL)]
    lines += [(_LOAD, 0, 0, _NUMBER)]
    return [*lines, (_AT_LEAST, 0, 1, 0x40000000), (_RETURN, 0, 0, _ERRNO | errno.EPERM)]


def _answer(number: int | None, action: int) -> list[_Instruction]:
    return [] if number is None else [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, action)]


def _when(number: int, argument: int, test: tuple[int, int], *, deny: bool) -> list[_Instruction]:
    """Decide one call by one test of the low word of one argument, and nothing else."""
    code, operand = test
    refused, allowed = (_RETURN, 0, 0, _ERRNO | errno.EPERM), (_RETURN, 0, 0, _ALLOW)
    outcomes = [refused, allowed] if deny else [allowed, refused]
    return [(_EQUAL, 0, 4, number), _low(argument), (code, 0, 1, operand), *outcomes]


def _among(number: int, argument: int, values: tuple[int, ...]) -> list[_Instruction]:
    """Allow one call where the low word of one argument is one of `values`, else refuse it."""
    count = len(values)
    tests = [(_EQUAL, count - place, 0, value) for place, value in enumerate(values)]
    refused, allowed = (_RETURN, 0, 0, _ERRNO | errno.EPERM), (_RETURN, 0, 0, _ALLOW)
    return [(_EQUAL, 0, count + 3, number), _low(argument), *tests, refused, allowed]


def _low(argument: int) -> _Instruction:
    return (_LOAD, 0, 0, 16 + 8 * argument)  # both processors are little-endian


def _machine() -> str:
    return os.uname().machine


def _names(table: str) -> list[str]:
    return [entry.split()[0] for entry in table.split(",")]


def _numbers() -> dict[str, int] | None:
    """Call numbers of this processor by name."""
    if _machine() not in _AUDIT:
        return None
    column = 1 + list(_AUDIT).index(_machine())
    rows = [entry.split() for entry in f"{_ALLOWED},{_CONDITIONAL}".split(",")]
    return {row[0]: int(row[column]) for row in rows if row[column] != "-"}
