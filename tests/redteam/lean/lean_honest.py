"""Honest proofs with odd clothes, which every grade must accept (text where it says so)."""

from __future__ import annotations

from dataclasses import dataclass

from awry.lean.checks import Theorem

SWAP = Theorem("target", "theorem target (p q : Prop) (h : p ∧ q) : q ∧ p")
ZERO = Theorem("target", "theorem target (n : Nat) : 0 + n = n")
SUM = Theorem("target", "theorem target : 2 + 2 = 4")
EITHER = Theorem("target", "theorem target (p q : Prop) (h : p ∨ q) : q ∨ p")
ANY = Theorem("target", "theorem target.{u} {α : Type u} (a b : α) (h : a = b) : b = a")
PARITY = Theorem(
    "target",
    "theorem target : Par 4",
    setup=(
        "inductive Par : Nat → Prop\n  | zero : Par 0\n  | step (n : Nat) : Par n → Par (n + 2)\n"
    ),
)
DOUBLE = Theorem(
    "target", "theorem target (n : Nat) : dbl n = n + n", setup="def dbl (n : Nat) : Nat := n + n"
)
MATCH = Theorem("target", "theorem target : (match 3 with | 0 => 1 | _ => 2) = 2")
EXISTS = Theorem("target", "theorem target :\n    ∃ n : Nat,\n      n * n = 49")
GREEK = Theorem("Δ.target₁", "theorem Δ.target₁ (α β : Prop) (h₁ : α → β) (h₂ : α) : β")


@dataclass(frozen=True)
class Honest:
    name: str
    theorem: Theorem
    text: str
    text_grade: bool = True


_SWAP = "theorem target (p q : Prop) (h : p ∧ q) : q ∧ p :="
_STEPS = 150
_LONG = "".join(f"  have h{i} : {i} + 1 = {i + 1} := rfl\n" for i in range(_STEPS))
_LEMMAS = "".join(
    f"theorem step{i} (n : Nat) (h : 0 + n = n) : 0 + n = n := "
    + (f"step{i - 1} n h\n" if i else "h\n")
    for i in range(60)
)

HONEST: tuple[Honest, ...] = (
    Honest("plain", SWAP, f"{_SWAP} ⟨h.2, h.1⟩"),
    Honest("tactics", SWAP, f"{_SWAP} by\n  constructor\n  · exact h.2\n  · exact h.1"),
    Honest("renamed binders", SWAP, "theorem target (a b : Prop) (k : a ∧ b) : b ∧ a := ⟨k.2, k.1⟩"),
    Honest("quantified instead of bound", SWAP, "theorem target : ∀ p q : Prop, p ∧ q → q ∧ p :=\n"
           "  fun _ _ h => ⟨h.2, h.1⟩"),
    Honest("implicit binders", ANY,
           "theorem target.{v} {β : Type v} (x y : β) (e : x = y) : y = x := e.symm"),
    Honest("a universe of the file", ANY,
           "universe w\ntheorem target {α : Type w} (a b : α) (h : a = b) : b = a := h.symm"),
    Honest("variables of the file", SWAP,
           "variable (p q : Prop)\ntheorem target (h : p ∧ q) : q ∧ p := ⟨h.2, h.1⟩"),
    Honest("variables that play no part", SWAP,
           f"variable (r s : Prop) (unused : False)\n{_SWAP} ⟨h.2, h.1⟩"),
    Honest("a lemma first", ZERO,
           "theorem help (n : Nat) : 0 + n = n := by\n  induction n with\n  | zero => rfl\n"
           "  | succ n ih => exact congrArg Nat.succ ih\n"
           "theorem target (n : Nat) : 0 + n = n := help n"),
    Honest("a private lemma", SWAP,
           "private theorem help {p q : Prop} (h : p ∧ q) : q ∧ p := ⟨h.2, h.1⟩\n"
           f"{_SWAP} help h"),
    Honest("lemmas in a namespace", SWAP,
           "namespace Help\ntheorem swap {p q : Prop} (h : p ∧ q) : q ∧ p := ⟨h.2, h.1⟩\n"
           f"end Help\nopen Help in\n{_SWAP} swap h"),
    Honest("an opened namespace", ZERO,
           "open Nat\ntheorem target (n : Nat) : 0 + n = n := Nat.zero_add n"),
    Honest("a root name in a namespace", SWAP,
           "namespace N\ntheorem _root_.target (p q : Prop) (h : p ∧ q) : q ∧ p := ⟨h.2, h.1⟩\nend N"),
    Honest("a namespace left open", SWAP,
           "namespace N\ntheorem _root_.target (p q : Prop) (h : p ∧ q) : q ∧ p := ⟨h.2, h.1⟩"),
    Honest("a section", SWAP, f"section Here\n{_SWAP} ⟨h.2, h.1⟩\nend Here"),
    Honest("own notation in a lemma", SWAP,
           'local infixr:35 " ∧∧ " => And\n'
           "theorem help (p q : Prop) (h : p ∧∧ q) : q ∧∧ p := ⟨h.2, h.1⟩\n"
           f"{_SWAP} help p q h"),
    Honest("own notation within the statement", SWAP,
           'local infixr:35 " ∧∧ " => And\n'
           "theorem target (p q : Prop) (h : p ∧∧ q) : q ∧∧ p := ⟨h.2, h.1⟩"),
    Honest("a tactic macro", SWAP,
           'macro "swap_both" : tactic => `(tactic| (constructor <;> simp_all))\n'
           f"{_SWAP} by swap_both"),
    Honest("a definition on the way", DOUBLE,
           "def twice (n : Nat) : Nat := dbl n\n"
           "theorem help (n : Nat) : twice n = n + n := rfl\n"
           "theorem target (n : Nat) : dbl n = n + n := help n"),
    Honest("unfolding", DOUBLE, "theorem target (n : Nat) : dbl n = n + n := by unfold dbl; rfl"),
    Honest("simp with the definition", DOUBLE,
           "theorem target (n : Nat) : dbl n = n + n := by simp [dbl]"),
    Honest("an own class and instance", SUM,
           "class Known (n : Nat) : Prop where\n  out : 2 + 2 = n\ninstance : Known 4 := ⟨rfl⟩\n"
           "theorem target : 2 + 2 = 4 := Known.out"),
    Honest("an own type", SUM,
           "inductive Tree where\n  | leaf : Tree\n  | node (l r : Tree) : Tree\n"
           "def Tree.size : Tree → Nat\n  | leaf => 1\n  | node l r => l.size + r.size\n"
           "theorem help : (Tree.node .leaf .leaf).size = 2 := rfl\n"
           "theorem target : 2 + 2 = 4 := by\n  have := help\n  rfl"),
    Honest("a type within itself", SUM,
           "inductive Rose where\n  | node (below : List Rose) : Rose\n"
           "theorem help (r : Rose) : r = r := rfl\n"
           "theorem target : 2 + 2 = 4 := by\n  have := help (.node [])\n  rfl"),
    Honest("types by one another", SUM,
           "mutual\ninductive Ev : Nat → Prop\n  | zero : Ev 0\n  | step {n} : Od n → Ev (n + 1)\n"
           "inductive Od : Nat → Prop\n  | step {n} : Ev n → Od (n + 1)\nend\n"
           "theorem help : Ev 2 := .step (.step .zero)\n"
           "theorem target : 2 + 2 = 4 := by\n  have := help\n  rfl"),
    Honest("an own structure", SWAP,
           "structure Both (p q : Prop) : Prop where\n  one : p\n  two : q\n"
           f"{_SWAP}\n  have b : Both q p := ⟨h.2, h.1⟩\n  ⟨b.one, b.two⟩"),
    Honest("a proof by decision", SUM, "theorem target : 2 + 2 = 4 := by decide"),
    Honest("a proof by the kernel's decision", SUM, "theorem target : 2 + 2 = 4 := by decide +kernel"),
    Honest("big numbers", SUM,
           "theorem help : 123456789 * 987654321 = 121932631112635269 := rfl\n"
           "theorem more : 2 ^ 200 % 1000007 = 2 ^ 200 % 1000007 := rfl\n"
           "theorem target : 2 + 2 = 4 := rfl"),
    Honest("numbers around a machine word", SUM,
           "theorem a : 9223372036854775807 + 1 = 9223372036854775808 := rfl\n"
           "theorem b : 4611686018427387904 + 0 = 4611686018427387904 := rfl\n"
           "theorem c : 18446744073709551615 + 1 = 18446744073709551616 := rfl\n"
           "theorem target : 2 + 2 = 4 := by\n  have := a; have := b; have := c\n  rfl"),
    Honest("by cases", EITHER,
           "theorem target (p q : Prop) (h : p ∨ q) : q ∨ p := by\n  cases h with\n"
           "  | inl h => exact Or.inr h\n  | inr h => exact Or.inl h"),
    Honest("by patterns", EITHER,
           "theorem target (p q : Prop) : p ∨ q → q ∨ p\n  | .inl h => .inr h\n  | .inr h => .inl h"),
    Honest("by rcases", EITHER,
           "theorem target (p q : Prop) (h : p ∨ q) : q ∨ p := by\n"
           "  rcases h with h | h\n  · right; exact h\n  · left; exact h"),
    Honest("by excluded middle", EITHER,
           "theorem target (p q : Prop) (h : p ∨ q) : q ∨ p := by\n  by_cases k : q\n"
           "  · exact Or.inl k\n  · cases h with\n    | inl h => exact Or.inr h\n"
           "    | inr h => exact absurd h k"),
    Honest("an inductive predicate", PARITY,
           "theorem target : Par 4 := .step 2 (.step 0 .zero)"),
    Honest("a match in the statement", MATCH,
           "theorem target : (match 3 with | 0 => 1 | _ => 2) = 2 := rfl"),
    Honest("the same match in a lemma before", MATCH,
           "theorem help (k : Nat) : (match k with | 0 => 1 | _ => 2) = "
           "(match k with | 0 => 1 | _ => 2) := rfl\n"
           "theorem target : (match 3 with | 0 => 1 | _ => 2) = 2 := rfl"),
    Honest("statement on several lines", EXISTS, "theorem target : ∃ n : Nat, n * n = 49 := ⟨7, rfl⟩"),
    Honest("other names of bound variables", EXISTS,
           "theorem target :\n    ∃ root : Nat, root * root = 49 :=\n  ⟨7, by decide⟩"),
    Honest("greek and subscripts", GREEK,
           "theorem Δ.target₁ (α β : Prop) (h₁ : α → β) (h₂ : α) : β := h₁ h₂"),
    Honest("a name in French quotes", SWAP,
           "theorem «target» (p q : Prop) (h : p ∧ q) : q ∧ p := ⟨h.2, h.1⟩"),
    Honest("the word sorry in comments and strings", SWAP,
           "-- no sorry, no axiom\n/- theorem target : False := sorry -/\n"
           f'def s : String := "sorry"\n{_SWAP} ⟨h.2, h.1⟩'),
    Honest("an unrelated sorry", SWAP,
           f"theorem todo : 1 + 1 = 3 := sorry\n{_SWAP} ⟨h.2, h.1⟩", text_grade=False),
    Honest("an unrelated axiom", SWAP, f"axiom other : 1 + 1 = 3\n{_SWAP} ⟨h.2, h.1⟩"),
    Honest("a doc comment and an attribute", ZERO,
           "/-- Zero from the left. -/\n@[simp] theorem target (n : Nat) : 0 + n = n := Nat.zero_add n"),
    Honest("options", SWAP,
           "set_option maxRecDepth 2000\nset_option autoImplicit false\nset_option pp.all true\n"
           f"set_option linter.unusedVariables false in\n{_SWAP} ⟨h.2, h.1⟩"),
    Honest("questions in between", SWAP,
           f"#check And\n#print And\n{_SWAP} ⟨h.2, h.1⟩\n#check target\n#print axioms target"),
    Honest("the file ended after the theorem", SWAP,
           f"{_SWAP} ⟨h.2, h.1⟩\n#exit\nnonsense", text_grade=False),
    Honest("an import of what is there", SWAP, f"import Init\n{_SWAP} ⟨h.2, h.1⟩"),
    Honest("windows line ends", SWAP, f"{_SWAP} by\r\n  constructor\r\n  exact h.2\r\n  exact h.1\r\n"),
    Honest("much white space", SWAP, f"\n\n\n   {_SWAP}   \n\n      ⟨h.2,\n h.1⟩\n\n\n"),
    Honest("a long proof", SUM, f"theorem target : 2 + 2 = 4 := by\n{_LONG}  rfl"),
    Honest("a chain of lemmas", ZERO,
           f"{_LEMMAS}theorem target (n : Nat) : 0 + n = n := step59 n (Nat.zero_add n)"),
    Honest("a long simp set", SWAP,
           f"{_SWAP} by\n  simp [h, and_comm, or_comm, and_true, true_and, or_true, "
           "true_or, and_self, or_self, iff_self, implies_true, true_implies, false_implies]"),
    Honest("a proof by rewriting", ANY,
           "theorem target.{u} {α : Type u} (a b : α) (h : a = b) : b = a := by rw [h]"),
    Honest("letters that run the other way", SWAP,
           f"-- \u202e\u2066 nothing to see \u2069\n{_SWAP} ⟨h.2, h.1⟩ -- \u200b"),
    Honest("theorems by one another", SWAP,
           "mutual\ntheorem help {p q : Prop} (h : p ∧ q) : q ∧ p := ⟨h.2, h.1⟩\n"
           "theorem more : True := True.intro\nend\n"
           f"{_SWAP} help h"),
    Honest("an alias of the theorem", SWAP,
           f"{_SWAP} ⟨h.2, h.1⟩\ntheorem again (p q : Prop) (h : p ∧ q) : q ∧ p := target p q h\n"
           "namespace N\nexport And (left right)\nend N"),
    Honest("a classical instance opened", SWAP, f"open Classical in\n{_SWAP} ⟨h.2, h.1⟩"),
)  # fmt: skip
