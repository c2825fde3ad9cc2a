"""Which rows train, validate and test."""

import re
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from distill.data.hashing import hashes
from distill.data.settings import SplitByHash, SplitByTime
from distill.errors import DataError, Fault

TRAIN, VALID, TEST = 0, 1, 2
NAMES = ("train", "valid", "test")
"""What the splits are called in a column, in the order of their numbers."""

UNUSED = 3
"""Rows in a gap between splits."""

SALT = "split"
"""Keeps the dealing out of keys apart from every other use of their hashes."""

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
"""Seconds of the units in which a duration is written."""

DURATION = r"(\d+(?:\.\d+)?)([smhdw])"
"""How a duration is written: a number and its unit."""

Codes = NDArray[np.int8]


def by_name(names: pl.Series) -> Codes:
    """The split that each row of a column names; `UNUSED` where it names none."""
    return names.replace_strict(NAMES, [TRAIN, VALID, TEST], default=UNUSED, return_dtype=pl.Int8).to_numpy()


def by_hash(values: pl.Series, settings: SplitByHash) -> Codes:
    """Deals plain keys out by their hashes: the same key always to the same split, in every file, on every machine."""
    distinct = values.unique()
    share = hashes(distinct, SALT) / 2.0**64
    code = np.where(share < settings.test, TEST, np.where(share < settings.test + settings.valid, VALID, TRAIN))
    return values.replace_strict(distinct, pl.Series(code, dtype=pl.Int8), return_dtype=pl.Int8).to_numpy()


class ByTime:
    """Splits by time; see `SplitByTime`.

    Args:
        settings: the first validation and test times, and the gap before them.
        kind: type of the times (`roles.times`), by its name.
        where: how a fault names their column.

    Raises:
        DataError: a bound, or the gap, is nothing of the times' own type.
    """

    def __init__(self, settings: SplitByTime, kind: str, where: str) -> None:
        self.valid, self.test = (_bound(bound, kind, where) for bound in (settings.valid, settings.test))
        self.gap = _duration(settings.gap, kind)

    def split(self, times: NDArray) -> Codes:
        """The split of each time, as `roles.physical` gives it."""
        code = (times >= self.valid).astype(np.int8) + (times >= self.test)
        for bound in (self.valid, self.test):
            code[(times >= bound - self.gap) & (times < bound)] = UNUSED
        return code


def _bound(bound: float | str, kind: str, where: str) -> float:
    """A bound as a number, in the unit of the times."""
    if kind in ("Int64", "Float64"):
        try:
            return int(float(bound)) if float(bound).is_integer() else float(bound)
        except ValueError:
            raise _misfit(bound, kind, where) from None
    try:
        moment = datetime.fromisoformat(str(bound))
    except ValueError:
        raise _misfit(bound, kind, where) from None
    if kind == "Date":
        if moment.time() != time():
            raise _misfit(bound, kind, where)
        return (moment.date() - date(1970, 1, 1)).days
    if ("UTC" in kind) == (moment.tzinfo is None):
        raise _misfit(bound, kind, where)
    return (moment - datetime(1970, 1, 1, tzinfo=UTC if "UTC" in kind else None)) // timedelta(microseconds=1)


def _misfit(bound: float | str, kind: str, where: str) -> DataError:
    words = "numbers" if kind == "Float64" else "whole numbers" if kind == "Int64" else "dates or times"
    wanted = "a number" if "numbers" in words else "an ISO date" if kind == "Date" else "an ISO time"
    if "UTC" in kind:
        wanted += " with its zone, such as 2030-01-31T00:00+00:00"
    return DataError(Fault("data.split", f'"{bound}" cannot be compared with {where} ({words}).', f"Give {wanted}."))


def _duration(gap: float | str, kind: str) -> float:
    """A gap in the unit of the times."""
    written = re.fullmatch(DURATION, str(gap))
    if kind in ("Int64", "Float64") or gap == 0:
        if isinstance(gap, str):
            raise DataError(Fault("data.split", f'the gap "{gap}" is no number, as the times are.', "Give a number."))
        return gap
    if written is None:
        raise DataError(Fault("data.split", f'the gap "{gap}" is no duration.', "Write it as 36h or 2d."))
    seconds = float(written[1]) * UNITS[written[2]]
    if kind == "Date" and seconds % UNITS["d"]:
        raise DataError(Fault("data.split", f'the gap "{gap}" is no number of days, as the times are.', "Write 2d."))
    return seconds / UNITS["d"] if kind == "Date" else round(seconds * 1e6)
