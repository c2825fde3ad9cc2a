"""Where something is kept for a whole number: at the number itself, or, where numbers lie far apart, at its hash."""

import numpy as np
from numpy.typing import NDArray

from distill.data.hashing import mixed

Keys = NDArray[np.int64]

DIRECT = 1 << 22
"""Most numbers for which each has a place of its own, whether it is met or not."""

EMPTY = -1
"""Marks a place that no key has; keys are any other whole numbers."""


class DirectPlaces:
    """Every key below `size` has the place of its own number."""

    def __init__(self, size: int) -> None:
        self.size = size

    def find(self, keys: Keys) -> Keys:
        """The place of each key."""
        return keys

    def take_in(self, keys: Keys) -> None:
        """Nothing has to move."""
        return


class HashedPlaces:
    """Open addressing with linear probing, all keys of a batch at once; at most half of the places are taken.

    The last place belongs to no key: it is where the others are not found.
    """

    def __init__(self) -> None:
        self._keys = np.full(1 << 16, EMPTY, dtype=np.int64)
        self._taken = 0

    @property
    def size(self) -> int:
        """Number of places."""
        return len(self._keys) + 1

    def find(self, keys: Keys) -> Keys:
        """The place of each key; the last where it has none."""
        place = self._start(keys)
        found = self._keys[place]
        open_ = np.flatnonzero((found != keys) & (found != EMPTY))
        while len(open_):
            place[open_] = (place[open_] + 1) & (len(self._keys) - 1)
            found[open_] = self._keys[place[open_]]
            open_ = open_[(found[open_] != keys[open_]) & (found[open_] != EMPTY)]
        place[found == EMPTY] = len(self._keys)
        return place

    def take_in(self, keys: Keys) -> tuple[Keys, Keys] | None:
        """Gives distinct keys places; where that takes more room, returns the old and the new places of all others."""
        keys = keys[self.find(keys) == len(self._keys)]
        moved = None
        if 2 * (self._taken + len(keys)) > len(self._keys):
            old = np.flatnonzero(self._keys != EMPTY)
            known = self._keys[old]
            room = 1 << int(4 * (self._taken + len(keys)) - 1).bit_length()
            self._keys = np.full(room, EMPTY, dtype=np.int64)
            self._put(known)
            moved = (old, self.find(known))
        self._put(keys)
        self._taken += len(keys)
        return moved

    def _start(self, keys: Keys) -> Keys:
        shift = np.uint64(65 - len(self._keys).bit_length())
        return (mixed(keys.view(np.uint64)) >> shift).astype(np.int64)

    def _put(self, keys: Keys) -> None:
        """Each key takes the first free place from its hash on; of several that want one, one gets it."""
        place = self._start(keys)
        while len(keys):
            free = self._keys[place] == EMPTY
            self._keys[place[free]] = keys[free]
            lost = self._keys[place] != keys
            keys, place = keys[lost], (place[lost] + 1) & (len(self._keys) - 1)
