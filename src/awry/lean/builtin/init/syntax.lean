/-! What names and syntax trees are made of. The binary's own code reads and writes these objects:
order and fields of the constructors are fixed. -/

structure Fin (n : Nat) where
  mk ::
  val : Nat
  isLt : LT.lt val n
structure BitVec (w : Nat) where
  ofFin ::
  toFin : Fin (Nat.pow 2 w)
structure UInt8 where
  ofBitVec ::
  toBitVec : BitVec 8
structure UInt32 where
  ofBitVec ::
  toBitVec : BitVec 32
structure UInt64 where
  ofBitVec ::
  toBitVec : BitVec 64
attribute [extern "lean_uint64_of_nat_mk"] UInt64.ofBitVec
attribute [extern "lean_uint64_to_nat"] UInt64.toBitVec
abbrev UInt64.size : Nat := 18446744073709551616
@[extern "lean_uint64_of_nat"]
def UInt64.ofNatLT (n : @& Nat) (h : LT.lt n UInt64.size) : UInt64 := ⟨⟨⟨n, h⟩⟩⟩

-- a character is its code; the kernel turns literals into `Char.ofNat` and `String.ofList`
structure Char where
  code : Nat
noncomputable def Char.ofNat (n : Nat) : Char := ⟨n⟩
structure String where
  mk ::
  data : List Char
attribute [extern "lean_string_mk"] String.mk
attribute [extern "lean_string_data"] String.data
@[extern "lean_string_mk"] def String.ofList (data : List Char) : String := ⟨data⟩
-- opaque: the compiled code works on UTF-8, and no theorem should rest on what it does
@[extern "lean_string_dec_eq"] opaque String.sameCode (a b : @& String) : Bool
@[extern "lean_string_hash"] protected opaque String.hash (s : @& String) : UInt64 :=
  UInt64.ofNatLT 0 (Nat.le_of_ble_eq_true rfl)
@[extern "lean_string_append"] opaque String.append : String → (@& String) → String :=
  fun s _ => s
@[extern "lean_string_utf8_byte_size"] opaque String.utf8ByteSize (s : @& String) : Nat
@[extern "lean_uint64_mix_hash"] opaque mixHash (a b : UInt64) : UInt64 := a
instance String.instInhabited : Inhabited String := ⟨""⟩
instance String.instAppend : Append String := ⟨String.append⟩
structure String.Pos.Raw where
  byteIdx : Nat := 0
structure Substring.Raw where
  str : String
  startPos : String.Pos.Raw
  stopPos : String.Pos.Raw
def String.toRawSubstring (s : String) : Substring.Raw := ⟨s, ⟨0⟩, ⟨s.utf8ByteSize⟩⟩
def String.toRawSubstring' (s : String) : Substring.Raw := toRawSubstring s

structure Array (α : Type u) where
  mk ::
  toList : List α
attribute [extern "lean_array_to_list"] Array.toList
attribute [extern "lean_array_mk"] Array.mk
namespace Array
variable {α : Type u}
@[extern "lean_mk_empty_array_with_capacity"] def mkEmpty (c : @& Nat) : Array α := ⟨List.nil⟩
def emptyWithCapacity (c : Nat) : Array α := mkEmpty c
def empty : Array α := mkEmpty 0
@[extern "lean_array_get_size"] def size (a : @& Array α) : Nat := a.toList.length
@[extern "lean_array_push"] def push (a : Array α) (v : α) : Array α := ⟨a.toList.concat v⟩
@[extern "lean_array_fget"]
def getInternal (a : @& Array α) (i : @& Nat) (h : LT.lt i a.size) : α := a.toList.get i h
@[extern "lean_array_fget_borrowed"]
unsafe def getInternalBorrowed (a : @& Array α) (i : @& Nat) (h : LT.lt i a.size) : α :=
  getInternal a i h
@[inline] def getD (a : Array α) (i : Nat) (fallback : α) : α :=
  dite (LT.lt i a.size) (fun h => getInternal a i h) (fun _ => fallback)
def pushAll (a : Array α) (l : List α) : Array α := l.foldl push a
def appendCore (a b : Array α) : Array α := pushAll a b.toList
def mkArray0 : Array α := empty
def mkArray1 (a : α) : Array α := push empty a
def mkArray2 (a b : α) : Array α := push (mkArray1 a) b
def mkArray3 (a b c : α) : Array α := push (mkArray2 a b) c
def mkArray4 (a b c d : α) : Array α := push (mkArray3 a b c) d
def mkArray5 (a b c d e : α) : Array α := push (mkArray4 a b c d) e
def mkArray6 (a b c d e f : α) : Array α := push (mkArray5 a b c d e) f
def mkArray7 (a b c d e f g : α) : Array α := push (mkArray6 a b c d e f) g
def mkArray8 (a b c d e f g h : α) : Array α := push (mkArray7 a b c d e f g) h
instance instAppend : Append (Array α) := ⟨appendCore⟩
instance instHAppendList : HAppend (Array α) (List α) (Array α) := ⟨pushAll⟩
instance instInhabited : Inhabited (Array α) := ⟨empty⟩
end Array

namespace Lean
inductive Name where
  | anonymous : Name
  | str (pre : Name) (str : String)
  | num (pre : Name) (i : Nat)
with
  -- the numbers are those of the binary's own tables of names
  @[computed_field] hash : Name → UInt64
    | .anonymous => .ofNatLT 1723 (Nat.le_of_ble_eq_true rfl)
    | .str p s => mixHash p.hash s.hash
    | .num p v => mixHash p.hash
      (dite (LT.lt v UInt64.size) (fun h => UInt64.ofNatLT v h)
        (fun _ => UInt64.ofNatLT 17 (Nat.le_of_ble_eq_true rfl)))
namespace Name
instance instInhabited : Inhabited Name := ⟨anonymous⟩
@[export lean_name_mk_string] abbrev mkStr (p : Name) (s : String) : Name := str p s
@[export lean_name_mk_numeral] abbrev mkNum (p : Name) (v : Nat) : Name := num p v
abbrev mkSimple (s : String) : Name := str anonymous s
@[reducible] def mkStr1 (a : String) : Name := str anonymous a
@[reducible] def mkStr2 (a b : String) : Name := str (mkStr1 a) b
@[reducible] def mkStr3 (a b c : String) : Name := str (mkStr2 a b) c
@[reducible] def mkStr4 (a b c d : String) : Name := str (mkStr3 a b c) d
@[reducible] def mkStr5 (a b c d e : String) : Name := str (mkStr4 a b c d) e
@[reducible] def mkStr6 (a b c d e f : String) : Name := str (mkStr5 a b c d e) f
@[reducible] def mkStr7 (a b c d e f g : String) : Name := str (mkStr6 a b c d e f) g
@[reducible] def mkStr8 (a b c d e f g h : String) : Name := str (mkStr7 a b c d e f g) h
@[extern "lean_name_eq"] protected opaque beq (a b : @& Name) : Bool
instance instBEq : BEq Name := ⟨Name.beq⟩
end Name

inductive SourceInfo where
  | original (leading : Substring.Raw) (pos : String.Pos.Raw) (trailing : Substring.Raw)
      (endPos : String.Pos.Raw)
  | synthetic (pos : String.Pos.Raw) (endPos : String.Pos.Raw) (canonical : Bool := false)
  | protected none
instance SourceInfo.instInhabited : Inhabited SourceInfo := ⟨SourceInfo.none⟩
abbrev SyntaxNodeKind := Name
inductive Syntax.Preresolved where
  | namespace (ns : Name)
  | decl (n : Name) (fields : List String)
inductive Syntax where
  | missing : Syntax
  | node (info : SourceInfo) (kind : SyntaxNodeKind) (args : Array Syntax) : Syntax
  | atom (info : SourceInfo) (val : String) : Syntax
  | ident (info : SourceInfo) (rawVal : Substring.Raw) (val : Name)
      (preresolved : List Syntax.Preresolved) : Syntax
instance Syntax.instInhabited : Inhabited Syntax := ⟨Syntax.missing⟩
inductive ParserDescr where
  | const (name : Name)
  | unary (name : Name) (p : ParserDescr)
  | binary (name : Name) (p₁ p₂ : ParserDescr)
  | node (kind : SyntaxNodeKind) (prec : Nat) (p : ParserDescr)
  | trailingNode (kind : SyntaxNodeKind) (prec lhsPrec : Nat) (p : ParserDescr)
  | symbol (val : String)
  | nonReservedSymbol (val : String) (includeIdent : Bool)
  | cat (catName : Name) (rbp : Nat)
  | parser (declName : Name)
  | nodeWithAntiquot (name : String) (kind : SyntaxNodeKind) (p : ParserDescr)
  | sepBy (p : ParserDescr) (sep : String) (psep : ParserDescr) (allowTrailingSep : Bool := false)
  | sepBy1 (p : ParserDescr) (sep : String) (psep : ParserDescr) (allowTrailingSep : Bool := false)
  | unicodeSymbol (val asciiVal : String) (preserveForPP : Bool)
abbrev TrailingParserDescr := ParserDescr
instance ParserDescr.instInhabited : Inhabited ParserDescr := ⟨ParserDescr.symbol ""⟩
end Lean
abbrev autoParam (α : Sort u) (tactic : Lean.Syntax) : Sort u := α
