"""The values of one table, numbered in the order in which they come; a number once given never changes."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from distill.data.hashing import NULL, Hashes, hashes

MISSING = 0
"""The code of null, which counts as a value."""

DENSE = 1 << 16
"""Whole numbers that span less than this, or than a few times their count, are looked up by their place."""


class Vocabulary:
    """Gives each value a code, and each code the hash of its value. Memory grows with the distinct values alone."""

    def __init__(self) -> None:
        self.size = 1
        self.fresh: list[pl.Series] = []
        self._marks = np.full(64, NULL, dtype=np.uint64)
        self._numbers: dict[int | float | str, int] | None = None
        self._low = 0
        self._table = np.zeros(0, dtype=np.int32)

    def codes(self, values: pl.Series) -> NDArray[np.int32]:
        """The code of each plain value (see `kinds.plain`); those not met before are taken up in their order."""
        if values.dtype == pl.Int64 and self._numbers is None and self._reach(values):
            return self._dense(values)
        if self._numbers is None:
            self._spread(values.dtype)
        distinct = values.drop_nulls().unique(maintain_order=True)
        known = self._numbers
        before = self.size
        codes = [known.setdefault(value, len(known) + 1) for value in distinct.to_list()]
        self.size = len(known) + 1
        found = pl.Series(codes, dtype=pl.Int32)
        self._note(distinct.filter(found >= before))
        if not len(distinct):
            return np.zeros(len(values), dtype=np.int32)
        return values.replace_strict(distinct, found, default=MISSING, return_dtype=pl.Int32).to_numpy()

    def marks(self, codes: NDArray[np.int32]) -> Hashes:
        """The hash of the value of each code."""
        return self._marks[codes]

    def committed(self) -> pl.Series | None:
        """The values taken up since the last call, in the order of their codes."""
        fresh, self.fresh = self.fresh, []
        return pl.concat(fresh, rechunk=True) if fresh else None

    def _reach(self, values: pl.Series) -> bool:
        """Makes room for whole numbers to be looked up by their place; False where they lie too far apart."""
        low, high = values.min(), values.max()
        if low is None:
            return True
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

    def _dense(self, values: pl.Series) -> NDArray[np.int32]:
        present = values.is_not_null().to_numpy()
        if not present.any():
            return np.zeros(len(values), dtype=np.int32)
        places = values.fill_null(self._low).to_numpy() - self._low
        codes = self._table[places]
        fresh = pl.Series(places[(codes == 0) & present]).unique(maintain_order=True).to_numpy()
        if len(fresh):
            self._table[fresh] = np.arange(self.size, self.size + len(fresh), dtype=np.int32)
            self.size += len(fresh)
            self._note(pl.Series(fresh + self._low, dtype=pl.Int64))
            codes = self._table[places]
        return codes if present.all() else np.where(present, codes, np.int32(MISSING))

    def _spread(self, dtype: pl.DataType) -> None:
        """From a table of places to a dictionary."""
        places = np.flatnonzero(self._table)
        ordered = places[np.argsort(self._table[places])] + self._low
        self._numbers = {value: code for code, value in enumerate(ordered.tolist(), 1)}
        self._table = np.zeros(0, dtype=np.int32)

    def _note(self, values: pl.Series) -> None:
        """Keeps the values that have just become the last codes, and their hashes."""
        if not len(values):
            return
        self.fresh.append(values.rename("value"))
        if self.size > len(self._marks):
            self._marks = np.resize(self._marks, max(self.size, 2 * len(self._marks)))
        self._marks[self.size - len(values) : self.size] = hashes(values)
