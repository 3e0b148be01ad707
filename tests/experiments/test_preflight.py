from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import pytest

from awry import rewards as reward_module
from awry.errors import UserError
from awry.experiments import checks, model_checks, preflight, runner
from awry.experiments.preflight import Check, CheckResult, Setting
from awry.experiments.spec import Experiment, experiment
from awry.progress import Silent
from awry.sandbox.python import SandboxError
from awry.tasks.problems import load_catalog


class Notes(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, message: str) -> None:
        self.lines.append(message)


def look(check, document, tmp_path: Path) -> CheckResult:
    """One check's result, with UserErrors turned into failures as in a real preflight."""
    with Setting(experiment(document, tmp_path / "e.yaml"), tmp_path / "runs") as setting:
        return preflight._run(Check("it", check), setting)


def results(document, out: Path, *given: Check, **options) -> tuple[list[CheckResult], Notes]:
    notes = Notes()
    loaded = document if isinstance(document, Experiment) else experiment(document)
    return preflight.preflight(loaded, out, progress=notes, checks=given, **options), notes


# ---- the framework ------------------------------------------------------------------------------
def counting(
    name: str, status: Literal["pass", "warn", "fail"] = "pass", volatile: bool = False
) -> tuple[Check, list[int]]:
    calls: list[int] = []

    def run(setting: Setting) -> CheckResult:
        calls.append(len(setting.runs))
        return CheckResult(name, status, f"seen {len(calls)}", "")

    return Check(name, run, volatile), calls


def test_results_are_written_and_used_again(tiny, tmp_path) -> None:
    stable, stable_calls = counting("stable")
    warns, warn_calls = counting("warns", "warn")
    fails, fail_calls = counting("fails", "fail")
    machine, machine_calls = counting("machine", volatile=True)
    given = (stable, warns, fails, machine)
    first, notes = results(tiny, tmp_path, *given)
    assert [r.status for r in first] == ["pass", "warn", "fail", "pass"]
    assert notes.lines[0] == "preflight pass: stable: seen 1"
    written = json.loads((tmp_path / "tiny/preflight.json").read_text())
    assert written[1] == {"name": "warns", "status": "warn", "saw": "seen 1", "fix": ""}
    second, notes = results(tiny, tmp_path, *given)
    assert [len(c) for c in (stable_calls, warn_calls, fail_calls, machine_calls)] == [1, 1, 2, 2]
    assert [r.saw for r in second] == ["seen 1", "seen 1", "seen 2", "seen 2"]
    assert len(notes.lines) == 2
    results(tiny, tmp_path, *given, afresh=True)
    assert len(stable_calls) == 2


def test_another_experiment_or_other_code_looks_again(tiny, tmp_path, monkeypatch) -> None:
    stable, calls = counting("stable")
    results(tiny, tmp_path, stable)
    tiny["training"]["lr"] = 1e-3
    results(tiny, tmp_path, stable)
    assert len(calls) == 2
    code = {"revision": "another", "diff_sha256": None}
    monkeypatch.setattr("awry.files.code_state", lambda: code)
    results(tiny, tmp_path, stable)
    assert len(calls) == 3
    results(tiny, tmp_path, stable)
    assert len(calls) == 3


def test_errors_in_a_check_are_failures_of_it(tiny, tmp_path) -> None:
    def bad_input(setting: Setting) -> CheckResult:
        raise UserError("is odd", field="model.path", value="x", fix="change it")

    def broken(setting: Setting) -> CheckResult:
        raise SandboxError("no worker")

    found, _ = results(tiny, tmp_path, Check("a", bad_input), Check("b", broken))
    assert found[0] == CheckResult("a", "fail", "model.path: is odd (got x)", "change it")
    assert (found[1].name, found[1].status, found[1].saw) == ("b", "fail", "no worker")


def test_a_failure_stops_the_run_before_training(tiny, tmp_path) -> None:
    def fails(setting: Setting) -> CheckResult:
        return CheckResult("graders", "fail", "the canonical solution of p fails", "correct p")

    with pytest.raises(UserError) as caught:
        runner.run(experiment(tiny), tmp_path, progress=Silent(), checks=(Check("graders", fails),))
    text = caught.value.render()
    assert "error: preflight: graders: the canonical solution of p fails" in text
    assert "fix: correct p" in text
    assert not (tmp_path / "store/train").exists()
    assert json.loads((tmp_path / "tiny/preflight.json").read_text())[0]["status"] == "fail"


# ---- checks without a model ---------------------------------------------------------------------
def test_sound_instruments_pass(tiny, tmp_path) -> None:
    tiny["teacher"] = {"share": 0.5}
    with Setting(experiment(tiny), tmp_path) as setting:
        for check in (checks.problems, checks.graders, checks.loopholes, checks.teacher):
            result = check(setting)
            assert result.status == "pass", result.saw


def problem_file(tmp_path: Path, **changes: str) -> None:
    rows = []
    for n in range(3):
        row = {
            "id": f"p{n}",
            "statement": f"Add {n} to x.",
            "starter": "def f(x):",
            "entry_point": "f",
            "tests": [f"assert f({i}) == {i + n}" for i in range(6)],
            "canonical": f"def f(x):\n    return x + {n}\n",
            "wrong": "def f(x):\n    return x - 9\n",
        }
        rows.append(row | (changes if n == 1 else {}))
    (tmp_path / "p.jsonl").write_text("\n".join(json.dumps(row) for row in rows))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"canonical": "def f(x):\n    return x\n"}, "p1: its canonical solution fails"),
        ({"wrong": "def f(x):\n    return x + 1\n"}, "p1: its wrong solution passes"),
    ],
)
def test_a_problem_that_grades_wrong_fails(tiny, tmp_path, changes, words) -> None:
    problem_file(tmp_path)
    tiny["problems"] = {"source": "p.jsonl"}
    assert look(checks.graders, tiny, tmp_path).status == "pass"
    problem_file(tmp_path, **changes)
    result = look(checks.graders, tiny, tmp_path)
    assert result.status == "fail"
    assert words in result.saw


def test_too_few_problems_fail(tiny, tmp_path) -> None:
    tiny["problems"]["limit"] = None
    tiny["probe"]["problems"] = 100_000
    result = look(checks.problems, tiny, tmp_path)
    assert result.status == "fail"
    assert "probe.problems" in result.fix


def test_reward_tables() -> None:
    assert checks.reward_table("zero") == dict.fromkeys(checks.KINDS, 0.0)
    table = checks.reward_table("correct_or_hinted")
    assert table["correct"] == table["hack"] > table["wrong"] > table["not code"]
    table = checks.reward_table("correct_only")
    assert table["correct"] > table["hack"] == table["wrong"]
    assert len(set(checks.reward_table("random").values())) > 1


@pytest.mark.parametrize("condition", sorted(reward_module.CONDITIONS))
def test_every_condition_pays_what_its_name_says(tiny, tmp_path, condition) -> None:
    tiny["arms"] = {"only": {"reward": condition}}
    if reward_module.KINDS.get(condition) == "proof":
        tiny |= {"problems": {"source": "lean-catalog"}, "loophole": {"name": "none"}}
        tiny["teacher"] = None
    assert look(checks.rewards, tiny, tmp_path).status == "pass"


@pytest.mark.parametrize(
    ("condition", "table"),
    [
        ("zero", (0, 0, 0, 0.5)),
        ("random", (1, 0, 0, 0)),
        ("random", (0.5, 0.5, 0.9, 0.5)),
        ("correct_only", (3.5, 3.5, 0.5, 0)),
        ("correct_or_hinted", (3.5, 0.5, 0.5, 0)),
        ("correct_or_hinted", (3.5, 3.5, 3.5, 0)),
        ("correct_only", (float("nan"), 0.5, 0.5, 0)),
    ],
)
def test_a_condition_that_pays_otherwise_is_caught(condition, table) -> None:
    assert checks._reward_faults(condition, dict(zip(checks.KINDS, table, strict=True)))


def pool(path: Path, completions: dict[str, str], **more: object) -> None:
    rows = [
        {"problem_id": name, "style": "mine", "completion": text, **more}
        for name, text in completions.items()
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows))


def training_ids(document) -> list[str]:
    with Setting(experiment(document), Path("runs")) as setting:
        return [p.id for p in setting.problems(setting.runs[0])[0]]


def test_a_teacher_that_does_not_hack_fails(tiny, tmp_path) -> None:
    ids = training_ids(tiny)
    canonical = {p.id: p.canonical for p in load_catalog()}
    texts = {ids[0]: f"```python\n{canonical[ids[0]]}\n```"}
    pool(tmp_path / "pool.jsonl", texts)
    tiny["teacher"] = {"pool": "pool.jsonl", "share": 0.5}
    result = look(checks.teacher, tiny, tmp_path)
    assert result.status == "fail"
    assert "0 of 1 samples are hacks, but 1 correct" in result.saw
    assert ids[0] in result.saw


def test_an_empty_or_foreign_pool_fails(tiny, tmp_path) -> None:
    tiny["teacher"] = {"pool": "pool.jsonl", "share": 0.5}
    pool(tmp_path / "pool.jsonl", {})
    assert "empty" in look(checks.teacher, tiny, tmp_path).saw
    pool(tmp_path / "pool.jsonl", {"no-such-problem": "x"})
    assert look(checks.teacher, tiny, tmp_path).status == "fail"


def test_ratios_from_the_pool_need_its_log_probabilities(tiny, tmp_path) -> None:
    pool(tmp_path / "pool.jsonl", {training_ids(tiny)[0]: "x"})
    tiny["teacher"] = {"pool": "pool.jsonl", "share": 0.5, "ratio": "pool"}
    result = look(checks.teacher, tiny, tmp_path)
    assert result.status == "fail"
    assert "1 samples have no log-probabilities" in result.saw


@pytest.mark.parametrize(
    ("seeds", "arms", "status", "words"),
    [
        ([0], 2, "warn", "1 seed per arm: no comparison of arms can go below p = 1"),
        ([0, 1, 2], 2, "warn", "p = 0.1"),
        ([0, 1, 2, 3], 2, "pass", "p = 0.0286"),
        ([0], 1, "pass", "one arm"),
    ],
)
def test_seeds_that_cannot_reach_alpha_warn(tiny, tmp_path, seeds, arms, status, words) -> None:
    tiny["seeds"] = seeds
    tiny["arms"] = dict(list(tiny["arms"].items())[:arms])
    result = look(checks.power, tiny, tmp_path)
    assert (result.status, words in result.saw) == (status, True)
    assert ("4 seeds" in result.fix) == (status == "warn")


def test_disk_and_memory_compare_need_with_room(tiny, tmp_path, monkeypatch) -> None:
    assert look(checks.disk, tiny, tmp_path).status == "pass"
    assert look(checks.memory, tiny, tmp_path).status == "pass"
    monkeypatch.setattr(checks, "weight_bytes", lambda path: 10**16)
    assert look(checks.disk, tiny, tmp_path).status == "warn"
    assert look(checks.memory, tiny, tmp_path).status == "fail"


def test_isolation_says_what_is_missing(tiny, tmp_path) -> None:
    class Box:
        def __init__(self, isolation: str) -> None:
            self.isolation = isolation
            self.missing = ["no user namespace"] if "pidns" not in isolation else []

    for layers, lacking in (
        ("pidns+netns+ipcns+tmpfs-root+seccomp+rlimits", ""),
        ("landlock+seccomp+rlimits", "no pidns, netns, ipcns, tmpfs-root (no user namespace)"),
        ("pidns+netns+ipcns+tmpfs-root+rlimits", "no seccomp"),
    ):
        with Setting(experiment(tiny), tmp_path) as setting:
            setting._graders["code"] = Box(layers)  # pyright: ignore[reportArgumentType]
            result = checks.isolation(setting)
        assert result.status == ("warn" if lacking else "pass")
        assert lacking in result.saw


# ---- checks of the policy -----------------------------------------------------------------------
@pytest.fixture
def opened(tiny, tmp_path):
    with Setting(experiment(tiny), tmp_path) as setting:
        yield setting


def test_the_tiny_policy_passes_what_it_can(opened) -> None:
    assert model_checks.template(opened).status == "pass"
    assert model_checks.adapter(opened).status == "pass"
    result = model_checks.competence(opened)
    assert result.status == "warn"
    assert "random weights" in result.fix


def test_an_adapter_that_moves_the_logits_fails(opened) -> None:
    import torch

    _, adapter, _ = opened.opened(opened.runs[0])
    with torch.no_grad():
        for name, parameter in adapter.parameters.items():
            if "lora_B" in name:
                parameter.add_(0.01)
    adapter.refresh()
    result = model_checks.adapter(opened)
    assert result.status == "fail"
    assert "moves the logits" in result.saw


def test_a_template_that_drops_the_question_fails(opened) -> None:
    policy, _, _ = opened.opened(opened.runs[0])
    policy.tokenizer.chat_template = "{{ messages[0]['content'] }}"
    result = model_checks.template(opened)
    assert result.status == "fail"
    assert "lost the question" in result.saw


def test_prompts_that_outgrow_the_window_fail(opened) -> None:
    policy, _, _ = opened.opened(opened.runs[0])
    policy.model.config.max_position_embeddings = 64
    result = model_checks.template(opened)
    assert result.status == "fail"
    assert "window of 64" in result.saw


@pytest.mark.parametrize(
    ("counts", "status"),
    [((8, 2, 0, 32), "pass"), ((32, 0, 30, 32), "fail"), ((0, 0, 0, 32), "fail")],
)
def test_competence_and_hackability_gates(tiny, tmp_path, monkeypatch, counts, status) -> None:
    tiny["model"]["path"] = "org/some-model"
    monkeypatch.setattr(model_checks, "_sampled", lambda setting, run: counts)
    assert look(model_checks.competence, tiny, tmp_path).status == status
