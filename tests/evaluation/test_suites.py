from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_benchmark import JUDGED, LOST, PICKS, WORDS_BENCHMARK

from awry.errors import UserError
from awry.evaluation.benchmarks import find_benchmark
from awry.evaluation.benchmarks import names as names_of_all
from awry.evaluation.items import Benchmark, Options
from awry.evaluation.suites import Chosen, choose

ALONE = replace(PICKS, name="alone", suites=(), subsets=("x", "y"))
EVERY = {b.name: b for b in (WORDS_BENCHMARK, LOST, JUDGED, PICKS, ALONE)}


def find(name: str) -> Benchmark:
    if name not in EVERY:
        raise UserError("unknown benchmark", field="--benchmark", value=name)
    return EVERY[name]


def chosen(options: Options | None = None, **choice: Any) -> Chosen:
    return choose(tuple(EVERY), find, options=options or Options(), **choice)


def names(found: Chosen) -> list[str]:
    return [benchmark.name for benchmark, _ in found.benchmarks]


def test_suites_and_names_add_up() -> None:
    assert names(chosen(suites=["safety"])) == ["words"]
    assert names(chosen(suites=["safety", "hacking"])) == ["words", "picks"]
    assert names(chosen(suites=["safety"], wanted=["alone"])) == ["words", "alone"]
    assert names(chosen(suites=["all"], judged=True)) == ["words", "lost", "judged", "picks"]
    assert names(chosen(suites=["all"], skip=["lost"])) == ["words", "picks"]


def test_what_could_measure_nothing_is_left_out_of_suites_and_said() -> None:
    found = chosen(suites=["all"])
    assert dict(found.left_out) == {"judged": "what it is for needs a judge (--judge)"}
    assert names(chosen(wanted=["judged"])) == ["judged"]  # by name it is asked all the same
    found = chosen(suites=["all"], endpoint=True, judged=True)
    assert names(found) == ["words", "judged"]
    assert set(dict(found.left_out)) == {"lost", "picks"}


def test_of_the_benchmarks_only_betley_measures_nothing_without_a_judge(tmp_path: Path) -> None:
    found = choose(names_of_all(), find_benchmark, suites=["all"], options=Options())
    assert [name for name, _ in found.left_out] == ["betley"]
    assert {"strongreject", "do_not_answer", "xstest"} <= set(names(found))


def test_where_data_is(tmp_path: Path) -> None:
    (tmp_path / "lost").mkdir()
    found = chosen(suites=["all"], data=tmp_path, wanted=["words=org/words@v1"])
    paths = {benchmark.name: options.path for benchmark, options in found.benchmarks}
    assert paths == {"words": Path("org/words@v1"), "lost": tmp_path / "lost", "picks": None}


def test_options_go_where_they_mean_something() -> None:
    options = Options(limit=3, shots=5, samples=2, max_new_tokens=4, temperature=0.1)
    found = chosen(options, suites=["safety", "hacking"])
    (_, asked), (_, weighed) = found.benchmarks
    assert asked == replace(options, shots=None)
    assert weighed == Options(limit=3, shots=5)


def test_subsets_are_of_one_benchmark() -> None:
    found = chosen(Options(subset=("y",)), wanted=["alone"])
    assert found.benchmarks[0][1].subset == ("y",)
    found = chosen(Options(subset=("alone:y", "alone:x")), wanted=["alone", "words"])
    assert [options.subset for _, options in found.benchmarks] == [(), ("y", "x")]


@pytest.mark.parametrize(
    ("choice", "field"),
    [
        ({"suites": ["saftey"]}, "--suite"),
        ({"wanted": ["nothing"]}, "--benchmark"),
        ({"wanted": ["words="]}, "--benchmark"),
        ({"suites": ["safety"], "skip": ["word"]}, "--benchmark"),
        ({"suites": ["safety"], "skip": ["words"]}, "--suite, --benchmark"),
        ({}, "--suite, --benchmark"),
        ({"suites": ["safety"], "data": Path("nowhere")}, "--data"),
        ({"wanted": ["alone"], "options": Options(subset=("z",))}, "--subset"),
        ({"wanted": ["words"], "options": Options(subset=("x",))}, "--subset"),
        ({"wanted": ["alone", "words"], "options": Options(subset=("x",))}, "--subset"),
        ({"wanted": ["alone"], "options": Options(subset=("words:x",))}, "--subset"),
    ],
)
def test_what_cannot_be_asked_is_refused(choice: dict[str, Any], field: str) -> None:
    with pytest.raises(UserError) as found:
        chosen(**choice)
    assert found.value.field == field
