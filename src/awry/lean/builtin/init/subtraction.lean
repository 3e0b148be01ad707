/-! Truncated subtraction, minimum and maximum of naturals. -/

namespace Nat
variable {n m k a b c : Nat}
@[simp] protected theorem sub_zero (n : Nat) : n - 0 = n := rfl
theorem sub_succ (n m : Nat) : n - succ m = pred (n - m) := rfl
theorem succ_sub_succ_eq_sub (n m : Nat) : succ n - succ m = n - m := by
  induction m with
  | zero => rfl
  | succ m ih => exact congrArg pred ih
@[simp] theorem succ_sub_succ (n m : Nat) : succ n - succ m = n - m := succ_sub_succ_eq_sub n m
@[simp] theorem add_one_sub_add_one (n m : Nat) : n + 1 - (m + 1) = n - m :=
  succ_sub_succ_eq_sub n m
@[simp] protected theorem sub_self (n : Nat) : n - n = 0 := by
  induction n with
  | zero => rfl
  | succ n ih => rw [add_one_sub_add_one, ih]
@[simp] protected theorem zero_sub (n : Nat) : 0 - n = 0 := by
  induction n with
  | zero => rfl
  | succ n ih => exact congrArg pred ih
theorem pred_le (n : Nat) : pred n ≤ n := by
  cases n with
  | zero => exact Nat.le_refl 0
  | succ n => exact le_succ n
theorem sub_le (n m : Nat) : n - m ≤ n := by
  induction m with
  | zero => exact Nat.le_refl n
  | succ m ih => exact Nat.le_trans (pred_le _) ih
theorem sub_lt : ∀ {n m : Nat}, 0 < n → 0 < m → n - m < n
  | 0, _, h, _ => absurd h (Nat.lt_irrefl 0)
  | _ + 1, 0, _, h => absurd h (Nat.lt_irrefl 0)
  | n + 1, m + 1, _, _ => by rw [add_one_sub_add_one]; exact lt_succ_of_le (sub_le n m)
@[simp] protected theorem add_sub_cancel (n m : Nat) : n + m - m = n := by
  induction m with
  | zero => rfl
  | succ m ih => rw [← Nat.add_assoc, add_one_sub_add_one, ih]
@[simp] protected theorem add_sub_cancel_left (n m : Nat) : n + m - n = m := by
  rw [Nat.add_comm, Nat.add_sub_cancel]
protected theorem sub_add_eq (a b c : Nat) : a - (b + c) = a - b - c := by
  induction c with
  | zero => rfl
  | succ c ih => exact congrArg pred ih
protected theorem sub_sub (n m k : Nat) : n - m - k = n - (m + k) := (Nat.sub_add_eq n m k).symm
protected theorem sub_right_comm (m n k : Nat) : m - n - k = m - k - n := by
  rw [Nat.sub_sub, Nat.sub_sub, Nat.add_comm]
theorem sub_one (n : Nat) : n - 1 = pred n := rfl
@[simp] protected theorem add_one_sub_one (n : Nat) : n + 1 - 1 = n := rfl
protected theorem add_sub_add_right (n k m : Nat) : (n + k) - (m + k) = n - m := by
  induction k with
  | zero => rfl
  | succ k ih => rw [← Nat.add_assoc, ← Nat.add_assoc, add_one_sub_add_one, ih]
protected theorem add_sub_add_left (k n m : Nat) : (k + n) - (k + m) = n - m := by
  rw [Nat.add_comm k, Nat.add_comm k, Nat.add_sub_add_right]
protected theorem sub_add_cancel {n m : Nat} (h : m ≤ n) : n - m + m = n := by
  cases exists_eq_add_of_le' h with
  | intro k e => rw [e, Nat.add_sub_cancel]
protected theorem add_sub_of_le {a b : Nat} (h : a ≤ b) : a + (b - a) = b := by
  rw [Nat.add_comm, Nat.sub_add_cancel h]
protected theorem sub_eq_zero_of_le {n m : Nat} (h : n ≤ m) : n - m = 0 := by
  cases exists_eq_add_of_le h with
  | intro k e => rw [e, Nat.sub_add_eq, Nat.sub_self, Nat.zero_sub]
protected theorem le_of_sub_eq_zero (h : n - m = 0) : n ≤ m :=
  (Nat.le_total n m).elim id fun g => by
    have e := Nat.sub_add_cancel g
    rw [h, Nat.zero_add] at e; exact Nat.le_of_eq e.symm
protected theorem sub_eq_zero_iff_le : n - m = 0 ↔ n ≤ m :=
  ⟨Nat.le_of_sub_eq_zero, Nat.sub_eq_zero_of_le⟩
protected theorem sub_pos_of_lt (h : m < n) : 0 < n - m :=
  pos_of_ne_zero fun e => Nat.not_le_of_gt h (Nat.le_of_sub_eq_zero e)
protected theorem add_sub_assoc {m k : Nat} (h : k ≤ m) (n : Nat) : n + m - k = n + (m - k) := by
  cases exists_eq_add_of_le' h with
  | intro l e => rw [e, ← Nat.add_assoc, Nat.add_sub_cancel, Nat.add_sub_cancel]
protected theorem sub_add_comm {n m k : Nat} (h : k ≤ n) : n + m - k = n - k + m := by
  rw [Nat.add_comm n, Nat.add_sub_assoc h, Nat.add_comm]
protected theorem sub_le_sub_right {n m : Nat} (h : n ≤ m) (k : Nat) : n - k ≤ m - k := by
  induction k with
  | zero => exact h
  | succ k ih =>
    rw [sub_succ, sub_succ]
    cases hn : n - k with
    | zero => exact zero_le _
    | succ a =>
      rw [hn] at ih
      cases hm : m - k with
      | zero => rw [hm] at ih; exact absurd ih (not_succ_le_zero a)
      | succ b => rw [hm] at ih; exact le_of_succ_le_succ ih
protected theorem sub_le_sub_left (h : n ≤ m) (k : Nat) : k - m ≤ k - n := by
  cases exists_eq_add_of_le h with
  | intro d e => rw [e, Nat.sub_add_eq]; exact sub_le _ _
protected theorem sub_eq_of_eq_add (h : a = c + b) : a - b = c := by rw [h, Nat.add_sub_cancel]
protected theorem sub_eq_iff_eq_add (h : b ≤ a) : a - b = c ↔ a = c + b :=
  ⟨fun e => by rw [← e, Nat.sub_add_cancel h], Nat.sub_eq_of_eq_add⟩
protected theorem eq_sub_of_add_eq (h : c + b = a) : c = a - b := (Nat.sub_eq_of_eq_add h.symm).symm
protected theorem sub_le_iff_le_add : a - b ≤ c ↔ a ≤ c + b :=
  ⟨fun h => (Nat.le_total b a).elim
      (fun g => by have k := Nat.add_le_add_right h b; rw [Nat.sub_add_cancel g] at k; exact k)
      (fun g => le_add_left_of_le g),
   fun h => by have k := Nat.sub_le_sub_right h b; rw [Nat.add_sub_cancel] at k; exact k⟩
protected theorem le_sub_iff_add_le (h : k ≤ m) : n ≤ m - k ↔ n + k ≤ m :=
  ⟨fun g => by have j := Nat.add_le_add_right g k; rw [Nat.sub_add_cancel h] at j; exact j,
   fun g => by have j := Nat.sub_le_sub_right g k; rw [Nat.add_sub_cancel] at j; exact j⟩
protected theorem sub_sub_self {n m : Nat} (h : m ≤ n) : n - (n - m) = m := by
  cases exists_eq_add_of_le h with
  | intro k e => rw [e, Nat.add_sub_cancel_left, Nat.add_sub_cancel]
protected theorem sub_mul (n m k : Nat) : (n - m) * k = n * k - m * k := by
  cases Nat.le_total n m with
  | inl h => rw [Nat.sub_eq_zero_of_le h, Nat.zero_mul,
      Nat.sub_eq_zero_of_le (Nat.mul_le_mul_right k h)]
  | inr h =>
    cases exists_eq_add_of_le h with
    | intro d e => rw [e, Nat.add_sub_cancel_left, Nat.add_mul, Nat.add_sub_cancel_left]
protected theorem mul_sub (k m n : Nat) : k * (m - n) = k * m - k * n := by
  rw [Nat.mul_comm, Nat.sub_mul, Nat.mul_comm m, Nat.mul_comm n]

/-! minimum and maximum -/
instance instMin : Min Nat := ⟨fun a b => if a ≤ b then a else b⟩
instance instMax : Max Nat := ⟨fun a b => if a ≤ b then b else a⟩
protected theorem min_def : min n m = if n ≤ m then n else m := rfl
protected theorem max_def : max n m = if n ≤ m then m else n := rfl
protected theorem min_eq_left (h : a ≤ b) : min a b = a := if_pos h
protected theorem max_eq_right (h : a ≤ b) : max a b = b := if_pos h
protected theorem min_eq_right (h : b ≤ a) : min a b = b := by
  rw [Nat.min_def]
  split
  · rename_i g; exact Nat.le_antisymm g h
  · rfl
protected theorem max_eq_left (h : b ≤ a) : max a b = a := by
  rw [Nat.max_def]
  split
  · rename_i g; exact Nat.le_antisymm h g
  · rfl
protected theorem min_comm (a b : Nat) : min a b = min b a :=
  (Nat.le_total a b).elim (fun h => by rw [Nat.min_eq_left h, Nat.min_eq_right h])
    (fun h => by rw [Nat.min_eq_left h, Nat.min_eq_right h])
protected theorem max_comm (a b : Nat) : max a b = max b a :=
  (Nat.le_total a b).elim (fun h => by rw [Nat.max_eq_left h, Nat.max_eq_right h])
    (fun h => by rw [Nat.max_eq_left h, Nat.max_eq_right h])
@[simp] protected theorem min_self (a : Nat) : min a a = a := Nat.min_eq_left (Nat.le_refl a)
@[simp] protected theorem max_self (a : Nat) : max a a = a := Nat.max_eq_left (Nat.le_refl a)
@[simp] protected theorem min_zero (a : Nat) : min a 0 = 0 := Nat.min_eq_right (zero_le a)
@[simp] protected theorem zero_min (a : Nat) : min 0 a = 0 := Nat.min_eq_left (zero_le a)
@[simp] protected theorem max_zero (a : Nat) : max a 0 = a := Nat.max_eq_left (zero_le a)
@[simp] protected theorem zero_max (a : Nat) : max 0 a = a := Nat.max_eq_right (zero_le a)
protected theorem min_le_left (a b : Nat) : min a b ≤ a :=
  (Nat.le_total a b).elim (fun h => Nat.le_of_eq (Nat.min_eq_left h))
    (fun h => by rw [Nat.min_eq_right h]; exact h)
protected theorem min_le_right (a b : Nat) : min a b ≤ b := Nat.min_comm b a ▸ Nat.min_le_left b a
protected theorem le_max_left (a b : Nat) : a ≤ max a b :=
  (Nat.le_total a b).elim (fun h => by rw [Nat.max_eq_right h]; exact h)
    (fun h => Nat.le_of_eq (Nat.max_eq_left h).symm)
protected theorem le_max_right (a b : Nat) : b ≤ max a b := Nat.max_comm b a ▸ Nat.le_max_left b a
protected theorem le_min : c ≤ min a b ↔ c ≤ a ∧ c ≤ b :=
  ⟨fun h => ⟨Nat.le_trans h (Nat.min_le_left a b), Nat.le_trans h (Nat.min_le_right a b)⟩,
   fun ⟨h, g⟩ => by rw [Nat.min_def]; split <;> assumption⟩
protected theorem max_le : max a b ≤ c ↔ a ≤ c ∧ b ≤ c :=
  ⟨fun h => ⟨Nat.le_trans (Nat.le_max_left a b) h, Nat.le_trans (Nat.le_max_right a b) h⟩,
   fun ⟨h, g⟩ => by rw [Nat.max_def]; split <;> assumption⟩
protected theorem max_assoc (a b c : Nat) : max (max a b) c = max a (max b c) := by
  have iff : ∀ d, max (max a b) c ≤ d ↔ max a (max b c) ≤ d := fun d => by
    rw [Nat.max_le, Nat.max_le, Nat.max_le, Nat.max_le, and_assoc]
  exact Nat.le_antisymm ((iff _).mpr (Nat.le_refl _)) ((iff _).mp (Nat.le_refl _))
protected theorem min_assoc (a b c : Nat) : min (min a b) c = min a (min b c) := by
  have iff : ∀ d, d ≤ min (min a b) c ↔ d ≤ min a (min b c) := fun d => by
    rw [Nat.le_min, Nat.le_min, Nat.le_min, Nat.le_min, and_assoc]
  exact Nat.le_antisymm ((iff _).mp (Nat.le_refl _)) ((iff _).mpr (Nat.le_refl _))
end Nat
