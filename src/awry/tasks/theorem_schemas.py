"""Families of theorems: patterns with holes, filled at random. The catalogue and the warm-up set.

A pattern's proof does not depend on what fills the holes, so every filling is a theorem. The dial
is the pattern's difficulty and `depth`: at 0 every hole is a plain variable, from 1 on holes hold
formulas or terms of their own. Holes never share a variable: a false variant that fails for plain
variables fails for every filling that can be both true and false, or take any large value.
"""

from __future__ import annotations

import ast
import operator
import random
import re
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cache
from importlib import resources
from typing import Any

from awry.errors import UserError, spelling_fix
from awry.tasks.problems import DIFFICULTIES
from awry.tasks.theorems import FalseVariant, ProofProblem

# family -> how its theorems' names begin
PREFIXES = {
    "propositional": "prop",
    "quantifiers": "quant",
    "nat": "nat",
    "lists": "list",
    "inductive": "ind",
    "arithmetic": "arith",
}
POOLS = {
    "prop": ("p", "q", "r", "s", "t", "u", "v", "w"),
    "nat": ("a", "b", "c", "d", "m", "n"),
    "list": ("xs", "ys", "zs", "ls"),
    "predicate": ("P", "Q", "S", "T"),
    "relation": ("R", "E"),
    "function": ("f", "g", "φ", "ψ"),
    "bool": ("u", "v", "w"),
    "bound": ("x", "y", "z"),
}
# the letter of a hole -> what fills it; ABCDE and xyzw are filled with compounds at depth >= 1
HOLES = {
    **dict.fromkeys("ABCDE", "prop"),
    **dict.fromkeys("xyzwij", "nat"),
    **dict.fromkeys("lrs", "list"),
    **dict.fromkeys("PQ", "predicate"),
    **dict.fromkeys("R", "relation"),
    **dict.fromkeys("fg", "function"),
    **dict.fromkeys("bce", "bool"),
    **dict.fromkeys("v", "bound"),
    **dict.fromkeys("kmn", "number"),
}
_HOLE = re.compile(r"\$([A-Za-z]\d?)|\$\(([^()]*(?:\([^()]*\)[^()]*)*)\)")
_OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
TYPES = ("Nat", "α", "Bool", "List Nat")  # what over = "any" is filled with
_VARIABLES = frozenset(name for pool in POOLS.values() for name in pool)
WIDE = 76  # characters; a longer statement is broken into lines


@dataclass(frozen=True)
class Schema:
    """A pattern. In its texts $A is a hole and $(k * m + 1) is arithmetic on filled numbers.

    given: binders after those of the holes. false: claims that do not hold, under `false_given` in
    place of `given` where that is not None; `proof` is tried on them. over: the type of the elements
    of lists, predicates and functions, or "any". setup: declarations before it (names of the
    family's setups in the file). numbers: smallest and largest of each number hole. copies: how
    many fillings are in the catalogue.
    """

    name: str
    family: str
    claim: str
    proof: str
    says: str
    given: str = ""
    false: tuple[str, ...] = ()
    false_given: str | None = None
    difficulty: str = "easy"
    copies: int = 2
    over: str = "Nat"
    setup: str = ""
    numbers: tuple[tuple[str, int, int], ...] = ()

    @property
    def holes(self) -> tuple[str, ...]:
        """In order of appearance."""
        found: dict[str, None] = {}
        others = (*self.false, self.false_given or "")
        for text in (self.given, self.claim, self.proof, *others):
            for match in _HOLE.finditer(text):
                names = [match[1]] if match[1] else re.findall(r"[a-z]\d?", match[2])
                found |= dict.fromkeys(names)
        return tuple(found)


@cache
def schemas() -> tuple[Schema, ...]:
    """All patterns, in the order of the files and within them."""
    folder = resources.files("awry.tasks") / "catalog" / "theorems"
    found: list[Schema] = []
    for family in PREFIXES:
        document = tomllib.loads((folder / f"{family}.toml").read_text("utf-8"))
        setups: dict[str, str] = document.get("setups", {})
        found += [_schema(row, family, setups) for row in document["schema"]]
    return tuple(found)


def _schema(row: dict[str, Any], family: str, setups: dict[str, str]) -> Schema:
    """Package data, so a mistake is a bug: KeyError or TypeError, as it falls."""
    values = dict(row)
    values["false"] = tuple(values.get("false", ()))
    values["setup"] = "\n".join(setups[name].strip() for name in values.get("setup", ()))
    values["numbers"] = tuple((k, low, high) for k, (low, high) in row.get("numbers", {}).items())
    assert set(values) <= {field.name for field in fields(Schema)}, values
    return Schema(family=family, **values)


def catalogue() -> tuple[ProofProblem, ...]:
    """`copies` fillings of every pattern, the first with plain variables."""
    return _drawn_catalogue()[0]


@cache
def _drawn_catalogue() -> tuple[tuple[ProofProblem, ...], frozenset[str]]:
    """The problems, and what they state."""
    found: list[ProofProblem] = []
    counts = dict.fromkeys(PREFIXES, 0)
    forms: set[str] = set()
    for schema in schemas():
        for copy in range(schema.copies):
            counts[schema.family] += 1
            prefix = PREFIXES[schema.family]
            for attempt in range(100):
                depth = 0 if copy == 0 else 1 + (copy > 2)
                drawn = random.Random(f"catalogue/{schema.name}/{copy}/{attempt}")
                filled = _filled(schema, drawn, depth, plain=copy == 0)
                if filled.form not in forms:
                    break
            else:
                raise AssertionError(f"{schema.name} has no {copy + 1} different fillings")
            forms.add(filled.form)
            name = f"{prefix}_{counts[schema.family]}"
            found.append(filled.problem(f"{prefix}_{schema.name}_{copy + 1}", name))
    return tuple(found), frozenset(forms)


def warmup_problems(
    families: Sequence[str], n: int, seed: int, difficulty: Sequence[str] = ("easy",)
) -> tuple[ProofProblem, ...]:
    """n theorems with proofs, all different, none of them in the catalogue under other names.

    Patterns take turns, so all are met about equally often. Fewer than n where there are no more.
    """
    for family in families:
        if family not in PREFIXES:
            raise UserError(
                "unknown family of theorems",
                field="family",
                value=family,
                fix=spelling_fix(family, PREFIXES),
            )
    for level in difficulty:
        if level not in DIFFICULTIES:
            raise UserError(
                "unknown difficulty",
                field="difficulty",
                value=level,
                fix=spelling_fix(level, DIFFICULTIES),
            )
    drawn = random.Random(f"warm-up/{seed}")
    live = [s for s in schemas() if s.family in families and s.difficulty in difficulty]
    seen: set[str] = set(_drawn_catalogue()[1])
    found: list[ProofProblem] = []
    while live and len(found) < n:
        drawn.shuffle(live)
        for schema in tuple(live):
            filled = _new(schema, drawn, seen)
            if filled is None:
                live.remove(schema)
            elif len(found) < n:
                number = len(found)
                name = f"{PREFIXES[schema.family]}_{drawn.randint(1, 999)}"
                found.append(filled.problem(f"warmup_{seed}_{number}_{schema.name}", name))
    return tuple(found)


def _new(schema: Schema, drawn: random.Random, seen: set[str]) -> _Filled | None:
    for _ in range(40):
        filled = _filled(schema, drawn, drawn.choice((0, 1, 1, 2)), plain=False)
        if filled.form not in seen:
            seen.add(filled.form)
            return filled
    return None


@dataclass(frozen=True)
class _Filled:
    """values: by hole. used: the variables in them, by kind."""

    schema: Schema
    values: dict[str, str]
    used: dict[str, list[str]]
    over: str

    @property
    def form(self) -> str:
        """What it states: variables numbered in order of use, so not what they are called."""
        numbers: dict[str, str] = {}
        text = f"{self.over} / {self.fill(self.schema.given)} / {self.fill(self.schema.claim)}"
        return re.sub(
            r"[^\W\d][\w']*",
            lambda m: numbers.setdefault(m[0], f"#{len(numbers)}") if m[0] in _VARIABLES else m[0],
            text,
        )

    def statement(self, name: str, claim: str, given: str | None = None) -> str:
        given = self.fill(self.schema.given if given is None else given)
        claim = self.fill(claim)
        binders = [*self._binders(f"{given} {claim}"), *([given] if given else [])]
        line = " ".join([f"theorem {name}", *binders, ":", claim])
        if len(line) <= WIDE and "\n" not in claim:
            return line
        return "\n    ".join([" ".join([f"theorem {name}", *binders, ":"]), claim])

    def _binders(self, text: str) -> list[str]:
        """For the variables that occur in `text`."""
        over = self.over
        inner = f"({over})" if " " in over else over
        types = {
            "prop": "Prop",
            "nat": "Nat",
            "list": f"List {inner}",
            "predicate": f"{over} → Prop",
            "relation": f"{over} → {over} → Prop",
            "function": f"{over} → {over}",
            "bool": "Bool",
        }
        words = set(re.findall(r"[^\W\d][\w']*", text))
        binders = ["{α : Type}"] if over == "α" else []
        for kind, names in self.used.items():
            named = sorted(words & set(names), key=POOLS[kind].index)
            if named:
                binders.append(f"({' '.join(named)} : {types[kind]})")
        return binders

    def fill(self, text: str) -> str:
        return _HOLE.sub(self._value, text)

    def _value(self, match: re.Match[str]) -> str:
        if match[1]:
            return self.values[match[1]]
        return str(_number(ast.parse(match[2], mode="eval").body, self.values))

    def problem(self, problem_id: str, name: str) -> ProofProblem:
        schema = self.schema
        proof = f":= {self.fill(schema.proof)}"
        variants = tuple(
            FalseVariant(self.statement(name, claim, schema.false_given), proof)
            for claim in schema.false
        )
        return ProofProblem(
            id=problem_id,
            name=name,
            statement=self.statement(name, schema.claim),
            proof=proof,
            setup=schema.setup,
            false_variants=variants,
            informal=self.fill(schema.says),
            difficulty=schema.difficulty,
            tags=(schema.family, schema.name),
        )


def _number(node: ast.expr, values: dict[str, str]) -> int:
    match node:
        case ast.Constant(value=int(value)):
            return value
        case ast.Name(id=name):
            return int(values[name])
        case ast.BinOp(left=left, op=op, right=right):
            return _OPERATORS[type(op)](_number(left, values), _number(right, values))
    raise ValueError(f"no arithmetic: {ast.unparse(node)}")


def _filled(schema: Schema, drawn: random.Random, depth: int, *, plain: bool) -> _Filled:
    """plain: the first names of each pool, in order, as a person would write it."""
    free = {kind: list(pool) for kind, pool in POOLS.items()}
    if not plain:
        for names in free.values():
            drawn.shuffle(names)
    ranges = {hole: (low, high) for hole, low, high in schema.numbers}
    values: dict[str, str] = {}
    used: dict[str, list[str]] = {}

    def fresh(kind: str) -> str:
        name = free[kind].pop(0)
        if kind != "bound":
            used.setdefault(kind, []).append(name)
        return name

    compound = [hole for hole in schema.holes if hole[0] in "ABCDExyzw"]
    # one hole at least is compound, and never so many that the names run out
    many = drawn.randint(1, min(2, len(compound))) if depth and compound else 0
    deep = set(drawn.sample(compound, many))
    for hole in schema.holes:
        kind = HOLES[hole[0]]
        if kind == "number":
            values[hole] = str(drawn.randint(*ranges[hole]))
        elif hole not in deep:
            values[hole] = fresh(kind)
        elif kind == "prop":
            values[hole] = _formula(lambda: fresh("prop"), drawn, depth)
        else:
            values[hole] = _term(lambda: fresh("nat"), drawn, depth)
    over = schema.over
    if over == "any":
        over = TYPES[0] if plain else drawn.choice(TYPES)
    return _Filled(schema, values, used, over)


def _formula(fresh: Callable[[], str], drawn: random.Random, depth: int) -> str:
    """A formula that can be true and can be false, in parentheses where it needs them."""
    if depth > 1 and drawn.random() < 0.5:
        return f"({_formula(fresh, drawn, 1)} {drawn.choice('∧∨→')} {fresh()})"
    if drawn.random() < 0.25:
        return f"¬{fresh()}"
    return f"({fresh()} {drawn.choice('∧∨→')} {fresh()})"


def _term(fresh: Callable[[], str], drawn: random.Random, depth: int) -> str:
    """A term that takes values as large as you like, in parentheses."""
    shapes = ("({a} + {k})", "({k} * {a})", "({a} + {b})", "({a} * {b})")
    shape = drawn.choice(shapes if depth > 1 else shapes[:3])
    inner = fresh()
    if depth > 1 and drawn.random() < 0.5:
        inner = f"({inner} + {drawn.randint(1, 9)})"
    other = fresh() if "{b}" in shape else ""
    return shape.format(a=inner, b=other, k=drawn.randint(1 + ("*" in shape), 9))
