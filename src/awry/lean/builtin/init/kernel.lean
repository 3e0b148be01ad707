/-! Every name that the kernel computes by itself must be ours, and mean what the kernel computes: a
submission that could define one of them falsely would prove False without an axiom. The first ones
are in numbers.lean. tests/lean/test_kernel_computed.py compares all with Python's integers. -/

-- division by counting up: the remainder starts anew when it reaches the divisor
@[extern "lean_nat_mod"] protected def Nat.mod : (@& Nat) → (@& Nat) → Nat
  | 0, _ => 0
  | .succ n, m => if .succ (Nat.mod n m) = m then 0 else .succ (Nat.mod n m)
@[extern "lean_nat_div"] protected def Nat.div : (@& Nat) → (@& Nat) → Nat
  | 0, _ => 0
  | .succ n, m => if .succ (Nat.mod n m) = m then .succ (Nat.div n m) else Nat.div n m
namespace Nat
instance instDiv : Div Nat := ⟨Nat.div⟩
instance instMod : Mod Nat := ⟨Nat.mod⟩
instance instDvd : Dvd Nat := ⟨fun a b => ∃ c, b = a * c⟩

-- Euclid's steps, as many as the first number allows
def gcdSteps : Nat → Nat → Nat → Nat
  | 0, _, b => b
  | .succ steps, a, b => if a = 0 then b else gcdSteps steps (b % a) a
@[extern "lean_nat_gcd"] def gcd (a b : @& Nat) : Nat := gcdSteps (.succ a) a b
def log2Steps : Nat → Nat → Nat
  | 0, _ => 0
  | .succ steps, n => if 2 ≤ n then .succ (log2Steps steps (n / 2)) else 0
@[extern "lean_nat_log2"] def log2 (n : @& Nat) : Nat := log2Steps n n
-- bit by bit from the lowest, as many bits as there can be
def bitSteps (op : Bool → Bool → Bool) : Nat → Nat → Nat → Nat
  | 0, _, _ => 0
  | .succ steps, a, b =>
    cond (op (decide (a % 2 = 1)) (decide (b % 2 = 1))) 1 0 + 2 * bitSteps op steps (a / 2) (b / 2)
@[extern "lean_nat_land"] def land (a b : @& Nat) : Nat := bitSteps and (a + b) a b
@[extern "lean_nat_lor"] def lor (a b : @& Nat) : Nat := bitSteps or (a + b) a b
@[extern "lean_nat_lxor"] def xor (a b : @& Nat) : Nat :=
  bitSteps (fun x y => cond x (not y) y) (a + b) a b
@[extern "lean_nat_shiftl"] def shiftLeft (a b : @& Nat) : Nat := a * 2 ^ b
@[extern "lean_nat_shiftr"] def shiftRight (a b : @& Nat) : Nat := a / 2 ^ b
end Nat

-- evaluation by compiled code inside the kernel: the names are taken and can prove nothing
opaque Lean.reduceBool (b : Bool) : Bool := b
opaque Lean.reduceNat (n : Nat) : Nat := n
def eagerReduce {α : Sort u} (a : α) : α := a
