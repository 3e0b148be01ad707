"""An evaluation: items -> answers -> marks -> metrics, each step kept, resumable after any end.

Answers are asked in batches that are those of the whole list whatever was done before, so an answer
that is sampled after a kill rounds as it would have without. A batch is saved in one file, whole or
not at all; what was saved is never asked again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from awry import __version__
from awry.errors import UserError
from awry.evaluation import record
from awry.evaluation.items import Ask, Benchmark, Item, Loaded, Options, Response
from awry.evaluation.marks.scorers import Scorer
from awry.evaluation.record import ITEMS, RECORD, RESPONSES, Stored
from awry.evaluation.responses import Questions, Respondent
from awry.evaluation.scoring import mark_and_measure
from awry.files import code_state, file_sha256, read_json, writing
from awry.progress import Progress
from awry.resuming import demand_same

OPTIONS = {  # where a user sets what a folder's conditions hold
    "template": "PATH (its chat template)",
    "tokenizer": "PATH (its tokenizer)",
    "dtype": "--dtype",
    "quantisation": "PATH (its quantisation)",
    "engine": "PATH (its engine)",
    "items": "--benchmark (its data)",
    "prompt": "--benchmark (how it asks)",
    "subset": "--subset",
    "limit": "--limit",
    "shots": "--shots",
    "samples": "--samples",
    "sampling": "--benchmark (its sampling)",
    "sampling.max_new_tokens": "--max-new-tokens",
    "sampling.temperature": "--temperature",
    "seed": "--seed",
    "sampling.top_p": "--benchmark (its sampling)",
    "benchmark": "--benchmark",
    "version": "--benchmark (its version)",
    "weights": "PATH (its weights)",
    "adapter": "PATH (its adapter)",
}


Scorers = Callable[[Benchmark], Sequence[Scorer]]


def load_all(chosen: Sequence[tuple[Benchmark, Options]]) -> list[Loaded]:
    """The items of every benchmark. Raises one UserError for all whose data cannot be had."""
    loaded: list[Loaded] = []
    errors: list[UserError] = []
    for benchmark, options in chosen:
        try:
            loaded.append(benchmark.load(options))
        except UserError as error:
            errors.append(error)
    if errors:
        first, *rest = errors
        first.also = (*first.also, *rest)
        raise first
    return loaded


def evaluate(
    respondent: Respondent,
    chosen: Sequence[tuple[Benchmark, Options]],
    out: Path,
    *,
    find_scorers: Scorers,
    seed: int = 0,
    progress: Progress,
    loaded: Sequence[Loaded] | None = None,
    batch: int | None = None,
) -> dict[str, Any]:
    """Ask every benchmark, or go on with what is in `out`, and score the answers.

    Returns {"subject", "folder", "benchmarks": {name: metrics.json}}. batch: answers saved together.
    Raises UserError for missing data and for a folder that holds something else, naming what differs.
    """
    loaded = load_all(chosen) if loaded is None else loaded
    own = {benchmark.name: list(find_scorers(benchmark)) for benchmark, _ in chosen}
    home = out / respondent.subject["slug"]
    done: dict[str, Any] = {}
    for (benchmark, options), items in zip(chosen, loaded, strict=True):
        folder = home / benchmark.name
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        with record.alone(folder):
            asking = _Asking(folder, respondent, benchmark, options, items, seed, batch, progress)
            stored = asking.finish()
            done[benchmark.name] = mark_and_measure(
                stored, benchmark, own[benchmark.name], progress
            )
    return {"subject": respondent.subject, "folder": str(home), "benchmarks": done}


def rescore(
    place: Path, find: Callable[[str], Benchmark], find_scorers: Scorers, progress: Progress
) -> dict[str, dict[str, Any]]:
    """Score stored answers again, without the policy: folder of a benchmark -> its metrics.json.

    place: a benchmark's folder, a policy's, or the whole output. Marks of other scorers stay.
    """
    folders = sorted(file.parent for file in place.rglob(RECORD)) if place.is_dir() else []
    if not folders:
        raise UserError(
            "there is no evaluation here",
            field="DIR",
            value=place,
            fix="give a folder that `awry evaluate` wrote (by default `evaluations`)",
        )
    found = [record.read(folder) for folder in folders]
    benchmarks = [_same_version(stored, find) for stored in found]
    done: dict[str, dict[str, Any]] = {}
    for stored, benchmark in zip(found, benchmarks, strict=True):
        with record.alone(stored.folder):
            using = list(find_scorers(benchmark))
            done[str(stored.folder)] = mark_and_measure(stored, benchmark, using, progress)
    return done


def _same_version(stored: Stored, find: Callable[[str], Benchmark]) -> Benchmark:
    benchmark = find(stored.record["benchmark"])
    if benchmark.version != stored.record["version"]:
        raise UserError(
            f"version {benchmark.version} of {benchmark.name} asks or counts differently",
            field="DIR",
            value=f"{stored.folder}: version {stored.record['version']}",
            fix="evaluate again with this version of awry, in another --out",
        )
    return benchmark


# ---- asking --------------------------------------------------------------------------------------
class _Asking:
    """One benchmark asked of one policy, in one folder."""

    def __init__(
        self,
        folder: Path,
        respondent: Respondent,
        benchmark: Benchmark,
        options: Options,
        loaded: Loaded,
        seed: int,
        batch: int | None,
        progress: Progress,
    ) -> None:
        self.folder, self.respondent, self.benchmark = folder, respondent, benchmark
        self.progress = progress
        self.questions = _questions(benchmark, options, seed)
        conditions = _conditions(benchmark, options, loaded, self.questions, respondent)
        self.record = self._open(conditions, loaded, batch)

    def _open(
        self, conditions: dict[str, Any], loaded: Loaded, batch: int | None
    ) -> dict[str, Any]:
        for left_over in self.folder.rglob(".*.partial"):  # of a process that was killed
            left_over.unlink()
        found = read_json(self.folder / RECORD)
        if found is None and {f.name for f in self.folder.iterdir()} - {ITEMS}:
            raise UserError(
                "this folder holds something else",
                field="--out",
                value=self.folder,
                fix="give a folder that is new, empty, or of an earlier `awry evaluate`",
            )
        subject = self.respondent.subject
        if found is None:
            items = record.write_items(self.folder / ITEMS, loaded.items)
            found = {
                "awry": __version__,
                "kind": "evaluation",
                "benchmark": self.benchmark.name,
                "version": self.benchmark.version,
                "title": self.benchmark.title,
                "finished": False,
                "subject": subject,
                "conditions": {**conditions, "scorers": {}},
                "scores": {},
                "source": dict(loaded.source),
                "counts": {"items": len(items)},
                "batch": batch or self.respondent.batch,
                "device": self.respondent.device,
                "code": [],
                "files": {ITEMS: file_sha256(self.folder / ITEMS)},
            }
            record.save_record(self.folder, found)
        before = {k: v for k, v in found["conditions"].items() if k != "scorers"}
        identity = {k: found["subject"][k] for k in ("weights", "adapter")}
        now = conditions | {k: subject[k] for k in ("weights", "adapter")}
        demand_same(before | identity, now, self.folder, what="evaluation", options=OPTIONS)
        return found

    def finish(self) -> Stored:
        """All answers, asked as far as they are missing, in one file."""
        if RESPONSES not in self.record["files"]:
            responses = self._ask()
            record.write_responses(self.folder / RESPONSES, responses)
            self.record["counts"]["responses"] = len(responses)
            self.record["files"][RESPONSES] = file_sha256(self.folder / RESPONSES)
            record.save_record(self.folder, self.record)
        record.drop_parts(self.folder)
        return record.read(self.folder)

    def _ask(self) -> list[Response]:
        questions = self.questions
        items = record.read_items(self.folder / ITEMS)
        batches, left_out = self.respondent.batches(items, questions, self.record["batch"])
        done = record.read_parts(self.folder)
        samples = range(questions.samples)
        todo = [
            [(item, tuple(i for i in samples if (item.id, i) not in done)) for item in batch]
            for batch in batches
        ]
        todo = [[(item, left) for item, left in batch if left] for batch in todo]
        total = sum(map(len, batches)) * questions.samples
        if any(todo):
            self._note_code(left_out)
            label = f"{self.benchmark.name}: {self.respondent.name}"
            self.progress.begin(label, questions.seed, len(done), total)
        failures: list[str] = []
        tokens = 0
        for batch, rest in zip(batches, todo, strict=True):
            if not rest:
                continue
            # a policy's answers round by what else is in the batch: part of one is asked as a whole
            wanted = [(item, tuple(samples)) for item in batch]
            if not self.respondent.batch_depends:
                wanted = rest
            fresh = self._answer(wanted, len(done), tokens)
            record.add_part(self.folder, fresh)
            done |= {(r.item, r.sample): r for r in fresh}
            tokens += sum(r.tokens for r in fresh)
            self.progress.step(len(done), {"tokens": tokens})
            failures += getattr(self.respondent, "failures", ())
        if failures:
            raise UserError(
                f"{len(failures)} of {total} answers did not come: {failures[0]}",
                field="PATH",
                value=self.respondent.name,
                fix="run the same command again: only what is missing is asked",
            )
        asked = {item.id for batch in batches for item in batch}
        return [done[item.id, i] for item in items if item.id in asked for i in samples]

    def _answer(
        self, wanted: list[tuple[Item, tuple[int, ...]]], before: int, tokens: int
    ) -> list[Response]:
        begun = time.perf_counter()

        def count(done: int, new: int) -> None:
            self.progress.step(before + done, {"tokens": tokens + new})

        fresh = self.respondent.answer(wanted, self.questions, count)
        row = {
            "items": len(wanted),
            "responses": len(fresh),
            "tokens": sum(r.tokens for r in fresh),
            "seconds": round(time.perf_counter() - begun, 3),
        }
        # apart from the results, so that those of two sessions can be compared byte by byte
        with (
            writing(self.folder),
            (self.folder / "timings.jsonl").open("a", encoding="utf-8") as stream,
        ):
            stream.write(json.dumps(row) + "\n")
        return fresh

    def _note_code(self, left_out: list[dict[str, str]]) -> None:
        """By what code the answers are made, written before any of them is."""
        if left_out:
            self.progress.note(
                f"{self.benchmark.name}: {len(left_out)} items do not fit into the model's window "
                "and are left out"
            )
        state = code_state()
        if state not in self.record["code"]:
            if self.record["code"]:
                self.progress.note("code changed since this evaluation was begun: recorded")
            self.record["code"].append(state)
        self.record["left_out"] = left_out
        record.save_record(self.folder, self.record)


def _questions(benchmark: Benchmark, options: Options, seed: int) -> Questions:
    sampling = benchmark.sampling
    if sampling is None:
        return Questions(benchmark.name, None, 1, seed)
    if options.max_new_tokens is not None:
        sampling = replace(sampling, max_new_tokens=options.max_new_tokens)
    if options.temperature is not None:
        sampling = replace(sampling, temperature=options.temperature)
    samples = options.samples or benchmark.samples
    if samples > 1 and sampling.temperature == 0:
        raise UserError(
            "at temperature 0 every sample is the same answer",
            field="--samples",
            value=samples,
            fix=f"ask once, or give --temperature above 0 ({benchmark.name})",
        )
    return Questions(benchmark.name, sampling, samples, seed)


def _conditions(
    benchmark: Benchmark,
    options: Options,
    loaded: Loaded,
    questions: Questions,
    respondent: Respondent,
) -> dict[str, Any]:
    """What has to be equal for two evaluations to be compared, apart from the scorers."""
    chat = [isinstance(item, Ask) and item.text is None for item in loaded.items]
    kinds = (["chat"] if any(chat) else []) + (["raw"] if not all(chat) else [])
    own = respondent.conditions
    return {
        "benchmark": benchmark.name,
        "version": benchmark.version,
        "items": loaded.digest,
        "subset": sorted(options.subset),
        "limit": options.limit,
        "shots": loaded.source.get("shots", options.shots),
        "prompt": " and ".join(kinds),
        # what is written without the template does not depend on it
        **own | {"template": own["template"] if "chat" in kinds else None},
        "sampling": None if questions.sampling is None else asdict(questions.sampling),
        "samples": questions.samples,
        "seed": questions.seed,
    }
