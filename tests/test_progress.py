from __future__ import annotations

import contextlib
import io
import os
import pty
import re

import pytest

from awry.progress import Console, Counting, duration

ROW = {"hack_rate": 0.25, "solve_rate": None, "reward_mean": 1.5}


def test_plain_lines_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    with Console(stream) as console:
        console.begin("vanilla", 3, 4, 10)
        console.step(5, ROW)
        console.note("a guard [red]spoke[/red]")
    lines = stream.getvalue().splitlines()
    assert lines[0] == "vanilla seed 3: step 4/10"
    assert lines[1].startswith("vanilla seed 3: step 5/10  hack 25%  solve -  reward 1.50  ")
    assert re.search(r"\d+\.\d s/step  \d+ s left$", lines[1])
    assert lines[2] == "a guard [red]spoke[/red]"
    assert len(lines) == 3


def everything(leader: int) -> str:
    """All that was written to a terminal whose other end is closed by now."""
    parts: list[bytes] = []
    with contextlib.suppress(OSError):  # how Linux says that nothing more will come
        while part := os.read(leader, 100_000):
            parts.append(part)
    os.close(leader)
    return b"".join(parts).decode()


def test_a_bar_on_a_terminal_that_is_gone_afterwards() -> None:
    leader, follower = pty.openpty()
    with os.fdopen(follower, "w") as stream, Console(stream) as console:
        console.begin("vanilla", 0, 0, 2)
        console.step(1, ROW)
        console.note("a guard [red]spoke[/red]")
        console.step(2, ROW)
        assert console._bar is None
        console.note("after the bar")
    shown = everything(leader)
    assert "2/2" in shown
    assert "hack 25%" in shown
    assert "a guard [red]spoke[/red]" in shown
    assert shown.rstrip().endswith("after the bar")


def begin_and_fail(console: Console) -> None:
    with console:
        console.begin("vanilla", 0, 0, 2)
        raise RuntimeError


def test_a_run_that_fails_takes_its_bar_down() -> None:
    leader, follower = pty.openpty()
    with os.fdopen(follower, "w") as stream:
        console = Console(stream)
        with pytest.raises(RuntimeError):
            begin_and_fail(console)
        assert console._bar is None
    os.close(leader)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.4, "59 s"), (61, "1 min"), (3599, "1 h 00 min"), (7500, "2 h 05 min")],
)
def test_durations(seconds, text) -> None:
    assert duration(seconds) == text


def test_counting_tells_rate_shares_and_time_left() -> None:
    stream = io.StringIO()
    with Counting("answers", {"hack": "hack_rate"}, stream) as console:
        console.begin("words: policy", 0, 5, 20)
        console._begun_at -= 10.0
        console.step(10, {"tokens": 300, "hack_rate": 0.5})
        assert stream.getvalue().count("\n") == 1  # not a line for every answer
        console._told_at -= 60.0
        console.step(15, {"tokens": 500, "hack_rate": 0.25})
        console.step(20, {"tokens": 700})
        console.step(20, {"tokens": 700})
    lines = stream.getvalue().splitlines()
    assert lines[0] == "words: policy: 5/20 answers"
    assert re.match(
        r"words: policy: 15/20 answers  hack 25%  1\.00 answers/s  50 tokens/s  5 s left", lines[1]
    )
    assert len(lines) == 3
