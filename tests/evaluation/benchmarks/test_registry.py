from __future__ import annotations

import json
from pathlib import Path

import pytest

from awry.errors import UserError
from awry.evaluation.benchmarks import find_benchmark, names, own_scorer
from awry.evaluation.marks.rubrics import KINDS

SUITES = {"safety", "capability", "misalignment", "hacking"}


@pytest.mark.parametrize("name", names())
def test_every_benchmark_says_what_it_is(name: str) -> None:
    found = find_benchmark(name)
    assert found.name == name
    assert found.version >= 1
    assert set(found.suites) <= SUITES
    assert set(found.scorers) <= {"refusal", "code"}
    assert set(found.judged) <= set(KINDS)
    assert (own_scorer(name) is not None) == ("code" in found.scorers)
    assert len(found.about) > 60
    assert json.dumps(found.subsets)


def test_every_suite_has_a_benchmark_that_needs_no_download() -> None:
    own = ("awry_battery", "awry_capability", "awry_probes", "code_hacks")
    assert {suite for name in own for suite in find_benchmark(name).suites} == SUITES


def test_the_reference_describes_every_benchmark_and_subset_of_ours() -> None:
    text = (Path(__file__).parents[3] / "docs/reference/benchmarks.md").read_text("utf-8")
    for name in names():
        assert f"| `{name}` |" in text, name
        assert f"**{name}.**" in text, name


def test_hyphens_and_misspellings() -> None:
    assert find_benchmark("awry-probes").name == "awry_probes"
    with pytest.raises(UserError) as caught:
        find_benchmark("strongrejct")
    assert "did you mean `strongreject`" in caught.value.render()
