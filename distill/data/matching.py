"""Matching: which ids of two vocabularies stand for the same value."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from distill.types import UNSEEN

Ids = NDArray[np.int64]


def matching(ours: pl.Series, theirs: pl.Series) -> tuple[Ids, Ids]:
    """The ids of all values that both know, side by side; what is unseen here is what is unseen there.

    Args:
        ours: the value of each id, as `View.values` gives them; null is a value, but for that of `UNSEEN`.
        theirs: the same of the other.

    >>> matching(pl.Series([None, 7, 9]), pl.Series([None, 9, 8]))
    (array([0, 2]), array([0, 1]))
    """
    own, known = (
        pl.DataFrame({"value": values}).with_row_index(name).filter(pl.col(name) != UNSEEN)
        for name, values in (("ours", ours), ("theirs", theirs))
    )
    pairs = own.join(known, on="value", nulls_equal=True, maintain_order="left")
    return tuple(np.append(UNSEEN, pairs[side].to_numpy().astype(np.int64)) for side in ("ours", "theirs"))
