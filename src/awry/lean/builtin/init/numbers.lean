/-! Natural numbers and the classes behind the operators. The kernel computes add, sub, mul, pow,
beq and ble (and those of kernel.lean) on literals by these names: the definitions must agree. -/

set_option genCtorIdx false in
inductive Nat : Type where
  | zero : Nat
  | succ (n : Nat) : Nat
set_option bootstrap.genMatcherCode false in
@[extern "lean_nat_add"] protected def Nat.add : (@& Nat) → (@& Nat) → Nat
  | n, zero => n
  | n, succ m => succ (Nat.add n m)
set_option bootstrap.genMatcherCode false in
@[extern "lean_nat_mul"] protected def Nat.mul : (@& Nat) → (@& Nat) → Nat
  | _, zero => zero
  | n, succ m => Nat.add (Nat.mul n m) n
set_option bootstrap.genMatcherCode false in
@[extern "lean_nat_pow"] protected def Nat.pow (m : @& Nat) : (@& Nat) → Nat
  | zero => succ zero
  | succ n => Nat.mul (Nat.pow m n) m
set_option bootstrap.genMatcherCode false in
@[extern "lean_nat_pred"] def Nat.pred : (@& Nat) → Nat
  | zero => zero
  | succ n => n
set_option bootstrap.genMatcherCode false in
@[extern "lean_nat_sub"] protected def Nat.sub : (@& Nat) → (@& Nat) → Nat
  | n, zero => n
  | n, succ m => pred (Nat.sub n m)
set_option bootstrap.genMatcherCode false in
@[extern "lean_nat_dec_eq"] def Nat.beq : (@& Nat) → (@& Nat) → Bool
  | zero, zero => true
  | zero, succ _ => false
  | succ _, zero => false
  | succ n, succ m => beq n m
set_option bootstrap.genMatcherCode false in
@[extern "lean_nat_dec_le"] def Nat.ble : (@& Nat) → (@& Nat) → Bool
  | zero, _ => true
  | succ _, zero => false
  | succ n, succ m => ble n m

-- what `noConfusion` of enumerations is made from
theorem noConfusion_of_Nat {α : Sort u} (f : α → Nat) {a b : α} (h : Eq a b) :
    Bool.rec (motive := fun _ => Prop) False True (Nat.beq (f a) (f b)) :=
  have diagonal (n : Nat) : Bool.rec (motive := fun _ => Prop) False True (Nat.beq n n) :=
    Nat.rec (motive := fun n => Bool.rec (motive := fun _ => Prop) False True (Nat.beq n n))
      True.intro (fun _ ih => ih) n
  Eq.ndrec
    (motive := fun x => Bool.rec (motive := fun _ => Prop) False True (Nat.beq (f a) (f x)))
    (diagonal (f a)) h

theorem Nat.eq_of_beq_eq_true : {n m : Nat} → Eq (Nat.beq n m) true → Eq n m
  | zero, zero, _ => rfl
  | zero, succ _, h => Bool.noConfusion h
  | succ _, zero, h => Bool.noConfusion h
  | succ n, succ m, h => congrArg succ (eq_of_beq_eq_true (n := n) (m := m) h)
theorem Nat.beq_refl (n : Nat) : Eq (Nat.beq n n) true :=
  Nat.rec (motive := fun n => Eq (Nat.beq n n) true) rfl (fun _ ih => ih) n
theorem Nat.ne_of_beq_eq_false {n m : Nat} (h : Eq (Nat.beq n m) false) : Not (Eq n m) :=
  fun e => Bool.noConfusion
    (Eq.trans (Eq.symm h) (Eq.ndrec (motive := fun k => Eq (Nat.beq n k) true) (beq_refl n) e))
set_option bootstrap.genMatcherCode false in
@[extern "lean_nat_dec_eq"] protected def Nat.decEq (n m : @& Nat) : Decidable (Eq n m) :=
  match h : Nat.beq n m with
  | true => isTrue (eq_of_beq_eq_true h)
  | false => isFalse (ne_of_beq_eq_false h)
instance instDecidableEqNat : DecidableEq Nat := Nat.decEq
attribute [gen_constructor_elims] Nat
attribute [gen_constructor_elims] Bool
instance instDecidableEqBool : DecidableEq Bool
  | true, true => isTrue rfl
  | false, false => isTrue rfl
  | true, false => isFalse (fun h => Bool.noConfusion h)
  | false, true => isFalse (fun h => Bool.noConfusion h)

/-! Classes of the operators. -/
class OfNat (α : Type u) (_ : Nat) where
  ofNat : α
@[default_instance 100] instance instOfNatNat (n : Nat) : OfNat Nat n where
  ofNat := n
class HAdd (α : Type u) (β : Type v) (γ : outParam (Type w)) where
  hAdd : α → β → γ
class HSub (α : Type u) (β : Type v) (γ : outParam (Type w)) where
  hSub : α → β → γ
class HMul (α : Type u) (β : Type v) (γ : outParam (Type w)) where
  hMul : α → β → γ
class HDiv (α : Type u) (β : Type v) (γ : outParam (Type w)) where
  hDiv : α → β → γ
class HMod (α : Type u) (β : Type v) (γ : outParam (Type w)) where
  hMod : α → β → γ
class HPow (α : Type u) (β : Type v) (γ : outParam (Type w)) where
  hPow : α → β → γ
class HAppend (α : Type u) (β : Type v) (γ : outParam (Type w)) where
  hAppend : α → β → γ
class HOrElse (α : Type u) (β : Type v) (γ : outParam (Type w)) where
  hOrElse : α → (Unit → β) → γ
class HAndThen (α : Type u) (β : Type v) (γ : outParam (Type w)) where
  hAndThen : α → (Unit → β) → γ
class Add (α : Type u) where
  add : α → α → α
class Sub (α : Type u) where
  sub : α → α → α
class Mul (α : Type u) where
  mul : α → α → α
class Div (α : Type u) where
  div : α → α → α
class Mod (α : Type u) where
  mod : α → α → α
class Neg (α : Type u) where
  neg : α → α
class Pow (α : Type u) (β : Type v) where
  pow : α → β → α
class NatPow (α : Type u) where
  pow : α → Nat → α
class Append (α : Type u) where
  append : α → α → α
class OrElse (α : Type u) where
  orElse : α → (Unit → α) → α
class AndThen (α : Type u) where
  andThen : α → (Unit → α) → α
class LE (α : Type u) where
  le : α → α → Prop
class LT (α : Type u) where
  lt : α → α → Prop
class Dvd (α : Type u) where
  dvd : α → α → Prop
class BEq (α : Type u) where
  beq : α → α → Bool
class Membership (α : outParam (Type u)) (γ : Type v) where
  mem : γ → α → Prop
class Max (α : Type u) where
  max : α → α → α
class Min (α : Type u) where
  min : α → α → α
export Max (max)
export Min (min)
@[reducible] def GE.ge {α : Type u} [LE α] (a b : α) : Prop := LE.le b a
@[reducible] def GT.gt {α : Type u} [LT α] (a b : α) : Prop := LT.lt b a
@[reducible] def bne {α : Type u} [BEq α] (a b : α) : Bool := not (BEq.beq a b)

@[default_instance] instance instHAdd {α : Type u} [Add α] : HAdd α α α := ⟨Add.add⟩
@[default_instance] instance instHSub {α : Type u} [Sub α] : HSub α α α := ⟨Sub.sub⟩
@[default_instance] instance instHMul {α : Type u} [Mul α] : HMul α α α := ⟨Mul.mul⟩
@[default_instance] instance instHDiv {α : Type u} [Div α] : HDiv α α α := ⟨Div.div⟩
@[default_instance] instance instHMod {α : Type u} [Mod α] : HMod α α α := ⟨Mod.mod⟩
@[default_instance] instance instHPow {α : Type u} {β : Type v} [Pow α β] : HPow α β α := ⟨Pow.pow⟩
@[default_instance 10000] instance instPowNat {α : Type u} [NatPow α] : Pow α Nat := ⟨NatPow.pow⟩
@[default_instance] instance instHAppendOfAppend {α : Type u} [Append α] : HAppend α α α :=
  ⟨Append.append⟩
@[default_instance] instance instHOrElseOfOrElse {α : Type u} [OrElse α] : HOrElse α α α :=
  ⟨OrElse.orElse⟩
@[default_instance] instance instHAndThenOfAndThen {α : Type u} [AndThen α] : HAndThen α α α :=
  ⟨AndThen.andThen⟩
instance instAddNat : Add Nat := ⟨Nat.add⟩
instance instMulNat : Mul Nat := ⟨Nat.mul⟩
instance instSubNat : Sub Nat := ⟨Nat.sub⟩
instance instNatPowNat : NatPow Nat := ⟨Nat.pow⟩

/-! The order of the naturals, as far as deciding it takes. -/
protected inductive Nat.le (n : Nat) : Nat → Prop
  | refl : Nat.le n n
  | step {m : Nat} : Nat.le n m → Nat.le n (succ m)
protected def Nat.lt (n m : Nat) : Prop := Nat.le (succ n) m
instance instLENat : LE Nat := ⟨Nat.le⟩
instance instLTNat : LT Nat := ⟨Nat.lt⟩
theorem Nat.zero_le (n : Nat) : LE.le Nat.zero n :=
  Nat.rec (motive := fun n => Nat.le Nat.zero n) Nat.le.refl (fun _ ih => Nat.le.step ih) n
theorem Nat.succ_le_succ {n m : Nat} (h : LE.le n m) : LE.le (succ n) (succ m) :=
  Nat.le.rec (motive := fun k _ => Nat.le (succ n) (succ k)) Nat.le.refl
    (fun _ ih => Nat.le.step ih) h
protected theorem Nat.le_trans {n m k : Nat} (h₁ : LE.le n m) (h₂ : LE.le m k) : LE.le n k :=
  Nat.le.rec (motive := fun j _ => Nat.le n j) h₁ (fun _ ih => Nat.le.step ih) h₂
theorem Nat.le_of_ble_eq_true : {n m : Nat} → Eq (Nat.ble n m) true → LE.le n m
  | zero, m, _ => zero_le m
  | succ _, zero, h => Bool.noConfusion h
  | succ n, succ m, h => succ_le_succ (le_of_ble_eq_true (n := n) (m := m) h)
theorem Nat.ble_self_eq_true (n : Nat) : Eq (Nat.ble n n) true :=
  Nat.rec (motive := fun n => Eq (Nat.ble n n) true) rfl (fun _ ih => ih) n
theorem Nat.ble_succ_eq_true : {n m : Nat} → Eq (Nat.ble n m) true → Eq (Nat.ble n (succ m)) true
  | zero, _, _ => rfl
  | succ _, zero, h => Bool.noConfusion h
  | succ n, succ m, h => ble_succ_eq_true (n := n) (m := m) h
theorem Nat.ble_eq_true_of_le {n m : Nat} (h : LE.le n m) : Eq (Nat.ble n m) true :=
  Nat.le.rec (motive := fun k _ => Eq (Nat.ble n k) true) (ble_self_eq_true n)
    (fun _ ih => ble_succ_eq_true ih) h
theorem Nat.le_of_succ_le_succ {n m : Nat} (h : LE.le (succ n) (succ m)) : LE.le n m :=
  le_of_ble_eq_true (ble_eq_true_of_le h : Eq (Nat.ble (succ n) (succ m)) true)
theorem Nat.not_succ_le_zero (n : Nat) (h : LE.le (succ n) Nat.zero) : False :=
  Bool.noConfusion (ble_eq_true_of_le h : Eq (Nat.ble (succ n) Nat.zero) true)
theorem Nat.not_le_of_not_ble_eq_true {n m : Nat} (h : Not (Eq (Nat.ble n m) true)) :
    Not (LE.le n m) :=
  fun k => h (ble_eq_true_of_le k)
@[extern "lean_nat_dec_le"] instance Nat.decLe (n m : @& Nat) : Decidable (LE.le n m) :=
  dite (Eq (Nat.ble n m) true) (fun h => isTrue (le_of_ble_eq_true h))
    (fun h => isFalse (not_le_of_not_ble_eq_true h))
@[extern "lean_nat_dec_lt"] instance Nat.decLt (n m : @& Nat) : Decidable (LT.lt n m) :=
  decLe (succ n) m

instance instInhabitedNat : Inhabited Nat := ⟨Nat.zero⟩
instance instInhabitedBool : Inhabited Bool := ⟨false⟩
instance instInhabitedPUnit : Inhabited PUnit := ⟨PUnit.unit⟩
instance instInhabitedProp : Inhabited Prop := ⟨True⟩
instance instInhabitedSort : Inhabited (Sort u) := ⟨PUnit⟩
instance instInhabitedForall {α : Sort u} {β : α → Sort v} [(a : α) → Inhabited (β a)] :
    Inhabited ((a : α) → β a) :=
  ⟨fun _ => default⟩
instance instNonemptyOfInhabited {α : Sort u} [Inhabited α] : Nonempty α := ⟨default⟩
instance instInhabitedProd {α : Type u} {β : Type v} [Inhabited α] [Inhabited β] :
    Inhabited (Prod α β) :=
  ⟨⟨default, default⟩⟩
instance instBEqOfDecidableEq {α : Type u} [DecidableEq α] : BEq α := ⟨fun a b => decide (Eq a b)⟩

/-! Deciding compound propositions. -/
section
variable {p q : Prop}
instance instDecidableTrue : Decidable True := isTrue True.intro
instance instDecidableFalse : Decidable False := isFalse id
instance instDecidableAnd [dp : Decidable p] [dq : Decidable q] : Decidable (And p q) :=
  match dp with
  | isFalse np => isFalse (fun h => np h.left)
  | isTrue hp => match dq with
    | isFalse nq => isFalse (fun h => nq h.right)
    | isTrue hq => isTrue ⟨hp, hq⟩
instance instDecidableOr [dp : Decidable p] [dq : Decidable q] : Decidable (Or p q) :=
  match dp with
  | isTrue hp => isTrue (Or.inl hp)
  | isFalse np => match dq with
    | isTrue hq => isTrue (Or.inr hq)
    | isFalse nq => isFalse (fun h => Or.rec np nq h)
instance instDecidableNot [dp : Decidable p] : Decidable (Not p) :=
  match dp with
  | isTrue hp => isFalse (absurd hp)
  | isFalse np => isTrue np
instance instDecidableForall [dp : Decidable p] [dq : Decidable q] : Decidable (p → q) :=
  match dp with
  | isFalse np => isTrue (fun hp => absurd hp np)
  | isTrue hp => match dq with
    | isTrue hq => isTrue (fun _ => hq)
    | isFalse nq => isFalse (fun h => nq (h hp))
instance instDecidableIff [dp : Decidable p] [dq : Decidable q] : Decidable (Iff p q) :=
  match dp, dq with
  | isTrue hp, isTrue hq => isTrue ⟨fun _ => hq, fun _ => hp⟩
  | isFalse np, isFalse nq => isTrue ⟨fun hp => absurd hp np, fun hq => absurd hq nq⟩
  | isTrue hp, isFalse nq => isFalse (fun h => nq (h.mp hp))
  | isFalse np, isTrue hq => isFalse (fun h => np (h.mpr hq))
end

/-! Sums, options, lists: their types, and the functions that syntax trees need. -/
inductive Option (α : Type u) where
  | none : Option α
  | some (val : α) : Option α
attribute [unbox] Option
export Option (none some)
instance instInhabitedOption {α : Type u} : Inhabited (Option α) := ⟨none⟩
inductive List (α : Type u) where
  | nil : List α
  | cons (head : α) (tail : List α) : List α
instance instInhabitedList {α : Type u} : Inhabited (List α) := ⟨List.nil⟩
inductive Sum (α : Type u) (β : Type v) where
  | inl (val : α) : Sum α β
  | inr (val : β) : Sum α β
inductive PSum (α : Sort u) (β : Sort v) where
  | inl (val : α) : PSum α β
  | inr (val : β) : PSum α β
structure Sigma {α : Type u} (β : α → Type v) where
  fst : α
  snd : β fst
structure PSigma {α : Sort u} (β : α → Sort v) where
  fst : α
  snd : β fst
inductive Except (ε : Type u) (α : Type v) where
  | error : ε → Except ε α
  | ok : α → Except ε α
attribute [pp_using_anonymous_constructor] Sigma PSigma
def List.length {α : Type u} : List α → Nat
  | nil => Nat.zero
  | cons _ as => Nat.succ (length as)
@[specialize] def List.foldl {α : Type u} {β : Type v} (f : α → β → α) : α → List β → α
  | init, nil => init
  | init, cons b bs => foldl f (f init b) bs
set_option bootstrap.genMatcherCode false in
def List.concat {α : Type u} : List α → α → List α
  | nil, b => cons b nil
  | cons a as, b => cons a (concat as b)
def List.get {α : Type u} : (as : List α) → (i : Nat) → LT.lt i as.length → α
  | cons a _, Nat.zero, _ => a
  | cons _ as, Nat.succ i, h => get as i (Nat.le_of_succ_le_succ h)
