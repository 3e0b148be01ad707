/-! Monads, coercions, syntax helpers and the monad of macros: what quotations and `macro_rules`
expand to, and what the linked macros of the binary run in. -/

class Functor (f : Type u → Type v) : Type (max (u+1) v) where
  map : {α β : Type u} → (α → β) → f α → f β
  mapConst : {α β : Type u} → α → f β → f α := fun a => map (fun _ => a)
class Pure (f : Type u → Type v) where
  pure {α : Type u} : α → f α
class Seq (f : Type u → Type v) : Type (max (u+1) v) where
  seq : {α β : Type u} → f (α → β) → (Unit → f α) → f β
class SeqLeft (f : Type u → Type v) : Type (max (u+1) v) where
  seqLeft : {α β : Type u} → f α → (Unit → f β) → f α
class SeqRight (f : Type u → Type v) : Type (max (u+1) v) where
  seqRight : {α β : Type u} → f α → (Unit → f β) → f β
class Bind (m : Type u → Type v) where
  bind : {α β : Type u} → m α → (α → m β) → m β
export Pure (pure)
export Bind (bind)
class Applicative (f : Type u → Type v) extends
    Functor f, Pure f, Seq f, SeqLeft f, SeqRight f where
  map g x := Seq.seq (pure g) (fun _ => x)
  seqLeft x y := Seq.seq (Functor.map (fun a _ => a) x) y
  seqRight x y := Seq.seq (Functor.map (fun _ b => b) x) y
class Monad (m : Type u → Type v) : Type (max (u+1) v) extends Applicative m, Bind m where
  map f x := bind x (fun a => pure (f a))
  seq f x := bind f (fun g => bind (x Unit.unit) (fun a => pure (g a)))
  seqLeft x y := bind x (fun a => bind (y Unit.unit) (fun _ => pure a))
  seqRight x y := bind x (fun _ => y Unit.unit)
class MonadLift (m : semiOutParam (Type u → Type v)) (n : Type u → Type w) where
  monadLift : {α : Type u} → m α → n α
class MonadLiftT (m : Type u → Type v) (n : Type u → Type w) where
  monadLift : {α : Type u} → m α → n α
export MonadLiftT (monadLift)
abbrev liftM := @monadLift
instance instMonadLiftT {m n o : Type u → Type v} [MonadLift n o] [MonadLiftT m n] :
    MonadLiftT m o :=
  ⟨fun x => MonadLift.monadLift (m := n) (monadLift x)⟩
instance instMonadLiftTSelf {m : Type u → Type v} : MonadLiftT m m := ⟨fun x => x⟩
class MonadExceptOf (ε : semiOutParam (Type u)) (m : Type v → Type w) where
  throw {α : Type v} : ε → m α
  tryCatch {α : Type v} (body : m α) (handler : ε → m α) : m α
class MonadExcept (ε : outParam (Type u)) (m : Type v → Type w) where
  throw {α : Type v} : ε → m α
  tryCatch {α : Type v} : m α → (ε → m α) → m α
export MonadExcept (throw tryCatch)
abbrev throwThe (ε : Type u) {m : Type v → Type w} [MonadExceptOf ε m] {α : Type v} (e : ε) : m α :=
  MonadExceptOf.throw e
instance instMonadExceptOfMonadExceptOf (ε : Type u) (m : Type v → Type w) [MonadExceptOf ε m] :
    MonadExcept ε m :=
  ⟨MonadExceptOf.throw, MonadExceptOf.tryCatch⟩

def ReaderT (ρ : Type u) (m : Type u → Type v) (α : Type u) : Type (max u v) := ρ → m α
@[always_inline, inline] def ReaderT.run {ρ : Type u} {m : Type u → Type v} {α : Type u}
    (x : ReaderT ρ m α) (r : ρ) : m α :=
  x r
namespace ReaderT
variable {ρ : Type u} {m : Type u → Type v}
@[always_inline] instance instMonad [Monad m] : Monad (ReaderT ρ m) where
  pure a := fun _ => pure a
  bind x f := fun r => bind (x r) (fun a => f a r)
instance instMonadLift : MonadLift m (ReaderT ρ m) := ⟨fun x _ => x⟩
instance instMonadExceptOf {ε : Type w} [MonadExceptOf ε m] : MonadExceptOf ε (ReaderT ρ m) where
  throw e := fun _ => MonadExceptOf.throw e
  tryCatch x handler := fun r => MonadExceptOf.tryCatch (x r) (fun e => handler e r)
end ReaderT
inductive EStateM.Result (ε σ α : Type u) where
  | ok : α → σ → Result ε σ α
  | error : ε → σ → Result ε σ α
def EStateM (ε σ α : Type u) := σ → EStateM.Result ε σ α
namespace EStateM
variable {ε σ : Type u}
@[always_inline] instance instMonad : Monad (EStateM ε σ) where
  pure a := fun s => Result.ok a s
  bind x f := fun s => match x s with
    | Result.ok a t => f a t
    | Result.error e t => Result.error e t
instance instMonadExceptOf : MonadExceptOf ε (EStateM ε σ) where
  throw e := fun s => Result.error e s
  tryCatch x handler := fun s => match x s with
    | Result.error e t => handler e t
    | Result.ok a t => Result.ok a t
end EStateM

/-! Coercions: the elaborator searches `CoeT`, which these instances chain together. -/
class Coe (α : semiOutParam (Sort u)) (β : Sort v) where
  coe : α → β
class CoeTC (α : Sort u) (β : Sort v) where
  coe : α → β
class CoeOut (α : Sort u) (β : semiOutParam (Sort v)) where
  coe : α → β
class CoeOTC (α : Sort u) (β : Sort v) where
  coe : α → β
class CoeHead (α : Sort u) (β : semiOutParam (Sort v)) where
  coe : α → β
class CoeHTC (α : Sort u) (β : Sort v) where
  coe : α → β
class CoeTail (α : semiOutParam (Sort u)) (β : Sort v) where
  coe : α → β
class CoeHTCT (α : Sort u) (β : Sort v) where
  coe : α → β
class CoeDep (α : Sort u) (_ : α) (β : Sort v) where
  coe : β
class CoeT (α : Sort u) (_ : α) (β : Sort v) where
  coe : β
class CoeFun (α : Sort u) (γ : outParam (α → Sort v)) where
  coe : (f : α) → γ f
class CoeSort (α : Sort u) (β : outParam (Sort v)) where
  coe : α → β
attribute [coe_decl] Coe.coe CoeTC.coe CoeOut.coe CoeOTC.coe CoeHead.coe CoeHTC.coe CoeTail.coe
  CoeHTCT.coe CoeDep.coe CoeT.coe CoeFun.coe CoeSort.coe
section
variable {α : Sort u} {β : Sort v} {γ : Sort w}
instance instCoeTCStep [step : Coe β γ] [chain : CoeTC α β] : CoeTC α γ :=
  ⟨fun a => step.coe (chain.coe a)⟩
instance instCoeTCOfCoe [step : Coe α β] : CoeTC α β := ⟨step.coe⟩
instance instCoeTCSelf : CoeTC α α := ⟨fun a => a⟩
instance instCoeOTCStep [step : CoeOut α β] [chain : CoeOTC β γ] : CoeOTC α γ :=
  ⟨fun a => chain.coe (step.coe a)⟩
instance instCoeOTCOfCoeTC [chain : CoeTC α β] : CoeOTC α β := ⟨chain.coe⟩
instance instCoeOTCSelf : CoeOTC α α := ⟨fun a => a⟩
instance instCoeHTCStep [step : CoeHead α β] [chain : CoeOTC β γ] : CoeHTC α γ :=
  ⟨fun a => chain.coe (step.coe a)⟩
instance instCoeHTCOfCoeOTC [chain : CoeOTC α β] : CoeHTC α β := ⟨chain.coe⟩
instance instCoeHTCSelf : CoeHTC α α := ⟨fun a => a⟩
instance instCoeHTCTStep [step : CoeTail β γ] [chain : CoeHTC α β] : CoeHTCT α γ :=
  ⟨fun a => step.coe (chain.coe a)⟩
instance instCoeHTCTOfCoeHTC [chain : CoeHTC α β] : CoeHTCT α β := ⟨chain.coe⟩
instance instCoeHTCTSelf : CoeHTCT α α := ⟨fun a => a⟩
instance instCoeTOfCoeHTCT (a : α) [chain : CoeHTCT α β] : CoeT α a β := ⟨chain.coe a⟩
instance instCoeTOfCoeDep (a : α) [dep : CoeDep α a β] : CoeT α a β := ⟨dep.coe⟩
end
instance boolToProp : Coe Bool Prop := ⟨fun b => Eq b true⟩
instance boolToSort : CoeSort Bool Prop := ⟨fun b => Eq b true⟩
instance subtypeCoe {α : Sort u} {p : α → Prop} : CoeOut (Subtype p) α := ⟨Subtype.val⟩

namespace Lean
structure Parser.Category
namespace Syntax
def getKind : Syntax → SyntaxNodeKind
  | missing => `missing
  | node _ k _ => k
  | atom _ v => Name.mkSimple v
  | ident .. => `ident
def setKind (k : SyntaxNodeKind) : Syntax → Syntax
  | node info _ args => node info k args
  | other => other
def isOfKind (stx : Syntax) (k : SyntaxNodeKind) : Bool := BEq.beq stx.getKind k
def getArgs : Syntax → Array Syntax
  | node _ _ args => args
  | _ => Array.empty
def getNumArgs (stx : Syntax) : Nat := stx.getArgs.size
def getArg (stx : Syntax) (i : Nat) : Syntax := stx.getArgs.getD i missing
def isNodeOf (stx : Syntax) (k : SyntaxNodeKind) (n : Nat) : Bool :=
  and (stx.isOfKind k) (BEq.beq stx.getNumArgs n)
def matchesNull (stx : Syntax) (n : Nat) : Bool := stx.isNodeOf `null n
def isIdent : Syntax → Bool
  | ident .. => true
  | _ => false
def getId : Syntax → Name
  | ident _ _ val _ => val
  | _ => Name.anonymous
def matchesIdent (stx : Syntax) (id : Name) : Bool := and stx.isIdent (BEq.beq stx.getId id)
def isToken (token : String) : Syntax → Bool
  | atom _ val => String.sameCode val token
  | _ => false
def matchesLit (stx : Syntax) (k : SyntaxNodeKind) (val : String) : Bool :=
  and (stx.isNodeOf k 1) (isToken val (stx.getArg 0))
def getOptional? (stx : Syntax) : Option Syntax :=
  cond (stx.matchesNull 1) (some (stx.getArg 0)) none
def isNone (stx : Syntax) : Bool := or (stx.matchesNull 0) (stx.isOfKind `missing)
section
variable (info : SourceInfo) (kind : SyntaxNodeKind)
def node1 (a : Syntax) : Syntax := node info kind (Array.mkArray1 a)
def node2 (a b : Syntax) : Syntax := node info kind (Array.mkArray2 a b)
def node3 (a b c : Syntax) : Syntax := node info kind (Array.mkArray3 a b c)
def node4 (a b c d : Syntax) : Syntax := node info kind (Array.mkArray4 a b c d)
def node5 (a b c d e : Syntax) : Syntax := node info kind (Array.mkArray5 a b c d e)
def node6 (a b c d e f : Syntax) : Syntax := node info kind (Array.mkArray6 a b c d e f)
def node7 (a b c d e f g : Syntax) : Syntax := node info kind (Array.mkArray7 a b c d e f g)
def node8 (a b c d e f g h : Syntax) : Syntax := node info kind (Array.mkArray8 a b c d e f g h)
end
end Syntax
abbrev nullKind : SyntaxNodeKind := `null
abbrev SyntaxNodeKinds := List SyntaxNodeKind
structure TSyntax (ks : SyntaxNodeKinds) where
  raw : Syntax
section
variable {k k' : SyntaxNodeKind} {ks : SyntaxNodeKinds}
instance TSyntax.instInhabited : Inhabited (TSyntax ks) := ⟨⟨Syntax.missing⟩⟩
instance instCoeKindKinds : Coe SyntaxNodeKind SyntaxNodeKinds := ⟨fun k => .cons k .nil⟩
instance TSyntax.instCoeHead : CoeHead (TSyntax ks) Syntax := ⟨TSyntax.raw⟩
instance TSyntax.instCoeDep {stx : Syntax} : CoeDep Syntax stx (TSyntax ks) := ⟨⟨stx⟩⟩
instance TSyntax.instCoeMore : Coe (TSyntax (.cons k .nil)) (TSyntax (.cons k (.cons k' ks))) :=
  ⟨fun s => ⟨s.raw⟩⟩
instance TSyntax.identToTerm : Coe (TSyntax (.cons `ident .nil)) (TSyntax (.cons `term .nil)) :=
  ⟨fun s => ⟨s.raw⟩⟩
instance TSyntax.numToTerm : Coe (TSyntax (.cons `num .nil)) (TSyntax (.cons `term .nil)) :=
  ⟨fun s => ⟨s.raw⟩⟩
instance TSyntax.strToTerm : Coe (TSyntax (.cons `str .nil)) (TSyntax (.cons `term .nil)) :=
  ⟨fun s => ⟨s.raw⟩⟩
abbrev TSyntaxArray (ks : SyntaxNodeKinds) := Array (TSyntax ks)
-- `TSyntax` is a structure of one field: its arrays are arrays of syntax at run time
unsafe def TSyntaxArray.rawImpl : TSyntaxArray ks → Array Syntax := unsafeCast
@[implemented_by TSyntaxArray.rawImpl]
opaque TSyntaxArray.raw (as : TSyntaxArray ks) : Array Syntax := Array.empty
unsafe def TSyntaxArray.mkImpl : Array Syntax → TSyntaxArray ks := unsafeCast
@[implemented_by TSyntaxArray.mkImpl]
opaque TSyntaxArray.mk (as : Array Syntax) : TSyntaxArray ks := Array.empty
end
structure Syntax.SepArray (sep : String) where
  elemsAndSeps : Array Syntax
structure Syntax.TSepArray (ks : SyntaxNodeKinds) (sep : String) where
  elemsAndSeps : Array Syntax
abbrev Term := TSyntax (.cons `term .nil)
abbrev Ident := TSyntax (.cons `ident .nil)
def mkNode (k : SyntaxNodeKind) (args : Array Syntax) : TSyntax (.cons k .nil) :=
  ⟨Syntax.node SourceInfo.none k args⟩
def mkNullNode (args : Array Syntax := Array.empty) : Syntax :=
  Syntax.node SourceInfo.none `null args
-- synthesised tokens carry no positions
def mkAtom (val : String) : Syntax := Syntax.atom SourceInfo.none val
def mkAtomFrom (_src : Syntax) (val : String) (_canonical : Bool := false) : Syntax := mkAtom val
def SourceInfo.fromRef (ref : Syntax) (_canonical : Bool := false) : SourceInfo :=
  match ref with
  | .node info .. => info
  | .atom info _ => info
  | .ident info .. => info
  | .missing => SourceInfo.none

abbrev MacroScope := Nat
class MonadRef (m : Type → Type) where
  getRef : m Syntax
  withRef {α : Type} : Syntax → m α → m α
export MonadRef (getRef)
def withRef {m : Type → Type} [MonadRef m] {α : Type} (ref : Syntax) (x : m α) : m α :=
  MonadRef.withRef ref x
class MonadQuotation (m : Type → Type) extends MonadRef m where
  getCurrMacroScope : m MacroScope
  getContext : m Name
  withFreshMacroScope {α : Type} : m α → m α
export MonadQuotation (getCurrMacroScope withFreshMacroScope)
def MonadRef.mkInfoFromRefPos {m : Type → Type} [Monad m] [MonadRef m] : m SourceInfo :=
  pure SourceInfo.none
def Name.hasMacroScopes : Name → Bool
  | .str _ s => String.sameCode s "_hyg"
  | .num p _ => hasMacroScopes p
  | .anonymous => false
protected def Name.appendCore : Name → Name → Name
  | a, .anonymous => a
  | a, .str b s => .str (Name.appendCore a b) s
  | a, .num b i => .num (Name.appendCore a b) i
def addMacroScope (mainModule : Name) (n : Name) (scope : MacroScope) : Name :=
  cond n.hasMacroScopes (.num n scope)
    (.num (.str (Name.appendCore (.str n "_@") mainModule) "_hyg") scope)

namespace Macro
def MethodsRef : Type := PUnit
structure Context where
  methods : MethodsRef
  quotContext : Name
  currMacroScope : MacroScope
  currRecDepth : Nat := 0
  maxRecDepth : Nat := 512
  ref : Syntax
inductive Exception where
  | error : Syntax → String → Exception
  | unsupportedSyntax : Exception
structure State where
  macroScope : MacroScope
  expandedMacroDecls : List Name := List.nil
  traceMsgs : List (Prod Name String) := List.nil
end Macro
abbrev MacroM := ReaderT Macro.Context (EStateM Macro.Exception Macro.State)
abbrev Macro := Syntax → MacroM Syntax
namespace Macro
def throwUnsupported {α : Type} : MacroM α := throw Exception.unsupportedSyntax
def throwErrorAt {α : Type} (ref : Syntax) (msg : String) : MacroM α :=
  throw (Exception.error ref msg)
def throwError {α : Type} (msg : String) : MacroM α := fun c => throwErrorAt c.ref msg c
instance instMonadRef : MonadRef MacroM where
  getRef := fun c => pure c.ref
  withRef ref x := fun c => x { c with ref := ref }
instance instMonadQuotation : MonadQuotation MacroM where
  getCurrMacroScope := fun c => pure c.currMacroScope
  getContext := fun c => pure c.quotContext
  withFreshMacroScope x := fun c s =>
    x { c with currMacroScope := s.macroScope } { s with macroScope := Nat.succ s.macroScope }
end Macro
namespace PrettyPrinter
abbrev UnexpandM := ReaderT Syntax (EStateM Unit Unit)
abbrev Unexpander := Syntax → UnexpandM Syntax
instance instMonadQuotation : MonadQuotation UnexpandM where
  getRef := fun ref => pure ref
  withRef ref x := fun _ => x ref
  getCurrMacroScope := pure 0
  getContext := pure `_unexpand
  withFreshMacroScope x := x
end PrettyPrinter
end Lean
