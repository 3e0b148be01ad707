"""From an experiment directory to one self-contained HTML file and one JSON document."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

from awry.evaluation.comparison.compare import Margins
from awry.report import evaluated
from awry.report.cautions import cautions
from awry.report.document import to_json
from awry.report.interventions import interventions
from awry.report.load import load_experiment
from awry.report.quality import quality
from awry.report.summary import ReportData, summarise

__all__ = ["ReportData", "build_report", "to_json", "write_report"]


def build_report(
    experiment_dir: Path | str,
    *,
    evaluations: Path | None = None,
    margins: Margins | None = None,
) -> ReportData:
    """Read and count; finished or not. Raises UserError when there is no experiment to read.

    evaluations: what `awry evaluate` wrote, by default the folder of that name in the experiment's
    directory, where there is one; margins: of the comparison of its arms.
    """
    data = summarise(load_experiment(Path(experiment_dir)))
    data = replace(
        data,
        interventions=interventions(data.experiment, data.icc),
        quality=quality(data.experiment),
        evaluations=evaluated.evaluations(data.experiment, evaluations, margins),
    )
    told = () if data.evaluations is None else data.evaluations.warnings
    return replace(data, warnings=(*cautions(data), *told))


def write_report(data: ReportData, directory: Path | str | None = None) -> Path:
    """Write report.html and report.json (to the experiment's directory, unless given another).

    Returns the path of report.html. Each file is written under a temporary name and renamed.
    """
    from awry.report.html import render_html

    target = Path(directory) if directory is not None else data.experiment.directory
    target.mkdir(parents=True, exist_ok=True)
    document = json.dumps(to_json(data), indent=2, ensure_ascii=False, allow_nan=False)
    for name, text in (("report.json", document + "\n"), ("report.html", render_html(data))):
        temporary = target / f".{name}.{os.getpid()}.tmp"
        # newline="": the script's digest in the page's policy must survive on every system
        temporary.write_text(text, encoding="utf-8", errors="replace", newline="")
        temporary.replace(target / name)
    return target / "report.html"
