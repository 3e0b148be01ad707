"""Lean's kernel, fed by us: in a process of its own, since a wrong layout would crash it."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("needs_lean")


def run(body: str) -> Any:
    """The JSON that `body` leaves in `answer`, with the core prepared as `p`."""
    script = textwrap.dedent(
        """
        import json, sys
        from awry.lean.sound import judge, terms
        from awry.lean.sound.kernel import Kernel, KernelLimit
        from awry.lean.sound.terms import Constant
        p = judge.prepare(sys.argv[1], sys.argv[2])
        a, k = p.arena, p.kernel
        def const(*parts, levels=()):
            return a.expr((terms.CONST, a.name(parts), levels))
        def app(f, *args):
            for x in args:
                f = a.expr((terms.APP, f, x))
            return f
        one = a.level((terms.SUCC, 0))
        nat = const("Nat")
        def lit(n):
            return a.expr((terms.NAT, n))
        def eq(x, y):
            return app(const("Eq", levels=(one,)), nat, x, y)
        def refl(x):
            return app(const("Eq", "refl", levels=(one,)), nat, x)
        def theorem(name, type_, value):
            return k.add(Constant(a.name((name,)), "thm", (), type_, value), {})
        """
    )
    script += textwrap.dedent(body) + "\nprint(json.dumps(answer))"
    from awry.lean.builtin.core import OLEAN, built
    from awry.lean.builtin.library import find

    done = subprocess.run(
        [sys.executable, "-c", script, str(find().path), str(built() / OLEAN)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_right_proofs_are_taken_and_wrong_ones_refused() -> None:
    answer = run(
        """
        answer = [theorem("a", eq(lit(3), lit(3)), refl(lit(3))),
                  theorem("b", eq(lit(3), lit(4)), refl(lit(3))),
                  theorem("a", eq(lit(3), lit(3)), refl(lit(3))),
                  theorem("c", nat, lit(3)),
                  theorem("d", eq(lit(3), lit(3)), const("nowhere"))]
        """
    )
    assert answer[0] is None
    assert "type" in answer[1]
    assert "declared already" in answer[2]
    assert "no proposition" in answer[3]
    assert "unknown constant" in answer[4]


def test_numbers_of_every_size_arrive_as_they_are() -> None:
    """x + 1 = y for the numbers around powers of two, computed by the kernel."""
    answer = run(
        """
        add = const("Nat", "add")
        answer = []
        for bits in (31, 32, 62, 63, 64, 65, 128, 20_000):
            for less in (2, 1, 0, -1):
                x = 2 ** bits - less
                left = app(add, lit(x), lit(1))
                for y in (x + 1, x + 2):
                    refused = theorem(f"t{bits}_{less}_{y - x}", eq(left, lit(y)), refl(lit(y)))
                    if (refused is None) != (y == x + 1):
                        answer.append([bits, less, y - x, refused])
        """
    )
    assert answer == []


def test_a_branch_is_forgotten() -> None:
    answer = run(
        """
        name = a.name(("a",))
        with k.branch():
            theorem("a", eq(lit(3), lit(3)), refl(lit(3)))
            inside = k.has(name)
        answer = [inside, k.has(name), theorem("a", eq(lit(3), lit(3)), refl(lit(3)))]
        """
    )
    assert answer == [True, False, None]


def test_the_core_is_checked_from_nothing() -> None:
    answer = run(
        """
        empty = Kernel(sys.argv[1], a)
        answer = [empty.has(a.name(("Nat",))), k.has(a.name(("Nat",))),
                  k.has(a.name(("Nat", "rec"))), len(p.core) > 1000]
        """
    )
    assert answer == [False, True, True, True]


def test_deep_terms_are_built_without_recursion() -> None:
    """Deeper than Python recurses; the kernel has a stack of its own to look after."""
    answer = run(
        """
        deep = const("Nat", "zero")
        for _ in range(3000):
            deep = app(const("Nat", "succ"), deep)
        answer = [theorem("right", eq(deep, deep), refl(deep)),
                  theorem("wrong", eq(deep, lit(2999)), refl(lit(2999)))]
        """
    )
    assert answer[0] is None
    assert "type" in answer[1]
