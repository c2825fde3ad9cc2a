"""Which columns read which embedding table, and the values that a table may have to know."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from distill.data.kinds import describe, plain
from distill.data.settings import Categorical, Feature, MultiValued, Sequence
from distill.errors import DataError, Fault


class Use(NamedTuple):
    """A column of ids.

    Attributes:
        table: the embedding table that it reads.
        feature: the feature that it belongs to.
        column: its name in the source.
        place: which of the feature's columns it is.
    """

    table: str
    feature: str
    column: str
    place: int


def uses(features: Mapping[str, Feature]) -> Iterator[Use]:
    """Every column of ids of `features`, in their order.

    A column that shares no categorical feature's table has one of its own: `feature`, or `feature/column` where the
    feature has several.
    """
    for name, feature in features.items():
        if isinstance(feature, Categorical):
            yield Use(name, name, feature.column or name, 0)
        elif isinstance(feature, MultiValued):
            yield Use(feature.shares or name, name, feature.column or name, 0)
        elif isinstance(feature, Sequence):
            for place, (column, shares) in enumerate(feature.columns.items()):
                yield Use(shares or f"{name}/{column}", name, column, place)


def by_table(features: Mapping[str, Feature]) -> dict[str, list[Use]]:
    """The columns of ids of each table, tables in the order of their first use."""
    tables: dict[str, list[Use]] = {}
    for use in uses(features):
        tables.setdefault(use.table, []).append(use)
    return tables


def distinct(columns: Iterable[tuple[pl.Series, str]]) -> pl.Series:
    """All values of some columns or lists, sorted, without null.

    Args:
        columns: the values, and how a fault names them.

    Raises:
        DataError: the columns share a table but hold values of different kinds, so that no two would ever be equal.
    """
    found = []
    for values, where in columns:
        single = values.explode() if isinstance(values.dtype, pl.List) else values
        found.append((plain(single.unique(), where).drop_nulls(), where))
    typed = [(values, where) for values, where in found if len(values)] or found[:1]
    (first, one), *others = typed
    faults = [
        Fault(where, f"holds {describe(values.dtype)}, but shares a table with {one}: {describe(first.dtype)}.")
        for values, where in others
        if values.dtype != first.dtype
    ]
    if faults:
        raise DataError(*faults)
    return pl.concat([values for values, _ in typed]).unique().sort()


def codes(values: pl.Series, known: pl.Series) -> NDArray[np.int32]:
    """The place of each plain value in the sorted values `known`; null comes behind the last."""
    if not len(known):
        return np.zeros(len(values), dtype=np.int32)
    places = pl.int_range(len(known), dtype=pl.Int32, eager=True)
    return values.replace_strict(known, places, default=len(known), return_dtype=pl.Int32).to_numpy()
