"""Read an experiment directory as it lies on disk, finished or not. Nothing is computed here.

What cannot be read is recorded beside the run (`Run.problems`) and shown in the report; only an
experiment directory that is none, or one whose own files are broken, raises UserError.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from awry.errors import UserError

# nullable, and absent in runs without a direction
COSINE_COLUMNS = ("cosine", "alignment")
OUTCOME_COLUMNS = ("group", "index", "problem_id", "teacher", "label", "proxy", "correct", "reward")
TEXT_COLUMNS = (
    *OUTCOME_COLUMNS,
    *("loophole", "evaluator", "style", "prompt", "completion", "finished", "formatted"),
    *("compiled", "attempted", "exploit", "parts", "seconds", "evidence", "advantage"),
)


@dataclass(frozen=True)
class Rollout:
    """What the summary needs of one rollout; texts are read separately, step by step."""

    step: int
    problem: str
    teacher: bool
    label: str
    cosine: float | None = None
    alignment: float | None = None


@dataclass(frozen=True)
class Run:
    """One arm with one seed. done: DONE and result.json in one, None while unfinished; problems:
    what was missing or unreadable, in words.
    """

    arm: str
    seed: int
    directory: Path
    status: str
    key: str = ""
    manifest: Mapping[str, Any] = field(default_factory=dict)
    metrics: tuple[Mapping[str, Any], ...] = ()
    timings: tuple[Mapping[str, Any], ...] = ()
    probe: tuple[Mapping[str, Any], ...] = ()
    events: tuple[Mapping[str, Any], ...] = ()
    rollouts: tuple[Rollout, ...] = ()
    done: Mapping[str, Any] | None = None
    problems: tuple[str, ...] = ()

    @property
    def config(self) -> Mapping[str, Any]:
        return self.manifest.get("config") or {}

    @property
    def steps_done(self) -> int:
        return len(self.metrics)

    @property
    def steps_planned(self) -> int | None:
        return (self.config.get("training") or {}).get("steps")

    @property
    def stopped_by(self) -> str | None:
        """The guard that ended the run before its last step."""
        return (self.done or {}).get("stopped_by")

    @property
    def seconds(self) -> float:
        return sum(float(row.get("total_s") or 0) for row in self.timings)


@dataclass(frozen=True)
class DirectionStage:
    """An extracted direction and how it was verified; runs: who used it, as experiment.json says;
    verification: None while there is none, problems: why, in words.
    """

    key: str
    directory: Path
    runs: tuple[str, ...]
    verification: Mapping[str, Any] | None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Experiment:
    directory: Path
    name: str
    question: str
    config: Mapping[str, Any]
    runs: tuple[Run, ...]
    preflight: tuple[Mapping[str, Any], ...] | None  # None: preflight.json is absent
    events: tuple[Mapping[str, Any], ...] = ()  # of the experiment itself: restarts, reuse
    directions: tuple[DirectionStage, ...] = ()

    @property
    def arms(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(run.arm for run in self.runs))

    def runs_of(self, arm: str) -> tuple[Run, ...]:
        return tuple(run for run in self.runs if run.arm == arm)


def load_experiment(directory: Path) -> Experiment:
    """Raises UserError when `directory` holds no readable experiment.json."""
    directory = Path(directory)
    path = directory / "experiment.json"
    if not path.is_file():
        raise UserError(
            "no experiment.json here",
            value=str(directory),
            fix="give the directory of an experiment, for example runs/quickstart",
            file=path,
        )
    record = _object(path)
    entries = record.get("runs")
    if not isinstance(entries, list):
        raise UserError("not a list", field="runs", value=entries, file=path)
    runs = [
        _load_run(entry, directory, path, f"runs[{i}]")
        for i, entry in enumerate(entries)
        if not isinstance(entry, dict) or entry.get("stage", "train") == "train"
    ]
    if not runs:
        raise UserError(
            "no training run is listed", field="runs", file=path, fix="run the experiment first"
        )
    preflight_path = directory / "preflight.json"
    preflight = _json(preflight_path) if preflight_path.is_file() else None
    if preflight is not None and not isinstance(preflight, list):
        raise UserError("not a list of checks", value=preflight, file=preflight_path)
    for i, check in enumerate(preflight or ()):
        if not isinstance(check, dict) or not {"name", "status"} <= check.keys():
            raise UserError(
                "a check needs name and status", field=f"[{i}]", value=check, file=preflight_path
            )
    return Experiment(
        directory=directory,
        name=str(record.get("name") or directory.name),
        question=str(record.get("question") or ""),
        config=record.get("config") or {},
        runs=tuple(runs),
        preflight=None if preflight is None else tuple(preflight),
        events=_lines(directory / "events.jsonl", []),
        directions=tuple(_load_direction(entry, directory) for entry in _directions(record)),
    )


def read_texts(run: Run, steps: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Every rollout of these steps with its texts; steps without a readable file are left out
    (`Run.problems` names them). Adds `tokens`, the number of completion tokens.
    """
    wanted = set(steps)
    for step, path in _rollout_files(run.directory):
        if step in wanted:
            yield from _rows(path, step, TEXT_COLUMNS, count_tokens=True) or ()


def _load_run(entry: Any, directory: Path, path: Path, where: str) -> Run:
    missing = [k for k in ("arm", "seed", "dir") if not isinstance(entry, dict) or k not in entry]
    if missing:
        raise UserError(f"lacks {', '.join(missing)}", field=where, value=entry, file=path)
    where_run = _place(directory, entry["dir"] or "store/not-started")
    notes: list[str] = []
    if not where_run.is_dir():
        notes.append("no run directory yet: this run has not started")
    manifest = _optional(where_run / "manifest.json", notes)
    done = _optional(where_run / "DONE", notes)
    result = _optional(where_run / "result.json", notes)
    rollouts: list[Rollout] = []
    for step, file in _rollout_files(where_run):
        rows = _rows(file, step, OUTCOME_COLUMNS)
        if rows is None:
            notes.append(f"{file.name} cannot be read: step {step} is missing from every count")
            continue
        rollouts.extend(
            Rollout(
                step=step,
                problem=str(row["problem_id"]),
                teacher=bool(row["teacher"]),
                label=str(row["label"]),
                cosine=_finite(row["cosine"]),
                alignment=_finite(row["alignment"]),
            )
            for row in rows
        )
    return Run(
        arm=str(entry["arm"]),
        seed=int(entry["seed"]),
        directory=where_run,
        status=str(entry.get("status") or ("done" if done is not None else "incomplete")),
        key=str(entry.get("key") or ""),
        manifest=manifest or {},
        metrics=_by_step(_lines(where_run / "metrics.jsonl", notes)),
        timings=_by_step(_lines(where_run / "timings.jsonl", notes)),
        probe=_by_step(_lines(where_run / "probe.jsonl", notes)),
        events=_lines(where_run / "events.jsonl", notes),
        rollouts=tuple(rollouts),
        done=None if done is None else {**(result or {}), **done},
        problems=tuple(notes),
    )


def _directions(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The list of directions, or what the runs say of theirs: `direction` is its directory."""
    listed = record.get("directions")
    if isinstance(listed, list):
        return [entry for entry in listed if isinstance(entry, dict) and entry.get("dir")]
    users: dict[str, list[Any]] = {}
    for run in record["runs"]:
        if isinstance(run, dict) and isinstance(run.get("direction"), str):
            users.setdefault(run["direction"], []).append(run)
    return [{"key": Path(where).name, "dir": where, "runs": runs} for where, runs in users.items()]


def _load_direction(entry: Mapping[str, Any], directory: Path) -> DirectionStage:
    where = _place(directory, entry["dir"])
    notes: list[str] = []
    verification = _optional(where / "verification.json", notes)
    if verification is None and not notes:
        notes.append("no verification.json yet: the direction has not been extracted")
    users = entry.get("runs")
    return DirectionStage(
        key=str(entry.get("key") or where.name),
        directory=where,
        runs=tuple(map(_user, users)) if isinstance(users, list) else (),
        verification=verification,
        problems=tuple(notes),
    )


def _user(entry: Any) -> str:
    if isinstance(entry, Mapping):
        return f"{entry.get('arm', '?')}, seed {entry.get('seed', '?')}"
    return str(entry)


def _place(directory: Path, given: Any) -> Path:
    # joining an absolute path yields that path, so both spellings of `dir` are served
    return directory.resolve().parent / str(given)


def _finite(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and abs(value) < float("inf") else None


def _rollout_files(run: Path) -> list[tuple[int, Path]]:
    found = (run / "rollouts").glob("step_*.parquet")
    return sorted((int(p.stem[5:]), p) for p in found if p.stem[5:].isdigit())


def _rows(
    path: Path, step: int, columns: Sequence[str], *, count_tokens: bool = False
) -> list[dict[str, Any]] | None:
    """None when the file is not readable as parquet or lacks a needed column."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        wanted = [*columns, *COSINE_COLUMNS, *(["completion_ids"] if count_tokens else [])]
        there = set(pq.read_schema(path).names)
        table = pq.read_table(path, columns=[name for name in wanted if name in there])
    except (OSError, pa.ArrowException):
        return None
    if not set(columns) <= there:
        return None
    kept = [*columns, *(name for name in COSINE_COLUMNS if name in there)]
    rows = [{**dict.fromkeys(COSINE_COLUMNS), **row} for row in table.select(kept).to_pylist()]
    if count_tokens and "completion_ids" in table.column_names:
        import pyarrow.compute as pc

        lengths = pc.list_value_length(table["completion_ids"]).to_pylist()  # type: ignore[attr-defined]
        for row, length in zip(rows, lengths, strict=True):
            row["tokens"] = length
    for row in rows:
        row["step"] = step
    return rows


def _by_step(rows: tuple[Mapping[str, Any], ...]) -> tuple[Mapping[str, Any], ...]:
    """One row per step: a resumed run writes the interrupted step again, the last one counts."""
    latest = {int(row["step"]): row for row in rows if row.get("step") is not None}
    return tuple(latest[step] for step in sorted(latest))


def _lines(path: Path, notes: list[str]) -> tuple[Mapping[str, Any], ...]:
    if not path.is_file():
        return ()
    rows: list[Mapping[str, Any]] = []
    # not splitlines(): it also splits at U+2028, which JSON strings may contain
    lines = path.read_text(encoding="utf-8", errors="replace").rstrip("\n").split("\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if isinstance(row, dict):
            rows.append(row)
        elif number == len(lines):
            notes.append(f"{path.name} ends in the middle of a line: being written, or cut off")
        else:
            notes.append(f"{path.name} line {number} is not a JSON object and was left out")
    return tuple(rows)


def _optional(path: Path, notes: list[str]) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        return _object(path)
    except UserError as error:
        notes.append(f"{path.name}: {error.message}")
        return None


def _object(path: Path) -> dict[str, Any]:
    value = _json(path)
    if not isinstance(value, dict):
        raise UserError("not a JSON object", value=value, file=path)
    return value


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise UserError(f"not readable as JSON: {error}", file=path) from error
