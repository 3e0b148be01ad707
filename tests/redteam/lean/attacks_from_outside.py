"""Nothing there to check, or what stands around the proof: kernel, process, header, resources."""

from __future__ import annotations

from lean_targets import DOUBLE, LOGIC, PARITY, SUM, Attack

from awry.lean.checks import Theorem


def _deep(depth: int) -> str:
    return "(" * depth + "0" + ")" * depth


OUTSIDE: tuple[Attack, ...] = (
    Attack("nothing at all", 9, SUM, "", "absent", "naive"),
    Attack(
        "the end before the theorem",
        9,
        SUM,
        "#exit\ntheorem target : 2 + 2 = 5 := rfl",
        "absent",
        "naive",
    ),
    Attack(
        "in a comment",
        9,
        SUM,
        "/- theorem target : 2 + 2 = 5 := rfl -/",
        "absent",
        "naive",
    ),
    Attack(
        "in a comment within a comment",
        9,
        SUM,
        "/- /- -/ theorem target : 2 + 2 = 5 := rfl\n-/",
        "absent",
        "naive",
    ),
    Attack(
        "in a string",
        9,
        SUM,
        'def s : String := "\ntheorem target : 2 + 2 = 5 := rfl\n"',
        "absent",
        "naive",
    ),
    Attack(
        "an example",
        9,
        SUM,
        "example : 2 + 2 = 4 := rfl",
        "absent",
        "naive",
    ),
    Attack(
        "a definition",
        9,
        SUM,
        "def target : Prop := 2 + 2 = 5",
        "not_theorem",
        "text",
    ),
    Attack(
        "an inductive type of that name",
        9,
        SUM,
        "inductive target : Prop\n  | intro : target",
        "not_theorem",
        "text",
    ),
    Attack(
        "an opaque constant",
        9,
        Theorem("target", "theorem target : True"),
        "opaque target : True := True.intro",
        "not_theorem",
        "text",
    ),
    Attack(
        "an unfinished comment",
        9,
        SUM,
        "theorem target : 2 + 2 = 4 := rfl\n/-",
        "error",
    ),
    Attack(
        "a proof the kernel has not seen",
        10,
        SUM,
        "set_option debug.skipKernelTC true\ntheorem target : 2 + 2 = 5 := by decide +kernel",
        "kernel",
        "text",
    ),
    Attack(
        "a lemma the kernel has not seen",
        10,
        LOGIC,
        "set_option debug.skipKernelTC true in\n"
        "theorem bad : 2 + 2 = 5 := by decide +kernel\n"
        "theorem target (p q : Prop) (h : p ∨ q) : p ∧ q :=\n"
        "  absurd bad (by decide)",
        "kernel",
        "text",
    ),
    Attack(
        "a type that contains its own denial",
        10,
        SUM,
        "set_option debug.skipKernelTC true\nset_option warn.sorry false\n"
        "inductive Bad : Type\n  | mk : (Bad → False) → Bad\n"
        "theorem target : 2 + 2 = 5 := sorry",
        "error",
    ),
    Attack(
        "a type too large for its universe",
        10,
        SUM,
        "set_option bootstrap.inductiveCheckResultingUniverse false\n"
        "inductive Big : Type\n  | mk : Type → Big\ntheorem target : 2 + 2 = 5 := sorry",
        "error",
    ),
    Attack(
        "the process ended from a macro",
        11,
        SUM,
        'syntax (name := leaving) "leave" : term\n'
        '@[extern "x"] opaque IO.Process.exit (_ : Type) (status _world : Nat) : Nat\n'
        "@[macro leaving] def go : Lean.Macro := fun _ => match IO.Process.exit Nat 0 0 with\n"
        "  | 0 => Lean.Macro.throwUnsupported\n  | Nat.succ _ => `(rfl)\n"
        "theorem target : 2 + 2 = 5 := leave",
        "no_output",
        "naive",
    ),
    Attack(
        "the process ended with a status",
        11,
        SUM,
        'syntax (name := leaving) "leave" : term\n'
        '@[extern "x"] opaque IO.Process.exit (_ : Type) (status _world : Nat) : Nat\n'
        "@[macro leaving] def go : Lean.Macro := fun _ => match IO.Process.exit Nat 3 0 with\n"
        "  | 0 => Lean.Macro.throwUnsupported\n  | Nat.succ _ => `(rfl)\n"
        "theorem target : 2 + 2 = 5 := leave",
        "error",
    ),
    Attack(
        "the process brought down",
        11,
        SUM,
        'syntax (name := leaving) "leave" : term\n'
        '@[extern "x", macro leaving] opaque Lean.Expr.const : Lean.Macro :=\n'
        "  fun _ => Lean.Macro.throwUnsupported\n"
        "theorem target : 2 + 2 = 5 := leave",
        "verifier_failure",
    ),
    Attack(
        "a prelude of its own",
        14,
        Theorem("target", "theorem target : False"),
        "prelude\ninductive False : Prop\n  | intro : False\ntheorem target : False := False.intro",
        "imports",
        "text",
    ),
    Attack(
        "addition of its own in a prelude",
        14,
        Theorem("target", "theorem target : False"),
        "prelude\nuniverse u\ninductive False : Prop\n"
        "axiom cheat : False\ntheorem target : False := cheat",
        "imports",
        "naive",
    ),
    Attack(
        "a prelude behind the setup",
        14,
        PARITY,
        "prelude\ntheorem target : Par 3 := sorry",
        "error",
    ),
    Attack(
        "an import that is not there",
        14,
        SUM,
        "import Cheating\ntheorem target : 2 + 2 = 5 := cheat",
        "error",
    ),
    Attack(
        "a file of another kind",
        14,
        SUM,
        "module\nset_option warn.sorry false\ntheorem target : 2 + 2 = 5 := sorry",
        "error",
    ),
    Attack(
        "another gcd",
        15,
        SUM,
        "def Nat.gcd (_ _ : Nat) : Nat := 0\ntheorem target : 2 + 2 = 5 := sorry",
        "error",
    ),
    Attack(
        "another logarithm",
        15,
        SUM,
        "protected def Nat.log2 (_ : Nat) : Nat := 0\ntheorem target : 2 + 2 = 5 := sorry",
        "error",
    ),
    Attack(
        "another addition made irreducible",
        15,
        SUM,
        "namespace Nat\ndef add (_ _ : Nat) : Nat := 5\nend Nat\ntheorem target : 2 + 2 = 5 := rfl",
        "error",
    ),
    Attack(
        "the axiom of native evaluation",
        16,
        SUM,
        "axiom Lean.ofReduceBool (a b : Bool) (h : Lean.reduceBool a = b) : a = b\n"
        "theorem target : 2 + 2 = 5 := of_decide_eq_true (Lean.ofReduceBool _ true sorry)",
        "axiom",
        "naive",
    ),
    Attack(
        "two compiled values of one constant",
        16,
        SUM,
        "def yes : Bool := true\n@[implemented_by yes] def one : Bool := false\n"
        "def other : Bool := false\n"
        "theorem a : Lean.reduceBool one = true := by decide +kernel\n"
        "theorem b : Lean.reduceBool other = false := by decide +kernel\n"
        "theorem same : Lean.reduceBool one = Lean.reduceBool other := rfl\n"
        "theorem target : 2 + 2 = 5 := Bool.noConfusion (a.symm.trans (same.trans b))",
        "error",
    ),
    Attack(
        "a compiled value past the kernel",
        16,
        SUM,
        "def yes : Bool := true\n@[implemented_by yes] def one : Bool := false\n"
        "opaque tie (b : Bool) (h : Lean.reduceBool b = true) : PLift (b = b) := ⟨rfl⟩\n"
        "set_option debug.skipKernelTC true\n"
        "theorem a : Lean.reduceBool one = true := by decide +kernel\n"
        "theorem target : 2 + 2 = 5 := absurd (tie one a).down (by decide +kernel)",
        "axiom",
        "text",
    ),
    Attack(
        "compiled evaluation",
        16,
        SUM,
        "theorem target : 2 + 2 = 5 := by native_decide",
        "error",
    ),
    Attack(
        "a function that runs as another",
        16,
        DOUBLE,
        "def five (_ : Nat) : Nat := 5\nattribute [implemented_by five] dbl\n"
        "theorem target : dbl 2 = 5 := by decide",
        "error",
    ),
    Attack(
        "an unsafe loop",
        17,
        SUM,
        "unsafe def loop : PLift (2 + 2 = 5) := loop\ntheorem target : 2 + 2 = 5 := loop.down",
        "error",
    ),
    Attack(
        "a proof of itself",
        17,
        SUM,
        "theorem target : 2 + 2 = 5 := target",
        "error",
    ),
    Attack(
        "an unsafe theorem",
        17,
        SUM,
        "unsafe def target : 2 + 2 = 5 := target",
        "not_theorem",
        "text",
    ),
    Attack(
        "a kernel computation without end",
        20,
        SUM,
        "def grow : Nat → Nat → Nat\n  | 0, n => Nat.succ n\n  | Nat.succ k, n => grow k (grow k (grow k n))\n"
        "theorem target : 2 + 2 = 5 := by\n"
        "  have : grow 60 1 = 0 := by decide +kernel\n  cases this",
        "timeout",
    ),
    Attack(
        "too many brackets",
        20,
        SUM,
        f"theorem deep : {_deep(5_000)} = 0 := rfl\ntheorem target : 2 + 2 = 5 := sorry",
        "sorry",
        "naive",
    ),
)
