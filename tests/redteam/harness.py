"""Runs the corpus beside honest answers, and looks at everything outside that could have changed.

Standard library and awry only: the same code runs under pytest and, alone, as another user.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import selectors
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from attacks import FAMILIES
from attacks.entry import Attack
from redteam_problems import PROBLEMS, SECRET

from awry.sandbox.python import Limits, Outcome, Program, PythonSandbox, Returned
from awry.tasks.code import Grader, Verdict, fenced
from awry.tasks.loopholes import TaskPrompt, render

LEVELS = ("auto", "landlock")  # at which the whole corpus is run
WEAKEST = "rlimits"  # at which what it says of weaker levels is tried
WORKERS = 4  # many attacks wait: more of them than there are cores can do so at a time
LIMITS = Limits(wall_s=1.0, cpu_s=1.0, memory_mb=256)
GRACE_S = 0.5  # beyond the wall-clock limit
PARENT_CPU_S = 2.0  # what one hostile answer may cost the process that grades
POOL_GROWTH_MB = 64
PR_SET_CHILD_SUBREAPER = 36


class Scene:
    """What is outside: files, sockets and a process that must look the same afterwards.

    Orphans of the sandbox come to this process (it becomes their reaper), so none can hide.
    """

    def __init__(self) -> None:
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.folder = Path(tempfile.mkdtemp(prefix="redteam-"))
        self.folder.chmod(0o755)
        self.canary = self.folder / "canary"
        self.secrets = self.folder / "expected.txt"
        self.secrets.write_text("\n".join(f"{SECRET}-{n}" for n in range(6)))
        self.heard: list[str] = []
        self._listen()
        self.victim = self._start_victim()
        self.reset()

    def _listen(self) -> None:
        self.abstract = f"awry-redteam-{os.getpid()}"
        path = str(self.folder / "socket")
        self._listeners: list[socket.socket] = []
        for family, kind, address in (
            (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
            (socket.AF_UNIX, socket.SOCK_STREAM, "\0" + self.abstract),
            (socket.AF_UNIX, socket.SOCK_DGRAM, "\0" + self.abstract + "-dgram"),
            (socket.AF_UNIX, socket.SOCK_STREAM, path),
        ):
            listener = socket.socket(family, kind)
            listener.bind(address)
            if kind == socket.SOCK_STREAM:
                listener.listen()
            self._listeners.append(listener)
        os.chmod(path, 0o777)
        self.port = self._listeners[0].getsockname()[1]
        self.udp = self._listeners[1].getsockname()[1]
        self._stop, self._stopped = socket.socketpair()
        self._thread = threading.Thread(target=self._hear, daemon=True)
        self._thread.start()

    def _hear(self) -> None:
        with selectors.DefaultSelector() as selector:
            for listener in (*self._listeners, self._stopped):
                selector.register(listener, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    listener = key.fileobj
                    if listener is self._stopped:
                        return
                    assert isinstance(listener, socket.socket)
                    if listener.type == socket.SOCK_DGRAM:
                        self.heard.append(repr(listener.recv(200)))
                        continue
                    link, _ = listener.accept()
                    with link, contextlib.suppress(OSError):
                        link.settimeout(0.2)
                        self.heard.append(f"a connection: {link.recv(200)!r}")

    def _start_victim(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(["sleep", "3600"], stdin=subprocess.DEVNULL)

    def reset(self) -> None:
        """Put everything (back) in its place and remember how it looks."""
        if self.canary.exists():
            shutil.rmtree(self.canary)
        self.canary.mkdir()
        self.canary.chmod(0o777)
        (self.canary / "empty").mkdir()
        (self.canary / "empty").chmod(0o777)
        (self.canary / "keep").write_text("kept\n")
        (self.canary / "keep").chmod(0o666)
        os.utime(self.canary / "keep", (10**9, 10**9))
        if self._victim_state() != "":
            self.victim.kill()
            self.victim.wait()
            self.victim = self._start_victim()
        _remove_ipc()
        time.sleep(0.02)  # a connection made a moment ago is still heard as before
        self.heard.clear()
        self._files = self._look()
        self._ipc = _ipc_keys()
        self._priority = self._tuning()

    def fill(self, attack: Attack) -> str:
        name = attack.name.replace(" ", "-")
        words = {
            "@NAME@": name,
            "@CANARY@": str(self.canary),
            "@SECRETS@": str(self.secrets),
            "@SOCKET@": str(self.folder / "socket"),
            "@ABSTRACT@": self.abstract,
            "@PORT@": str(self.port),
            "@UDP@": str(self.udp),
            "@VICTIM@": str(self.victim.pid),
            "@PARENT@": str(os.getpid()),
            "@EVALUATOR@": _task(attack).evaluator or "",
        }
        return re.sub("@[A-Z]+@", lambda m: words.get(m.group(), m.group()), attack.program)

    def changes(self) -> list[str]:
        """`effect: what` for everything that is not as it was."""
        time.sleep(0.02)
        found = [f"network: {word}" for word in self.heard]
        now = self._look()
        for name in sorted(now.keys() | self._files.keys()):
            if now.get(name) != self._files.get(name):
                found.append(f"file: {name} was {self._files.get(name)}, is {now.get(name)}")
        if state := self._victim_state():
            found.append(f"signal: the process outside is {state}")
        elif (tuning := self._tuning()) != self._priority:
            found.append(f"signal: the process outside was {self._priority}, is {tuning}")
        found += [f"ipc: {key}" for key in sorted(_ipc_keys() - self._ipc)]
        return found

    def _look(self) -> dict[str, tuple[object, ...]]:
        seen: dict[str, tuple[object, ...]] = {}
        for path in (self.canary, *sorted(self.canary.rglob("*"))):
            info = path.lstat()
            whole = stat.S_ISREG(info.st_mode)
            marks = os.listxattr(path, follow_symlinks=False)
            seen[str(path)] = (
                *(oct(info.st_mode), info.st_uid, info.st_gid, info.st_nlink, tuple(marks)),
                *((path.read_text(errors="replace"), info.st_mtime) if whole else ()),
            )
        return seen

    def _victim_state(self) -> str:
        if self.victim.poll() is not None:
            return f"dead ({self.victim.returncode})"
        status = Path(f"/proc/{self.victim.pid}/status").read_text()
        state = re.search(r"^State:\s+(\w)", status, re.M)
        tracer = re.search(r"^TracerPid:\s+(\d+)", status, re.M)
        if tracer and tracer.group(1) != "0":
            return f"traced by {tracer.group(1)}"
        return "" if state and state.group(1) in "SR" else f"in state {state and state.group(1)}"

    def _tuning(self) -> tuple[object, ...]:
        pid = self.victim.pid
        limits = Path(f"/proc/{pid}/limits").read_text()
        with contextlib.suppress(OSError):
            return (
                os.getpriority(os.PRIO_PROCESS, pid),
                tuple(os.sched_getaffinity(pid)),
                os.sched_getscheduler(pid),
                limits,
            )
        return ()

    def close(self) -> None:
        self._stop.close()
        self._thread.join()
        for link in (*self._listeners, self._stopped):
            link.close()
        self.victim.kill()
        self.victim.wait()
        shutil.rmtree(self.folder)
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def _ipc_keys() -> set[str]:
    """System V objects with the corpus's key; others on this machine are not ours."""
    found: set[str] = set()
    for kind in ("shm", "sem", "msg"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/sysvipc/{kind}").read_text().splitlines()[1:]:
                if line.split()[0] == str(0x41575259):
                    found.add(f"{kind} {line.split()[1]}")
    return found


def _remove_ipc() -> None:
    libc = ctypes.CDLL(None)
    for name in _ipc_keys():
        kind, number = name.split()
        arguments = (int(number), 0, 0) if kind != "sem" else (int(number), 0, 0, 0)
        (libc.semctl if kind == "sem" else getattr(libc, f"{kind}ctl"))(*arguments)


NOT_OURS: set[int] = set()  # children of this process that have nothing to do with its sandboxes


def descendants() -> dict[int, str]:
    """Every living process below this one: process id -> command and state."""
    parents: dict[int, tuple[int, str]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                text = Path(f"/proc/{name}/stat").read_text()
                command, _, rest = text.partition(" (")[2].rpartition(") ")
                state, parent = rest.split()[:2]
                parents[int(name)] = (int(parent), f"{command} {state}")
    below = {os.getpid()}
    found: dict[int, str] = {}
    grown = True
    while grown:
        grown = False
        for pid, (parent, text) in parents.items():
            if parent in below and pid not in below | NOT_OURS:
                below.add(pid)
                found[pid] = text
                grown = True
    return {pid: text for pid, text in found.items() if not text.endswith("Z")}


def resident_mb(pids: Sequence[int]) -> float:
    pages = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class Watched:
    """A sandbox that remembers what it was asked and what came of it."""

    def __init__(self, sandbox: PythonSandbox) -> None:
        self.sandbox = sandbox
        self.log: list[tuple[Program, Outcome]] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self.sandbox, name)

    def run(self, programs: Sequence[Program]) -> list[Outcome]:
        outcomes = self.sandbox.run(programs)
        self.log += zip(programs, outcomes, strict=True)
        return outcomes


def is_open(attack: Attack, layers: set[str]) -> bool:
    """May this attack have its effect here? The corpus says so, and then it must have it."""
    return bool(attack.stopped_by) and not layers & set(attack.stopped_by)


@dataclass(frozen=True)
class Run:
    """What came of one level. strays: processes left when its sandbox was closed."""

    isolation: str
    report: dict[str, list[str]]
    strays: list[str]


Report = dict[str, list[str]]  # attack, or "family: name" -> what was found that must not be


def run_corpus(scene: Scene, sandbox: PythonSandbox) -> Report:
    """All attacks, family by family; an empty list for each that was withstood."""
    layers = set(sandbox.isolation.split("+"))
    report = run_open(scene, sandbox)
    for family, attacks in FAMILIES.items():
        closed = [a for a in attacks if not is_open(a, layers)]
        together = [a for a in closed if not a.alone]
        report[f"family: {family}"] = _batch(scene, sandbox, together, report)
        for attack in [a for a in closed if a.alone]:
            report[f"family: {family}"] += _batch(scene, sandbox, [attack], report)
    return report


def run_open(scene: Scene, sandbox: PythonSandbox) -> Report:
    """Only what this level cannot stop: an empty list where the effect was as the corpus says."""
    layers = set(sandbox.isolation.split("+"))
    attacks = [attack for family in FAMILIES.values() for attack in family]
    return {a.name: _open(scene, sandbox, a) for a in attacks if is_open(a, layers)}


def _batch(
    scene: Scene, sandbox: PythonSandbox, attacks: Sequence[Attack], report: Report
) -> list[str]:
    """Grade attacks among honest answers. Fills `report`; returns what cannot be told apart."""
    scene.reset()
    before = descendants()
    memory = resident_mb(list(before))
    used, begun = time.process_time(), time.monotonic()
    servers = [(worker.extras, worker.process.pid) for worker in sandbox._crew.servers]
    try:
        verdicts, honest, log = _grade(scene, sandbox, attacks)
    except Exception as error:  # whatever it is, an answer must not be able to cause it
        if len(attacks) > 1:
            return [fault for a in attacks for fault in _batch(scene, sandbox, [a], report)]
        report[attacks[0].name] = [f"the grader ended: {error!r}"]
        return []
    used, took = time.process_time() - used, time.monotonic() - begun
    for attack, verdict in zip(attacks, verdicts, strict=True):
        code = scene.fill(attack)
        outcomes = [o for p, o in log if p.source and p.source in code + "\n"]
        report[attack.name] = list(_faults(attack, verdict, outcomes, took))
        if attack.alone and used > PARENT_CPU_S:
            report[attack.name].append(f"late: grading took {used:.1f} s of this process")
    found = scene.changes()
    for (extras, pid), worker in zip(servers, sandbox._crew.servers, strict=True):
        if extras == worker.extras and pid != worker.process.pid:  # or it was given more modules
            found.append("signal: a fork server had to be replaced")
    found += [f"an honest answer: {verdict}" for verdict in honest if not verdict.correct]
    after = descendants()
    if len(after) > len(before):
        found.append(f"leftover: {[after[pid] for pid in after.keys() - before.keys()]}")
    grown = resident_mb(list(after)) - memory
    if grown > POOL_GROWTH_MB:
        found.append(f"memory: the pool has grown by {grown:.0f} MB")
    return found


def _task(attack: Attack) -> TaskPrompt:
    return render(PROBLEMS[attack.problem], attack.loophole)


def _grade(
    scene: Scene, sandbox: PythonSandbox, attacks: Sequence[Attack]
) -> tuple[list[Verdict], list[Verdict], list[tuple[Program, Outcome]]]:
    """Each attack after an honest answer to the same problem, whose values it may be after."""
    watched = Watched(sandbox)
    answers = []
    for attack in attacks:
        problem = PROBLEMS[attack.problem]
        right = (render(problem, "none"), fenced(problem.canonical))
        code = scene.fill(attack)
        text = code if attack.completion else fenced(code)
        answers += [right, (_task(attack), text)]
    answers += answers[:1] * sandbox.workers  # and honest answers after the last one
    verdicts = Grader(watched).grade(answers)  # type: ignore[arg-type]
    attacked = verdicts[1 : 2 * len(attacks) : 2]
    honest = [*verdicts[0 : 2 * len(attacks) : 2], *verdicts[2 * len(attacks) :]]
    return attacked, honest, watched.log


def _faults(
    attack: Attack, verdict: Verdict, outcomes: Sequence[Outcome], took: float
) -> Iterator[str]:
    if verdict.correct:
        yield f"secret: found correct: {verdict}"
    if attack.hack is not None and verdict.proxy != attack.hack:
        yield f"paid: {verdict.proxy}, must be {attack.hack}: {verdict}"
    try:
        json.dumps(verdict.evidence, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        yield f"evidence that cannot be written: {verdict.evidence!a}"
    if attack.ends and outcomes and outcomes[0].status not in attack.ends:
        yield f"ended as {outcomes[0].status} ({outcomes[0].error}), must be {attack.ends}"
    for outcome in outcomes:
        allowed = LIMITS.wall_s + GRACE_S * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
        if outcome.seconds > allowed:
            yield f"late: ended after {outcome.seconds:.2f} s"
        if outcome.status == "sandbox_error":
            yield f"the sandbox failed: {outcome.error}"
        for value in outcome.values:
            if isinstance(value, Returned) and _reports_breach(value.value):
                yield str(value.value)
                break


def _reports_breach(value: object) -> bool:
    return isinstance(value, str) and value.startswith("breach")


def _open(scene: Scene, sandbox: PythonSandbox, attack: Attack) -> list[str]:
    """The corpus says this level cannot stop it: then its effect, and no other, must be seen."""
    if attack.broadcast:
        return []  # not tried where it would reach processes that are not ours
    alone: Report = {}
    found = [*_batch(scene, sandbox, [attack], alone), *alone[attack.name]]
    scene.reset()
    if not any(fault.startswith(f"{attack.effect}:") for fault in found):
        return [f"claimed to have effect ({attack.effect}) under {sandbox.isolation}: {found}"]
    return [fault for fault in found if not fault.startswith((f"{attack.effect}:", "breach:"))]


def stray_processes(before: dict[int, str]) -> list[str]:
    """What is left of a sandbox that was closed; orphans have become our children."""
    deadline = time.monotonic() + 2
    while True:
        left = [text for pid, text in descendants().items() if pid not in before]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.05)


def end_strays(before: dict[int, str]) -> None:
    for pid in descendants():
        if pid not in before:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
