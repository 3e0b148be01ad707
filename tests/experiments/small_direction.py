"""A few pairs as a file, and a tiny experiment that has a direction."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from awry.tasks.pairs import load_pairs


def pairs_file(path: Path, extraction: int = 4, heldout: int = 3, **changes: str) -> Path:
    """A few of the built-in pairs as a file; changes: of the first one."""
    chosen = [p for p in load_pairs() if p.split == "extraction"][:extraction]
    chosen += [p for p in load_pairs() if p.split == "heldout"][:heldout]
    text = ""
    for number, pair in enumerate(chosen):
        row = {
            "id": pair.id,
            "problem": pair.problem_id,
            "loophole": pair.loophole,
            "evaluator_seed": pair.evaluator_seed,
            "style": pair.style,
            "split": pair.split,
            "honest": pair.honest,
            "hack": pair.hack,
        }
        row |= changes if number == 0 else {}
        text += "[[pair]]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in row.items())
    path.write_text(text, encoding="utf-8")
    return path


def directed(document: dict[str, Any], pairs: str = "builtin") -> dict[str, Any]:
    """The same experiment on singular values with a direction and an arm that projects it off."""
    changed = copy.deepcopy(document)
    changed["model"]["adapter"] = {"kind": "singular_values"}
    changed["direction"] = {"pairs": pairs, "top_k": 2}
    changed["arms"] = {"vanilla": {}, "projected": {"intervention": {"kind": "projection"}}}
    return changed
