"""The command line as a process: exit status, what goes to which stream, what it imports."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SMOKE = ROOT / "examples/smoke.yaml"
ARMS = ("vanilla", "baseline", "zero", "random")


def awry(*arguments: object, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "awry", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


COMMANDS = [
    ("run",),
    ("preflight",),
    ("plan",),
    ("status",),
    ("report",),
    ("sample",),
    ("extract",),
    ("verify-direction",),
    *[("models", name) for name in ("list", "fetch", "show", "export")],
    *[("problems", name) for name in ("list", "show", "validate", "measure", "import")],
    *[(name,) for name in ("curate", "evaluate", "score", "compare", "export")],
    *[("benchmarks", name) for name in ("list", "show")],
    *[("judge", name) for name in ("fit", "check")],
    ("sandbox", "doctor"),
    *[("lean", name) for name in ("check", "doctor")],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(command) -> None:
    done = awry(*command, "--help")
    assert done.returncode == 0
    assert f"Example: awry {' '.join(command)}" in " ".join(done.stdout.split())


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['awry', '--help']\n"
        "from awry.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = ('torch', 'transformers', 'pyarrow', 'scipy', 'numpy', 'pydantic', 'jinja2')\n"
        "print([m for m in heavy if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert "preflight" in done.stdout


def test_version() -> None:
    from awry import __version__

    done = awry("--version")
    assert (done.returncode, done.stdout) == (0, f"awry {__version__}\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "nowhere.yaml"),
        ("plan", ROOT),
        ("plan", SMOKE, "--no-such-option"),
        ("frobnicate",),
        ("run",),
        ("run", SMOKE, "--arm", "nope"),
        ("run", SMOKE, "--seed", "99"),
        ("run", SMOKE, "--seed", "x"),
        ("report", "nowhere"),
        ("models", "show", "./nowhere"),
        ("problems", "show", "no-such-problem"),
        ("problems", "list", "--source", "nowhere.toml"),
    ],
    ids=lambda a: " ".join(str(x) for x in a),
)
def test_bad_input_exits_2_and_says_why_on_stderr(arguments, tmp_path) -> None:
    done = awry(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "rror" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert os.listdir(tmp_path) == []


def test_errors_in_a_file_name_path_value_and_fix(tmp_path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("name: a\narms: {zero: {rewardd: zero}}\ntraining: {stepss: 3}\n")
    done = awry("plan", file)
    assert done.returncode == 2
    assert f"error: training.stepss: unknown key ({file})" in done.stderr
    assert "did you mean `steps`?" in done.stderr
    file.write_text("name: a\narms: {zero: {rewardd: zero}}\n")
    done = awry("plan", file)
    assert f"error: arms.zero.rewardd: unknown key ({file})\n  got: zero" in done.stderr


def test_plan_and_status_as_json(tmp_path) -> None:
    done = awry("plan", SMOKE, "--out", tmp_path, "--json")
    assert done.returncode == 0
    rows = json.loads(done.stdout)
    assert [row["name"] for row in rows] == ["preflight", *["train"] * 4, "report"]
    assert {row["status"] for row in rows} == {"todo"}
    assert all(len(row["key"]) == 64 for row in rows)
    rows = json.loads(awry("status", SMOKE, "--out", tmp_path, "--json").stdout)
    assert [(row["arm"], row["steps"], row["planned"]) for row in rows] == [
        (arm, 0, 5) for arm in ARMS
    ]
    assert os.listdir(tmp_path) == []


def test_a_plan_before_the_model_is_fetched_fetches_nothing(tmp_path) -> None:
    environment = os.environ | {"AWRY_CACHE": str(tmp_path / "cache")}
    done = awry("plan", ROOT / "examples/quickstart.yaml", "--out", tmp_path, env=environment)
    assert done.returncode == 0
    assert "not fetched" in done.stdout
    assert not (tmp_path / "cache").exists()


def test_tables_are_text_without_json(tmp_path) -> None:
    done = awry("status", SMOKE, "--out", tmp_path)
    assert done.returncode == 0
    assert [line.split()[:4] for line in done.stdout.splitlines()[-4:]] == [
        [arm, "0", "todo", "0/5"] for arm in ARMS
    ]


def test_problems_and_models(tmp_path) -> None:
    rows = json.loads(awry("problems", "list", "--json").stdout)
    name = rows[0]["id"]
    shown = json.loads(awry("problems", "show", name, "--loophole", "none", "--json").stdout)
    assert shown["id"] == name
    assert shown["messages"][-1]["role"] == "user"
    assert "canonical" in awry("problems", "show", name).stdout
    assert {row["name"] for row in json.loads(awry("models", "list", "--json").stdout)} == {
        "embedded",
        "tiny-random",
    }


def test_an_unsound_source_exits_2(tmp_path) -> None:
    row = {
        "id": "p",
        "statement": "Return x.",
        "starter": "def f(x):",
        "entry_point": "f",
        "tests": [f"assert f({i}) == {i}" for i in range(6)],
        "canonical": "def f(x):\n    return x\n",
        "wrong": "def f(x):\n    return x + 1\n",
    }
    file = tmp_path / "p.jsonl"
    file.write_text(json.dumps(row))
    done = awry("problems", "validate", "--source", file)
    assert (done.returncode, done.stdout) == (0, "1 of 1 problems are sound\n")
    file.write_text(json.dumps(row | {"wrong": row["canonical"]}))
    done = awry("problems", "validate", "--source", file, "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["rejected"][0]["problem_id"] == "p"


def test_preflight_tells_on_stderr_and_sums_up_on_stdout(tmp_path) -> None:
    row = {
        "id": "p",
        "statement": "Return x.",
        "starter": "def f(x):",
        "entry_point": "f",
        "tests": [f"assert f({i}) == {i}" for i in range(6)],
        "canonical": "def f(x):\n    return x\n",
        "wrong": "def f(x):\n    return x\n",
    }
    (tmp_path / "p.jsonl").write_text(json.dumps(row))
    file = tmp_path / "unsound.yaml"
    file.write_text(
        "name: unsound\nmodel: {path: tiny-random}\nproblems: {source: p.jsonl}\nprobe: null\n"
        "training: {problems_per_step: 1, max_new_tokens: 4}\narms: {only: {}}\n"
    )
    done = awry("preflight", file, "--out", tmp_path / "runs")
    assert done.returncode == 2
    assert "preflight fail: graders: p: its wrong solution passes" in done.stderr
    assert done.stdout == "preflight: 11 pass, 1 warn, 1 fail\n"
    done = awry("run", file, "--out", tmp_path / "runs")
    assert done.returncode == 2
    assert "error: preflight: graders: p: its wrong solution passes" in done.stderr
    assert not (tmp_path / "runs/store/train").exists()


def test_a_closed_pipe_is_no_error() -> None:
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -m awry problems list --json | head -1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[\n", "")


BROKEN = (
    "import awry.tasks.problems as p\n"
    "def boom(source): raise RuntimeError('boom')\n"
    "p.load_problems = boom\n"
    "import sys; sys.argv = ['awry', *sys.argv[1:]]\n"
    "from awry.cli import main; main()"
)


def test_a_bug_leaves_its_traceback_in_a_file(tmp_path) -> None:
    command = [sys.executable, "-c", BROKEN]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [*command, "problems", "list"], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("internal error: RuntimeError: boom\n  traceback: ")
    assert "Traceback" in Path(done.stderr.split("traceback: ")[1].strip()).read_text()
    done = subprocess.run(
        [*command, "--debug", "problems", "list"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_ctrl_c_exits_130_and_says_how_to_go_on(tmp_path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "awry", "run", str(SMOKE), "--out", str(tmp_path)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "preflight pass: rewards" in line:
            break
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate()
    assert process.returncode == 130
    assert "run the same command again to resume" in rest
    assert "Traceback" not in rest
    assert not list(tmp_path.rglob("RUNNING"))


def test_smoke_runs_from_nothing_to_a_report(tmp_path) -> None:
    done = awry("run", SMOKE, "--out", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["trained"] == [f"{arm} seed 0" for arm in ARMS]
    assert Path(result["report"]).is_file()
    assert "vanilla seed 0: step 5/5" in done.stderr
    checks = json.loads((tmp_path / "smoke/preflight.json").read_text())
    assert {check["status"] for check in checks} <= {"pass", "warn"}
    done = awry("report", tmp_path / "smoke", "--json")
    assert set(json.loads(done.stdout)["arms"]) == set(ARMS)
    assert awry("report", SMOKE, "--out", tmp_path).returncode == 0
