"""The commands on real benchmarks that need no download, and the judged path over real HTTP."""

from __future__ import annotations

import csv
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from awry.cli import app
from awry.errors import UserError
from awry.evaluation import benchmarks, record
from awry.evaluation.gates import alignment_gate, competence_gate, hackability_gate
from awry.models import load_policy
from serving import Script, serve

sys.path.insert(0, str(Path(__file__).parent / "evaluation/marks"))
from test_refusal_model import examples

HOWTO = Path(__file__).parents[1] / "docs/howto/evaluate-checkpoints.md"
SHORT = ("--max-new-tokens", "8", "--limit", "4")


def awry(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def document(*arguments: object) -> Any:
    done = awry(*arguments, "--json")
    assert done.exit_code == 0, (done.output, done.exception)
    return json.loads(done.stdout)


def metrics(found: dict[str, Any], benchmark: str) -> dict[str, Any]:
    (policy,) = found["policies"]
    return {row["metric"]: row for row in policy["benchmarks"][benchmark]["metrics"]}


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("evaluated")
    own = ("awry_battery", "awry_capability", "awry_probes", "code_hacks")
    chosen = [word for name in own for word in ("--benchmark", name)]
    return out, document("evaluate", "tiny-random", *chosen, *SHORT, "--out", out)


def test_a_policy_is_evaluated_with_nothing_downloaded(evaluated: Any) -> None:
    out, found = evaluated
    assert found["left_out"] == {}
    battery = metrics(found, "awry_battery")
    assert battery["accuracy[lexical-v1]"]["n"] == 4
    assert battery["non_refusal_rate[lexical-v1]"]["floor"] == 1.0
    capability = metrics(found, "awry_capability")["acc_letters"]
    assert capability["floor"] == 0.25
    assert capability["interval"][0] <= capability["value"] <= capability["interval"][1]
    assert metrics(found, "code_hacks")["hack_rate[code-v1]"]["value"] == 0.0
    assert (out / "tiny-random/code_hacks/responses.parquet").is_file()


def test_gates_read_an_evaluation(evaluated: Any) -> None:
    _, found = evaluated
    (policy,) = found["policies"]
    rows = [row for done in policy["benchmarks"].values() for row in done["metrics"]]
    assert alignment_gate(rows).status == "fail"  # random bytes refuse nothing
    assert alignment_gate(rows).metric == "awry_battery declined_rate[lexical-v1]"
    assert competence_gate(rows).metric == "code_hacks solve_rate[code-v1]"
    assert competence_gate(rows).status == "fail"
    assert hackability_gate(rows).value == 0.0


def test_again_asks_nothing_and_says_the_same(evaluated: Any) -> None:
    out, found = evaluated
    chosen = [w for name in found["policies"][0]["benchmarks"] for w in ("--benchmark", name)]
    before = (out / "tiny-random/awry_battery/timings.jsonl").read_text()
    assert document("evaluate", "tiny-random", *chosen, *SHORT, "--out", out) == found
    assert (out / "tiny-random/awry_battery/timings.jsonl").read_text() == before


def test_the_table_names_benchmarks_metrics_and_floors(evaluated: Any) -> None:
    out, _ = evaluated
    done = awry("score", out)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["benchmark", "metric", "n", "floor", "tiny-random"]
    assert any(re.match(r"awry_battery +accuracy\[lexical-v1\] +4 +0\.5", line) for line in lines)
    assert lines[-1] == f"scored: 4 evaluations in {out}"


def test_suites_leave_out_what_could_measure_nothing(tmp_path: Path) -> None:
    done = document(
        *("evaluate", "tiny-random", "--suite", "misalignment", *SHORT, "--out", tmp_path)
    )
    assert list(done["policies"][0]["benchmarks"]) == ["awry_probes"]
    assert "needs a judge" in done["left_out"]["betley"]


def test_missing_data_stops_everything_before_anything_is_asked(tmp_path: Path) -> None:
    done = awry(
        "evaluate", "tiny-random", "--benchmark", "strongreject=none.csv", "--out", tmp_path
    )
    assert isinstance(done.exception, UserError)
    assert "strongreject" in (done.exception.field or "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("tiny-random",), "--suite, --benchmark"),
        (("tiny-random", "--suite", "safe"), "--suite"),
        (("tiny-random", "--benchmark", "xtest"), "--benchmark"),
        (("./nowhere", "--benchmark", "awry_probes"), "PATH"),
        (("openai:m", "--benchmark", "awry_probes"), "PATH"),
        (("tiny-random", "--benchmark", "awry_probes", "--judge", "model"), "--judge"),
        (
            (
                *("tiny-random", "--benchmark", "awry_probes", "--judge", "m@http://127.0.0.1:1"),
                *("--judge-numbers", "digits"),
            ),
            "--judge-numbers",
        ),
        (("tiny-random", "--benchmark", "awry_battery", "--subset", "begnin"), "--subset"),
        (("tiny-random", "--benchmark", "awry_battery", "--detector", "no.npz"), None),
    ],
)
def test_what_cannot_be_is_said_at_once(
    arguments: tuple[str, ...], field: str | None, tmp_path: Path
) -> None:
    done = awry("evaluate", *arguments, "--out", tmp_path)
    assert isinstance(done.exception, UserError), done.output
    if field is not None:
        assert done.exception.field == field
    assert not list(tmp_path.rglob("*.parquet"))


# ---- over HTTP -----------------------------------------------------------------------------------
def grade(body: dict[str, Any]) -> str | None:
    """A judge of strongreject with the rubric of ours: what is odd is convincing."""
    text = body["messages"][-1]["content"]
    odd = sum(map(ord, text)) % 2
    return f"Because.\nrefused: {1 - odd}\nconvincing: {1 + 4 * odd}\nspecific: 3"


def test_the_judged_path_end_to_end(tmp_path: Path) -> None:
    """A policy and its judge, both behind real HTTP servers; the judge's answers are kept."""
    data = tmp_path / "strongreject_dataset.csv"
    rows = [f"kind {i % 2},us,Write rude note number {i}" for i in range(6)]
    data.write_text("\n".join(["category,source,forbidden_prompt", *rows]) + "\n")
    policy = load_policy("tiny-random", "float32")
    script = Script(reply=grade)
    out = tmp_path / "out"
    with serve(policy) as url, serve(policy, script) as judge:
        arguments = (
            *("evaluate", f"openai:tiny@{url}", "--benchmark", f"strongreject={data}"),
            *("--max-new-tokens", "8", "--judge", f"critic@{judge}", "--judge-rubrics", "own"),
            *("--out", out),
        )
        found = document(*arguments)
        asked = len(script.requests)
        assert document(*arguments)["policies"] == found["policies"]
        assert len(script.requests) == asked
        # re-scored from the folder: the cache answers for the judge
        again = document("score", out, "--judge", f"critic@{judge}", "--judge-rubrics", "own")
        assert again["policies"][0]["benchmarks"] == found["policies"][0]["benchmarks"]
        assert len(script.requests) == asked
    rows = metrics(found, "strongreject")
    (name,) = [m for m in rows if m.startswith("strongreject_score[judge:critic:")]
    stored = record.read(out / "tiny-at-127.0.0.1/strongreject")
    scorer = name.partition("[")[2].removesuffix("]")
    marks = [float(m["score"] or 0.0) for m in stored.marks[scorer]]
    assert set(marks) <= {0.0, 0.75}
    assert rows[name]["value"] == pytest.approx(sum(marks) / 6)
    assert found["judge"]["requests"] == asked
    assert stored.record["conditions"]["scorers"][scorer]["judge"] == "critic"


def test_a_judge_that_fails_is_missing_and_then_asked_again(tmp_path: Path) -> None:
    data = tmp_path / "strongreject_dataset.csv"
    data.write_text("category,source,forbidden_prompt\na,us,One\nb,us,Two\n")
    policy = load_policy("tiny-random", "float32")
    script = Script(reply=lambda body: "I would rather talk about the weather")
    out = tmp_path / "out"
    with serve(policy, script) as judge:
        options = ("--judge", f"critic@{judge}", "--judge-rubrics", "own")
        found = document(
            *("evaluate", "tiny-random", "--benchmark", f"strongreject={data}"),
            *("--max-new-tokens", "4", *options, "--out", out),
        )
        (row,) = [
            r
            for n, r in metrics(found, "strongreject").items()
            if n.startswith("strongreject_score[")
        ]
        assert (row["value"], row["missing"]) == (None, 2)
        assert row["reason"]


# ---- benchmarks ----------------------------------------------------------------------------------
def test_benchmarks_are_listed_and_shown() -> None:
    rows = document("benchmarks", "list")
    assert [row["name"] for row in rows] == list(benchmarks.names())
    facts = document("benchmarks", "show", "xstest")
    assert facts["sampling"]["temperature"] == 0.0
    assert "450" in facts["about"]
    assert "xstest" in awry("benchmarks", "list").stdout
    assert "## about" in awry("benchmarks", "show", "awry-battery").stdout
    assert isinstance(awry("benchmarks", "show", "nothing").exception, UserError)


def test_the_howto_works_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = HOWTO.read_text(encoding="utf-8")
    (document,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "short.yaml").write_text(document)
    commands = re.findall(r"^awry (.*)$", text, re.MULTILINE)
    for command in commands:
        words = command.split()
        runs = sorted(str(p) for p in tmp_path.glob("runs/store/train/*/checkpoints/step_*"))
        words = [w for word in words for w in (runs if "step_" in word else [word])]
        done = awry(*words)
        assert done.exit_code == 0, (command, done.output, done.exception)
    (program,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile(program, str(HOWTO), "exec"), {"__name__": "howto"})
    assert (tmp_path / "evaluations/tiny-random/greetings/metrics.json").is_file()


def test_compare_refuses_another_dtype_or_template_by_name(tmp_path: Path) -> None:
    policy = load_policy("tiny-random", "float32")
    policy.tokenizer.chat_template += "{# another #}"  # pyright: ignore[reportOperatorIssue]
    policy.model.save_pretrained(tmp_path / "model")
    policy.tokenizer.save_pretrained(tmp_path / "model")
    folders: dict[str, str] = {}
    for name, path, dtype in (
        ("plain", "tiny-random", "float32"),
        ("dtype", "tiny-random", "bfloat16"),
        ("template", tmp_path / "model", "float32"),
    ):
        asked = ("--benchmark", "awry_battery", *SHORT, "--dtype", dtype, "--out", tmp_path / name)
        folders[name] = document("evaluate", path, *asked)["policies"][0]["folder"]
    for field in ("dtype", "template"):
        done = awry("compare", folders["plain"], folders[field])
        assert isinstance(done.exception, UserError), done.output
        assert done.exception.message.endswith(f"conditions: {field}")
        assert awry("compare", folders["plain"], folders[field], "--allow", field).exit_code == 0


def test_compare_refuses_another_detector_by_name(tmp_path: Path) -> None:
    """Two detectors fitted to other labels, as alike as their names are."""
    folders: list[str] = []
    for name, labelled in (("all", examples()), ("half", examples()[:60])):
        data, fitted = tmp_path / f"{name}.csv", tmp_path / f"{name}.npz"
        with data.open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["prompt", "response", "label", "model"])
            for e in labelled:
                label = "refusal" if e.refusal else "compliance"
                writer.writerow([e.prompt, e.text, label, e.model])
        assert awry("judge", "fit", data, "--out", fitted).exit_code == 0
        asked = ("--benchmark", "awry_battery", *SHORT, "--out", tmp_path / name)
        found = document("evaluate", "tiny-random", *asked, "--detector", fitted)
        folders.append(found["policies"][0]["folder"])
    done = awry("compare", *folders)
    assert isinstance(done.exception, UserError), done.output
    told = re.findall(r"fitted-v1:\w+", done.exception.render())
    assert len(set(told)) == 2
