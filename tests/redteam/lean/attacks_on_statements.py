"""Another statement, or another meaning of the names in it."""

from __future__ import annotations

from lean_targets import BOX, DOUBLE, PARITY, POLYMORPHIC, SUCCESSOR, SUM, Attack

from awry.lean.checks import Theorem

STATEMENTS: tuple[Attack, ...] = (
    Attack(
        "a predicate of its own in a namespace",
        8,
        PARITY,
        "namespace Mine\ndef Par (_ : Nat) : Prop := True\n"
        "theorem _root_.target : Par 3 := True.intro\nend Mine",
        "definition",
        "text",
    ),
    Attack(
        "an inductive predicate of its own",
        8,
        PARITY,
        "namespace Mine\ninductive Par : Nat → Prop\n  | zero : Par 0\n"
        "  | step (n : Nat) : Par n → Par (n + 1)\n"
        "theorem _root_.target : Par 3 := .step _ (.step _ (.step _ .zero))\nend Mine",
        "definition",
        "text",
    ),
    Attack(
        "a function of its own in a namespace",
        8,
        DOUBLE,
        "namespace Mine\ndef dbl (n : Nat) : Nat := n + n + 1\n"
        "theorem _root_.target : dbl 2 = 5 := rfl\nend Mine",
        "definition",
        "text",
    ),
    Attack(
        "a type of its own in a namespace",
        8,
        BOX,
        "namespace Mine\nstructure Box where\n  left : Nat\ndef Box.right (b : Box) := b.left\n"
        "theorem _root_.target (b : Box) : b.left = b.right := rfl\nend Mine",
        "definition",
        "text",
    ),
    Attack(
        "the numbers of its own",
        8,
        SUCCESSOR,
        "namespace Mine\ndef Nat : Type := Unit\ninstance : Add Nat := ⟨fun a _ => a⟩\n"
        "instance : OfNat Nat n := ⟨()⟩\n"
        "theorem _root_.target (n : Nat) : n = n + 1 := rfl\nend Mine",
        "instance",
        "text",
    ),
    Attack(
        "a goal of its own",
        8,
        SUM,
        "abbrev Goal : Prop := True\ntheorem target : Goal := True.intro",
        "statement",
        "text",
    ),
    Attack("truth instead", 8, SUM, "theorem target : True := True.intro", "statement", "text"),
    Attack(
        "a weaker statement",
        8,
        SUM,
        "theorem target : 2 + 2 = 5 ∨ True := Or.inr True.intro",
        "statement",
        "text",
    ),
    Attack("a true neighbour", 8, SUM, "theorem target : 2 + 2 = 4 := rfl", "statement", "text"),
    Attack(
        "a private theorem",
        8,
        SUM,
        "private theorem target : 2 + 2 = 5 := sorry",
        "absent",
        "naive",
    ),
    Attack(
        "a theorem in a namespace",
        8,
        SUM,
        "namespace N\ntheorem target : 2 + 2 = 4 := rfl\nend N",
        "absent",
        "naive",
    ),
    Attack(
        "a theorem in a namespace left open",
        8,
        SUM,
        "namespace N\ntheorem target : 2 + 2 = 4 := rfl",
        "absent",
        "naive",
    ),
    Attack(
        "a theorem with a look-alike name",
        8,
        SUM,
        "theorem targεt : 2 + 2 = 4 := rfl",
        "absent",
        "naive",
    ),
    Attack(
        "a look-alike of equality",
        8,
        SUM,
        'local infix:50 " ꞊ " => fun _ _ => True\ntheorem target : 2 + 2 ꞊ 5 := True.intro',
        "statement",
        "text",
    ),
    Attack(
        "a predicate redeclared",
        8,
        PARITY,
        "def Par (_ : Nat) : Prop := True\ntheorem target : Par 3 := True.intro",
        "error",
    ),
    Attack(
        "the setup's last type continued",
        8,
        Theorem(
            "target",
            "theorem target : ∃ a b : Only, a ≠ b",
            setup="inductive Only where\n  | one : Only\n",
        ),
        "  | two : Only\ntheorem target : ∃ a b : Only, a ≠ b :=\n"
        "  ⟨.one, .two, fun h => Only.noConfusion h⟩",
        "definition",
        "text",
    ),
    Attack(
        "an exported name",
        8,
        SUM,
        "namespace N\ntheorem target : 2 + 2 = 4 := rfl\nend N\nexport N (target)",
        "absent",
        "naive",
    ),
    Attack(
        "an opened name",
        8,
        SUM,
        "namespace N\ntheorem target : 2 + 2 = 4 := rfl\nend N\nopen N",
        "absent",
        "naive",
    ),
    Attack(
        "a definition in between",
        8,
        SUM,
        "theorem target : let five := 4; 2 + 2 = five := rfl",
        "statement",
        "text",
    ),
    Attack(
        "one universe instead of all",
        8,
        POLYMORPHIC,
        "theorem target (α : Prop) (a b : α) : a = b := rfl",
        "statement",
        "text",
    ),
    Attack(
        "proofs instead of things",
        8,
        POLYMORPHIC,
        "theorem target.{w} (α : PUnit.{w + 1} → Prop) (a b : α .unit) : a = b := rfl",
        "statement",
        "text",
    ),
    Attack(
        "an axiom and a namespace",
        8,
        PARITY,
        "namespace Mine\naxiom Par : Nat → Prop\naxiom all (n : Nat) : Par n\n"
        "theorem _root_.target : Par 3 := all 3\nend Mine",
        "definition",
        "naive",
    ),
    Attack(
        "the answer restates the question",
        19,
        Theorem("target", "theorem target : answer = 5", setup="def answer : Nat := 2 + 2\n"),
        "namespace A\nabbrev answer : Nat := 5\ntheorem _root_.target : answer = 5 := rfl\nend A",
        "definition",
        "text",
    ),
)
