"""What the training rows of each group show of a table, as ids: the group is a vertical, or all of them.

Ids are numbered from 1 in the order in which training rows show their values, where a minimum count is set in the order
in which they reach it. So they depend on nothing that validation or test rows hold, and rows that are appended number
new values behind the known ones. `UNSEEN` is 0.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from distill.data.places import DIRECT, DirectPlaces, HashedPlaces
from distill.types import UNSEEN

Keys = NDArray[np.int64]
Ids = NDArray[np.int32]


class Known:
    """The codes that are known to each group.

    Args:
        groups: number of groups.
        codes: number of codes of the table.
        fewest: how often training rows must show a value.

    Attributes:
        heights: number of ids of each group, `UNSEEN` among them.
    """

    def __init__(self, groups: int, codes: int, fewest: int) -> None:
        self.codes, self.fewest = codes, fewest
        self.heights = np.ones(groups, dtype=np.int64)
        self._places = DirectPlaces(groups * codes) if groups * codes <= DIRECT else HashedPlaces()
        self._counts = np.zeros(self._places.size if fewest > 1 else 0, dtype=np.int32)
        self._ids = np.full(self._places.size, UNSEEN, dtype=np.int32)
        self._order: list[Keys] = []

    def show(self, group: Keys, codes: Ids) -> None:
        """Takes up codes that training rows show, in the order of the rows."""
        keys = pl.Series(group * self.codes + codes)
        fresh = self._first(keys) if self.fewest == 1 else self._reached(keys)
        owner = fresh // self.codes
        order = np.argsort(owner, kind="stable")
        counts = np.bincount(owner, minlength=len(self.heights))
        rank = np.arange(len(fresh)) - np.repeat(np.cumsum(counts) - counts, counts)
        self._ids[self._places.find(fresh[order])] = self.heights[owner[order]] + rank
        self.heights += counts
        self._order.append(fresh)

    def values(self) -> Ids:
        """The code of each id but `UNSEEN`, group by group."""
        keys = np.concatenate([np.zeros(0, dtype=np.int64), *self._order])
        return (keys % self.codes)[np.argsort(keys // self.codes, kind="stable")].astype(np.int32)

    def ids(self, group: Keys, codes: Ids) -> Ids:
        """The id of each code in its group."""
        return self._ids[self._places.find(group * self.codes + codes)]

    def _first(self, keys: pl.Series) -> Keys:
        """The keys that are shown for the first time, in the order in which that happens."""
        distinct = keys.unique(maintain_order=True).to_numpy()
        fresh = distinct[self._ids[self._places.find(distinct)] == UNSEEN]
        self._make_room(fresh)
        return fresh

    def _reached(self, keys: pl.Series) -> Keys:
        """The keys that are shown for the `fewest`-th time, in the order in which that happens; all are counted."""
        rank = pl.DataFrame({"key": keys}).select(pl.int_range(pl.len()).over("key")).to_series().to_numpy()
        found = keys.to_numpy()
        fresh = found[self._counts[self._places.find(found)] + rank + 1 == self.fewest]
        distinct, counts = np.unique(found, return_counts=True)
        self._make_room(distinct)
        self._counts[self._places.find(distinct)] += counts.astype(np.int32)
        return fresh

    def _make_room(self, keys: Keys) -> None:
        """Gives distinct keys places; what is known of others goes where they go."""
        moved = self._places.take_in(keys)
        if moved is not None:
            self._ids = self._moved(self._ids, *moved)
            self._counts = self._moved(self._counts, *moved) if self.fewest > 1 else self._counts

    def _moved(self, column: Ids, old: Keys, new: Keys) -> Ids:
        found = np.zeros(self._places.size, dtype=np.int32)
        found[new] = column[old]
        return found
