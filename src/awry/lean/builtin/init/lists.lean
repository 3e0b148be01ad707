/-! Lists: functions, append, length, map, reverse, folds. Named and stated as in Lean's own
library. -/

namespace List
variable {α : Type u} {β : Type v} {γ : Type w}

/-! functions -/
protected def append : List α → List α → List α
  | [], bs => bs
  | a :: as, bs => a :: List.append as bs
instance instAppend : Append (List α) := ⟨List.append⟩
def map (f : α → β) : List α → List β
  | [] => []
  | a :: as => f a :: map f as
def reverseAux : List α → List α → List α
  | [], done => done
  | a :: as, done => reverseAux as (a :: done)
def reverse (as : List α) : List α := reverseAux as []
def foldr (f : α → β → β) (init : β) : List α → β
  | [] => init
  | a :: as => f a (foldr f init as)
def sum [Add α] [OfNat α 0] (l : List α) : α := foldr (· + ·) 0 l
def filter (p : α → Bool) : List α → List α
  | [] => []
  | a :: as => match p a with
    | true => a :: filter p as
    | false => filter p as
def filterMap (f : α → Option β) : List α → List β
  | [] => []
  | a :: as => match f a with
    | none => filterMap f as
    | some b => b :: filterMap f as
def flatten : List (List α) → List α
  | [] => []
  | l :: ls => l ++ flatten ls
def flatMap (f : α → List β) (l : List α) : List β := flatten (map f l)
def take : Nat → List α → List α
  | 0, _ => []
  | _ + 1, [] => []
  | n + 1, a :: as => a :: take n as
def drop : Nat → List α → List α
  | 0, l => l
  | _ + 1, [] => []
  | n + 1, _ :: as => drop n as
def replicate : Nat → α → List α
  | 0, _ => []
  | n + 1, a => a :: replicate n a
def range' : Nat → Nat → List Nat
  | _, 0 => []
  | start, n + 1 => start :: range' (start + 1) n
def range (n : Nat) : List Nat := range' 0 n
def zipWith (f : α → β → γ) : List α → List β → List γ
  | a :: as, b :: bs => f a b :: zipWith f as bs
  | _, _ => []
def zip : List α → List β → List (α × β) := zipWith Prod.mk
def unzip : List (α × β) → List α × List β
  | [] => ([], [])
  | (a, b) :: l => (a :: (unzip l).1, b :: (unzip l).2)
def all (l : List α) (p : α → Bool) : Bool := foldr (fun a b => p a && b) true l
def any (l : List α) (p : α → Bool) : Bool := foldr (fun a b => p a || b) false l
def isEmpty : List α → Bool
  | [] => true
  | _ :: _ => false
def tail : List α → List α
  | [] => []
  | _ :: as => as
def head? : List α → Option α
  | [] => none
  | a :: _ => some a
def headD (l : List α) (fallback : α) : α := l.head?.getD fallback
def getLast? : List α → Option α
  | [] => none
  | [a] => some a
  | _ :: a :: as => getLast? (a :: as)
def dropLast : List α → List α
  | [] => []
  | [_] => []
  | a :: b :: as => a :: dropLast (b :: as)
def get? : List α → Nat → Option α
  | [], _ => none
  | a :: _, 0 => some a
  | _ :: as, n + 1 => get? as n
def elem [BEq α] (a : α) : List α → Bool
  | [] => false
  | b :: bs => a == b || elem a bs
def contains [BEq α] (l : List α) (a : α) : Bool := elem a l
def count [BEq α] (a : α) : List α → Nat
  | [] => 0
  | b :: bs => count a bs + (if b == a then 1 else 0)
def erase [BEq α] : List α → α → List α
  | [], _ => []
  | a :: as, b => match a == b with
    | true => as
    | false => a :: erase as b
def intersperse (sep : α) : List α → List α
  | [] => []
  | [a] => [a]
  | a :: b :: as => a :: sep :: intersperse sep (b :: as)
def takeWhile (p : α → Bool) : List α → List α
  | [] => []
  | a :: as => match p a with
    | true => a :: takeWhile p as
    | false => []
def dropWhile (p : α → Bool) : List α → List α
  | [] => []
  | a :: as => match p a with
    | true => dropWhile p as
    | false => a :: as
def max? [Max α] : List α → Option α
  | [] => none
  | a :: as => some (foldl max a as)
inductive Mem (a : α) : List α → Prop
  | head (as : List α) : Mem a (a :: as)
  | tail (b : α) {as : List α} : Mem a as → Mem a (b :: as)
instance instMembership : Membership α (List α) := ⟨fun l a => Mem a l⟩
inductive Nodup : List α → Prop
  | nil : Nodup []
  | cons {a : α} {as : List α} : ¬a ∈ as → Nodup as → Nodup (a :: as)
inductive Sublist : List α → List α → Prop
  | slnil : Sublist [] []
  | cons (a : α) {l₁ l₂ : List α} : Sublist l₁ l₂ → Sublist l₁ (a :: l₂)
  | cons₂ (a : α) {l₁ l₂ : List α} : Sublist l₁ l₂ → Sublist (a :: l₁) (a :: l₂)
inductive Perm : List α → List α → Prop
  | nil : Perm [] []
  | cons (x : α) {l₁ l₂ : List α} : Perm l₁ l₂ → Perm (x :: l₁) (x :: l₂)
  | swap (x y : α) (l : List α) : Perm (y :: x :: l) (x :: y :: l)
  | trans {l₁ l₂ l₃ : List α} : Perm l₁ l₂ → Perm l₂ l₃ → Perm l₁ l₃

variable {a b c : α} {as bs cs l l₁ l₂ : List α} {p q : α → Bool} {n m : Nat}

/-! constructors and equality -/
theorem cons_ne_nil (a : α) (l : List α) : a :: l ≠ [] := fun h => nomatch h
theorem nil_ne_cons (a : α) (l : List α) : [] ≠ a :: l := fun h => nomatch h
theorem cons_inj_right (a : α) {l l' : List α} : a :: l = a :: l' ↔ l = l' :=
  ⟨fun h => by injection h, congrArg _⟩
theorem head_eq_of_cons_eq (h : a :: as = b :: bs) : a = b := by injection h
theorem tail_eq_of_cons_eq (h : a :: as = b :: bs) : as = bs := by injection h
theorem exists_cons_of_ne_nil : ∀ {l : List α}, l ≠ [] → ∃ b l', l = b :: l'
  | [], h => absurd rfl h
  | a :: as, _ => ⟨a, as, rfl⟩
instance instDecidableEq [DecidableEq α] : DecidableEq (List α)
  | [], [] => isTrue rfl
  | [], _ :: _ => isFalse (fun h => nomatch h)
  | _ :: _, [] => isFalse (fun h => nomatch h)
  | a :: as, b :: bs =>
    have := instDecidableEq as bs
    decidable_of_iff (a = b ∧ as = bs) (iff_of_eq (List.cons.injEq a as b bs).symm)

/-! append -/
@[simp] theorem nil_append (as : List α) : [] ++ as = as := rfl
@[simp] theorem cons_append : a :: as ++ bs = a :: (as ++ bs) := rfl
@[simp] theorem append_eq : List.append as bs = as ++ bs := rfl
@[simp] theorem append_nil (as : List α) : as ++ [] = as := by
  induction as with
  | nil => rfl
  | cons a as ih => rw [cons_append, ih]
@[simp] theorem append_assoc (as bs cs : List α) : as ++ bs ++ cs = as ++ (bs ++ cs) := by
  induction as with
  | nil => rfl
  | cons a as ih => rw [cons_append, cons_append, ih, cons_append]
theorem append_cons (as : List α) (b : α) (bs : List α) : as ++ b :: bs = as ++ [b] ++ bs := by
  rw [append_assoc]; rfl
@[simp] theorem append_eq_nil_iff : as ++ bs = [] ↔ as = [] ∧ bs = [] := by
  cases as <;> simp
theorem append_left_inj_aux (h : as ++ bs = as ++ cs) : bs = cs := by
  induction as with
  | nil => exact h
  | cons a as ih => exact ih (tail_eq_of_cons_eq h)
theorem append_cancel_left (h : as ++ bs = as ++ cs) : bs = cs := append_left_inj_aux h
@[simp] theorem concat_eq_append (as : List α) (a : α) : as.concat a = as ++ [a] := by
  induction as with
  | nil => rfl
  | cons b as ih => exact congrArg (b :: ·) ih

/-! length -/
@[simp] theorem length_nil : length ([] : List α) = 0 := rfl
@[simp] theorem length_cons : (a :: as).length = as.length + 1 := rfl
theorem length_singleton : [a].length = 1 := rfl
@[simp] theorem length_append : (as ++ bs).length = as.length + bs.length := by
  induction as with
  | nil => exact (Nat.zero_add _).symm
  | cons a as ih => rw [cons_append, length_cons, ih, length_cons, Nat.add_one_add]
@[simp] theorem length_map (f : α → β) : (as.map f).length = as.length := by
  induction as with
  | nil => rfl
  | cons a as ih => exact congrArg Nat.succ ih
@[simp] theorem length_eq_zero_iff : l.length = 0 ↔ l = [] := by cases l <;> simp
theorem eq_nil_of_length_eq_zero (h : l.length = 0) : l = [] := length_eq_zero_iff.mp h
theorem length_pos_iff : 0 < l.length ↔ l ≠ [] := by cases l <;> simp
@[simp] theorem length_replicate : (replicate n a).length = n := by
  induction n with
  | zero => rfl
  | succ n ih => exact congrArg Nat.succ ih
@[simp] theorem length_take (n : Nat) (l : List α) : (l.take n).length = min n l.length := by
  induction n generalizing l with
  | zero => exact (Nat.zero_min _).symm
  | succ n ih =>
    cases l with
    | nil => rfl
    | cons a l =>
      show (take n l).length + 1 = min (n + 1) (l.length + 1)
      rw [ih, Nat.min_def, Nat.min_def]
      simp only [Nat.add_one_le_add_one_iff]
      split <;> rfl
@[simp] theorem length_drop (n : Nat) (l : List α) : (l.drop n).length = l.length - n := by
  induction n generalizing l with
  | zero => rfl
  | succ n ih =>
    cases l with
    | nil => exact (Nat.zero_sub _).symm
    | cons a l => rw [length_cons, Nat.add_one_sub_add_one]; exact ih l
theorem length_range' (s n : Nat) : (range' s n).length = n := by
  induction n generalizing s with
  | zero => rfl
  | succ n ih => exact congrArg Nat.succ (ih (s + 1))
@[simp] theorem length_range (n : Nat) : (range n).length = n := length_range' 0 n

/-! map -/
@[simp] theorem map_nil {f : α → β} : map f [] = [] := rfl
@[simp] theorem map_cons {f : α → β} : map f (a :: as) = f a :: map f as := rfl
@[simp] theorem map_id (l : List α) : map id l = l := by
  induction l with
  | nil => rfl
  | cons a l ih => rw [map_cons, ih]; rfl
@[simp] theorem map_id' (l : List α) : map (fun a => a) l = l := map_id l
@[simp] theorem map_map {g : β → γ} {f : α → β} {l : List α} :
    map g (map f l) = map (g ∘ f) l := by
  induction l with
  | nil => rfl
  | cons a l ih => rw [map_cons, map_cons, ih]; rfl
@[simp] theorem map_append {f : α → β} : map f (as ++ bs) = map f as ++ map f bs := by
  induction as with
  | nil => rfl
  | cons a as ih => rw [cons_append, map_cons, ih]; rfl
@[simp] theorem map_eq_nil_iff {f : α → β} : map f l = [] ↔ l = [] := by cases l <;> simp
theorem map_congr_left {f g : α → β} (h : ∀ a, a ∈ l → f a = g a) : map f l = map g l := by
  induction l with
  | nil => rfl
  | cons a l ih =>
    rw [map_cons, map_cons, h a (Mem.head l), ih fun b hb => h b (Mem.tail a hb)]
@[simp] theorem map_replicate {f : α → β} : map f (replicate n a) = replicate n (f a) := by
  induction n with
  | zero => rfl
  | succ n ih => exact congrArg (f a :: ·) ih

/-! reverse -/
theorem reverseAux_eq (as bs : List α) : reverseAux as bs = reverse as ++ bs := by
  have general : ∀ (as bs cs : List α), reverseAux as (bs ++ cs) = reverseAux as bs ++ cs := by
    intro as
    induction as with
    | nil => exact fun _ _ => rfl
    | cons a as ih => exact fun bs cs => ih (a :: bs) cs
  exact general as [] bs
@[simp] theorem reverse_nil : reverse ([] : List α) = [] := rfl
@[simp] theorem reverse_cons (a : α) (as : List α) : reverse (a :: as) = reverse as ++ [a] :=
  reverseAux_eq as [a]
theorem reverse_singleton (a : α) : reverse [a] = [a] := rfl
@[simp] theorem reverse_append (as bs : List α) :
    (as ++ bs).reverse = bs.reverse ++ as.reverse := by
  induction as with
  | nil => exact (append_nil _).symm
  | cons a as ih => rw [cons_append, reverse_cons, ih, reverse_cons, append_assoc]
@[simp] theorem reverse_reverse (as : List α) : as.reverse.reverse = as := by
  induction as with
  | nil => rfl
  | cons a as ih => rw [reverse_cons, reverse_append, ih]; rfl
@[simp] theorem length_reverse {as : List α} : as.reverse.length = as.length := by
  induction as with
  | nil => rfl
  | cons a as ih => rw [reverse_cons, length_append, ih]; rfl
@[simp] theorem map_reverse {f : α → β} {l : List α} : l.reverse.map f = (l.map f).reverse := by
  induction l with
  | nil => rfl
  | cons a l ih => rw [reverse_cons, map_append, ih, map_cons (as := l), reverse_cons]; rfl
@[simp] theorem reverse_eq_nil_iff {xs : List α} : xs.reverse = [] ↔ xs = [] := by
  cases xs <;> simp
theorem reverse_inj (h : as.reverse = bs.reverse) : as = bs := by
  rw [← reverse_reverse as, h, reverse_reverse]

/-! folds and sums -/
@[simp] theorem foldr_nil {f : α → β → β} {b : β} : foldr f b [] = b := rfl
@[simp] theorem foldr_cons {f : α → β → β} {b : β} : foldr f b (a :: l) = f a (foldr f b l) := rfl
@[simp] theorem foldl_nil {f : β → α → β} {b : β} : foldl f b [] = b := rfl
@[simp] theorem foldl_cons {f : β → α → β} {b : β} : foldl f b (a :: l) = foldl f (f b a) l := rfl
@[simp] theorem foldr_append {f : α → β → β} {b : β} :
    foldr f b (as ++ bs) = foldr f (foldr f b bs) as := by
  induction as with
  | nil => rfl
  | cons a as ih => rw [cons_append, foldr_cons, ih]; rfl
@[simp] theorem foldl_append {f : β → α → β} {b : β} :
    foldl f b (as ++ bs) = foldl f (foldl f b as) bs := by
  induction as generalizing b with
  | nil => rfl
  | cons a as ih => exact ih
theorem foldr_map {f : α → β} {g : β → γ → γ} {c : γ} :
    foldr g c (map f l) = foldr (fun a => g (f a)) c l := by
  induction l with
  | nil => rfl
  | cons a l ih => rw [map_cons, foldr_cons, ih]; rfl
theorem foldl_reverse {f : β → α → β} {b : β} :
    foldl f b l.reverse = foldr (fun a b => f b a) b l := by
  induction l with
  | nil => rfl
  | cons a l ih => rw [reverse_cons, foldl_append, ih]; rfl
theorem foldr_cons_nil (l : List α) : foldr cons [] l = l := by
  induction l with
  | nil => rfl
  | cons a l ih => rw [foldr_cons, ih]
@[simp] theorem sum_nil [Add α] [OfNat α 0] : ([] : List α).sum = 0 := rfl
@[simp] theorem sum_cons [Add α] [OfNat α 0] : (a :: l).sum = a + l.sum := rfl
@[simp] theorem sum_append_nat {l₁ l₂ : List Nat} : (l₁ ++ l₂).sum = l₁.sum + l₂.sum := by
  induction l₁ with
  | nil => exact (Nat.zero_add _).symm
  | cons a l ih => rw [cons_append, sum_cons, ih, sum_cons, Nat.add_assoc]
@[simp] theorem sum_reverse_nat (l : List Nat) : l.reverse.sum = l.sum := by
  induction l with
  | nil => rfl
  | cons a l ih => rw [reverse_cons, sum_append_nat, ih, sum_cons, sum_cons, Nat.add_comm]; rfl
theorem sum_replicate_nat (n a : Nat) : (replicate n a).sum = n * a := by
  induction n with
  | zero => exact (Nat.zero_mul a).symm
  | succ n ih =>
    show a + (replicate n a).sum = _
    rw [ih, Nat.add_one_mul, Nat.add_comm]
end List
