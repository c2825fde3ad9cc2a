"""What impressions must be, as faults that name the column, how many rows break it, and the first of them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import polars as pl
from numpy.typing import NDArray

from distill.data.settings import Categorical, DataSettings, Feature, MultiValued, Sequence, SplitByHash, SplitByTime
from distill.errors import DataError, Fault, suggestion

Place = Callable[[int], str]
"""How a fault names the value of a row."""


class Faults(list[Fault]):
    """Gathers the faults of one column after another, so that all are told at once."""

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """What is wrong in the block is noted, and the rest of the block left out."""
        try:
            yield
        except DataError as error:
            self.extend(fault for fault in error.faults if fault not in self)

    def tell(self) -> None:
        """Raises all of them, if there are any."""
        if self:
            raise DataError(*self)


def declared(settings: DataSettings) -> None:
    """Checks what can be wrong with a data section by itself.

    Raises:
        DataError: parts of it do not go together.
    """
    faults = Faults()
    categorical = [name for name, feature in settings.features.items() if isinstance(feature, Categorical)]
    for name, feature in settings.features.items():
        for shared in _shared(feature):
            if shared not in categorical:
                remedy = suggestion(shared, categorical) if categorical else "Declare it."
                faults.append(Fault(f"data.features.{name}", f'"{shared}" is no categorical feature.', remedy))
        if isinstance(feature, Categorical) and feature.hash and feature.min_count > 1:
            remedy = "Leave one out: a hash keeps no counts."
            faults.append(Fault(f"data.features.{name}", "`hash` and `min_count` exclude each other.", remedy))
    split = settings.split
    if isinstance(split, SplitByTime) and settings.time is None:
        faults.append(Fault("data.split", "a split by time needs `data.time`.", "Name the column of times."))
    if isinstance(split, SplitByHash) and split.valid + split.test >= 1:
        faults.append(Fault("data.split", f"`valid` and `test` leave nothing to train ({split.valid} + {split.test})."))
    faults.tell()


def _shared(feature: Feature) -> list[str]:
    if isinstance(feature, MultiValued):
        return [feature.shares] if feature.shares else []
    return [name for name in feature.columns.values() if name] if isinstance(feature, Sequence) else []


def filled(values: pl.Series, where: str, place: Place) -> None:
    """No value may be missing.

    Raises:
        DataError: some are.
    """
    if values.null_count():
        refuse(values.is_null().to_numpy(), where, place, "is null", "Fill it, or leave these rows out.")


def refuse(bad: NDArray[np.bool_], where: str, place: Place, what: str, remedy: str = "") -> None:
    """No row may be `bad`.

    Raises:
        DataError: some are; says how many and names the first.
    """
    count = int(bad.sum())
    if count:
        first = place(int(bad.argmax()))
        raise DataError(Fault(first if count == 1 else where, _counted(what, count, first), remedy))


def _counted(what: str, count: int, first: str) -> str:
    return f"{what}." if count == 1 else f"{what} in {count} rows, first in {first.rpartition(', ')[2]}."


def binary(values: NDArray[np.float64], where: str, place: Place) -> None:
    """A label is 0 or 1; NaN stands for a label that does not exist.

    Raises:
        DataError: there are others; the first few are shown.
    """
    bad = (values != 0) & (values != 1) & ~np.isnan(values)
    others = ", ".join(f"{value:g}" for value in np.unique(values[bad])[:5])
    refuse(bad, where, place, f"holds {others}, where a label is 0 or 1")


def finite(values: NDArray[np.float64], where: str, place: Place) -> None:
    """Infinite numbers are refused; missing ones are somebody else's question.

    Raises:
        DataError: there are some.
    """
    refuse(np.isinf(values), where, place, "is infinite", "Clip it at the source.")


def unique(values: pl.Series, where: str) -> None:
    """A row id names one row.

    Raises:
        DataError: some name several; the first few are shown.
    """
    repeated = values.filter(values.is_duplicated())
    if len(repeated):
        shown = ", ".join(map(str, repeated.unique().sort().head(5).to_list()))
        raise DataError(Fault(where, f"names several rows with one id ({len(repeated)} rows; {shown})."))
