"""Raw system calls: what the kernel offers besides files, sockets and signals."""

from __future__ import annotations

from attacks.entry import Attack

CALL = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
ARM = os.uname().machine == 'aarch64'
got = []
def call(name, x86, arm, *args):
    number = ctypes.c_long(arm if ARM else x86)
    result = libc.syscall(number, *[ctypes.c_long(a) if type(a) is int else a for a in args])
    if result >= 0: got.append(name)
    return result
def word(n): return 'breach: ' + ' '.join(got) if got else 'nothing'
"""
# Refused for want of privileges everywhere; the filter refuses it before the kernel looks.
NEVER = "refused"
FILTER = ("seccomp",)


def _call(
    name: str, line: str, stopped_by: tuple[str, ...] = (), must: str = NEVER, extra: str = ""
) -> Attack:
    effect = "breach" if stopped_by else None
    return Attack(name, must, CALL + extra + line, effect=effect, stopped_by=stopped_by)


ATTACKS = (
    _call("mounts", "call('mount', 165, 40, b'none', b'/', b'tmpfs', 0, None)"),
    _call(
        "mounts over a folder outside",
        "call('mount', 165, 40, b'none', b'@CANARY@', b'tmpfs', 0, None)",
    ),
    _call("mounts in the new way", "call('fsopen', 430, 430, b'tmpfs', 0)"),
    _call("copies a mount", "call('open_tree', 428, 428, -100, b'/', 1)"),
    _call("unmounts", "call('umount', 166, 39, b'/', 2)"),
    _call(
        "a user namespace",
        "call('unshare', 272, 97, 0x10000000)",
        FILTER,
        "no namespace in which it would be root",
    ),
    _call(
        "namespaces of its own",
        "for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x20000000, 0x40000000, 0x80):\n"
        "    call('unshare-%x' % flag, 272, 97, flag)",
        must="refused, each",
    ),
    _call(
        "somebody else's namespaces",
        "for fd in range(64): call('setns', 308, 268, fd, 0)\n"
        "link = libc.syscall(434, os.getppid(), 0)\nif link >= 0: call('setns', 308, 268, link, 0x7e020000)",
    ),
    _call(
        "a process in new namespaces",
        "arguments = (ctypes.c_uint64 * 11)()\narguments[0], arguments[4] = 0x10000000, 17\n"
        "if call('clone3', 435, 435, ctypes.byref(arguments), 88) == 0: os._exit(0)",
        must="no processes, by whatever call",
    ),
    _call(
        "a process by clone3",
        "arguments = (ctypes.c_uint64 * 11)()\narguments[4] = 17\n"
        "if call('clone3', 435, 435, ctypes.byref(arguments), 88) == 0: os._exit(0)",
        must="no processes, by whatever call",
    ),
    _call(
        "a process by clone",
        "if call('clone', 56, 220, 17, 0, 0, 0, 0) == 0: os._exit(0)",
        must="no processes, by whatever call",
    ),
    _call(
        "a process by vfork",
        "if not ARM and call('vfork', 58, 58) == 0: libc._exit(0)",
        must="no processes, by whatever call",
    ),
    Attack(
        "a process that says it is a thread",
        "sharing memory is not being a thread: the flags are looked at together",
        CALL
        + "stack = ctypes.create_string_buffer(1 << 16)\n"
        + "top = (ctypes.addressof(stack) + (1 << 16)) & ~15\n"
        + "function = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(lambda a: libc.pause())\n"
        + "pause = ctypes.cast(libc._exit, ctypes.c_void_p)\n"
        + "if libc.clone(pause, ctypes.c_void_p(top), 0x100 | 0x800 | 17, None) > 0: got.append('clone')\n",
    ),
    _call(
        "a key in the kernel", "call('add_key', 248, 217, b'user', b'awry', b'x', 1, -4)", FILTER
    ),
    _call("a keyring", "call('keyctl', 250, 219, 1, b'awry')", FILTER),
    _call("a program in the kernel", "call('bpf', 321, 280, 0, bytes(128), 72)"),
    _call(
        "a ring of requests",
        "call('io_uring_setup', 425, 425, 4, ctypes.create_string_buffer(120))",
        ("seccomp", "no-open"),
        "io_uring does what a filter of calls forbids: refused",
    ),
    _call("page faults of its own", "call('userfaultfd', 323, 282, 1)", ("seccomp", "no-open")),
    _call(
        "a counter of events",
        "attribute = ctypes.create_string_buffer(b'\\1\\0\\0\\0\\x80' + bytes(123), 128)\n"
        "call('perf_event_open', 298, 241, attribute, 0, -1, -1, 0)",
        ("seccomp", "no-open"),
    ),
    Attack(
        "a program from memory",
        "nothing can be executed, from a file without a name either",
        CALL + "fd = libc.syscall(279 if ARM else 319, b'x', 0)\n"
        "script = b'#!/bin/sh\\ntouch @CANARY@/@NAME@\\n'\n"
        "if fd >= 0:\n    libc.write(fd, script, len(script))\n"
        "    arguments = (ctypes.c_char_p * 2)(b'x', None)\n"
        "    libc.syscall(281 if ARM else 322, fd, b'', arguments, None, 0x1000)\n",
        ends=("finished", "died"),
    ),
    _call(
        "a way out of a new root",
        "try:\n    os.mkdir('deeper')\nexcept OSError: pass\ncall('chroot', 161, 51, b'deeper')\n"
        "for _ in range(40): libc.chdir(b'..')\ncall('chroot', 161, 51, b'.')\n"
        "if libc.access(b'/etc/passwd', 0) == 0 and libc.access(b'etc/passwd', 0) == 0 "
        "and 'chroot' in got: got.append('out')",
    ),
    _call("another root", "call('pivot_root', 155, 41, b'.', b'.')"),
    _call(
        "a handle of a file outside",
        "handle = ctypes.create_string_buffer(b'\\x80', 256)\n"
        "fd = libc.syscall(265 if ARM else 304, -100, handle, 0)\nif fd >= 0: got.append('open_by_handle_at')",
    ),
    _call("memory that is not random", "call('personality', 135, 92, 0x0040000)", FILTER),
    _call("another name for the machine", "call('setdomainname', 171, 162, b'@NAME@'[:8], 8)"),
    _call(
        "the kernel's messages", "call('syslog', 103, 116, 3, ctypes.create_string_buffer(64), 64)"
    ),
    _call("a module for the kernel", "call('init_module', 175, 105, b'x', 0, b'')"),
    _call("swap", "call('swapoff', 168, 225, b'@CANARY@/keep')"),
    _call("an account of processes", "call('acct', 163, 89, b'@CANARY@/keep')"),
    _call("ports of the machine", "if not ARM: call('ioperm', 173, 173, 0x80, 1, 1)"),
    _call(
        "a comparison of processes",
        "call('kcmp', 312, 272, os.getppid(), os.getppid(), 1, 0, 0)",
        ("pidns", "setuid", "landlock", "seccomp"),
    ),
    _call(
        "its own filter",
        "for mode in (1, 2): libc.prctl(22, mode, 0, 0, 0)\n"
        "call('seccomp', 317, 277, 1, 1 << 3, bytes(16))",
        must="a filter of its own, with somebody listening, is refused",
    ),
    Attack(
        "its privileges back",
        "capabilities and users given up stay given up",
        CALL + "for change in (lambda: os.setuid(0), lambda: os.setresuid(0, 0, 0),\n"
        "               lambda: os.setgid(0), lambda: os.setgroups([0])):\n"
        "    try: change()\n    except OSError: continue\n    got.append('user')\n"
        "header = (ctypes.c_uint32 * 2)(0x20080522, 0)\nsets = (ctypes.c_uint32 * 6)()\n"
        "libc.capget(header, sets)\nif any(sets): got.append('capabilities')\n"
        "if libc.prctl(39, 0, 0, 0, 0) == 0: got.append('new privileges')\n",
    ),
    Attack(
        "the calls of another machine",
        "the 32-bit entry has no other rules",
        CALL + "import mmap\nif not ARM:\n    try:\n"
        "        page = mmap.mmap(-1, 4096, prot=7)\n"
        "        # mov eax, 39 (mkdir); mov ebx, path; mov ecx, 0777; int 0x80; ret\n"
        "        low = libc.mmap\n        low.restype = ctypes.c_void_p\n"
        "        name = low(None, 4096, 3, 0x62, -1, 0)\n"
        "        ctypes.memmove(name, b'@CANARY@/@NAME@\\0', len(b'@CANARY@/@NAME@') + 1)\n"
        "        code = b'\\x53\\xb8\\x27\\0\\0\\0\\xbb' + name.to_bytes(8, 'little')[:4] + "
        "b'\\xb9\\xff\\1\\0\\0\\xcd\\x80\\x5b\\xc3'\n"
        "        page.write(code)\n"
        "        ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()\n"
        "    except (OSError, ValueError): pass\n",
        ends=("finished", "died"),
    ),
    Attack(
        "the calls of the x32 interface",
        "numbers with the x32 bit are calls too",
        CALL
        + "if not ARM:\n    libc.syscall(ctypes.c_long(0x40000000 + 83), b'@CANARY@/@NAME@', 0o777)\n"
        "    if libc.syscall(ctypes.c_long(0x40000000 + 57)) == 0: os._exit(0)\n",
        ends=("finished", "died"),
    ),
    Attack(
        "every call there is",
        "calling all numbers with nonsense ends, at worst, this program",
        "import ctypes, os\nlibc = ctypes.CDLL(None)\n"
        "left_out = {34, 35, 60, 62, 231, 288, 15, 61} | {93, 94, 73, 101, 129, 139, 133}\n"
        "for number in range(470):\n    if number not in left_out:\n"
        "        libc.syscall(ctypes.c_long(number), -1, -1, -1, -1, -1, -1)\ndef word(n): return 'x'",
        effect="signal",
        stopped_by=("pidns", "setuid", "seccomp"),
        broadcast=True,
    ),
)
