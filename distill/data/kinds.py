"""What a column holds, whatever its type is called, and the few forms in which we work with it."""

from collections.abc import Iterable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from distill.errors import DataError, Fault

NUMBERS = ("whole numbers", "numbers", "true and false")


def describe(kind: pl.DataType) -> str:
    """What values of this type are, in the words of a user.

    >>> describe(pl.List(pl.Int32))
    'lists of whole numbers'
    """
    if isinstance(kind, (pl.List, pl.Array)):
        return f"lists of {describe(kind.inner)}"
    if kind.is_integer() and kind not in (pl.Int128, pl.UInt128):
        return "whole numbers"
    if kind.is_float() or kind.is_decimal():
        return "numbers"
    if kind in (pl.String, pl.Categorical, pl.Enum):
        return "text"
    if kind.is_temporal():
        return "dates or times"
    return {pl.Boolean: "true and false", pl.Null: "nothing but null"}.get(kind.base_type(), f"values of type {kind}")


def compatible(one: pl.DataType, other: pl.DataType) -> bool:
    """Whether two files may hold these types in one column."""
    if isinstance(one, (pl.List, pl.Array)) and isinstance(other, (pl.List, pl.Array)):
        return compatible(one.inner, other.inner)
    words = {describe(one), describe(other)}
    return len(words) == 1 or pl.Null in (one, other) or words == {"whole numbers", "numbers"}


def widened(kinds: Iterable[pl.DataType]) -> bool:
    """Whether some files hold whole numbers in a column and others numbers, so that all become numbers."""
    inner = {describe(kind.inner if isinstance(kind, (pl.List, pl.Array)) else kind) for kind in kinds}
    return {"whole numbers", "numbers"} <= inner


def plain(values: pl.Series, where: str, remedy: str = "") -> pl.Series:
    """Single values as `Int64`, `Float64` or `String`, the only types of which a value is hashed or given an id.

    Unsigned numbers beyond 2^63 wrap around, one to one. NaN is null. Dates and times are text.

    Raises:
        DataError: the column holds lists, or values that are nobody's id.
    """
    words = describe(values.dtype)
    if words in ("whole numbers", "true and false"):
        return values.reinterpret(signed=True) if values.dtype == pl.UInt64 else values.cast(pl.Int64)
    if words == "numbers":
        return values.cast(pl.Float64).fill_nan(None)
    if words in ("text", "dates or times", "nothing but null"):
        return values.cast(pl.String)
    raise DataError(Fault(where, f"holds {words}, where one value a row is meant.", remedy))


def named(values: pl.Series, where: str) -> pl.Series:
    """Names as text; whole numbers may be names.

    Raises:
        DataError: the column holds something else.
    """
    if describe(values.dtype) in ("text", "whole numbers", "true and false", "nothing but null"):
        return values.cast(pl.String)
    raise DataError(Fault(where, f"holds {describe(values.dtype)}, where names are meant."))


def numbers(values: pl.Series, where: str, remedy: str = "") -> NDArray[np.float64]:
    """Numbers, NaN where they are missing.

    Raises:
        DataError: the column holds something else.
    """
    words = describe(values.dtype)
    if words not in (*NUMBERS, "nothing but null"):
        raise DataError(Fault(where, f"holds {words}{_example(values)}, where numbers are meant.", remedy))
    return values.cast(pl.Float64).fill_null(np.nan).to_numpy()


def _example(values: pl.Series) -> str:
    """The first text that is no number: one such value makes text of a whole column of CSV."""
    if describe(values.dtype) != "text":
        return ""
    text = values.cast(pl.String)
    odd = text.filter(text.is_not_null() & text.cast(pl.Float64, strict=False).is_null())
    return f' ("{odd[0]}")' if len(odd) else ""


def exact(values: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Which numbers are told from their neighbours: beyond 2^53, floating point has no room for each whole number."""
    return ~(np.abs(values) >= 2.0**53)


def lists(values: pl.Series, where: str) -> pl.Series:
    """Lists of single values; a missing list is an empty one.

    Raises:
        DataError: the column holds something else.
    """
    kind = values.dtype
    if not isinstance(kind, (pl.List, pl.Array)):
        text = "CSV cannot hold lists; a column of lists in Parquet can."
        remedy = text if kind == pl.String else 'Declare it "categorical" or "numeric".'
        raise DataError(Fault(where, f"holds {describe(kind)}, where lists are meant.", remedy))
    plain(pl.Series([], dtype=kind.inner), where, "Lists of lists are not read.")
    return values.cast(pl.List(kind.inner)) if isinstance(kind, pl.Array) else values
