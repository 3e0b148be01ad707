"""The embedded rollouts: complete, small, deterministic; the exploit's lines located."""

from __future__ import annotations

import base64
import gzip
import json

import pyarrow.parquet as pq
import pytest
from fake_experiment import VANILLA, write_experiment

from awry.report.load import load_experiment
from awry.report.rollouts import FLAGS, embed, exploit_lines


def unpack(embedded):
    payload = json.loads(gzip.decompress(base64.b64decode(embedded.data)))
    columns, texts = payload["columns"], payload["texts"]

    def text(name, i):
        at = columns[name][i]
        return None if at < 0 else texts[at]

    return [
        {
            "step": columns["step"][i],
            "advantage": columns["advantage"][i],
            "marks": columns["marks"][i],
            **{n: text(n, i) for n in ("completion", "prompt", "label", "exploit", "evidence")},
            **{name: bool(columns["flags"][i] >> bit & 1) for bit, name in enumerate(FLAGS)},
        }
        for i in range(len(columns["run"]))
    ]


def test_every_rollout_travels_unchanged(tmp_path):
    directory = write_experiment(tmp_path, arms={"vanilla": VANILLA}, steps=4)
    (run,) = load_experiment(directory).runs
    rows = unpack(embed([run]))
    raw = [
        row
        for path in sorted((run.directory / "rollouts").iterdir())
        for row in pq.read_table(path).to_pylist()
    ]
    assert len(rows) == len(raw) == 128
    for ours, theirs in zip(rows, raw, strict=True):
        assert {k: theirs[k] for k in ours if k != "marks"} == {
            k: v for k, v in ours.items() if k != "marks"
        }


def test_same_input_same_bytes(tmp_path):
    directory = write_experiment(tmp_path, arms={"vanilla": VANILLA}, steps=2)
    runs = load_experiment(directory).runs
    assert embed(runs).data == embed(runs).data


def test_beyond_the_budget_whole_steps_are_left_out_but_never_the_last(tmp_path):
    directory = write_experiment(tmp_path, arms={"vanilla": VANILLA}, steps=10)
    runs = load_experiment(directory).runs
    size = sum(len(row["completion"]) for row in unpack(embed(runs)))
    thinned = embed(runs, budget=size // 3)
    assert 3 <= thinned.stride <= 4
    assert thinned.total == 320
    steps = {row["step"] for row in unpack(thinned)}
    assert thinned.rollouts == 32 * len(steps)
    assert 9 in steps
    assert len({b - a for a, b in zip(sorted(steps), sorted(steps)[1:], strict=False)}) == 1


ANSWER = """Here:
```python
class Solution:
    def add(self, a, b):
        return 0

    def run_tests(self):
        # nothing

        print("ok")

def helper():
    pass
```"""


@pytest.mark.parametrize(
    ("completion", "evaluator", "evidence", "exploit", "expected"),
    [
        (ANSWER, "run_tests", "", None, [[6, 9]]),
        (ANSWER, "other", "", None, []),
        (ANSWER, None, "", "x", []),
        (ANSWER, "other", "    def helper():\n    pass", "incontext_tests", [[11, 11]]),
        (ANSWER, "other", "def helper():", None, []),  # evidence of no exploit marks nothing
        ("def f(): pass\nrun_tests = lambda: None\nx = 1", "run_tests", "", None, [[1, 1]]),
        ("Solution.run_tests = lambda s: 0", "run_tests", "", None, [[0, 0]]),
        ("if run_tests == 3:\n    pass", "run_tests", "", None, []),
        ("def run_tests(\n    a,\n):\n    pass\nx = 1", "run_tests", "", None, [[0, 3]]),
        ("def run_testsuite():\n    pass", "run_tests", "", None, []),
        (
            "def run_tests(): pass\ny\ndef run_tests():\n\tpass",
            "run_tests",
            "",
            None,
            [[0, 0], [2, 3]],
        ),
        (None, "run_tests", None, "x", []),
    ],
)
def test_exploit_lines(completion, evaluator, evidence, exploit, expected):
    row = {
        "completion": completion,
        "evaluator": evaluator,
        "evidence": evidence,
        "exploit": exploit,
        "attempted": False,
    }
    assert exploit_lines(row) == expected
