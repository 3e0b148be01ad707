"""Lean lines that link the grammar which the binary itself carries: tactics, operators, their macros.

A parser description or macro compiled into the library is found by the mangled name of the constant
that declares it: an `opaque` of the right type and name is enough. Names only; pinned to one build.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

# category -> namespace -> names of the parser descriptions in it
PARSERS: dict[str, dict[str, str]] = {
    "tactic": {
        "Lean.Parser.Tactic": """
            exact apply intro intros refine refine' assumption contradiction constructor left right
            skip done fail paren first focus allGoals anyGoals case case' rotateLeft rotateRight
            renameI rename revert clear subst substEqs substVars induction cases rcases obtain
            rintro eqRefl applyRfl rewriteSeq rwSeq rwa rwaAt simp simpAll simpa dsimp unfold change
            show generalize specialize injection injections split symm decide exposeNames
            withReducible withReducibleAndInstances withUnfoldingAll traceState traceMessage
            tacticRfl tacticRfl' tacticTrivial tacticTry_ tacticRepeat_ repeat' repeat1' tacticExfalso
            tacticAdmit tacticSorry tacticStop_ tacticInfer_instance tacticSuffices_ tacticHave__
            tacticHave' tacticHaveI__ tacticLet__ tacticLet'__ tacticLetI__ letrec replace
            tacticAnd_intros tacticExists_,, tacticNext_=>_ tacticNomatch_,, tacticNofun
            tacticRefine_lift_ tacticRefine_lift'_ tacticIterate____ tacticErw___ tacIfThenElse
            tacDepIfThenElse congr delta classical failIfSuccess falseOrByContra tacticUnhygienic_
            tactic_<;>_ Conv.conv Conv.convTactic funInduction funCases solveByElim applyAssumption
            clearValue
        """,
        "Lean": "cdot calcTactic solveTactic",
        "": """
            tacticBy_cases_:_ tacticFunext___ tacticDecreasing_tactic tacticDecreasing_trivial
            tacticDecreasing_trivial_pre_omega tacticDecreasing_with_ tacticSimp_wf tacticClean_wf
        """,
    },
    "rcasesPat": {
        "Lean.Parser.Tactic": """
            rcasesPat.one rcasesPat.ignore rcasesPat.clear rcasesPat.explicit rcasesPat.tuple
            rcasesPat.paren
        """
    },
    "rintroPat": {"Lean.Parser.Tactic": "rintroPat.one rintroPat.binder"},
    "conv": {
        "Lean.Parser.Tactic.Conv": """
            allGoals anyGoals arg case case' change congr convApply_ convArgs convConvSeq convDone
            convErw__ convIntro___ convLeft convNext__=>_ convRepeat_ convRfl convRight convRw__
            convTrace_state convTry_ conv_<;>_ conv·_ delta dsimp enter ext failIfSuccess first
            focus fun lhs nestedConv nestedTactic nestedTacticCore paren pattern reduce rewrite rhs
            simp simpMatch skip unfold whnf zeta
        """
    },
    "term": {
        "": """
            term_=_ term_≠_ term_<_ term_≤_ term_>_ term_≥_ term_==_ term_!=_
            term_+_ term_-_ term_*_ term_/_ term_%_ term_^_ term-_ term_++_ term_∣_ term_::_
            term_∧_ term_∨_ term_↔_ term_<->_ term¬_ term_&&_ term_||_ term!_ term_≍_
            term_∈_ term_∉_ term_∘_ term_×_ term_×'_ term_×__1 term_×'__1 term_⊕_ term_⊕'_
            term_<|>_ term_>>_ term_$__ term_<|_ term_|>_ term_>>=_ term_<$>_ term_<*>_
            term∃_,_ termExists_,_ termΣ_,_ termΣ'_,_ termIfThenElse termDepIfThenElse termIfLet
            boolIfThenElse term[_] term%[_|_] term‹_› term{_:_//_} termMax_prec
            termWithout_expected_type_
        """,
        "Lean": "calc term∀__,_ term∃__,_ termSatisfies_binder_pred%__ term_Matches_|",
    },
    "binderPred": {
        "Lean": "binderPred<_ binderPred≤_ binderPred>_ binderPred≥_ binderPred≠_ binderPred∈_ binderPred∉_"
    },
    "attr": {"Lean.Parser.Attr": "simp"},
    "command": {"Lean": "reduceCmd"},
    "prec": {
        "": "precArg precMax precLead precMin precMin1 prec(_)",
        "Lean.Parser.Syntax": "addPrec subPrec",
    },
    "prio": {
        "": "prioDefault prioHigh prioLow prioMid prio(_)",
        "Lean.Parser.Syntax": "addPrio subPrio",
    },
    "stx": {"": "stx_* stx_+ stx_? stx!_ stx_,* stx_,+ stx_,*,? stx_,+,? stx_<|>_"},
    # no category of their own: for `syntax` and `macro` of a submission that name them
    "": {"Lean": "explicitBinders unbracketedExplicitBinders bracketedExplicitBinders binderIdent"},
}
# categories that the binary does not know before somebody declares them
NEW_CATEGORIES = ("rcasesPat", "rintroPat", "binderPred", "conv (behavior := both)")
# descriptions that begin with a term before the operator: another type, `TrailingParserDescr`
_TRAILING = re.compile(r"(conv_|tactic_|term_|stx_|addPrec|subPrec|addPrio|subPrio)")
_LEADING = ("term_×__1", "term_×'__1")

# (module it was compiled in, namespace of the compiled name) -> kinds, `kind*3` for three rules
MACROS: dict[tuple[str, str], str] = {
    ("Init_Notation", ""): """
        term_=_*2 term_<_*2 term_≤_*2 term_>_*2 term_≥_*2 term_==_*2 term_+_*2
        term_-_*2 term_*_*2 term_/_*2 term_%_*2 term_^_*2 term-_*2 term_++_*2 term_∣_ term_::_
        term_∧_ term_∨_ term¬_ term_&&_ term_||_ term!_ term_≍_ term_∈_ term_∉_ term_∘_ term_×_
        term_×'_ term_<|>_ term_>>_ term_$__ term_<|_ term_|>_ term_>>=_ term_<$>_ term_<*>_
        termIfThenElse termDepIfThenElse termIfLet boolIfThenElse term{_:_//_} termMax_prec
        termWithout_expected_type_ precArg precMax precLead precMin precMin1 prec(_) prioDefault
        prioHigh prioLow prioMid prio(_) stx_* stx_+ stx_? stx!_ stx_,* stx_,+ stx_,*,? stx_,+,?
        stx_<|>_
    """,
    ("Init_Core", ""): "term_≠_*2 term_!=_*2 term_↔_ term_<->_ term_⊕_ term_⊕'_",
    ("Init_NotationExtra", ""): """
        term∃_,_ termExists_,_ termΣ_,_ termΣ'_,_ term_×__1 term_×'__1 term%[_|_] tacticFunext___
    """,
    ("Init_NotationExtra", "Lean"): "Lean.solveTactic Lean.term_Matches_|",
    ("Init_Data_List_Notation", "Lean"): "term[_]",
    ("Init_BinderPredicates", "Lean"): """
        Lean.termSatisfies_binder_pred%__*7 Lean.term∀__,_ Lean.term∃__,_
    """,
    ("Init_ByCases", ""): "tacticBy_cases_:_*2",
    ("Init_Meta", "Lean"): """
        Lean.Parser.Syntax.addPrec Lean.Parser.Syntax.addPrio Lean.Parser.Syntax.subPrec
        Lean.Parser.Syntax.subPrio
    """,
    ("Init_Meta", "Lean.Parser.Tactic"): "tacticErw___",
    ("Init_Tactics", ""): "term‹_›",
    ("Init_Tactics", "Lean.Parser.Tactic"): """
        tacticRfl*3 tacticRfl' tacticTrivial*6 tacticTry_ tacticExfalso tacticAdmit tacticSorry
        tacticStop_ tacticInfer_instance tacticSuffices_ tacticHave__ tacticHave' tacticHaveI__
        tacticLet__ tacticLet'__ tacticLetI__ letrec tacticAnd_intros tacticExists_,, tacticNext_=>_
        tacticNomatch_,, tacticNofun tacticRefine_lift_ tacticRefine_lift'_ tacticUnhygienic_
        tactic_<;>_ rwSeq
    """,
    ("Init_TacticsExtra", "Lean.Parser.Tactic"): "tacIfThenElse tacDepIfThenElse tacticIterate____",
    ("Init_WFTactics", ""): """
        tacticDecreasing_tactic tacticDecreasing_with_ tacticDecreasing_trivial*3
        tacticDecreasing_trivial_pre_omega*3 tacticSimp_wf tacticClean_wf
    """,
    ("Init_Conv", "Lean.Parser.Tactic.Conv"): """
        allGoals anyGoals case case' convApply_ convArgs convDone convErw__ convIntro___ convLeft
        convNext__=>_ convRepeat_ convRfl convRight convRw__ convTrace_state convTry_ conv_<;>_
        conv·_ failIfSuccess focus
    """,
}
# module -> constants whose applications the messages write with their operator
UNEXPANDERS: dict[str, str] = {
    "Init_Notation": """
        Eq LT_lt LE_le*2 GT_gt GE_ge*2 BEq_beq HAdd_hAdd HSub_hSub HMul_hMul HDiv_hDiv HMod_hMod
        HPow_hPow Neg_neg HAppend_hAppend Dvd_dvd List_cons And Or Not Bool_and Bool_or Bool_not
        HEq Membership_mem Function_comp Prod PProd
    """,
    "Init_Core": "Ne bne Iff*2 Sum PSum",
}
NAMED_UNEXPANDERS: dict[str, str] = {
    "Exists": "unexpandExists",
    "ite": "unexpandIte",
    "List.nil": "unexpandListNil",
    "List.cons": "unexpandListCons",
}
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z_0-9']*[?!]?")
_KEYWORDS = frozenset(
    {"show", "open", "match", "have", "let", "fun", "at", "set_option", "exists", "by", "from"}
)


@dataclass(frozen=True)
class Link:
    """One constant of the binary: namespace, name (may hold dots: then it is several parts)."""

    space: str
    name: tuple[str, ...]
    type: str
    mark: str = ""

    def line(self) -> str:
        """The Lean declaration. The name after `extern` is never used: the declaration's is."""
        name = quoted((*_parts(self.space), *self.name))
        return f'@[extern "linked"{self.mark}] opaque {name} : {self.type}{_BODIES[self.type]}'

    def symbol(self) -> str:
        return "l_" + "_".join(mangled(part) for part in (*_parts(self.space), *self.name))


_BODIES = {
    "Lean.ParserDescr": "",
    "Lean.TrailingParserDescr": "",
    "Lean.Macro": " := fun _ => Lean.Macro.throwUnsupported",
    "Lean.PrettyPrinter.Unexpander": " := fun _ => throw Unit.unit",
}


def links() -> Iterator[Link]:
    """Everything that is linked, parsers before the macros of their kinds."""
    for category, spaces in PARSERS.items():
        mark = f", {category}_parser 1000" if category else ""
        for space, names in spaces.items():
            for name in names.split():
                last = name.rsplit(".", 1)[-1]
                trailing = _TRAILING.match(last) and last not in _LEADING
                kind = "Lean.TrailingParserDescr" if trailing else "Lean.ParserDescr"
                yield Link(space, tuple(name.split(".")), kind, mark)
    for (module, space), kinds in MACROS.items():
        for kind, number in _numbered(kinds):
            parts = (*_parts(space), kind) if space.startswith("Lean.Parser.") else _parts(kind)
            auxiliary = f"_aux_{module}___macroRules_{'_'.join(parts)}_{number}"
            yield Link(space, (auxiliary,), "Lean.Macro", f", macro {quoted(parts)}")
    for module, constants in UNEXPANDERS.items():
        for constant, number in _numbered(constants):
            auxiliary = f"_aux_{module}___unexpand_{constant}_{number}"
            mark = f", app_unexpander {constant.replace('_', '.')}"
            yield Link("", (auxiliary,), "Lean.PrettyPrinter.Unexpander", mark)
    for constant, name in NAMED_UNEXPANDERS.items():
        mark = f", app_unexpander {constant}"
        yield Link("", (name,), "Lean.PrettyPrinter.Unexpander", mark)


def source() -> str:
    """The linking part of the core library; goes after the types of syntax and macros."""
    categories = [f"declare_syntax_cat {name}" for name in NEW_CATEGORIES]
    return "\n".join([*categories, *(link.line() for link in links())]) + "\n"


def quoted(parts: tuple[str, ...]) -> str:
    """A Lean identifier from the parts of a name."""
    plain = [bool(_PLAIN.fullmatch(part)) and part not in _KEYWORDS for part in parts]
    return ".".join(
        part if is_plain else f"«{part}»" for part, is_plain in zip(parts, plain, strict=True)
    )


def mangled(part: str) -> str:
    """One part of a name as Lean's compiler writes it in a symbol."""
    return "".join(_mangled_character(character) for character in part)


def _mangled_character(character: str) -> str:
    if character == "_":
        return "__"
    if character.isascii() and character.isalnum():
        return character
    code = ord(character)
    return f"_x{code:02x}" if code < 0x100 else f"_u{code:04x}"


def _parts(name: str) -> tuple[str, ...]:
    return tuple(name.split(".")) if name else ()


def _numbered(text: str) -> Iterator[tuple[str, int]]:
    """`a b*2` as (a, 1), (b, 1), (b, 2); a star that no number follows belongs to the name."""
    for word in text.split():
        name, _, count = word.rpartition("*")
        many = int(count) if name and count.isdigit() else 1
        for number in range(1, many + 1):
            yield (name if name and count.isdigit() else word), number
