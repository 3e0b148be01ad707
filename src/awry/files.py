"""Files that are whole or absent, and the state of the code that writes them."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from awry import __version__
from awry.errors import UserError

_ROOM = "free some room and run the same command again: what is done is kept"
_PLACE = "choose another place with --out, or change its permissions"
_REFUSALS = {
    errno.ENOSPC: ("the disk is full", _ROOM),
    errno.EDQUOT: ("the disk quota is used up", _ROOM),
    errno.EFBIG: ("the file is larger than this process may write", _ROOM),
    errno.EACCES: ("no permission", _PLACE),
    errno.EPERM: ("no permission", _PLACE),
    errno.EROFS: ("this file system is read-only", _PLACE),
    errno.ENOTDIR: ("a part of this path is a file", _PLACE),
    errno.EEXIST: ("a part of this path is a file", _PLACE),
}


def atomic_write(path: Path, data: bytes | str) -> None:
    """Write a file so that `path` holds the old content or the new, whatever is killed when.

    Raises UserError when there is no room or no permission; the file is then as it was.
    """
    payload = data.encode() if isinstance(data, str) else data
    partial = path.parent / f".{path.name}.{os.getpid()}.partial"
    with writing(path):
        try:
            with partial.open("wb") as stream:
                stream.write(payload)
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


def atomic_write_json(path: Path, value: object) -> None:
    """`atomic_write` of JSON, indented. Raises ValueError for NaN, which JSON does not have."""
    atomic_write(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what a full or closed disk makes the operating system say into a UserError."""
    try:
        yield
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
        message, fix = _REFUSALS[error.errno]
        raise UserError(
            f"cannot be written: {message}", file=error.filename or path, fix=fix
        ) from error
    except Exception as error:  # safetensors and Arrow pass the system's words on as text
        if os.strerror(errno.ENOSPC) not in str(error):
            raise
        raise UserError("cannot be written: the disk is full", file=path, fix=_ROOM) from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_json(path: Path) -> dict[str, Any] | None:
    """The JSON object in a file, or None when there is no readable one."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def code_state() -> dict[str, str | None]:
    """{"revision", "diff_sha256"}: in a git checkout the commit and a digest of what differs from
    it (None when nothing does); otherwise the package's version.
    """
    folder = Path(__file__).resolve().parent

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(folder), *arguments], capture_output=True, check=False, timeout=20
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.decode(errors="replace") if done.returncode == 0 else None

    tracked = git("ls-files", "--error-unmatch", "errors.py")
    revision = git("rev-parse", "HEAD")
    if tracked is None or revision is None:
        return {"revision": f"awry {__version__}", "diff_sha256": None}
    changes = git("diff", "HEAD", "--", ".") or ""
    for name in sorted((git("ls-files", "--others", "--exclude-standard", ".") or "").splitlines()):
        changes += f"{name} {file_sha256(folder / name)}\n"
    digest = hashlib.sha256(changes.encode()).hexdigest() if changes else None
    return {"revision": revision.strip(), "diff_sha256": digest}
