"""Which rows train, validate and test."""

from datetime import UTC, date, datetime, time

import numpy as np
import polars as pl
from numpy.typing import NDArray

from distill.data.hashing import hashes
from distill.data.kinds import describe, named
from distill.data.settings import SplitByColumn, SplitByHash, SplitByTime
from distill.errors import DataError, Fault

TRAIN, VALID, TEST = 0, 1, 2
NAMES = ("train", "valid", "test")
"""What the splits are called in a column, in the order of their numbers."""

SALT = "split"
"""Keeps the dealing out of keys apart from every other use of their hashes."""

Codes = NDArray[np.int8]


def by_column(values: pl.Series, settings: SplitByColumn, where: str) -> Codes:
    """The split that a column names.

    Raises:
        DataError: it names none, or another; all that it names are listed.
    """
    names = named(values, where)
    odd = names.filter(~names.is_in(NAMES) | names.is_null()).unique().sort().to_list()
    if odd:
        listed = ", ".join("null" if name is None else f'"{name}"' for name in odd[:10])
        rows = int((~names.is_in(NAMES)).fill_null(True).sum())
        remedy = f'`{settings.column}` must say "train", "valid" or "test".'
        raise DataError(Fault(where, f"holds {listed} in {rows} rows.", remedy))
    return names.replace_strict(NAMES, [TRAIN, VALID, TEST], return_dtype=pl.Int8).to_numpy()


def by_time(times: pl.Series, settings: SplitByTime, where: str) -> Codes:
    """The split of each time; see `SplitByTime`.

    Args:
        times: numbers, dates or datetimes (`roles.times`).
        settings: the first validation and test times.
        where: how a fault names the column.

    Raises:
        DataError: a bound is no time of the column's own type.
    """
    valid, test = (_bound(bound, times.dtype, where) for bound in (settings.valid, settings.test))
    later = (times >= valid).cast(pl.Int8) + (times >= test).cast(pl.Int8)
    return later.to_numpy()


def _bound(bound: float | str, kind: pl.DataType, where: str) -> float | date | datetime:
    if not kind.is_temporal():
        try:
            number = float(bound)
        except ValueError:
            raise _misfit(bound, kind, where) from None
        return int(number) if number.is_integer() else number
    try:
        moment = datetime.fromisoformat(str(bound))
    except ValueError:
        raise _misfit(bound, kind, where) from None
    if isinstance(kind, pl.Date):
        if moment.time() != time():
            raise _misfit(bound, kind, where)
        return moment.date()
    zoned = isinstance(kind, pl.Datetime) and kind.time_zone is not None
    if zoned == (moment.tzinfo is None):
        raise _misfit(bound, kind, where)
    return moment.astimezone(UTC) if zoned else moment


def _misfit(bound: float | str, kind: pl.DataType, where: str) -> DataError:
    wanted = "a number" if not kind.is_temporal() else "an ISO date" if isinstance(kind, pl.Date) else "an ISO time"
    if isinstance(kind, pl.Datetime) and kind.time_zone is not None:
        wanted += " with its zone, such as 2030-01-31T00:00+00:00"
    return DataError(
        Fault("data.split", f'"{bound}" cannot be compared with {where} ({describe(kind)}).', f"Give {wanted}.")
    )


def by_hash(values: pl.Series, settings: SplitByHash) -> Codes:
    """Deals plain keys out by their hashes: the same key always to the same split, in every file, on every machine."""
    distinct = values.unique()
    share = hashes(distinct, SALT) / 2.0**64
    code = np.where(share < settings.test, TEST, np.where(share < settings.test + settings.valid, VALID, TRAIN))
    return values.replace_strict(distinct, pl.Series(code, dtype=pl.Int8), return_dtype=pl.Int8).to_numpy()
