"""Timelines: the rows of each owner in the order of time, and where in it a moment falls."""

import numpy as np
from numpy.typing import NDArray


class Timeline:
    """Some rows by owner, those of one owner by time. Rows of one owner and time are a block.

    Args:
        owner: a number for each row, [rows].
        time: of each row, [rows].

    Attributes:
        order: place of each row among those given, by owner, then time.

    Example:
        >>> line = Timeline(np.array([1, 0, 1, 1]), np.array([5.0, 1.0, 2.0, 5.0]))
        >>> line.order.tolist(), line.before(np.array([1, 1]), np.array([5.0, 9.0])).tolist()
        ([1, 2, 0, 3], [2, 4])
    """

    def __init__(self, owner: NDArray[np.int64], time: NDArray[np.float64]) -> None:
        self._times, rank = np.unique(time, return_inverse=True)
        key = self._key(owner, rank)
        self.order = np.argsort(key, kind="stable")
        self._keys = key[self.order]

    def before(self, owner: NDArray[np.int64], time: NDArray[np.float64]) -> NDArray[np.int64]:
        """Place in `order` behind the last row of an owner whose time is earlier; that of its first where none is."""
        return np.searchsorted(self._keys, self._key(owner, np.searchsorted(self._times, time, "left")))

    def upto(self, owner: NDArray[np.int64], time: NDArray[np.float64]) -> NDArray[np.int64]:
        """Place in `order` behind the last row of an owner whose time is not later."""
        return np.searchsorted(self._keys, self._key(owner, np.searchsorted(self._times, time, "right")))

    def block(self, place: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First place of the block at each place of `order`, and the place behind its last."""
        key = self._keys[place]
        return np.searchsorted(self._keys, key, "left"), np.searchsorted(self._keys, key, "right")

    def _key(self, owner: NDArray[np.int64], rank: NDArray[np.int64]) -> NDArray[np.int64]:
        """One number that sorts by owner and then by the place of a time among all that there are."""
        return owner.astype(np.int64) * (len(self._times) + 1) + rank
