/-! Lists: members, filters, parts, counting, permutations; characters and strings. -/

namespace List
variable {α : Type u} {β : Type v} {γ : Type w}
variable {a b c : α} {as bs cs l l₁ l₂ : List α} {p q : α → Bool} {n m : Nat}

/-! membership -/
@[simp] theorem not_mem_nil : ¬a ∈ ([] : List α) := fun h => nomatch h
@[simp] theorem mem_cons : a ∈ b :: l ↔ a = b ∨ a ∈ l :=
  ⟨fun h => by
    cases h with
    | head => exact Or.inl rfl
    | tail _ h => exact Or.inr h,
   fun h => h.elim (fun e => e ▸ Mem.head l) (Mem.tail b)⟩
theorem mem_cons_self : a ∈ a :: l := Mem.head l
theorem mem_cons_of_mem (b : α) (h : a ∈ l) : a ∈ b :: l := Mem.tail b h
theorem mem_singleton_self (a : α) : a ∈ [a] := Mem.head []
theorem mem_singleton : a ∈ [b] ↔ a = b := by simp
theorem eq_or_mem_of_mem_cons (h : a ∈ b :: l) : a = b ∨ a ∈ l := mem_cons.mp h
theorem ne_nil_of_mem (h : a ∈ l) : l ≠ [] := by
  cases h <;> exact cons_ne_nil _ _
@[simp] theorem mem_append : a ∈ as ++ bs ↔ a ∈ as ∨ a ∈ bs := by
  induction as with
  | nil => simp
  | cons b as ih => rw [cons_append, mem_cons, ih, mem_cons, propext or_assoc]
theorem mem_append_left (bs : List α) (h : a ∈ as) : a ∈ as ++ bs := mem_append.mpr (Or.inl h)
theorem mem_append_right (as : List α) (h : a ∈ bs) : a ∈ as ++ bs := mem_append.mpr (Or.inr h)
@[simp] theorem mem_map {f : α → β} {b : β} : b ∈ l.map f ↔ ∃ a, a ∈ l ∧ f a = b := by
  induction l with
  | nil => simp
  | cons c l ih =>
    rw [map_cons, mem_cons, ih]
    constructor
    · rintro (h | ⟨a, h, e⟩)
      · exact ⟨c, Mem.head l, h.symm⟩
      · exact ⟨a, Mem.tail c h, e⟩
    · rintro ⟨a, h, e⟩
      cases h with
      | head => exact Or.inl e.symm
      | tail _ h => exact Or.inr ⟨a, h, e⟩
theorem mem_map_of_mem {f : α → β} (h : a ∈ l) : f a ∈ l.map f := mem_map.mpr ⟨a, h, rfl⟩
@[simp] theorem mem_reverse : a ∈ l.reverse ↔ a ∈ l := by
  induction l with
  | nil => exact Iff.rfl
  | cons b l ih => rw [reverse_cons, mem_append, ih, mem_singleton, mem_cons]; exact or_comm
theorem exists_append_of_mem (h : a ∈ l) : ∃ s t, l = s ++ a :: t := by
  induction h with
  | head as => exact ⟨[], as, rfl⟩
  | tail b _ ih =>
    obtain ⟨s, t, e⟩ := ih
    exact ⟨b :: s, t, congrArg (b :: ·) e⟩
theorem append_of_mem (h : a ∈ l) : ∃ s t, l = s ++ a :: t := exists_append_of_mem h
theorem mem_replicate : b ∈ replicate n a ↔ n ≠ 0 ∧ b = a := by
  induction n with
  | zero => simp [replicate]
  | succ n ih =>
    rw [replicate, mem_cons, ih]
    exact ⟨fun h => ⟨Nat.add_one_ne_zero n, h.elim id And.right⟩, fun h => Or.inl h.2⟩
theorem forall_mem_nil (p : α → Prop) : ∀ x, x ∈ ([] : List α) → p x := fun _ h => nomatch h
@[simp] theorem forall_mem_cons {p : α → Prop} :
    (∀ x, x ∈ a :: l → p x) ↔ p a ∧ ∀ x, x ∈ l → p x := by
  simp only [mem_cons, forall_eq_or_imp]
instance instDecidableMemOfLawfulBEq [DecidableEq α] (a : α) : (l : List α) → Decidable (a ∈ l)
  | [] => isFalse not_mem_nil
  | _ :: l =>
    have := instDecidableMemOfLawfulBEq a l
    decidable_of_iff _ mem_cons.symm
instance decidableBAll (p : α → Prop) [DecidablePred p] :
    (l : List α) → Decidable (∀ x, x ∈ l → p x)
  | [] => isTrue (forall_mem_nil p)
  | _ :: l =>
    have := decidableBAll p l
    decidable_of_iff _ forall_mem_cons.symm
theorem exists_mem_cons {p : α → Prop} : (∃ x, x ∈ a :: l ∧ p x) ↔ p a ∨ ∃ x, x ∈ l ∧ p x := by
  constructor
  · rintro ⟨x, h, k⟩
    cases h with
    | head => exact Or.inl k
    | tail _ h => exact Or.inr ⟨x, h, k⟩
  · rintro (h | ⟨x, h, k⟩)
    · exact ⟨a, Mem.head l, h⟩
    · exact ⟨x, Mem.tail a h, k⟩
instance decidableBEx (p : α → Prop) [DecidablePred p] : (l : List α) → Decidable (∃ x, x ∈ l ∧ p x)
  | [] => isFalse fun ⟨_, h, _⟩ => not_mem_nil h
  | _ :: l =>
    have := decidableBEx p l
    decidable_of_iff _ exists_mem_cons.symm

/-! filter, all, any -/
@[simp] theorem filter_nil {p : α → Bool} : filter p [] = [] := rfl
theorem filter_cons : filter p (a :: l) = if p a then a :: filter p l else filter p l := by
  rw [filter]; cases p a <;> rfl
@[simp] theorem filter_cons_of_pos (h : p a = true) : filter p (a :: l) = a :: filter p l := by
  rw [filter, h]
@[simp] theorem filter_cons_of_neg (h : ¬p a = true) : filter p (a :: l) = filter p l := by
  rw [filter, eq_false_of_ne_true h]
@[simp] theorem filter_append : filter p (as ++ bs) = filter p as ++ filter p bs := by
  induction as with
  | nil => rfl
  | cons a as ih =>
    rw [cons_append, filter_cons, ih, filter_cons]
    split <;> rfl
@[simp] theorem mem_filter : a ∈ filter p l ↔ a ∈ l ∧ p a = true := by
  induction l with
  | nil => simp
  | cons b l ih =>
    cases h : p b with
    | true =>
      rw [filter_cons_of_pos h, mem_cons, ih, mem_cons]
      exact ⟨fun k => k.elim (fun e => ⟨Or.inl e, e ▸ h⟩) (And.imp_left Or.inr),
        fun ⟨k, g⟩ => k.imp id fun k => ⟨k, g⟩⟩
    | false =>
      rw [filter_cons_of_neg (ne_true_of_eq_false h), ih, mem_cons]
      exact ⟨And.imp_left Or.inr, fun ⟨k, g⟩ =>
        ⟨k.resolve_left fun e => ne_true_of_eq_false h (e ▸ g), g⟩⟩
theorem length_filter_le (p : α → Bool) (l : List α) : (filter p l).length ≤ l.length := by
  induction l with
  | nil => exact Nat.le_refl 0
  | cons a l ih =>
    rw [filter_cons]
    split
    · exact Nat.succ_le_succ ih
    · exact Nat.le_succ_of_le ih
@[simp] theorem filter_filter : filter p (filter q l) = filter (fun a => p a && q a) l := by
  induction l with
  | nil => rfl
  | cons a l ih => cases hq : q a <;> cases hp : p a <;> simp [filter, hq, hp, ih]
@[simp] theorem all_nil : all [] p = true := rfl
@[simp] theorem all_cons : all (a :: l) p = (p a && all l p) := rfl
@[simp] theorem any_nil : any [] p = false := rfl
@[simp] theorem any_cons : any (a :: l) p = (p a || any l p) := rfl
theorem all_eq_true : l.all p = true ↔ ∀ x, x ∈ l → p x = true := by
  induction l with
  | nil => simp
  | cons a l ih => rw [all_cons, Bool.and_eq_true, ih, forall_mem_cons]
theorem any_eq_true : l.any p = true ↔ ∃ x, x ∈ l ∧ p x = true := by
  induction l with
  | nil => simp
  | cons a l ih => rw [any_cons, Bool.or_eq_true, ih, exists_mem_cons]
@[simp] theorem all_append : (as ++ bs).all p = (as.all p && bs.all p) := by
  induction as with
  | nil => rfl
  | cons a as ih => rw [cons_append, all_cons, ih, all_cons, Bool.and_assoc]
@[simp] theorem any_append : (as ++ bs).any p = (as.any p || bs.any p) := by
  induction as with
  | nil => rfl
  | cons a as ih => rw [cons_append, any_cons, ih, any_cons, Bool.or_assoc]
theorem filter_eq_self : filter p l = l ↔ ∀ a, a ∈ l → p a = true := by
  induction l with
  | nil => simp
  | cons a l ih =>
    cases h : p a with
    | true => rw [filter_cons_of_pos h, cons_inj_right, ih]; simp [h]
    | false =>
      rw [filter_cons_of_neg (ne_true_of_eq_false h)]
      constructor
      · intro e
        have k := length_filter_le p l
        rw [e] at k
        exact absurd k (Nat.not_succ_le_self _)
      · intro f
        exact absurd (f a (Mem.head l)) (ne_true_of_eq_false h)

/-! take, drop, replicate, zip, flatten, heads -/
@[simp] theorem take_zero (l : List α) : l.take 0 = [] := rfl
@[simp] theorem take_nil : ([] : List α).take n = [] := by cases n <;> rfl
@[simp] theorem take_succ_cons : (a :: as).take (n + 1) = a :: as.take n := rfl
@[simp] theorem drop_zero (l : List α) : l.drop 0 = l := rfl
@[simp] theorem drop_nil : ([] : List α).drop n = [] := by cases n <;> rfl
@[simp] theorem drop_succ_cons : (a :: as).drop (n + 1) = as.drop n := rfl
@[simp] theorem take_append_drop (n : Nat) (l : List α) : l.take n ++ l.drop n = l := by
  induction n generalizing l with
  | zero => rfl
  | succ n ih =>
    cases l with
    | nil => rfl
    | cons a l => exact congrArg (a :: ·) (ih l)
@[simp] theorem take_length : l.take l.length = l := by
  induction l with
  | nil => rfl
  | cons a l ih => exact congrArg (a :: ·) ih
@[simp] theorem drop_length : l.drop l.length = [] := by
  induction l with
  | nil => rfl
  | cons a l ih => exact ih
@[simp] theorem drop_drop (i j : Nat) (l : List α) : (l.drop j).drop i = l.drop (j + i) := by
  induction j generalizing l with
  | zero => rw [Nat.zero_add]; rfl
  | succ j ih =>
    cases l with
    | nil => simp
    | cons a l => rw [Nat.add_one_add]; exact ih l
@[simp] theorem replicate_zero (a : α) : replicate 0 a = [] := rfl
theorem replicate_succ : replicate (n + 1) a = a :: replicate n a := rfl
@[simp] theorem replicate_append_replicate :
    replicate n a ++ replicate m a = replicate (n + m) a := by
  induction n with
  | zero => rw [Nat.zero_add]; rfl
  | succ n ih => rw [Nat.add_one_add]; exact congrArg (a :: ·) ih
@[simp] theorem flatten_nil : flatten ([] : List (List α)) = [] := rfl
@[simp] theorem flatten_cons {ls : List (List α)} : flatten (l :: ls) = l ++ flatten ls := rfl
@[simp] theorem flatten_append {ls ms : List (List α)} :
    flatten (ls ++ ms) = flatten ls ++ flatten ms := by
  induction ls with
  | nil => rfl
  | cons l ls ih => rw [cons_append, flatten_cons, ih, flatten_cons, append_assoc]
@[simp] theorem zipWith_nil_left {f : α → β → γ} {l : List β} : zipWith f [] l = [] := rfl
@[simp] theorem zipWith_nil_right {f : α → β → γ} {l : List α} : zipWith f l [] = [] := by
  cases l <;> rfl
@[simp] theorem zipWith_cons_cons {f : α → β → γ} {b : β} {bs : List β} :
    zipWith f (a :: as) (b :: bs) = f a b :: zipWith f as bs := rfl
@[simp] theorem zip_nil_left {l : List β} : zip ([] : List α) l = [] := rfl
@[simp] theorem zip_cons_cons {b : β} {bs : List β} :
    zip (a :: as) (b :: bs) = (a, b) :: zip as bs :=
  rfl
@[simp] theorem length_zip {l₁ : List α} {l₂ : List β} :
    (zip l₁ l₂).length = min l₁.length l₂.length := by
  induction l₁ generalizing l₂ with
  | nil => exact (Nat.zero_min _).symm
  | cons a l₁ ih =>
    cases l₂ with
    | nil => rfl
    | cons b l₂ =>
      rw [zip_cons_cons, length_cons, ih, length_cons, length_cons, Nat.min_def, Nat.min_def]
      simp only [Nat.add_one_le_add_one_iff]
      split <;> rfl
@[simp] theorem head?_nil : head? ([] : List α) = none := rfl
@[simp] theorem head?_cons : head? (a :: l) = some a := rfl
@[simp] theorem tail_nil : tail ([] : List α) = [] := rfl
@[simp] theorem tail_cons : tail (a :: l) = l := rfl
@[simp] theorem isEmpty_nil : isEmpty ([] : List α) = true := rfl
@[simp] theorem isEmpty_cons : isEmpty (a :: l) = false := rfl
@[simp] theorem isEmpty_iff : l.isEmpty = true ↔ l = [] := by cases l <;> simp
@[simp] theorem getLast?_nil : getLast? ([] : List α) = none := rfl
@[simp] theorem getLast?_concat : getLast? (l ++ [a]) = some a := by
  induction l with
  | nil => rfl
  | cons b l ih =>
    cases l with
    | nil => rfl
    | cons c l => exact ih
@[simp] theorem dropLast_concat : dropLast (l ++ [a]) = l := by
  induction l with
  | nil => rfl
  | cons b l ih =>
    cases l with
    | nil => rfl
    | cons c l => exact congrArg (b :: ·) ih

/-! counting, duplicates, permutations -/
@[simp] theorem count_nil [BEq α] {a : α} : count a [] = 0 := rfl
theorem count_cons [BEq α] : count a (b :: l) = count a l + if b == a then 1 else 0 := rfl
@[simp] theorem count_append [BEq α] : count a (as ++ bs) = count a as + count a bs := by
  induction as with
  | nil => exact (Nat.zero_add _).symm
  | cons b as ih => rw [cons_append, count_cons, ih, count_cons, Nat.add_right_comm]
theorem nodup_cons : Nodup (a :: l) ↔ ¬a ∈ l ∧ Nodup l :=
  ⟨fun h => by cases h; exact ⟨by assumption, by assumption⟩, fun ⟨h, k⟩ => Nodup.cons h k⟩
theorem Sublist.refl : (l : List α) → Sublist l l
  | [] => Sublist.slnil
  | a :: l => Sublist.cons₂ a (Sublist.refl l)
theorem nil_sublist : (l : List α) → Sublist [] l
  | [] => Sublist.slnil
  | a :: l => Sublist.cons a (nil_sublist l)
theorem Sublist.length_le (h : Sublist l₁ l₂) : l₁.length ≤ l₂.length := by
  induction h with
  | slnil => exact Nat.le_refl 0
  | cons _ _ ih => exact Nat.le_succ_of_le ih
  | cons₂ _ _ ih => exact Nat.succ_le_succ ih
theorem Perm.refl : (l : List α) → Perm l l
  | [] => Perm.nil
  | a :: l => Perm.cons a (Perm.refl l)
attribute [refl] Perm.refl
theorem Perm.symm (h : Perm l₁ l₂) : Perm l₂ l₁ := by
  induction h with
  | nil => exact Perm.nil
  | cons a _ ih => exact Perm.cons a ih
  | swap a b l => exact Perm.swap b a l
  | trans _ _ ih₁ ih₂ => exact Perm.trans ih₂ ih₁
theorem Perm.length_eq (h : Perm l₁ l₂) : l₁.length = l₂.length := by
  induction h with
  | nil => rfl
  | cons _ _ ih => exact congrArg Nat.succ ih
  | swap => rfl
  | trans _ _ ih₁ ih₂ => exact ih₁.trans ih₂
theorem Perm.mem_iff (h : Perm l₁ l₂) : a ∈ l₁ ↔ a ∈ l₂ := by
  induction h with
  | nil => exact Iff.rfl
  | cons _ _ ih => rw [mem_cons, mem_cons, ih]
  | swap x y l => simp only [mem_cons]; exact or_left_comm
  | trans _ _ ih₁ ih₂ => exact ih₁.trans ih₂
end List

/-! characters and strings are data: they can be compared, by the kernel as well -/
noncomputable instance Char.instDecidableEq : DecidableEq Char := fun a b =>
  decidable_of_iff (a.code = b.code)
    ⟨fun h => by cases a; cases b; cases h; rfl, congrArg Char.code⟩
noncomputable instance String.instDecidableEq : DecidableEq String := fun a b =>
  decidable_of_iff (a.data = b.data)
    ⟨fun h => by cases a; cases b; cases h; rfl, congrArg String.data⟩
