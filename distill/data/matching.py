"""Matching: the same values under the numbers that two views give them."""

import numpy as np
import polars as pl
from jaxtyping import Int

from distill.data.view import View
from distill.types import UNSEEN

Ids = Int[np.ndarray, " ids"]


def matched(
    table: str, ours: View, our_vertical: str | None, theirs: View, their_vertical: str | None
) -> tuple[Ids, Ids]:
    """Ids of one view, and those that another gives to the same values of a table; `UNSEEN` goes with `UNSEEN`.

    Ids that are computed from values, and not looked up, are the same in every view.

    Args:
        table: name of an embedding table that both have.
        ours: one view.
        our_vertical: the vertical whose ids they are; None where its scope is `all`.
        theirs: the other view.
        their_vertical: the same of the other view.
    """
    own, other = ours.values(table, our_vertical), theirs.values(table, their_vertical)
    if own is None or other is None:
        heights = ours.schema(our_vertical).tables[table], theirs.schema(their_vertical).tables[table]
        same = np.arange(min(heights))
        return same, same
    known = pl.DataFrame({"value": other}).with_row_index("theirs").filter(pl.col("theirs") != UNSEEN)
    mine = pl.DataFrame({"value": own}).with_row_index("ours").filter(pl.col("ours") != UNSEEN)
    pairs = mine.join(known, on="value", nulls_equal=True)
    ids = [np.append(UNSEEN, pairs[side].to_numpy()).astype(np.int64) for side in ("ours", "theirs")]
    return ids[0], ids[1]
