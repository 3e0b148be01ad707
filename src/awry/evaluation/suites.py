"""Which benchmarks are asked: by suite and by name, where their data is, and what is left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from awry.errors import UserError, spelling_fix
from awry.evaluation.items import Benchmark, Options
from awry.evaluation.marks.detectors import NAME

ALL = "all"
SUITES = ("safety", "capability", "misalignment", "hacking", ALL)


@dataclass(frozen=True)
class Chosen:
    """Benchmarks with their options; left_out: (name, why) of those of a suite that are not asked."""

    benchmarks: tuple[tuple[Benchmark, Options], ...]
    left_out: tuple[tuple[str, str], ...] = ()


def choose(
    names: Sequence[str],
    find: Callable[[str], Benchmark],
    *,
    suites: Sequence[str] = (),
    wanted: Sequence[str] = (),
    skip: Sequence[str] = (),
    options: Options,
    data: Path | None = None,
    judged: bool = False,
    endpoint: bool = False,
) -> Chosen:
    """The benchmarks of the suites and those wanted, in the order of `names`.

    wanted: `NAME` or `NAME=DATA`, DATA a file, a folder or a hub id. data: a folder with a subfolder
    for each benchmark that has its data there. options.subset: `BENCHMARK:SUBSET`, or `SUBSET` where one
    benchmark is asked. judged: a judge is there; endpoint: the answers come
    over HTTP. A benchmark of a suite that could measure nothing then is left out; one that is wanted by
    name never is. Raises UserError.
    """
    for suite in suites:
        if suite not in SUITES:
            raise UserError(
                "no such suite", field="--suite", value=suite, fix=spelling_fix(suite, SUITES)
            )
    if data is not None and not data.is_dir():
        raise UserError(
            "no such folder",
            field="--data",
            value=data,
            fix="give a folder with a subfolder for each benchmark's data",
        )
    by_name = {find(name).name: find(name) for name in names}
    paths = _paths(wanted, find)
    skipped = {find(name).name for name in skip}
    chosen: list[tuple[Benchmark, Options]] = []
    left_out: list[tuple[str, str]] = []
    for name, benchmark in by_name.items():
        in_suite = bool({*suites} & {*benchmark.suites}) or (ALL in suites and benchmark.suites)
        if name not in paths and not in_suite:
            continue
        if name in skipped:
            left_out.append((name, "--skip"))
            continue
        why = "" if name in paths else _useless(benchmark, judged, endpoint)
        if why:
            left_out.append((name, why))
            continue
        own = paths.get(name)
        if own is None and data is not None and (data / name).is_dir():
            own = data / name
        chosen.append((benchmark, _options(benchmark, replace(options, path=own))))
    if not chosen:
        raise UserError(
            "nothing is left to ask",
            field="--suite, --benchmark",
            value="; ".join(f"{name}: {why}" for name, why in left_out) or None,
            fix="name a suite (--suite safety) or a benchmark (--benchmark xstest)",
        )
    subsets = _subsets(options.subset, [benchmark for benchmark, _ in chosen])
    return Chosen(
        tuple((b, replace(own, subset=subsets.get(b.name, ()))) for b, own in chosen),
        tuple(left_out),
    )


def _paths(wanted: Sequence[str], find: Callable[[str], Benchmark]) -> dict[str, Path | None]:
    """Benchmark -> where its data is, None where it was not said."""
    paths: dict[str, Path | None] = {}
    for word in wanted:
        name, equals, data = word.partition("=")
        if equals and not data:
            raise UserError(
                "names no data after the =",
                field="--benchmark",
                value=word,
                fix=f"write {name}=FILE or {name} alone",
            )
        paths[find(name).name] = Path(data) if data else None
    return paths


def _useless(benchmark: Benchmark, judged: bool, endpoint: bool) -> str:
    """Why a benchmark could measure nothing, or an empty text."""
    if benchmark.sampling is None:
        return "an endpoint tells no log-likelihoods" if endpoint else ""
    if benchmark.judged and not judged and _needs_judge(benchmark):
        return "what it is for needs a judge (--judge)"
    return ""


def _needs_judge(benchmark: Benchmark) -> bool:
    """Whether every number that would stand in the table is null for want of a judge."""
    marks = {NAME: ()} if benchmark.scorers else {}
    found = [metric for metric in benchmark.metrics((), (), marks) if metric.main]
    return all(metric.reason.startswith("no judge") for metric in found)


def _subsets(words: Sequence[str], benchmarks: Sequence[Benchmark]) -> dict[str, tuple[str, ...]]:
    """Benchmark -> its subsets, from `BENCHMARK:SUBSET`, or `SUBSET` where one benchmark is asked."""
    chosen = {benchmark.name: benchmark for benchmark in benchmarks}
    found: dict[str, list[str]] = {}
    for word in words:
        name, colon, subset = word.partition(":")
        if not colon:
            name, subset = (next(iter(chosen)) if len(chosen) == 1 else ""), word
        name = name.replace("-", "_")
        if name not in chosen:
            raise UserError(
                "does not say of which benchmark" if not name else "this benchmark is not asked",
                field="--subset",
                value=word,
                fix=f"write BENCHMARK:{subset}, BENCHMARK one of {', '.join(chosen)}",
            )
        known = chosen[name].subsets
        if subset not in known:
            fix = spelling_fix(subset, known) if known else "leave --subset out"
            raise UserError(f"{name} has no such subset", field="--subset", value=subset, fix=fix)
        found.setdefault(name, []).append(subset)
    return {name: tuple(subsets) for name, subsets in found.items()}


def _options(benchmark: Benchmark, options: Options) -> Options:
    """Options as far as they concern this benchmark."""
    if benchmark.sampling is None:
        return replace(options, samples=None, max_new_tokens=None, temperature=None)
    return replace(options, shots=None)
