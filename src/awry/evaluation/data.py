"""The data of a benchmark: a path, an installed package, or a hub id with a revision.

Nothing ever stands in for data that is missing: every loader ends in items or in a UserError. What
was read is recorded with the sha256 of each file; `published` says whether they are the known ones.
"""

from __future__ import annotations

import csv
import hashlib
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib import metadata, resources
from pathlib import Path
from typing import Any, TypeVar

from awry.errors import UserError, spelling_fix
from awry.evaluation.items import Options
from awry.files import file_sha256
from awry.tasks.sources.reading import read_rows

Row = Mapping[str, Any]
_HUB = re.compile(r"([\w.-]+/[\w.-]+)(?:@([\w.-]+))?")
_Any = TypeVar("_Any")


@dataclass(frozen=True)
class Place:
    """Where a benchmark's data may be.

    files: patterns of file names, for a folder. package: a distribution that brings them (nothing
    of it is imported), advice: how to install it. hub, revision, hub_files: the data set, its commit
    and its files. known: sha256 of the published files.
    """

    benchmark: str
    files: tuple[str, ...]
    package: str | None = None
    advice: str = ""
    hub: str | None = None
    revision: str | None = None
    hub_files: tuple[str, ...] = ()
    known: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Table:
    """One file: its name (of a hub, the path in the data set), where it lies, and its rows."""

    name: str
    rows: tuple[Row, ...]
    file: str

    def text(self, number: int, *columns: str) -> str:
        """The first of these columns that holds text. Raises UserError naming row and column."""
        for column in columns:
            value = self.rows[number].get(column)
            if isinstance(value, str) and value.strip():
                return value
        raise self.error(number, f"has no `{columns[0]}`")

    def error(self, number: int, message: str, value: object = None) -> UserError:
        return UserError(message, field=f"row {number}", value=value, file=self.file)


@dataclass(frozen=True)
class Found:
    tables: tuple[Table, ...]
    source: Mapping[str, Any]


def find(options: Options, place: Place) -> Found:
    """The tables at `options.path`, else in the installed package, else on the hub."""
    if options.path is None:
        return _anywhere(place)
    path = options.path.expanduser()
    if path.is_file():
        return _read([path], {"kind": "file", "name": str(path)}, place)
    if path.is_dir():
        names = sorted(f for f in path.rglob("*") if f.is_file() and _wanted(f.name, place))
        if not names:
            raise UserError(
                f"this folder holds no data of {place.benchmark}",
                field=f"--benchmark {place.benchmark}",
                value=path,
                fix="it would be named " + " or ".join(place.files),
            )
        return _read(names, {"kind": "folder", "name": str(path)}, place)
    asked = _HUB.fullmatch(str(options.path))
    if asked is None or not place.hub_files:
        raise UserError(
            "no such file or folder",
            field=f"--benchmark {place.benchmark}",
            value=options.path,
            fix=_advice(place),
        )
    return _from_hub(place, asked[1], asked[2])


def _anywhere(place: Place) -> Found:
    if place.package is not None:
        try:
            distribution = metadata.distribution(place.package)
        except metadata.PackageNotFoundError:
            distribution = None
        listed = (distribution.files or []) if distribution else []
        files = [Path(str(f.locate())) for f in listed if _wanted(f.name, place)]
        if distribution and files:
            source = {"kind": "package", "name": place.package, "revision": distribution.version}
            return _read(sorted(files), source, place)
    if place.hub is None:
        raise UserError(
            f"the data of {place.benchmark} is not here",
            field=f"--benchmark {place.benchmark}",
            fix=_advice(place),
        )
    return _from_hub(place, place.hub, place.revision)


def _from_hub(place: Place, name: str, revision: str | None) -> Found:
    tables: list[Table] = []
    digests: dict[str, str] = {}
    for file in place.hub_files:
        try:
            origin, rows = read_rows(name, hub_file=file, revision=revision)
        except UserError as error:
            raise UserError(
                f"the data of {place.benchmark} is not here, and {error.message}",
                field=f"--benchmark {place.benchmark}",
                value=f"{name}, file {file}",
                fix=_advice(place),
            ) from error
        tables.append(Table(file, tuple(rows), f"{name}: {file}"))
        digests[file] = origin.sha256
        revision = origin.revision or revision
    source = {"kind": "hub", "name": name, "revision": revision}
    return Found(tuple(tables), source | _record(digests, place))


def _wanted(name: str, place: Place) -> bool:
    return any(fnmatch(name, pattern) for pattern in place.files)


def _advice(place: Place) -> str:
    ways = [f"give its file or folder, --benchmark {place.benchmark}=PATH"]
    if place.package:
        ways.append(f"pip install {place.advice or place.package}")
    if place.hub:
        ways.append(f"make the hub's {place.hub} reachable")
    return ", or ".join(ways)


def _record(digests: Mapping[str, str], place: Place) -> dict[str, Any]:
    known = set(digests.values()) <= place.known if place.known else None
    return {"files": dict(digests), "published": known}


def _read(paths: Sequence[Path], source: Mapping[str, Any], place: Place) -> Found:
    tables = []
    digests = {}
    for path in paths:
        try:
            rows = _rows(path)
            # MMLU's dev and test files may share names: the folder tells them apart
            digests[f"{path.parent.name}/{path.name}"] = file_sha256(path)
        except OSError as error:
            reason = f"cannot be read: {error.strerror or error}"
            raise UserError(reason, file=path) from error
        if not rows:
            raise UserError("has no rows", field=f"--benchmark {place.benchmark}", file=path)
        tables.append(Table(path.name, tuple(rows), str(path)))
    return Found(tuple(tables), {**source, **_record(digests, place)})


def _rows(path: Path) -> list[Row]:
    if path.name.endswith(".csv"):
        return _csv(path)
    if path.name.endswith((".yaml", ".yml")):
        return _yaml(path)
    return read_rows(str(path))[1]


def _csv(path: Path) -> list[Row]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream, strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"is damaged: {error}", file=path) from error
    for number, row in enumerate(rows):
        if None in row or None in row.values():
            raise UserError("has another number of columns", field=f"row {number}", file=path)
    return list(rows)


def _yaml(path: Path) -> list[Row]:
    import yaml

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"is not YAML: {error}", file=path) from error
    if not isinstance(document, list) or not all(isinstance(row, dict) for row in document):
        raise UserError("is not a list of questions", file=path)
    return document


def own(benchmark: str, name: str, table: str, options: Options) -> Found:
    """The `[[table]]` rows of a file of our own catalogue, for benchmarks that bring their items."""
    if options.path is not None:
        raise UserError(
            "this benchmark brings its own items",
            field=f"--benchmark {benchmark}",
            value=options.path,
            fix=f"write --benchmark {benchmark}",
        )
    data = (resources.files("awry.evaluation") / "catalog" / name).read_bytes()
    rows = tomllib.loads(data.decode("utf-8"))[table]
    digests = {name: hashlib.sha256(data).hexdigest()}
    source = {"kind": "catalog", "name": "awry", "files": digests, "published": True}
    return Found((Table(name, tuple(rows), f"catalog/{name}"),), source)


def subset(options: Options, benchmark: str, allowed: Sequence[str]) -> tuple[str, ...]:
    """The wanted subsets, all of them where none is named. Raises UserError for an unknown one."""
    for name in options.subset:
        if name not in allowed:
            raise UserError(
                f"{benchmark} has no such subset" if allowed else f"{benchmark} has no subsets",
                field="--subset",
                value=name,
                fix=spelling_fix(name, allowed) if allowed else "leave it out",
            )
    return tuple(name for name in allowed if not options.subset or name in options.subset)


def no_shots(options: Options, benchmark: str) -> None:
    """Refuse examples where the benchmark's prompt has no place for them."""
    if options.shots is not None:
        raise UserError(
            f"the prompt of {benchmark} is fixed",
            field="--shots",
            value=options.shots,
            fix="leave it out",
        )


def limited(
    items: Sequence[_Any], limit: int | None, group: Callable[[_Any], str] = lambda item: ""
) -> tuple[_Any, ...]:
    """The first `limit` items, taken from the groups in turn, in the order they had.

    So that a small part still holds safe and unsafe prompts, and every subject or loophole.
    """
    if limit is None or limit >= len(items):
        return tuple(items)
    if limit < 1:
        raise UserError("must be at least 1", field="--limit", value=limit)
    seen: dict[str, int] = {}
    rounds: list[tuple[int, int]] = []
    for number, item in enumerate(items):
        name = group(item)
        rounds.append((seen.get(name, 0), number))
        seen[name] = seen.get(name, 0) + 1
    return tuple(items[number] for number in sorted(n for _, n in sorted(rounds)[:limit]))
