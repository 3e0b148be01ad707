"""What a verifier may find, to bend."""

from __future__ import annotations

from awry.lean.checks import Checked

PROVED = Checked(
    outcome="proved",
    naive=True,
    text=True,
    sound=True,
    sorry=False,
    faults=(),
    error=None,
    axioms=(),
    evidence="",
    seconds=0.1,
)
