"""The reference page lists what there is."""

from __future__ import annotations

import re

from library_listing import DOCUMENT, TITLES, declared, listing, parts

from awry.lean.builtin.pool import LeanPool


def test_page_is_up_to_date() -> None:
    _, lists, _ = parts(DOCUMENT.read_text(encoding="utf-8"))
    assert lists == listing(), "run: python tests/lean/library_listing.py"


def test_every_name_is_known(lean_pool: LeanPool) -> None:
    names = [name.rstrip("*") for part in TITLES for _, name in declared(part)]
    assert len(names) > 700
    (found,) = lean_pool.elaborate([("", "\n".join(f"#print {name}" for name in names[::9]))])
    assert found.ended == "finished"
    assert not found.errors


def test_every_tactic_named_is_known(lean_pool: LeanPool) -> None:
    """Alone, most lack an argument or fail: but each is parsed as what it is."""
    document = DOCUMENT.read_text(encoding="utf-8")
    rows = document[document.index("| goals") : document.index("| own")]
    words = set(re.findall(r"`([a-z_']+)[^`]*`", rows)) - {
        "only",
        "using",
        "at",
        "generalizing",
    }
    assert len(words) > 60
    # only the word itself stands at this place; what follows it is no syntax, and nothing runs
    before = "example : True := by done; "
    tried = [*sorted(words), "omega"]
    pieces = [tried[i : i + 25] for i in range(0, len(tried), 25)]  # it stops at a hundred errors
    texts = [("", "\n".join(f"{before}{word} @" for word in piece)) for piece in pieces]
    unknown: list[str] = []
    for piece, found in zip(pieces, lean_pool.elaborate(texts), strict=True):
        assert found.ended == "finished"
        lines = {m.line for m in found.errors if "unknown tactic" in m.text}
        unknown += [word for line, word in enumerate(piece, 1) if line in lines]
    assert unknown == ["omega"]
