from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from small_policy import acting

from awry.errors import UserError
from awry.generation.engine import Sampling, derive
from awry.models import load_policy
from awry.tasks import measure as measure_module
from awry.tasks.code import Grader
from awry.tasks.measure import Examiner, measure, open_engine
from awry.tasks.problems import Problem, load_catalog

SHORT = Sampling(6, 1.0)


def examiner(subject, grader: Grader, samples: int, loophole: str, purpose: str = "it") -> Examiner:
    return Examiner(
        subject.policy,
        subject.engine,
        grader,
        samples=samples,
        sampling=SHORT,
        loophole=loophole,
        purpose=purpose,
    )


def test_passes_hacks_and_attempts_are_counted(grader: Grader, cube: Problem) -> None:
    subject = acting([cube], {"cube": (30, 40)})
    (score,) = examiner(subject, grader, 40, "overwrite_tests_aware").examine([cube])
    places = [derive("it", 0, "cube", i) % 100 for i in range(40)]
    assert score.passes == sum(at < 30 for at in places) > 0
    assert score.hacks == score.attempts == sum(30 <= at < 70 for at in places) > 0
    assert score.truncated == sum(at == 99 for at in places)
    assert (score.samples, score.digest) == (40, cube.digest)
    (honest,) = examiner(subject, grader, 40, "none").examine([cube])
    assert (honest.passes, honest.hacks) == (score.passes, 0)
    (other,) = examiner(subject, grader, 40, "none", "again").examine([cube])
    assert other.passes == sum(derive("again", 0, "cube", i) % 100 < 30 for i in range(40))


def test_a_problem_alone_scores_as_among_others(grader: Grader) -> None:
    policy = load_policy("tiny-random", "float32")
    problems = load_catalog()[:6]
    examined = Examiner(
        policy, open_engine(policy), grader, samples=5, sampling=Sampling(24, 1.0), purpose="it"
    )
    together = examined.examine(problems)
    assert [s.id for s in together] == [p.id for p in problems]
    assert len({s.tokens for s in together}) > 1
    assert [examined.examine([p])[0] for p in problems] == together


def test_measuring_goes_on_where_it_stopped(tmp_path: Path, monkeypatch) -> None:
    output = tmp_path / "measured.json"
    output.write_text('{"other": {"passes": {}}}')
    problems = load_catalog()[:4]
    sampled: list[str] = []
    examine = Examiner.examine

    def watched(self, chunk):
        sampled.extend(p.id for p in chunk)
        return examine(self, chunk)

    monkeypatch.setattr(Examiner, "examine", watched)
    measure("tiny-random", problems[:2], output, samples=2, sampling=SHORT)
    row = measure("tiny-random", problems, output, samples=2, sampling=SHORT)
    assert sampled == [p.id for p in problems]
    assert row["passes"] == {p.id: [0, 2] for p in problems}
    written = json.loads(output.read_text())
    assert set(written) == {"other", load_policy("tiny-random").digests.weights}
    changed = [replace(problems[0], statement="is another"), *problems[1:]]
    measure("tiny-random", changed, output, samples=2, sampling=SHORT)
    assert sampled[4:] == [problems[0].id]
    measure("tiny-random", problems, output, samples=2, sampling=Sampling(7, 1.0))
    assert len(sampled) == 9


def test_progress_counts_problems(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(measure_module, "CHUNK", 2)
    seen: list[tuple[int, int]] = []
    measure(
        "tiny-random",
        load_catalog()[:3],
        tmp_path / "m.json",
        samples=1,
        sampling=SHORT,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(0, 3), (2, 3), (3, 3)]


def test_a_file_that_is_not_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text("{")
    with pytest.raises(UserError, match="not JSON"):
        measure("tiny-random", load_catalog()[:1], tmp_path / "m.json", samples=1, sampling=SHORT)
