"""Import hooks and poisoned modules."""

from __future__ import annotations

from attacks.entry import Attack

OWN = "modules of its process are its own: the next program has the real ones"
ATTACKS = (
    Attack(
        "an import hook that gives it everything",
        OWN,
        """
import sys, types
class Any(types.ModuleType):
    def __getattr__(self, name): return lambda *a, **k: True
class Finder:
    def find_spec(self, name, path=None, target=None):
        import importlib.machinery
        return importlib.machinery.ModuleSpec(name, self)
    def create_module(self, spec): return Any(spec.name)
    def exec_module(self, module): pass
sys.meta_path.insert(0, Finder())
import awry.tasks.code, numpy, pytest
def word(n): return 'x'
""",
    ),
    Attack(
        "no modules left",
        OWN,
        "import sys\ndef word(n):\n    sys.modules.clear()\n    return 'x'",
    ),
    Attack(
        "poisoned modules",
        OWN,
        "import sys\nfor name in list(sys.modules):\n    if name not in ('sys', 'builtins'): "
        "sys.modules[name] = None\ndef word(n): return 'x'",
    ),
    Attack(
        "an import function of its own",
        OWN,
        "import builtins\nbuiltins.__import__ = lambda *a, **k: 1 / 0\ndef word(n): return 'x'",
    ),
    Attack(
        "a path to everywhere",
        "there is nothing to import from",
        """
import sys
sys.path[:] = ['/usr/lib/python3', '/usr/lib/python3.11', '@CANARY@', '/', '.', '']
sys.path_importer_cache.clear()
def word(n):
    try: import antigravity, turtle
    except ImportError: return 'nothing'
    return 'breach: imported'
""",
    ),
    Attack(
        "a module that is its own package",
        OWN,
        "import sys\nsys.modules['__main__'] = sys.modules['json'] = sys.modules[__name__]\n"
        "__path__ = ['@CANARY@']\ndef word(n): return 'x'\ndef dumps(*a): return 'true'\nloads = dumps",
    ),
    Attack(
        "a module with a different name",
        "being __main__ is not being the grader",
        "__name__ = '__main__'\nimport sys\nsys.argv = ['grader']\nif __name__ == '__main__':\n"
        "    print('passed')\n    sys.exit(0)\ndef word(n): return 'x'",
    ),
    Attack(
        "a reload of the interpreter's parts",
        OWN,
        "import importlib, sys\nfor name in ('os', 'io', 'json', 'builtins', 'sys', 'signal'):\n"
        "    try: importlib.reload(sys.modules[name])\n    except BaseException: pass\n"
        "def word(n): return 'x'",
    ),
)
