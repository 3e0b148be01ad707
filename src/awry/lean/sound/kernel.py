"""Lean's own kernel through ctypes: declarations rebuilt by us, checked in an environment of ours.

Runs inside disposable judge processes only: a library that is fed a wrong layout crashes. Standard
library only. Objects we make are persistent (count 0): Lean neither counts nor frees them.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
from collections.abc import Iterator, Mapping, Sequence

from awry.lean.sound import terms
from awry.lean.sound.terms import Constant, Terms

MAX_DEPTH = 100_000  # the kernel's recursion limit; its own guard of the stack comes earlier
_BOX = 1  # the boxed 0: an empty list, `none`, `()`, the anonymous name
_SMALL = 1 << 63  # natural numbers below it are boxed, others GMP numbers
_P = ctypes.c_void_p

# Constructors of Lean.Kernel.Exception that blame the term; later ones blame time, memory, stack.
_REFUSALS = (
    "an unknown constant",
    "a name that is declared already",
    "a value of another type than declared",
    "a metavariable",
    "a free variable",
    "a function was expected",
    "a type was expected",
    "a `let` value of another type",
    "a term of another type",
    "an argument of the wrong type",
    "an invalid projection",
    "a theorem that is no proposition",
    "",
)
_LIMITS = {13: "timeout", 14: "memory", 15: "depth", 16: "interrupted"}

_FUNCTIONS = {
    "lean_mk_string_from_bytes": (_P, ctypes.c_char_p, ctypes.c_size_t),
    "l_Lean_Name_str___override": (_P, _P, _P),
    "l_Lean_Name_num___override": (_P, _P, _P),
    "lean_level_mk_zero": (_P, _P),
    "lean_level_mk_succ": (_P, _P),
    "lean_level_mk_max": (_P, _P, _P),
    "lean_level_mk_imax": (_P, _P, _P),
    "lean_level_mk_param": (_P, _P),
    "lean_expr_mk_bvar": (_P, _P),
    "lean_expr_mk_sort": (_P, _P),
    "lean_expr_mk_const": (_P, _P, _P),
    "lean_expr_mk_app": (_P, _P, _P),
    "lean_expr_mk_lambda": (_P, _P, _P, _P, ctypes.c_uint8),
    "lean_expr_mk_forall": (_P, _P, _P, _P, ctypes.c_uint8),
    "lean_expr_mk_let": (_P, _P, _P, _P, _P),
    "lean_expr_mk_lit": (_P, _P),
    "lean_expr_mk_proj": (_P, _P, _P, _P),
    "lean_add_decl": (_P, _P, ctypes.c_size_t, ctypes.c_size_t, _P, _P),
    "lean_elab_environment_to_kernel_env": (_P, _P),
    "lean_environment_find": (_P, _P, _P),
    "l_Lean_mkEmptyEnvironment": (_P, ctypes.c_uint32, _P),
    "initialize_Lean": (_P, ctypes.c_uint8, _P),
}


class KernelLimit(Exception):
    """The kernel gave up for time, memory or depth: nothing is known of the declaration."""


class Kernel:
    """An environment that grows by declarations; starts empty."""

    def __init__(self, library: str, arena: Terms) -> None:
        self.arena = arena
        lean = ctypes.CDLL(library, mode=os.RTLD_NOW)
        for name, (result, *arguments) in _FUNCTIONS.items():
            function = getattr(lean, name)
            function.restype, function.argtypes = result, arguments
        self._lean = lean
        lean.lean_initialize()
        if _tag(lean.initialize_Lean(1, _BOX)) != 0:
            raise RuntimeError("Lean's library could not be initialised")
        lean.lean_io_mark_end_initialization()
        self._kept: list[object] = []
        self._names: dict[int, int] = {terms.NAME_ANONYMOUS: _BOX}
        self._levels: dict[int, int] = {}
        self._exprs: dict[int, object] = {}
        self._anonymous = self._name(arena.name(("x",)))
        made = lean.l_Lean_mkEmptyEnvironment(0, _BOX)
        self._environment = self._keep(lean.lean_elab_environment_to_kernel_env(_field(made, 0)))

    @contextlib.contextmanager
    def branch(self) -> Iterator[None]:
        """What is added inside is forgotten afterwards."""
        before = self._environment
        yield
        self._environment = before

    def add(self, constant: Constant, known: Mapping[int, Constant]) -> str | None:
        """Check and add; what the kernel has against it, or None. Raises KernelLimit.

        An inductive type brings its group, constructors and recursors with it; `known` has them.
        """
        answer = self._lean.lean_add_decl(
            self._environment, 0, MAX_DEPTH, self._declaration(constant, known), _BOX
        )
        if _tag(answer) == 1:
            self._environment = self._keep(_field(answer, 0))
            return None
        reason = _tag(_field(answer, 0))
        if reason in _LIMITS:
            raise KernelLimit(_LIMITS[reason])
        if reason == len(_REFUSALS) - 1:
            return _text(_field(_field(answer, 0), 0))
        return _REFUSALS[reason]

    def has(self, name: int) -> bool:
        return self._lean.lean_environment_find(self._environment, self._name(name)) != _BOX

    # Objects.

    def _keep(self, pointer: int) -> int:
        if not pointer & 1:
            ctypes.c_int32.from_address(pointer).value = 0
        return pointer

    def _object(self, tag: int, pointers: Sequence[int], scalars: bytes = b"") -> int:
        size = 8 + 8 * len(pointers) + -(-len(scalars) // 8) * 8
        head = struct.pack("<iHBB", 0, size, len(pointers), tag)
        return self._place(head + struct.pack(f"<{len(pointers)}Q", *pointers) + scalars, size)

    def _place(self, content: bytes, size: int) -> int:
        buffer = ctypes.create_string_buffer(size + 8)
        self._kept.append(buffer)
        address = (ctypes.addressof(buffer) + 7) & ~7
        ctypes.memmove(address, content, len(content))
        return address

    def _nat(self, number: int) -> int:
        if number < _SMALL:
            return number << 1 | 1
        limbs = -(-number.bit_length() // 64)
        digits = self._place(number.to_bytes(8 * limbs, "little"), 8 * limbs)
        return self._place(struct.pack("<iHBBiiQ", 0, 24, 0, 250, limbs, limbs, digits), 24)

    def _string(self, text: str) -> int:
        data = text.encode()
        return self._keep(self._lean.lean_mk_string_from_bytes(data, len(data)))

    def _list(self, items: Sequence[int]) -> int:
        made = _BOX
        for item in reversed(items):
            made = self._object(1, (item, made))
        return made

    def _name(self, number: int) -> int:
        made = self._names.get(number)
        if made is None:
            made, parts = _BOX, self.arena.names[number]
            for part in parts:
                if isinstance(part, str):
                    made = self._lean.l_Lean_Name_str___override(made, self._string(part))
                else:
                    made = self._lean.l_Lean_Name_num___override(made, self._nat(part))
                self._keep(made)
            self._names[number] = made
        return made

    def _name_list(self, names: Sequence[int]) -> int:
        return self._list([self._name(name) for name in names])

    def _level(self, number: int) -> int:
        if number in self._levels:
            return self._levels[number]
        needed, stack = set(), [number]
        while stack:
            one = stack.pop()
            if one not in needed and one not in self._levels:
                needed.add(one)
                tag, *below = self.arena.levels[one]
                stack += below if tag in (terms.SUCC, terms.MAX, terms.IMAX) else ()
        lean = self._lean
        for one in sorted(needed):
            tag, *below = self.arena.levels[one]
            if tag == terms.ZERO:
                made = lean.lean_level_mk_zero(_BOX)
            elif tag == terms.PARAM:
                made = lean.lean_level_mk_param(self._name(below[0]))
            elif tag == terms.SUCC:
                made = lean.lean_level_mk_succ(self._levels[below[0]])
            else:
                make = lean.lean_level_mk_max if tag == terms.MAX else lean.lean_level_mk_imax
                made = make(self._levels[below[0]], self._levels[below[1]])
            self._levels[one] = self._keep(made)
        return self._levels[number]

    def _expr(self, number: int) -> int:
        for one in self.arena.reachable([number], self._exprs):
            self._exprs[one] = self._keep(self._build(self.arena.exprs[one]))
        return self._exprs[number]  # type: ignore[return-value]

    def _build(self, expr: tuple) -> int:
        lean, tag = self._lean, expr[0]
        below = [self._exprs[number] for number in expr[terms.CHILDREN[tag]]]
        if tag == terms.APP:
            return lean.lean_expr_mk_app(*below)
        if tag == terms.BVAR:
            return lean.lean_expr_mk_bvar(self._nat(expr[1]))
        if tag == terms.CONST:
            levels = self._list([self._level(level) for level in expr[2]])
            return lean.lean_expr_mk_const(self._name(expr[1]), levels)
        if tag == terms.LAM:
            return lean.lean_expr_mk_lambda(self._anonymous, *below, 0)
        if tag == terms.PI:
            return lean.lean_expr_mk_forall(self._anonymous, *below, 0)
        if tag == terms.SORT:
            return lean.lean_expr_mk_sort(self._level(expr[1]))
        if tag == terms.LET:
            return lean.lean_expr_mk_let(self._anonymous, *below)
        if tag == terms.NAT:
            return lean.lean_expr_mk_lit(self._object(0, [self._nat(expr[1])]))
        if tag == terms.STR:
            return lean.lean_expr_mk_lit(self._object(1, [self._string(expr[1])]))
        return lean.lean_expr_mk_proj(self._name(expr[1]), self._nat(expr[2]), *below)

    def _declaration(self, constant: Constant, known: Mapping[int, Constant]) -> int:
        """Lean.Declaration; field orders are Lean 4.35's."""
        if constant.kind == "quot":
            return 4 << 1 | 1
        params = self._name_list(constant.params)
        if constant.kind == "induct":
            types = []
            for name in constant.group:
                made = [(c, known[c].type) for c in known[name].constructors]
                constructors = [self._object(0, [self._name(c), self._expr(t)]) for c, t in made]
                type_ = self._expr(known[name].type)
                types.append(self._object(0, [self._name(name), type_, self._list(constructors)]))
            fields = [params, self._nat(constant.num_params), self._list(types)]
            return self._object(6, fields, bytes([0]))
        value = self._object(0, [self._name(constant.name), params, self._expr(constant.type)])
        if constant.kind == "axiom":
            return self._object(0, [self._object(0, [value], bytes([0]))])
        if constant.value is None:
            raise RuntimeError(f"a {constant.kind} is not declared by itself")
        group = self._name_list([constant.name])
        if constant.kind == "def":
            hints = constant.hints << 1 | 1
            if constant.hints >= 2:
                hints = self._object(2, [], struct.pack("<I", constant.hints - 2))
            fields = [value, self._expr(constant.value), hints, group]
            return self._object(1, [self._object(0, fields, bytes([1]))])
        fields = [value, self._expr(constant.value), group]
        if constant.kind == "thm":
            return self._object(2, [self._object(0, fields)])
        return self._object(3, [self._object(0, fields, bytes([0]))])


def _tag(pointer: int) -> int:
    return pointer >> 1 if pointer & 1 else ctypes.c_uint8.from_address(pointer + 7).value


def _field(pointer: int, index: int) -> int:
    return ctypes.c_uint64.from_address(pointer + 8 + 8 * index).value


def _text(pointer: int) -> str:
    size = ctypes.c_uint64.from_address(pointer + 8).value
    return ctypes.string_at(pointer + 32, max(0, size - 1)).decode(errors="replace")
