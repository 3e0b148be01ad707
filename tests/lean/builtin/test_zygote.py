"""What a text can reach that runs code of Lean's library in its own process: attempts, for real."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import awry
from awry.lean.builtin import core, library
from awry.lean.builtin.limits import LeanLimits
from awry.lean.builtin.pool import LeanPool

SHORT = LeanLimits(wall_s=8.0, cpu_s=4.0, memory_mb=400)


@pytest.fixture(scope="module", params=["auto", "landlock"])
def pool(request: pytest.FixtureRequest, needs_lean: None) -> Iterator[LeanPool]:
    with LeanPool(workers=1, limits=SHORT, isolation=request.param) as opened:
        yield opened


def probe(declared: str, call: str, before: str = "", after: str = "") -> str:
    """A text that calls a function of Lean's library and then says True : Prop if that succeeded."""
    return (
        before + "inductive Out | ok (value : Nat) | error (code : Nat)\n"
        "instance : Inhabited Out := ⟨Out.error 0⟩\n"
        f'@[extern "any"] opaque {declared}\n'
        'syntax "native" : term\n'
        "macro_rules\n"
        f"  | `(native) => match {call} with\n"
        "    | Out.ok _ => `(True)\n"
        "    | Out.error _ => `(False)\n"
        "#check (native : Prop)\n"
    ) + after


def attempts(pool: LeanPool, declared: str, *calls: str, before: str = "") -> list[bool]:
    """Did each call succeed? declared: a function of Lean's library."""
    found = pool.elaborate([("", probe(declared, call, before)) for call in calls])
    assert [each.errors for each in found] == [()] * len(calls)
    said = [each.messages[-1].text for each in found]
    assert set(said) <= {"True : Prop", "False : Prop"}
    return [text == "True : Prop" for text in said]


READ = "IO.FS.readFile (path : String) (world : Nat) : Out"
WRITE = "IO.FS.writeFile (path : String) (text : String) (world : Nat) : Out"


def test_files_of_this_machine_cannot_be_read(pool: LeanPool, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("expected")
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    paths = ("text.lean", "/etc/passwd", str(secret), "/proc/self/environ", "../../etc/passwd")
    calls = [f'IO.FS.readFile "{path}" 0' for path in paths]
    assert attempts(pool, READ, *calls) == [True, False, False, False, False]


def test_files_can_be_written_in_the_own_folder_only(pool: LeanPool, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    folder = "/library" if "root" in pool.isolation else "../library"
    paths = (
        "here",
        f"{folder}/Init.olean",
        f"{folder}/imported",
        f"{folder}/More.olean",
        f"{tmp_path}/x",
        "/dev/urandom",
    )
    calls = [f'IO.FS.writeFile "{path}" "text" 0' for path in paths]
    assert attempts(pool, WRITE, *calls) == [True, False, False, False, False, False]
    assert list(tmp_path.iterdir()) == []
    # and what was written is gone for the next
    assert attempts(pool, READ, 'IO.FS.readFile "here" 0') == [False]


# The shape of what Lean's library has under these names.
STARTS = """IO.Process.spawn (what : Start) (world : Nat) : Out"""
START_TYPES = """inductive Stdio | piped | inherit | null
structure Config where
  stdin : Stdio
  stdout : Stdio
  stderr : Stdio
structure Start extends Config where
  cmd : String
  args : Array String
  cwd : Option String
  env : Array (String × Option String)
  inheritEnv : Bool
  setsid : Bool
"""
START = (
    "IO.Process.spawn (Start.mk (Config.mk Stdio.inherit Stdio.inherit Stdio.inherit) "
    '"/bin/true" Array.empty Option.none Array.empty true false) 0'
)


def test_no_process_can_be_started(pool: LeanPool) -> None:
    assert attempts(pool, STARTS, START, before=START_TYPES) == [False]


def test_the_attempt_to_start_a_process_can_succeed(needs_lean: None) -> None:
    """So the test before this one tests something."""
    with LeanPool(workers=1, limits=SHORT, isolation="rlimits") as pool:
        assert attempts(pool, STARTS, START, before=START_TYPES) == [True]


def test_a_file_written_by_the_text_itself_is_none_of_leans(pool: LeanPool) -> None:
    forged = 'IO.FS.writeFile "out.olean" "olean forged" 0'
    texts = [probe(WRITE, forged, after=f"theorem t : 1 = {n} := rfl\n") for n in (2, 1)]
    wrong, right = pool.elaborate([("", text) for text in texts])
    assert wrong.exit_code == 1
    assert wrong.olean is None
    # where Lean ends well, its own replaces the other
    assert right.olean is not None
    assert b"forged" not in right.olean[:100]


def test_the_weakest_level_runs_and_says_what_it_is(needs_lean: None) -> None:
    with LeanPool(workers=1, limits=SHORT, isolation="rlimits") as pool:
        assert pool.isolation.endswith("rlimits")
        assert "seccomp" not in pool.isolation
        (found,) = pool.elaborate([("", "theorem t : 1 = 1 := rfl")])
        assert found.olean is not None


def test_the_server_forgets_what_it_was_sent(needs_lean: None) -> None:
    """Its children are copies of it: they could look for what others have answered."""
    with LeanPool(workers=1, limits=SHORT) as pool:
        outer = pool.servers()[0]
        mark = os.urandom(8).hex()
        pool.elaborate([("", f"-- {mark}\ntheorem t : 1 = 1 := rfl")] * 3)
        servers = [outer, *children(outer)]
        for server in servers:
            assert not holds(server, mark.encode())
        # the search finds what is there
        assert holds(servers[-1], b"LEAN_BACKTRACE")


def children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(word) for word in (task / "children").read_text().split()]
    return found


def holds(pid: int, needle: bytes) -> bool:
    """Is this anywhere in the process's own writable memory?"""
    if not os.access(f"/proc/{pid}/mem", os.R_OK):
        pytest.skip("may not read another process's memory here")
    with open(f"/proc/{pid}/mem", "rb") as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if span is None:
                continue
            start, end = (int(number, 16) for number in span.groups())
            if end - start > 1 << 28:
                continue  # reserved by the allocators and the threads, hardly touched
            try:
                memory.seek(start)
                if needle in memory.read(end - start):
                    return True
            except (OSError, ValueError):
                continue
    return False


ABANDON = """
import sys, threading, time
from pathlib import Path
from awry.lean.builtin.limits import LeanLimits
from awry.lean.builtin.pool import LeanPool
pool = LeanPool(workers=2, limits=LeanLimits(wall_s=60.0), core=Path(sys.argv[1]))
texts = [("", sys.stdin.read())] * 2
threading.Thread(target=pool.elaborate, args=(texts,), daemon=True).start()
time.sleep(1.0)
print(*pool.servers(), flush=True)
time.sleep(60)
"""
SLEEP = """@[extern "any"] opaque IO.sleep (ms : Nat) (world : Nat) : Nat
syntax "native" : term
macro_rules
  | `(native) => if Nat.beq (IO.sleep 100000 0) 7 then `(True) else `(False)
#check (native : Prop)
"""


def test_servers_end_with_who_started_them_even_amid_a_check(needs_lean: None) -> None:
    command = [sys.executable, "-c", ABANDON, str(core.built())]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdin is not None
        assert owner.stdout is not None
        owner.stdin.write(SLEEP)
        owner.stdin.close()
        servers = [int(word) for word in owner.stdout.readline().split()]
        assert len(servers) == 2
        everybody = list(servers)
        for pid in everybody:
            everybody += children(pid)
        assert len(everybody) > len(servers)
        owner.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while any(alive(pid) for pid in everybody) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in everybody if alive(pid)]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


USER = 54321  # owns nothing
AS_USER = """
import json, sys, warnings
from pathlib import Path
from awry.lean.builtin.limits import LeanLimits
from awry.lean.builtin.pool import LeanPool
warnings.simplefilter("ignore")
library, core, level = sys.argv[1:]
limits = LeanLimits(wall_s=8.0)
with LeanPool(1, limits=limits, isolation=level, library=Path(library), core=Path(core)) as pool:
    found = pool.elaborate([("", text) for text in json.load(sys.stdin)])
told = [[each.olean is not None, [m.text for m in each.messages]] for each in found]
print(json.dumps([pool.isolation, told]))
"""


@pytest.mark.parametrize("level", ["auto", "landlock"])
def test_the_same_for_an_ordinary_user(
    needs_lean: None, tmp_path_factory: pytest.TempPathFactory, level: str
) -> None:
    """Who is one already runs all of the above as one."""
    if os.geteuid():
        pytest.skip("the tests are run by an ordinary user already")
    # what root has may be out of that user's reach
    with tempfile.TemporaryDirectory(prefix="lean-user-") as name:
        folder = Path(name)
        ignored = shutil.ignore_patterns("__pycache__", "catalog", "report", "*.gguf")
        shutil.copytree(Path(awry.__file__).parent, folder / "awry", ignore=ignored)
        shutil.copytree(core.built(), folder / "core")
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        aim = folder / "aim"
        aim.mkdir()
        aim.chmod(0o777)
        texts = [
            "theorem t : 1 = 1 := rfl\n",
            probe(READ, 'IO.FS.readFile "text.lean" 0'),
            probe(READ, 'IO.FS.readFile "/etc/passwd" 0'),
            probe(WRITE, f'IO.FS.writeFile "{aim}/x" "text" 0'),
            probe(WRITE, 'IO.FS.writeFile "../library/Init.olean" "text" 0'),
            probe(WRITE, 'IO.FS.writeFile "../library/imported" "text" 0'),
            probe(STARTS, START, before=START_TYPES),
        ]
        shared = str(library.find().path)
        interpreter = _interpreter(shared)
        done = subprocess.run(
            [interpreter, "-B", "-c", AS_USER, shared, str(folder / "core"), level],
            input=json.dumps(texts),
            user=USER,
            group=USER,
            extra_groups=[],
            cwd="/",
            env={"PYTHONPATH": name, "PATH": os.defpath},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        assert list(aim.iterdir()) == []
    isolation, told = json.loads(done.stdout)
    assert "setuid" not in isolation
    assert [written for written, _ in told] == [True] * len(texts)
    said = [messages[-1] for _, messages in told[1:]]
    assert said == ["True : Prop", *["False : Prop"] * 5]


def _interpreter(shared: str) -> str:
    """A Python that the user may run, and that may read Lean's library."""
    wanted = ".".join(map(str, sys.version_info[:2]))
    check = (
        f"import sys; assert sys.version_info >= {sys.version_info[:2]}; open({shared!r}).close()"
    )
    for name in (sys.executable, shutil.which(f"python{wanted}", path=os.defpath)):
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            command = [name or "", "-c", check]
            subprocess.run(
                command,
                user=USER,
                group=USER,
                extra_groups=[],
                cwd="/",
                check=True,
                capture_output=True,
            )
            return name or ""
    pytest.skip(f"no interpreter that user {USER} may run, or Lean is out of its reach")
