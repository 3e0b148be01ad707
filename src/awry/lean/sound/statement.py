"""Does a theorem state what the reference states, and do its words mean the same? In what way not?

Terms are compared as Lean elaborated them, up to names of bound variables and universes. A
definition may stand for another one of the same content: Lean names the helpers of a `match` or an
inner proof after the declaration that happened to come first. Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping

from awry.lean.sound import terms
from awry.lean.sound.terms import Constant, Terms

Constants = Mapping[int, Constant]


def compare(
    arena: Terms,
    reference: Constants,
    known: Constants,
    core: set[int],
    asked: Constant,
    found: Constant,
    classes: frozenset[int],
) -> dict[str, str]:
    """Faults with evidence; {} where both mean the same. `core`: names that both share."""
    comparison = _Comparison(arena, reference, known, core)
    if comparison.same_declared(asked, found):
        return {}
    faults: dict[str, str] = {}
    mentioned = arena.mentioned([found.type]) - arena.mentioned([asked.type])
    fresh = [*comparison.different, *sorted(mentioned - core)]
    instances = [name for name in fresh if is_instance(arena, known.get(name), classes)]
    if instances:
        faults["instance"] = f"`{arena.show(instances[0])}` is an instance of its own"
    extra = binders(arena, found.type) - binders(arena, asked.type)
    if extra > 0:
        faults["context"] = f"{extra} more parameters or hypotheses than asked for"
    if not faults and not comparison.shape:
        faults["definition"] = f"`{arena.show(fresh[0])}` is not what the reference means"
    return faults or {"statement": "the theorem states something else"}


def binders(arena: Terms, type_: int) -> int:
    count = 0
    while arena.exprs[type_][0] == terms.PI:
        count, type_ = count + 1, arena.exprs[type_][2]
    return count


def is_instance(arena: Terms, constant: Constant | None, classes: frozenset[int]) -> bool:
    """Does its type end in a type class?"""
    if constant is None:
        return False
    expr = arena.exprs[constant.type]
    while expr[0] == terms.PI:
        expr = arena.exprs[expr[2]]
    while expr[0] == terms.APP:
        expr = arena.exprs[expr[1]]
    return expr[0] == terms.CONST and expr[1] in classes


class _Comparison:
    """different: constants of the found side that mean something else than their counterparts.
    shape: do the terms differ in more than constants?"""

    def __init__(
        self, arena: Terms, reference: Constants, known: Constants, core: set[int]
    ) -> None:
        self.arena, self.reference, self.known, self.core = arena, reference, known, core
        self.different: list[int] = []
        self.shape = False
        self._meanings: dict[tuple[int, int], bool] = {}

    def same_declared(self, one: Constant, other: Constant) -> bool:
        """Types alone (of theorems): universes by position, then what the constants mean."""
        if len(one.params) != len(other.params):
            self.shape = True
            return False
        renamed = dict(zip(one.params, other.params, strict=True))
        pairs = self.walk(one.type, other.type, renamed)
        return pairs is not None and self.all_mean(pairs)

    def walk(self, one: int, other: int, renamed: dict[int, int]) -> set[tuple[int, int]] | None:
        """The pairs of constants that stand in the same places; None where shapes differ."""
        pairs: set[tuple[int, int]] = set()
        identical = all(a == b for a, b in renamed.items())
        seen: set[tuple[int, int]] = set()
        stack = [(one, other)]
        while stack:
            pair = stack.pop()
            if pair in seen:
                continue
            seen.add(pair)
            if identical and pair[0] == pair[1]:
                pairs |= {(name, name) for name in self.arena.mentioned([pair[0]])}
                continue
            a, b = self.arena.exprs[pair[0]], self.arena.exprs[pair[1]]
            if a[0] != b[0]:
                return self.differ()
            tag = a[0]
            if tag == terms.CONST:
                if len(a[2]) != len(b[2]) or not all(
                    self.same_level(x, y, renamed) for x, y in zip(a[2], b[2], strict=True)
                ):
                    return self.differ()
                pairs.add((a[1], b[1]))
            elif tag == terms.SORT:
                if not self.same_level(a[1], b[1], renamed):
                    return self.differ()
            elif tag in (terms.BVAR, terms.NAT, terms.STR):
                if a[1] != b[1]:
                    return self.differ()
                if tag != terms.BVAR:
                    pairs |= {(name, name) for name in self.arena.mentioned([pair[0]])}
            else:
                if tag == terms.PROJ:
                    if a[2] != b[2]:
                        return self.differ()
                    pairs.add((a[1], b[1]))
                below = terms.CHILDREN[tag]
                stack.extend(zip(a[below], b[below], strict=True))
        return pairs

    def differ(self) -> None:
        self.shape = True

    def same_level(self, one: int, other: int, renamed: dict[int, int]) -> bool:
        stack = [(one, other)]
        while stack:
            x, y = stack.pop()
            a, b = self.arena.levels[x], self.arena.levels[y]
            if a[0] != b[0]:
                return False
            if a[0] == terms.PARAM:
                if renamed.get(a[1]) != b[1]:
                    return False
            else:
                stack.extend(zip(a[1:], b[1:], strict=True))
        return True

    def all_mean(self, pairs: set[tuple[int, int]]) -> bool:
        """Do these constants mean the same, and all that they reach? Notes the others."""
        good = True
        todo = list(pairs)
        while todo:
            pair = todo.pop()
            if pair in self._meanings:
                continue
            below = self.meaning(*pair)
            self._meanings[pair] = below is not None
            if below is None:
                good = False
                self.different.append(pair[1])
            else:
                todo.extend(below)
        return good

    def meaning(self, one: int, other: int) -> set[tuple[int, int]] | None:
        """The pairs on which it depends that these two mean the same; None: they do not."""
        if one in self.core or other in self.core:
            return set() if one == other else None
        a, b = self.reference.get(one), self.known.get(other)
        if a is None or b is None or a.kind != b.kind or a.unsafe != b.unsafe:
            return None
        if one != other and a.kind not in ("def", "thm"):
            return None  # two types or axioms of the same content are still two
        if len(a.params) != len(b.params) or (a.num_params, a.group, a.constructors, a.parent) != (
            b.num_params,
            b.group,
            b.constructors,
            b.parent,
        ):
            return None
        shape = self.shape
        renamed = dict(zip(a.params, b.params, strict=True))
        pairs = self.walk(a.type, b.type, renamed)
        if pairs is not None and a.kind != "thm" and a.value is not None:
            values = None if b.value is None else self.walk(a.value, b.value, renamed)
            pairs = None if values is None else pairs | values
        self.shape = shape  # of the statement itself, not of what it mentions
        if pairs is None:
            return None
        named = {*a.group, *a.constructors} if a.kind == "induct" else set()
        return pairs | {(name, name) for name in named | ({a.parent} if a.parent else set())}
