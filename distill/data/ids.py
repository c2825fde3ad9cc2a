"""From plain values to codes: by the vocabulary of a table, or by hash where the table is hashed."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from distill.data.block import Desk
from distill.data.hashing import NULL, Hashes, hashes, salted
from distill.data.tables import rule
from distill.data.vocabulary import Vocabulary

Codes = NDArray[np.int32]


class Ids:
    """The codes of one table, and the digests of the values, whatever the codes are."""

    def __init__(self, desk: Desk, table: str) -> None:
        self.table = table
        self.buckets = rule(desk.settings.features, table).hash
        self.words = None if self.buckets else desk.vocabulary(f"table:{table}")

    def codes(self, values: pl.Series) -> tuple[Codes, Hashes]:
        """The code of each plain value, and its digest."""
        if self.words is not None:
            return self.words.codes(values)
        marks = hashes_of(values)  # No vocabulary: memory does not grow with the values.
        return bucket(marks, self.table, self.buckets), marks


def hashes_of(values: pl.Series) -> Hashes:
    """The hash of each plain value, of which many may be equal."""
    words = Vocabulary()
    codes, _ = words.codes(values)
    fresh = words.committed()
    known = np.append(NULL, hashes(fresh)) if fresh is not None else np.array([NULL])
    return known[codes]


def bucket(marks: Hashes, salt: str, buckets: int) -> Codes:
    """The id of each hash in a table of so many rows, the first of them `UNSEEN`."""
    return (1 + salted(marks, salt) % np.uint64(buckets - 1)).astype(np.int32)
