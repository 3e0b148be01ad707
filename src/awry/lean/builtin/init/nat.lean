/-! Natural numbers: identities, order, subtraction, division. Names and statements as in Lean's own
library wherever it has them. -/

attribute [match_pattern] Nat.add Add.add HAdd.hAdd Neg.neg
@[elab_as_elim, induction_eliminator] protected noncomputable def Nat.recAux {motive : Nat → Sort u}
    (zero : motive 0) (succ : ∀ n, motive n → motive (n + 1)) (t : Nat) : motive t :=
  Nat.rec zero succ t
@[elab_as_elim, cases_eliminator] protected abbrev Nat.casesAuxOn {motive : Nat → Sort u} (t : Nat)
    (zero : motive 0) (succ : ∀ n, motive (n + 1)) : motive t :=
  Nat.casesOn t zero succ

namespace Nat
variable {n m k a b c d : Nat}
theorem zero_eq : Nat.zero = 0 := rfl
theorem succ_eq_add_one (n : Nat) : succ n = n + 1 := rfl
theorem add_one (n : Nat) : n + 1 = succ n := rfl
@[simp] theorem add_eq : Nat.add a b = a + b := rfl
@[simp] theorem mul_eq : Nat.mul a b = a * b := rfl
@[simp] theorem sub_eq : Nat.sub a b = a - b := rfl
@[simp] theorem lt_eq : Nat.lt a b = (a < b) := rfl
@[simp] theorem le_eq : Nat.le a b = (a ≤ b) := rfl
@[simp] theorem pow_eq : Nat.pow a b = a ^ b := rfl
@[simp] theorem div_eq' : Nat.div a b = a / b := rfl
@[simp] theorem mod_eq' : Nat.mod a b = a % b := rfl

/-! addition -/
@[simp] protected theorem add_zero (n : Nat) : n + 0 = n := rfl
theorem add_succ (n m : Nat) : n + succ m = succ (n + m) := rfl
@[simp] protected theorem zero_add (n : Nat) : 0 + n = n := by
  induction n with
  | zero => rfl
  | succ n ih => rw [← Nat.succ_eq_add_one, add_succ, ih]
theorem succ_add (n m : Nat) : succ n + m = succ (n + m) := by
  induction m with
  | zero => rfl
  | succ m ih => exact congrArg succ ih
theorem succ_add_eq_add_succ (n m : Nat) : succ n + m = n + succ m := succ_add n m
theorem add_one_add (n m : Nat) : n + 1 + m = n + m + 1 := succ_add n m
protected theorem add_comm (n m : Nat) : n + m = m + n := by
  induction n with
  | zero => exact Nat.zero_add m
  | succ n ih => exact (succ_add n m).trans (congrArg succ ih)
protected theorem add_assoc (n m k : Nat) : n + m + k = n + (m + k) := by
  induction k with
  | zero => rfl
  | succ k ih => exact congrArg succ ih
protected theorem add_left_comm (n m k : Nat) : n + (m + k) = m + (n + k) := by
  rw [← Nat.add_assoc, ← Nat.add_assoc, Nat.add_comm n m]
protected theorem add_right_comm (n m k : Nat) : n + m + k = n + k + m := by
  rw [Nat.add_assoc, Nat.add_assoc, Nat.add_comm m k]
theorem one_add (n : Nat) : 1 + n = succ n := Nat.add_comm 1 n
theorem succ_ne_zero (n : Nat) : succ n ≠ 0 := fun h => Nat.noConfusion h
@[simp] theorem add_one_ne_zero (n : Nat) : n + 1 ≠ 0 := succ_ne_zero n
@[simp] theorem zero_ne_add_one (n : Nat) : 0 ≠ n + 1 := fun h => Nat.noConfusion h
theorem zero_ne_one : 0 ≠ 1 := zero_ne_add_one 0
theorem succ.inj' (h : succ n = succ m) : n = m := Nat.noConfusion h id
theorem succ_inj : succ a = succ b ↔ a = b := ⟨succ.inj', congrArg succ⟩
theorem add_one_inj : a + 1 = b + 1 ↔ a = b := succ_inj
theorem succ_ne_self (n : Nat) : succ n ≠ n := by
  induction n with
  | zero => exact succ_ne_zero 0
  | succ n ih => exact fun h => ih (succ.inj' h)
theorem add_one_ne_self (n : Nat) : n + 1 ≠ n := succ_ne_self n
theorem eq_zero_or_eq_succ_pred : ∀ n : Nat, n = 0 ∨ n = succ (pred n)
  | 0 => Or.inl rfl
  | _ + 1 => Or.inr rfl
@[simp] theorem pred_zero : pred 0 = 0 := rfl
@[simp] theorem pred_succ (n : Nat) : pred (succ n) = n := rfl
theorem exists_eq_succ_of_ne_zero : ∀ {n : Nat}, n ≠ 0 → ∃ k, n = succ k
  | 0, h => absurd rfl h
  | k + 1, _ => ⟨k, rfl⟩
protected theorem add_left_cancel : n + m = n + k → m = k := by
  induction n with
  | zero => rw [Nat.zero_add, Nat.zero_add]; exact id
  | succ n ih => rw [Nat.add_one_add, Nat.add_one_add]; exact fun h => ih (succ.inj' h)
protected theorem add_right_cancel (h : n + m = k + m) : n = k := by
  rw [Nat.add_comm n, Nat.add_comm k] at h
  exact Nat.add_left_cancel h
@[simp] protected theorem add_left_cancel_iff : n + m = n + k ↔ m = k :=
  ⟨Nat.add_left_cancel, congrArg (n + ·)⟩
@[simp] protected theorem add_right_cancel_iff : m + n = k + n ↔ m = k :=
  ⟨Nat.add_right_cancel, congrArg (· + n)⟩
theorem eq_zero_of_add_eq_zero : ∀ {n m : Nat}, n + m = 0 → n = 0 ∧ m = 0
  | _, 0, h => ⟨h, rfl⟩
  | n, m + 1, h => absurd h (succ_ne_zero (n + m))
protected theorem eq_zero_of_add_eq_zero_left (h : n + m = 0) : m = 0 :=
  (eq_zero_of_add_eq_zero h).2
protected theorem eq_zero_of_add_eq_zero_right (h : n + m = 0) : n = 0 :=
  (eq_zero_of_add_eq_zero h).1
@[simp] theorem add_eq_zero_iff : n + m = 0 ↔ n = 0 ∧ m = 0 :=
  ⟨eq_zero_of_add_eq_zero, fun ⟨h, k⟩ => by rw [h, k]⟩
@[simp] protected theorem add_eq_left : a + b = a ↔ b = 0 :=
  ⟨fun h => Nat.add_left_cancel (n := a) h, fun h => by rw [h]; rfl⟩
@[simp] protected theorem add_eq_right : a + b = b ↔ a = 0 := by
  rw [Nat.add_comm]; exact Nat.add_eq_left
@[simp] protected theorem left_eq_add : a = a + b ↔ b = 0 := by
  rw [eq_comm]; exact Nat.add_eq_left
@[simp] protected theorem right_eq_add : b = a + b ↔ a = 0 := by
  rw [eq_comm]; exact Nat.add_eq_right

/-! multiplication -/
@[simp] protected theorem mul_zero (n : Nat) : n * 0 = 0 := rfl
theorem mul_succ (n m : Nat) : n * succ m = n * m + n := rfl
theorem mul_add_one (n m : Nat) : n * (m + 1) = n * m + n := rfl
@[simp] protected theorem zero_mul (n : Nat) : 0 * n = 0 := by
  induction n with
  | zero => rfl
  | succ n ih => rw [mul_add_one, ih]
theorem succ_mul (n m : Nat) : succ n * m = n * m + m := by
  induction m with
  | zero => rfl
  | succ m ih =>
    rw [mul_add_one, ih, mul_add_one, Nat.add_assoc, Nat.add_assoc]
    exact congrArg (n * m + ·) (congrArg succ (Nat.add_comm m n))
theorem add_one_mul (n m : Nat) : (n + 1) * m = n * m + m := succ_mul n m
protected theorem mul_comm (n m : Nat) : n * m = m * n := by
  induction n with
  | zero => exact Nat.zero_mul m
  | succ n ih => rw [add_one_mul, mul_add_one, ih]
@[simp] protected theorem mul_one (n : Nat) : n * 1 = n := Nat.zero_add n
@[simp] protected theorem one_mul (n : Nat) : 1 * n = n := by rw [Nat.mul_comm, Nat.mul_one]
protected theorem mul_two (n : Nat) : n * 2 = n + n := by rw [mul_succ, Nat.mul_one]
protected theorem two_mul (n : Nat) : 2 * n = n + n := by rw [Nat.mul_comm, Nat.mul_two]
protected theorem left_distrib (n m k : Nat) : n * (m + k) = n * m + n * k := by
  induction k with
  | zero => rfl
  | succ k ih => rw [← Nat.add_assoc, mul_add_one, ih, mul_add_one, Nat.add_assoc]
protected theorem mul_add (n m k : Nat) : n * (m + k) = n * m + n * k := Nat.left_distrib n m k
protected theorem right_distrib (n m k : Nat) : (n + m) * k = n * k + m * k := by
  rw [Nat.mul_comm, Nat.mul_add, Nat.mul_comm k, Nat.mul_comm k]
protected theorem add_mul (n m k : Nat) : (n + m) * k = n * k + m * k := Nat.right_distrib n m k
protected theorem mul_assoc (n m k : Nat) : n * m * k = n * (m * k) := by
  induction k with
  | zero => rfl
  | succ k ih => rw [mul_add_one, mul_add_one, Nat.mul_add, ih]
protected theorem mul_left_comm (n m k : Nat) : n * (m * k) = m * (n * k) := by
  rw [← Nat.mul_assoc, ← Nat.mul_assoc, Nat.mul_comm n m]
protected theorem mul_right_comm (n m k : Nat) : n * m * k = n * k * m := by
  rw [Nat.mul_assoc, Nat.mul_assoc, Nat.mul_comm m k]
protected theorem mul_mul_mul_comm (a b c d : Nat) : (a * b) * (c * d) = (a * c) * (b * d) := by
  rw [Nat.mul_assoc, Nat.mul_assoc, Nat.mul_left_comm b]
protected theorem add_add_add_comm (a b c d : Nat) : (a + b) + (c + d) = (a + c) + (b + d) := by
  rw [Nat.add_assoc, Nat.add_assoc, Nat.add_left_comm b]
theorem eq_zero_of_mul_eq_zero : ∀ {n m : Nat}, n * m = 0 → n = 0 ∨ m = 0
  | 0, _, _ => Or.inl rfl
  | _, 0, _ => Or.inr rfl
  | n + 1, m + 1, h => absurd h (succ_ne_zero ((n + 1) * m + n))
@[simp] protected theorem mul_eq_zero : n * m = 0 ↔ n = 0 ∨ m = 0 :=
  ⟨eq_zero_of_mul_eq_zero, fun h => h.elim (fun e => by rw [e, Nat.zero_mul])
    (fun e => by rw [e]; rfl)⟩

/-! powers -/
@[simp] protected theorem pow_zero (b : Nat) : b ^ 0 = 1 := rfl
protected theorem pow_succ (b n : Nat) : b ^ succ n = b ^ n * b := rfl
protected theorem pow_add_one (b n : Nat) : b ^ (n + 1) = b ^ n * b := rfl
@[simp] protected theorem pow_one (b : Nat) : b ^ 1 = b := Nat.one_mul b
protected theorem pow_two (b : Nat) : b ^ 2 = b * b := by rw [Nat.pow_succ, Nat.pow_one]
@[simp] protected theorem one_pow (n : Nat) : 1 ^ n = 1 := by
  induction n with
  | zero => rfl
  | succ n ih => rw [Nat.pow_add_one, ih]
protected theorem zero_pow {n : Nat} (h : n ≠ 0) : 0 ^ n = 0 := by
  cases n with
  | zero => exact absurd rfl h
  | succ n => rfl
protected theorem pow_add (a m n : Nat) : a ^ (m + n) = a ^ m * a ^ n := by
  induction n with
  | zero => exact (Nat.mul_one _).symm
  | succ n ih => rw [← Nat.add_assoc, Nat.pow_add_one, ih, Nat.pow_add_one, Nat.mul_assoc]
protected theorem mul_pow (a b n : Nat) : (a * b) ^ n = a ^ n * b ^ n := by
  induction n with
  | zero => rfl
  | succ n ih => rw [Nat.pow_add_one, ih, Nat.pow_add_one, Nat.pow_add_one, Nat.mul_mul_mul_comm]
protected theorem pow_mul (a m n : Nat) : a ^ (m * n) = (a ^ m) ^ n := by
  induction n with
  | zero => rfl
  | succ n ih => rw [mul_add_one, Nat.pow_add, ih, Nat.pow_add_one]
end Nat
