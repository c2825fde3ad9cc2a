"""What a run says while it works, on standard error: a bar on a terminal, a line now and then elsewhere."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from distill.printable import printable

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

EVERY = 10.0
"""Seconds between two lines of a stage, where there is no terminal."""


class Bar:
    """How far one stage is.

    Attributes:
        done: rows that are done.
        text: how it goes, as last said.
    """

    def __init__(self, show: Callable[["Bar"], None]) -> None:
        self.done = 0
        self.text = ""
        self._show = show

    def advance(self, rows: int = 1, text: str = "") -> None:
        """Counts rows that are done; `text` says how it goes, such as `NE 0.743`."""
        self.done += rows
        self.text = text or self.text
        self._show(self)


class Progress:
    """Tells how a run goes, and keeps the seconds of its stages.

    Args:
        out: where to tell it; standard error where none is given.
        clock: seconds that only grow.

    Attributes:
        seconds: stage -> seconds spent in it; stages of one name add up.
        cpu: stage -> seconds that processors spent on it, those of processes that it has started and ended among them.

    Example:
        >>> progress = Progress(sys.stdout)
        >>> with progress.stage("teacher", total=2) as bar:
        ...     bar.advance(2, "NE 0.743")
        teacher: 2 rows
        teacher: done in 0.0 s, NE 0.743
        >>> list(progress.seconds)
        ['teacher']
    """

    def __init__(self, out: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds: dict[str, float] = {}
        self.cpu: dict[str, float] = {}
        self._out = sys.stderr if out is None else out
        self._clock = clock
        self._bars: Bars | None = None

    @contextmanager
    def stage(self, name: str, total: int | None = None) -> Iterator[Bar]:
        """Opens a stage of `total` rows, where their number is known; a stage may stand within another."""
        start, spent = self._clock(), sum(os.times()[:4])
        told = self._drawn if self._out.isatty() else self._written
        try:
            with told(name, total) as bar:
                yield bar
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + self._clock() - start
            self.cpu[name] = self.cpu.get(name, 0.0) + sum(os.times()[:4]) - spent

    def note(self, text: str) -> None:
        """Says one sentence; control characters in it are written out."""
        if self._bars is not None:
            self._bars.console.print(printable(text), markup=False, highlight=False)
        else:
            print(printable(text), file=self._out, flush=True)

    @contextmanager
    def _written(self, name: str, total: int | None) -> Iterator[Bar]:
        """A line at the start, one every few seconds, one at the end."""
        start = last = self._clock()

        def show(bar: Bar) -> None:
            nonlocal last
            if self._clock() - last >= EVERY:
                last = self._clock()
                self.note(f"{name}: {_count(bar.done, total)}{_said(bar)}, {last - start:.0f} s")

        self.note(name if total is None else f"{name}: {total:,} rows")
        bar = Bar(show)
        yield bar
        self.note(f"{name}: done in {self._clock() - start:.1f} s{_said(bar)}")

    @contextmanager
    def _drawn(self, name: str, total: int | None) -> Iterator[Bar]:
        """A bar, in one block with those of the stages around it."""
        outermost = self._bars is None
        bars = self._bars = self._bars or _bars(self._out)
        task = bars.add_task(name, total=total, text="")
        if outermost:
            bars.start()
        bar = Bar(lambda bar: bars.update(task, completed=bar.done, text=bar.text))
        try:
            yield bar
            bars.update(task, completed=bar.done, total=max(bar.done, 1) if total is None else total)
        finally:
            if outermost:
                bars.stop()
                self._bars = None


def _count(done: int, total: int | None) -> str:
    return f"{done:,} rows" if total is None else f"{done:,} of {total:,} rows"


def _said(bar: Bar) -> str:
    return f", {bar.text}" if bar.text else ""


def _bars(out: TextIO) -> "Bars":
    from rich.console import Console  # only where there is a terminal to draw on
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    said = TextColumn("{task.fields[text]}")
    times = (TimeElapsedColumn(), TimeRemainingColumn())
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), *times, said, console=Console(file=out)
    )
