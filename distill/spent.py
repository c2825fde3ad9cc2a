"""Spent: where wall time goes, so that the share of it that trains on new data is known."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

KINDS = ("start", "data", "compile", "training", "evaluation", "checkpoint")
"""What time is spent on. Training is the forward pass, the backward pass and the step on rows not seen before."""

_IMPORTED = time.monotonic()


class Spent:
    """Takes down what time is spent on. At any moment that is one thing, so that the parts add up to the whole.

    Args:
        earlier: the facts of an earlier process that did a part of the same work.
        clock: seconds that only grow.

    Attributes:
        seconds: kind -> seconds.

    Example:
        >>> ticks = iter([0.0, 2.0, 3.0, 4.0, 10.0])
        >>> spent = Spent(clock=lambda: next(ticks))
        >>> spent.turn("training")
        >>> with spent.on("evaluation"):
        ...     pass
        >>> spent.turn("data")
        >>> spent.seconds["start"], spent.seconds["training"], spent.seconds["evaluation"]
        (2.0, 7.0, 1.0)
    """

    def __init__(
        self, earlier: Mapping[str, float | None] | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        facts = earlier or {}
        self.seconds = {kind: facts.get(kind) or 0.0 for kind in KINDS}
        self._first, self._restart, self._begun = facts.get("first_step"), facts.get("restart"), "first_step" in facts
        self._stepped = False
        self._clock, self._kind, self._since = clock, KINDS[0], clock()

    def turn(self, kind: str) -> None:
        """From now on it is spent on something else."""
        now = self._clock()
        self.seconds[self._kind] += now - self._since
        self._kind, self._since = kind, now

    @contextmanager
    def on(self, kind: str) -> Iterator[None]:
        """Within, it is spent on something else."""
        before = self._kind
        self.turn(kind)
        try:
            yield
        finally:
            self.turn(before)

    def stepped(self) -> None:
        """A step is done; the first one of a process says how long that took to get going."""
        if self._stepped:
            return
        self._stepped = True
        if self._begun:
            self._restart = age()
        else:
            self._first = age()

    def facts(self) -> dict[str, float | None]:
        """Seconds of each kind, and from the start of the process to the first step, likewise of the last restart."""
        self.turn(self._kind)
        return {**self.seconds, "first_step": self._first, "restart": self._restart}


def effective(seconds: Mapping[str, float]) -> float | None:
    """The share of time that trains on new data; None where no time was spent at all."""
    total = sum(seconds.values())
    return seconds["training"] / total if total else None


def account(
    stages: Mapping[str, float], teachers: Sequence[Mapping[str, float | None]], start: float
) -> dict[str, float | None]:
    """Where the time of a run went: seconds of each kind, the share that trained, and how long it took to get going.

    Of the students, whose cohorts train in several processes, all counts as training. A stage that was found done
    took what it took when it was done.

    Args:
        stages: stage -> seconds.
        teachers: what the time of each one's pass went into; empty where it is from outside.
        start: seconds from the start of the process to that of the run.
    """
    spent = {kind: sum(one.get(kind) or 0.0 for one in teachers) for kind in KINDS}
    rest = {"teacher": stages.get("teacher", 0.0) - sum(spent.values())}
    at = {"data": "data", "domains": "training", "students": "training"}
    at |= {"evidence": "evaluation", "tracking": "checkpoint"}
    for stage, seconds in {**stages, **rest}.items():
        spent[at.get(stage, "start")] += max(0.0, seconds)
    spent["start"] += start
    first = next(filter(None, teachers), {})
    return {**spent, "effective": effective(spent), **{name: first.get(name) for name in ("first_step", "restart")}}


def accounted(time: Mapping[str, float | None]) -> str:
    """The same in a line, of what `account` says."""
    total = sum(time[kind] or 0.0 for kind in KINDS)
    first = f", first step after {time['first_step']:.1f} s" if time["first_step"] else ""
    return f"effective training time: {time['effective'] or 0:.0%} of {total:.1f} s{first}"


def age() -> float:
    """Seconds since this process was started; where the system does not say, since the toolkit was imported."""
    try:
        started = float(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        return float(Path("/proc/uptime").read_text().split()[0]) - started / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, ValueError):
        return time.monotonic() - _IMPORTED
