/-! Recursion along a measure: `termination_by` with a natural number. There is no `SizeOf`: the
measure is written by the user, structural recursion needs none of this. -/

inductive Acc {α : Sort u} (r : α → α → Prop) : α → Prop where
  | intro (x : α) (h : (y : α) → r y x → Acc r y) : Acc r x
inductive WellFounded {α : Sort u} (r : α → α → Prop) : Prop where
  | intro (h : ∀ a, Acc r a) : WellFounded r
class WellFoundedRelation (α : Sort u) where
  rel : α → α → Prop
  wf : WellFounded rel
theorem Acc.inv {α : Sort u} {r : α → α → Prop} {x y : α} (h : Acc r x) (k : r y x) : Acc r y := by
  cases h with
  | intro _ f => exact f y k
namespace WellFounded
variable {α : Sort u} {r : α → α → Prop}
theorem apply (wf : WellFounded r) (a : α) : Acc r a := by
  cases wf with
  | intro f => exact f a
theorem induction (wf : WellFounded r) {C : α → Prop} (a : α)
    (h : ∀ x, (∀ y, r y x → C y) → C x) : C a := by
  induction wf.apply a with
  | intro x _ ih => exact h x ih
noncomputable def fixF {C : α → Sort v} (F : ∀ x, (∀ y, r y x → C y) → C x) (x : α)
    (a : Acc r x) : C x :=
  Acc.rec (motive := fun x _ => C x) (fun x _ ih => F x ih) a
theorem fixF_eq {C : α → Sort v} (F : ∀ x, (∀ y, r y x → C y) → C x) (x : α) (a : Acc r x) :
    fixF F x a = F x (fun y k => fixF F y (a.inv k)) := by
  cases a; rfl
end WellFounded
noncomputable def WellFounded.fix {α : Sort u} {C : α → Sort v} {r : α → α → Prop}
    (wf : WellFounded r) (F : ∀ x, (∀ y, r y x → C y) → C x) (x : α) : C x :=
  fixF F x (wf.apply x)
theorem WellFounded.fix_eq {α : Sort u} {C : α → Sort v} {r : α → α → Prop} (wf : WellFounded r)
    (F : ∀ x, (∀ y, r y x → C y) → C x) (x : α) : wf.fix F x = F x (fun y _ => wf.fix F y) :=
  fixF_eq F x (wf.apply x)
@[reducible] def InvImage {α : Sort u} {β : Sort v} (r : β → β → Prop) (f : α → β) : α → α → Prop :=
  fun x y => r (f x) (f y)
theorem InvImage.accessible {α : Sort u} {β : Sort v} {r : β → β → Prop} (f : α → β) {b : β}
    (h : Acc r b) : ∀ a, f a = b → Acc (InvImage r f) a := by
  induction h with
  | intro b _ ih =>
    intro a e
    subst e
    exact Acc.intro a fun y k => ih (f y) k y rfl
theorem InvImage.wf {α : Sort u} {β : Sort v} {r : β → β → Prop} (f : α → β) (h : WellFounded r) :
    WellFounded (InvImage r f) :=
  ⟨fun a => accessible f (h.apply (f a)) a rfl⟩
@[reducible] def invImage {α : Sort u} {β : Sort v} (f : α → β) (h : WellFoundedRelation β) :
    WellFoundedRelation α :=
  ⟨InvImage h.rel f, InvImage.wf f h.wf⟩
theorem Nat.lt_wf : WellFounded (fun a b : Nat => a < b) :=
  ⟨fun a => Nat.strongRecOn' (motive := Acc fun a b : Nat => a < b) a fun n ih => Acc.intro n ih⟩
@[reducible] def Nat.lt_wfRel : WellFoundedRelation Nat := ⟨fun a b => a < b, Nat.lt_wf⟩
instance Nat.instWellFoundedRelation : WellFoundedRelation Nat := Nat.lt_wfRel
@[reducible] def measure {α : Sort u} (f : α → Nat) : WellFoundedRelation α :=
  invImage f Nat.lt_wfRel
noncomputable def WellFounded.Nat.fix {α : Sort u} {motive : α → Sort v} (h : α → Nat)
    (F : (x : α) → ((y : α) → InvImage (fun a b => a < b) h y x → motive y) → motive x) (x : α) :
    motive x :=
  WellFounded.fix (measure h).wf F x
theorem WellFounded.Nat.fix_eq {α : Sort u} {motive : α → Sort v} (h : α → Nat)
    (F : (x : α) → ((y : α) → InvImage (fun a b => a < b) h y x → motive y) → motive x) (x : α) :
    WellFounded.Nat.fix h F x = F x (fun y _ => WellFounded.Nat.fix h F y) :=
  WellFounded.fix_eq (measure h).wf F x
theorem Nat.strongRecOn {motive : Nat → Prop} (n : Nat)
    (ind : ∀ n, (∀ m, m < n → motive m) → motive n) : motive n :=
  Nat.strongRecOn' n ind
theorem Nat.strong_induction_on {p : Nat → Prop} (n : Nat)
    (h : ∀ n, (∀ m, m < n → p m) → p n) : p n :=
  Nat.strongRecOn' n h
def Lean.opaqueId {α : Sort u} (a : α) : α := a
def wfParam {α : Sort u} (a : α) : α := a

/-! Pairs by their first, then their second part; sizes of data, for measures that are inferred. -/
inductive Prod.Lex {α : Type u} {β : Type v} (ra : α → α → Prop) (rb : β → β → Prop) :
    α × β → α × β → Prop where
  | left {a₁ : α} (b₁ : β) {a₂ : α} (b₂ : β) (h : ra a₁ a₂) : Prod.Lex ra rb (a₁, b₁) (a₂, b₂)
  | right (a : α) {b₁ b₂ : β} (h : rb b₁ b₂) : Prod.Lex ra rb (a, b₁) (a, b₂)
theorem Prod.Lex.accessible {α : Type u} {β : Type v} {ra : α → α → Prop} {rb : β → β → Prop}
    (hb : WellFounded rb) {a : α} (ha : Acc ra a) : ∀ b, Acc (Prod.Lex ra rb) (a, b) := by
  induction ha with
  | intro a _ iha =>
    intro b
    induction hb.apply b with
    | intro b _ ihb =>
      refine Acc.intro (a, b) fun (c, d) h => ?_
      cases h with
      | left _ _ h => exact iha c h d
      | right _ h => exact ihb d h
@[reducible] def Prod.lex {α : Type u} {β : Type v} (ha : WellFoundedRelation α)
    (hb : WellFoundedRelation β) : WellFoundedRelation (α × β) :=
  ⟨Prod.Lex ha.rel hb.rel, ⟨fun (a, b) => Prod.Lex.accessible hb.wf (ha.wf.apply a) b⟩⟩
instance Prod.instWellFoundedRelation {α : Type u} {β : Type v} [ha : WellFoundedRelation α]
    [hb : WellFoundedRelation β] : WellFoundedRelation (α × β) :=
  Prod.lex ha hb
theorem Prod.lex_def {α : Type u} {β : Type v} {r : α → α → Prop} {s : β → β → Prop} {p q : α × β} :
    Prod.Lex r s p q ↔ r p.1 q.1 ∨ p.1 = q.1 ∧ s p.2 q.2 :=
  ⟨fun h => by
    cases h with
    | left _ _ h => exact Or.inl h
    | right _ h => exact Or.inr ⟨rfl, h⟩,
   fun h => by
    cases p; cases q
    cases h with
    | inl h => exact Prod.Lex.left _ _ h
    | inr h => obtain ⟨e, h⟩ := h; cases e; exact Prod.Lex.right _ h⟩
class SizeOf (α : Sort u) where
  sizeOf : α → Nat
export SizeOf (sizeOf)
instance (priority := low) instSizeOfDefault (α : Sort u) : SizeOf α := ⟨fun _ => 0⟩
instance instSizeOfNat : SizeOf Nat := ⟨fun n => n⟩
@[simp] theorem sizeOf_nat (n : Nat) : sizeOf n = n := rfl
@[simp] theorem sizeOf_default {α : Sort u} (n : α) : (instSizeOfDefault α).sizeOf n = 0 := rfl
deriving instance SizeOf for PUnit
deriving instance SizeOf for Bool
deriving instance SizeOf for Prod
deriving instance SizeOf for PProd
deriving instance SizeOf for Subtype
deriving instance SizeOf for Sum
deriving instance SizeOf for Sigma
deriving instance SizeOf for Option
deriving instance SizeOf for List
deriving instance SizeOf for Fin
@[reducible] def sizeOfWFRel {α : Sort u} [SizeOf α] : WellFoundedRelation α := measure sizeOf
instance (priority := low) instWellFoundedRelationOfSizeOf {α : Sort u} [SizeOf α] :
    WellFoundedRelation α :=
  sizeOfWFRel

theorem Nat.sub_one_lt (h : n ≠ 0) : n - 1 < n := Nat.sub_lt (Nat.pos_of_ne_zero h) Nat.one_pos
macro_rules
  | `(tactic| decreasing_trivial) => `(tactic| (apply Nat.sub_one_lt <;> assumption))
macro_rules
  | `(tactic| decreasing_trivial) =>
    `(tactic| (simp [Nat.add_comm, Nat.add_left_comm, Nat.add_assoc]; done))

/-! Tactics that are so common elsewhere that they are here too. -/
syntax (name := byContra) "by_contra " ident : tactic
macro_rules
  | `(tactic| by_contra $h:ident) => `(tactic| refine Classical.byContradiction fun $h:ident => ?_)
syntax (name := useTerm) "use " term,+ : tactic
macro_rules
  | `(tactic| use $ts,*) => `(tactic| exists $ts,*)
