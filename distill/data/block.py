"""A block of rows while it is encoded: its raw columns, and what all coders of columns share."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from distill.data.checks import Faults
from distill.data.hashing import RowDigest
from distill.data.kinds import describe, exact, lists, numbers, plain, widened
from distill.data.settings import DataSettings
from distill.data.source import Source
from distill.data.vocabulary import Vocabulary
from distill.errors import DataError, Fault


@dataclass
class Block:
    """Rows that are encoded together.

    Attributes:
        frame: their raw columns.
        first: row of the source at which they begin.
        digest: takes up the content of every row.
        rows: what comes out: one entry a row.
        events: what comes out of histories and sets: codes of all events, row by row, [events, columns].
        notes: what comes out beside them, for the manifest.
    """

    frame: pl.DataFrame
    first: int
    digest: RowDigest
    rows: dict[str, pl.Series | NDArray] = field(default_factory=dict)
    events: dict[str, NDArray[np.int32]] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)


@dataclass
class Desk:
    """What all coders share: where the columns come from, what they mean, what is wrong, and the vocabularies.

    In service, `student` names the one whose rows these are: whoever serves it has no recipe to mend.
    """

    source: Source
    settings: DataSettings
    faults: Faults
    student: str = ""
    words: dict[str, Vocabulary] = field(default_factory=dict)
    shares: dict[str, tuple[str, str]] = field(default_factory=dict)

    def vocabulary(self, name: str) -> Vocabulary:
        """The vocabulary of a table or role; new ones are empty."""
        return self.words.setdefault(name, Vocabulary())


class Coder(ABC):
    """Encodes one role or feature, block by block. It is built before any row is read, and refuses the wrong types."""

    columns: tuple[str, ...]

    @abstractmethod
    def code(self, block: Block) -> None:
        """Encodes a block."""

    def recall(self, notes: dict[str, Any]) -> None:
        """Takes up what a block that was encoded before had noted."""
        return

    def close(self) -> None:
        """Says what can only be said behind the last row."""
        return


class Plain:
    """A column of single values as `Int64`, `Float64` or `String`, whichever holds those of all files.

    Raises:
        DataError: it holds something else.
    """

    def __init__(self, desk: Desk, column: str, remedy: str = "", inner: bool = False) -> None:
        self.desk, self.column, self.where = desk, column, desk.source.place(column)
        self.types = desk.source.kinds(column)
        for kind in self.types:
            if inner:
                lists(pl.Series([], dtype=kind), self.where)
            else:
                plain(pl.Series([], dtype=kind), self.where, remedy)
        self.wide = widened(self.types)

    def values(self, raw: pl.Series) -> pl.Series:
        """Raw values, plain."""
        values = plain(raw, self.where)
        return values.cast(pl.Float64) if self.wide and values.dtype == pl.Int64 else values

    @property
    def dtype(self) -> pl.DataType:
        """The type that all files' values have in the end."""
        return pl.Float64() if self.wide else plain(pl.Series([], dtype=self._held), self.where).dtype

    @property
    def kind(self) -> str:
        """What the values are, in the words of `given.conformed`: true and false share ids with 1 and 0, no more."""
        return "Boolean" if self._held == pl.Boolean else str(self.dtype)

    @property
    def _held(self) -> pl.DataType:
        """The type of single values in the first file that has any."""
        singles = [kind.inner if isinstance(kind, (pl.List, pl.Array)) else kind for kind in self.types]
        return next((kind for kind in singles if kind != pl.Null), pl.Null())

    def share(self, table: str) -> None:
        """Joins the columns that share a table.

        Raises:
            DataError: they hold values of another kind, so that no two would ever be equal.
        """
        if all(describe(kind) in ("nothing but null", "lists of nothing but null") for kind in self.types):
            return
        kind = describe(self.dtype)
        first, known = self.desk.shares.setdefault(table, (self.where, kind))
        if known != kind:
            raise DataError(Fault(self.where, f"holds {kind}, but shares a table with {first}: {known}."))

    def ids(self, raw: pl.Series, block: Block) -> pl.Series:
        """Plain values that are told apart exactly; floating point beyond 2^53 is refused."""
        values = self.values(raw)
        if values.dtype == pl.Float64:
            blurred = ~exact(values.fill_null(0.0).to_numpy())
            what = "is beyond 2^53, where floating point merges neighbouring ids"
            self.desk.faults.refuse(blurred, self.column, block.first, what, "Write ids as whole numbers or as text.")
        return values


class Numbers:
    """A column of numbers, NaN where they are missing.

    Raises:
        DataError: it holds something else; the first odd text is shown.
    """

    def __init__(self, desk: Desk, column: str, remedy: str = "") -> None:
        self.where = desk.source.place(column)
        for frame, kind in zip(desk.source.frames, desk.source.kinds(column), strict=True):
            held = pl.Series([], dtype=kind)
            if describe(kind) == "text":
                text = pl.col(column).cast(pl.String)
                odd = frame.filter(text.is_not_null() & text.cast(pl.Float64, strict=False).is_null())
                held = odd.select(column).head(1).collect().to_series()
            numbers(held, self.where, remedy)

    def values(self, raw: pl.Series) -> NDArray[np.float64]:
        """Raw values as numbers."""
        return numbers(raw, self.where)
