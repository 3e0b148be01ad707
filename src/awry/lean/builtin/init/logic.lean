/-! Logic: equality, connectives, quotients, decidable propositions. No notation yet: operators are
linked later. Names, fields and constructor order are those that the elaborator asks for. -/

-- what the code generator puts in the place of proofs, types and unreachable branches
unsafe axiom lcErased : Type
unsafe axiom lcAny : Type
unsafe axiom lcVoid : Type
unsafe axiom lcRealWorld : Type
unsafe axiom lcProof {α : Prop} : α
unsafe axiom lcCast {α : Sort u} {β : Sort v} (a : α) : β
unsafe axiom lcUnreachable {α : Sort u} : α

@[inline] def id {α : Sort u} (a : α) : α := a
abbrev Function.comp {α : Sort u} {β : Sort v} {γ : Sort w} (g : β → γ) (f : α → β) : α → γ :=
  fun a => g (f a)
abbrev Function.const {α : Sort u} (β : Sort v) (a : α) : β → α := fun _ => a
def flip {α : Sort u} {β : Sort v} {γ : Sort w} (f : α → β → γ) : β → α → γ := fun b a => f a b

set_option checkBinderAnnotations false in
abbrev inferInstance {α : Sort u} [inst : α] : α := inst

set_option bootstrap.inductiveCheckResultingUniverse false in
inductive PUnit : Sort u where
  | unit : PUnit
abbrev Unit : Type := PUnit
@[match_pattern] abbrev Unit.unit : Unit := PUnit.unit
inductive Empty : Type
set_option bootstrap.inductiveCheckResultingUniverse false in
inductive PEmpty : Sort u

inductive True : Prop where
  | intro : True
inductive False : Prop
theorem trivial : True := True.intro
@[macro_inline] def False.elim {C : Sort u} (h : False) : C := False.rec (fun _ => C) h
def Not (a : Prop) : Prop := a → False
@[macro_inline] def absurd {a : Prop} {b : Sort v} (h₁ : a) (h₂ : Not a) : b :=
  False.elim (h₂ h₁)

inductive Eq {α : Sort u} : α → α → Prop where
  | refl (a : α) : Eq a a
@[match_pattern] def rfl {α : Sort u} {a : α} : Eq a a := Eq.refl a
abbrev Eq.ndrec.{r, s} {α : Sort s} {a : α} {motive : α → Sort r} (m : motive a) {b : α}
    (h : Eq a b) : motive b :=
  Eq.rec (motive := fun x _ => motive x) m h
abbrev Eq.ndrec_symm.{r, s} {α : Sort s} {a : α} {motive : α → Sort r} (m : motive a) {b : α}
    (h : Eq b a) : motive b :=
  Eq.ndrec (motive := fun x => motive x) m (Eq.rec (motive := fun x _ => Eq x b) (Eq.refl b) h)
@[reducible] def Ne {α : Sort u} (a b : α) : Prop := Not (Eq a b)
theorem Eq.subst {α : Sort u} {motive : α → Prop} {a b : α} (h₁ : Eq a b) (h₂ : motive a) :
    motive b :=
  Eq.ndrec h₂ h₁
theorem Eq.symm {α : Sort u} {a b : α} (h : Eq a b) : Eq b a :=
  Eq.ndrec (motive := fun x => Eq x a) rfl h
theorem Eq.substr {α : Sort u} {p : α → Prop} {a b : α} (h₁ : Eq b a) : p a → p b :=
  Eq.subst (Eq.symm h₁)
theorem Eq.trans {α : Sort u} {a b c : α} (h₁ : Eq a b) (h₂ : Eq b c) : Eq a c :=
  Eq.ndrec (motive := Eq a) h₁ h₂
theorem congrArg {α : Sort u} {β : Sort v} {a b : α} (f : α → β) (h : Eq a b) : Eq (f a) (f b) :=
  Eq.ndrec (motive := fun x => Eq (f a) (f x)) rfl h
theorem congrFun {α : Sort u} {β : α → Sort v} {f g : (x : α) → β x} (h : Eq f g)
    (a : α) : Eq (f a) (g a) :=
  Eq.ndrec (motive := fun (k : (x : α) → β x) => Eq (f a) (k a)) rfl h
theorem congr {α : Sort u} {β : Sort v} {f g : α → β} {a b : α} (h₁ : Eq f g) (h₂ : Eq a b) :
    Eq (f a) (g b) :=
  Eq.trans (congrFun h₁ a) (congrArg g h₂)
theorem Ne.intro {α : Sort u} {a b : α} (h : Eq a b → False) : Ne a b := h
theorem Ne.symm {α : Sort u} {a b : α} (h : Ne a b) : Ne b a := fun e => h (Eq.symm e)
theorem Ne.elim {α : Sort u} {a b : α} (h : Ne a b) : Eq a b → False := h
theorem ne_of_eq_of_ne {α : Sort u} {a b c : α} (h₁ : Eq a b) (h₂ : Ne b c) : Ne a c :=
  fun e => h₂ (Eq.trans (Eq.symm h₁) e)
theorem ne_of_ne_of_eq {α : Sort u} {a b c : α} (h₁ : Ne a b) (h₂ : Eq b c) : Ne a c :=
  fun e => h₁ (Eq.trans e (Eq.symm h₂))
@[macro_inline] def cast {α β : Sort u} (h : Eq α β) (a : α) : β :=
  Eq.ndrec (motive := fun γ => γ) a h

init_quot

inductive HEq : {α : Sort u} → α → {β : Sort u} → β → Prop where
  | refl (a : α) : HEq a a
@[match_pattern] protected def HEq.rfl {α : Sort u} {a : α} : HEq a a := HEq.refl a
theorem heq_of_eq {α : Sort u} {a b : α} (h : Eq a b) : HEq a b :=
  Eq.ndrec (motive := fun x => HEq a x) HEq.rfl h
theorem eq_of_heq {α : Sort u} {a b : α} (h : HEq a b) : Eq a b :=
  -- along the heterogeneous equality the types may differ: compare after a cast
  have along {γ : Sort u} {c : γ} (k : HEq a c) : (e : Eq α γ) → Eq (cast e a) c :=
    k.rec (fun _ => rfl)
  along h rfl
abbrev HEq.homo_ndrec.{r, s} {α : Sort s} {a : α} {motive : α → Sort r} (m : motive a) {b : α}
    (h : HEq a b) : motive b :=
  Eq.ndrec (motive := motive) m (eq_of_heq h)
abbrev HEq.homo_ndrec_symm.{r, s} {α : Sort s} {a : α} {motive : α → Sort r} (m : motive a)
    {b : α} (h : HEq b a) : motive b :=
  Eq.ndrec_symm (motive := motive) m (eq_of_heq h)
theorem HEq.symm {α β : Sort u} {a : α} {b : β} (h : HEq a b) : HEq b a :=
  h.rec HEq.rfl

structure Prod (α : Type u) (β : Type v) where
  mk ::
  fst : α
  snd : β
structure PProd (α : Sort u) (β : Sort v) where
  mk ::
  fst : α
  snd : β
structure MProd (α β : Type u) where
  fst : α
  snd : β
attribute [unbox] Prod
@[pp_using_anonymous_constructor] structure And (a b : Prop) : Prop where
  intro ::
  left : a
  right : b
inductive Or (a b : Prop) : Prop where
  | inl (h : a) : Or a b
  | inr (h : b) : Or a b
structure Iff (a b : Prop) : Prop where
  intro ::
  mp : a → b
  mpr : b → a
inductive Exists {α : Sort u} (p : α → Prop) : Prop where
  | intro (w : α) (h : p w) : Exists p
structure Subtype {α : Sort u} (p : α → Prop) where
  val : α
  property : p val
attribute [pp_using_anonymous_constructor] Subtype Prod PProd

set_option genCtorIdx false in
inductive Bool : Type where
  | false : Bool
  | true : Bool
export Bool (false true)
@[macro_inline] def cond {α : Sort u} (c : Bool) (x y : α) : α :=
  match c with
  | true => x
  | false => y
@[macro_inline] def Bool.or (x y : Bool) : Bool := cond x true y
@[macro_inline] def Bool.and (x y : Bool) : Bool := cond x y false
@[inline] def Bool.not (x : Bool) : Bool := cond x false true
export Bool (or and not)

-- marks on types that the elaborator looks for
@[reducible] def optParam (α : Sort u) (default : α) : Sort u := α
@[reducible] def outParam (α : Sort u) : Sort u := α
@[reducible] def semiOutParam (α : Sort u) : Sort u := α
@[reducible] def namedPattern {α : Sort u} (x a : α) (h : Eq x a) : α := a

-- what `sorry`, and every proof that failed, becomes
@[extern "lean_sorry", never_extract] axiom sorryAx (α : Sort u) (synthetic : Bool) : α

class Inhabited (α : Sort u) where
  default : α
export Inhabited (default)
class inductive Nonempty (α : Sort u) : Prop where
  | intro (val : α) : Nonempty α

-- the three axioms that a proof may rest on
axiom propext {a b : Prop} : Iff a b → Eq a b
axiom Quot.sound : ∀ {α : Sort u} {r : α → α → Prop} {a b : α},
  r a b → Eq (Quot.mk r a) (Quot.mk r b)
axiom Classical.choice {α : Sort u} : Nonempty α → α

class inductive Decidable (p : Prop) where
  | isFalse (h : Not p) : Decidable p
  | isTrue (h : p) : Decidable p
export Decidable (isTrue isFalse)
@[inline_if_reduce, nospecialize] def Decidable.decide (p : Prop) [h : Decidable p] : Bool :=
  Decidable.casesOn (motive := fun _ => Bool) h (fun _ => false) (fun _ => true)
export Decidable (decide)
abbrev DecidablePred {α : Sort u} (r : α → Prop) := (a : α) → Decidable (r a)
abbrev DecidableRel {α : Sort u} {β : Sort v} (r : α → β → Prop) :=
  (a : α) → (b : β) → Decidable (r a b)
abbrev DecidableEq (α : Sort u) := (a b : α) → Decidable (Eq a b)
def decEq {α : Sort u} [inst : DecidableEq α] (a b : α) : Decidable (Eq a b) := inst a b

theorem ne_true_of_eq_false {b : Bool} (h : Eq b false) : Not (Eq b true) :=
  fun k => Bool.noConfusion (Eq.trans (Eq.symm h) k)
theorem ne_false_of_eq_true {b : Bool} (h : Eq b true) : Not (Eq b false) :=
  fun k => Bool.noConfusion (Eq.trans (Eq.symm k) h)
theorem eq_false_of_ne_true : {b : Bool} → Not (Eq b true) → Eq b false
  | false, _ => rfl
  | true, h => absurd rfl h
theorem eq_true_of_ne_false : {b : Bool} → Not (Eq b false) → Eq b true
  | true, _ => rfl
  | false, h => absurd rfl h
theorem decide_eq_true {p : Prop} : [inst : Decidable p] → p → Eq (decide p) true
  | isTrue _, _ => rfl
  | isFalse h₁, h₂ => False.elim (h₁ h₂)
theorem decide_eq_false {p : Prop} : [inst : Decidable p] → Not p → Eq (decide p) false
  | isFalse _, _ => rfl
  | isTrue h₁, h₂ => False.elim (h₂ h₁)
theorem of_decide_eq_true {p : Prop} : [inst : Decidable p] → Eq (decide p) true → p
  | isTrue h, _ => h
  | isFalse _, h => Bool.noConfusion h
theorem of_decide_eq_false {p : Prop} : [inst : Decidable p] → Eq (decide p) false → Not p
  | isFalse h, _ => h
  | isTrue _, h => Bool.noConfusion h
theorem of_decide_eq_self_eq_true {α : Sort u} [DecidableEq α] (a : α) :
    Eq (decide (Eq a a)) true :=
  decide_eq_true rfl

@[macro_inline] def ite {α : Sort u} (c : Prop) [h : Decidable c] (t e : α) : α :=
  match h with
  | isTrue _ => t
  | isFalse _ => e
@[macro_inline] def dite {α : Sort u} (c : Prop) [h : Decidable c] (t : c → α)
    (e : Not c → α) : α :=
  match h with
  | isTrue k => t k
  | isFalse k => e k

structure ULift.{r, s} (α : Type s) : Type (max s r) where
  up ::
  down : α
structure PLift (α : Sort u) : Type u where
  up ::
  down : α
structure PULift.{r, s} (α : Sort s) : Sort (max s r 1) where
  up ::
  down : α

@[inline] unsafe def unsafeCast {α : Sort u} {β : Sort v} (a : α) : β :=
  (cast (lcProof (α := Eq (PULift.{max u v, u} α) (PULift.{max u v, v} β))) (PULift.up a)).down
