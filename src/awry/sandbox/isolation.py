"""How strongly untrusted work is shut in, and what is said where a machine gives less."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import Literal, get_args

from awry.errors import UserError

Isolation = Literal["auto", "require", "namespaces", "landlock", "rlimits"]
# What "require" insists on.
REQUIRED = ("pidns", "netns", "ipcns", "tmpfs-root", "seccomp", "rlimits")


class IsolationWarning(UserWarning):
    """A layer of isolation is missing on this machine."""


def level(isolation: Isolation) -> str:
    """The strongest level that a fork server should try. Raises UserError for an unknown word, and
    on a system that has none."""
    if not sys.platform.startswith("linux"):
        raise UserError(
            "untrusted programs are run on Linux only",
            value=sys.platform,
            fix="run it in a container",
        )
    if isolation not in get_args(Isolation):
        fix = "use " + ", ".join(get_args(Isolation))
        raise UserError("unknown isolation", field="isolation", value=isolation, fix=fix)
    return "namespaces" if isolation in ("auto", "require") else isolation


def insist(isolation: Isolation, layers: str, missing: Sequence[str], what: str) -> None:
    """Where a layer of `REQUIRED` is not in force: "require" raises UserError, "auto" warns.

    layers: joined by "+"; missing: why others are not; what: is isolated ("answers", "proofs").
    """
    lacking = [name for name in REQUIRED if name not in layers.split("+")]
    if not lacking or isolation not in ("auto", "require"):
        return
    why = "; ".join(missing) or "not available here"
    if isolation == "require":
        raise UserError(
            f"this machine does not isolate {what} enough: no {', '.join(lacking)} ({why})",
            field="isolation",
            value="require",
            fix="see `awry sandbox doctor`, or use isolation: auto to take what there is",
        )
    warnings.warn(
        f"{what} are isolated by {layers} only; missing: {why} (see `awry sandbox doctor`)",
        IsolationWarning,
        stacklevel=3,  # whoever made the pool
    )
