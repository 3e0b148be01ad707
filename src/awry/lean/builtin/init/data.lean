/-! Booleans, tests of equality, pairs and options; deciding statements about all small numbers. -/

theorem Bool.eq_false_or_eq_true : (b : Bool) → b = true ∨ b = false
  | true => Or.inl rfl
  | false => Or.inr rfl
namespace Bool
variable (a b c : Bool)
@[simp] theorem not_true : (!true) = false := rfl
@[simp] theorem not_false : (!false) = true := rfl
@[simp] theorem not_not : (!!b) = b := by cases b <;> rfl
@[simp] theorem true_and : (true && b) = b := rfl
@[simp] theorem false_and : (false && b) = false := rfl
@[simp] theorem and_true : (b && true) = b := by cases b <;> rfl
@[simp] theorem and_false : (b && false) = false := by cases b <;> rfl
@[simp] theorem and_self : (b && b) = b := by cases b <;> rfl
@[simp] theorem true_or : (true || b) = true := rfl
@[simp] theorem false_or : (false || b) = b := rfl
@[simp] theorem or_true : (b || true) = true := by cases b <;> rfl
@[simp] theorem or_false : (b || false) = b := by cases b <;> rfl
@[simp] theorem or_self : (b || b) = b := by cases b <;> rfl
@[simp] theorem and_not_self : (b && !b) = false := by cases b <;> rfl
@[simp] theorem not_and_self : (!b && b) = false := by cases b <;> rfl
@[simp] theorem or_not_self : (b || !b) = true := by cases b <;> rfl
@[simp] theorem not_or_self : (!b || b) = true := by cases b <;> rfl
theorem and_comm : (a && b) = (b && a) := by cases a <;> cases b <;> rfl
theorem or_comm : (a || b) = (b || a) := by cases a <;> cases b <;> rfl
theorem and_assoc : (a && b && c) = (a && (b && c)) := by cases a <;> rfl
theorem or_assoc : (a || b || c) = (a || (b || c)) := by cases a <;> rfl
theorem and_left_comm : (a && (b && c)) = (b && (a && c)) := by cases a <;> cases b <;> rfl
theorem or_left_comm : (a || (b || c)) = (b || (a || c)) := by cases a <;> cases b <;> rfl
theorem and_or_distrib_left : (a && (b || c)) = (a && b || a && c) := by cases a <;> rfl
theorem or_and_distrib_left : (a || b && c) = ((a || b) && (a || c)) := by cases a <;> rfl
theorem and_or_distrib_right : ((a || b) && c) = (a && c || b && c) := by
  cases a <;> cases b <;> cases c <;> rfl
theorem or_and_distrib_right : (a && b || c) = ((a || c) && (b || c)) := by
  cases a <;> cases b <;> cases c <;> rfl
@[simp] theorem not_and : (!(a && b)) = (!a || !b) := by cases a <;> rfl
@[simp] theorem not_or : (!(a || b)) = (!a && !b) := by cases a <;> rfl
def xor (a b : Bool) : Bool := cond a (!b) b
theorem xor_comm : xor a b = xor b a := by cases a <;> cases b <;> rfl
theorem xor_assoc : xor (xor a b) c = xor a (xor b c) := by
  cases a <;> cases b <;> cases c <;> rfl
@[simp] theorem xor_self : xor b b = false := by cases b <;> rfl
@[simp] theorem xor_false : xor b false = b := by cases b <;> rfl
@[simp] theorem false_xor : xor false b = b := rfl
@[simp] theorem xor_true : xor b true = !b := by cases b <;> rfl
@[simp] theorem true_xor : xor true b = !b := rfl
variable {a b c}
@[simp] theorem and_eq_true : ((a && b) = true) = (a = true ∧ b = true) := by
  cases a <;> cases b <;> simp
@[simp] theorem or_eq_true : ((a || b) = true) = (a = true ∨ b = true) := by
  cases a <;> cases b <;> simp
@[simp] theorem not_eq_true (b : Bool) : (¬b = true) = (b = false) := by cases b <;> simp
@[simp] theorem not_eq_false (b : Bool) : (¬b = false) = (b = true) := by cases b <;> simp
@[simp] theorem not_eq_true' (b : Bool) : ((!b) = true) = (b = false) := by cases b <;> simp
@[simp] theorem not_eq_false' (b : Bool) : ((!b) = false) = (b = true) := by cases b <;> simp
@[simp] theorem and_eq_false_iff : (a && b) = false ↔ a = false ∨ b = false := by
  cases a <;> cases b <;> simp
@[simp] theorem or_eq_false_iff : (a || b) = false ↔ a = false ∧ b = false := by
  cases a <;> cases b <;> simp
theorem and_eq_true_iff : (a && b) = true ↔ a = true ∧ b = true := iff_of_eq and_eq_true
theorem or_eq_true_iff : (a || b) = true ↔ a = true ∨ b = true := iff_of_eq or_eq_true
theorem eq_iff_iff : a = b ↔ (a = true ↔ b = true) := by cases a <;> cases b <;> simp
theorem false_ne_true : false ≠ true := fun h => Bool.noConfusion h
@[simp] theorem cond_true {α : Sort u} {x y : α} : cond true x y = x := rfl
@[simp] theorem cond_false {α : Sort u} {x y : α} : cond false x y = y := rfl
end Bool
theorem Bool.of_not_eq_true {b : Bool} : ¬b = true → b = false := eq_false_of_ne_true
theorem Bool.of_not_eq_false {b : Bool} : ¬b = false → b = true := eq_true_of_ne_false
@[simp] theorem Bool.decide_eq_true (b : Bool) [Decidable (b = true)] : decide (b = true) = b := by
  cases b <;> simp
@[simp] theorem decide_not {p : Prop} [h : Decidable p] : decide (¬p) = !decide p := by
  cases h <;> rfl
@[simp] theorem decide_and {p q : Prop} [hp : Decidable p] [hq : Decidable q] :
    decide (p ∧ q) = (decide p && decide q) := by
  cases hp <;> cases hq <;> rfl
@[simp] theorem decide_or {p q : Prop} [hp : Decidable p] [hq : Decidable q] :
    decide (p ∨ q) = (decide p || decide q) := by
  cases hp <;> cases hq <;> rfl

class LawfulBEq (α : Type u) [BEq α] : Prop where
  eq_of_beq : {a b : α} → (a == b) = true → a = b
  rfl : {a : α} → (a == a) = true
export LawfulBEq (eq_of_beq)
instance instLawfulBEqOfDecidableEq {α : Type u} [DecidableEq α] : LawfulBEq α where
  eq_of_beq := of_decide_eq_true
  rfl := decide_eq_true _root_.rfl
section
variable {α : Type u} [BEq α] [LawfulBEq α] {a b : α}
@[simp] theorem beq_self_eq_true (a : α) : (a == a) = true := LawfulBEq.rfl
@[simp] theorem beq_iff_eq : (a == b) = true ↔ a = b := ⟨eq_of_beq, fun h => h ▸ LawfulBEq.rfl⟩
@[simp] theorem bne_iff_ne : (a != b) = true ↔ a ≠ b := by
  rw [ne_eq, ← propext (beq_iff_eq (a := a))]; exact iff_of_eq (Bool.not_eq_true' _) |>.trans
    (iff_of_eq (Bool.not_eq_true _)).symm
@[simp] theorem bne_self_eq_false (a : α) : (a != a) = false := congrArg not (beq_self_eq_true a)
@[simp] theorem beq_eq_false_iff_ne : (a == b) = false ↔ a ≠ b := by
  rw [ne_eq, ← propext (beq_iff_eq (a := a))]; exact (iff_of_eq (Bool.not_eq_true _)).symm
end

/-! functions -/
namespace Function
variable {α : Sort u} {β : Sort v} {γ : Sort w} {δ : Sort u₁}
@[simp] theorem comp_apply {f : β → γ} {g : α → β} {x : α} : (f ∘ g) x = f (g x) := rfl
theorem comp_def (f : β → γ) (g : α → β) : f ∘ g = fun x => f (g x) := rfl
theorem comp_assoc (f : γ → δ) (g : β → γ) (h : α → β) : (f ∘ g) ∘ h = f ∘ (g ∘ h) := rfl
@[simp] theorem id_comp (f : α → β) : id ∘ f = f := rfl
@[simp] theorem comp_id (f : α → β) : f ∘ id = f := rfl
def Injective (f : α → β) : Prop := ∀ ⦃a b : α⦄, f a = f b → a = b
def Surjective (f : α → β) : Prop := ∀ b, ∃ a, f a = b
def Bijective (f : α → β) : Prop := Injective f ∧ Surjective f
def LeftInverse (g : β → α) (f : α → β) : Prop := ∀ x, g (f x) = x
def RightInverse (g : β → α) (f : α → β) : Prop := LeftInverse f g
theorem injective_id : Injective (@id α) := fun _ _ h => h
theorem surjective_id : Surjective (@id α) := fun a => ⟨a, rfl⟩
theorem Injective.comp {f : β → γ} {g : α → β} (hf : Injective f) (hg : Injective g) :
    Injective (f ∘ g) :=
  fun _ _ h => hg (hf h)
theorem Surjective.comp {f : β → γ} {g : α → β} (hf : Surjective f) (hg : Surjective g) :
    Surjective (f ∘ g) :=
  fun c => (hf c).elim fun b hb => (hg b).elim fun a ha => ⟨a, (congrArg f ha).trans hb⟩
theorem Bijective.comp {f : β → γ} {g : α → β} (hf : Bijective f) (hg : Bijective g) :
    Bijective (f ∘ g) :=
  ⟨hf.1.comp hg.1, hf.2.comp hg.2⟩
theorem Injective.of_comp {f : β → γ} {g : α → β} (h : Injective (f ∘ g)) : Injective g :=
  fun _ _ e => h (congrArg f e)
theorem Surjective.of_comp {f : β → γ} {g : α → β} (h : Surjective (f ∘ g)) : Surjective f :=
  fun c => (h c).elim fun a ha => ⟨g a, ha⟩
theorem LeftInverse.injective {g : β → α} {f : α → β} (h : LeftInverse g f) : Injective f :=
  fun a b e => (h a).symm.trans ((congrArg g e).trans (h b))
theorem RightInverse.surjective {g : β → α} {f : α → β} (h : RightInverse g f) : Surjective f :=
  fun b => ⟨g b, h b⟩
end Function

/-! pairs -/
section
variable {α : Type u} {β : Type v} {γ : Type w}
theorem Prod.ext : {p q : α × β} → p.fst = q.fst → p.snd = q.snd → p = q
  | (_, _), (_, _), rfl, rfl => rfl
@[simp] theorem Prod.eta : (p : α × β) → (p.1, p.2) = p := fun _ => rfl
def Prod.swap (p : α × β) : β × α := (p.2, p.1)
@[simp] theorem Prod.swap_swap (p : α × β) : p.swap.swap = p := rfl
def Prod.map {δ : Type u₁} (f : α → γ) (g : β → δ) (p : α × β) : γ × δ := (f p.1, g p.2)
theorem Prod.mk_inj {a c : α} {b d : β} : (a, b) = (c, d) ↔ a = c ∧ b = d :=
  iff_of_eq (Prod.mk.injEq a b c d)
instance instDecidableEqProd [DecidableEq α] [DecidableEq β] : DecidableEq (α × β) :=
  fun (_, _) (_, _) => decidable_of_iff _ Prod.mk_inj.symm
end
theorem Subtype.ext {α : Sort u} {p : α → Prop} : {a b : Subtype p} → a.val = b.val → a = b
  | ⟨_, _⟩, ⟨_, _⟩, rfl => rfl
instance Subtype.instDecidableEq {α : Type u} {p : α → Prop} [DecidableEq α] :
    DecidableEq (Subtype p) :=
  fun a b => decidable_of_iff (a.val = b.val) ⟨Subtype.ext, fun h => h ▸ rfl⟩
instance Sum.instInhabitedLeft {α : Type u} {β : Type v} [Inhabited α] : Inhabited (Sum α β) :=
  ⟨Sum.inl default⟩

/-! options -/
namespace Option
variable {α : Type u} {β : Type v} {γ : Type w}
def map (f : α → β) : Option α → Option β
  | none => none
  | some a => some (f a)
protected def bind : Option α → (α → Option β) → Option β
  | none, _ => none
  | some a, f => f a
def getD (o : Option α) (fallback : α) : α :=
  match o with
  | some a => a
  | none => fallback
def isSome : Option α → Bool
  | some _ => true
  | none => false
def isNone : Option α → Bool
  | some _ => false
  | none => true
protected def orElse (o : Option α) (other : Unit → Option α) : Option α :=
  match o with
  | some a => some a
  | none => other ()
def filter (p : α → Bool) : Option α → Option α
  | none => none
  | some a => if p a then some a else none
instance instOrElse : OrElse (Option α) := ⟨Option.orElse⟩
instance instMonad : Monad Option where
  pure := some
  bind := Option.bind
@[simp] theorem map_none (f : α → β) : map f none = none := rfl
@[simp] theorem map_some (f : α → β) (a : α) : map f (some a) = some (f a) := rfl
@[simp] theorem map_id (o : Option α) : map id o = o := by cases o <;> rfl
@[simp] theorem map_map (g : β → γ) (f : α → β) (o : Option α) :
    map g (map f o) = map (g ∘ f) o := by
  cases o <;> rfl
@[simp] theorem bind_none (f : α → Option β) : Option.bind none f = none := rfl
@[simp] theorem bind_some (a : α) (f : α → Option β) : Option.bind (some a) f = f a := rfl
@[simp] theorem bind_eq_some_iff {o : Option α} {f : α → Option β} {b : β} :
    Option.bind o f = some b ↔ ∃ a, o = some a ∧ f a = some b := by
  cases o <;> simp
@[simp] theorem getD_none (a : α) : getD none a = a := rfl
@[simp] theorem getD_some (a b : α) : getD (some a) b = a := rfl
@[simp] theorem isSome_some (a : α) : isSome (some a) = true := rfl
@[simp] theorem isSome_none : isSome (none : Option α) = false := rfl
@[simp] theorem isNone_some (a : α) : isNone (some a) = false := rfl
@[simp] theorem isNone_none : isNone (none : Option α) = true := rfl
theorem some_ne_none (a : α) : some a ≠ none := fun h => nomatch h
theorem some_inj {a b : α} : some a = some b ↔ a = b :=
  iff_of_eq (Option.some.injEq a b)
theorem isSome_iff_exists {o : Option α} : isSome o = true ↔ ∃ a, o = some a := by
  cases o <;> simp
theorem eq_none_or_eq_some (o : Option α) : o = none ∨ ∃ a, o = some a := by
  cases o <;> simp
instance instDecidableEq [DecidableEq α] : DecidableEq (Option α)
  | none, none => isTrue rfl
  | none, some _ => isFalse (fun h => nomatch h)
  | some _, none => isFalse (fun h => nomatch h)
  | some _, some _ => decidable_of_iff _ some_inj.symm
end Option

/-! Statements about all numbers below a bound can be decided. -/
namespace Nat
variable {p : Nat → Prop} {n : Nat}
theorem forall_lt_succ_right : (∀ m, m < n + 1 → p m) ↔ (∀ m, m < n → p m) ∧ p n :=
  ⟨fun f => ⟨fun m h => f m (lt_succ_of_lt h), f n (lt_succ_self n)⟩,
   fun ⟨f, h⟩ m g => (Nat.lt_or_eq_of_le (le_of_lt_succ g)).elim (f m) (fun e => e.symm ▸ h)⟩
theorem exists_lt_succ_right : (∃ m, m < n + 1 ∧ p m) ↔ (∃ m, m < n ∧ p m) ∨ p n :=
  ⟨fun ⟨m, g, h⟩ => (Nat.lt_or_eq_of_le (le_of_lt_succ g)).imp (fun l => ⟨m, l, h⟩)
    (fun (e : m = n) => e ▸ h),
   fun h => h.elim (fun ⟨m, g, k⟩ => ⟨m, lt_succ_of_lt g, k⟩) (fun k => ⟨n, lt_succ_self n, k⟩)⟩
instance decidableBallLT : (n : Nat) → (p : (m : Nat) → m < n → Prop) →
    [(m : Nat) → (h : m < n) → Decidable (p m h)] → Decidable (∀ m h, p m h)
  | 0, _, _ => isTrue fun m h => absurd h (not_lt_zero m)
  | n + 1, p, d =>
    match decidableBallLT n (fun m h => p m (lt_succ_of_lt h)), d n (lt_succ_self n) with
    | isFalse g, _ => isFalse fun f => g fun m h => f m (lt_succ_of_lt h)
    | _, isFalse g => isFalse fun f => g (f n (lt_succ_self n))
    | isTrue f, isTrue h => isTrue fun m g =>
      (Nat.lt_or_eq_of_le (le_of_lt_succ g)).elim (fun l => f m l) (fun e => by subst e; exact h)
instance decidableForallLT (n : Nat) (p : Nat → Prop) [DecidablePred p] :
    Decidable (∀ m, m < n → p m) :=
  decidableBallLT n fun m _ => p m
instance decidableBallLE (n : Nat) (p : Nat → Prop) [DecidablePred p] :
    Decidable (∀ m, m ≤ n → p m) :=
  decidable_of_iff (∀ m, m < n + 1 → p m)
    ⟨fun f m h => f m (lt_succ_of_le h), fun f m h => f m (le_of_lt_succ h)⟩
instance decidableExistsLT [DecidablePred p] : (n : Nat) → Decidable (∃ m, m < n ∧ p m)
  | 0 => isFalse fun ⟨m, h, _⟩ => not_lt_zero m h
  | n + 1 =>
    have := decidableExistsLT n
    decidable_of_iff _ exists_lt_succ_right.symm
instance decidableExistsLE [DecidablePred p] (n : Nat) : Decidable (∃ m, m ≤ n ∧ p m) :=
  decidable_of_iff (∃ m, m < n + 1 ∧ p m)
    (exists_congr fun _ => and_congr lt_succ_iff Iff.rfl)
end Nat
instance Bool.instDecidableForall (p : Bool → Prop) [DecidablePred p] : Decidable (∀ b, p b) :=
  decidable_of_iff (p true ∧ p false)
    ⟨fun ⟨h, g⟩ b => by cases b <;> assumption, fun f => ⟨f _, f _⟩⟩
instance Bool.instDecidableExists (p : Bool → Prop) [DecidablePred p] : Decidable (∃ b, p b) :=
  decidable_of_iff (p true ∨ p false)
    ⟨fun h => h.elim (fun k => ⟨_, k⟩) (fun k => ⟨_, k⟩),
     fun ⟨b, h⟩ => by cases b; exact Or.inr h; exact Or.inl h⟩
