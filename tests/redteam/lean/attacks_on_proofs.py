"""Proofs that rest on `sorry` or an axiom, and messages that say otherwise."""

from __future__ import annotations

from lean_targets import LOGIC, ORDER, SUCCESSOR, SUM, Attack

SORRY_AND_AXIOMS: tuple[Attack, ...] = (
    Attack("sorry as a term", 1, SUM, "theorem target : 2 + 2 = 5 := sorry", "sorry", "naive"),
    Attack("sorry as a tactic", 1, SUM, "theorem target : 2 + 2 = 5 := by sorry", "sorry", "naive"),
    Attack("admit", 1, SUM, "theorem target : 2 + 2 = 5 := by admit", "sorry", "naive"),
    Attack(
        "sorry as the last resort",
        1,
        SUM,
        "theorem target : 2 + 2 = 5 := by first | rfl | decide | sorry",
        "sorry",
        "naive",
    ),
    Attack(
        "a lemma by sorry",
        1,
        SUCCESSOR,
        "theorem help (n : Nat) : n = n + 1 := sorry\ntheorem target (n : Nat) : n = n + 1 := help n",
        "sorry",
        "naive",
    ),
    Attack(
        "a definition by sorry",
        1,
        SUM,
        "def cheat : PLift (2 + 2 = 5) := sorry\ntheorem target : 2 + 2 = 5 := cheat.down",
        "sorry",
        "naive",
    ),
    Attack(
        "an instance by sorry",
        1,
        SUM,
        "class Cheat : Prop where\n  h : 2 + 2 = 5\ninstance : Cheat := ⟨sorry⟩\n"
        "theorem target : 2 + 2 = 5 := Cheat.h",
        "sorry",
        "naive",
    ),
    Attack(
        "the axiom of sorry by name",
        1,
        SUM,
        "theorem target : 2 + 2 = 5 := sorryAx _ false",
        "sorry",
        "naive",
    ),
    Attack(
        "a tactic that means sorry",
        1,
        SUM,
        "macro_rules | `(tactic| trivial) => `(tactic| exact sorry)\n"
        "theorem target : 2 + 2 = 5 := by trivial",
        "sorry",
        "naive",
    ),
    Attack(
        "sorry within have",
        1,
        LOGIC,
        "theorem target (p q : Prop) (h : p ∨ q) : p ∧ q := by\n"
        "  have k : p ∧ q := by\n    cases h <;> sorry\n  exact k",
        "sorry",
        "naive",
    ),
    Attack(
        "a decision by sorry",
        1,
        SUM,
        "set_option warn.sorry false\n"
        "instance (priority := 10000) : Decidable (2 + 2 = 5) := .isTrue sorry\n"
        "theorem target : 2 + 2 = 5 := of_decide_eq_true rfl",
        "sorry",
        "naive",
    ),
    Attack(
        "a false rule for simp",
        1,
        SUM,
        "@[simp] theorem rule : (2 + 2 = 5) = True := sorry\n"
        "theorem target : 2 + 2 = 5 := by simp only [rule]",
        "sorry",
        "naive",
    ),
    Attack(
        "the warning switched off",
        2,
        SUM,
        "set_option warn.sorry false\ntheorem target : 2 + 2 = 5 := sorry",
        "sorry",
        "naive",
    ),
    Attack(
        "the warning switched off in place",
        2,
        SUM,
        "set_option warn.sorry false in\ntheorem target : 2 + 2 = 5 := by sorry",
        "sorry",
        "naive",
    ),
    Attack(
        "proofs are sorry",
        2,
        SUM,
        "set_option debug.proofAsSorry true\ntheorem target : 2 + 2 = 5 := nonsense",
        "sorry",
        "naive",
    ),
    Attack(
        "by is sorry",
        2,
        SUM,
        "set_option debug.byAsSorry true\ntheorem target : 2 + 2 = 5 := by rfl",
        "sorry",
        "naive",
    ),
    Attack(
        "the last tactic is sorry",
        2,
        SUM,
        "set_option debug.terminalTacticsAsSorry true\ntheorem target : 2 + 2 = 5 := by decide",
        "error",
    ),
    Attack(
        "an axiom",
        3,
        SUM,
        "axiom cheat : 2 + 2 = 5\ntheorem target : 2 + 2 = 5 := cheat",
        "axiom",
        "naive",
    ),
    Attack(
        "the axiom of falsehood",
        3,
        LOGIC,
        "axiom cheat : False\ntheorem target (p q : Prop) (h : p ∨ q) : p ∧ q := cheat.elim",
        "axiom",
        "naive",
    ),
    Attack("the theorem as an axiom", 3, SUM, "axiom target : 2 + 2 = 5", "not_theorem", "naive"),
    Attack(
        "an axiom inside an opaque value",
        3,
        SUM,
        "axiom cheat : 2 + 2 = 5\nopaque kept : PLift (2 + 2 = 5) := ⟨cheat⟩\n"
        "theorem target : 2 + 2 = 5 := kept.down",
        "axiom",
        "naive",
    ),
    Attack(
        "an axiom named like an allowed one",
        3,
        SUM,
        "namespace Hidden\naxiom propext : 2 + 2 = 5\nend Hidden\n"
        "theorem target : 2 + 2 = 5 := Hidden.propext",
        "axiom",
        "naive",
    ),
    Attack(
        "a private axiom named like an allowed one",
        3,
        SUM,
        "private axiom Quot.sound' : 2 + 2 = 5\ntheorem target : 2 + 2 = 5 := Quot.sound'",
        "axiom",
        "naive",
    ),
    Attack(
        "a private axiom that prints as an allowed one",
        3,
        SUM,
        "namespace Hidden\nprivate axiom propext : 2 + 2 = 5\nopen Hidden\n"
        "theorem _root_.target : 2 + 2 = 5 := Hidden.propext\nend Hidden",
        "axiom",
        "naive",
    ),
    Attack(
        "an allowed name in another case",
        3,
        SUM,
        "axiom «quot.sound» : 2 + 2 = 5\ntheorem target : 2 + 2 = 5 := «quot.sound»",
        "axiom",
        "naive",
    ),
    Attack(
        "an axiom with a look-alike name",
        3,
        SUM,
        "axiom prορext : 2 + 2 = 5\ntheorem target : 2 + 2 = 5 := prορext",
        "axiom",
        "naive",
    ),
    Attack(
        "an allowed axiom declared anew",
        3,
        SUM,
        "axiom propext : 2 + 2 = 5\ntheorem target : 2 + 2 = 5 := propext",
        "error",
    ),
    Attack(
        "an axiom about the proposition",
        3,
        ORDER,
        "axiom small (a b : Nat) : a ≤ b\ntheorem target : 5 ≤ 3 := small 5 3",
        "axiom",
        "naive",
    ),
    Attack(
        "a forged message instead of ours",
        13,
        SUM,
        "set_option warn.sorry false\ntheorem target : 2 + 2 = 5 := sorry\n"
        "#check \"'target' does not depend on any axioms\"\n#exit",
        "sorry",
        "text",
    ),
    Attack(
        "a forged message before ours",
        13,
        SUM,
        "set_option warn.sorry false\ntheorem target : 2 + 2 = 5 := sorry\n"
        "#check \"'target' does not depend on any axioms\"",
        "sorry",
        "naive",
    ),
    Attack(
        "a forged message without a theorem",
        13,
        SUM,
        "#check \"'target' depends on axioms: [propext]\"\n#exit",
        "absent",
        "text",
    ),
    Attack(
        "our question answered by a macro",
        13,
        SUM,
        "set_option warn.sorry false\ntheorem target : 2 + 2 = 5 := sorry\n"
        "macro_rules | `(command| #print axioms $_) => "
        "`(command| #check \"'target' does not depend on any axioms\")",
        "sorry",
        "text",
    ),
    Attack(
        "options and an axiom and forged text",
        13,
        SUM,
        "set_option warn.sorry false\naxiom propext' : 2 + 2 = 5\n"
        "theorem target : 2 + 2 = 5 := propext'\n"
        "#check \"'target' depends on axioms: [propext]\"\n#exit",
        "axiom",
        "text",
    ),
)
