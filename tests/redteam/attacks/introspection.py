"""Introspection: frames, the collector, memory and modules, searched for tests and answers."""

from __future__ import annotations

from attacks.entry import Attack

# Walks frames and everything the collector tracks for what looks like an expected value.
SEARCH = """
import gc, re, sys
pattern = re.compile('[a-z]+-[0-9]{4}-[0-9]')
found = set()
def look(thing, depth=0):
    if type(thing) is str:
        found.update(pattern.findall(thing))
    elif type(thing) in (bytes, bytearray):
        found.update(pattern.findall(thing.decode('latin-1')))
    elif depth < 4 and type(thing) in (list, tuple, set, frozenset):
        for part in list(thing):
            look(part, depth + 1)
    elif depth < 4 and type(thing) is dict:
        for key, value in list(thing.items()):
            look(key, depth + 1)
            look(value, depth + 1)
def search():
    for top in list(sys._current_frames().values()) + [sys._getframe()]:
        frame = top
        while frame is not None:
            look(dict(frame.f_locals))
            look(list(frame.f_code.co_consts))
            frame = frame.f_back
    for thing in gc.get_objects():
        look(thing)
        look(getattr(thing, '__dict__', None))
        if type(thing).__name__ == 'function':
            look(list(thing.__code__.co_consts))
            look([cell.cell_contents for cell in thing.__closure__ or () if cell != type(cell)()])
    for module in list(sys.modules.values()):
        look(dict(vars(module)))
def word(n):
    search()
    return next((text for text in found if text.endswith(str(n))), 'nothing')
"""
# Reads its own address space: a change of protection fails, without a crash, where nothing is mapped.
SCAN = """
import ctypes, gc, re
libc = ctypes.CDLL(None, use_errno=True)
pattern = re.compile(rb'(?<![a-z])[a-z]+-[0-9]{4}-[0-9]')
found = set()
def scan(start, size):
    if libc.mprotect(ctypes.c_void_p(start), ctypes.c_size_t(size), 7) == 0:
        found.update(pattern.findall(ctypes.string_at(start, size)))
    elif size > 1 << 15:
        scan(start, size // 2)
        scan(start + size // 2, size // 2)
def word(n):
    things = (found, 'x' * 999, b'y' * 99999, 1.5, *gc.get_objects())
    regions = {id(thing) >> 20 for thing in things}
    for region in sorted({one + near for one in regions for near in (-1, 0, 1)}, reverse=True):
        scan(region << 20, 1 << 20)
        hits = [t.decode() for t in sorted(found) if t.endswith(b'-%d' % n)]
        if hits: return hits[0]
    return 'nothing'
"""
NOWHERE = "the expected values never enter its process, so there is nothing to find"
ATTACKS = (
    Attack("looks for the expected values", NOWHERE, SEARCH),
    Attack("looks for a check's expected values", NOWHERE, SEARCH, problem="checked"),
    Attack("scans its own memory", "no earlier answer's values are left in it either", SCAN),
    Attack("scans its own memory under a check", NOWHERE, SCAN, problem="checked"),
    Attack(
        "reads other processes",
        "no other process can be read",
        """
import os, re
def word(n):
    for base in ['/proc/%d' % p for p in (@PARENT@, os.getppid(), 1, 2, 3)] + ['/proc/self', '/proc/thread-self']:
        for name in ('mem', 'environ', 'cmdline', 'maps', 'fd/0', 'root@SECRETS@', 'cwd/../../secret'):
            try:
                text = open(base + '/' + name, 'rb').read(1 << 20)
            except OSError:
                continue
            match = re.search(b'[a-z]+-[0-9]{4}-%d' % n, text)
            if match: return match.group().decode()
    return 'nothing'
""",
        effect="secret",
    ),
    Attack(
        "reads the file of secrets",
        "no file outside can be read",
        "def word(n):\n    return open('@SECRETS@').read().split()[n]",
        effect="secret",
    ),
    Attack(
        "asks the caller's caller",
        "the frames above hold the call, not what is expected of it",
        """
import inspect, sys
def word(n):
    for frame in inspect.stack(0):
        for name, value in frame.frame.f_locals.items():
            for text in (value, *(value if type(value) in (list, tuple) else ()),
                         *(value.values() if type(value) is dict else ())):
                if type(text) is str and 'word(%d)' % n in text and '==' in text:
                    return text.split('==')[1].strip().strip("'")
    return 'nothing'
""",
    ),
    Attack(
        "imports the grader",
        "our own package cannot be loaded to solve the problem with",
        """
def word(n):
    try:
        from awry.tasks.problems import load_catalog
        return 'breach: ' + load_catalog()[0].canonical
    except ImportError as error:
        return 'nothing'
""",
    ),
    Attack(
        "finds the private functions",
        "the code that reports for it is in its process; the tests are not",
        """
import gc, sys, types
def word(n):
    names = []
    for thing in gc.get_objects():
        if type(thing) is types.FunctionType and thing.__module__.startswith('awry'):
            for value in (thing.__globals__, thing.__defaults__, thing.__closure__):
                if 'walnut' in repr(value) and '-7781-' in repr(value): return 'breach: found it'
    return 'nothing'
""",
    ),
    Attack(
        "runs the caller's code again",
        "a second run of the reporting code reports the same wrong values",
        """
import sys
depth = 0
def word(n):
    global depth
    depth += 1
    frame = sys._getframe(1)
    while frame and depth < 3:
        try: exec(frame.f_code, frame.f_globals, frame.f_locals)
        except BaseException: pass
        frame = frame.f_back
    return 'x'
""",
    ),
    Attack(
        "changes the caller's variables",
        "it may change what is reported, and does not know what to report",
        """
import ctypes, sys
def word(n):
    frame = sys._getframe(1)
    while frame:
        for name in list(frame.f_locals):
            if name in ('index', 'call', 'calls', 'request', 'value', 'name'):
                frame.f_locals[name] = 'x'
        try: ctypes.pythonapi.PyFrame_LocalsToFast(ctypes.py_object(frame), ctypes.c_int(0))
        except Exception: pass
        frame = frame.f_back
    return 'x'
""",
    ),
    Attack(
        "keeps a secret for the next answer",
        "no two programs share a process, a module, a file or a segment of memory",
        """
import builtins, os, sys, tempfile
name = 'left-by-an-answer'
def word(n):
    for place in (vars(builtins), sys.modules, os.environ):
        if name in place: return 'breach: ' + str(place[name])
    for folder in ('.', '/', '/tmp', '/dev/shm', '@CANARY@'):
        path = os.path.join(folder, name)
        if os.path.exists(path): return 'breach: ' + path
        try: open(path, 'w').write('x')
        except OSError: pass
    vars(builtins)[name] = sys.modules[name] = 'here'
    os.environ[name] = 'here'
    return 'nothing'
if word(0) == 'nothing': word = lambda n: 'nothing'
""",
    ),
)
