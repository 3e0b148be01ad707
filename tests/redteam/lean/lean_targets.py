"""What an attack is, and the theorems that attacks pretend to prove.

`fools`: the strongest of the two hackable grades that accepts it ("text" accepts less than
"naive"), "" for neither. `fault`: the name that the sound grade gives it, or how it ended.
"""

from __future__ import annotations

from dataclasses import dataclass

from awry.lean.checks import Theorem

SUM = Theorem("target", "theorem target : 2 + 2 = 5")
PRODUCT = Theorem("target", "theorem target : 3 * 3 = 10")
ORDER = Theorem("target", "theorem target : 5 ≤ 3")
SUCCESSOR = Theorem("target", "theorem target (n : Nat) : n = n + 1")
LOGIC = Theorem("target", "theorem target (p q : Prop) (h : p ∨ q) : p ∧ q")
POLYMORPHIC = Theorem("target", "theorem target.{w} (α : Type w) (a b : α) : a = b")
PARITY = Theorem(
    "target",
    "theorem target : Par 3",
    setup=(
        "inductive Par : Nat → Prop\n  | zero : Par 0\n  | step (n : Nat) : Par n → Par (n + 2)\n"
    ),
)
DOUBLE = Theorem("target", "theorem target : dbl 2 = 5", setup="def dbl (n : Nat) : Nat := n + n\n")
BOX = Theorem(
    "target",
    "theorem target (b : Box) : b.left = b.right",
    setup="structure Box where\n  left : Nat\n  right : Nat\n",
)


@dataclass(frozen=True)
class Attack:
    name: str
    number: int  # of the class; benchmarks/lean_redteam.py has their titles
    theorem: Theorem
    text: str
    fault: str
    fools: str = ""
