"""Times of a column in the type in which they are compared, and as numbers."""

from collections.abc import Callable

import polars as pl
from numpy.typing import NDArray

from distill.data.kinds import describe, plain
from distill.errors import DataError, Fault


def times(values: pl.Series, where: str, at: Callable[[int], str] | None = None) -> pl.Series:
    """Times in the type in which they are compared: whole numbers, numbers, dates, or datetimes; text is read as ISO.

    Args:
        values: one column.
        where: how a fault names it.
        at: how a fault names one of its values, if it can.

    Raises:
        DataError: the column holds something else.
    """
    words = describe(values.dtype)
    if words == "text":
        values = _parsed(values.cast(pl.String), where, at)
    if isinstance(values.dtype, pl.Datetime):
        zoned = values.dt.convert_time_zone("UTC") if values.dtype.time_zone is not None else values
        return zoned.dt.cast_time_unit("us")
    if values.dtype.is_temporal():
        return values
    if words in ("whole numbers", "numbers"):
        return plain(values, where)
    raise DataError(Fault(where, f"holds {words}, where times are meant."))


def _parsed(text: pl.Series, where: str, at: Callable[[int], str] | None) -> pl.Series:
    """Nothing but ISO is read: who writes 01/02/2030 may mean January or February."""
    try:
        if text.str.contains(r"^\d{4}-\d\d-\d\d").all():
            return text.str.to_datetime()
    except pl.exceptions.PolarsError:
        pass
    remedy = "Write all as 2030-01-31T23:59, or all with a zone as 2030-01-31T23:59+00:00."
    odd = (text.is_not_null() & ~text.str.contains(r"^\d{4}-\d\d-\d\d").fill_null(True)).arg_true()
    if not len(odd):
        raise DataError(Fault(where, "holds text that is no ISO date or time.", remedy))
    place, what = at(odd[0]) if at else where, f'holds "{text[odd[0]]}", which is no ISO date or time.'
    raise DataError(Fault(place, what, remedy))


def physical(values: pl.Series) -> NDArray:
    """Times as `int64` or `float64`, in the same order; 0 where they are missing."""
    numbers = values.to_physical()
    return numbers.cast(pl.Float64 if numbers.dtype.is_float() else pl.Int64).fill_null(0).to_numpy()
