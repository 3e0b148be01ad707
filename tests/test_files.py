from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from awry import files
from awry.errors import UserError
from awry.experiments import store
from awry.experiments.store import Stage


def python(code: str, *arguments: str, **options) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True, **options
    )


def test_atomic_write_replaces_and_leaves_nothing_else(tmp_path) -> None:
    path = tmp_path / "a.txt"
    files.atomic_write(path, "one")
    files.atomic_write(path, b"two")
    assert path.read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_atomic_write_json_refuses_nan_and_keeps_the_old(tmp_path) -> None:
    path = tmp_path / "a.json"
    files.atomic_write_json(path, {"ä": [1, None]})
    with pytest.raises(ValueError, match="JSON"):
        files.atomic_write_json(path, float("nan"))
    assert json.loads(path.read_text()) == {"ä": [1, None]}
    assert os.listdir(tmp_path) == ["a.json"]


KILLED = """
import os, signal, sys
from pathlib import Path
from awry import files
from awry.experiments import store
from awry.experiments.store import Stage
if sys.argv[2] == "fsync":  # the bytes are written, the rename is not done
    os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
else:  # renamed, the folder is not yet synced
    files._sync_folder = lambda folder: os.kill(os.getpid(), signal.SIGKILL)
files.atomic_write(Path(sys.argv[1]), "new" * 100_000)
"""


@pytest.mark.parametrize(("moment", "content"), [("fsync", "old"), ("rename", "new" * 100_000)])
def test_kill_during_atomic_write_leaves_old_or_new(tmp_path, moment, content) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    killed = python(KILLED, str(path), moment)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert path.read_text() == content
    visible = [p.name for p in tmp_path.iterdir() if not p.name.startswith(".")]
    assert visible == ["a.txt"]


def test_too_large_a_file_is_a_user_error_and_leaves_the_old(tmp_path) -> None:
    code = """
import resource, sys
from pathlib import Path
from awry.errors import UserError
from awry.files import atomic_write
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    atomic_write(Path(sys.argv[1]), "x" * 5000)
except UserError as error:
    print(error.render())
"""
    path = tmp_path / "a.txt"
    path.write_text("old")
    text, _ = python(code, str(path)).communicate()
    assert "cannot be written" in text
    assert str(path) in text
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 1000


def test_a_full_disk_is_a_user_error_and_leaves_the_old(tmp_path) -> None:
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("needs to mount a tmpfs")
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        files.atomic_write(small / "a.txt", "old")
        with pytest.raises(UserError, match="the disk is full"):
            files.atomic_write(small / "a.txt", "x" * 200_000)
        assert (small / "a.txt").read_text() == "old"
        assert os.listdir(small) == ["a.txt"]
    finally:
        subprocess.run(["umount", str(small)], check=True)


def fill() -> None:
    with files.writing(Path("x")), open("/dev/full", "w") as stream:
        stream.write("x")


def test_a_full_device_is_told_apart_from_bugs() -> None:
    with pytest.raises(UserError, match="the disk is full"):
        fill()
    with pytest.raises(FileNotFoundError), files.writing(Path("x")):
        Path("/nowhere/at/all").read_bytes()


def test_a_file_in_the_way_is_a_user_error(tmp_path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(UserError, match="part of this path is a file"):
        store.open_stage(Stage("train", 1, {}, {}), tmp_path / "runs")


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(
        ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b", *arguments],
        check=True,
        capture_output=True,
    )


def test_code_state_follows_the_checkout(tmp_path, monkeypatch) -> None:
    package = tmp_path / "src" / "awry"
    (package / "experiments").mkdir(parents=True)
    (package / "errors.py").write_text("a = 1\n")
    monkeypatch.setattr(files, "__file__", str(package / "files.py"))
    outside = files.code_state()
    assert outside["revision"].startswith("awry ")  # pyright: ignore[reportOptionalMemberAccess]
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    clean = files.code_state()
    assert clean["diff_sha256"] is None
    assert len(str(clean["revision"])) == 40
    (package / "errors.py").write_text("a = 2\n")
    edited = files.code_state()
    assert edited["revision"] == clean["revision"]
    assert edited["diff_sha256"]
    (package / "new.py").write_text("b = 1\n")
    assert files.code_state()["diff_sha256"] not in (None, edited["diff_sha256"])
    (tmp_path / "notes.txt").write_text("not code")
    (package / "new.py").unlink()
    assert files.code_state() == edited
