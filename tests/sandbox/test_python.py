from __future__ import annotations

import math
import os
import tempfile
import threading
import time
from pathlib import Path

import pytest

from awry.errors import UserError
from awry.sandbox.confinement import remove_content
from awry.sandbox.python import (
    Failed,
    Iterable,
    Limits,
    Program,
    PythonSandbox,
    Returned,
    SandboxError,
)
from awry.sandbox.values import decode


def value_of(sandbox: PythonSandbox, expression: str, source: str = "") -> object:
    (outcome,) = sandbox.run([Program(source, calls=(expression,))])
    return outcome.values[0]


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        False,
        0,
        -7,
        10**15,
        -(10**40),
        2**20000,
        1.5,
        -0.0,
        math.inf,
        "",
        'tab\t"quote" é \U0001f600',
        "\ud800",
        b"\x00\xff",
        1 + 2j,
        [],
        [1, [2, (3, "x")], {}],
        (),
        (1,),
        {1: "a", "1": 2, (1, 2): None},
        frozenset({1, 2}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_plain_value_comes_back_as_it_was(sandbox: PythonSandbox, value: object) -> None:
    expression = "2**20000" if value == 2**20000 else repr(value).replace("inf", "float('inf')")
    got = value_of(sandbox, expression)
    assert isinstance(got, Returned)
    assert got.value == value
    assert type(got.value) is type(value)


@pytest.mark.parametrize("expression", ["True", "1", "1.0"])
def test_the_three_kinds_of_one_are_told_apart(sandbox: PythonSandbox, expression: str) -> None:
    got = value_of(sandbox, expression)
    assert isinstance(got, Returned)
    assert repr(got.value) == expression


def test_nan_and_mappings_and_iterators(sandbox: PythonSandbox) -> None:
    source = "from collections import Counter, deque\ndef gen():\n    yield 1\n    yield 2"
    (outcome,) = sandbox.run(
        [
            Program(
                source,
                calls=("float('nan')", "Counter('aab')", "gen()", "deque([3])", "{1: 2}.keys()"),
            )
        ]
    )
    nan, *rest = outcome.values
    assert isinstance(nan, Returned)
    assert isinstance(nan.value, float)
    assert math.isnan(nan.value)
    assert rest == [
        Returned({"a": 2, "b": 1}),
        Returned(Iterable((1, 2))),
        Returned(Iterable((3,))),
        Returned(Iterable((1,))),
    ]


@pytest.mark.parametrize(
    ("source", "expression"),
    [
        ("class A:\n    def __eq__(self, other): return True", "A()"),
        ("class A(int):\n    def __eq__(self, other): return True", "A(3)"),
        ("class A(list):\n    def __eq__(self, other): return True", "[A()]"),
        ("class A(str): pass", "{'k': A('x')}"),
        ("", "print"),
        ("", "object()"),
        ("a = []\na.append(a)", "a"),
        ("a = []\nfor _ in range(5000): a = [a]", "a"),
        ("", "list(range(10**6))"),
        ("", "set(range(10**5))"),
        ("", "(i for i in iter(int, 1))"),
    ],
    ids=[
        *("object", "int subclass", "nested subclass", "str subclass", "function", "bare object"),
        *("cycle", "deep", "long", "large set", "endless iterator"),
    ],
)
def test_what_is_not_small_plain_data_is_refused(
    sandbox: PythonSandbox, source: str, expression: str
) -> None:
    assert isinstance(value_of(sandbox, expression, source), Failed)


def test_a_call_that_raises_does_not_stop_the_next(sandbox: PythonSandbox) -> None:
    calls = ("1 // 0", "f()", "exit()", "2")
    source = "import sys\ndef f(): raise KeyboardInterrupt\ndef exit(): sys.exit(0)"
    (outcome,) = sandbox.run([Program(source, calls=calls)])
    assert outcome.status == "finished"
    assert [type(value) for value in outcome.values] == [Failed, Failed, Failed, Returned]
    assert "ZeroDivisionError" in outcome.values[0].reason  # type: ignore[union-attr]


def test_arguments_are_fresh_for_every_call(sandbox: PythonSandbox) -> None:
    source = "def f(xs):\n    xs.append(1)\n    return xs"
    (outcome,) = sandbox.run([Program(source, calls=("f([])", "f([])"))])
    assert outcome.values == (Returned([1]), Returned([1]))


def test_ordinary_python_works(sandbox: PythonSandbox) -> None:
    source = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\nimport heapq, re\n"
        "from typing import List\n@dataclass\nclass P:\n    x: int\n"
        "def f(n: List[int]) -> int:\n    print('working')\n    return P(n[0]).x + len(re.findall('a', 'aa'))"
    )
    assert value_of(sandbox, "f([1])", source) == Returned(3)


def test_setup_source_and_override_run_in_this_order(sandbox: PythonSandbox) -> None:
    program = Program(
        setup="import math\nbase = 1",
        source="base += 1\ndef f(): return 'answer'\nseen = math.pi",
        override="base *= 10\ndef f(): return 'override'",
        calls=("base", "f()"),
    )
    (outcome,) = sandbox.run([program])
    assert outcome.values == (Returned(20), Returned("override"))


@pytest.mark.parametrize(
    ("source", "state"),
    [
        ("def check(): pass", "returned"),
        ("def check(): return False", "returned"),
        ("def check(): assert 1 == 2", "raised"),
        ("def check(): raise SystemExit(0)", "raised"),
        ("import sys\ndef check(): sys.exit(0)", "raised"),
        ("import os\ndef check(): os._exit(0)", "not run"),
        ("def check(argument): pass", "raised"),
        ("check = 3", "missing"),
        ("", "missing"),
        ("check = lambda: None", "returned"),
        ("class Solution:\n    def check(self): pass", "returned"),
        ("class Solution:\n    def check(self): assert False", "raised"),
        ("if __name__ == '__main__':\n    def check(): pass", "missing"),
        ("def check(): pass\ncheck.__call__ = None\n1 // 0", "not run"),
        ("def check():\n    while True: pass", "not run"),
    ],
)
def test_the_evaluator_counts_only_when_it_returns(
    sandbox: PythonSandbox, source: str, state: str
) -> None:
    (outcome,) = sandbox.run([Program(source, evaluator="check")])
    assert outcome.evaluator == state


@pytest.mark.parametrize(
    ("source", "compiled", "loaded", "status"),
    [
        ("x = 1", True, True, "finished"),
        ("def f(:", False, False, "finished"),
        ("x = '\0'", False, False, "finished"),
        ("1 // 0", True, False, "finished"),
        ("raise SystemExit", True, False, "finished"),
        ("import os\nos._exit(0)", True, False, "died"),
        ("import os\nos.kill(os.getpid(), 11)", True, False, "died"),
        ("while True: pass", True, False, "timeout"),
        ("import time\ntime.sleep(60)", True, False, "timeout"),
        ("(" * 5000 + ")" * 5000, False, False, "finished"),
    ],
)
def test_how_a_program_ends(
    sandbox: PythonSandbox, source: str, compiled: bool, loaded: bool, status: str
) -> None:
    (outcome,) = sandbox.run([Program(source, calls=("1",))])
    assert (outcome.compiled, outcome.loaded, outcome.status) == (compiled, loaded, status)
    assert bool(outcome.error) != loaded


def test_values_reported_before_a_time_out_are_kept(sandbox: PythonSandbox) -> None:
    source = "def f(n):\n    while n: pass\n    return n"
    (outcome,) = sandbox.run([Program(source, calls=("f(0)", "f(1)", "f(0)"))])
    assert outcome.status == "timeout"
    assert outcome.values == (Returned(0), Failed("not reached"), Failed("not reached"))


def test_flooding_the_report_is_cut_off() -> None:
    with PythonSandbox(workers=1, limits=Limits(output_bytes=100_000)) as sandbox:
        outcomes = sandbox.run([Program("", calls=("'x' * 10**6", "1")), Program("", calls=("1",))])
    assert outcomes[0].status == "overflow"
    assert outcomes[0].values[1] == Failed("not reached")
    assert outcomes[1].values == (Returned(1),)


def test_order_is_kept_and_all_workers_are_used(sandbox: PythonSandbox) -> None:
    source = "import os, time\ntime.sleep({}) \ndef f(): return {}"
    programs = [Program(source.format(0.05 * (i % 3), i), calls=("f()",)) for i in range(12)]
    assert [o.values for o in sandbox.run(programs)] == [(Returned(i),) for i in range(12)]
    assert sandbox.run([]) == []


def test_the_same_program_reports_the_same_twice(sandbox: PythonSandbox) -> None:
    program = Program("import random", calls=("random.random()", "list({'a', 'b', 'c', 'd', 'e'})"))
    first, *others = (outcome.values for outcome in sandbox.run([program] * 6))
    assert all(other == first for other in others)


def test_one_program_leaves_nothing_for_the_next() -> None:
    with PythonSandbox(workers=1) as sandbox:
        sandbox.run(
            [
                Program(
                    "import builtins, math, os, random\nbuiltins.len = lambda x: 0\nmath.pi = 3\n"
                    "try:\n    os.mkdir('left')\n    open('left/file', 'w').write('x')\n"
                    "except OSError: pass"
                )
            ]
        )
        calls = (
            "len([1])",
            "round(__import__('math').pi, 2)",
            "__import__('os').path.exists('left')",
        )
        (outcome,) = sandbox.run([Program("", calls=calls)])
    assert outcome.values == (Returned(1), Returned(3.14), Returned(False))


@pytest.mark.parametrize(
    "act",
    [
        "os.chmod('.', 0)",
        "os.rename('/box', '/other')",
        "os.chmod('/', 0)",
        "os.utime('.', (1, 1))",
    ],
)
def test_its_folder_is_made_anew_whatever_the_last_program_did(act: str) -> None:
    spoil = f"import os\ntry: {act}\nexcept OSError: pass"
    look = (
        "import os\nfile = os.path.abspath('mine')\nseen = (os.getcwd(), os.stat('.').st_mode, "
        "os.stat('/').st_mode, os.stat('.').st_mtime > 9)"
    )
    calls = ("seen", "open(file, 'w').write('x')")
    with PythonSandbox(workers=1) as sandbox:
        if "tmpfs-root" not in sandbox.isolation:
            pytest.skip("nothing can be opened where there is no private root")
        before, spoilt, after = sandbox.run(
            [Program(look, calls=calls), Program(spoil), Program(look, calls=calls)]
        )
    assert spoilt.loaded, spoilt.error
    assert before.values == after.values == (before.values[0], Returned(1))
    assert before.isolation == after.isolation


def test_a_deep_tree_of_folders_is_no_trouble(sandbox: PythonSandbox) -> None:
    bomb = (
        "import os\ntry:\n    for _ in range(3000):\n        os.mkdir('d')\n        os.chdir('d')\n"
    )
    bomb += "except OSError: pass"
    outcomes = sandbox.run([Program(bomb), Program("", calls=("1",))] * 2)
    assert [outcome.status for outcome in outcomes] == ["finished"] * 4
    assert outcomes[1].values == outcomes[3].values == (Returned(1),)


def test_a_deep_tree_with_links_and_closed_folders_is_removed(tmp_path: Path) -> None:
    keep = tmp_path / "outside"
    keep.mkdir()
    (keep / "file").write_text("kept")
    hostile = tmp_path / "hostile"
    hostile.mkdir()
    (hostile / "link").symlink_to(keep)
    start = os.getcwd()
    try:
        os.chdir(hostile)
        for _ in range(2000):  # deeper than the interpreter's stack and the longest path
            os.mkdir("d")
            os.symlink(keep, "link-in")
            os.chdir("d")
        os.mkdir("closed", 0)
    finally:
        os.chdir(start)
    remove_content(str(hostile))
    assert list(hostile.iterdir()) == []
    assert (keep / "file").read_text() == "kept"


def test_environment_files_and_network_are_out_of_reach(sandbox: PythonSandbox) -> None:
    here = str(Path(__file__).resolve())
    source = (
        "import os, socket\n"
        "def opens(path):\n    with open(path) as file: return file.read(1)\n"
        "def connects():\n"
        "    link = socket.socket()\n    link.connect(('127.0.0.1', 22))\n    return True\n"
    )
    calls = (
        "dict(os.environ)",
        f"opens({here!r})",
        "opens('/etc/passwd')",
        "opens(f'/proc/{os.getppid()}/maps')",
        "connects()",
        "os.fork()",
        "os.execv('/bin/true', ['true'])",
    )
    (outcome,) = sandbox.run([Program(source, calls=calls)])
    assert outcome.values[0] == Returned({})
    for call, value in zip(calls[1:-1], outcome.values[1:-1], strict=True):
        assert isinstance(value, Failed), call
        assert value.reason != "not reached", call
    assert isinstance(outcome.values[-1], Failed)


def test_paths_outside_cannot_be_changed(sandbox: PythonSandbox, tmp_path: Path) -> None:
    public = tmp_path
    while public.stat().st_uid == os.getuid() and public != Path(tempfile.gettempdir()):
        public.chmod(0o777)
        public = public.parent
    (tmp_path / "file").write_text("kept")
    calls = (
        f"os.mkdir({str(tmp_path / 'made')!r})",
        f"os.symlink('x', {str(tmp_path / 'link')!r})",
        f"os.unlink({str(tmp_path / 'file')!r})",
        f"os.rename({str(tmp_path / 'file')!r}, {str(tmp_path / 'moved')!r})",
    )
    (outcome,) = sandbox.run([Program("import os", calls=calls)])
    assert all(isinstance(value, Failed) for value in outcome.values)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_layers_in_force_are_named(sandbox: PythonSandbox) -> None:
    layers = sandbox.isolation.split("+")
    assert layers[-1] == "rlimits"
    # Without a root of its own, an answer must be unable to open anything.
    assert ("tmpfs-root" in layers) != ("no-open" in layers)
    assert ("setuid" in layers) == (os.geteuid() == 0)
    (outcome,) = sandbox.run([Program("")])
    assert outcome.isolation == sandbox.isolation


def kill_when(sandbox: PythonSandbox, times: int) -> threading.Thread:
    """Kill the first worker's process, `times` times, a little after it has work."""

    def work() -> None:
        for _ in range(times):
            time.sleep(0.3)
            sandbox._crew.servers[0].process.kill()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_program_whose_server_dies_is_run_again() -> None:
    with PythonSandbox(workers=1) as sandbox:
        killer = kill_when(sandbox, 1)
        program = Program("import time\ntime.sleep(1)", calls=("5",))
        outcomes = sandbox.run([program, Program("", calls=("6",))])
        killer.join()
    assert [outcome.values for outcome in outcomes] == [(Returned(5),), (Returned(6),)]


def test_a_second_failure_is_the_sandboxs_own_and_no_verdict() -> None:
    with PythonSandbox(workers=1, limits=Limits(wall_s=20, cpu_s=20)) as sandbox:
        stop = threading.Event()

        def keep_killing() -> None:
            while not stop.wait(0.2):
                sandbox._crew.servers[0].process.kill()

        killer = threading.Thread(target=keep_killing)
        killer.start()
        try:
            (outcome,) = sandbox.run([Program("import time\ntime.sleep(15)", calls=("5",))])
        except SandboxError:  # killed before it had said hello: just as closed
            outcome = None
        finally:
            stop.set()
            killer.join()
        assert outcome is None or outcome.status == "sandbox_error"


def test_closing_removes_what_was_made() -> None:
    sandbox = PythonSandbox(workers=2)
    folders = [Path(worker.base) for worker in sandbox._crew.servers]
    processes = [worker.process for worker in sandbox._crew.servers]
    assert all(folder.is_dir() for folder in folders)
    sandbox.close()
    sandbox.close()
    assert not any(folder.exists() for folder in folders)
    assert all(process.poll() is not None for process in processes)
    with pytest.raises(SandboxError):
        sandbox.run([Program("")])


@pytest.mark.parametrize("name", ["wall_s", "cpu_s", "memory_mb", "output_bytes"])
def test_limits_are_positive(name: str) -> None:
    with pytest.raises(UserError) as error:
        Limits(**{name: 0})
    assert error.value.field == f"limits.{name}"
    with pytest.raises(UserError):
        PythonSandbox(workers=0)


@pytest.mark.parametrize(
    "tree",
    [
        ["x", 1],
        ["i", 5],
        ["i", "zz"],
        ["d", [1]],
        ["s", ["l"]],
        ["c", "1", "2"],
        {},
        ["b", "g"],
        [],
    ],
    ids=str,
)
def test_a_forged_tree_is_refused(tree: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  (the type is the contract)
        decode(tree)
