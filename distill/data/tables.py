"""Which columns read which embedding table, and how the values of a table become ids."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from distill.data.settings import Bucketised, Categorical, Cross, Feature, MultiValued, Sequence
from distill.types import GAPS


def columns(name: str, feature: Feature) -> tuple[str, ...]:
    """The columns of the source that a feature reads."""
    if isinstance(feature, Cross):
        return feature.columns
    if isinstance(feature, Sequence):
        return (*feature.columns, *([feature.times] if feature.times is not None else []))
    return (feature.column or name,)


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
        if isinstance(feature, Categorical | Bucketised):
            yield Use(name, name, feature.column or name, 0)
        elif isinstance(feature, Cross):
            yield Use(name, name, " x ".join(feature.columns), 0)
        elif isinstance(feature, MultiValued):
            yield Use(feature.shares or name, name, feature.column or name, 0)
        elif isinstance(feature, Sequence):
            for place, (column, shares) in enumerate(feature.columns.items()):
                yield Use(shares or f"{name}/{column}", name, column, place)
            if feature.times is not None:
                yield Use(f"{name}/{feature.times}", name, feature.times, len(feature.columns))


def by_table(features: Mapping[str, Feature]) -> dict[str, list[Use]]:
    """The columns of ids of each table, tables in the order of their first use."""
    tables: dict[str, list[Use]] = {}
    for use in uses(features):
        tables.setdefault(use.table, []).append(use)
    return tables


def rule(features: Mapping[str, Feature], table: str) -> Categorical:
    """How the values of a table with a vocabulary, or of a hashed one, become ids."""
    feature = features.get(table)
    return feature if isinstance(feature, Categorical) else Categorical()


def given(features: Mapping[str, Feature], table: str) -> int | None:
    """The height of a table whose ids do not depend on what training rows show: hashes and gaps; None for the others.

    Buckets of numbers are left out: where they lie is fitted.
    """
    feature = features.get(table)
    if isinstance(feature, Categorical | Cross):
        return feature.hash
    histories = [(name, one.times) for name, one in features.items() if isinstance(one, Sequence)]
    return GAPS if any(times is not None and f"{name}/{times}" == table for name, times in histories) else None
