"""Monkeypatching of builtins, the standard library and the code that reports."""

from __future__ import annotations

from attacks.entry import Attack

OWN = "it can spoil its own report; what is compared is in another process"
ATTACKS = (
    Attack(
        "patched builtins",
        OWN,
        "import builtins\n"
        "for name in ('sorted', 'len', 'isinstance', 'type', 'all', 'any', 'repr', 'eval', 'exec',\n"
        "             'compile', 'callable', 'getattr', 'str', 'format', 'zip', 'enumerate'):\n"
        "    setattr(builtins, name, lambda *a, **k: True)\ndef word(n): return True",
    ),
    Attack(
        "patched json and os",
        OWN,
        "import json, os\njson.dumps = json.JSONEncoder.encode = lambda *a, **k: 'true'\n"
        "os._exit = os.write = lambda *a: 0\ndef word(n): return 'x'",
    ),
    Attack(
        "no builtins at all",
        OWN,
        "import builtins\ndef word(n):\n    for name in list(vars(builtins)):\n"
        "        if not name.startswith('__'): delattr(builtins, name)",
    ),
    Attack(
        "assertions that cannot fail",
        "no assertion runs in its process",
        "import builtins, sys\nclass AssertionError(Exception): pass\n"
        "builtins.AssertionError = AssertionError\nsys.flags = None\n__debug__ = False\n"
        "def word(n): return 'x'",
    ),
    Attack(
        "assertions taken away at run time",
        "no assertion runs in its process",
        "import builtins\nvars(builtins)['AssertionError'] = KeyboardInterrupt\n"
        "import unittest\nunittest.TestCase.assertEqual = lambda *a: None\ndef word(n): return 'x'",
    ),
    Attack(
        "a hook on every event",
        OWN,
        "import sys\nsys.settrace(lambda *a: None)\nsys.setprofile(lambda *a: None)\n"
        "sys.excepthook = sys.unraisablehook = lambda *a: None\ndef word(n): return 'x'",
    ),
    Attack(
        "an audit hook that objects",
        "an event hook that raises in our code costs only its own report",
        "import sys\narmed = []\ndef hook(event, args):\n    if armed: raise SystemExit(0)\n"
        "sys.addaudithook(hook)\ndef word(n):\n    armed.append(1)\n    return 'x'",
    ),
    Attack(
        "a trace that rewrites the caller",
        OWN,
        """
import sys
def trace(frame, event, arg):
    frame.f_trace_opcodes = True
    for name in list(frame.f_locals):
        if name == 'value': frame.f_locals[name] = 'x'
    return trace
def word(n):
    frame = sys._getframe(1)
    while frame: frame.f_trace = trace; frame = frame.f_back
    sys.settrace(trace)
    return 'y'
""",
    ),
    Attack(
        "new code for the encoder",
        "an encoder that says 'passed' has said a wrong value",
        """
import gc, types
def encode(value, budget, depth=0): return 'passed'
def say(*message): return None
def word(n):
    for thing in gc.get_objects():
        if type(thing) is types.FunctionType and (thing.__module__ or '').startswith('awry'):
            for mine in (encode, say):
                if thing.__name__ == mine.__name__:
                    try: thing.__code__ = mine.__code__
                    except ValueError: pass
    return 'x'
""",
    ),
    Attack(
        "patched C types",
        "changing str itself, by raw memory, stays in its process",
        """
import ctypes, gc
methods = gc.get_referents(str.__dict__)[0]
methods['__eq__'] = lambda a, b: True
methods['encode'] = lambda self, *a: b'x'
ctypes.pythonapi.PyType_Modified(ctypes.py_object(str))
def word(n): return 'x'
""",
    ),
    Attack(
        "a small number that is another",
        "corrupting the interpreter's cached integers changes its own arithmetic",
        """
import ctypes
def successor(n):
    return 1
for small in range(2, 8):
    ctypes.cast(id(small) + 24, ctypes.POINTER(ctypes.c_uint32))[0] = 1
""",
        problem="successor",
    ),
    Attack(
        "random with a seed of its own",
        "the order of sets and the draws of random are repeatable; they decide nothing here",
        "import random\nrandom.random = random.choice = lambda *a: 0\ndef word(n): return 'x'",
    ),
)
