"""What impressions must be, as faults that name the column, how many rows break it, and the first of them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import polars as pl
from numpy.typing import NDArray

from distill.errors import DataError, Fault

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


def refuse(bad: NDArray[np.bool_], place: Place, what: str, remedy: str = "") -> None:
    """No row may be `bad`.

    Raises:
        DataError: some are; says how many, and where the first is.
    """
    count = int(bad.sum())
    if count:
        many = f" ({count} such rows)" if count > 1 else ""
        raise DataError(Fault(place(int(bad.argmax())), f"{what}{many}.", remedy))


def filled(values: pl.Series, place: Place) -> None:
    """No value may be missing.

    Raises:
        DataError: some are.
    """
    refuse(values.is_null().to_numpy(), place, "is null", "Fill it, or leave such rows out.")


def binary(values: NDArray[np.float64], place: Place) -> None:
    """A label is 0 or 1; NaN stands for a label that does not exist.

    Raises:
        DataError: there are others; the first few are shown.
    """
    bad = (values != 0) & (values != 1) & ~np.isnan(values)
    others = ", ".join(f"{value:g}" for value in np.unique(values[bad])[:5])
    refuse(bad, place, f"a label is 0 or 1, but this column holds {others}")


def finite(values: NDArray[np.float64], place: Place) -> None:
    """Infinite numbers are refused; missing ones are somebody else's question.

    Raises:
        DataError: there are some.
    """
    refuse(np.isinf(values), place, "is infinite", "Clip it at the source.")


def unique(values: pl.Series, where: str) -> None:
    """A row id names one row.

    Raises:
        DataError: some name several; the first few are shown.
    """
    repeated = values.filter(values.is_duplicated())
    if len(repeated):
        shown = ", ".join(map(str, repeated.unique().sort().head(5).to_list()))
        raise DataError(Fault(where, f"names several rows with one id ({len(repeated)} rows; {shown})."))
