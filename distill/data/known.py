"""What the training rows of each group show of a table, as ids: the group is a vertical, or all of them.

Ids are numbered from 1 in the order in which training rows show their values, where a minimum count is set in the order
in which they reach it. So they depend on nothing that validation or test rows hold, and rows that are appended number
new values behind the known ones. `UNSEEN` is 0.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from distill.types import UNSEEN

Keys = NDArray[np.int64]
Ids = NDArray[np.int32]

TABLED = 1 << 22
"""Most pairs of group and code for which ids are looked up by place rather than by search."""


class Known:
    """The codes that are known to each group.

    Args:
        groups: number of groups.
        codes: number of codes of the table.
        fewest: how often training rows must show a value.
    """

    def __init__(self, groups: int, codes: int, fewest: int) -> None:
        self.groups, self.codes, self.fewest = groups, codes, fewest
        self._order: list[Keys] = []
        self._counted = np.zeros(0, dtype=np.int64)
        self._counts = np.zeros(0, dtype=np.int64)

    def show(self, group: Keys, codes: Ids) -> None:
        """Takes up codes that training rows show, in the order of the rows."""
        keys = pl.Series(group * self.codes + codes)
        if self.fewest == 1:
            distinct = keys.unique(maintain_order=True).to_numpy()
            fresh = distinct[self._before(distinct) == 0]
            self._count(fresh, np.ones(len(fresh), dtype=np.int64))
        else:
            fresh = self._reached(keys)
        self._order.append(fresh)

    def close(self) -> None:
        """Numbers what was shown."""
        keys = np.concatenate(self._order) if self._order else np.zeros(0, dtype=np.int64)
        group = keys // self.codes
        by_group = np.argsort(group, kind="stable")
        self.heights = np.bincount(group, minlength=self.groups) + 1
        self.values = (keys % self.codes)[by_group].astype(np.int32)
        ids = np.arange(len(keys)) - np.repeat(np.cumsum(self.heights - 1) - (self.heights - 1), self.heights - 1) + 1
        order = np.argsort(keys[by_group])
        self._keys, self._ids = keys[by_group][order], ids[order].astype(np.int32)
        self._table = None
        if self.groups * self.codes <= TABLED:
            self._table = np.full(self.groups * self.codes, UNSEEN, dtype=np.int32)
            self._table[self._keys] = self._ids

    def ids(self, group: Keys, codes: Ids) -> Ids:
        """The id of each code in its group."""
        keys = group * self.codes + codes
        if self._table is not None:
            return self._table[keys]
        if not len(self._keys):
            return np.full(len(keys), UNSEEN, dtype=np.int32)
        place = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return np.where(self._keys[place] == keys, self._ids[place], np.int32(UNSEEN))

    def _reached(self, keys: pl.Series) -> Keys:
        """The keys that are shown for the `fewest`-th time, in the order in which that happens; all are counted."""
        rank = pl.DataFrame({"key": keys}).select(pl.int_range(pl.len()).over("key")).to_series().to_numpy()
        found = keys.to_numpy()
        fresh = found[self._before(found) + rank + 1 == self.fewest]
        distinct, counts = np.unique(found, return_counts=True)
        self._count(distinct, counts)
        return fresh

    def _before(self, keys: Keys) -> Keys:
        """How often each key was counted before."""
        if not len(self._counted):
            return np.zeros(len(keys), dtype=np.int64)
        place = np.minimum(np.searchsorted(self._counted, keys), len(self._counted) - 1)
        return np.where(self._counted[place] == keys, self._counts[place], 0)

    def _count(self, keys: Keys, counts: Keys) -> None:
        """Adds counts of distinct keys."""
        place = np.searchsorted(self._counted, keys)
        there = np.zeros(len(keys), dtype=bool)
        if len(self._counted):
            there = self._counted[np.minimum(place, len(self._counted) - 1)] == keys
            self._counts[place[there]] += counts[there]
        merged = np.concatenate([self._counted, keys[~there]])
        order = np.argsort(merged, kind="stable")
        self._counted = merged[order]
        self._counts = np.concatenate([self._counts, counts[~there]])[order]
