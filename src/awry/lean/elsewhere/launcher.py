"""Start a program of a user's own Lean installation with little left to harm.

Run by path in a bare interpreter: `launcher.py SETTINGS PROGRAM ARGUMENT...`, SETTINGS a JSON object
{"level": "namespaces" or "landlock", "folder", "cpu_s", "file_mb"}; with "probe" true it prints the
layers in force instead. The program reads what its user may read (a library of gigabytes has to
stay where it is), writes to `folder` only, and in namespaces has no network and dies with this
process and all that it started. Standard library only.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import struct
import sys
from typing import Any

_NEWNS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = (
    0x00020000,
    0x08000000,
    0x10000000,
    0x20000000,
    0x40000000,
)
_PDEATHSIG, _NO_NEW_PRIVS = 1, 38
_PRIVATE = 16384 | 1 << 18  # MS_REC | MS_PRIVATE
_MOUNT_FLAGS = 2 | 4 | 8  # MS_NOSUID | MS_NODEV | MS_NOEXEC
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # Landlock's system calls
# write_file, remove_dir, remove_file, make_* (all but refer and truncate, which came later)
_WRITES = 0x1FF2
_TASKS = 512  # processes and threads of the program, where they can be counted apart


def main() -> None:
    settings = json.loads(sys.argv[1])
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
    spaces = settings["level"] == "namespaces"
    if spaces:
        _enter_namespaces(libc)
        child = os.fork()
        if child:
            sys.exit(_code(os.waitpid(child, 0)[1]))
    libc.prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # Lean finds itself through /proc, which must be that of its own process numbers
    if spaces and libc.mount(b"proc", b"/proc", b"proc", _MOUNT_FLAGS, None):
        sys.exit(f"/proc cannot be mounted: {os.strerror(ctypes.get_errno())}")
    locked = _forbid_writing(libc, settings["folder"])
    if settings.get("probe"):
        layers = ["userns", "pidns", "netns", "ipcns"] if spaces else []
        print(json.dumps([*layers, *(["landlock"] if locked else []), "rlimits"]))
        return
    _limit(settings, spaces)
    if spaces:
        _run_as_second()
    os.execv(sys.argv[2], sys.argv[2:])


def _enter_namespaces(libc: ctypes.CDLL) -> None:
    uid, gid = os.geteuid(), os.getegid()
    if libc.unshare(_NEWUSER | _NEWNS | _NEWIPC | _NEWPID | _NEWNET):
        sys.exit(f"no namespaces: {os.strerror(ctypes.get_errno())}")
    # nobody: the files stay this user's own, but exec drops what a user namespace gives to root
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"65534 {uid} 1"),
        ("gid_map", f"65534 {gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    libc.mount(b"none", b"/", None, _PRIVATE, None)


def _run_as_second() -> None:
    """The program becomes a child of process 1, which a program's own signals do not end."""
    program = os.fork()
    if program == 0:
        return
    while True:
        pid, status = os.wait()
        if pid == program:
            os._exit(_code(status))


def _code(status: int) -> int:
    """As a shell has it: 128 + the number of the signal."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _forbid_writing(libc: ctypes.CDLL, folder: str) -> bool:
    """Landlock: no writing but below `folder` and to devices; no TCP and no signals outwards."""
    version = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), 1)
    if version < 1:
        return False
    files = _WRITES | (0x2000 if version >= 2 else 0) | (0x4000 if version >= 3 else 0)
    words = [files, *([3] if version >= 4 else []), *([3] if version >= 6 else [])]
    rules = ctypes.create_string_buffer(struct.pack(f"{len(words)}Q", *words), 8 * len(words))
    ruleset = libc.syscall(_CREATE_RULESET, rules, ctypes.c_size_t(8 * len(words)), 0)
    if ruleset < 0:
        return False
    for path in (folder, "/dev"):
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rule = ctypes.create_string_buffer(struct.pack("=Qi", files, place), 12)
        if libc.syscall(_ADD_RULE, ruleset, 1, rule, 0):
            return False
        os.close(place)
    done = libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0
    os.close(ruleset)
    return done


def _limit(settings: dict[str, Any], spaces: bool) -> None:
    file = int(settings["file_mb"]) << 20
    limits = [(resource.RLIMIT_CORE, 0, 0), (resource.RLIMIT_FSIZE, file, file)]
    if settings["cpu_s"]:
        cpu = int(-(-settings["cpu_s"] // 1))
        limits.append((resource.RLIMIT_CPU, cpu, cpu + 1))
    if spaces:  # elsewhere the limit would count all that the user runs
        limits.append((resource.RLIMIT_NPROC, _TASKS, _TASKS))
    for name, soft, hard in limits:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(name, (soft, hard))


if __name__ == "__main__":
    main()
