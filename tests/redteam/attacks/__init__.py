"""The red team corpus: one module per family of attack."""

from __future__ import annotations

from attacks import (
    channels,
    checker,
    disk,
    encodings,
    endings,
    equality,
    exits,
    files,
    forging,
    hunger,
    imports,
    introspection,
    network,
    patching,
    pipe,
    processes,
    syscalls,
    timing,
    tracing,
)
from attacks.entry import Attack

FAMILIES: dict[str, tuple[Attack, ...]] = {
    module.__name__.rpartition(".")[2]: module.ATTACKS
    for module in (
        *(exits, equality, forging, introspection, patching, endings, processes, hunger, disk),
        *(network, files, tracing, timing, imports, encodings, pipe, syscalls, checker),
        channels,
    )
}
CORPUS: dict[str, Attack] = {a.name: a for family in FAMILIES.values() for a in family}
