/-! Lemmas on connectives and quantifiers, classical logic from choice, and the propositional part
of the default simp set. -/

section
variable {a b c d : Prop}
def And.elim {C : Sort u} (f : a → b → C) (h : a ∧ b) : C := f h.left h.right
theorem And.symm (h : a ∧ b) : b ∧ a := ⟨h.right, h.left⟩
theorem And.imp (f : a → c) (g : b → d) (h : a ∧ b) : c ∧ d := ⟨f h.left, g h.right⟩
theorem And.imp_left (f : a → b) (h : a ∧ c) : b ∧ c := ⟨f h.left, h.right⟩
theorem And.imp_right (f : a → b) (h : c ∧ a) : c ∧ b := ⟨h.left, f h.right⟩
theorem Or.elim (h : a ∨ b) (left : a → c) (right : b → c) : c := by
  cases h with
  | inl h => exact left h
  | inr h => exact right h
theorem Or.intro_left (b : Prop) (h : a) : a ∨ b := Or.inl h
theorem Or.intro_right (a : Prop) (h : b) : a ∨ b := Or.inr h
theorem Or.symm (h : a ∨ b) : b ∨ a := h.elim Or.inr Or.inl
theorem Or.imp (f : a → c) (g : b → d) (h : a ∨ b) : c ∨ d :=
  h.elim (fun x => Or.inl (f x)) (fun x => Or.inr (g x))
theorem Or.imp_left (f : a → b) : a ∨ c → b ∨ c := Or.imp f id
theorem Or.imp_right (f : b → c) : a ∨ b → a ∨ c := Or.imp id f
theorem Or.resolve_left (h : a ∨ b) (na : ¬a) : b := h.elim (fun x => absurd x na) id
theorem Or.resolve_right (h : a ∨ b) (nb : ¬b) : a := h.elim id (fun x => absurd x nb)
theorem Or.neg_resolve_left (h : ¬a ∨ b) (ha : a) : b := h.elim (absurd ha) id
theorem Or.neg_resolve_right (h : a ∨ ¬b) (hb : b) : a := h.elim id (absurd hb)
theorem Iff.refl (a : Prop) : a ↔ a := ⟨id, id⟩
theorem Iff.rfl {a : Prop} : a ↔ a := Iff.refl a
theorem Iff.symm (h : a ↔ b) : b ↔ a := ⟨h.mpr, h.mp⟩
theorem Iff.trans (h₁ : a ↔ b) (h₂ : b ↔ c) : a ↔ c :=
  ⟨fun x => h₂.mp (h₁.mp x), fun x => h₁.mpr (h₂.mpr x)⟩
theorem Iff.comm : (a ↔ b) ↔ (b ↔ a) := ⟨Iff.symm, Iff.symm⟩
theorem Iff.of_eq (h : a = b) : a ↔ b := iff_of_eq h
theorem Iff.not (h : a ↔ b) : ¬a ↔ ¬b := ⟨fun n x => n (h.mpr x), fun n x => n (h.mp x)⟩
attribute [refl] Iff.refl
attribute [symm] Iff.symm
theorem not_congr (h : a ↔ b) : ¬a ↔ ¬b := h.not
theorem and_congr (h₁ : a ↔ c) (h₂ : b ↔ d) : a ∧ b ↔ c ∧ d :=
  ⟨And.imp h₁.mp h₂.mp, And.imp h₁.mpr h₂.mpr⟩
theorem or_congr (h₁ : a ↔ c) (h₂ : b ↔ d) : a ∨ b ↔ c ∨ d :=
  ⟨Or.imp h₁.mp h₂.mp, Or.imp h₁.mpr h₂.mpr⟩
theorem imp_congr (h₁ : a ↔ c) (h₂ : b ↔ d) : (a → b) ↔ (c → d) :=
  ⟨fun f x => h₂.mp (f (h₁.mpr x)), fun f x => h₂.mpr (f (h₁.mp x))⟩
theorem iff_congr (h₁ : a ↔ c) (h₂ : b ↔ d) : (a ↔ b) ↔ (c ↔ d) :=
  ⟨fun h => h₁.symm.trans (h.trans h₂), fun h => h₁.trans (h.trans h₂.symm)⟩
theorem and_congr_right (h : a → (b ↔ c)) : a ∧ b ↔ a ∧ c :=
  ⟨fun ⟨x, y⟩ => ⟨x, (h x).mp y⟩, fun ⟨x, y⟩ => ⟨x, (h x).mpr y⟩⟩
theorem and_congr_left (h : c → (a ↔ b)) : a ∧ c ↔ b ∧ c :=
  ⟨fun ⟨x, y⟩ => ⟨(h y).mp x, y⟩, fun ⟨x, y⟩ => ⟨(h y).mpr x, y⟩⟩
theorem and_comm : a ∧ b ↔ b ∧ a := ⟨And.symm, And.symm⟩
theorem or_comm : a ∨ b ↔ b ∨ a := ⟨Or.symm, Or.symm⟩
theorem and_assoc : (a ∧ b) ∧ c ↔ a ∧ (b ∧ c) :=
  ⟨fun ⟨⟨x, y⟩, z⟩ => ⟨x, y, z⟩, fun ⟨x, y, z⟩ => ⟨⟨x, y⟩, z⟩⟩
theorem or_assoc : (a ∨ b) ∨ c ↔ a ∨ (b ∨ c) :=
  ⟨fun h => h.elim (Or.imp_right Or.inl) (fun z => Or.inr (Or.inr z)),
   fun h => h.elim (fun x => Or.inl (Or.inl x)) (Or.imp_left Or.inr)⟩
theorem and_left_comm : a ∧ (b ∧ c) ↔ b ∧ (a ∧ c) :=
  ⟨fun ⟨x, y, z⟩ => ⟨y, x, z⟩, fun ⟨x, y, z⟩ => ⟨y, x, z⟩⟩
theorem or_left_comm : a ∨ (b ∨ c) ↔ b ∨ (a ∨ c) := by
  rw [← or_assoc, ← or_assoc, propext (or_comm (a := a) (b := b))]
theorem and_or_left : a ∧ (b ∨ c) ↔ (a ∧ b) ∨ (a ∧ c) :=
  ⟨fun ⟨x, h⟩ => h.imp (And.intro x) (And.intro x),
   fun h => h.elim (And.imp_right Or.inl) (And.imp_right Or.inr)⟩
theorem and_or_right : (a ∨ b) ∧ c ↔ (a ∧ c) ∨ (b ∧ c) := by
  rw [propext (and_comm (b := c)), propext and_or_left, propext (and_comm (b := a)),
    propext (and_comm (b := b))]
theorem or_and_left : a ∨ (b ∧ c) ↔ (a ∨ b) ∧ (a ∨ c) :=
  ⟨fun h => h.elim (fun x => ⟨Or.inl x, Or.inl x⟩) (And.imp Or.inr Or.inr),
   fun ⟨h, k⟩ => h.elim Or.inl (fun y => k.elim Or.inl (fun z => Or.inr ⟨y, z⟩))⟩
theorem or_and_right : (a ∧ b) ∨ c ↔ (a ∨ c) ∧ (b ∨ c) := by
  rw [propext (or_comm (b := c)), propext or_and_left, propext (or_comm (b := a)),
    propext (or_comm (b := b))]
theorem imp_intro {α β : Prop} (h : α) : β → α := fun _ => h
theorem imp.swap : (a → b → c) ↔ (b → a → c) := ⟨flip, flip⟩
theorem mt (h₁ : a → b) (h₂ : ¬b) : ¬a := fun x => h₂ (h₁ x)
theorem not_imp_not_of_imp (h : a → b) : ¬b → ¬a := mt h
theorem not_not_intro (h : a) : ¬¬a := fun n => n h
theorem not_not_em (a : Prop) : ¬¬(a ∨ ¬a) := fun h => h (Or.inr fun x => h (Or.inl x))
theorem not_not_not : ¬¬¬a ↔ ¬a := ⟨fun h x => h (not_not_intro x), not_not_intro⟩
theorem iff_not_self : ¬(a ↔ ¬a) := fun h =>
  have n : ¬a := fun x => h.mp x x
  n (h.mpr n)
theorem not_and_of_not_left (b : Prop) (h : ¬a) : ¬(a ∧ b) := fun k => h k.left
theorem not_and_of_not_right (a : Prop) {b : Prop} (h : ¬b) : ¬(a ∧ b) := fun k => h k.right
theorem not_or_intro (ha : ¬a) (hb : ¬b) : ¬(a ∨ b) := fun h => h.elim ha hb
theorem iff_def : (a ↔ b) ↔ (a → b) ∧ (b → a) :=
  ⟨fun h => ⟨h.mp, h.mpr⟩, fun h => ⟨h.left, h.right⟩⟩
theorem or_iff_left_of_imp (h : b → a) : a ∨ b ↔ a := ⟨fun k => k.elim id h, Or.inl⟩
theorem or_iff_right_of_imp (h : a → b) : a ∨ b ↔ b := ⟨fun k => k.elim h id, Or.inr⟩
theorem and_iff_left (h : b) : a ∧ b ↔ a := ⟨And.left, fun x => ⟨x, h⟩⟩
theorem and_iff_right (h : a) : a ∧ b ↔ b := ⟨And.right, fun y => ⟨h, y⟩⟩
theorem or_iff_left (h : ¬b) : a ∨ b ↔ a := or_iff_left_of_imp (fun y => absurd y h)
theorem or_iff_right (h : ¬a) : a ∨ b ↔ b := or_iff_right_of_imp (fun x => absurd x h)
theorem imp_iff_right (h : a) : (a → b) ↔ b := ⟨fun f => f h, fun y _ => y⟩
theorem iff_of_not_of_not (ha : ¬a) (hb : ¬b) : a ↔ b := iff_of_false ha hb
end

/-! Simp lemmas of the connectives. -/
section
variable {p q r : Prop}
@[simp] theorem eq_self {α : Sort u} (a : α) : (a = a) = True := eq_true rfl
@[simp] theorem heq_eq_eq {α : Sort u} (a b : α) : HEq a b = (a = b) :=
  propext ⟨eq_of_heq, heq_of_eq⟩
@[simp] theorem ne_eq {α : Sort u} (a b : α) : (a ≠ b) = ¬(a = b) := rfl
theorem ne_self_iff_false {α : Sort u} (a : α) : a ≠ a ↔ False := ⟨fun h => h rfl, False.elim⟩
attribute [simp] id_eq
@[simp] theorem true_and (p : Prop) : (True ∧ p) = p :=
  propext ⟨And.right, And.intro trivial⟩
@[simp] theorem and_true (p : Prop) : (p ∧ True) = p := propext ⟨And.left, fun h => ⟨h, trivial⟩⟩
@[simp] theorem false_and (p : Prop) : (False ∧ p) = False := eq_false And.left
@[simp] theorem and_false (p : Prop) : (p ∧ False) = False := eq_false And.right
@[simp] theorem and_self (p : Prop) : (p ∧ p) = p := propext ⟨And.left, fun h => ⟨h, h⟩⟩
@[simp] theorem and_not_self : ¬(p ∧ ¬p) := fun h => h.right h.left
@[simp] theorem not_and_self : ¬(¬p ∧ p) := fun h => h.left h.right
@[simp] theorem and_imp : (p ∧ q → r) ↔ (p → q → r) :=
  ⟨fun f x y => f ⟨x, y⟩, fun f ⟨x, y⟩ => f x y⟩
@[simp] theorem not_and : ¬(p ∧ q) ↔ (p → ¬q) := and_imp
@[simp] theorem true_or (p : Prop) : (True ∨ p) = True := eq_true (Or.inl trivial)
@[simp] theorem or_true (p : Prop) : (p ∨ True) = True := eq_true (Or.inr trivial)
@[simp] theorem false_or (p : Prop) : (False ∨ p) = p :=
  propext ⟨fun h => h.resolve_left id, Or.inr⟩
@[simp] theorem or_false (p : Prop) : (p ∨ False) = p :=
  propext ⟨fun h => h.resolve_right id, Or.inl⟩
@[simp] theorem or_self (p : Prop) : (p ∨ p) = p := propext ⟨fun h => h.elim id id, Or.inl⟩
@[simp] theorem not_or : ¬(p ∨ q) ↔ ¬p ∧ ¬q :=
  ⟨fun h => ⟨fun x => h (Or.inl x), fun y => h (Or.inr y)⟩, fun h => not_or_intro h.left h.right⟩
@[simp] theorem and_self_left : p ∧ (p ∧ q) ↔ p ∧ q :=
  ⟨And.right, fun h => ⟨h.left, h⟩⟩
@[simp] theorem and_self_right : (p ∧ q) ∧ q ↔ p ∧ q := ⟨And.left, fun h => ⟨h, h.right⟩⟩
@[simp] theorem or_self_left : p ∨ (p ∨ q) ↔ p ∨ q := ⟨fun h => h.elim Or.inl id, Or.inr⟩
@[simp] theorem or_self_right : (p ∨ q) ∨ q ↔ p ∨ q := ⟨fun h => h.elim id Or.inr, Or.inl⟩
@[simp] theorem iff_self (p : Prop) : (p ↔ p) = True := eq_true Iff.rfl
@[simp] theorem iff_true (p : Prop) : (p ↔ True) = p :=
  propext ⟨of_iff_true, fun h => iff_of_true h trivial⟩
@[simp] theorem true_iff (p : Prop) : (True ↔ p) = p :=
  propext ⟨fun h => h.mp trivial, iff_of_true trivial⟩
@[simp] theorem iff_false (p : Prop) : (p ↔ False) = ¬p :=
  propext ⟨Iff.mp, fun h => iff_of_false h id⟩
@[simp] theorem false_iff (p : Prop) : (False ↔ p) = ¬p :=
  propext ⟨Iff.mpr, iff_of_false id⟩
@[simp] theorem true_implies (p : Prop) : (True → p) = p :=
  propext ⟨fun f => f trivial, fun h _ => h⟩
@[simp] theorem false_implies (p : Prop) : (False → p) = True := eq_true False.elim
@[simp] theorem implies_true (α : Sort u) : (α → True) = True := eq_true fun _ => trivial
@[simp] theorem implies_false (p : Prop) : (p → False) = ¬p := rfl
@[simp] theorem imp_false {p : Prop} : (p → False) ↔ ¬p := Iff.rfl
@[simp] theorem imp_self {p : Prop} : (p → p) ↔ True := iff_of_true id trivial
@[simp] theorem imp_not_self {p : Prop} : (p → ¬p) ↔ ¬p := ⟨fun h x => h x x, fun h _ => h⟩
@[simp] theorem not_true_eq_false : (¬True) = False := eq_false fun h => h trivial
@[simp] theorem not_false_eq_true : (¬False) = True := eq_true id
theorem not_true : ¬True ↔ False := iff_of_eq not_true_eq_false
theorem not_false : ¬False := id
theorem not_false_iff : ¬False ↔ True := iff_of_eq not_false_eq_true
end

theorem Lean.injEq_helper {a b c : Prop} (f : a → b → c) (h : a ∧ b) : c := f h.left h.right
-- constructors are injective, as `simp` lemmas: of the types that came too early for it
gen_injective_theorems% Nat
gen_injective_theorems% Prod
gen_injective_theorems% PProd
gen_injective_theorems% Subtype
gen_injective_theorems% Option
gen_injective_theorems% List
gen_injective_theorems% Sum
gen_injective_theorems% PSum
gen_injective_theorems% Sigma
gen_injective_theorems% PSigma
gen_injective_theorems% Except
gen_injective_theorems% Fin

/-! Simp lemmas of the quantifiers. -/
section
variable {α : Sort u} {β : Sort v} {p q : α → Prop} {a' : α} {b : Prop}
theorem forall_const (α : Sort u) [i : Nonempty α] : (α → b) ↔ b :=
  ⟨fun f => i.elim f, fun h _ => h⟩
@[simp] theorem forall_eq {a' : α} : (∀ a, a = a' → p a) ↔ p a' :=
  ⟨fun f => f a' rfl, fun h _ e => e.symm ▸ h⟩
@[simp] theorem forall_eq' {a' : α} : (∀ a, a' = a → p a) ↔ p a' :=
  ⟨fun f => f a' rfl, fun h _ e => e ▸ h⟩
@[simp] theorem forall_eq_or_imp : (∀ a, a = a' ∨ q a → p a) ↔ p a' ∧ ∀ a, q a → p a :=
  ⟨fun f => ⟨f a' (Or.inl rfl), fun a h => f a (Or.inr h)⟩,
   fun ⟨h, f⟩ a k => k.elim (fun e => e.symm ▸ h) (f a)⟩
@[simp] theorem exists_eq {a' : α} : ∃ a, a = a' := ⟨a', rfl⟩
@[simp] theorem exists_eq' {a' : α} : ∃ a, a' = a := ⟨a', rfl⟩
@[simp] theorem exists_eq_left : (∃ a, a = a' ∧ p a) ↔ p a' :=
  ⟨fun ⟨_, e, h⟩ => e ▸ h, fun h => ⟨a', rfl, h⟩⟩
@[simp] theorem exists_eq_left' : (∃ a, a' = a ∧ p a) ↔ p a' :=
  ⟨fun ⟨_, e, h⟩ => e.symm ▸ h, fun h => ⟨a', rfl, h⟩⟩
@[simp] theorem exists_eq_right : (∃ a, p a ∧ a = a') ↔ p a' :=
  ⟨fun ⟨_, h, e⟩ => e ▸ h, fun h => ⟨a', h, rfl⟩⟩
@[simp] theorem exists_eq_right' : (∃ a, p a ∧ a' = a) ↔ p a' :=
  ⟨fun ⟨_, h, e⟩ => e.symm ▸ h, fun h => ⟨a', h, rfl⟩⟩
@[simp] theorem exists_false : ¬∃ _a : α, False := fun ⟨_, h⟩ => h
@[simp] theorem exists_and_left : (∃ x, b ∧ p x) ↔ b ∧ ∃ x, p x :=
  ⟨fun ⟨x, h, k⟩ => ⟨h, x, k⟩, fun ⟨h, x, k⟩ => ⟨x, h, k⟩⟩
@[simp] theorem exists_and_right : (∃ x, p x ∧ b) ↔ (∃ x, p x) ∧ b :=
  ⟨fun ⟨x, k, h⟩ => ⟨⟨x, k⟩, h⟩, fun ⟨⟨x, k⟩, h⟩ => ⟨x, k, h⟩⟩
@[simp] theorem exists_prop {a : Prop} : (∃ _h : a, b) ↔ a ∧ b :=
  ⟨fun ⟨h, k⟩ => ⟨h, k⟩, fun ⟨h, k⟩ => ⟨h, k⟩⟩
@[simp] theorem not_exists : (¬∃ x, p x) ↔ ∀ x, ¬p x :=
  ⟨fun n x h => n ⟨x, h⟩, fun f ⟨x, h⟩ => f x h⟩
theorem exists_imp : ((∃ x, p x) → b) ↔ ∀ x, p x → b :=
  ⟨fun f x h => f ⟨x, h⟩, fun f ⟨x, h⟩ => f x h⟩
theorem exists_or : (∃ x, p x ∨ q x) ↔ (∃ x, p x) ∨ ∃ x, q x :=
  ⟨fun ⟨x, h⟩ => h.imp (fun k => ⟨x, k⟩) (fun k => ⟨x, k⟩),
   fun h => h.elim (fun ⟨x, k⟩ => ⟨x, Or.inl k⟩) (fun ⟨x, k⟩ => ⟨x, Or.inr k⟩)⟩
theorem forall_and : (∀ x, p x ∧ q x) ↔ (∀ x, p x) ∧ ∀ x, q x :=
  ⟨fun f => ⟨fun x => (f x).left, fun x => (f x).right⟩, fun ⟨f, g⟩ x => ⟨f x, g x⟩⟩
theorem forall_congr' (h : ∀ a, p a ↔ q a) : (∀ a, p a) ↔ ∀ a, q a :=
  ⟨fun f a => (h a).mp (f a), fun f a => (h a).mpr (f a)⟩
theorem Exists.imp (f : ∀ a, p a → q a) : (∃ a, p a) → ∃ a, q a := fun ⟨a, h⟩ => ⟨a, f a h⟩
theorem Exists.elim (h₁ : ∃ x, p x) (h₂ : ∀ a, p a → b) : b :=
  match h₁ with
  | ⟨a, h⟩ => h₂ a h
theorem not_forall_of_exists_not : (∃ x, ¬p x) → ¬∀ x, p x := fun ⟨x, n⟩ f => n (f x)
theorem forall_comm {p : α → β → Prop} : (∀ a b, p a b) ↔ ∀ b a, p a b :=
  ⟨fun f b a => f a b, fun f a b => f b a⟩
theorem exists_comm {p : α → β → Prop} : (∃ a b, p a b) ↔ ∃ b a, p a b :=
  ⟨fun ⟨a, b, h⟩ => ⟨b, a, h⟩, fun ⟨b, a, h⟩ => ⟨a, b, h⟩⟩
end

/-! Classical logic. -/
namespace Classical
noncomputable def indefiniteDescription {α : Sort u} (p : α → Prop) (h : ∃ x, p x) : { x // p x } :=
  choice (match h with | ⟨x, k⟩ => ⟨⟨x, k⟩⟩)
noncomputable def choose {α : Sort u} {p : α → Prop} (h : ∃ x, p x) : α :=
  (indefiniteDescription p h).val
theorem choose_spec {α : Sort u} {p : α → Prop} (h : ∃ x, p x) : p (choose h) :=
  (indefiniteDescription p h).property
-- two classes of Booleans, equal exactly where p holds: their chosen members tell
theorem em (p : Prop) : p ∨ ¬p := by
  have ha : ∃ x : Bool, x = true ∨ p := ⟨true, Or.inl rfl⟩
  have hb : ∃ x : Bool, x = false ∨ p := ⟨false, Or.inl rfl⟩
  cases choose_spec ha with
  | inr h => exact Or.inl h
  | inl ta =>
    cases choose_spec hb with
    | inr h => exact Or.inl h
    | inl fb =>
      apply Or.inr
      intro h
      have same : (fun x : Bool => x = true ∨ p) = (fun x => x = false ∨ p) :=
        funext fun x => propext (iff_of_true (Or.inr h) (Or.inr h))
      have chosen : ∀ (q : Bool → Prop) (k : ∃ x, q x), (fun x => x = true ∨ p) = q →
          choose ha = choose k := by
        intro q k e
        subst e
        rfl
      exact Bool.noConfusion (ta.symm.trans ((chosen _ hb same).trans fb))
theorem byContradiction {p : Prop} (h : ¬p → False) : p := (em p).resolve_right h
theorem byCases {p q : Prop} (hpq : p → q) (hnpq : ¬p → q) : q := (em p).elim hpq hnpq
theorem not_not {a : Prop} : ¬¬a ↔ a := ⟨byContradiction, not_not_intro⟩
noncomputable scoped instance (priority := low) propDecidable (a : Prop) : Decidable a :=
  choice ((em a).elim (fun h => ⟨isTrue h⟩) (fun h => ⟨isFalse h⟩))
theorem not_forall {α : Sort u} {p : α → Prop} : (¬∀ x, p x) ↔ ∃ x, ¬p x :=
  ⟨fun h => byContradiction fun n => h fun x => byContradiction fun k => n ⟨x, k⟩,
   not_forall_of_exists_not⟩
theorem not_imp {a b : Prop} : ¬(a → b) ↔ a ∧ ¬b :=
  ⟨fun h => ⟨byContradiction fun n => h fun x => absurd x n, fun y => h fun _ => y⟩,
   fun ⟨x, n⟩ f => n (f x)⟩
theorem not_and_iff_or_not_not {a b : Prop} : ¬(a ∧ b) ↔ ¬a ∨ ¬b :=
  ⟨fun h => (em a).elim (fun x => Or.inr fun y => h ⟨x, y⟩) Or.inl,
   fun h ⟨x, y⟩ => h.elim (absurd x) (absurd y)⟩
theorem not_and_not_right {a b : Prop} : ¬(a ∧ ¬b) ↔ (a → b) :=
  ⟨fun h x => byContradiction fun n => h ⟨x, n⟩, fun f ⟨x, n⟩ => n (f x)⟩
theorem or_iff_not_imp_left {a b : Prop} : a ∨ b ↔ (¬a → b) :=
  ⟨Or.resolve_left, fun f => (em a).elim Or.inl fun n => Or.inr (f n)⟩
theorem or_iff_not_imp_right {a b : Prop} : a ∨ b ↔ (¬b → a) :=
  ⟨Or.resolve_right, fun f => (em b).elim Or.inr fun n => Or.inl (f n)⟩
theorem imp_iff_not_or {a b : Prop} : (a → b) ↔ ¬a ∨ b :=
  ⟨fun f => (em a).elim (fun x => Or.inr (f x)) Or.inl, fun h x => h.neg_resolve_left x⟩
theorem iff_iff_and_or_not_and_not {a b : Prop} : (a ↔ b) ↔ (a ∧ b) ∨ (¬a ∧ ¬b) :=
  ⟨fun h => (em a).elim (fun x => Or.inl ⟨x, h.mp x⟩) (fun n => Or.inr ⟨n, fun y => n (h.mpr y)⟩),
   fun h => h.elim (fun k => iff_of_true k.left k.right) (fun k => iff_of_false k.left k.right)⟩
theorem peirce (a b : Prop) (h : (a → b) → a) : a :=
  byContradiction fun n => n (h fun x => absurd x n)
attribute [simp] not_not not_forall not_imp
theorem skolem {α : Sort u} {b : α → Sort v} {p : (x : α) → b x → Prop} :
    (∀ x, ∃ y, p x y) ↔ ∃ f : (x : α) → b x, ∀ x, p x (f x) :=
  ⟨fun h => ⟨fun x => choose (h x), fun x => choose_spec (h x)⟩, fun ⟨f, h⟩ x => ⟨f x, h x⟩⟩
end Classical
theorem by_contradiction {p : Prop} : (¬p → False) → p := Classical.byContradiction
theorem not_imp_not {a b : Prop} : (¬a → ¬b) ↔ (b → a) :=
  ⟨fun h y => Classical.byContradiction fun n => h n y, mt⟩
noncomputable def Exists.choose {α : Sort u} {p : α → Prop} (h : ∃ a, p a) : α := Classical.choose h
theorem Exists.choose_spec {α : Sort u} {p : α → Prop} (h : ∃ a, p a) : p h.choose :=
  Classical.choose_spec h

/-! Deciding. -/
namespace Decidable
variable {p q : Prop}
theorem byContradiction [Decidable p] (h : ¬p → False) : p := (em p).resolve_right h
theorem of_not_not [Decidable p] : ¬¬p → p := byContradiction
theorem not_not [Decidable p] : ¬¬p ↔ p := ⟨of_not_not, not_not_intro⟩
theorem not_and_iff_or_not [Decidable p] : ¬(p ∧ q) ↔ ¬p ∨ ¬q := Classical.not_and_iff_or_not_not
theorem decide_iff (p : Prop) [Decidable p] : decide p = true ↔ p :=
  ⟨of_decide_eq_true, decide_eq_true⟩
end Decidable
@[simp] theorem decide_eq_true_eq {p : Prop} [Decidable p] : (decide p = true) = p :=
  propext (Decidable.decide_iff p)
@[simp] theorem decide_eq_false_iff_not {p : Prop} {_ : Decidable p} : decide p = false ↔ ¬p :=
  ⟨of_decide_eq_false, decide_eq_false⟩
theorem decide_eq_true_iff {p : Prop} [Decidable p] : decide p = true ↔ p := Decidable.decide_iff p
@[simp] theorem decide_true : decide True = true := rfl
@[simp] theorem decide_false : decide False = false := rfl
theorem decidable_of_decidable_of_iff {p q : Prop} [h : Decidable p] (e : p ↔ q) :
    Nonempty (Decidable q) :=
  match h with
  | isTrue x => ⟨isTrue (e.mp x)⟩
  | isFalse n => ⟨isFalse fun y => n (e.mpr y)⟩
def decidable_of_iff {b : Prop} (a : Prop) (h : a ↔ b) [d : Decidable a] : Decidable b :=
  match d with
  | isTrue x => isTrue (h.mp x)
  | isFalse n => isFalse fun y => n (h.mpr y)
instance instDecidableIte {c t e : Prop} [dc : Decidable c] [dt : Decidable t] [de : Decidable e] :
    Decidable (if c then t else e) :=
  match dc with
  | isTrue _ => dt
  | isFalse _ => de
instance instDecidableEqProp {p q : Prop} [Decidable (p ↔ q)] : Decidable (p = q) :=
  decidable_of_iff (p ↔ q) ⟨propext, iff_of_eq⟩
instance instDecidableNe {α : Sort u} [DecidableEq α] (a b : α) : Decidable (a ≠ b) :=
  instDecidableNot
