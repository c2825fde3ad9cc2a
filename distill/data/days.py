"""Parts: the rows of one vertical on one day. They say what has changed since a log was last encoded.

A part is four numbers: vertical, day, rows, and a digest of the content of the rows in any order. Days are counted from
1970, numbers taken for seconds; without times all rows are of day 0.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from distill.data.events import SECONDS
from distill.data.hashing import Hashes, mixed

DAYS = "days.npy"
"""File of the parts of a shard, or of a whole data set."""

DAY = 86_400

FEW, MANY = 1_000, 1_000_000
"""Days from 1970 between which a number of seconds is taken for a moment."""

FAR = 1 << 53
"""The day of a time without end."""

Parts = NDArray[np.int64]
"""Vertical, day, rows and digest, [parts, 4]; sorted by the first two, each pair once."""


def parts(states: Hashes, vertical: NDArray[np.integer], time: NDArray | None, kind: str | None) -> Parts:
    """The parts of some rows.

    Args:
        states: a number for each row that its content decides.
        vertical: a number for each row's vertical.
        time: in the order of time, or None.
        kind: type of the times.
    """
    day = np.zeros(len(states), dtype=np.int64)
    if time is not None and kind is not None:
        day = np.floor(time * SECONDS[kind.partition("(")[0]] / DAY)
        day = np.clip(np.nan_to_num(day), -FAR, FAR).astype(np.int64)
    ones = np.ones(len(states), dtype=np.int64)
    return merged(np.stack([vertical.astype(np.int64), day, ones, mixed(states).view(np.int64)], axis=1))


def merged(found: Parts) -> Parts:
    """Parts of one vertical and day as one, sorted: rows and digests add up, whichever blocks they came from."""
    found = found[np.lexsort((found[:, 1], found[:, 0]))]
    new = np.r_[True, (found[1:, :2] != found[:-1, :2]).any(axis=1)][: len(found)]
    starts = np.flatnonzero(new)
    sums = np.add.reduceat(found[:, 2:], starts, axis=0) if len(starts) else found[:, 2:]
    return np.concatenate([found[starts, :2], sums], axis=1)


class Log(NamedTuple):
    """A data set as it was encoded once: its parts, by names of verticals, and the digest of each vertical."""

    fingerprint: str
    verticals: Sequence[str]
    parts: Parts
    digests: Mapping[str, str]


def changes(before: Log, now: Log, kind: str | None) -> dict[str, Any]:
    """What two states of one log differ in.

    Returns:
        `since`: fingerprint of the one before; `verticals_kept`: how many verticals have the same rows in the same
        order, so that what learnt from nothing else is found again; for `new`, `changed` and `gone` parts their number,
        verticals, rows and days, and the first and the last day.
    """
    old, new = (_by_name(log) for log in (before, now))
    kept = sum(now.digests[name] == digest for name, digest in before.digests.items() if name in now.digests)
    differ = {
        "new": {key: new[key] for key in new.keys() - old.keys()},
        "changed": {key: new[key] for key in new.keys() & old.keys() if new[key] != old[key]},
        "gone": {key: old[key] for key in old.keys() - new.keys()},
    }
    told = {word: _summed(found, kind) for word, found in differ.items() if found}
    return {"since": before.fingerprint, "verticals_kept": kept} | told


def _by_name(log: Log) -> dict[tuple[str, int], tuple[int, int]]:
    return {(log.verticals[vertical], day): (rows, value) for vertical, day, rows, value in log.parts.tolist()}


def _summed(found: Mapping[tuple[str, int], tuple[int, int]], kind: str | None) -> dict[str, Any]:
    days = {day for _, day in found}
    return {
        "parts": len(found),
        "verticals": len({vertical for vertical, _ in found}),
        "rows": sum(rows for rows, _ in found.values()),
        "days": len(days) if kind is not None else None,
        "first": _named(min(days), kind),
        "last": _named(max(days), kind),
    }


def _named(day: int, kind: str | None) -> str | int | None:
    """A date; of numbers too small or too large to be seconds since 1970 the number of the day."""
    if kind is None:
        return None
    counted = not kind.startswith("Date") and not FEW <= day < MANY
    return day if counted else str(date(1970, 1, 1) + timedelta(days=day))
