"""What is taken away from untrusted processes, and what is cleared up after them. Linux.

`isolate` runs once, in the fork server; `confine` in every child, before any untrusted code.
Standard library only: this module is loaded by the fork server's bare interpreter.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import stat
import struct
from typing import Any

CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWUSER = 0x00020000, 0x08000000, 0x10000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REC, MS_PRIVATE = 2, 4, 8, 16384, 1 << 18
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
CAPABILITY_VERSION_3 = 0x20080522
SYS_LANDLOCK_CREATE_RULESET, SYS_LANDLOCK_RESTRICT_SELF = 444, 446


def isolate(base: str, namespaces: bool) -> tuple[dict[str, Any], list[str]]:
    """Take away what can be taken away. Returns the state children need, and the layers in force.

    The layers are tried from strongest to weakest and reported; none of them is assumed.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    root = os.geteuid() == 0
    # A user of this fork server's own, so that answers of two workers cannot signal each other.
    own_uid = 0x70000000 + os.getpid() % 0x0FFFFFFF
    uid, gid = os.geteuid(), os.getegid()
    state: dict[str, Any] = {"libc": libc, "base": base, "init": False, "private_root": False}
    layers: list[str] = []
    spaces = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET
    if namespaces and libc.unshare(spaces | (0 if root else CLONE_NEWUSER)) == 0:
        if not root:
            for name, text in (
                ("setgroups", "deny"),
                ("uid_map", f"65534 {uid} 1"),
                ("gid_map", f"65534 {gid} 1"),
            ):
                with open(f"/proc/self/{name}", "w") as file:
                    file.write(text)
            layers.append("userns")
        inner = os.fork()
        if inner:
            os.closerange(3, 4096)
            _, status = os.waitpid(inner, 0)
            with contextlib.suppress(OSError):
                os.rmdir(base)
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
        libc.prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))
        state["init"] = True
        layers += ["pidns", "netns", "ipcns"]
        options = ctypes.c_char_p(b"size=64m,nr_inodes=512,mode=0711")
        flags = MS_NOSUID | MS_NODEV | MS_NOEXEC
        if (
            libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) == 0
            and libc.mount(b"tmpfs", base.encode(), b"tmpfs", flags, options) == 0
        ):
            os.chroot(base)
            os.chdir("/")
            state["private_root"] = True
            layers.append("tmpfs-root")
    state["uid"] = _usable_uid(own_uid) if root else 0
    if state["uid"]:
        layers.append("setuid")
    state["ruleset"] = -1
    if not state["private_root"]:
        layers.append("no-open")
        state["ruleset"] = _landlock(libc)
        if state["ruleset"] >= 0:
            layers.append("landlock")
    layers.append("rlimits")
    state["box"] = "/box" if state["private_root"] else os.path.join(base, "box")
    _make_box(state)
    return state, layers


def _landlock(libc: ctypes.CDLL) -> int:
    """A ruleset that forbids every file operation, TCP and signals outwards; -1 if unsupported."""
    version = libc.syscall(SYS_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), 1)
    if version < 1:
        return -1
    files = 0x1FFF | (0x2000 if version >= 2 else 0) | (0x4000 if version >= 3 else 0)
    words = [files | (0x8000 if version >= 5 else 0)]
    words += [3] if version >= 4 else []  # bind and connect
    words += [3] if version >= 6 else []  # abstract sockets, signals
    rules = ctypes.create_string_buffer(struct.pack(f"{len(words)}Q", *words), 8 * len(words))
    return libc.syscall(SYS_LANDLOCK_CREATE_RULESET, rules, ctypes.c_size_t(8 * len(words)), 0)


def _usable_uid(own: int) -> int:
    """`own` where this system maps it (rootless containers map few users), else nobody."""
    pid = os.fork()
    if pid == 0:
        try:
            os.setresuid(own, own, own)
        except OSError:
            os._exit(1)
        os._exit(0)
    return own if os.waitpid(pid, 0)[1] == 0 else 65534


def confine(limits: dict[str, Any], channel: int, state: dict[str, Any]) -> None:
    os.setsid()
    libc, zero = state["libc"], ctypes.c_ulong(0)
    libc.prctl(PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), zero, zero, zero)
    if state["ruleset"] >= 0 and libc.syscall(SYS_LANDLOCK_RESTRICT_SELF, state["ruleset"], 0):
        raise OSError(ctypes.get_errno(), "landlock")
    os.dup2(channel, 3)
    os.closerange(4, 4096)
    os.chdir(state["box"])
    megabyte = 1 << 20
    memory = int(limits["memory_mb"] * megabyte)
    cpu = max(1, int(-(-limits["cpu_s"] // 1)))
    processes = int(limits["processes"])
    for name, soft, hard in (
        (resource.RLIMIT_CPU, cpu, cpu + 1),
        (resource.RLIMIT_AS, memory, memory),
        (resource.RLIMIT_FSIZE, int(limits["file_mb"] * megabyte), None),
        (resource.RLIMIT_CORE, 0, None),
        (resource.RLIMIT_NPROC, processes, None),
        (resource.RLIMIT_MSGQUEUE, 0, None),
        # Without a private root an answer could read the problems' own files: then nothing opens.
        (resource.RLIMIT_NOFILE, 64 if state["private_root"] else 0, None),
    ):
        resource.setrlimit(name, (soft, soft if hard is None else hard))
    if state["uid"]:
        os.setgroups([])
        os.setresgid(state["uid"], state["uid"], state["uid"])
        os.setresuid(state["uid"], state["uid"], state["uid"])
    # A user namespace hands out capabilities inside itself: give them up. No-op otherwise.
    header = struct.pack("Ii", CAPABILITY_VERSION_3, 0)
    libc.capset(ctypes.create_string_buffer(header), ctypes.create_string_buffer(24))
    libc.prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))


def clean(state: dict[str, Any]) -> None:
    """An empty private directory for the next program.

    An exception here ends the fork server, after its reply: the parent starts another.
    """
    root = "/" if state["private_root"] else state["base"]
    box = state["box"]
    if os.path.isdir(box) and not os.listdir(box) and os.listdir(root) == [os.path.basename(box)]:
        return
    remove_content(root)
    _make_box(state)


def remove_content(folder: str) -> None:
    """Empty a folder whose depth and permissions were chosen by an adversary, now dead.

    Directories are lifted up to the top level one by one, so that depth costs neither stack nor
    path length.
    """
    lifted = 0
    while names := os.listdir(folder):
        for name in names:
            path = os.path.join(folder, name)
            if not stat.S_ISDIR(os.lstat(path).st_mode):
                os.unlink(path)
                continue
            os.chmod(path, 0o700)
            for inner in os.listdir(path):
                source = os.path.join(path, inner)
                if stat.S_ISDIR(os.lstat(source).st_mode):
                    os.chmod(source, 0o700)
                    lifted += 1
                    os.rename(source, os.path.join(folder, f"lifted-{os.getpid()}-{lifted}"))
                else:
                    os.unlink(source)
            os.rmdir(path)


def _make_box(state: dict[str, Any]) -> None:
    """The child's working directory: its own, or nobody's to write to when nothing may open."""
    os.mkdir(state["box"], 0o700 if state["private_root"] else 0o555)
    if state["uid"] and state["private_root"]:
        os.chown(state["box"], state["uid"], state["uid"])
