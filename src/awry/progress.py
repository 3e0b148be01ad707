"""How far a run is, on stderr: a bar on a terminal, a plain line per step elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Protocol, TextIO


class Progress(Protocol):
    """What the runner tells."""

    def begin(self, arm: str, seed: int, done: int, total: int) -> None:
        """A run starts, or goes on after `done` of `total` steps."""
        ...

    def step(self, done: int, row: Mapping[str, Any]) -> None:
        """`done` steps are finished now; `row` has the metrics of the last one."""
        ...

    def note(self, message: str) -> None:
        """Anything else that a user should see: a check, a stage used again, a guard."""
        ...


class Silent:
    """Tells nobody."""

    def begin(self, arm: str, seed: int, done: int, total: int) -> None: ...

    def step(self, done: int, row: Mapping[str, Any]) -> None: ...

    def note(self, message: str) -> None: ...


class Console:
    """Tells a person; use as a context manager, so that the bar is cleared on the way out."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self._label, self._total, self._begun_at, self._first = "", 0, 0.0, 0
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Console:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def begin(self, arm: str, seed: int, done: int, total: int) -> None:
        self._stop()
        self._label, self._total, self._first = f"{arm} seed {seed}", total, done
        self._begun_at = time.monotonic()
        if self.stream.isatty():
            self._start(done)
        else:
            self._line(f"{self._label}: step {done}/{total}")

    def step(self, done: int, row: Mapping[str, Any]) -> None:
        text = self._numbers(done, row)
        if self._bar is not None:
            self._bar.update(self._task, completed=done, numbers=text)
        else:
            self._line(f"{self._label}: step {done}/{self._total}  {text}")
        if done >= self._total:
            self._stop()

    def note(self, message: str) -> None:
        if self._bar is not None:
            self._bar.console.print(message, highlight=False, markup=False)
        else:
            self._line(message)

    def _numbers(self, done: int, row: Mapping[str, Any]) -> str:
        each = (time.monotonic() - self._begun_at) / max(1, done - self._first)
        left = duration(each * max(0, self._total - done))
        parts = [
            f"{word} {_number(row.get(name), form)}"
            for word, name, form in (
                ("hack", "hack_rate", "{:.0%}"),
                ("solve", "solve_rate", "{:.0%}"),
                ("reward", "reward_mean", "{:.2f}"),
            )
        ]
        return "  ".join([*parts, f"{each:.1f} s/step", f"{left} left"])

    def _start(self, done: int) -> None:
        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as Bars

        self._bar = Bars(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[numbers]}"),
            console=RichConsole(file=self.stream, stderr=self.stream is sys.stderr),
        )
        self._bar.start()
        self._task = self._bar.add_task(self._label, total=self._total, completed=done, numbers="")

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _line(self, text: str) -> None:
        print(text, file=self.stream, flush=True)


class Counting(Console):
    """Counts what `noun` names: how many a second, tokens a second where the row of a step has
    "tokens", the time left, and as shares what `shares` (word -> name in the row) asks for.

    Without a terminal at most one line every `PAUSE` seconds, and one at the end.
    """

    PAUSE = 10.0

    def __init__(
        self, noun: str, shares: Mapping[str, str] | None = None, stream: TextIO | None = None
    ) -> None:
        super().__init__(stream)
        self.noun, self.shares = noun, shares or {}

    def begin(self, arm: str, seed: int, done: int, total: int) -> None:
        self._stop()
        self._label, self._total, self._first = arm, total, done
        self._begun_at = self._told_at = time.monotonic()
        self._ended = False
        if self.stream.isatty():
            self._start(done)
        else:
            self._line(f"{arm}: {done}/{total} {self.noun}")

    def step(self, done: int, row: Mapping[str, Any]) -> None:
        text = self._numbers(done, row)
        now = time.monotonic()
        if self._bar is not None:
            self._bar.update(self._task, completed=done, numbers=text)
        elif (done >= self._total and not self._ended) or now - self._told_at >= self.PAUSE:
            self._told_at, self._ended = now, done >= self._total
            self._line(f"{self._label}: {done}/{self._total} {self.noun}  {text}")
        if done >= self._total:
            self._stop()

    def _numbers(self, done: int, row: Mapping[str, Any]) -> str:
        seconds = max(1e-9, time.monotonic() - self._begun_at)
        rate = (done - self._first) / seconds
        left = duration((self._total - done) / rate) if rate else "?"
        parts = [f"{word} {_number(row.get(name), '{:.0%}')}" for word, name in self.shares.items()]
        parts.append(f"{rate:.2f} {self.noun}/s")
        if row.get("tokens"):
            parts.append(f"{row['tokens'] / seconds:.0f} tokens/s")
        return "  ".join([*parts, f"{left} left"])


def duration(seconds: float) -> str:
    """`42 s`, `3 min`, `2 h 05 min`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _number(value: object, form: str) -> str:
    return form.format(value) if isinstance(value, int | float) else "-"
