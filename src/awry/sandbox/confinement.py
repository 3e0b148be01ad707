"""What is taken away from untrusted processes, and what is cleared up after them. Linux.

`isolate` runs once, in the fork server; `confine` in every child, before any untrusted code.
Standard library only: this module is loaded by the fork server's bare interpreter.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import random
import resource
import shutil
import signal
import stat
import struct
from collections.abc import Callable
from typing import Any

from awry.sandbox.seccomp import child_filter, server_filter

CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWUSER = 0x00020000, 0x08000000, 0x10000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND = 1, 2, 4, 8, 32, 4096
MS_REC, MS_PRIVATE = 16384, 1 << 18
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
CAPABILITY_VERSION_3 = 0x20080522
SYS_LANDLOCK_CREATE_RULESET, SYS_LANDLOCK_ADD_RULE, SYS_LANDLOCK_RESTRICT_SELF = 444, 445, 446

LEVELS = ("namespaces", "landlock", "rlimits")
# The folder that children may read, where a server has one, and the bytes that are random for a
# program without a file system: always the same, so that it does the same.
LIBRARY, RANDOM = "library", "dev/urandom"
KEPT = (LIBRARY, "dev")


def isolate(
    base: str, level: str, library: str = "", furnish: Callable[[str], None] | None = None
) -> tuple[dict[str, Any], list[str], list[str]]:
    """Take away what can be taken away, from the strongest layer to the weakest.

    level: "namespaces" tries everything; "landlock" leaves the namespaces out, "rlimits" Landlock
    and the system-call filter too. library: a folder whose files are copied to `state["library"]`,
    which children may read; they may then also write files of their own, in their box, at every
    level. furnish: adds files to that copy, given its path. Returns the state children need, the layers in force, and why the others are not.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    root = os.geteuid() == 0
    # Users of this fork server's own, so that the answers of two workers cannot signal each other.
    own_uid = 0x70000000 + os.getpid() % 0x07FFFFFF
    state: dict[str, Any] = {"libc": libc, "base": base, "init": False, "private_root": False}
    state["opens"] = bool(library)
    # Looked up once: the first use in every child would copy more pages than the call is worth.
    libc.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
    state["prctl"], state["capset"] = libc.prctl, libc.capset
    state["fork"] = ctypes.PyDLL(None).fork
    state["no_capabilities"] = (
        ctypes.create_string_buffer(struct.pack("Ii", CAPABILITY_VERSION_3, 0)),
        ctypes.create_string_buffer(24),
    )
    layers: list[str] = []
    missing: list[str] = []
    if level == "namespaces":
        entered, refused = _enter_namespaces(libc, root)
        if refused:
            missing.append(f"namespaces: {refused}")
        else:
            root = "userns" not in entered
            layers += entered
            _become_init(libc, base)
            state["init"] = True
            refused = _private_root(libc, base, library, furnish)
            state["private_root"] = not refused
            layers += [] if refused else ["tmpfs-root"]
            missing += [f"private root: {refused}"] if refused else []
    state["uid"] = _usable_uid(own_uid) if root else 0
    # 65534 is all that some containers map: two processes of one answer then share it.
    state["checker_uid"] = own_uid + 0x08000000 if state["uid"] == own_uid else state["uid"]
    if state["uid"]:
        layers.append("setuid")
    in_base = state["private_root"]
    if library and not in_base:
        _copy_library(library, base)
        # Root can hide the file system even so; an ordinary user cannot.
        in_base = root and _change_root(base)
        layers += ["chroot"] if in_base else []
        _furnish("/" if in_base else base, furnish)
    state["root"] = "/" if in_base else base
    state["box"] = os.path.join(state["root"], "box")
    state["library"] = os.path.join(state["root"], LIBRARY) if library else ""
    _make_box(state)
    state["ruleset"] = -1
    if not state["private_root"]:
        layers += [] if library else ["no-open"]
        if level != "rlimits":
            state["ruleset"] = _landlock(libc, state)
            if state["ruleset"] >= 0:
                layers.append("landlock")
            else:
                missing.append(f"landlock: {os.strerror(ctypes.get_errno())}")
    state["filter"] = None
    if level != "rlimits":
        refused = _filter_calls(libc, state)
        layers += [] if refused else ["seccomp"]
        missing += [f"seccomp: {refused}"] if refused else []
    layers.append("rlimits")
    # Threads are told from processes by the filter; without it a process left over dies only with
    # its namespace.
    # Where files may be opened, so that a program runs which has threads, that is accepted.
    state["threads"] = state["init"] or state["filter"] is not None or state["opens"]
    state["tasks"] = 0 if state["uid"] or state["init"] else _tasks_of(os.geteuid())
    return state, layers, missing


def _enter_namespaces(libc: ctypes.CDLL, root: bool) -> tuple[list[str], str]:
    """As root, or through a user namespace. Returns the layers gained, or why there are none."""
    uid, gid = os.geteuid(), os.getegid()
    spaces = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET
    gained = ["pidns", "netns", "ipcns"]
    if root and libc.unshare(spaces) == 0:
        return gained, ""
    if libc.unshare(spaces | CLONE_NEWUSER):
        return [], os.strerror(ctypes.get_errno())
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"65534 {uid} 1"),
        ("gid_map", f"65534 {gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    return ["userns", *gained], ""


def _become_init(libc: ctypes.CDLL, base: str) -> None:
    """Go on as process 1 of the new PID namespace; this process only waits for it."""
    inner = os.fork()
    if inner:
        os.closerange(3, 4096)
        _, status = os.waitpid(inner, 0)
        with contextlib.suppress(OSError):
            os.rmdir(base)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _private_root(
    libc: ctypes.CDLL, base: str, library: str, furnish: Callable[[str], None] | None
) -> str:
    """An empty file system in memory becomes the root. Returns why not, or nothing."""
    options = ctypes.c_char_p(b"size=64m,nr_inodes=512,mode=0711")
    flags = MS_NOSUID | MS_NODEV | MS_NOEXEC
    if libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) or libc.mount(
        b"tmpfs", base.encode(), b"tmpfs", flags, options
    ):
        return os.strerror(ctypes.get_errno())
    if library:
        _copy_library(library, base)
    os.chroot(base)
    os.chdir("/")
    if library:
        _furnish("/", furnish)
        for name in KEPT:
            inner = f"/{name}".encode()
            # Read-only for its owner too, who a child is where there is one user.
            if libc.mount(inner, inner, None, MS_BIND, None) or libc.mount(
                None, inner, None, MS_BIND | MS_REMOUNT | MS_RDONLY | flags, None
            ):
                raise OSError(ctypes.get_errno(), "no read-only library")
    return ""


def _change_root(base: str) -> bool:
    try:
        os.chroot(base)
        os.chdir("/")
    except OSError:
        return False
    return True


def _copy_library(library: str, base: str) -> None:
    target = os.path.join(base, LIBRARY)
    os.mkdir(target)
    for name in os.listdir(library):
        if os.path.isfile(source := os.path.join(library, name)):
            shutil.copyfile(source, os.path.join(target, name))
    os.mkdir(os.path.join(base, os.path.dirname(RANDOM)))
    with open(os.path.join(base, RANDOM), "wb") as file:
        file.write(random.Random(0).randbytes(4096))


def _furnish(root: str, furnish: Callable[[str], None] | None) -> None:
    folder = os.path.join(root, LIBRARY)
    os.chmod(folder, 0o755)
    if furnish:
        furnish(folder)
    for name in os.listdir(folder):
        os.chmod(os.path.join(folder, name), 0o444)
    os.chmod(folder, 0o555)


def _filter_calls(libc: ctypes.CDLL, state: dict[str, Any]) -> str:
    """Limit this process, and prepare what children take on. Returns why not, or nothing."""
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    allowed = server_filter()
    if allowed is None:
        return f"no table of system calls for {os.uname().machine}"
    if not allowed.install():
        return os.strerror(ctypes.get_errno())
    landlocked = state["ruleset"] >= 0
    state["filter"] = child_filter(
        contained=state["private_root"], renames=landlocked and state["opens"]
    )
    return ""


def _tasks_of(uid: int) -> int:
    """Processes and threads of a user now: RLIMIT_NPROC counts all of them."""
    count = 0
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                if os.stat(f"/proc/{name}").st_uid == uid:
                    count += len(os.listdir(f"/proc/{name}/task"))
    return count


def _landlock(libc: ctypes.CDLL, state: dict[str, Any]) -> int:
    """A ruleset that forbids every file operation, TCP and signals outwards; -1 if unsupported.

    Where children open files: except to read the library, and to read and write plain files in
    their box.
    """
    version = libc.syscall(SYS_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), 1)
    if version < 1:
        return -1
    files = 0x1FFF | (0x2000 if version >= 2 else 0) | (0x4000 if version >= 3 else 0)
    words = [files | (0x8000 if version >= 5 else 0)]
    words += [3] if version >= 4 else []  # bind and connect
    words += [3] if version >= 6 else []  # abstract sockets, signals
    rules = ctypes.create_string_buffer(struct.pack(f"{len(words)}Q", *words), 8 * len(words))
    made = libc.syscall(SYS_LANDLOCK_CREATE_RULESET, rules, ctypes.c_size_t(8 * len(words)), 0)
    if made < 0 or not state["opens"]:
        return made
    read, write = 0x4 | 0x8, (0x2 | 0x20 | 0x100) | (files & 0x4000)
    for folder, allowed in ((state["library"], read), (state["box"], read | write)):
        beneath = os.open(folder, os.O_PATH | os.O_DIRECTORY)
        rule = ctypes.create_string_buffer(struct.pack("=Qi", allowed, beneath), 12)
        refused = libc.syscall(SYS_LANDLOCK_ADD_RULE, made, 1, rule, 0)
        os.close(beneath)
        if refused:
            return -1
    return made


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


def confine(
    limits: dict[str, Any], descriptors: list[int], state: dict[str, Any], uid: int
) -> None:
    """Take away everything else, in the child. `descriptors` become 3, 4, ...; others close."""
    os.setsid()
    prctl = state["prctl"]
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if state["ruleset"] >= 0 and state["libc"].syscall(
        SYS_LANDLOCK_RESTRICT_SELF, state["ruleset"], 0
    ):
        raise OSError(ctypes.get_errno(), "landlock")
    place_descriptors(descriptors)
    os.chdir(state["box"])
    megabyte = 1 << 20
    memory = int(limits["memory_mb"] * megabyte)
    cpu = max(1, int(-(-limits["cpu_s"] // 1)))
    tasks = int(limits["processes"]) + state["tasks"] if state["threads"] else 0
    for name, soft, hard in (
        (resource.RLIMIT_CPU, cpu, cpu + 1),
        (resource.RLIMIT_AS, memory, memory),
        (resource.RLIMIT_FSIZE, int(limits["file_mb"] * megabyte), None),
        (resource.RLIMIT_CORE, 0, None),
        (resource.RLIMIT_NPROC, tasks, None),
        (resource.RLIMIT_MSGQUEUE, 0, None),
        # Without a private root an answer could read the problems' own files: then nothing opens.
        (resource.RLIMIT_NOFILE, 64 if state["private_root"] or state["opens"] else 0, None),
    ):
        resource.setrlimit(name, (soft, soft if hard is None else hard))
    if uid:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    # A user namespace hands out capabilities inside itself: give them up. No-op otherwise.
    state["capset"](*state["no_capabilities"])
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if state["filter"] is not None and not state["filter"].install():
        raise OSError(ctypes.get_errno(), "seccomp")


def place_descriptors(descriptors: list[int]) -> None:
    """Make `descriptors` 3, 4, ... and close everything above."""
    beyond = 3 + len(descriptors)
    # by way of numbers that none of them has
    moved = [fcntl.fcntl(number, fcntl.F_DUPFD, max(beyond, 32)) for number in descriptors]
    for place, number in enumerate(moved, 3):
        os.dup2(number, place)
    os.closerange(beyond, 4096)


def clean(state: dict[str, Any]) -> None:
    """An empty private directory for the next program, whatever the last one did to it.

    An exception here ends the fork server, after its reply: the parent starts another.
    """
    if state["fresh"] == (_look(state["root"]), _look(state["box"])):
        return
    # where the root, too, was its own, it may have closed it
    os.chmod(state["root"], state["fresh"][0][1] & 0o7777)
    if state["ruleset"] >= 0 and state["opens"]:
        # Landlock's leave holds for this very folder, and keeps children from replacing it.
        os.chmod(state["box"], 0o700)
        remove_content(state["box"])
        remove_content(state["root"], (*KEPT, "box"))
        state["fresh"] = (_look(state["root"]), _look(state["box"]))
        return
    remove_content(state["root"], KEPT if state["opens"] else ())
    _make_box(state)


def _look(path: str) -> tuple[int, ...]:
    """Equal after a program that has left a folder as it was. The time of change cannot be set,
    but is coarse: so whether it is empty is looked at beside it."""
    try:
        seen = os.lstat(path)
    except FileNotFoundError:
        return ()
    entries = os.listdir(path) if stat.S_ISDIR(seen.st_mode) else ()
    return (seen.st_ino, seen.st_mode, seen.st_uid, seen.st_ctime_ns, len(entries))


def remove_content(folder: str, keep: tuple[str, ...] = ()) -> None:
    """Empty a folder whose names, depth and permissions were chosen by an adversary, now dead.

    keep: names of entries that stay.
    Directories are lifted up to the top level one by one, so that depth costs neither stack nor
    path length.
    """
    # drawn now: a name that was known before could stand in the way
    lifted, unknown = 0, os.urandom(8).hex()
    while names := [name for name in os.listdir(folder) if name not in keep]:
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
                    os.rename(source, os.path.join(folder, f"{unknown}-{lifted}"))
                else:
                    os.unlink(source)
            os.rmdir(path)


def _make_box(state: dict[str, Any]) -> None:
    """The child's working directory: its own, or nobody's to write to when nothing may open."""
    own = state["private_root"] or state["opens"]
    os.mkdir(state["box"], 0o700 if own else 0o555)
    if state["uid"] and own:
        os.chown(state["box"], state["uid"], state["uid"])
    state["fresh"] = (_look(state["root"]), _look(state["box"]))
