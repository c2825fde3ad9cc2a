"""Slicings: parts of the rows that results are told apart by, such as new users or the hours of the day."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from distill.data.events import SECONDS
from distill.data.impressions import TEST, TRAIN, Impressions
from distill.data.moments import physical, times
from distill.data.settings import Sequence as History
from distill.errors import DataError, Fault, suggestion

MOST = 12
"""Values of a column that are slices of their own, those with the most test rows; the rest is `other`."""

FORMS = ("new:COLUMN", "length:FEATURE", "hour:COLUMN")
"""What may stand in `evidence.slices` beside the name of a column."""


class Slicing(NamedTuple):
    """Every row in one slice.

    Attributes:
        code: index into `names`, [rows].
        names: of the slices.
    """

    code: NDArray[np.int64]
    names: list[str]


def require(impressions: Impressions, wanted: Sequence[str]) -> None:
    """Looks for the columns of slicings, before anybody trains.

    Raises:
        DataError: all that mean nothing, at once.
    """
    faults = []
    for place, one in enumerate(wanted):
        try:
            impressions.source.kinds(_column(impressions, one))
        except DataError as error:
            where = f"evidence.slices[{place}]"
            faults += [Fault(where, f"{fault.where}: {fault.what}", fault.remedy) for fault in error.faults]
    if faults:
        raise DataError(*faults)


def slicing(impressions: Impressions, wanted: str) -> Slicing:
    """The slices of a column, of what is new in it, of the length of a history, or of the hours.

    Args:
        impressions: the rows.
        wanted: a column of the source, or one of `FORMS`.
    """
    kind, _, _ = wanted.rpartition(":")
    column = _column(impressions, wanted)
    if kind == "new":
        return Slicing(_is_new(impressions, column), ["known", "new"])
    values = _values(impressions, column)
    if kind == "length":
        return _lengths(values)
    if kind == "hour":
        return _hours(values, impressions.source.place(column))
    return _common(values, impressions.split == TEST)


def seconds_a_unit(impressions: Impressions) -> float | None:
    """Seconds in the unit of `impressions.time`; None without time. Bare numbers are taken for seconds."""
    if impressions.settings.time is None:
        return None
    return _seconds(times(pl.Series([], dtype=impressions.source.kinds(impressions.settings.time)[0]), "time"))


def _column(impressions: Impressions, wanted: str) -> str:
    """The column that a slicing reads."""
    kind, _, name = wanted.rpartition(":")
    if kind not in ("", *(form.partition(":")[0] for form in FORMS)):
        raise DataError(Fault(wanted, "is no slicing.", f"Write a column, or {', '.join(FORMS)}."))
    if kind != "length":
        return name
    histories = {key: one for key, one in impressions.settings.features.items() if isinstance(one, History)}
    if name not in histories:
        raise DataError(Fault(wanted, "there is no such history.", suggestion(name, list(histories))))
    return next(iter(histories[name].columns))


def _values(impressions: Impressions, column: str) -> pl.Series:
    source = impressions.source
    return pl.concat([frame.to_series() for frame in source.read([column], source.cuts(impressions.settings.block))])


def _is_new(impressions: Impressions, column: str) -> NDArray[np.int64]:
    """1 where no training row of the same vertical has the value."""
    key = impressions.key(column)
    both = impressions.vertical.astype(np.int64) * (int(key.max(initial=0)) + 1) + key
    return (~np.isin(both, np.unique(both[impressions.split == TRAIN]))).astype(np.int64)


def _lengths(values: pl.Series) -> Slicing:
    """0, 1, 2-3, 4-7, ...: each class twice as wide as the one before."""
    length = values.list.len().fill_null(0).to_numpy().astype(np.int64)
    code = np.ceil(np.log2(length + 1)).astype(np.int64)
    bounds = [(2**place // 2, 2**place - 1) for place in range(int(code.max(initial=0)) + 1)]
    return Slicing(code, [f"{low}-{high}" if low < high else str(high) for low, high in bounds])


def _hours(values: pl.Series, where: str) -> Slicing:
    found = times(values, where)
    moment = physical(found) * _seconds(found)
    return Slicing((moment // 3600 % 24).astype(np.int64), [f"{hour:02d}" for hour in range(24)])


def _seconds(moments: pl.Series) -> float:
    return SECONDS[str(moments.dtype).partition("(")[0]]


def _common(values: pl.Series, test: NDArray[np.bool_]) -> Slicing:
    """The most common values among the test rows, the most common first, and all others as one."""
    text = values.cast(pl.String).fill_null("null")
    counted = text.filter(pl.Series(test)).value_counts(sort=True)
    ranked = counted.sort([counted.columns[1], counted.columns[0]], descending=[True, False]).to_series(0)
    names = ranked.head(MOST).to_list()
    place = {name: code for code, name in enumerate(names)}
    code = text.replace_strict(place, default=len(names), return_dtype=pl.Int64).to_numpy()
    return Slicing(code, [*names, "other"])
