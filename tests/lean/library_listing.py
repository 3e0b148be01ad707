"""The lists in docs/reference/lean-library.md, read off the core's source.

python tests/lean/library_listing.py     writes them anew
"""

from __future__ import annotations

import re
import textwrap
from importlib.resources import files
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "lean-library.md"
TITLES = {
    "logic": "Equality, connectives, deciding",
    "propositions": "Propositions and quantifiers",
    "nat": "Naturals: identities",
    "order": "Naturals: order",
    "subtraction": "Naturals: subtraction, minimum, maximum",
    "division": "Naturals: division, divisibility",
    "data": "Booleans, functions, pairs, options, small numbers",
    "lists": "Lists",
    "members": "Lists: members, filters, parts, permutations",
    "recursion": "Recursion",
}
_DECLARED = re.compile(
    r"^(?P<marks>(?:@\[[^\]]*\] )*)(?:protected |noncomputable )*"
    r"(?P<kind>theorem|def|abbrev|inductive|structure|class inductive|class)\s+(?P<name>[^\s:({\[]+)"
)
_SKIPPED = re.compile(r"^Lean\.|'$|have_|_congr_ctx|ite_cond|_helper|Steps|_enough|\._|_aux")


def declared(part: str) -> list[tuple[str, str]]:
    """(kind, full name; a star after a name that simp uses) of one part, in its order."""
    found: list[tuple[str, str]] = []
    spaces: list[str] = []
    text = (files("awry.lean.builtin") / "init" / f"{part}.lean").read_text(encoding="utf-8")
    for line in text.splitlines():
        if opened := re.match(r"(namespace|section)\b ?(\S*)", line):
            spaces.append(opened[2] if opened[1] == "namespace" else "")
        elif re.match(r"end\b", line) and spaces:
            spaces.pop()
        elif one := _DECLARED.match(line):
            name = ".".join([*filter(None, spaces), one["name"].rstrip(".")])
            if not _SKIPPED.search(name):
                found.append((one["kind"], name + ("*" if "simp" in one["marks"] else "")))
    return found


def listing() -> str:
    pieces: list[str] = []
    for part, title in TITLES.items():
        pieces.append(f"### {title}\n")
        everything = declared(part)
        definitions = [name for kind, name in everything if kind != "theorem"]
        theorems = [name for kind, name in everything if kind == "theorem"]
        if definitions:
            names = "Definitions: " + " ".join(f"`{name.rstrip('*')}`" for name in definitions)
            pieces.append(textwrap.fill(names, 105, break_on_hyphens=False) + "\n")
        pieces.append(_wrapped(theorems))
    return "\n".join(pieces)


def _wrapped(names: list[str]) -> str:
    """Names by namespace: `Nat` `add_comm` ..., the namespace said once."""
    groups: dict[str, list[str]] = {}
    for name in names:
        space, _, last = name.rpartition(".")
        groups.setdefault(space, []).append(last)
    lines = [
        (f"**{space}.** " if space else "") + " ".join(f"`{name}`" for name in group)
        for space, group in groups.items()
    ]
    filled = [textwrap.fill(line, 105, break_on_hyphens=False) for line in lines]
    return "\n\n".join(filled) + "\n"


def parts(document: str) -> tuple[str, str, str]:
    """What stands before the lists, the lists, what stands after them."""
    before, mark, rest = document.partition("<!-- lists -->\n")
    inside, end, after = rest.partition("<!-- end -->")
    return before + mark, inside, end + after


if __name__ == "__main__":
    head, _, tail = parts(DOCUMENT.read_text(encoding="utf-8"))
    DOCUMENT.write_text(head + listing() + tail, encoding="utf-8")
