"""Is this the theorem that was asked for, and is it proved? Judged from the files Lean wrote.

`prepare` once (the trusted core, replayed through the kernel from the empty environment), then
`judge` per submission, each in a forked process of its own. Standard library only. Nothing here
looks at the submission's text or messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from awry.lean.checks import ALLOWED_AXIOMS
from awry.lean.sound.kernel import Kernel, KernelLimit
from awry.lean.sound.olean import Module, OleanError, read_module
from awry.lean.sound.statement import compare
from awry.lean.sound.terms import Constant, Terms, parse_name

# What the kernel would evaluate by compiled code, which nobody has checked.
NATIVE = (("Lean", "reduceBool"), ("Lean", "reduceNat"), ("Lean", "trustCompiler"))

# The order in which faults name a submission.
ORDER = (
    "malformed",
    "imports",
    "absent",
    "redeclared",
    "not_theorem",
    "instance",
    "context",
    "definition",
    "statement",
    "axiom",
    "sorry",
    "unsafe",
    "kernel",
)


@dataclass
class Prepared:
    """The trusted core, decoded and in the kernel. used: what each of its declarations rests on."""

    arena: Terms
    kernel: Kernel
    core: dict[int, Constant]
    classes: frozenset[int]
    used: dict[int, frozenset[int]]
    allowed: frozenset[int]


def prepare(library: str, core: str) -> Prepared:
    """library: libleanshared.so; core: Init.olean. Raises RuntimeError where either is broken."""
    arena = Terms()
    try:
        module = read_module(Path(core).read_bytes(), arena)
    except OleanError as error:
        raise RuntimeError(f"{core}: {error}") from None
    if module.imports:
        raise RuntimeError(f"{core}: imports {', '.join(module.imports)}")
    kernel = Kernel(library, arena)
    constants = module.constants
    used = {name: uses(arena, constant) for name, constant in constants.items()}
    safe = [name for name, constant in constants.items() if not constant.unsafe]
    refused = replay(kernel, constants, safe, set(), used)
    if refused:
        raise RuntimeError(f"{core}: the kernel refuses {refused[0]}")
    allowed = frozenset(arena.name(parse_name(name)) for name in ALLOWED_AXIOMS)
    return Prepared(arena, kernel, constants, module.classes, used, allowed)


def judge(prepared: Prepared, reference: bytes, submission: bytes, theorem: str) -> dict[str, Any]:
    """-> {"sound", "faults" (all found, the naming one first), "evidence", "axioms", "statement"}.

    reference: the file of the same header and setup, with the statement and no proof. A judge that
    cannot tell answers {"failed": reason} and nothing else. `sound` means: no fault.
    """
    arena = prepared.arena
    try:
        wanted = read_module(reference, arena)
    except OleanError as error:
        return {"failed": f"the reference: {error}"}
    target = arena.name(parse_name(theorem))
    asked = wanted.constants.get(target)
    if asked is None or asked.kind != "thm":
        return {"failed": f"the reference has no theorem `{theorem}`"}
    try:
        given = read_module(submission, arena)
    except OleanError as error:
        return _verdict({"malformed": str(error)})
    if set(given.imports) != set(wanted.imports):
        return _verdict({"imports": f"imports {', '.join(given.imports) or 'nothing'}"})
    with prepared.kernel.branch():
        try:
            return _judge(prepared, wanted, given, asked)
        except KernelLimit as limit:
            return {"failed": str(limit)}


def _judge(prepared: Prepared, wanted: Module, given: Module, asked: Constant) -> dict[str, Any]:
    arena, core = prepared.arena, prepared.core
    faults: dict[str, str] = {}
    clash = sorted(given.constants.keys() & core.keys())
    if clash:
        faults["redeclared"] = f"`{arena.show(clash[0])}` is the library's"
    known = {**given.constants, **core}
    found = given.constants.get(asked.name)
    if found is None:
        near = [n for n in given.constants if arena.names[n][-1:] == arena.names[asked.name][-1:]]
        seen = f"; there is `{arena.show(near[0])}`" if near else ""
        return _verdict({**faults, "absent": f"no `{arena.show(asked.name)}` in the file{seen}"})
    if found.kind != "thm":
        faults["not_theorem"] = f"`{arena.show(asked.name)}` is a {_KIND_WORDS[found.kind]}"

    own = {name: uses(arena, constant) for name, constant in given.constants.items()}
    used = {**own, **prepared.used}
    classes = prepared.classes | wanted.classes | given.classes
    reference = {**wanted.constants, **core}
    difference = compare(arena, reference, known, set(core), asked, found, classes)
    faults |= difference

    reached, unknown = closure([found.name], used)
    axioms = {name for name in reached if known[name].kind == "axiom"}
    # a core constant named `propext` can only be the core's own: see `redeclared`
    others = axioms - (prepared.allowed & core.keys())
    sorry = arena.name(("sorryAx",))
    native = [n for n in map(arena.name, NATIVE) if n in reached]
    if sorry in others:
        faults["sorry"] = "rests on `sorryAx`"
    unsafe = sorted(n for n in reached if known[n].unsafe)
    if own_axioms := sorted(others - {sorry} - set(unsafe)) + native:
        faults["axiom"] = "rests on " + ", ".join(f"`{arena.show(n)}`" for n in own_axioms[:5])
    if unsafe:
        faults["unsafe"] = "rests on " + ", ".join(f"`{arena.show(n)}`" for n in unsafe[:5])
    if unknown:
        faults["kernel"] = f"rests on `{arena.show(min(unknown))}`, which is declared nowhere"
    if not native:
        fresh = [n for n in reached if n not in core and not known[n].unsafe]
        refused = replay(prepared.kernel, known, fresh, set(core), used)
        if refused:
            faults["kernel"] = f"the kernel refuses {refused[0]}"
    return _verdict(faults, sorted(arena.show(name) for name in axioms))


_KIND_WORDS = {
    "axiom": "axiom",
    "def": "definition",
    "opaque": "opaque constant",
    "quot": "quotient primitive",
    "induct": "type",
    "ctor": "constructor",
    "rec": "recursor",
}


def _verdict(faults: Mapping[str, str], axioms: Iterable[str] = ()) -> dict[str, Any]:
    order = sorted(faults, key=ORDER.index)
    return {
        "sound": not order,
        "faults": order,
        "evidence": "; ".join(faults[fault] for fault in order),
        "axioms": list(axioms),
    }


def uses(arena: Terms, constant: Constant) -> frozenset[int]:
    """Names that a declaration rests on directly: in its type, its value, and its group."""
    roots = [constant.type] if constant.value is None else [constant.type, constant.value]
    more = {*constant.group, *constant.constructors}
    if constant.kind in ("ctor", "rec"):
        more.add(constant.parent)
    if constant.kind == "quot":
        more.add(arena.name(("Eq",)))
    return (arena.mentioned(roots) | more) - {constant.name}


def closure(roots: Iterable[int], used: Mapping[int, frozenset[int]]) -> tuple[set[int], set[int]]:
    """What declarations rest on, roots included; and the names among it that nothing declares."""
    seen: set[int] = set()
    unknown: set[int] = set()
    stack = list(roots)
    while stack:
        name = stack.pop()
        if name in seen or name in unknown:
            continue
        if name not in used:
            unknown.add(name)
            continue
        seen.add(name)
        stack.extend(used[name])
    return seen, unknown


def replay(
    kernel: Kernel,
    known: Mapping[int, Constant],
    names: Iterable[int],
    done: set[int],
    used: Mapping[int, frozenset[int]],
) -> list[str]:
    """Add these and what they rest on, unless in `done`. What the kernel refuses, in words.

    A refused declaration is put in as an axiom, so that those after it can be judged.
    """
    refused: list[str] = []
    for root in names:
        stack = [(root, False)]
        opened: set[int] = set()
        while stack:
            name, ready = stack.pop()
            constant = known.get(name)
            if name in done or constant is None or constant.unsafe:
                continue
            if not ready and name not in opened:
                opened.add(name)
                stack.append((name, True))
                waits = _before(constant, known, used)
                stack.extend((other, False) for other in waits if other not in done)
                continue
            if ready:
                done.update(_brings(constant, known))
                if reason := _add(kernel, constant, known):
                    refused.append(f"`{kernel.arena.show(name)}`: {reason}")
    return refused


def _before(
    constant: Constant, known: Mapping[int, Constant], used: Mapping[int, frozenset[int]]
) -> set[int]:
    """What must be in the environment before this one; not what it brings with it."""
    if constant.kind in ("ctor", "rec"):
        return {constant.parent}
    if constant.kind != "induct":
        return set(used[constant.name])
    brought = _brings(constant, known)
    return set().union(*(used[name] for name in brought if name in used)) - brought


def _brings(constant: Constant, known: Mapping[int, Constant]) -> set[int]:
    """The names that adding this one declares (recursors apart, which ask for their type)."""
    if constant.kind != "induct":
        return {constant.name}
    members = [known[name] for name in constant.group if name in known]
    made = {name for member in members for name in member.constructors}
    return {constant.name, *(member.name for member in members), *made}


def _add(kernel: Kernel, constant: Constant, known: Mapping[int, Constant]) -> str | None:
    if constant.kind in ("ctor", "rec", "quot") and kernel.has(constant.name):
        return None
    if constant.kind in ("ctor", "rec"):
        return "no type brings it"
    if constant.kind == "induct":
        group = [known.get(name) for name in constant.group]
        whole = [m for m in group if m is not None and m.kind == "induct"]
        parts = [known.get(c) for m in whole for c in m.constructors]
        if (
            constant.name not in constant.group
            or len(whole) != len(group)
            or any(p is None or p.kind != "ctor" for p in parts)
            or any((m.group, m.params) != (constant.group, constant.params) for m in whole)
        ):
            return "a type without its parts"
    reason = kernel.add(constant, known)
    if reason and constant.kind != "axiom":
        stand_in = Constant(constant.name, "axiom", constant.params, constant.type)
        kernel.add(stand_in, known)
    return reason
