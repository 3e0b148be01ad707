from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fake_experiment import write_experiment

from awry.report import build_report
from awry.report.curves import exploits


def with_exploits(home: Path, counts: list[dict[str, int]]) -> None:
    """Put `exploits` into the metrics of every run of arm `vanilla`, a step each."""
    record = json.loads((home / "experiment.json").read_text())
    for run in record["runs"]:
        if run["arm"] != "vanilla":
            continue
        file = home.parent / run["dir"] / "metrics.jsonl"
        rows: list[dict[str, Any]] = [json.loads(line) for line in file.read_text().splitlines()]
        for row, found in zip(rows, counts, strict=False):
            row["exploits"] = found
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_hacks_are_drawn_by_exploit_to_one_scale(tmp_path: Path) -> None:
    home = write_experiment(tmp_path)
    with_exploits(home, [{}, {"sorry": 3}, {"sorry": 1, "axiom": 2}])
    data = build_report(home)
    students = data.experiment.runs_of("vanilla")[0].metrics[1]["n_student"]
    charts = exploits(data)
    assert [chart.id for chart in charts] == ["exploit-axiom", "exploit-sorry"]
    axiom, sorry = ({s.name: s.values for s in chart.series}["vanilla"] for chart in charts)
    assert [sorry[step] for step in (0, 1, 2)] == [0.0, 3 / students, 1 / students]
    assert [axiom[step] for step in (0, 1, 2)] == [0.0, 0.0, 2 / students]
    assert charts[0].cover == charts[1].cover == (0.0, 3 / students)


def test_one_way_of_hacking_is_the_hack_rate_and_not_drawn_twice(tmp_path: Path) -> None:
    home = write_experiment(tmp_path)
    with_exploits(home, [{"sorry": 1}])
    assert exploits(build_report(home)) == []
