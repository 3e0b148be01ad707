/-! Division with remainder, divisibility, greatest common divisors; proofs of `simp`'s arithmetic
on literals. -/

namespace Nat
variable {n m k a b c d q r : Nat}
@[simp] theorem zero_mod (m : Nat) : 0 % m = 0 := rfl
@[simp] theorem zero_div (m : Nat) : 0 / m = 0 := rfl
theorem add_one_mod (n m : Nat) : (n + 1) % m = if n % m + 1 = m then 0 else n % m + 1 := rfl
theorem add_one_div (n m : Nat) : (n + 1) / m = if n % m + 1 = m then n / m + 1 else n / m := rfl
theorem mod_lt (n : Nat) (h : m > 0) : n % m < m := by
  induction n with
  | zero => exact h
  | succ n ih =>
    rw [add_one_mod]
    split
    · exact h
    · rename_i g; exact Nat.lt_of_le_of_ne ih g
theorem div_add_mod (n m : Nat) : m * (n / m) + n % m = n := by
  induction n with
  | zero => rw [zero_div, zero_mod, Nat.mul_zero]
  | succ n ih =>
    rw [add_one_mod, add_one_div]
    split
    · rename_i g
      rw [mul_add_one, Nat.add_zero]
      exact (congrArg (m * (n / m) + ·) g.symm).trans (congrArg succ ih)
    · rw [← Nat.add_assoc, ih]
theorem mod_add_div (n m : Nat) : n % m + m * (n / m) = n := by rw [Nat.add_comm, div_add_mod]
@[simp] theorem mod_one (n : Nat) : n % 1 = 0 := lt_one_iff.mp (mod_lt n one_pos)
@[simp] theorem mod_zero (n : Nat) : n % 0 = n := by
  have h := div_add_mod n 0
  rw [Nat.zero_mul, Nat.zero_add] at h; exact h
theorem mod_le (n m : Nat) : n % m ≤ n :=
  Nat.le_trans (le_add_left _ _) (Nat.le_of_eq (div_add_mod n m))
-- quotient and remainder are the only ones with the remainder below the divisor
theorem div_mod_unique' (hr : r < m) (h : m * q + r = n) : n / m = q ∧ n % m = r := by
  have hm : 0 < m := Nat.lt_of_le_of_lt (zero_le r) hr
  have e : m * (n / m) + n % m = m * q + r := (div_add_mod n m).trans h.symm
  have not_lt : ∀ {x y s t : Nat}, s < m → m * x + s = m * y + t → ¬x < y := by
    intro x y s t hs e h
    have h₁ : m * x + m ≤ m * y := Nat.mul_le_mul_left m h
    have h₂ : m * x + s < m * y + t :=
      Nat.lt_of_lt_of_le (Nat.add_lt_add_left hs _) (Nat.le_trans h₁ (le_add_right _ t))
    exact Nat.ne_of_lt h₂ e
  have hq : n / m = q := Nat.le_antisymm (Nat.le_of_not_lt (not_lt hr e.symm))
    (Nat.le_of_not_lt (not_lt (mod_lt n hm) e))
  rw [hq] at e
  exact ⟨hq, Nat.add_left_cancel e⟩
theorem mod_eq_of_lt (h : n < m) : n % m = n :=
  (div_mod_unique' h (q := 0) (by rw [Nat.mul_zero, Nat.zero_add])).2
theorem div_eq_of_lt (h : n < m) : n / m = 0 :=
  (div_mod_unique' h (q := 0) (by rw [Nat.mul_zero, Nat.zero_add])).1
@[simp] theorem mod_self (n : Nat) : n % n = 0 := by
  cases n with
  | zero => rfl
  | succ n => exact (div_mod_unique' (zero_lt_succ n) (q := 1) (Nat.mul_one _)).2
@[simp] theorem div_one (n : Nat) : n / 1 = n :=
  (div_mod_unique' one_pos (q := n) (Nat.one_mul n)).1
@[simp] theorem div_zero (n : Nat) : n / 0 = 0 := by
  induction n with
  | zero => rfl
  | succ n ih => rw [add_one_div, if_neg (add_one_ne_zero _), ih]
theorem div_self (h : 0 < n) : n / n = 1 := (div_mod_unique' h (q := 1) (Nat.mul_one n)).1
theorem mul_add_mod_of_lt (h : r < m) (q : Nat) : (m * q + r) % m = r := (div_mod_unique' h rfl).2
theorem mul_add_div_of_lt (h : r < m) (q : Nat) : (m * q + r) / m = q := (div_mod_unique' h rfl).1
@[simp] theorem mul_mod_right (m n : Nat) : (m * n) % m = 0 := by
  cases m with
  | zero => rw [Nat.zero_mul, zero_mod]
  | succ m => exact mul_add_mod_of_lt (zero_lt_succ m) n
@[simp] theorem mul_mod_left (m n : Nat) : (m * n) % n = 0 := by rw [Nat.mul_comm, mul_mod_right]
protected theorem mul_div_cancel_left (m : Nat) (h : 0 < n) : n * m / n = m := mul_add_div_of_lt h m
protected theorem mul_div_cancel (m : Nat) (h : 0 < n) : m * n / n = m := by
  rw [Nat.mul_comm, Nat.mul_div_cancel_left m h]
@[simp] theorem add_mul_mod_self_left (x y z : Nat) : (x + y * z) % y = x % y := by
  cases eq_zero_or_pos y with
  | inl h => rw [h, Nat.zero_mul, Nat.add_zero]
  | inr h =>
    have e : y * (x / y + z) + x % y = x + y * z := by
      rw [Nat.mul_add, Nat.add_right_comm, div_add_mod]
    exact (div_mod_unique' (mod_lt x h) e).2
@[simp] theorem add_mul_mod_self_right (x y z : Nat) : (x + y * z) % z = x % z := by
  rw [Nat.mul_comm, add_mul_mod_self_left]
@[simp] theorem add_mod_right (x z : Nat) : (x + z) % z = x % z := by
  have h := add_mul_mod_self_left x z 1
  rw [Nat.mul_one] at h; exact h
@[simp] theorem add_mod_left (x z : Nat) : (x + z) % x = z % x :=
  by rw [Nat.add_comm, add_mod_right]
@[simp] theorem mod_mod (a n : Nat) : a % n % n = a % n := by
  have e := add_mul_mod_self_left (a % n) n (a / n)
  rw [mod_add_div] at e; exact e.symm
@[simp] theorem mod_add_mod (m n k : Nat) : (m % n + k) % n = (m + k) % n := by
  have e := add_mul_mod_self_left (m % n + k) n (m / n)
  rw [Nat.add_right_comm, mod_add_div] at e; exact e.symm
@[simp] theorem add_mod_mod (m n k : Nat) : (m + n % k) % k = (m + n) % k := by
  rw [Nat.add_comm, mod_add_mod, Nat.add_comm]
theorem add_mod (a b n : Nat) : (a + b) % n = (a % n + b % n) % n := by
  rw [mod_add_mod, add_mod_mod]
@[simp] theorem mod_mul_mod (a b c : Nat) : (a % c * b) % c = (a * b) % c := by
  have e := add_mul_mod_self_left (a % c * b) c (a / c * b)
  rw [← Nat.mul_assoc, ← Nat.add_mul, mod_add_div] at e; exact e.symm
theorem mul_mod (a b n : Nat) : (a * b) % n = (a % n) * (b % n) % n := by
  rw [mod_mul_mod, Nat.mul_comm a (b % n), mod_mul_mod, Nat.mul_comm a b]
theorem mod_two_eq_zero_or_one (n : Nat) : n % 2 = 0 ∨ n % 2 = 1 :=
  match n % 2, mod_lt n two_pos with
  | 0, _ => Or.inl rfl
  | 1, _ => Or.inr rfl
  | k + 2, h => absurd (lt_of_succ_lt_succ (lt_of_succ_lt_succ h)) (not_lt_zero k)
theorem mod_two_ne_zero : n % 2 ≠ 0 ↔ n % 2 = 1 :=
  ⟨(mod_two_eq_zero_or_one n).resolve_left, fun h e => zero_ne_one (e.symm.trans h)⟩

theorem succ_mod_two_eq_zero_iff : (n + 1) % 2 = 0 ↔ n % 2 = 1 := by
  rw [add_mod]
  cases mod_two_eq_zero_or_one n with
  | inl h => rw [h]; simp
  | inr h => rw [h]; simp
theorem succ_mod_two_eq_one_iff : (n + 1) % 2 = 1 ↔ n % 2 = 0 := by
  rw [add_mod]
  cases mod_two_eq_zero_or_one n with
  | inl h => rw [h]; simp
  | inr h => rw [h]; simp

/-! divisibility -/
protected theorem dvd_refl (a : Nat) : a ∣ a := ⟨1, (Nat.mul_one a).symm⟩
protected theorem dvd_zero (a : Nat) : a ∣ 0 := ⟨0, rfl⟩
protected theorem one_dvd (n : Nat) : 1 ∣ n := ⟨n, (Nat.one_mul n).symm⟩
protected theorem dvd_mul_right (a b : Nat) : a ∣ a * b := ⟨b, rfl⟩
protected theorem dvd_mul_left (a b : Nat) : a ∣ b * a := ⟨b, Nat.mul_comm b a⟩
protected theorem dvd_trans (h₁ : a ∣ b) (h₂ : b ∣ c) : a ∣ c :=
  match h₁, h₂ with
  | ⟨x, hx⟩, ⟨y, hy⟩ => ⟨x * y, by rw [hy, hx, Nat.mul_assoc]⟩
instance instTransDvd : Trans (α := Nat) Dvd.dvd Dvd.dvd Dvd.dvd := ⟨Nat.dvd_trans⟩
protected theorem dvd_add (h₁ : k ∣ m) (h₂ : k ∣ n) : k ∣ m + n :=
  match h₁, h₂ with
  | ⟨x, hx⟩, ⟨y, hy⟩ => ⟨x + y, by rw [hx, hy, Nat.mul_add]⟩
protected theorem dvd_mul_right_of_dvd (h : a ∣ b) (c : Nat) : a ∣ b * c :=
  Nat.dvd_trans h (Nat.dvd_mul_right b c)
protected theorem dvd_mul_left_of_dvd (h : a ∣ b) (c : Nat) : a ∣ c * b :=
  Nat.dvd_trans h (Nat.dvd_mul_left b c)
protected theorem mul_dvd_mul (h₁ : a ∣ b) (h₂ : c ∣ d) : a * c ∣ b * d :=
  match h₁, h₂ with
  | ⟨x, hx⟩, ⟨y, hy⟩ => ⟨x * y, by rw [hx, hy, Nat.mul_mul_mul_comm]⟩
protected theorem dvd_sub (h₁ : k ∣ m) (h₂ : k ∣ n) : k ∣ m - n :=
  match h₁, h₂ with
  | ⟨x, hx⟩, ⟨y, hy⟩ => ⟨x - y, by rw [hx, hy, Nat.mul_sub]⟩
protected theorem dvd_add_right (h : k ∣ m) : k ∣ m + n ↔ k ∣ n :=
  ⟨fun g => Nat.add_sub_cancel_left m n ▸ Nat.dvd_sub g h, Nat.dvd_add h⟩
theorem eq_zero_of_zero_dvd (h : 0 ∣ a) : a = 0 := h.elim fun c e => e.trans (Nat.zero_mul c)
@[simp] protected theorem zero_dvd {n : Nat} : 0 ∣ n ↔ n = 0 :=
  ⟨eq_zero_of_zero_dvd, fun h => h ▸ Nat.dvd_refl 0⟩
theorem le_of_dvd (h₁ : 0 < n) : m ∣ n → m ≤ n := fun ⟨c, e⟩ =>
  match c, e with
  | 0, e => absurd e (Nat.ne_of_gt h₁)
  | c + 1, e => e ▸ le_mul_of_pos_right m (zero_lt_succ c)
protected theorem dvd_antisymm (h₁ : m ∣ n) (h₂ : n ∣ m) : m = n := by
  cases eq_zero_or_pos n with
  | inl h => rw [h] at h₂ ⊢; exact eq_zero_of_zero_dvd h₂
  | inr h =>
    cases eq_zero_or_pos m with
    | inl g => rw [g] at h₁; exact absurd (eq_zero_of_zero_dvd h₁) (Nat.ne_of_gt h)
    | inr g => exact Nat.le_antisymm (le_of_dvd h h₁) (le_of_dvd g h₂)
theorem mod_eq_zero_of_dvd (h : k ∣ n) : n % k = 0 := h.elim fun c e => by rw [e, mul_mod_right]
theorem dvd_of_mod_eq_zero (h : n % k = 0) : k ∣ n :=
  ⟨n / k, by have e := div_add_mod n k; rw [h, Nat.add_zero] at e; exact e.symm⟩
theorem dvd_iff_mod_eq_zero : k ∣ n ↔ n % k = 0 := ⟨mod_eq_zero_of_dvd, dvd_of_mod_eq_zero⟩
instance decidable_dvd : (a b : Nat) → Decidable (a ∣ b) := fun _ _ =>
  decidable_of_iff _ dvd_iff_mod_eq_zero.symm
protected theorem mul_div_cancel' (h : n ∣ m) : n * (m / n) = m := by
  have e := div_add_mod m n
  rw [mod_eq_zero_of_dvd h, Nat.add_zero] at e; exact e
protected theorem div_mul_cancel (h : n ∣ m) : m / n * n = m := by
  rw [Nat.mul_comm, Nat.mul_div_cancel' h]
theorem div_le_self (n k : Nat) : n / k ≤ n := by
  cases eq_zero_or_pos k with
  | inl h => rw [h, div_zero]; exact zero_le n
  | inr h =>
    have e : k * (n / k) ≤ n := Nat.le_trans (le_add_right _ _) (Nat.le_of_eq (div_add_mod n k))
    exact Nat.le_trans (le_mul_of_pos_left _ h) e
theorem div_mul_le_self (m n : Nat) : m / n * n ≤ m := by
  rw [Nat.mul_comm]
  exact Nat.le_trans (le_add_right _ _) (Nat.le_of_eq (div_add_mod m n))
theorem div_lt_self (h₁ : 0 < n) (h₂ : 1 < k) : n / k < n := by
  cases eq_zero_or_pos (n / k) with
  | inl h => rw [h]; exact h₁
  | inr h =>
    have e : n / k * 1 < n / k * k := Nat.mul_lt_mul_of_pos_left h₂ h
    rw [Nat.mul_one] at e
    exact Nat.lt_of_lt_of_le e (div_mul_le_self n k)
theorem div_mod_unique (h : 0 < b) : a / b = d ∧ a % b = c ↔ c + b * d = a ∧ c < b :=
  ⟨fun ⟨hd, hc⟩ => hd ▸ hc ▸ ⟨mod_add_div a b, mod_lt a h⟩,
   fun ⟨e, g⟩ => div_mod_unique' g (by rw [Nat.add_comm]; exact e)⟩

/-! greatest common divisors: what the steps give -/
@[simp] theorem gcd_zero_left (b : Nat) : gcd 0 b = b := rfl
theorem gcd_add_one_zero (a : Nat) : gcd (a + 1) 0 = a + 1 := rfl
@[simp] theorem gcd_zero_right (a : Nat) : gcd a 0 = a := by
  cases a with
  | zero => rfl
  | succ a => rfl
@[simp] theorem gcd_self (a : Nat) : gcd a a = a := by
  cases a with
  | zero => rfl
  | succ a =>
    show gcdSteps (a + 1) ((a + 1) % (a + 1)) (a + 1) = a + 1
    rw [mod_self]; rfl
theorem gcdSteps_enough : ∀ {s t a b : Nat}, a < s → a < t → gcdSteps s a b = gcdSteps t a b
  | 0, _, _, _, h, _ => absurd h (not_lt_zero _)
  | _, 0, _, _, _, h => absurd h (not_lt_zero _)
  | s + 1, t + 1, a, b, h, g => by
    rw [gcdSteps, gcdSteps]
    split
    · rfl
    · rename_i n
      have r : b % a < a := mod_lt b (pos_of_ne_zero n)
      exact gcdSteps_enough (Nat.lt_of_lt_of_le r (le_of_lt_succ h))
        (Nat.lt_of_lt_of_le r (le_of_lt_succ g))
theorem gcd_rec (a b : Nat) : gcd a b = gcd (b % a) a := by
  cases a with
  | zero => rw [gcd_zero_left, gcd_zero_right, mod_zero]
  | succ a => exact gcdSteps_enough (mod_lt b (zero_lt_succ a)) (lt_succ_self _)
theorem gcd_dvd (a : Nat) : ∀ b, gcd a b ∣ a ∧ gcd a b ∣ b :=
  Nat.strongRecOn' a fun a ih b => by
    cases eq_zero_or_pos a with
    | inl h => rw [h, gcd_zero_left]; exact ⟨Nat.dvd_zero b, Nat.dvd_refl b⟩
    | inr h =>
      obtain ⟨h₁, h₂⟩ := ih (b % a) (mod_lt b h) a
      rw [gcd_rec]
      refine ⟨h₂, ?_⟩
      have e := Nat.dvd_add (Nat.dvd_mul_right_of_dvd h₂ (b / a)) h₁
      rw [div_add_mod] at e; exact e
theorem gcd_dvd_left (a b : Nat) : gcd a b ∣ a := (gcd_dvd a b).1
theorem gcd_dvd_right (a b : Nat) : gcd a b ∣ b := (gcd_dvd a b).2
theorem dvd_mod (h : k ∣ m) (g : k ∣ n) : k ∣ m % n := by
  have e := div_add_mod m n
  rw [← e] at h
  exact (Nat.dvd_add_right (Nat.dvd_mul_right_of_dvd g (m / n))).mp h
theorem dvd_gcd : k ∣ m → k ∣ n → k ∣ gcd m n := by
  have all : ∀ m, ∀ n, k ∣ m → k ∣ n → k ∣ gcd m n := fun m =>
    Nat.strongRecOn' m fun m ih n h g => by
      cases eq_zero_or_pos m with
      | inl e => rw [e, gcd_zero_left]; exact g
      | inr e => rw [gcd_rec]; exact ih (n % m) (mod_lt n e) m (dvd_mod g h) h
  exact all m n
theorem dvd_gcd_iff : k ∣ gcd m n ↔ k ∣ m ∧ k ∣ n :=
  ⟨fun h => ⟨Nat.dvd_trans h (gcd_dvd_left m n), Nat.dvd_trans h (gcd_dvd_right m n)⟩,
   fun h => dvd_gcd h.1 h.2⟩
theorem gcd_comm (m n : Nat) : gcd m n = gcd n m :=
  Nat.dvd_antisymm (dvd_gcd (gcd_dvd_right m n) (gcd_dvd_left m n))
    (dvd_gcd (gcd_dvd_right n m) (gcd_dvd_left n m))
theorem gcd_assoc (m n k : Nat) : gcd (gcd m n) k = gcd m (gcd n k) :=
  Nat.dvd_antisymm
    (dvd_gcd (Nat.dvd_trans (gcd_dvd_left _ _) (gcd_dvd_left _ _))
      (dvd_gcd (Nat.dvd_trans (gcd_dvd_left _ _) (gcd_dvd_right _ _)) (gcd_dvd_right _ _)))
    (dvd_gcd
      (dvd_gcd (gcd_dvd_left _ _) (Nat.dvd_trans (gcd_dvd_right _ _) (gcd_dvd_left _ _)))
      (Nat.dvd_trans (gcd_dvd_right _ _) (gcd_dvd_right _ _)))
@[simp] theorem gcd_one_right (n : Nat) : gcd n 1 = 1 := by
  rw [gcd_comm]
  show gcdSteps 1 (n % 1) 1 = 1
  rw [mod_one]; rfl
@[simp] theorem gcd_one_left (b : Nat) : gcd 1 b = 1 := by
  show gcdSteps 1 (b % 1) 1 = 1
  rw [mod_one]; rfl

end Nat

/-! What the binary's arithmetic on literals inside `simp` names as its proofs. -/
section
theorem Nat.dvd_eq_true_of_mod_eq_zero {m n : Nat} (h : n % m == 0) : (m ∣ n) = True :=
  eq_true (Nat.dvd_of_mod_eq_zero (of_decide_eq_true h))
theorem Nat.dvd_eq_false_of_mod_ne_zero {m n : Nat} (h : n % m != 0) : (m ∣ n) = False :=
  eq_false fun g => Bool.noConfusion
    (h.symm.trans (congrArg not (decide_eq_true (Nat.mod_eq_zero_of_dvd g))))
namespace Nat.Simproc
variable {a a' b b' c d n : Nat}
theorem sub_add_eq_comm (a b c : Nat) : a - (b + c) = a - c - b := by
  rw [Nat.add_comm b, Nat.sub_add_eq]
theorem add_sub_add_le (a c : Nat) {b d : Nat} (h : b ≤ d) :
    a + b - (c + d) = a - (c + (d - b)) := by
  cases Nat.exists_eq_add_of_le h with
  | intro k e =>
    rw [e, Nat.add_sub_cancel_left, Nat.add_left_comm c, Nat.add_comm a, Nat.add_sub_add_left]
theorem add_sub_add_ge (a c : Nat) {b d : Nat} (h : b ≥ d) : a + b - (c + d) = a + (b - d) - c := by
  rw [Nat.add_comm c d, Nat.sub_add_eq, Nat.add_sub_assoc h]
theorem add_sub_le (a : Nat) {b c : Nat} (h : b ≤ c) : a + b - c = a - (c - b) := by
  have e := add_sub_add_le a 0 h
  rw [Nat.zero_add, Nat.zero_add] at e; exact e
theorem add_eq_gt (a : Nat) {b c : Nat} (h : b > c) : (a + b = c) = False :=
  eq_false fun e => Nat.not_le_of_gt h (Nat.le.intro ((Nat.add_comm b a).trans e))
theorem eq_add_gt (a : Nat) {b c : Nat} (h : c > a) : (a = b + c) = False := by
  rw [propext (eq_comm (a := a))]; exact add_eq_gt b h
theorem add_eq_add_le (a c : Nat) {b d : Nat} (h : b ≤ d) :
    (a + b = c + d) = (a = c + (d - b)) := by
  cases Nat.exists_eq_add_of_le' h with
  | intro k e =>
    rw [e, Nat.add_sub_cancel, ← Nat.add_assoc]; exact propext Nat.add_right_cancel_iff
theorem add_eq_add_ge (a c : Nat) {b d : Nat} (h : b ≥ d) :
    (a + b = c + d) = (a + (b - d) = c) := by
  rw [propext (eq_comm (a := a + b)), add_eq_add_le c a h, propext (eq_comm (a := c))]
theorem add_eq_le (a : Nat) {b c : Nat} (h : b ≤ c) : (a + b = c) = (a = c - b) := by
  have e := add_eq_add_le a 0 h
  rw [Nat.zero_add, Nat.zero_add] at e; exact e
theorem eq_add_le {a : Nat} (b : Nat) {c : Nat} (h : c ≤ a) : (a = b + c) = (b = a - c) := by
  rw [propext (eq_comm (a := a))]; exact add_eq_le b h
theorem add_le_add_le (a c : Nat) {b d : Nat} (h : b ≤ d) :
    (a + b ≤ c + d) = (a ≤ c + (d - b)) := by
  cases Nat.exists_eq_add_of_le' h with
  | intro k e =>
    rw [e, Nat.add_sub_cancel, ← Nat.add_assoc]; exact propext Nat.add_le_add_iff_right
theorem add_le_add_ge (a c : Nat) {b d : Nat} (h : b ≥ d) :
    (a + b ≤ c + d) = (a + (b - d) ≤ c) := by
  cases Nat.exists_eq_add_of_le' h with
  | intro k e =>
    rw [e, Nat.add_sub_cancel, ← Nat.add_assoc]; exact propext Nat.add_le_add_iff_right
theorem add_le_le (a : Nat) {b c : Nat} (h : b ≤ c) : (a + b ≤ c) = (a ≤ c - b) := by
  have e := add_le_add_le a 0 h
  rw [Nat.zero_add, Nat.zero_add] at e; exact e
theorem add_le_gt (a : Nat) {b c : Nat} (h : b > c) : (a + b ≤ c) = False :=
  eq_false fun e => Nat.not_le_of_gt h (Nat.le_trans (Nat.le_add_left b a) e)
theorem le_add_le (a : Nat) {b c : Nat} (h : a ≤ c) : (a ≤ b + c) = True :=
  eq_true (Nat.le_trans h (Nat.le_add_left c b))
theorem le_add_ge (a : Nat) {b c : Nat} (h : a ≥ c) : (a ≤ b + c) = (a - c ≤ b) :=
  propext Nat.sub_le_iff_le_add.symm
theorem beqEqOfEqEq {a b c d : Nat} (h : (a = b) = (c = d)) : (a == b) = (c == d) := by
  show decide (a = b) = decide (c = d)
  have e : (a = b) ↔ (c = d) := iff_of_eq h
  cases Nat.decEq c d with
  | isTrue k => rw [decide_eq_true k, decide_eq_true (e.mpr k)]
  | isFalse k => rw [decide_eq_false k, decide_eq_false (mt e.mp k)]
theorem beqFalseOfEqFalse {a b : Nat} (h : (a = b) = False) : (a == b) = false :=
  decide_eq_false (of_eq_false h)
theorem bneEqOfEqEq {a b c d : Nat} (h : (a = b) = (c = d)) : (a != b) = (c != d) :=
  congrArg not (beqEqOfEqEq h)
theorem bneTrueOfEqFalse {a b : Nat} (h : (a = b) = False) : (a != b) = true :=
  congrArg not (beqFalseOfEqFalse h)
end Nat.Simproc
end
