"""Rows of a data set, from a file, an installed package's data or a hub, and where they came from."""

from __future__ import annotations

import gzip
import json
import logging
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from awry.errors import UserError
from awry.files import file_sha256

Row = Mapping[str, Any]
SUFFIXES = (".jsonl", ".jsonl.gz", ".json", ".json.gz", ".parquet")


@dataclass(frozen=True)
class Origin:
    """source: as asked for. file: name of the file within it; revision: commit of a hub, version of
    a package.
    """

    source: str
    kind: Literal["file", "package", "hub"]
    file: str
    sha256: str
    revision: str | None


def read_rows(
    source: str,
    *,
    hub_file: str | None = None,
    package: str | None = None,
    revision: str | None = None,
    file: str | None = None,
) -> tuple[Origin, list[Row]]:
    """The rows of `source`: an existing file, the name of `package`, or a hub id `owner/name`.

    hub_file: the file to take from a hub; file: another one, wanted by name. Raises UserError.
    """
    path, kind, found = _locate(source, hub_file, package, revision, file)
    if kind != "hub" and (revision or file):
        raise UserError(
            f"is for a hub data set, and this is a {kind}",
            field="--revision" if revision else "--file",
            value=revision or file,
            fix="leave it out",
        )
    name = (file or hub_file or path.name) if kind == "hub" else path.name
    try:
        rows = _parse(path)
        digest = file_sha256(path)
    except OSError as error:
        raise UserError(
            f"cannot be read: {error.strerror or error}", field="SOURCE", file=path
        ) from error
    return Origin(source, kind, name, digest, found), rows


def _locate(
    source: str, hub_file: str | None, package: str | None, revision: str | None, file: str | None
) -> tuple[Path, Literal["file", "package", "hub"], str | None]:
    path = Path(source).expanduser()
    if path.is_file():
        return path, "file", None
    if package is not None and source.replace("_", "-").lower() == package:
        found, version = _package_file(package)
        return found, "package", version
    if source.count("/") != 1 or source.startswith((".", "/", "~")) or source.endswith(SUFFIXES):
        known = f", `{package}` where that package is installed," if package else ""
        raise UserError(
            "no such file",
            field="SOURCE",
            value=source,
            fix=f"give the path of a file{known} or a hub id such as owner/name",
        )
    return _from_hub(source, file or hub_file, revision)


def _package_file(package: str) -> tuple[Path, str]:
    """The data file that a package brought along; nothing of the package is imported."""
    from importlib import metadata

    try:
        distribution = metadata.distribution(package)
    except metadata.PackageNotFoundError as error:
        raise UserError(
            "this package is not installed",
            field="SOURCE",
            value=package,
            fix=f"pip install {package}, or give the path of its data file",
        ) from error
    for entry in distribution.files or ():
        # some ship examples of answers too, and pip adds notes of its own
        if entry.name.endswith((".jsonl", ".jsonl.gz")) and not entry.name.startswith("example"):
            return Path(str(entry.locate())), distribution.version
    raise UserError("this package has no data file", field="SOURCE", value=package)


def _from_hub(
    source: str, file: str | None, revision: str | None
) -> tuple[Path, Literal["hub"], str | None]:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    if file is None:
        raise UserError("which file of the data set?", field="--file", value=source)
    told = logging.getLogger("huggingface_hub")
    level = told.level
    told.setLevel(logging.ERROR)  # each retry would be a line; the error below says it once
    try:
        place = hf_hub_download(source, file, repo_type="dataset", revision=revision)
    except EntryNotFoundError as error:
        if not isinstance(error, LocalEntryNotFoundError):
            raise UserError(
                "this data set has no such file",
                field="--file",
                value=file,
                fix=_files_of(source, revision),
            ) from error
        raise _no_hub(source, error) from error
    except Exception as error:  # offline, no such data set, no permission: one remedy
        raise _no_hub(source, error) from error
    finally:
        told.setLevel(level)
    path = Path(place)
    parts = path.parts
    commit = parts[parts.index("snapshots") + 1] if "snapshots" in parts else revision
    return path, "hub", commit


def _no_hub(source: str, error: Exception) -> UserError:
    return UserError(
        f"the hub could not give this data set ({type(error).__name__}), and no such file exists",
        field="SOURCE",
        value=source,
        fix="check the id and the network, or give the path of a downloaded copy",
    )


def _files_of(source: str, revision: str | None) -> str:
    from huggingface_hub import list_repo_files

    try:
        names = list_repo_files(source, repo_type="dataset", revision=revision)
    except Exception:  # the first error is the one to tell
        return "name one of its files"
    return "use one of: " + ", ".join(n for n in names if n.endswith(SUFFIXES))


def _parse(path: Path) -> list[Row]:
    if path.name.endswith(".parquet"):
        return _parquet(path)
    if not path.name.endswith(SUFFIXES):
        raise UserError("unknown kind of file", file=path, fix="use " + ", ".join(SUFFIXES))
    data = path.read_bytes()
    try:
        text = (gzip.decompress(data) if path.name.endswith(".gz") else data).decode("utf-8")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise UserError(f"is damaged: {error}", file=path) from error
    rows: list[object] = []
    if path.name.removesuffix(".gz").endswith(".json"):
        document = _json(text, path, "")
        rows = document if isinstance(document, list) else [document]
    else:
        # not splitlines: a string in JSON may hold U+2028, which that takes for the end of a line
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                rows.append(_json(line, path, f"line {number}"))
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            raise UserError("not an object", field=f"row {number}", value=row, file=path)
    return rows  # pyright: ignore[reportReturnType]


def _json(text: str, path: Path, where: str) -> object:
    try:
        return json.loads(text)
    except ValueError as error:
        raise UserError(f"is not JSON: {error}", field=where or None, file=path) from error


def _parquet(path: Path) -> list[Row]:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    try:
        return parquet.read_table(path).to_pylist()
    except pa.ArrowException as error:
        raise UserError(f"is damaged: {error}", file=path) from error
