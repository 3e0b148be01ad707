"""Starters: source that ends where a function's body goes, at top level or in a class.

`complete` puts a body there, whatever stands before it (imports, helpers, a docstring), so nobody
else has to know how far a body is indented.
"""

from __future__ import annotations

import ast
import re
import textwrap
from functools import lru_cache

_STEP = "    "


def complete(starter: str, body: str) -> str:
    """`starter` with `body`, written without indentation, as the body of its function.

    A body of comments alone is put in as well, though it is no complete function yet.
    Raises ValueError when the starter does not end where a body goes.
    """
    text = _trimmed(starter)
    indent, _ = _read(text)
    return f"{text}\n{textwrap.indent(body.strip(chr(10)), indent)}"


def parameters(starter: str) -> list[str]:
    """The names of the function's positional parameters, without `self`."""
    return list(_read(_trimmed(starter))[1])


def _trimmed(starter: str) -> str:
    return starter.strip("\n").rstrip()


@lru_cache(maxsize=8192)
def _read(text: str) -> tuple[str, tuple[str, ...]]:
    """(indentation of the body, parameter names) of a trimmed starter."""
    # A docstring may hold text that looks like a definition, so each guess is parsed.
    found = re.findall(r"^([ \t]*)(?:async[ \t]+)?def\b", text, re.MULTILINE)
    for outer in dict.fromkeys(reversed(found)):
        last = text[text.rfind("\n") + 1 :]
        own = last[: len(last) - len(last.lstrip())]
        # An existing docstring settles the step; a bare `def` line leaves it to us.
        for indent in dict.fromkeys((outer + _STEP, own)):
            definition = _ending_in_pass(f"{text}\n{indent}pass")
            if definition is not None:
                node, in_class = definition
                names = [a.arg for a in (*node.args.posonlyargs, *node.args.args)]
                return indent, tuple(names[1:] if in_class else names)
    raise ValueError("the starter does not end where a function's body goes")


def _ending_in_pass(
    source: str,
) -> tuple[ast.FunctionDef | ast.AsyncFunctionDef, bool] | None:
    """The function whose last statement is the last of `source`, and whether a class holds it."""
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError):
        return None
    in_class = False
    while body:
        node = body[-1]
        match node:
            case ast.ClassDef():
                in_class, body = True, node.body
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                return (node, in_class) if isinstance(node.body[-1], ast.Pass) else None
            case _:
                return None
    return None
