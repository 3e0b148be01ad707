"""Reads the files that Lean writes (.olean) as untrusted bytes. Standard library only.

A file is an image of objects with absolute pointers. None of it is mapped or executed: every
pointer, size and tag is checked, and terms are rebuilt in `Terms`. Lean writes an object after the
objects it points to; here that is required, which rules out cycles.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from awry.lean.sound import terms
from awry.lean.sound.terms import Constant, Kind, Name, Terms

COMMIT = "eb6cafb7290e8bd5f2937522d8d804f58f02bafc"  # Lean 4.35.0: fields and tags are its
MAX_BYTES = 64 << 20
MAX_STEPS = 8_000_000  # elements of lists and arrays read, so that sharing cannot multiply work
MAX_NAME_PARTS = 512
MAX_LEVEL_DEPTH = 4096
MAX_BOUND = 1 << 20  # beyond it Lean's own terms panic
_HEADER = 96
_ARRAY, _STRING, _BIG_NAT = 246, 249, 250  # tags of objects that are no constructors
_KINDS: tuple[Kind, ...] = ("axiom", "def", "thm", "opaque", "quot", "induct", "ctor", "rec")


class OleanError(Exception):
    """These bytes are not what Lean (of this version) writes."""


@dataclass(frozen=True)
class Module:
    """imports: dotted names. classes: names of the type classes it declares.
    extensions: number of entries that it adds, by name of the environment extension."""

    imports: tuple[str, ...]
    constants: dict[int, Constant]
    classes: frozenset[int]
    extensions: dict[str, int]


def read_module(data: bytes, arena: Terms, *, commit: str = COMMIT) -> Module:
    """Decode into `arena`. Raises OleanError, and nothing else."""
    try:
        return _Reader(data, arena, commit).module()
    except (struct.error, IndexError, KeyError, ValueError, OverflowError, MemoryError) as error:
        raise OleanError(f"not the layout that Lean writes: {error!r}") from None


class _Reader:
    def __init__(self, data: bytes, arena: Terms, commit: str) -> None:
        if len(data) > MAX_BYTES:
            raise OleanError(f"{len(data)} bytes: more than {MAX_BYTES}")
        if len(data) < _HEADER or data[:6] != b"olean\x02":
            raise OleanError("no header of an .olean file (version 2)")
        if data[40:80] != commit.encode():
            raise OleanError("written by another version of Lean")
        self.data, self.arena = data, arena
        self.base, self.root = struct.unpack_from("<QQ", data, 80)
        self.end = len(data)
        self.steps = MAX_STEPS
        self.name_at: dict[int, int] = {}
        self.level_at: dict[int, tuple[int, int]] = {1: (0, 0)}  # number, depth
        self.expr_at: dict[int, int] = {}

    # Objects: 4 bytes of count, 2 of size, 1 number of pointers, 1 tag. `pointer & 1`: a small number.

    def offset(self, pointer: int, before: int) -> int:
        offset = pointer - self.base
        if pointer & 7 or not _HEADER <= offset <= self.end - 8:
            raise OleanError("a pointer leads out of the file")
        if offset >= before:
            raise OleanError("a pointer leads forward")
        return offset

    def tag(self, pointer: int) -> int:
        return pointer >> 1 if pointer & 1 else self.data[self.offset(pointer, self.end) + 7]

    def fields(
        self, pointer: int, tag: int, count: int, before: int, scalars: int = 0
    ) -> tuple[tuple[int, ...], int, int]:
        """The pointers of a constructor object, where its scalars start, and its offset."""
        offset = self.offset(pointer, before)
        _, size, pointers, found = struct.unpack_from("<iHBB", self.data, offset)
        if (found, pointers) != (tag, count):
            raise OleanError(f"constructor {found}/{pointers} where {tag}/{count} belongs")
        if size < 8 + 8 * count + scalars or offset + size > self.end:
            raise OleanError("an object of the wrong size")
        start = offset + 8
        return struct.unpack_from(f"<{count}Q", self.data, start), start + 8 * count, offset

    def spend(self, steps: int) -> None:
        self.steps -= steps
        if self.steps < 0:
            raise OleanError("too much shared structure")

    def array(self, pointer: int, before: int) -> tuple[tuple[int, ...], int]:
        offset = self.offset(pointer, before)
        if self.data[offset + 7] != _ARRAY:
            raise OleanError("no array where one belongs")
        (count,) = struct.unpack_from("<Q", self.data, offset + 8)
        if count > (self.end - offset - 24) // 8:
            raise OleanError("an array longer than the file")
        self.spend(count)
        return struct.unpack_from(f"<{count}Q", self.data, offset + 24), offset

    def list(self, pointer: int, before: int) -> list[tuple[int, int]]:
        """Elements, each with the offset that it must lie before."""
        found: list[tuple[int, int]] = []
        while not pointer & 1:
            self.spend(1)
            (head, pointer), _, before = self.fields(pointer, 1, 2, before)
            found.append((head, before))
        if pointer != 1:
            raise OleanError("a list without an end")
        return found

    def string(self, pointer: int, before: int) -> str:
        offset = self.offset(pointer, before)
        if self.data[offset + 7] != _STRING:
            raise OleanError("no string where one belongs")
        (size,) = struct.unpack_from("<Q", self.data, offset + 8)
        if not 1 <= size <= self.end - offset - 32 or self.data[offset + 31 + size]:
            raise OleanError("a string of the wrong size")
        self.spend(size // 64)
        return self.data[offset + 32 : offset + 31 + size].decode("utf-8")

    def nat(self, pointer: int, before: int) -> int:
        if pointer & 1:
            return pointer >> 1
        offset = self.offset(pointer, before)
        if self.data[offset + 7] != _BIG_NAT:
            raise OleanError("no number where one belongs")
        _, limbs, start = struct.unpack_from("<iiQ", self.data, offset + 8)
        first = start - self.base
        if limbs < 0:
            raise OleanError("a negative natural number")
        if start & 7 or first < offset or limbs > (self.end - first) // 8:
            raise OleanError("a number that leads out of the file")
        self.spend(limbs)
        return int.from_bytes(self.data[first : first + 8 * limbs], "little")

    # Names, levels, expressions: from the leaves up, without recursion.

    def name(self, pointer: int, before: int) -> int:
        if pointer == 1:
            return terms.NAME_ANONYMOUS
        chain: list[tuple[int, str | int]] = []
        parts: Name = ()
        while pointer != 1:
            if (known := self.name_at.get(pointer)) is not None:
                self.offset(pointer, before)
                parts = self.arena.names[known]
                break
            tag = self.tag(pointer)
            if tag not in (1, 2):
                raise OleanError("no name where one belongs")
            (prefix, last), _, before = self.fields(pointer, tag, 2, before)
            part = self.string(last, before) if tag == 1 else self.nat(last, before)
            chain.append((pointer, part))
            if len(chain) > MAX_NAME_PARTS:
                raise OleanError("a name of too many parts")
            pointer = prefix
        number = terms.NAME_ANONYMOUS
        for place, part in reversed(chain):
            parts = (*parts, part)
            if len(parts) > MAX_NAME_PARTS:
                raise OleanError("a name of too many parts")
            number = self.name_at[place] = self.arena.name(parts)
        return number if chain else self.name_at[pointer]

    def names(self, pointer: int, before: int) -> tuple[int, ...]:
        return tuple(self.name(item, limit) for item, limit in self.list(pointer, before))

    def level(self, pointer: int, before: int) -> int:
        stack = [(pointer, before)]
        known = self.level_at
        while stack:
            place, limit = stack[-1]
            if place in known:
                if place != 1:
                    self.offset(place, limit)
                stack.pop()
                continue
            tag = self.tag(place)
            if tag == 0:
                known[place] = (0, 0)
            elif tag == terms.PARAM:
                (name,), _, offset = self.fields(place, tag, 1, limit)
                known[place] = (self.arena.level((tag, self.name(name, offset))), 0)
            elif tag in (terms.SUCC, terms.MAX, terms.IMAX):
                below, _, offset = self.fields(place, tag, 1 if tag == terms.SUCC else 2, limit)
                missing = [(p, offset) for p in below if p not in known]
                if missing:
                    stack.extend(missing)
                    continue
                depth = 1 + max(known[p][1] for p in below)
                if depth > MAX_LEVEL_DEPTH:
                    raise OleanError("a level too deep")
                known[place] = (self.arena.level((tag, *(known[p][0] for p in below))), depth)
            else:
                raise OleanError("no level where one belongs")
        return known[pointer][0]

    def expr(self, pointer: int, before: int) -> int:
        known = self.expr_at
        stack = [(pointer, before)]
        while stack:
            place, limit = stack[-1]
            if place in known:
                stack.pop()
                continue
            tag = self.tag(place)
            if tag not in _SHAPES:
                raise OleanError("no closed term where one belongs")  # free variables have tags too
            count, first, past = _SHAPES[tag]
            found, _, offset = self.fields(place, tag, count, limit)
            below = found[first:past]
            missing = [(p, offset) for p in below if p not in known]
            if missing:
                stack.extend(missing)
                continue
            for p in below:
                self.offset(p, offset)
            numbers = tuple(known[p] for p in below)
            known[place] = self.node(tag, found, numbers, offset)
            stack.pop()
        return known[pointer]

    def node(self, tag: int, found: tuple[int, ...], below: tuple[int, ...], offset: int) -> int:
        arena = self.arena
        if tag == 10:  # metadata around a term
            return below[0]
        if tag == terms.BVAR:
            index = self.nat(found[0], offset)
            if index >= MAX_BOUND:
                raise OleanError("a bound variable out of range")
            return arena.expr((tag, index))
        if tag == terms.SORT:
            return arena.expr((tag, self.level(found[0], offset)))
        if tag == terms.CONST:
            levels = tuple(self.level(p, at) for p, at in self.list(found[1], offset))
            return arena.expr((tag, self.name(found[0], offset), levels))
        if tag == 9:
            kind = self.tag(found[0])
            if kind not in (0, 1):
                raise OleanError("no literal where one belongs")
            (value,), _, at = self.fields(found[0], kind, 1, offset)
            if kind == 0:
                return arena.expr((terms.NAT, self.nat(value, at)))
            return arena.expr((terms.STR, self.string(value, at)))
        if tag == terms.PROJ:
            index = self.nat(found[1], offset)
            if index >= MAX_BOUND:
                raise OleanError("a projection out of range")
            return arena.expr((tag, self.name(found[0], offset), index, below[0]))
        return arena.expr((tag, *below))

    # Declarations.

    def constant(self, pointer: int, before: int) -> Constant:
        tag = self.tag(pointer)
        if tag >= len(_KINDS):
            raise OleanError("no declaration where one belongs")
        kind = _KINDS[tag]
        (inner,), _, limit = self.fields(pointer, tag, 1, before)
        pointers, scalars = _DECLARED[kind]
        found, after, offset = self.fields(inner, 0, pointers, limit, scalars)
        flags = self.data[after : after + scalars]
        (name, params, type_), _, at = self.fields(found[0], 0, 3, offset)
        known = {
            "name": self.name(name, at),
            "kind": kind,
            "params": self.names(params, at),
            "type": self.expr(type_, at),
        }
        if kind == "axiom":
            return Constant(**known, unsafe=bool(flags[0]))
        if kind == "quot":
            return Constant(**known)
        if kind in ("def", "thm", "opaque"):
            value = self.expr(found[1], offset)
            if kind == "def":
                hints = self.hints(found[2], offset)
                return Constant(**known, value=value, unsafe=flags[0] != 1, hints=hints)
            return Constant(**known, value=value, unsafe=kind == "opaque" and bool(flags[0]))
        if kind == "induct":
            return Constant(
                **known,
                num_params=self.nat(found[1], offset),
                group=self.names(found[3], offset),
                constructors=self.names(found[4], offset),
                unsafe=bool(flags[1]),
            )
        if kind == "ctor":
            parent = self.name(found[1], offset)
            return Constant(**known, parent=parent, unsafe=bool(flags[0]))
        parent = self.arena.name(self.arena.names[known["name"]][:-1])
        group = self.names(found[1], offset)
        return Constant(**known, parent=parent, group=group, unsafe=bool(flags[1]))

    def hints(self, pointer: int, before: int) -> int:
        if pointer & 1:
            if pointer >> 1 > 1:
                raise OleanError("no reducibility hint where one belongs")
            return pointer >> 1
        _, at, _ = self.fields(pointer, 2, 0, before, 4)
        return 2 + struct.unpack_from("<I", self.data, at)[0]

    def module(self) -> Module:
        (imports, names, constants, _, extensions), _, top = self.fields(
            self.root, 0, 5, self.end, 1
        )
        imported: list[str] = []
        items, at = self.array(imports, top)
        for item in items:
            (name,), _, offset = self.fields(item, 0, 1, at)
            imported.append(self.arena.show(self.name(name, offset)))
        items, at = self.array(names, top)
        listed = [self.name(item, at) for item in items]
        items, at = self.array(constants, top)
        found = [self.constant(item, at) for item in items]
        if [constant.name for constant in found] != listed or len(set(listed)) != len(listed):
            raise OleanError("the table of names does not fit the declarations")
        counts: dict[str, int] = {}
        classes: set[int] = set()
        items, at = self.array(extensions, top)
        for item in items:
            (name, entries), _, offset = self.fields(item, 0, 2, at)
            extension = self.arena.show(self.name(name, offset))
            inner, within = self.array(entries, offset)
            counts[extension] = len(inner)
            if extension == "Lean.classExtension":
                for entry in inner:
                    (name, *_), _, offset = self.fields(entry, 0, 3, within)
                    classes.add(self.name(name, offset))
        by_name = {constant.name: constant for constant in found}
        return Module(tuple(imported), by_name, frozenset(classes), counts)


# Expressions: number of pointers, and which of them are terms. 10: metadata.
_SHAPES = {
    0: (1, 1, 1),
    3: (1, 1, 1),
    4: (2, 2, 2),
    5: (2, 0, 2),
    6: (3, 1, 3),
    7: (3, 1, 3),
    8: (4, 1, 4),
    9: (1, 1, 1),
    10: (2, 1, 2),
    11: (3, 2, 3),
}

# Declarations: number of pointers, bytes of flags.
_DECLARED: dict[Kind, tuple[int, int]] = {
    "axiom": (1, 1),
    "def": (4, 1),
    "thm": (3, 0),
    "opaque": (3, 1),
    "quot": (1, 1),
    "induct": (6, 3),
    "ctor": (5, 1),
    "rec": (7, 2),
}
