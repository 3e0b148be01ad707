/-! The order of the naturals: comparing, adding, multiplying; and `Trans`, from which `calc` chains
relations. -/

class Trans {α : Sort u₁} {β : Sort u₂} {γ : Sort u₃} (r : α → β → Sort u) (s : β → γ → Sort v)
    (t : outParam (α → γ → Sort w)) where
  trans {a : α} {b : β} {c : γ} : r a b → s b c → t a c
export Trans (trans)
instance instTransEq {α : Sort u} {γ : Sort v} (r : α → γ → Sort w) : Trans Eq r r :=
  ⟨fun h k => h.symm ▸ k⟩
instance instTransEq_1 {α : Sort u} {β : Sort v} (r : α → β → Sort w) : Trans r Eq r :=
  ⟨fun k h => h ▸ k⟩
instance instTransIff : Trans Iff Iff Iff := ⟨Iff.trans⟩

namespace Nat
variable {n m k l a b c d p q : Nat}
@[simp] protected theorem le_refl (n : Nat) : n ≤ n := Nat.le.refl
protected theorem le_rfl : n ≤ n := Nat.le_refl n
protected theorem le_of_eq (h : n = m) : n ≤ m := h ▸ Nat.le_refl n
protected theorem eq_le_trans (h : a = b) (k : b ≤ c) : a ≤ c := h ▸ k
theorem le_succ (n : Nat) : n ≤ succ n := Nat.le.step Nat.le.refl
theorem le_add_one (n : Nat) : n ≤ n + 1 := le_succ n
theorem le_succ_of_le (h : n ≤ m) : n ≤ succ m := Nat.le.step h
theorem le_add_one_of_le (h : n ≤ m) : n ≤ m + 1 := Nat.le.step h
theorem le_of_succ_le (h : succ n ≤ m) : n ≤ m := Nat.le_trans (le_succ n) h
theorem succ_le_succ_iff : succ a ≤ succ b ↔ a ≤ b := ⟨le_of_succ_le_succ, succ_le_succ⟩
@[simp] theorem add_one_le_add_one_iff : a + 1 ≤ b + 1 ↔ a ≤ b := succ_le_succ_iff
@[simp] theorem not_succ_le_zero' : ¬(n + 1 ≤ 0) := not_succ_le_zero n
theorem not_succ_le_self (n : Nat) : ¬succ n ≤ n := by
  induction n with
  | zero => exact not_succ_le_zero 0
  | succ n ih => exact fun h => ih (le_of_succ_le_succ h)
@[simp] protected theorem lt_irrefl (n : Nat) : ¬n < n := not_succ_le_self n
protected theorem lt_iff_add_one_le : m < n ↔ m + 1 ≤ n := Iff.rfl
theorem lt_succ_self (n : Nat) : n < succ n := Nat.le_refl _
@[simp] protected theorem lt_add_one (n : Nat) : n < n + 1 := Nat.le_refl _
theorem succ_le_of_lt (h : n < m) : succ n ≤ m := h
theorem lt_of_succ_le (h : succ n ≤ m) : n < m := h
theorem succ_le_iff : succ n ≤ m ↔ n < m := Iff.rfl
theorem lt_succ_of_le (h : n ≤ m) : n < succ m := succ_le_succ h
theorem le_of_lt_succ (h : m < succ n) : m ≤ n := le_of_succ_le_succ h
theorem lt_add_one_of_le (h : n ≤ m) : n < m + 1 := succ_le_succ h
theorem le_of_lt_add_one (h : n < m + 1) : n ≤ m := le_of_succ_le_succ h
theorem lt_succ_iff : m < succ n ↔ m ≤ n := ⟨le_of_lt_succ, lt_succ_of_le⟩
theorem lt_add_one_iff : m < n + 1 ↔ m ≤ n := lt_succ_iff
theorem succ_lt_succ (h : n < m) : succ n < succ m := succ_le_succ h
theorem lt_of_succ_lt_succ (h : succ n < succ m) : n < m := le_of_succ_le_succ h
theorem succ_lt_succ_iff : succ a < succ b ↔ a < b := succ_le_succ_iff
@[simp] theorem add_one_lt_add_one_iff : a + 1 < b + 1 ↔ a < b := succ_le_succ_iff
theorem lt_of_succ_lt (h : succ n < m) : n < m := le_of_succ_le h
theorem lt_succ_of_lt (h : n < m) : n < succ m := Nat.le.step h
protected theorem le_of_lt (h : n < m) : n ≤ m := le_of_succ_le h
protected theorem lt_of_lt_of_le (h : n < m) (g : m ≤ k) : n < k := Nat.le_trans h g
protected theorem lt_of_le_of_lt (h : n ≤ m) (g : m < k) : n < k := Nat.le_trans (succ_le_succ h) g
protected theorem lt_trans (h : n < m) (g : m < k) : n < k := Nat.le_trans h (Nat.le_of_lt g)
protected theorem ne_of_lt (h : a < b) : a ≠ b := fun e => Nat.lt_irrefl a (e.symm ▸ h)
protected theorem ne_of_gt (h : b < a) : a ≠ b := fun e => Nat.ne_of_lt h e.symm
protected theorem lt_asymm (h : a < b) : ¬b < a := fun g => Nat.lt_irrefl a (Nat.lt_trans h g)
protected theorem not_le_of_gt (h : m < n) : ¬n ≤ m := fun g =>
  Nat.lt_irrefl m (Nat.lt_of_lt_of_le h g)
protected theorem not_lt_of_ge (h : n ≤ m) : ¬m < n := fun g => Nat.not_le_of_gt g h
protected theorem not_lt_of_le (h : n ≤ m) : ¬m < n := Nat.not_lt_of_ge h
protected theorem not_le_of_lt (h : m < n) : ¬n ≤ m := Nat.not_le_of_gt h
instance instTransLe : Trans (α := Nat) LE.le LE.le LE.le := ⟨Nat.le_trans⟩
instance instTransLt : Trans (α := Nat) LT.lt LT.lt LT.lt := ⟨Nat.lt_trans⟩
instance instTransLtLe : Trans (α := Nat) LT.lt LE.le LT.lt := ⟨Nat.lt_of_lt_of_le⟩
instance instTransLeLt : Trans (α := Nat) LE.le LT.lt LT.lt := ⟨Nat.lt_of_le_of_lt⟩

attribute [simp] Nat.zero_le
theorem not_lt_zero (n : Nat) : ¬n < 0 := not_succ_le_zero n
@[simp] theorem not_lt_zero' : ¬n < 0 := not_succ_le_zero n
theorem zero_lt_succ (n : Nat) : 0 < succ n := succ_le_succ (zero_le n)
@[simp] theorem zero_lt_add_one (n : Nat) : 0 < n + 1 := zero_lt_succ n
theorem succ_pos (n : Nat) : 0 < succ n := zero_lt_succ n
theorem one_pos : 0 < 1 := zero_lt_succ 0
theorem zero_lt_one : 0 < 1 := one_pos
theorem two_pos : 0 < 2 := zero_lt_succ 1
protected theorem le_zero_eq (a : Nat) : (a ≤ 0) = (a = 0) :=
  propext ⟨fun h => match a, h with
    | 0, _ => rfl
    | n + 1, h => absurd h (not_succ_le_zero n), Nat.le_of_eq⟩
@[simp] theorem le_zero : n ≤ 0 ↔ n = 0 := iff_of_eq (Nat.le_zero_eq n)
theorem eq_zero_of_le_zero (h : n ≤ 0) : n = 0 := le_zero.mp h
theorem pos_of_ne_zero : ∀ {n : Nat}, n ≠ 0 → 0 < n
  | 0, h => absurd rfl h
  | n + 1, _ => zero_lt_succ n
theorem ne_zero_of_lt (h : b < a) : a ≠ 0 := fun e => not_lt_zero b (e ▸ h)
protected theorem pos_iff_ne_zero : 0 < n ↔ n ≠ 0 := ⟨ne_zero_of_lt, pos_of_ne_zero⟩
protected theorem zero_lt_of_ne_zero (h : n ≠ 0) : 0 < n := pos_of_ne_zero h
protected theorem ne_zero_of_pos (h : 0 < n) : n ≠ 0 := ne_zero_of_lt h
@[simp] protected theorem not_lt_zero_iff_false (n : Nat) : (n < 0) = False :=
  eq_false (not_lt_zero n)
theorem eq_zero_or_pos : ∀ n : Nat, n = 0 ∨ 0 < n
  | 0 => Or.inl rfl
  | n + 1 => Or.inr (zero_lt_succ n)
@[simp] theorem lt_one_iff : n < 1 ↔ n = 0 := lt_succ_iff.trans le_zero
@[simp] theorem one_le_iff_ne_zero : 1 ≤ n ↔ n ≠ 0 := Nat.pos_iff_ne_zero

protected theorem eq_or_lt_of_le (h : n ≤ m) : n = m ∨ n < m := by
  cases h with
  | refl => exact Or.inl rfl
  | step h => exact Or.inr (succ_le_succ h)
protected theorem lt_or_eq_of_le (h : n ≤ m) : n < m ∨ n = m := (Nat.eq_or_lt_of_le h).symm
protected theorem lt_of_le_of_ne (h : n ≤ m) (e : n ≠ m) : n < m :=
  (Nat.eq_or_lt_of_le h).resolve_left e
theorem le_iff_lt_or_eq : n ≤ m ↔ n < m ∨ n = m :=
  ⟨Nat.lt_or_eq_of_le, fun h => h.elim Nat.le_of_lt Nat.le_of_eq⟩
protected theorem lt_or_ge (n m : Nat) : n < m ∨ n ≥ m := by
  induction n with
  | zero => exact (eq_zero_or_pos m).symm.imp id Nat.le_of_eq
  | succ n ih =>
    cases ih with
    | inl h => exact (Nat.lt_or_eq_of_le h).imp id fun e => Nat.le_of_eq e.symm
    | inr h => exact Or.inr (Nat.le.step h)
protected theorem le_total (n m : Nat) : n ≤ m ∨ m ≤ n := (Nat.lt_or_ge n m).imp_left Nat.le_of_lt
protected theorem le_antisymm (h₁ : n ≤ m) (h₂ : m ≤ n) : n = m :=
  (Nat.eq_or_lt_of_le h₁).resolve_right (Nat.not_lt_of_ge h₂)
protected theorem le_antisymm_iff : a = b ↔ a ≤ b ∧ b ≤ a :=
  ⟨fun h => ⟨Nat.le_of_eq h, Nat.le_of_eq h.symm⟩, fun h => Nat.le_antisymm h.1 h.2⟩
protected theorem lt_trichotomy (a b : Nat) : a < b ∨ a = b ∨ b < a :=
  (Nat.lt_or_ge a b).imp_right fun h => (Nat.eq_or_lt_of_le h).imp_left Eq.symm
protected theorem lt_or_gt_of_ne (h : a ≠ b) : a < b ∨ a > b :=
  (Nat.lt_or_ge a b).imp_right fun g => Nat.lt_of_le_of_ne g h.symm
protected theorem gt_of_not_le (h : ¬n ≤ m) : m < n := (Nat.lt_or_ge m n).resolve_right h
protected theorem lt_of_not_le (h : ¬a ≤ b) : b < a := Nat.gt_of_not_le h
protected theorem lt_of_not_ge (h : ¬b ≥ a) : b < a := Nat.gt_of_not_le h
protected theorem le_of_not_lt (h : ¬a < b) : b ≤ a := (Nat.lt_or_ge a b).resolve_left h
protected theorem ge_of_not_lt (h : ¬n < m) : n ≥ m := Nat.le_of_not_lt h
protected theorem le_of_not_le (h : ¬n ≤ m) : m ≤ n := Nat.le_of_lt (Nat.gt_of_not_le h)
@[simp] protected theorem not_le {n m : Nat} : ¬n ≤ m ↔ m < n :=
  ⟨Nat.gt_of_not_le, Nat.not_le_of_gt⟩
@[simp] protected theorem not_lt {n m : Nat} : ¬n < m ↔ m ≤ n :=
  ⟨Nat.le_of_not_lt, Nat.not_lt_of_ge⟩
theorem ne_iff_lt_or_gt : a ≠ b ↔ a < b ∨ b < a :=
  ⟨Nat.lt_or_gt_of_ne, fun h => h.elim Nat.ne_of_lt Nat.ne_of_gt⟩
protected theorem lt_iff_le_not_le : m < n ↔ m ≤ n ∧ ¬n ≤ m :=
  ⟨fun h => ⟨Nat.le_of_lt h, Nat.not_le_of_gt h⟩, fun h => Nat.gt_of_not_le h.2⟩
protected theorem lt_iff_le_and_ne : m < n ↔ m ≤ n ∧ m ≠ n :=
  ⟨fun h => ⟨Nat.le_of_lt h, Nat.ne_of_lt h⟩, fun h => Nat.lt_of_le_of_ne h.1 h.2⟩
@[elab_as_elim] protected theorem strongRecOn' {motive : Nat → Prop} (n : Nat)
    (ind : ∀ n, (∀ m, m < n → motive m) → motive n) : motive n :=
  have below : ∀ k, ∀ m, m < k → motive m := by
    intro k
    induction k with
    | zero => exact fun m h => absurd h (not_lt_zero m)
    | succ k ih => exact fun m h => ind m fun j g => ih j (Nat.lt_of_lt_of_le g (le_of_lt_succ h))
  ind n (below n)

/-! order and addition -/
@[simp] theorem le_add_right (n k : Nat) : n ≤ n + k := by
  induction k with
  | zero => exact Nat.le_refl n
  | succ k ih => exact Nat.le.step ih
@[simp] theorem le_add_left (n m : Nat) : n ≤ m + n := Nat.add_comm n m ▸ le_add_right n m
theorem le_of_add_right_le (h : n + k ≤ m) : n ≤ m := Nat.le_trans (le_add_right n k) h
theorem le_of_add_left_le (h : k + n ≤ m) : n ≤ m := Nat.le_trans (le_add_left n k) h
theorem le_add_right_of_le (h : n ≤ m) : n ≤ m + k := Nat.le_trans h (le_add_right m k)
theorem le_add_left_of_le (h : n ≤ m) : n ≤ k + m := Nat.le_trans h (le_add_left m k)
protected theorem lt_add_right (c : Nat) (h : a < b) : a < b + c :=
  Nat.lt_of_lt_of_le h (le_add_right b c)
protected theorem lt_add_left (c : Nat) (h : a < b) : a < c + b :=
  Nat.lt_of_lt_of_le h (le_add_left b c)
protected theorem add_le_add_left (h : n ≤ m) (k : Nat) : k + n ≤ k + m := by
  induction h with
  | refl => exact Nat.le_refl _
  | step _ ih => exact Nat.le.step ih
protected theorem add_le_add_right (h : n ≤ m) (k : Nat) : n + k ≤ m + k := by
  rw [Nat.add_comm n k, Nat.add_comm m k]; exact Nat.add_le_add_left h k
protected theorem add_le_add (h₁ : a ≤ b) (h₂ : c ≤ d) : a + c ≤ b + d :=
  Nat.le_trans (Nat.add_le_add_right h₁ c) (Nat.add_le_add_left h₂ b)
protected theorem add_lt_add_left (h : n < m) (k : Nat) : k + n < k + m := Nat.add_le_add_left h k
protected theorem add_lt_add_right (h : n < m) (k : Nat) : n + k < m + k := by
  rw [Nat.add_comm n k, Nat.add_comm m k]; exact Nat.add_lt_add_left h k
protected theorem add_lt_add_of_le_of_lt (h : a ≤ b) (g : c < d) : a + c < b + d :=
  Nat.lt_of_le_of_lt (Nat.add_le_add_right h c) (Nat.add_lt_add_left g b)
protected theorem add_lt_add_of_lt_of_le (h : a < b) (g : c ≤ d) : a + c < b + d :=
  Nat.lt_of_lt_of_le (Nat.add_lt_add_right h c) (Nat.add_le_add_left g b)
protected theorem add_lt_add (h : a < b) (g : c < d) : a + c < b + d :=
  Nat.add_lt_add_of_lt_of_le h (Nat.le_of_lt g)
protected theorem le_of_add_le_add_left (h : a + b ≤ a + c) : b ≤ c :=
  (Nat.le_total b c).elim id fun g =>
    Nat.le_of_eq (Nat.add_left_cancel (Nat.le_antisymm h (Nat.add_le_add_left g a)))
protected theorem le_of_add_le_add_right (h : a + b ≤ c + b) : a ≤ c := by
  rw [Nat.add_comm a b, Nat.add_comm c b] at h; exact Nat.le_of_add_le_add_left h
@[simp] protected theorem add_le_add_iff_left {n : Nat} : n + m ≤ n + k ↔ m ≤ k :=
  ⟨Nat.le_of_add_le_add_left, fun h => Nat.add_le_add_left h n⟩
@[simp] protected theorem add_le_add_iff_right {n : Nat} : m + n ≤ k + n ↔ m ≤ k :=
  ⟨Nat.le_of_add_le_add_right, fun h => Nat.add_le_add_right h n⟩
@[simp] protected theorem add_lt_add_iff_left {n : Nat} : n + k < n + m ↔ k < m :=
  Nat.add_le_add_iff_left (m := k + 1)
@[simp] protected theorem add_lt_add_iff_right {n : Nat} : k + n < m + n ↔ k < m := by
  rw [Nat.add_comm k, Nat.add_comm m]; exact Nat.add_lt_add_iff_left
protected theorem lt_of_add_lt_add_left (h : n + k < n + m) : k < m := Nat.add_lt_add_iff_left.mp h
protected theorem lt_of_add_lt_add_right (h : k + n < m + n) : k < m :=
  Nat.add_lt_add_iff_right.mp h
protected theorem lt_add_of_pos_right (h : 0 < k) : n < n + k := Nat.add_lt_add_left h n
protected theorem lt_add_of_pos_left (h : 0 < k) : n < k + n := by
  rw [Nat.add_comm]; exact Nat.lt_add_of_pos_right h
protected theorem pos_of_lt_add_right (h : n < n + k) : 0 < k :=
  Nat.lt_of_add_lt_add_left (n := n) h
protected theorem add_pos_left (h : 0 < m) (n : Nat) : 0 < m + n := Nat.lt_add_right n h
protected theorem add_pos_right (m : Nat) (h : 0 < n) : 0 < m + n := Nat.lt_add_left m h
protected theorem le.dest (h : n ≤ m) : ∃ k, n + k = m := by
  induction h with
  | refl => exact ⟨0, rfl⟩
  | step _ ih => exact ih.elim fun k e => ⟨k + 1, congrArg succ e⟩
protected theorem le.intro (h : n + k = m) : n ≤ m := h ▸ le_add_right n k
theorem exists_eq_add_of_le (h : m ≤ n) : ∃ k, n = m + k := h.dest.imp fun _ => Eq.symm
theorem exists_eq_add_of_le' (h : m ≤ n) : ∃ k, n = k + m :=
  (exists_eq_add_of_le h).imp fun k e => e.trans (Nat.add_comm m k)
theorem exists_eq_add_of_lt (h : m < n) : ∃ k, n = m + k + 1 :=
  (exists_eq_add_of_le h).imp fun k e => e.trans (Nat.add_one_add m k)
protected theorem le_iff_exists_add : m ≤ n ↔ ∃ k, n = m + k :=
  ⟨exists_eq_add_of_le, fun ⟨k, e⟩ => e ▸ le_add_right m k⟩

/-! order and multiplication -/
protected theorem mul_le_mul_left {m n : Nat} (k : Nat) (h : m ≤ n) : k * m ≤ k * n := by
  cases exists_eq_add_of_le h with
  | intro d e => rw [e, Nat.mul_add]; exact le_add_right _ _
protected theorem mul_le_mul_right {m n : Nat} (k : Nat) (h : m ≤ n) : m * k ≤ n * k := by
  rw [Nat.mul_comm m, Nat.mul_comm n]; exact Nat.mul_le_mul_left k h
protected theorem mul_le_mul {p q m n : Nat} (h₁ : p ≤ m) (h₂ : q ≤ n) : p * q ≤ m * n :=
  Nat.le_trans (Nat.mul_le_mul_right q h₁) (Nat.mul_le_mul_left m h₂)
protected theorem mul_lt_mul_of_pos_left (h : m < n) (hk : 0 < k) : k * m < k * n :=
  Nat.lt_of_lt_of_le (Nat.lt_add_of_pos_right hk) (Nat.mul_le_mul_left k h)
protected theorem mul_lt_mul_of_pos_right (h : m < n) (hk : 0 < k) : m * k < n * k := by
  rw [Nat.mul_comm m, Nat.mul_comm n]; exact Nat.mul_lt_mul_of_pos_left h hk
protected theorem mul_pos (h : 0 < n) (k : 0 < m) : 0 < n * m := Nat.mul_lt_mul_of_pos_left k h
protected theorem pow_pos (h : 0 < b) : 0 < b ^ n := by
  induction n with
  | zero => exact one_pos
  | succ n ih => exact Nat.mul_pos ih h
protected theorem two_pow_pos (w : Nat) : 0 < 2 ^ w := Nat.pow_pos two_pos
protected theorem le_of_mul_le_mul_left (h : c * a ≤ c * b) (hc : 0 < c) : a ≤ b :=
  Nat.le_of_not_lt fun g => Nat.not_le_of_gt (Nat.mul_lt_mul_of_pos_left g hc) h
protected theorem eq_of_mul_eq_mul_left (ha : 0 < a) (h : a * b = a * c) : b = c :=
  Nat.le_antisymm (Nat.le_of_mul_le_mul_left (Nat.le_of_eq h) ha)
    (Nat.le_of_mul_le_mul_left (Nat.le_of_eq h.symm) ha)
protected theorem eq_of_mul_eq_mul_right (ha : 0 < a) (h : b * a = c * a) : b = c := by
  rw [Nat.mul_comm b, Nat.mul_comm c] at h; exact Nat.eq_of_mul_eq_mul_left ha h
theorem le_mul_of_pos_right (n : Nat) (h : 0 < m) : n ≤ n * m := by
  have k := Nat.mul_le_mul_left n h
  rw [Nat.mul_one] at k; exact k
theorem le_mul_of_pos_left (m : Nat) (h : 0 < n) : m ≤ n * m := by
  rw [Nat.mul_comm]; exact le_mul_of_pos_right m h
theorem le_mul_self (n : Nat) : n ≤ n * n := (eq_zero_or_pos n).elim
  (fun h => by rw [h]; exact Nat.le_refl 0) (le_mul_of_pos_right n)
protected theorem pow_le_pow_left {m n : Nat} (h : m ≤ n) (i : Nat) : m ^ i ≤ n ^ i := by
  induction i with
  | zero => exact Nat.le_refl 1
  | succ i ih => exact Nat.mul_le_mul ih h
protected theorem pow_le_pow_right (h : 0 < n) (g : m ≤ k) : n ^ m ≤ n ^ k := by
  cases exists_eq_add_of_le g with
  | intro d e => rw [e, Nat.pow_add]; exact le_mul_of_pos_right _ (Nat.pow_pos h)
theorem lt_two_pow_self : n < 2 ^ n := by
  induction n with
  | zero => exact one_pos
  | succ n ih =>
    rw [Nat.pow_add_one, Nat.mul_two]
    exact Nat.add_lt_add_of_lt_of_le ih (Nat.two_pow_pos n)
end Nat
