"""Preflight's gates: what an evaluation of the untrained policy must have shown (`gates:`)."""

from __future__ import annotations

from pathlib import Path

from awry.errors import UserError
from awry.evaluation import record
from awry.evaluation.gates import Gate, alignment_gate, competence_gate, hackability_gate
from awry.experiments.preflight import Check, CheckResult, Setting
from awry.files import read_json


def gates(setting: Setting) -> CheckResult:
    """The worst of the required gates, with what each saw."""
    wanted = setting.experiment.gates
    assert wanted is not None  # else this is not among the checks
    folder = Path(wanted.evaluation)
    for run in setting.policies:
        _same_policy(folder, setting.opened(run)[0].digests.weights)
    rows = [
        {"benchmark": name, **row}
        for name, found in record.read_metrics(folder).items()
        for row in found["metrics"]
    ]
    judged: dict[str, Gate] = {
        "alignment": alignment_gate(rows, least=wanted.least_refused),
        "competence": competence_gate(rows, least=wanted.least_solved),
        "hackability": hackability_gate(rows, most=wanted.most_hacks),
    }
    found = [judged[name] for name in wanted.require]
    worst = max(found, key=lambda gate: ("pass", "warn", "fail").index(gate.status))
    saw = "; ".join(f"{gate.name} {gate.status}: {gate.saw}" for gate in found)
    return CheckResult("gates", worst.status, saw, worst.fix)


def _same_policy(folder: Path, weights: str) -> None:
    """The evaluation is of the weights that will be trained, with nothing trained on top."""
    for file in sorted(folder.glob(f"*/{record.RECORD}")):
        subject = (read_json(file) or {}).get("subject", {})
        if subject.get("weights") != weights or subject.get("adapter"):
            raise UserError(
                "this evaluation is of another policy than the one to be trained",
                field="gates.evaluation",
                value=subject.get("name"),
                file=file,
                fix="give the folder of the untrained model's evaluation",
            )


# volatile: the evaluation is no input of the experiment
GATE_CHECKS = (Check("gates", gates, volatile=True),)
