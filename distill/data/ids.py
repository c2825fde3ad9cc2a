"""From plain values to codes: by the vocabulary of a table, or by hash where the table is hashed."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from distill.data.block import Desk
from distill.data.hashing import Hashes, salted
from distill.data.tables import rule
from distill.data.vocabulary import Vocabulary

Codes = NDArray[np.int32]


class Ids:
    """The codes of one table, and the hashes of the values whatever the codes are."""

    def __init__(self, desk: Desk | None, table: str) -> None:
        self.table = table
        self.buckets = rule(desk.settings.features, table).hash if desk else None
        self.words = None if desk is None or self.buckets else desk.vocabulary(f"table:{table}")

    @classmethod
    def hashed(cls) -> "Ids":
        """Of no table: hashes alone are wanted."""
        return cls(None, "")

    def codes(self, values: pl.Series) -> tuple[Codes, Hashes]:
        """The code of each plain value, and its hash."""
        words = self.words or Vocabulary()  # A hash keeps no values: memory does not grow with them.
        codes = words.codes(values)
        marks = words.marks(codes)
        if self.buckets:
            return self.bucket(marks, self.table, self.buckets), marks
        return codes, marks

    @staticmethod
    def bucket(marks: Hashes, salt: str, buckets: int) -> Codes:
        """The id of each hash in a table of so many rows, the first of them `UNSEEN`."""
        return (1 + salted(marks, salt) % np.uint64(buckets - 1)).astype(np.int32)
