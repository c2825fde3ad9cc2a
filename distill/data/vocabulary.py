"""The values of one table, numbered in the order in which they come; a number once given never changes."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from distill.data.hashing import Hashes, digests
from distill.data.places import HashedPlaces

MISSING = 0
"""The code of null, which counts as a value."""

DENSE = 1 << 16
"""Whole numbers that span less than this, or than a few times their count, are looked up by their place."""


class Vocabulary:
    """Gives each value a code. Memory grows with the distinct values alone, by some twenty bytes each.

    Whole numbers that lie close together are looked up by their place, other values by a digest of 64 bits: of ten
    million texts, two are taken for one with a probability of three in a million. Numbers are never mistaken.
    """

    def __init__(self) -> None:
        self.size = 1
        self._fresh: list[pl.Series] = []
        self._low = 0
        self._table = np.zeros(0, dtype=np.int32)
        self._places: HashedPlaces | None = None

    def codes(self, values: pl.Series) -> tuple[NDArray[np.int32], Hashes]:
        """The code of each plain value (see `kinds.plain`), and its digest; new ones are taken up in their order."""
        marks = digests(values)
        if values.dtype == pl.Int64 and self._places is None and self._reach(values):
            places = values.fill_null(self._low).to_numpy() - self._low
            present = values.is_not_null().to_numpy()
        else:
            places, present = self._spread(marks, values)
        codes = self._table[places]
        fresh = np.flatnonzero((codes == MISSING) & present)
        if len(fresh):
            self._take_up(values, marks, places, fresh)
            codes = self._table[self._placed(marks) if self._places else places]
        return (codes if present.all() else np.where(present, codes, np.int32(MISSING))), marks

    def committed(self) -> pl.Series | None:
        """The values taken up since the last call, in the order of their codes."""
        fresh, self._fresh = self._fresh, []
        return pl.concat(fresh, rechunk=True) if fresh else None

    def _take_up(self, values: pl.Series, marks: Hashes, places: NDArray[np.int64], fresh: NDArray[np.int64]) -> None:
        """Numbers the values of some rows, in the order in which they come first."""
        told = marks[fresh] if self._places else places[fresh]
        first = fresh[pl.Series(told).arg_unique().to_numpy()]
        self._fresh.append(values.gather(first).rename("value"))
        if self._places:
            self._make_room(marks[first])
        at = self._placed(marks[first]) if self._places else places[first]
        self._table[at] = np.arange(self.size, self.size + len(first), dtype=np.int32)
        self.size += len(first)

    def _reach(self, values: pl.Series) -> bool:
        """Makes room for whole numbers to be looked up by their place; False where they lie too far apart."""
        low, high = values.min(), values.max()
        if low is None:
            low = high = self._low
        if len(self._table):
            low, high = min(low, self._low), max(high, self._low + len(self._table) - 1)
        if high - low >= max(DENSE, 8 * (self.size + len(values))):
            return False
        if len(self._table) != high - low + 1:
            wider = np.zeros(high - low + 1, dtype=np.int32)
            start = self._low - low if len(self._table) else 0
            wider[start : start + len(self._table)] = self._table
            self._low, self._table = low, wider
        return True

    def _spread(self, marks: Hashes, values: pl.Series) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The places of values by their digests; whole numbers that had places of their own move."""
        if self._places is None:
            numbers = np.flatnonzero(self._table)
            codes = self._table[numbers]
            self._places = HashedPlaces()
            self._table = np.zeros(self._places.size, dtype=np.int32)
            known = digests(pl.Series(numbers + self._low, dtype=pl.Int64))
            self._make_room(known)
            self._table[self._placed(known)] = codes
        return self._placed(marks), values.is_not_null().to_numpy()

    def _make_room(self, marks: Hashes) -> None:
        moved = self._places.take_in(_keys(marks))
        if moved is not None:
            old, new = moved
            wider = np.zeros(self._places.size, dtype=np.int32)
            wider[new] = self._table[old]
            self._table = wider

    def _placed(self, marks: Hashes) -> NDArray[np.int64]:
        return self._places.find(_keys(marks))


def _keys(marks: Hashes) -> NDArray[np.int64]:
    """Digests as keys, which are whole numbers other than -1."""
    return np.where(marks == np.uint64(2**64 - 1), np.uint64(0), marks).view(np.int64)
