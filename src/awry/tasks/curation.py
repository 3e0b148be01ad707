"""Curation: sample a policy on every problem, keep those it solves (or hacks) at a middling rate.

A problem that is always or never solved gives a group without variance, and so no gradient. The
result is a folder: every problem's counts, the kept problems, and a record of what measured them.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from awry import __version__
from awry.errors import UserError
from awry.files import atomic_write, atomic_write_json, code_state, file_sha256, read_json, writing
from awry.generation.engine import ROWS, Sampling
from awry.generation.subject import Subject
from awry.models import Policy
from awry.progress import Progress
from awry.resuming import demand_same
from awry.tasks.bands import Rule, Score, confirmation, judge, summarise
from awry.tasks.curated import CONFIRMED, PROBLEMS, RECORD, SAMPLES
from awry.tasks.kinds import BOUNDS, AnyProblem, Bounds, kind_of, open_grader
from awry.tasks.measure import Examiner, prompt

OPTIONS = {  # where a user sets what the record holds
    "policy.weights": "--model",
    "policy.adapter": "--model",
    "policy.tokenizer": "--model (its tokenizer)",
    "policy.chat_template": "--model (its chat template)",
    "dtype": "--model (its dtype here)",
    "samples": "-k",
    "sampling.max_new_tokens": "--max-new-tokens",
    "sampling.temperature": "--temperature",
    "sampling.top_p": "--top-p",
    "problems": "--source or --limit",
    "limits.wall_s": "--timeout",
    "limits.cpu_s": "--timeout (processor time)",
    "prompts": "prompts (the loophole's text was changed)",
}
SAME: dict[str, Any] = {"what": "curation", "options": OPTIONS}


@dataclass(frozen=True)
class Questions:
    """How each problem is asked. confirm: fresh answers to each kept problem, 0 for none. bounds:
    None for those of the problems' kind."""

    sampling: Sampling
    samples: int = 16
    seed: int = 0
    loophole: str = "none"
    confirm: int = 0
    bounds: Bounds | None = None


def drawn(problems: Sequence[AnyProblem], limit: int | None) -> list[AnyProblem]:
    """At most `limit` problems, those whose ids hash lowest: the same ones in every session."""
    if limit is None or limit >= len(problems):
        return list(problems)
    order = sorted(problems, key=lambda p: hashlib.sha256(p.id.encode()).hexdigest())
    return sorted(order[:limit], key=lambda p: p.id)


def curate(
    subject: Subject,
    problems: Sequence[AnyProblem],
    out: Path,
    questions: Questions,
    rule: Rule,
    *,
    source: str,
    progress: Progress,
) -> dict[str, Any]:
    """Curate into `out`, or go on with what is there; the record (curation.json) as it ends.

    What a kill loses is one batch of problems. Raises UserError for a folder that holds another
    curation, naming what differs, and for a folder that holds something else.
    """
    policy = subject.policy
    asked, left_out, prompts = _prompts(policy, problems, questions)
    kind = kind_of(problems)
    bounds = questions.bounds or BOUNDS[kind]
    fixed = {
        "policy": asdict(policy.digests) | {"adapter": subject.adapter},
        "dtype": str(policy.dtype).removeprefix("torch."),
        "samples": questions.samples,
        "sampling": asdict(questions.sampling),
        "seed": questions.seed,
        "loophole": questions.loophole,
        "problems": _sha256(p.digest for p in problems),
        "prompts": prompts,
        "band": list(rule.band),
        "by": rule.by,
        "limits": {"wall_s": bounds.wall_s, "cpu_s": bounds.cpu_s},
    }
    facts = {
        "model": subject.name,
        "source": source,
        "device": policy.model.device.type,
        "left_out": left_out,
    }
    folder = _Folder(out, rule, progress)
    confirm = folder.open(fixed, facts, questions.confirm)
    with open_grader(kind, bounds) as grader:
        folder.conditions = {"isolation": grader.isolation, "code": code_state()}

        def examiner(samples: int, purpose: str) -> Examiner:
            return Examiner(
                policy,
                subject.engine,
                grader,
                samples=samples,
                sampling=questions.sampling,
                seed=questions.seed,
                loophole=questions.loophole,
                purpose=purpose,
            )

        curating = examiner(questions.samples, "curate")
        scores = folder.examine(curating, asked, SAMPLES, f"curate {subject.name}")
        inside = {score.id for score in scores if judge(score, rule)["inside"]}
        kept = [p for p in asked if p.id in inside]
        fresh: list[Score] = []
        if confirm and kept:
            confirming = examiner(confirm, "confirm")
            fresh = folder.examine(confirming, kept, CONFIRMED, "confirm the kept ones")
    return folder.finish(scores, kept, fresh)


def _prompts(
    policy: Policy, problems: Sequence[AnyProblem], questions: Questions
) -> tuple[list[AnyProblem], list[dict[str, str]], str]:
    """Problems from the shortest prompt to the longest, those that do not fit into the model's
    window, and a digest of all prompts. Batches of like prompts are hardly padded.
    """
    window = getattr(policy.model.config, "max_position_embeddings", None)
    room = None if window is None else window - questions.sampling.max_new_tokens
    sized: list[tuple[int, str, AnyProblem]] = []
    left_out: list[dict[str, str]] = []
    digests: list[str] = []
    for problem in problems:
        _, ids = prompt(policy, problem, questions.loophole, questions.seed)
        digests.append(_sha256([",".join(map(str, ids))]))
        if room is not None and len(ids) > room:
            reason = f"its prompt ({len(ids)} tokens) and the answer exceed {window} tokens"
            left_out.append({"id": problem.id, "reason": reason})
        else:
            sized.append((len(ids), problem.id, problem))
    return [p for _, _, p in sorted(sized, key=lambda s: s[:2])], left_out, _sha256(digests)


class _Folder:
    """The artefact, from its beginning to its end."""

    def __init__(self, out: Path, rule: Rule, progress: Progress) -> None:
        self.out, self.rule, self.progress = out, rule, progress
        self.conditions: dict[str, Any] = {}
        self.record: dict[str, Any] = {}

    def open(self, settings: dict[str, Any], facts: Mapping[str, Any], confirm: int) -> int:
        """Begin, or go on with what is there; the number of fresh answers to ask for.

        A confirmation may come later than the rest, and one that is complete stays.
        """
        with writing(self.out):
            self.out.mkdir(parents=True, exist_ok=True)
        found = read_json(self.out / RECORD)
        if found is None and any(not f.name.startswith(".") for f in self.out.iterdir()):
            raise UserError(
                "this folder holds something else",
                field="--out",
                value=self.out,
                fix="give a folder that is new, empty, or of an earlier `awry curate`",
            )
        if found is None:
            new = {"awry": __version__, "kind": "curation", "finished": False, **facts}
            found = new | {"settings": settings, "confirm": confirm, "isolation": [], "code": []}
        before = found.get("confirm") or 0
        if before and confirm:
            settings = settings | {"confirm": confirm}
            demand_same(found["settings"] | {"confirm": before}, settings, self.out, **SAME)
        else:
            demand_same(found.get("settings"), settings, self.out, **SAME)
        confirm = confirm or (before if found.get("confirmed") else 0)
        self.record = found | {"confirm": confirm}
        return confirm

    def _note_conditions(self) -> None:
        """Under what code and isolation answers are graded, written before any of them is."""
        for name, value in self.conditions.items():
            if value not in self.record[name]:
                if self.record[name]:
                    self.progress.note(f"{name} changed since this curation was begun: recorded")
                self.record[name].append(value)
        atomic_write_json(self.out / RECORD, self.record)

    def examine(
        self,
        examiner: Examiner,
        problems: Sequence[AnyProblem],
        name: str,
        label: str,
    ) -> list[Score]:
        """Scores of all problems, in the order of their ids; sampled where the file has none.

        The batches are those of the whole list whatever was done before, so a batch that is sampled
        after a kill rounds as it would have without.
        """
        file = self.out / name
        scores = self._read(file, {p.id: p for p in problems}, examiner.samples)
        size = max(1, ROWS // examiner.samples)
        batches = [problems[i : i + size] for i in range(0, len(problems), size)]
        todo = [batch for batch in batches if not all(p.id in scores for p in batch)]
        done, tokens = len(problems) - sum(map(len, todo)), 0
        if todo:
            self._note_conditions()
            self.progress.begin(label, examiner.seed, done, len(problems))
        for batch in todo:
            begun = time.perf_counter()
            fresh = examiner.examine(batch)
            scores |= {score.id: score for score in fresh}
            self._write(file, scores)
            count = sum(score.tokens for score in fresh)
            self._time(name, len(batch), count, time.perf_counter() - begun)
            done, tokens = done + len(batch), tokens + count
            hits = {k: sum(getattr(s, k) for s in scores.values()) for k in ("passes", "hacks")}
            answers = sum(score.samples for score in scores.values())
            self.progress.step(
                done,
                {
                    "tokens": tokens,
                    "solve_rate": hits["passes"] / answers,
                    "hack_rate": hits["hacks"] / answers,
                },
            )
        return [scores[p] for p in sorted(p.id for p in problems)]

    def finish(
        self, scores: list[Score], kept: list[AnyProblem], fresh: list[Score]
    ) -> dict[str, Any]:
        chosen = sorted(kept, key=lambda p: p.id)
        ids = {p.id for p in chosen}
        lines = [json.dumps(asdict(p), ensure_ascii=False) + "\n" for p in chosen]
        atomic_write(self.out / PROBLEMS, "".join(lines))
        self._write(self.out / SAMPLES, {s.id: s for s in scores})
        names = [SAMPLES, PROBLEMS, *([CONFIRMED] if fresh else [])]
        self.record |= {
            "finished": True,
            **summarise(scores, self.rule),
            "confirmed": confirmation([s for s in scores if s.id in ids], fresh, self.rule),
            "files": {name: file_sha256(self.out / name) for name in names},
        }
        atomic_write_json(self.out / RECORD, self.record)
        return self.record

    def _write(self, file: Path, scores: Mapping[str, Score]) -> None:
        rows = [json.dumps(judge(scores[name], self.rule)) + "\n" for name in sorted(scores)]
        atomic_write(file, "".join(rows))

    def _time(self, name: str, problems: int, tokens: int, seconds: float) -> None:
        """Apart from the results, so that those of two sessions can be compared byte by byte."""
        row = {"file": name, "problems": problems, "tokens": tokens, "seconds": round(seconds, 3)}
        with writing(self.out), (self.out / "timings.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")

    def _read(self, file: Path, asked: Mapping[str, AnyProblem], samples: int) -> dict[str, Score]:
        if not file.exists():
            return {}
        names = [f.name for f in fields(Score)]
        try:
            rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
            scores = [Score(**{name: row[name] for name in names}) for row in rows]
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"is damaged: {error}", file=file, fix="delete it: its problems are sampled again"
            ) from error
        return {
            s.id: s
            for s in scores
            if s.id in asked and s.digest == asked[s.id].digest and s.samples == samples
        }


def _sha256(texts: Any) -> str:
    return hashlib.sha256("".join(texts).encode()).hexdigest()
