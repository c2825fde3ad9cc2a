"""The last clicks of each user of a generated world, as rows come in the order of time."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from distill.data.tastes import Integers, Shown

HISTORY = 10
"""Most clicks that a history keeps."""


class Clicks(NamedTuple):
    """Clicks by user and time, the last few of each user."""

    user: Integers
    time: Integers
    item: Integers

    @classmethod
    def none(cls) -> "Clicks":
        """Before the first row."""
        return cls(*(np.zeros(0, dtype=np.int64) for _ in range(3)))

    def followed(self, shown: Shown, label: NDArray[np.bool_]) -> tuple["Clicks", tuple[Integers, Integers]]:
        """The clicks behind some rows, and for each of these rows the items of its history, and how many count.

        A history holds clicks at strictly earlier times, newest first.
        """
        new = (shown.user[label], shown.time[label], shown.item[label])
        user, time, item = (np.concatenate(pair) for pair in zip(self, new, strict=True))
        span = int(shown.time[-1]) + 1
        key = user * span + time
        order = np.argsort(key, kind="stable")
        user, time, item, key = user[order], time[order], item[order], key[order]
        end = np.searchsorted(key, shown.user * span + shown.time, side="left")
        start = np.searchsorted(key, shown.user * span, side="left")
        past = np.maximum(end[:, None] - 1 - np.arange(HISTORY), 0)
        items = item[past] if len(item) else past
        last = np.searchsorted(user, user, side="right") - np.arange(len(user)) <= HISTORY
        return Clicks(user[last], time[last], item[last]), (items, np.minimum(end - start, HISTORY))
