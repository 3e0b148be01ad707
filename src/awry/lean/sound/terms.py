"""Lean's terms as shared, numbered tuples: equal terms have equal numbers. Standard library only.

Children always have smaller numbers than their parents, so nothing here recurses. Binder names,
binder brackets and metadata are left out: the kernel looks at none of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

# The first place of an expression's tuple; what follows it:
BVAR = 0  # index
SORT = 3  # level
CONST = 4  # name, tuple of levels
APP = 5  # function, argument
LAM = 6  # domain, body
PI = 7  # domain, body
LET = 8  # type, value, body
NAT = 9  # int
STR = 10  # str
PROJ = 11  # name of the structure, index, structure

# Where the numbers of subterms are in a tuple.
CHILDREN: dict[int, slice] = {
    BVAR: slice(0, 0),
    SORT: slice(0, 0),
    CONST: slice(0, 0),
    NAT: slice(0, 0),
    STR: slice(0, 0),
    APP: slice(1, 3),
    LAM: slice(1, 3),
    PI: slice(1, 3),
    LET: slice(1, 4),
    PROJ: slice(3, 4),
}

# ... and of a level's: `succ` level, `max` and `imax` two levels, `param` name.
ZERO, SUCC, MAX, IMAX, PARAM = range(5)

NAME_ANONYMOUS = 0
Kind = Literal["axiom", "def", "thm", "opaque", "quot", "induct", "ctor", "rec"]
Name = tuple[str | int, ...]


@dataclass(frozen=True)
class Constant:
    """One declaration; names, levels and terms by number. `==` compares what it means.

    params: universe parameters. unsafe: unsafe or partial. group: the inductive types declared
    with this one; parent: of a constructor or recursor, its inductive type.
    """

    name: int
    kind: Kind
    params: tuple[int, ...]
    type: int
    value: int | None = None
    unsafe: bool = False
    num_params: int = 0
    group: tuple[int, ...] = ()
    constructors: tuple[int, ...] = ()
    parent: int = NAME_ANONYMOUS
    # reducibility: 0 opaque, 1 abbreviation, else 2 + height; steers the kernel's search only
    hints: int = field(default=1, compare=False)


class Terms:
    """Names, levels and expressions of any number of files, each kept once."""

    def __init__(self) -> None:
        self.names: list[Name] = [()]
        self.levels: list[tuple[int, ...]] = [(ZERO,)]
        self.exprs: list[tuple] = []
        self._names: dict[Name, int] = {(): 0}
        self._levels: dict[tuple[int, ...], int] = {(ZERO,): 0}
        self._exprs: dict[tuple, int] = {}
        self._literals = (
            frozenset({self.name(("Nat",))}),
            frozenset(self.name(n) for n in (("String",), ("String", "ofList"), ("Char", "ofNat"))),
        )

    def name(self, parts: Name) -> int:
        number = self._names.setdefault(parts, len(self.names))
        if number == len(self.names):
            self.names.append(parts)
        return number

    def level(self, level: tuple[int, ...]) -> int:
        number = self._levels.setdefault(level, len(self.levels))
        if number == len(self.levels):
            self.levels.append(level)
        return number

    def expr(self, expr: tuple) -> int:
        number = self._exprs.setdefault(expr, len(self.exprs))
        if number == len(self.exprs):
            self.exprs.append(expr)
        return number

    def show(self, name: int) -> str:
        return ".".join(map(str, self.names[name])) or "[anonymous]"

    def reachable(self, roots: list[int], done: dict[int, object] | None = None) -> list[int]:
        """The terms in `roots` and below, children first; not what is in (or below) `done`."""
        seen: set[int] = set()
        stack = list(roots)
        while stack:
            number = stack.pop()
            if number in seen or (done is not None and number in done):
                continue
            seen.add(number)
            expr = self.exprs[number]
            stack.extend(expr[CHILDREN[expr[0]]])
        return sorted(seen)

    def mentioned(self, roots: list[int]) -> frozenset[int]:
        """Names of the constants that occur in these terms, literals and projections included."""
        found: set[int] = set()
        for number in self.reachable(roots):
            expr = self.exprs[number]
            if expr[0] in (CONST, PROJ):
                found.add(expr[1])
            elif expr[0] == NAT:
                found |= self._literals[0]
            elif expr[0] == STR:
                found |= self._literals[1]
        return frozenset(found)


def parse_name(text: str) -> Name:
    """`a.b.«c.d»` -> ("a", "b", "c.d")."""
    parts: list[str | int] = []
    part, quoted = "", False
    for letter in text:
        if letter in "«»":
            quoted = letter == "«"
        elif letter == "." and not quoted:
            parts.append(part)
            part = ""
        else:
            part += letter
    return (*parts, part)
