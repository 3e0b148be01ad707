"""Network: listeners on 127.0.0.1, on an abstract and on a path unix socket must hear nothing."""

from __future__ import annotations

from attacks.entry import Attack

NOBODY = "nothing it sends arrives"
# A process without a network of its own still cannot have a socket if it may open nothing.
STOPS = ("netns", "landlock", "no-open", "seccomp")
SEND = """
import socket
def send(kind, address, how=socket.SOCK_STREAM):
    try:
        with socket.socket(kind, how) as link:
            link.settimeout(0.2)
            link.connect(address)
            link.send(b'@NAME@')
    except (OSError, ValueError): pass
def word(n): return 'x'
"""
ATTACKS = (
    Attack(
        "connects to a local port",
        NOBODY,
        SEND + "send(socket.AF_INET, ('127.0.0.1', @PORT@))",
        effect="network",
        stopped_by=STOPS,
    ),
    Attack(
        "sends a datagram",
        NOBODY,
        SEND + "send(socket.AF_INET, ('127.0.0.1', @UDP@), socket.SOCK_DGRAM)",
        effect="network",
        stopped_by=STOPS,
    ),
    Attack(
        "connects to an abstract socket",
        NOBODY,
        SEND + "send(socket.AF_UNIX, '\\0@ABSTRACT@')",
        effect="network",
        stopped_by=STOPS,
    ),
    Attack(
        "connects to a socket in the file system",
        NOBODY,
        SEND + "send(socket.AF_UNIX, '@SOCKET@')",
        effect="network",
        stopped_by=("tmpfs-root", "landlock", "no-open", "seccomp"),
    ),
    Attack(
        "opens a connection as it sends",
        "fast open needs no call to connect",
        "import socket\ntry:\n    link = socket.socket()\n"
        "    link.sendto(b'@NAME@', 0x20000000, ('127.0.0.1', @PORT@))\nexcept OSError: pass\n"
        "def word(n): return 'x'",
        effect="network",
        stopped_by=STOPS,
    ),
    Attack(
        "connects through a library",
        NOBODY,
        "try:\n    import http.client\n"
        "    http.client.HTTPConnection('127.0.0.1', @PORT@, timeout=0.2).request('GET', '/@NAME@')\n"
        "except (ImportError, OSError): pass\ndef word(n): return 'x'",
    ),
    Attack(
        "connects by raw calls",
        NOBODY,
        """
import ctypes, struct
libc = ctypes.CDLL(None)
address = struct.pack('=HH4s8x', 2, ((@PORT@ & 255) << 8) | @PORT@ >> 8, bytes([127, 0, 0, 1]))
link = libc.socket(2, 1, 0)
if libc.connect(link, address, 16) == 0: libc.write(link, b'@NAME@', 6)
def word(n): return 'x'
""",
        effect="network",
        stopped_by=STOPS,
    ),
    Attack(
        "listens for the next answer",
        "a listener does not outlive its program, and no other program can reach it",
        """
import socket, time
def word(n):
    for address in (('127.0.0.1', @PORT@ + 1 if @PORT@ < 65000 else 64000),):
        try:
            with socket.create_connection(address, 0.2): return 'breach: heard'
        except OSError: pass
        try: socket.create_server(address).listen()
        except OSError: pass
    return 'x'
""",
    ),
    Attack(
        "looks up a name",
        "no name server is asked",
        "import socket\ntry: print(socket.getaddrinfo('@NAME@.example', 80))\nexcept OSError: pass\n"
        "def word(n): return 'x'",
    ),
    Attack(
        "unusual sockets",
        "packet, netlink, vsock and kernel-crypto sockets are not to be had, or lead nowhere",
        """
import socket
got = []
for name, family, kind in (('packet', 17, 3), ('raw', 2, 3), ('vsock', 40, 1), ('alg', 38, 5)):
    try: socket.socket(family, kind, 1 if name == 'raw' else 0)
    except OSError: continue
    got.append(name)
def word(n): return 'breach: ' + ' '.join(got) if got else 'nothing'
""",
        effect="breach",
        stopped_by=("seccomp", "no-open"),
    ),
    Attack(
        "passes its pipe to somebody else",
        "a descriptor sent through a socket finds nobody",
        "import array, socket\ntry:\n    link = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [3]))]\n"
        "    link.sendmsg([b'@NAME@'], rights, 0, '\\0@ABSTRACT@-dgram')\nexcept OSError: pass\n"
        "def word(n): return 'x'",
        effect="network",
        stopped_by=STOPS,
    ),
)
