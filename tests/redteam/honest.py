"""Honest answers that a careless sandbox would find wrong. Each must give the values beside it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Honest:
    """calls: (expression, expected value). needs: numpy, "files" for a folder of
    its own, or "descriptors" for an event loop's."""

    name: str
    program: str
    calls: tuple[tuple[str, object], ...]
    needs: str = ""


HONEST = (
    Honest(
        "prints a lot",
        "def f(n):\n    for i in range(20000): print('working on', i, 'x' * 50)\n    return n",
        (("f(1)", 1), ("f(2)", 2)),
    ),
    Honest(
        "prints to stderr and flushes",
        "import sys\ndef f():\n    sys.stderr.write('e' * 10**6)\n    sys.stdout.write('o' * 10**6)\n"
        "    sys.stdout.flush()\n    print('x', flush=True, file=sys.stderr)\n    return 'done'",
        (("f()", "done"),),
    ),
    Honest(
        "defines __eq__ for its own class",
        "class P:\n    def __init__(self, x): self.x = x\n"
        "    def __eq__(self, other): return isinstance(other, P) and self.x == other.x\n"
        "    def __hash__(self): return hash(self.x)\n"
        "def f(): return len({P(1), P(1), P(2)}), P(1) == P(1)",
        (("f()", (2, True)),),
    ),
    Honest(
        "recursion with a raised limit",
        "import sys\nsys.setrecursionlimit(10**6)\n"
        "def depth(n): return 0 if n == 0 else 1 + depth(n - 1)\n"
        "def f(n): return depth(n)",
        (("f(9000)", 9000), ("f(3)", 3)),
    ),
    Honest(
        "recursion in a thread with a large stack",
        "import sys, threading\nsys.setrecursionlimit(10**6)\nthreading.stack_size(1 << 26)\n"
        "def depth(n): return 0 if n == 0 else 1 + depth(n - 1)\n"
        "def f(n):\n    out = []\n    t = threading.Thread(target=lambda: out.append(depth(n)))\n"
        "    t.start(); t.join()\n    return out",
        (("f(20000)", [20000]),),
    ),
    Honest(
        "a pool of threads",
        "from concurrent.futures import ThreadPoolExecutor\ndef f(n):\n"
        "    with ThreadPoolExecutor(8) as pool: return list(pool.map(lambda x: x * x, range(n)))",
        (("f(50)", [x * x for x in range(50)]),),
    ),
    Honest(
        "locks, events and queues",
        "import queue, threading\ndef f(n):\n    box, lock, total = queue.Queue(), threading.Lock(), [0]\n"
        "    def work():\n        while (item := box.get()) is not None:\n"
        "            with lock: total[0] += item\n"
        "    threads = [threading.Thread(target=work) for _ in range(4)]\n"
        "    for t in threads: t.start()\n    for i in range(n): box.put(i)\n"
        "    for t in threads: box.put(None)\n    for t in threads: t.join()\n    return total[0]",
        (("f(100)", 4950),),
    ),
    Honest(
        "print in order with threads",
        "import threading\nclass Foo:\n    def __init__(self):\n        self.a, self.b = threading.Event(), threading.Event()\n"
        "    def first(self, p): p('1'); self.a.set()\n    def second(self, p): self.a.wait(); p('2'); self.b.set()\n"
        "    def third(self, p): self.b.wait(); p('3')\n"
        "def f():\n    foo, out = Foo(), []\n"
        "    ts = [threading.Thread(target=m, args=(out.append,)) for m in (foo.third, foo.second, foo.first)]\n"
        "    [t.start() for t in ts]; [t.join() for t in ts]\n    return ''.join(out)",
        (("f()", "123"),),
    ),
    Honest(
        "numpy",
        "import numpy as np\ndef f(xs): return np.array(xs).sum()\n"
        "def g(xs): return [np.float64(x) / 2 for x in xs], np.bool_(True)\n"
        "def h(n): return np.linalg.matrix_power(np.array([[1, 1], [1, 0]]), n)[0][1]\n"
        "def k(xs): return np.sort(np.array(xs)).tolist()",
        (
            ("f([1, 2, 3])", 6),
            ("g([1, 3])", ([0.5, 1.5], True)),
            ("h(10)", 55),
            ("k([3, 1, 2])", [1, 2, 3]),
        ),
        needs="numpy",
    ),
    Honest(
        "dataclasses",
        "from __future__ import annotations\nfrom dataclasses import dataclass, field, astuple, replace\n"
        "@dataclass(order=True, frozen=True)\nclass P:\n    x: int\n    y: list[int] = field(default_factory=list)\n"
        "@dataclass(slots=True)\nclass Q:\n    name: str = 'q'\n"
        "def f(n): return astuple(replace(P(n), x=n + 1)), P(1) < P(2), Q().name",
        (("f(1)", ((2, []), True, "q")),),
    ),
    Honest(
        "generators",
        "def gen(n):\n    for i in range(n):\n        got = yield i\n        if got: yield got\n"
        "def f(n): return list(gen(n))\ndef g():\n    it = gen(3)\n    next(it)\n    return it.send('x')\n"
        "def h():\n    yield from f(2)",
        (("f(3)", [0, 1, 2]), ("g()", "x"), ("list(h())", [0, 1])),
    ),
    Honest(
        "functools",
        "from functools import cache, lru_cache, reduce, partial, cmp_to_key\n@cache\n"
        "def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)\n@lru_cache(maxsize=None)\n"
        "def g(a, b): return a + b\n"
        "def f(n): return fib(n), g(1, 2), reduce(lambda a, b: a * b, range(1, 6)), "
        "sorted([3, 1], key=cmp_to_key(lambda a, b: a - b))",
        (("f(60)", (1548008755920, 3, 120, [1, 3])),),
    ),
    Honest(
        "asyncio",
        "import asyncio\nasync def work(n):\n    await asyncio.sleep(0.001)\n    return n * 2\n"
        "async def both(): return await asyncio.gather(*(work(i) for i in range(5)))\n"
        "def f(): return asyncio.run(both())",
        (("f()", [0, 2, 4, 6, 8]),),
        needs="descriptors",
    ),
    Honest(
        "nested classes",
        "class Outer:\n    class Inner:\n        class Most:\n            value = 3\n"
        "    def get(self): return self.Inner.Most().value\n"
        "class Meta(type):\n    def __new__(cls, *a): return super().__new__(cls, *a)\n"
        "class WithMeta(Outer, metaclass=Meta):\n    __slots__ = ()\n    @property\n"
        "    def p(self): return super().get()\n    @staticmethod\n    def s(): return 4\n"
        "    @classmethod\n    def c(cls): return cls.__name__\n"
        "def f(): return WithMeta().p, WithMeta.s(), WithMeta.c()",
        (("f()", (3, 4, "WithMeta")),),
    ),
    Honest(
        "changes its argument",
        "def f(xs):\n    xs.sort()\n    xs.pop()\n    return xs\ndef g(d):\n    d.clear()\n    return d",
        (("f([3, 1, 2])", [1, 2]), ("f([3, 1, 2])", [1, 2]), ("g({1: 2})", {})),
    ),
    Honest(
        "large integers",
        "import sys\nfrom math import factorial, comb\nsys.set_int_max_str_digits(0)\n"
        "def f(n): return factorial(n)\ndef g(): return -(2 ** 5000), len(str(3 ** 20000)), comb(200, 100)",
        (
            ("f(100) % (10**9 + 7)", 437918130),
            ("f(30)", 265252859812191058636308480000000),
            ("g()[0]", -(2**5000)),
            ("g()[1]", 9543),
        ),
    ),
    Honest(
        "Unicode",
        "def größe(s): return s[::-1].upper(), len(s), s.encode(), '\\N{SNOWMAN}', ord('😀')\nf = größe",
        (("f('straße')", ("ESSARTS", 6, "straße".encode(), "☃", 128512)),),
    ),
    Honest(
        "global state",
        "count = 0\nmemo = {}\ndef f(n):\n    global count\n    count += 1\n    memo[n] = n\n    return n + 1\n"
        "def g(): return count, sorted(memo)",
        (("f(1)", 2), ("f(5)", 6), ("g()", (2, [1, 5]))),
    ),
    Honest(
        "a main guard",
        "def f(n): return n + 1\nif __name__ == '__main__':\n    import sys\n    print(f(int(sys.argv[1])))\n"
        "    sys.exit(1)",
        (("f(1)", 2),),
    ),
    Honest(
        "type hints",
        "from __future__ import annotations\nfrom typing import *\nfrom collections.abc import Callable\n"
        "T = TypeVar('T')\nclass N(NamedTuple):\n    a: int\n    b: Optional[Undefined] = None\n"
        "class D(TypedDict, total=False):\n    x: int\nclass P(Protocol):\n    def m(self) -> int: ...\n"
        "def f(xs: List[T], k: Callable[[T], bool] | None = None) -> Dict[str, T]: return {'a': xs[0]}\n"
        "def g() -> tuple: return tuple(N(1))",
        (("f([5])", {"a": 5}), ("g()", (1, None))),
    ),
    Honest(
        "match statements",
        "def f(x):\n    match x:\n        case {'k': [first, *_]}: return first\n        case (a, b) if a > b: return 'down'\n"
        "        case str() | bytes(): return 'text'\n        case int(n): return n\n        case _: return None",
        (("f({'k': [7, 8]})", 7), ("f((2, 1))", "down"), ("f('s')", "text"), ("f(3.5)", None)),
    ),
    Honest(
        "decorators",
        "import functools, time\nfrom contextlib import contextmanager, suppress\ndef timed(fn):\n    @functools.wraps(fn)\n"
        "    def inner(*a, **k):\n        begun = time.perf_counter()\n        try: return fn(*a, **k)\n"
        "        finally: inner.spent = time.perf_counter() - begun\n    return inner\n"
        "@contextmanager\ndef ctx():\n    yield 5\n@timed\ndef f(n):\n    with ctx() as five, suppress(KeyError):\n"
        "        return n * five\n",
        (("f(2)", 10), ("f.__name__", "f")),
    ),
    Honest(
        "heapq, bisect, deque, Counter",
        "import heapq\nfrom bisect import *\nfrom collections import *\ndef f(xs):\n    heap = list(xs)\n    heapq.heapify(heap)\n"
        "    queue = deque(xs, maxlen=2)\n    return heapq.nsmallest(2, heap), bisect_left(sorted(xs), 3), list(queue), "
        "Counter(xs), OrderedDict(a=1), ChainMap({1: 2})[1]",
        (("f([4, 3, 1])", ([1, 3], 1, [3, 1], {4: 1, 3: 1, 1: 1}, {"a": 1}, 2)),),
    ),
    Honest(
        "itertools",
        "from itertools import *\nimport operator\ndef f(): return (list(islice(count(), 3)), list(chain([1], [2])), "
        "[list(g) for _, g in groupby('aab')], list(combinations([1, 2, 3], 2)), list(accumulate([1, 2, 3], operator.mul)), "
        "list(pairwise([1, 2, 3])), list(zip_longest([1], [2, 3])))",
        (
            (
                "f()",
                (
                    *([0, 1, 2], [1, 2], [["a", "a"], ["b"]], [(1, 2), (1, 3), (2, 3)]),
                    *([1, 2, 6], [(1, 2), (2, 3)], [(1, 2), (None, 3)]),
                ),
            ),
        ),
    ),
    Honest(
        "fractions and decimals inside",
        "from fractions import Fraction\nfrom decimal import Decimal, getcontext, ROUND_HALF_UP\n"
        "getcontext().prec = 30\ndef f(): return str(Fraction(1, 3) + Fraction(1, 6)), str(Decimal(1) / 7), "
        "float(Fraction(3, 4)), int(Decimal('2.5').quantize(0, ROUND_HALF_UP))",
        (("f()", ("1/2", "0.142857142857142857142857142857", 0.75, 3)),),
    ),
    Honest(
        "regular expressions and strings",
        "import re, string, textwrap\ndef f(s): return re.findall(r'(?P<w>\\w+)', s), re.sub('a', lambda m: 'b', s), "
        "f'{3.14159:.2f} {7:>3} {255:#x} {s!r:>5}', '%s-%d' % (s, 2), string.ascii_lowercase[:3], textwrap.wrap(s, 2)",
        (("f('a c')", (["a", "c"], "b c", "3.14   7 0xff 'a c'", "a c-2", "abc", ["a", "c"])),),
    ),
    Honest(
        "random with a seed",
        "import random\ndef f(seed):\n    random.seed(seed)\n    a = [random.randint(0, 9) for _ in range(5)]\n"
        "    r = random.Random(seed)\n    return a == [r.randint(0, 9) for _ in range(5)], random.Random(1).random()",
        (("f(42)", (True, 0.13436424411240122)),),
    ),
    Honest(
        "temporary files and its own folder",
        "import os, tempfile\nfrom pathlib import Path\ndef f():\n    with tempfile.TemporaryDirectory(dir='.') as d:\n"
        "        p = Path(d) / 'a.txt'\n        p.write_text('hello')\n        text = p.read_text()\n"
        "    with open('b.txt', 'w') as file: file.write('x' * 1000)\n    size = os.path.getsize('b.txt')\n"
        "    os.remove('b.txt')\n    with tempfile.TemporaryFile(dir='.') as t:\n        t.write(b'z'); t.seek(0); z = t.read()\n"
        "    return text, size, z, os.listdir('.')",
        (("f()", ("hello", 1000, b"z", [])),),
        needs="files",
    ),
    Honest(
        "temporary files in the usual place",
        "import tempfile\ndef f():\n    with tempfile.NamedTemporaryFile('w+') as t:\n        t.write('x'); t.seek(0)\n"
        "        return t.read()",
        (("f()", "x"),),
        needs="files",
    ),
    Honest(
        "files in memory",
        "import io, csv, json\ndef f():\n    out = io.StringIO()\n    csv.writer(out).writerow([1, 'a,b'])\n"
        "    return out.getvalue(), json.loads(json.dumps({'k': [1, None, True, 1.5]})), io.BytesIO(b'x').read()",
        (("f()", ('1,"a,b"\r\n', {"k": [1, None, True, 1.5]}, b"x")),),
    ),
    Honest(
        "clocks and sleeps",
        "import time, datetime\ndef f():\n    a = time.time(); time.sleep(0.01); b = time.monotonic()\n"
        "    return time.time() > a, datetime.date(2024, 2, 29).isoformat(), "
        "(datetime.datetime(2024, 1, 1) - datetime.timedelta(days=1)).year, time.process_time() >= 0",
        (("f()", (True, "2024-02-29", 2023, True)),),
    ),
    Honest(
        "reads stdin, which is empty",
        "import sys\nfirst = sys.stdin.read()\ndef f():\n    try: return input()\n"
        "    except EOFError: return 'end' + first + ''.join(sys.stdin)",
        (("f()", "end"),),
    ),
    Honest(
        "captures its own output",
        "import io, contextlib\ndef f():\n    out = io.StringIO()\n    with contextlib.redirect_stdout(out): print('hi')\n"
        "    return out.getvalue()",
        (("f()", "hi\n"),),
    ),
    Honest(
        "catches its own errors",
        "import warnings, traceback\ndef f():\n    try:\n        try: 1 / 0\n        except ZeroDivisionError as e: raise ValueError('v') from e\n"
        "    except* ValueError as group: pass\n    try: [].pop()\n    except IndexError: text = traceback.format_exc()\n"
        "    warnings.warn('careful')\n    try: return f(1)\n    except TypeError as e: return 'IndexError' in text, type(e).__name__\n",
        (("f()", (True, "TypeError")),),
    ),
    Honest(
        "a fair amount of memory",
        "def f(n):\n    grid = [[0] * n for _ in range(n)]\n    sieve = bytearray(10**7)\n    return sum(map(len, grid)), len(sieve)",
        (("f(1500)", (2250000, 10**7)),),
    ),
    Honest(
        "operators of its own inside",
        "class V:\n    def __init__(self, *x): self.x = x\n    def __add__(self, o): return V(*map(sum, zip(self.x, o.x)))\n"
        "    def __iter__(self): return iter(self.x)\n    def __len__(self): return len(self.x)\n"
        "    def __getitem__(self, i): return self.x[i]\n    def __lt__(self, o): return self.x < o.x\n"
        "    def __bool__(self): return any(self.x)\n    def __call__(self): return 9\n    def __contains__(self, i): return True\n"
        "def f():\n    v = V(1, 2) + V(3, 4)\n    return list(v), v[0], len(v), sorted([V(2), V(1)])[0][0], v(), 8 in v",
        (("f()", ([4, 6], 4, 2, 1, 9, True)),),
    ),
    Honest(
        "introspection of its own",
        "import inspect, sys, gc\ndef f(a, b=2): return inspect.signature(f).parameters['b'].default, f.__code__.co_argcount, "
        "sys._getframe().f_code.co_name, callable(f), sys.version_info >= (3, 11), sys.getsizeof([]) > 0, __name__ != '__main__'\n",
        (("f(1)", (2, 2, "f", True, True, True, True)),),
    ),
    Honest(
        "evaluates expressions",
        "import ast, operator\ndef f(s): return eval(s), eval(compile(ast.parse(s, mode='eval'), '', 'eval')), ast.literal_eval('[1]')\n"
        "scope = {}\nexec('def g(): return 1', scope)",
        (("f('2 * 3')", (6, 6, [1])), ("scope['g']()", 1)),
    ),
    Honest(
        "structs, hashes and encodings",
        "import struct, hashlib, base64, zlib, binascii, uuid, secrets, array\ndef f(): return struct.pack('>I', 5), "
        "hashlib.sha256(b'x').hexdigest()[:8], hashlib.md5(b'').hexdigest()[:4], base64.b64encode(b'hi'), "
        "zlib.decompress(zlib.compress(b'z')), len(secrets.token_hex(4)), list(array.array('i', [1]))",
        (("f()", (b"\0\0\0\5", "2d711642", "d41d", b"aGk=", b"z", 8, [1])),),
    ),
    Honest(
        "enums and statistics",
        "import enum, statistics, math, cmath\nclass C(enum.IntFlag):\n    A = enum.auto()\n    B = enum.auto()\n"
        "def f(): return (C.A | C.B).value, statistics.median([3, 1, 2]), math.isqrt(99), math.gcd(12, 18), cmath.sqrt(-1)",
        (("f()", (3, 2, 9, 6, 1j)),),
    ),
    Honest(
        "takes most of its time",
        "import time\nend = time.process_time() + 0.5\nn = 0\nwhile time.process_time() < end: n += 1\n"
        "def f(): return n > 1000",
        (("f()", True),),
    ),
    Honest(
        "leaves a thread behind",
        "import threading, time\nthreading.Thread(target=time.sleep, args=(0.3,), daemon=True).start()\ndef f(): return 1",
        (("f()", 1),),
    ),
    Honest(
        "linked lists and trees of its own",
        "class ListNode:\n    def __init__(self, val=0, next=None): self.val, self.next = val, next\n"
        "class Solution:\n    def reverse(self, xs):\n        head = None\n        for x in xs: head = ListNode(x, head)\n"
        "        out = []\n        while head: out.append(head.val); head = head.next\n        return out",
        (("Solution().reverse([1, 2, 3])", [3, 2, 1]),),
    ),
)
