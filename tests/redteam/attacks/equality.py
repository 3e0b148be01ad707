"""Equality and type tricks: values that claim to be other values."""

from __future__ import annotations

from attacks.entry import Attack

EXACT = "only exact built-in types are values: the object is refused by name"
ATTACKS = (
    Attack(
        "an object equal to everything",
        EXACT,
        "class Any:\n    def __eq__(self, other): return True\n    def __hash__(self): return 0\n"
        "    def __ne__(self, other): return False\ndef word(n): return Any()",
    ),
    Attack(
        "a str equal to everything",
        EXACT,
        "class Any(str):\n    def __eq__(self, other): return True\n    __hash__ = str.__hash__\n"
        "def word(n): return Any('x')",
    ),
    Attack(
        "an object that claims to be a str",
        EXACT,
        "class Any:\n    __class__ = str\n    def __eq__(self, other): return True\n"
        "def word(n): return Any()",
    ),
    Attack(
        "a type equal to str",
        "types are compared by identity, not by an equality the answer wrote",
        """
class Meta(type):
    def __eq__(self, other): return True
    __hash__ = type.__hash__
    def __instancecheck__(self, other): return True
    def __subclasscheck__(self, other): return True
class Any(metaclass=Meta):
    def __eq__(self, other): return True
def word(n): return Any()
""",
    ),
    Attack(
        "a type with the hash of str in a table of types",
        "a look-up of the type in a table must not call the type's own equality to its gain",
        """
class Meta(type):
    def __hash__(self): return hash(dict)
    def __eq__(self, other): return True
class Any(dict, metaclass=Meta):
    def items(self): return [('x', 'x')]
def word(n): return Any()
""",
    ),
    Attack(
        "an object that is a path to its own encoding",
        EXACT,
        "class Any(dict):\n    def items(self): return [('l', 'x')]\n"
        "    def __eq__(self, other): return True\ndef word(n): return Any()",
    ),
    Attack(
        "the encoding instead of the value",
        "a list that looks like an encoded value is a list",
        "def word(n): return ['?', 'x'] if n % 2 else ('l', 't', ['i', '1'])",
    ),
    Attack(
        "an int equal to everything",
        EXACT,
        "class Any(int):\n    def __eq__(self, other): return True\n    __hash__ = int.__hash__\n"
        "    def __lt__(self, other): return True\n    def __round__(self, n): return 6\n"
        "def successor(n): return Any(0)",
        problem="successor",
    ),
    Attack(
        "the right int in a subclass",
        "a subclass of int is not an int",
        "class I(int): pass\ndef successor(n): return I(n + 1)",
        problem="successor",
    ),
    Attack(
        "a list equal to everything",
        EXACT,
        "class Any(list):\n    def __eq__(self, other): return True\ndef successor(n): return Any()",
        problem="successor",
    ),
    Attack(
        "its own sorted and round",
        "wrappers around a call are applied by the parent, with its own functions",
        "import builtins\nsorted = builtins.sorted = lambda *a, **k: [10]\n"
        "round = builtins.round = lambda *a: 6\ndef successor(n): return min(n + 1, 4)",
        problem="successor",
    ),
    Attack(
        "arguments remembered",
        "counting the calls is not knowing the values",
        "seen = []\ndef successor(n):\n    seen.append(n)\n    return len(seen)",
        problem="successor",
    ),
    Attack(
        "not a number",
        "nan equals a number nowhere",
        "def successor(n): return float('nan')",
        problem="successor",
    ),
    Attack(
        "True for 1",
        "a bool equals only a bool",
        "def successor(n): return True if n == 0 else n + 1",
        problem="successor",
    ),
    Attack(
        "a complex number for an int",
        "1+0j equals 1 under ==, and is another type of answer",
        "def successor(n): return complex(n + 1, 1e-300)",
        problem="successor",
    ),
    Attack(
        "a numpy scalar of its own",
        "a class that claims to be numpy's is refused like any other",
        """
import sys, types
fake = types.ModuleType('numpy')
class int64:
    def item(self): return Any()
    def __eq__(self, other): return True
class Any(int):
    def __eq__(self, other): return True
int64.__module__ = 'numpy'
fake.int64 = fake.generic = fake.number = fake.bool_ = int64
sys.modules['numpy'] = fake
def successor(n): return int64()
""",
        problem="successor",
    ),
    Attack(
        "a linked list without end",
        "nodes are walked for a bounded number of steps",
        """
class ListNode:
    def __init__(self, val=0, next=None): self.val = val
    @property
    def next(self): return ListNode()
    @next.setter
    def next(self, value): pass
class Solution:
    def last(self, head): return ListNode()
""",
        problem="nodes",
    ),
    Attack(
        "a linked list that bites its tail",
        "cycles among nodes end the walk",
        "class Solution:\n    def last(self, head):\n        head.next = head\n        return head",
        problem="nodes",
    ),
    Attack(
        "nodes whose values equal everything",
        "what a node holds is encoded by exact type too",
        """
class Any(int):
    def __eq__(self, other): return True
class Solution:
    def last(self, head):
        head.val, head.next = Any(), None
        return head
""",
        problem="nodes",
    ),
    Attack(
        "an object called ListNode",
        "a name is no value: what it holds is compared",
        """
class ListNode(list):
    def __eq__(self, other): return True
    def __getattr__(self, name): return self
class Solution:
    def last(self, head): return ListNode()
""",
        problem="nodes",
    ),
    Attack(
        "a node where a list is due",
        "linked lists equal no list",
        "ListNode = type('ListNode', (), {'val': 1, 'next': None})\n"
        "def successor(n): return ListNode()",
        problem="successor",
    ),
)
