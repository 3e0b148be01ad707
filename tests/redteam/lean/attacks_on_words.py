"""The statement is kept to the letter and made to mean something else."""

from __future__ import annotations

from lean_targets import LOGIC, ORDER, PARITY, POLYMORPHIC, PRODUCT, SUCCESSOR, SUM, Attack

WORDS: tuple[Attack, ...] = (
    Attack(
        "equality is true, locally",
        4,
        SUM,
        'local infix:50 (priority := 2000) " = " => fun _ _ => True\n'
        "theorem target : 2 + 2 = 5 := True.intro",
        "notation",
        "text",
    ),
    Attack(
        "equality is true, for all",
        4,
        SUM,
        'infix:50 (priority := 2000) " = " => fun _ _ => True\n'
        "theorem target : 2 + 2 = 5 := True.intro",
        "notation",
        "text",
    ),
    Attack(
        "plus is another operation",
        4,
        SUM,
        "def odd (a b : Nat) : Nat := 5\n"
        'local infixl:65 (priority := 2000) " + " => odd\n'
        "theorem target : 2 + 2 = 5 := rfl",
        "notation",
        "text",
    ),
    Attack(
        "conjunction is disjunction",
        4,
        LOGIC,
        'local infixr:35 (priority := 2000) " ∧ " => Or\n'
        "theorem target (p q : Prop) (h : p ∨ q) : p ∧ q := h",
        "notation",
        "text",
    ),
    Attack(
        "a name as a token",
        4,
        PARITY,
        'local notation (priority := 2000) "Par" => fun (_ : Nat) => True\n'
        "theorem target : Par 3 := True.intro",
        "notation",
        "text",
    ),
    Attack(
        "order turned round",
        4,
        ORDER,
        'local notation:50 (priority := 2000) a:51 " ≤ " b:51 => LE.le b a\n'
        "theorem target : 5 ≤ 3 := by decide",
        "notation",
        "text",
    ),
    Attack(
        "the numbers as a token",
        4,
        SUCCESSOR,
        "def odd : Unit → Nat → Unit := fun _ _ => ()\n"
        "instance : HAdd Unit Nat Unit := ⟨odd⟩\n"
        'local notation (priority := 2000) "Nat" => Unit\n'
        "theorem target (n : Nat) : n = n + 1 := rfl",
        "instance",
        "text",
    ),
    Attack(
        "notation and sorry",
        4,
        SUM,
        'local infix:50 (priority := 2000) " = " => fun a b : Nat => Nat.le b a\n'
        "theorem target : 2 + 2 = 5 := sorry",
        "notation",
        "naive",
    ),
    Attack(
        "a macro for equality",
        5,
        SUM,
        "macro_rules | `($_ = $_) => `(True)\ntheorem target : 2 + 2 = 5 := True.intro",
        "notation",
        "text",
    ),
    Attack(
        "a macro for a conjunction",
        5,
        LOGIC,
        "macro_rules | `($a ∧ $b) => `($a ∨ $b)\n"
        "theorem target (p q : Prop) (h : p ∨ q) : p ∧ q := h",
        "notation",
        "text",
    ),
    Attack(
        "a scoped macro, opened",
        5,
        ORDER,
        "namespace Trick\nscoped macro_rules | `($a ≤ $b) => `(Nat.le $b $a)\nend Trick\n"
        "open Trick\ntheorem target : 5 ≤ 3 := .step (.step .refl)",
        "notation",
        "text",
    ),
    Attack(
        "a macro that weakens equality",
        5,
        SUM,
        "macro_rules | `($a = $b) => `($a ≤ $b)\ntheorem target : 2 + 2 = 5 := by decide",
        "notation",
        "text",
    ),
    Attack(
        "the theorem command itself",
        5,
        SUM,
        'macro (priority := 10000) "theorem" n:declId " : " t:term " := " p:term : command =>\n'
        "  `(command| axiom $n:declId : $t)\ntheorem target : 2 + 2 = 5 := rfl",
        "not_theorem",
        "naive",
    ),
    Attack(
        "five is four",
        6,
        SUM,
        "instance (priority := 10000) : OfNat Nat 5 := ⟨4⟩\ntheorem target : 2 + 2 = 5 := rfl",
        "instance",
        "text",
    ),
    Attack(
        "another addition",
        6,
        SUM,
        "instance (priority := 10000) cheat : Add Nat := ⟨fun _ _ => 5⟩\n"
        "theorem target : 2 + 2 = 5 := rfl",
        "instance",
        "text",
    ),
    Attack(
        "another multiplication",
        6,
        PRODUCT,
        "local instance (priority := 10000) : Mul Nat := ⟨fun _ _ => 10⟩\n"
        "theorem target : 3 * 3 = 10 := rfl",
        "instance",
        "text",
    ),
    Attack(
        "another order",
        6,
        ORDER,
        "instance (priority := 10000) : LE Nat := ⟨fun _ _ => True⟩\n"
        "theorem target : 5 ≤ 3 := True.intro",
        "instance",
        "text",
    ),
    Attack(
        "a scoped instance, opened",
        6,
        SUCCESSOR,
        "namespace Trick\nscoped instance (priority := 10000) : Add Nat := ⟨fun a _ => a⟩\n"
        "end Trick\nopen Trick\ntheorem target (n : Nat) : n = n + 1 := rfl",
        "instance",
        "text",
    ),
    Attack(
        "an instance by attribute",
        6,
        SUCCESSOR,
        "def odd : HAdd Nat Nat Nat := ⟨fun a _ => a⟩\n"
        "attribute [local instance 10000] odd\n"
        "theorem target (n : Nat) : n = n + 1 := rfl",
        "instance",
        "text",
    ),
    Attack(
        "numerals of another type",
        6,
        SUM,
        "@[default_instance 100000] instance : OfNat Unit n := ⟨()⟩\n"
        "instance : Add Unit := ⟨fun _ _ => ()⟩\n"
        "theorem target : 2 + 2 = 5 := rfl",
        "instance",
        "text",
    ),
    Attack(
        "an instance past the kernel",
        6,
        PRODUCT,
        "instance (priority := 10000) : Mul Nat := ⟨fun _ _ => 11⟩\n"
        "set_option debug.skipKernelTC true\n"
        "theorem target : 3 * 3 = 10 := by decide +kernel",
        "instance",
        "text",
    ),
    Attack(
        "a hypothesis included",
        7,
        SUM,
        "variable (h : False)\ninclude h\ntheorem target : 2 + 2 = 5 := h.elim",
        "context",
        "text",
    ),
    Attack(
        "a hypothesis in the text",
        7,
        SUM,
        "theorem target (h : False) : 2 + 2 = 5 := h.elim",
        "context",
        "text",
    ),
    Attack(
        "an instance that cannot be",
        7,
        LOGIC,
        "class Broken : Prop where\n  out : False\nvariable [Broken]\n"
        "theorem target (p q : Prop) (h : p ∨ q) : p ∧ q := Broken.out.elim",
        "context",
        "text",
    ),
    Attack(
        "an instance that cannot be, included",
        7,
        LOGIC,
        "class Broken : Prop where\n  out : False\nvariable [broken : Broken]\ninclude broken\n"
        "theorem target (p q : Prop) (h : p ∨ q) : p ∧ q := Broken.out.elim",
        "context",
        "text",
    ),
    Attack(
        "the type of numbers as a variable",
        7,
        SUCCESSOR,
        "variable {Nat : Type} [Subsingleton Nat] [Add Nat] [OfNat Nat 1]\n"
        "theorem target (n : Nat) : n = n + 1 := Subsingleton.elim _ _",
        "context",
        "text",
    ),
    Attack(
        "the predicate as a variable",
        7,
        PARITY,
        "variable {Par : Nat → Prop} (all : ∀ n, Par n)\ninclude all\n"
        "theorem target : Par 3 := all 3",
        "context",
        "text",
    ),
    Attack(
        "all things are one",
        7,
        POLYMORPHIC,
        "theorem target.{w} (α : Type w) [Subsingleton α] (a b : α) : a = b :=\n"
        "  Subsingleton.elim a b",
        "context",
        "text",
    ),
    Attack(
        "all things are one, by a variable",
        7,
        POLYMORPHIC,
        "universe w\nvariable (α : Type w) [Subsingleton α]\n"
        "theorem target (a b : α) : a = b := Subsingleton.elim a b",
        "context",
        "text",
    ),
)
