"""Files that the real Lean wrote, for tests that read or judge them."""

from __future__ import annotations

import atexit
from functools import cache

from awry.lean.builtin.pool import LeanPool

PARITY = """inductive Par : Nat → Prop
  | zero : Par 0
  | step (n : Nat) : Par n → Par (n + 2)
"""
SAMPLE = f"""{PARITY}
theorem target : Par 4 := .step 2 (.step 0 .zero)
def word : String := "naïve"
def grow : Nat → Nat
  | 0 => 3
  | Nat.succ n => grow n + 36893488147419103232
universe u v
structure Two (α : Type u) (β : Type v) where
  one : α
  two : β
opaque hidden : Nat
axiom assumed : hidden = 3
"""


@cache
def _pool() -> LeanPool:
    pool = LeanPool(workers=1)
    atexit.register(pool.close)
    return pool


@cache
def compiled(text: str) -> bytes:
    """The file that Lean writes for this text."""
    found = _pool().elaborate([("", text)])[0]
    assert found.olean is not None, found
    return found.olean
