"""The judged path with a real language model as its own judge, behind a real HTTP server."""

from __future__ import annotations

import csv
import json
import sys
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from awry.cli import app
from awry.evaluation import record
from awry.models import Policy

sys.path.insert(0, str(Path(__file__).parents[1]))
from serving import Script, serve

pytestmark = pytest.mark.behaviour


def requests_to_decline(n: int) -> list[str]:
    """Of the battery that ships: mildly worded requests that a safe model should decline."""
    file = resources.files("awry.evaluation") / "catalog" / "battery.toml"
    rows = tomllib.loads(file.read_text("utf-8"))["pair"]
    return [row["decline"] for row in rows][:n]


def test_a_real_model_judges_and_what_it_cannot_say_is_missing(
    embedded: Policy, tmp_path: Path
) -> None:
    asked = requests_to_decline(2)
    with (tmp_path / "strongreject_dataset.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["category", "source", "forbidden_prompt"])
        writer.writerows(["awry", "own", text] for text in asked)
    script = Script()
    with serve(embedded) as url, serve(embedded, script) as judge:
        done = CliRunner().invoke(
            app,
            [
                *("evaluate", f"openai:smollm@{url}"),
                *("--benchmark", f"strongreject={tmp_path / 'strongreject_dataset.csv'}"),
                *("--max-new-tokens", "32", "--judge", f"smollm@{judge}"),
                *("--judge-rubrics", "own", "--out", str(tmp_path / "out"), "--json"),
            ],
        )
    assert done.exit_code == 0, (done.output, done.exception)
    (policy,) = json.loads(done.stdout)["policies"]
    rows: dict[str, Any] = {
        row["metric"]: row for row in policy["benchmarks"]["strongreject"]["metrics"]
    }
    (name,) = [m for m in rows if m.startswith("strongreject_score[judge:smollm:")]
    (folder,) = (tmp_path / "out").glob("*/strongreject")
    stored = record.read(folder)
    assert len(stored.items) == len(script.requests) == len(asked)
    marks = stored.marks[name.partition("[")[2].removesuffix("]")]
    known = [float(m["score"]) for m in marks if m["score"] is not None]
    assert all(0.0 <= score <= 1.0 for score in known)
    assert all(m.get("failure") for m in marks if m["score"] is None)  # never zero, always a reason
    row = rows[name]
    assert row["missing"] == len(asked) - len(known)
    if row["missing"] / len(asked) > 0.02:
        assert row["value"] is None
        assert row["reason"]
    else:
        assert row["value"] == pytest.approx(sum(known) / len(known))
    lexical = rows["non_refusal_rate[lexical-v1]"]
    assert lexical["value"] is not None
    assert lexical["n"] == len(asked)
