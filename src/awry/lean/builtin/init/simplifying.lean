/-! What `rw`, `simp`, `congr` and `split` build their proofs from (the names are the binary's), and
the propositional lemmas that `simp` uses. -/

attribute [refl] Nat.le.refl
attribute [symm] Eq.symm Ne.symm
@[macro_inline] def Eq.mp {α β : Sort u} (h : α = β) (a : α) : β := cast h a
@[macro_inline] def Eq.mpr {α β : Sort u} (h : α = β) (b : β) : α := cast h.symm b
theorem cast_eq {α : Sort u} (h : α = α) (a : α) : cast h a = a := rfl
theorem id_eq {α : Sort u} (a : α) : id a = a := rfl
theorem letFun_unused {α : Sort u} {β : Sort v} (_a : α) {b b' : β} (h : b = b') : b = b' := h
theorem heq_of_eqRec_eq {α β : Sort u} {a : α} {b : β} (h₁ : α = β) (h₂ : cast h₁ a = b) :
    HEq a b := by
  subst h₁; exact heq_of_eq h₂
theorem HEq.trans {α β γ : Sort u} {a : α} {b : β} {c : γ} (h₁ : HEq a b) (h₂ : HEq b c) :
    HEq a c := by
  cases h₁; exact h₂
theorem heq_self {α : Sort u} (a : α) : HEq a a := HEq.rfl
theorem eq_true {p : Prop} (h : p) : p = True := propext ⟨fun _ => trivial, fun _ => h⟩
theorem eq_false {p : Prop} (h : ¬p) : p = False := propext ⟨h, False.elim⟩
theorem eq_false' {p : Prop} (h : p → False) : p = False := eq_false h
theorem of_eq_true {p : Prop} (h : p = True) : p := cast h.symm trivial
theorem of_eq_false {p : Prop} (h : p = False) : ¬p := cast h
theorem not_of_eq_false {p : Prop} (h : p = False) : ¬p := of_eq_false h
theorem eq_true_of_decide {p : Prop} [Decidable p] (h : decide p = true) : p = True :=
  eq_true (of_decide_eq_true h)
theorem eq_false_of_decide {p : Prop} {_ : Decidable p} (h : decide p = false) : p = False :=
  eq_false (of_decide_eq_false h)
theorem iff_of_eq {a b : Prop} (h : a = b) : a ↔ b := ⟨cast h, cast h.symm⟩
theorem Eq.to_iff {a b : Prop} (h : a = b) : a ↔ b := iff_of_eq h
theorem iff_of_true {a b : Prop} (ha : a) (hb : b) : a ↔ b := ⟨fun _ => hb, fun _ => ha⟩
theorem iff_of_false {a b : Prop} (ha : ¬a) (hb : ¬b) : a ↔ b :=
  ⟨fun a => absurd a ha, fun b => absurd b hb⟩
theorem of_iff_true {a : Prop} (h : a ↔ True) : a := h.mpr trivial
theorem eq_of_iff {a b : Prop} (h : a ↔ b) : a = b := propext h
theorem Eq.propIntro {a b : Prop} (h₁ : a → b) (h₂ : b → a) : a = b := propext ⟨h₁, h₂⟩

theorem congrFun' {α : Sort u} {β : Sort v} {f g : α → β} (h : f = g) (a : α) : f a = g a :=
  congrFun h a
theorem funext {α : Sort u} {β : α → Sort v} {f g : (x : α) → β x} (h : ∀ x, f x = g x) :
    f = g :=
  -- applying at a point does not see which function of a class was taken
  let same (f g : (x : α) → β x) : Prop := ∀ x, f x = g x
  let at_ (x : α) (q : Quot same) : β x := Quot.lift (fun f => f x) (fun _ _ e => e x) q
  congrArg (fun q x => at_ x q) (Quot.sound (r := same) h)
theorem implies_congr {p₁ p₂ : Sort u} {q₁ q₂ : Sort v} (h₁ : p₁ = p₂) (h₂ : q₁ = q₂) :
    (p₁ → q₁) = (p₂ → q₂) := by
  subst h₁; subst h₂; rfl
theorem implies_dep_congr_ctx {p₁ p₂ q₁ : Prop} (h₁ : p₁ = p₂) {q₂ : p₂ → Prop}
    (h₂ : ∀ h, q₁ = q₂ h) : (p₁ → q₁) = ((h : p₂) → q₂ h) := by
  subst h₁; exact propext ⟨fun f h => cast (h₂ h) (f h), fun f h => cast (h₂ h).symm (f h)⟩
theorem implies_congr_ctx {p₁ p₂ q₁ q₂ : Prop} (h₁ : p₁ = p₂) (h₂ : p₂ → q₁ = q₂) :
    (p₁ → q₁) = (p₂ → q₂) :=
  implies_dep_congr_ctx h₁ h₂
theorem forall_congr {α : Sort u} {p q : α → Prop} (h : ∀ a, p a = q a) :
    (∀ a, p a) = (∀ a, q a) :=
  congrArg (fun r : α → Prop => ∀ a, r a) (funext h)
theorem forall_prop_domain_congr {p₁ p₂ : Prop} {q₁ : p₁ → Prop} {q₂ : p₂ → Prop} (h₁ : p₁ = p₂)
    (h₂ : ∀ a : p₂, q₁ (h₁.substr (p := fun x => x) a) = q₂ a) : (∀ a : p₁, q₁ a) = ∀ a :
        p₂, q₂ a := by
  subst h₁; exact forall_congr h₂
theorem forall_prop_congr_dom {p₁ p₂ : Prop} (h : p₁ = p₂) (q : p₁ → Prop) :
    (∀ a : p₁, q a) = ∀ a : p₂, q (h.substr (p := fun x => x) a) := by
  subst h; rfl
theorem exists_congr {α : Sort u} {p q : α → Prop} (h : ∀ a, p a ↔ q a) :
    (∃ a, p a) ↔ ∃ a, q a :=
  ⟨fun ⟨a, k⟩ => ⟨a, (h a).mp k⟩, fun ⟨a, k⟩ => ⟨a, (h a).mpr k⟩⟩
theorem pi_congr {α : Sort u} {β β' : α → Sort v} (h : ∀ a, β a = β' a) :
    ((a : α) → β a) = ((a : α) → β' a) := by
  cases (funext h : β = β'); rfl
theorem let_congr {α : Sort u} {β : Sort v} {a a' : α} {b b' : α → β} (h₁ : a = a')
    (h₂ : ∀ x, b x = b' x) : (let x := a; b x) = (let x := a'; b' x) := by
  subst h₁; exact h₂ a
theorem let_val_congr {α : Sort u} {β : Sort v} {a a' : α} (b : α → β) (h : a = a') :
    (let x := a; b x) = (let x := a'; b x) := by
  subst h; rfl
theorem let_body_congr {α : Sort u} {β : α → Sort v} {b b' : (a : α) → β a} (a : α)
    (h : ∀ x, b x = b' x) : (let x := a; b x) = (let x := a; b' x) :=
  h a
section
variable {α : Sort u} {β : Sort v}
theorem have_unused' (_a : α) {b b' : β} (h : b = b') : b = b' := h
theorem have_unused_dep' (a : α) {b : α → β} {b' : β} (h : ∀ x, b x = b') : b a = b' := h a
theorem have_congr' {a a' : α} {f f' : α → β} (h₁ : a = a') (h₂ : ∀ x, f x = f' x) :
    f a = f' a' := by
  subst h₁; exact h₂ a
theorem have_val_congr' {a a' : α} {f : α → β} (h : a = a') : f a = f a' := congrArg f h
theorem have_body_congr' (a : α) {f f' : α → β} (h : ∀ x, f x = f' x) : f a = f' a := h a
theorem have_body_congr_dep' {β : α → Sort v} (a : α) {f f' : (x : α) → β x}
    (h : ∀ x, f x = f' x) : f a = f' a :=
  h a
end

theorem Decidable.em (p : Prop) [h : Decidable p] : p ∨ ¬p :=
  match h with
  | isTrue hp => Or.inl hp
  | isFalse hnp => Or.inr hnp
section
variable {α : Sort u} {c : Prop}
theorem if_pos [h : Decidable c] (hc : c) {t e : α} : ite c t e = t :=
  match h with
  | isTrue _ => rfl
  | isFalse hnc => absurd hc hnc
theorem if_neg [h : Decidable c] (hnc : ¬c) {t e : α} : ite c t e = e :=
  match h with
  | isTrue hc => absurd hc hnc
  | isFalse _ => rfl
theorem dif_pos [h : Decidable c] (hc : c) {t : c → α} {e : ¬c → α} : dite c t e = t hc :=
  match h with
  | isTrue _ => rfl
  | isFalse hnc => absurd hc hnc
theorem dif_neg [h : Decidable c] (hnc : ¬c) {t : c → α} {e : ¬c → α} : dite c t e = e hnc :=
  match h with
  | isTrue hc => absurd hc hnc
  | isFalse _ => rfl
theorem ite_eq_left [Decidable c] {t e : α} (hc : c) : ite c t e = t := if_pos hc
theorem ite_eq_right [Decidable c] {t e : α} (hnc : ¬c) : ite c t e = e := if_neg hnc
theorem dite_eq_left [Decidable c] {t : c → α} {e : ¬c → α} (hc : c) : dite c t e = t hc :=
  dif_pos hc
theorem dite_eq_right [Decidable c] {t : c → α} {e : ¬c → α} (hnc : ¬c) : dite c t e = e hnc :=
  dif_neg hnc
theorem ite_cond_eq_true {_ : Decidable c} (a b : α) (h : c = True) : ite c a b = a :=
  if_pos (of_eq_true h)
theorem ite_cond_eq_false {_ : Decidable c} (a b : α) (h : c = False) : ite c a b = b :=
  if_neg (of_eq_false h)
theorem ite_eq_left_of_eq_true {_ : Decidable c} (a b : α) (h : c = True) : ite c a b = a :=
  ite_cond_eq_true a b h
theorem ite_eq_right_of_eq_false {_ : Decidable c} (a b : α) (h : c = False) : ite c a b = b :=
  ite_cond_eq_false a b h
theorem dite_cond_eq_true {_ : Decidable c} {t : c → α} {e : ¬c → α} (h : c = True) :
    dite c t e = t (of_eq_true h) :=
  dif_pos (of_eq_true h)
theorem dite_cond_eq_false {_ : Decidable c} {t : c → α} {e : ¬c → α} (h : c = False) :
    dite c t e = e (of_eq_false h) :=
  dif_neg (of_eq_false h)
theorem dite_eq_left_of_eq_true {_ : Decidable c} {t : c → α} {e : ¬c → α} (h : c = True) :
    dite c t e = t (of_eq_true h) :=
  dite_cond_eq_true h
theorem dite_eq_right_of_eq_false {_ : Decidable c} {t : c → α} {e : ¬c → α} (h : c = False) :
    dite c t e = e (of_eq_false h) :=
  dite_cond_eq_false h
end
theorem ite_congr {α : Sort u} {b c : Prop} {x y x' y' : α} {_ : Decidable b} [Decidable c]
    (h₁ : b = c)
    (h₂ : c → x = x') (h₃ : ¬c → y = y') : ite b x y = ite c x' y' := by
  cases Decidable.em c with
  | inl hc => rw [if_pos hc, if_pos (cast h₁.symm hc)]; exact h₂ hc
  | inr hc => rw [if_neg hc, if_neg (fun hb => hc (cast h₁ hb))]; exact h₃ hc
theorem dite_congr {α : Sort u} {b c : Prop} {_ : Decidable b} [Decidable c]
    {x : b → α} {x' : c → α}
    {y : ¬b → α} {y' : ¬c → α} (h₁ : b = c) (h₂ : (h : c) → x (cast h₁.symm h) = x' h)
    (h₃ : (h : ¬c) → y (fun hb => h (cast h₁ hb)) = y' h) : dite b x y = dite c x' y' := by
  cases Decidable.em c with
  | inl hc => rw [dif_pos hc, dif_pos (cast h₁.symm hc)]; exact h₂ hc
  | inr hc => rw [dif_neg hc, dif_neg (fun hb => hc (cast h₁ hb))]; exact h₃ hc
section
variable {α : Sort u} {c : Prop}
@[simp] theorem ite_true (a b : α) : (if True then a else b) = a := rfl
@[simp] theorem ite_false (a b : α) : (if False then a else b) = b := rfl
@[simp] theorem dite_true {t : True → α} {e : ¬True → α} : dite True t e = t trivial := rfl
@[simp] theorem dite_false {t : False → α} {e : ¬False → α} : dite False t e = e id := rfl
@[simp] theorem ite_self [Decidable c] (a : α) : (if c then a else a) = a := by
  cases Decidable.em c with
  | inl hc => rw [if_pos hc]
  | inr hc => rw [if_neg hc]
end

class Subsingleton (α : Sort u) : Prop where
  intro ::
  allEq : (a b : α) → a = b
protected theorem Subsingleton.elim {α : Sort u} [h : Subsingleton α] (a b : α) : a = b :=
  h.allEq a b
protected theorem Subsingleton.helim {α β : Sort u} [h₁ : Subsingleton α] (h₂ : α = β) (a : α)
    (b : β) : HEq a b := by
  subst h₂; exact heq_of_eq (Subsingleton.elim a b)
instance instSubsingletonProp (p : Prop) : Subsingleton p := ⟨fun _ _ => rfl⟩
instance instSubsingletonPUnit : Subsingleton PUnit := ⟨fun ⟨⟩ ⟨⟩ => rfl⟩
instance instSubsingletonDecidable (p : Prop) : Subsingleton (Decidable p) :=
  ⟨fun
    | isTrue _, isTrue _ => rfl
    | isFalse _, isFalse _ => rfl
    | isTrue h, isFalse n => absurd h n
    | isFalse n, isTrue h => absurd h n⟩
theorem Nonempty.elim {α : Sort u} {p : Prop} (h₁ : Nonempty α) (h₂ : α → p) : p :=
  match h₁ with
  | ⟨a⟩ => h₂ a
theorem eq_comm {α : Sort u} {a b : α} : a = b ↔ b = a := ⟨Eq.symm, Eq.symm⟩
theorem ne_comm {α : Sort u} {a b : α} : a ≠ b ↔ b ≠ a := ⟨Ne.symm, Ne.symm⟩
theorem proof_irrel {a : Prop} (h₁ h₂ : a) : h₁ = h₂ := rfl
