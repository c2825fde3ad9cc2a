"""Vectors beside raw rows: as one more column, or from a cache that knows the vector of each user."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from distill.data.given import Given, conformed
from distill.data.kinds import plain


def beside(frame: pl.DataFrame, name: str, vectors: NDArray[np.floating], there: NDArray[np.bool_]) -> pl.DataFrame:
    """A frame with one more column of vectors, null where there is none.

    Args:
        frame: some rows.
        name: of the column.
        vectors: one for each row, [rows, width].
        there: which of them count, [rows].
    """
    column = pl.DataFrame({name: vectors, "there": there})
    return frame.with_columns(column.select(pl.when("there").then(pl.col(name)).alias(name))[name])


def named_users(column: pl.Series) -> tuple[list[Any], str]:
    """The users of a column as plain values, and what they are, in the words of `given.conformed`."""
    users = plain(column, f"column `{column.name}`")
    return users.to_list(), str(users.dtype)


class UserVectors:
    """The vector of each user that is known.

    Args:
        column: the column of users.
        kind: what it holds.
        users: who is known.
        vectors: of each of them, [users, width].

    Raises:
        DataError: users are something else than `kind`.
    """

    def __init__(self, column: str, kind: str, users: Sequence[Any], vectors: NDArray[np.floating]) -> None:
        self.column, self.kind, self.known = column, kind, Given(users, kind)
        nobody = np.zeros((1, vectors.shape[1]), dtype=np.float32)
        self.vectors = np.concatenate([nobody, vectors.astype(np.float32)])

    def beside(self, frame: pl.DataFrame, name: str, place: str) -> pl.DataFrame:
        """A frame with the vector of each row's user in one more column; null where nobody knows that user.

        Args:
            frame: rows with the column of users.
            name: of the new column.
            place: how faults name where the rows come from.

        Raises:
            DataError: the users are not of the kind that they were.
        """
        users = conformed(frame, {self.column: self.kind}, place)[self.column]
        ids, _ = self.known.codes(users)
        return beside(frame, name, self.vectors[ids], ids > 0)
