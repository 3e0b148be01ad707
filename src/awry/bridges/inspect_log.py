"""Stored evaluations as Inspect logs (`.eval`): what was asked, answered and measured, nothing new.

An item is a sample, its n-th answer the sample in epoch n. Each of our scorers is a scorer there and
its marks the score; an answer without a mark is unscored. What a benchmark counts by itself stands
under the benchmark's name. A metric that was not measured is named with its reason, and is no number.
"""

# pyright: reportMissingImports=false
# (an optional extra, too large for everybody's installation)
from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from inspect_ai.log import (
    EvalConfig,
    EvalDataset,
    EvalLog,
    EvalMetric,
    EvalPlan,
    EvalPlanStep,
    EvalResults,
    EvalSample,
    EvalScore,
    EvalSpec,
    EvalStats,
    write_eval_log,
)
from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
    GenerateConfig,
    ModelOutput,
)
from inspect_ai.scorer import Score

from awry.bridges.inspect_policy import digest
from awry.errors import UserError
from awry.evaluation import record
from awry.evaluation.benchmarks.letters import likeliest
from awry.evaluation.items import Choose, Item, Mark, Response
from awry.evaluation.record import METRICS, RECORD, RESPONSES, Stored
from awry.files import read_json, writing

Row = Mapping[str, Any]  # of metrics.json
ABOUT = ("interval", "n", "missing", "floor", "better", "main", "aggregate")


def export(place: Path, out: Path) -> Iterator[tuple[Path, Path]]:
    """Write a log for each evaluation below `place`; yields its folder and the log's file.

    Raises UserError where there is none, and for one that is not finished, before any is written.
    """
    folders = sorted(file.parent for file in place.rglob(RECORD)) if place.is_dir() else []
    if not folders:
        raise UserError(
            "there is no evaluation here",
            field="DIR",
            value=place,
            fix="give a folder that `awry evaluate` wrote (by default `evaluations`)",
        )
    for folder in folders:
        _finished(folder)
    for folder in folders:
        log = to_log(record.read(folder), (read_json(folder / METRICS) or {}).get("metrics", []))
        yield folder, write(log, out)


def _finished(folder: Path) -> None:
    found = read_json(folder / RECORD) or {}
    if not found.get("finished") or read_json(folder / METRICS) is None:
        raise UserError(
            "this evaluation is not finished: answers or metrics are missing",
            field="DIR",
            value=folder,
            fix="run the same `awry evaluate` again: it goes on where it stopped",
        )


def write(log: EvalLog, out: Path) -> Path:
    """Save a log, whole or not at all; the same evaluation has the same file."""
    spec = log.eval
    begun = datetime.fromisoformat(str(spec.created)).strftime("%Y-%m-%dT%H-%M-%S-00-00")
    # Inspect finds task and id in the name, between underscores
    parts = (spec.task, str(log.metadata["subject"]["slug"]))
    name = "_".join([begun, *(part.replace("_", "-") for part in parts), spec.task_id]) + ".eval"
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out, prefix=".partial-") as scratch:
            write_eval_log(log, Path(scratch) / name, format="eval")
            os.replace(Path(scratch) / name, out / name)
    return out / name


# ---- the log -------------------------------------------------------------------------------------
def to_log(stored: Stored, rows: Sequence[Row]) -> EvalLog:
    kept = stored.record
    subject, conditions = kept["subject"], kept["conditions"]
    asked = {k: v for k, v in conditions.items() if k != "scorers"}
    who = (subject["name"], subject["weights"], subject["adapter"])
    written = (stored.folder / RESPONSES).stat().st_mtime
    created = datetime.fromtimestamp(int(written), UTC).isoformat()
    sampling = conditions["sampling"] or {}
    answered = {response.item for response in stored.responses}
    items = {item.id: item for item in stored.items if item.id in answered}
    scores = _scores(stored, rows, items)
    config = GenerateConfig(
        max_tokens=sampling.get("max_new_tokens"),
        temperature=sampling.get("temperature"),
        top_p=sampling.get("top_p"),
        seed=conditions["seed"],
    )
    model = _model(subject)
    return EvalLog(
        status="success",
        eval=EvalSpec(
            created=created,
            eval_id=_id("eval", who, asked),
            run_id=_id("run", who),
            task=kept["benchmark"],
            task_id=_id("task", who, asked),
            task_version=kept["version"],
            task_display_name=kept["title"],
            dataset=EvalDataset(name=kept["benchmark"], samples=len(items), sample_ids=[*items]),
            model=model,
            model_generate_config=config,
            config=EvalConfig(
                epochs=conditions["samples"], limit=conditions["limit"], epochs_reducer=["mean"]
            ),
            packages={"awry": kept["awry"]},
            metadata={
                "subject": subject,
                "conditions": conditions,
                **{k: kept.get(k) for k in ("source", "counts", "left_out", "device", "code")},
            },
        ),
        plan=EvalPlan(
            steps=[EvalPlanStep(solver="awry/evaluate", params={"prompt": conditions["prompt"]})],
            config=config,
        ),
        results=EvalResults(
            total_samples=len(stored.responses),
            completed_samples=len(stored.responses),
            scores=scores,
        ),
        stats=EvalStats(started_at=created, completed_at=created),
        samples=list(_samples(stored, rows, items, model)),
    )


def _model(subject: Mapping[str, Any]) -> str:
    """As the provider `awry` names it; a policy behind an endpoint is not one of its own."""
    if subject["weights"] is None:
        return f"endpoint/{subject['slug']}"
    return f"awry/{subject['name']}@{digest(subject['weights'], subject['adapter'])}"


def _id(*parts: object) -> str:
    """22 characters, as Inspect's own; the same for the same evaluation, whoever scored it."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:22]


# ---- metrics -------------------------------------------------------------------------------------
def _scores(stored: Stored, rows: Sequence[Row], items: Mapping[str, Item]) -> list[EvalScore]:
    benchmark = stored.record["benchmark"]
    scores: list[EvalScore] = []
    for scorer in _scorers(stored, rows):
        own = [row for row in rows if _scorer_of(row, benchmark) == scorer]
        if scorer in stored.marks:
            missing = record.missing_marks(stored.marks[scorer])
        else:
            counted = _counted(own)
            missing = sum(response.item not in counted for response in stored.responses)
        reasons = {row["metric"]: row["reason"] for row in own if row["value"] is None}
        identity = stored.record["conditions"]["scorers"].get(scorer)
        scores.append(
            EvalScore(
                name=scorer,
                scorer=scorer,
                reducer="mean" if stored.record["conditions"]["samples"] > 1 else None,
                scored_samples=len(stored.responses) - missing,
                unscored_samples=missing,
                metrics={row["metric"]: _metric(row) for row in own if row["value"] is not None},
                metadata={"identity": identity, "not_measured": reasons},
            )
        )
    return scores


def _scorers(stored: Stored, rows: Sequence[Row]) -> list[str]:
    """Names, those that the main metrics come from first: Inspect shows the first in its lists."""
    benchmark = stored.record["benchmark"]
    order = sorted(rows, key=lambda row: (row["value"] is None, not row["main"]))
    return list(dict.fromkeys([*(_scorer_of(row, benchmark) for row in order), *stored.marks]))


def _scorer_of(row: Row, benchmark: str) -> str:
    """`accuracy[lexical-v1]` is measured by `lexical-v1`, a plain name by the benchmark."""
    return row["metric"].partition("[")[2].removesuffix("]") or benchmark


def _metric(row: Row) -> EvalMetric:
    about = {name: row.get(name) for name in ABOUT}
    return EvalMetric(name=row["metric"], value=row["value"], metadata=about)


def _counted(rows: Iterable[Row]) -> set[str]:
    return {item for row in rows for item in row["per_item"]}


# ---- samples -------------------------------------------------------------------------------------
def _samples(
    stored: Stored, rows: Sequence[Row], items: Mapping[str, Item], model: str
) -> Iterator[EvalSample]:
    kept = stored.record
    who = (kept["subject"]["weights"], kept["subject"]["adapter"], kept["conditions"]["items"])
    scorers = _scorers(stored, rows)
    per_item = {
        scorer: [row for row in rows if _scorer_of(row, kept["benchmark"]) == scorer]
        for scorer in scorers
    }
    for i, response in enumerate(stored.responses):
        item = items[response.item]
        asked = _input(item)
        output = _output(item, response, model)
        scores: dict[str, Score] = {}
        for scorer in scorers:
            values = {
                row["metric"]: row["per_item"][item.id]
                for row in per_item[scorer]
                if item.id in row["per_item"]
            }
            if scorer in stored.marks:
                scores[scorer] = _score(stored.marks[scorer][i], values)
            elif values:
                scores[scorer] = Score(value=values)
        yield EvalSample(
            id=item.id,
            epoch=response.sample + 1,
            uuid=_id("sample", who, item.id, response.sample),
            input=asked,
            choices=list(item.continuations) if isinstance(item, Choose) else None,
            target=_target(item),
            messages=[
                *(_messages(asked)),
                *(choice.message for choice in output.choices),
            ],
            output=output,
            scores=scores,
            metadata=dict(item.facts),
        )


def _score(marks: Mapping[str, Mark], values: dict[str, float]) -> Score:
    """values: what the item counts in the metrics, the mean over its samples."""
    failure = marks.get("failure")
    found = {name: mark for name, mark in marks.items() if name != "failure"}
    if failure:
        return Score.unscored(
            reason="scoring_failed", explanation=str(failure), metadata={"marks": found}
        )
    return Score(value=found, metadata={"items": values})


def _input(item: Item) -> str | list[ChatMessage]:
    if isinstance(item, Choose):
        return item.context
    if item.text is not None:
        return item.text
    kinds = {
        "system": ChatMessageSystem,
        "user": ChatMessageUser,
        "assistant": ChatMessageAssistant,
    }
    return [
        kinds[message["role"]](content=message["content"], id=_id(item.id, i))
        for i, message in enumerate(item.messages)
    ]


def _messages(asked: str | list[ChatMessage]) -> list[ChatMessage]:
    return [ChatMessageUser(content=asked, id=_id(asked))] if isinstance(asked, str) else asked


def _output(item: Item, response: Response, model: str) -> ModelOutput:
    """An answer in words, or the likeliest of the given continuations with all log-likelihoods."""
    facts: dict[str, Any] = {"tokens": response.tokens}
    if isinstance(item, Choose):
        text = item.continuations[likeliest(response.loglikelihoods)]
        facts |= {
            "loglikelihoods": list(response.loglikelihoods),
            "greedy": list(response.greedy),
            "text": "not generated: the likeliest of the choices",
        }
    else:
        text = response.text or ""
        facts |= {"prefix": item.prefix} if item.prefix else {}
    message = ChatMessageAssistant(
        content=text, model=model, id=_id(item.id, response.sample, "answer")
    )
    reason = "stop" if response.finished else "max_tokens"
    return ModelOutput(
        model=model,
        choices=[ChatCompletionChoice(message=message, stop_reason=reason)],
        metadata=facts,
    )


def _target(item: Item) -> str:
    gold = item.facts.get("gold") if isinstance(item, Choose) else None
    return item.continuations[gold] if isinstance(item, Choose) and isinstance(gold, int) else ""
