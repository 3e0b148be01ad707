"""`awry extract` and `awry verify-direction`, on the tiny model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from small_direction import pairs_file

from awry.errors import UserError
from awry.experiments.extract import extract, verify
from awry.experiments.verification import COLUMNS, cells, summary
from awry.progress import Silent


def awry(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "awry", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("made")
    pairs_file(folder / "few.toml")
    document = extract(
        folder / "direction",
        model="tiny-random",
        adapter="lora",
        r=4,
        pairs=str(folder / "few.toml"),
        top_k=2,
        seed=3,
        progress=Silent(),
    )
    return folder, document


def test_a_direction_is_written_with_its_verification(made) -> None:
    folder, document = made
    assert document == json.loads((folder / "direction/verification.json").read_text())
    assert document["adapter_kind"] == "lora"
    assert (folder / "direction/direction.safetensors").is_file()
    stage = json.loads((folder / "direction/stage.json").read_text())
    assert stage["params"]["adapter"]["r"] == 4
    assert stage["params"]["seed"] == 3


def test_verifying_again_gives_the_same_figures(made, tmp_path) -> None:
    folder, document = made
    again = verify(
        folder / "direction/direction.safetensors",
        tmp_path / "out",
        model="tiny-random",
        pairs=str(folder / "few.toml"),
        progress=Silent(),
    )
    assert json.loads((tmp_path / "out/verification.json").read_text()) == again
    rows = {row["direction"]: row for row in document["rows"]}
    for row in again["rows"]:
        known = rows[row["direction"]]
        assert row.pop("auroc_spread") == known["auroc_spread"]
        assert row == {k: pytest.approx(v) for k, v in known.items() if k != "auroc_spread"}


def test_rows_as_text(made) -> None:
    rows = cells(made[1])
    assert tuple(rows[0]) == COLUMNS
    assert [row["direction"] for row in rows] == ["extracted", "shuffled", "benign", "random"]
    assert " to " in rows[-1]["of 20 draws"]
    assert "on 3 held-out pairs" in summary(made[1])


def test_the_page_is_one_file_with_every_score(made) -> None:
    folder, document = made
    page = (folder / "direction/verification.html").read_text()
    scores = document["scores"]
    assert page.count("<circle") >= sum(len(s) for d in scores.values() for s in d.values())
    assert "src=" not in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "Direction of tiny-random" in page


def test_another_adapter_is_refused(made, tmp_path) -> None:
    folder, _ = made
    alone = tmp_path / "alone.safetensors"
    alone.write_bytes((folder / "direction/direction.safetensors").read_bytes())
    with pytest.raises(UserError, match="another model or adapter"):
        verify(alone, tmp_path / "out", model="tiny-random", progress=Silent())


def test_no_direction_is_one_clear_error(tmp_path) -> None:
    with pytest.raises(UserError, match="no such direction file"):
        verify(tmp_path / "no.safetensors", tmp_path, model="tiny-random", progress=Silent())


def test_the_command_prints_a_table_and_the_place_of_the_plot(made, tmp_path) -> None:
    folder, _ = made
    arguments = ("--model", "tiny-random", "--pairs", folder / "few.toml", "--top-k", "2")
    done = awry("extract", *arguments, "--out", "mine", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].split()[0] == "direction"
    assert done.stdout.splitlines()[-2:] == [
        "direction: mine/direction.safetensors",
        "plot: mine/verification.html",
    ]
    assert "verifying on 3 held-out pairs" in done.stderr
    assert "singular_values" in (tmp_path / "mine/stage.json").read_text()
    assert (tmp_path / "mine/verification.html").is_file()
    done = awry(
        *("verify-direction", "mine/direction.safetensors", "--model", "tiny-random"),
        *("--pairs", folder / "few.toml", "--out", "seen", "--json"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["plot"] == "seen/verification.html"
    assert (tmp_path / "seen/verification.html").is_file()
    assert [row["direction"] for row in document["rows"]] == ["extracted", "random"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("extract", "--model", "nothing"), "error: model.path: no such model"),
        (("extract", "--pairs", "no.toml"), "error: direction.pairs: no such file"),
        (("extract", "--r", "2"), "error: direction.top_k: more axes than the adapter has"),
        (("extract", "--drop-quantile", "1"), "error: direction.drop_quantile: must be less"),
        (("extract", "--adapter", "full"), "Invalid value"),
        (("verify-direction", "no.safetensors"), "error: no such direction file"),
        (("verify-direction",), "Missing argument"),
    ],
    ids=lambda a: " ".join(a) if isinstance(a, tuple) else "",
)
def test_bad_input_exits_2_and_writes_nothing(arguments, words, tmp_path) -> None:
    done = awry(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
