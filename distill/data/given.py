"""Rows that are given to a ranker in service, as the coders of columns look at a source and its vocabularies."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from distill.data.hashing import Hashes, RowDigest
from distill.data.kinds import describe, exact, lists, plain
from distill.data.source import Source
from distill.data.vocabulary import MISSING
from distill.errors import DataError, Fault
from distill.types import UNSEEN

KINDS = {kind: getattr(pl, kind) for kind in ("Int64", "Float64", "String", "Boolean")}
"""The types of plain values, and of true and false, by the names under which they are written down."""

DENSE = 1 << 16
"""Whole numbers that span less than this, or than a few times their count, are looked up by their place."""


FEW = 256
"""Values that are looked up one by one."""


class Rows(Source):
    """Rows in memory.

    Args:
        frame: the rows.
        name: how faults name where they come from.
        numbers: number of each of them there; from 0 where none are given.
    """

    frames = schemas = ()

    def __init__(self, frame: pl.DataFrame, name: str, numbers: NDArray[np.integer] | None = None) -> None:
        self.frame, self.frames, self.schemas, self.files = frame, (frame.lazy(),), (frame.schema,), (name,)
        self.numbers, self._name = numbers, name

    @property
    def name(self) -> str:
        return self._name

    def place(self, column: str, row: int | None = None) -> str:
        where = f"{self.name}: column `{column}`"
        if row is None:
            return where
        return f"{where}, row {row if self.numbers is None else self.numbers[row]}"


class Unread(RowDigest):
    """A digest that nobody asks for."""

    def add(self, column: Hashes) -> None:
        return


class Given:
    """A vocabulary that is what it is: values that it does not hold are `UNSEEN`, and nothing is taken up.

    Args:
        values: the value of each id from 1 up; null may be one of them.
        kind: what they are: a plain type, or lists of one.

    Raises:
        DataError: they are something else.
    """

    def __init__(self, values: Sequence[Any], kind: str) -> None:
        held = KINDS[kind.removeprefix("List(").removesuffix(")")]
        inner = plain(pl.Series([], dtype=held), "vocabulary").dtype
        try:
            words = pl.Series("value", values, dtype=inner, strict=True)
        except (TypeError, OverflowError, pl.exceptions.PolarsError):
            raise DataError(Fault("vocabulary", f"holds something other than {describe(inner)}.")) from None
        ids = pl.int_range(1, len(words) + 1, dtype=pl.Int32, eager=True)
        there = words.is_not_null()
        self.words, self.ids = words.filter(there), ids.filter(there)
        self.null = int((ids.filter(~there).first() or UNSEEN) if len(ids) else UNSEEN)
        self.low, self.table = _table(self.words, self.ids)

    def codes(self, values: pl.Series) -> tuple[NDArray[np.int32], Hashes]:
        """The id of each plain value; digests are not computed."""
        marks = np.zeros(len(values), dtype=np.uint64)
        if self.table is not None:
            return self._placed(values), marks
        if len(values) <= FEW:
            known = self._known
            return np.array([known.get(value, UNSEEN) for value in values.to_list()], dtype=np.int32), marks
        found = values.replace_strict(self.words, self.ids, default=UNSEEN, return_dtype=pl.Int32).to_numpy()
        if values.null_count():
            found = np.where(values.is_null().to_numpy(), np.int32(self.null), found)
        return found, marks

    def committed(self) -> pl.Series | None:
        """Nothing is ever taken up."""
        return

    @property
    def size(self) -> int:
        """Number of ids, and `MISSING`."""
        return len(self.words) + 1 + MISSING

    @cached_property
    def _known(self) -> dict[Any, int]:
        """The id of each value, for a few at a time: to start what looks up many takes longer."""
        return dict(zip(self.words.to_list(), self.ids.to_list(), strict=True)) | {None: self.null}

    def _placed(self, values: pl.Series) -> NDArray[np.int32]:
        """Whole numbers by their place; those beyond either end come to lie at one that is unseen."""
        nulls = values.is_null().to_numpy() if values.null_count() else None
        raw = values.to_numpy() if nulls is None else values.fill_null(self.low - 1).to_numpy()
        found = self.table[np.clip(raw, self.low - 1, self.low + len(self.table) - 2) - (self.low - 1)]
        return found if nulls is None else np.where(nulls, np.int32(self.null), found)


def _table(words: pl.Series, ids: pl.Series) -> tuple[int, NDArray[np.int32] | None]:
    """The least of some whole numbers, and the id of each place from just before it to just behind the largest.

    None where they are no whole numbers, or lie too far apart.
    """
    if words.dtype != pl.Int64 or not len(words):
        return 0, None
    low, high = words.min(), words.max()
    if high - low >= max(DENSE, 8 * len(words)) or low == -(2**63) or high == 2**63 - 1:
        return 0, None
    table = np.full(high - low + 3, UNSEEN, dtype=np.int32)
    table[words.to_numpy() - low + 1] = ids.to_numpy()
    return low, table


def conformed(frame: pl.DataFrame, kinds: Mapping[str, str], name: str) -> pl.DataFrame:
    """The columns that a ranker reads, in the types that they had when it was trained.

    Whole numbers may come as floating point, as they do from JSON and from whatever has no missing whole numbers, and
    the other way round; beyond 2^53, where floating point merges neighbours, they may not.

    Args:
        frame: raw columns.
        kinds: column -> what it held.
        name: how faults name where the rows come from.

    Raises:
        DataError: columns are missing, or hold something else; all of them are named.
    """
    rows, faults, found = Rows(frame, name), [], []
    for column, kind in kinds.items():
        try:
            rows.kinds(column)
            found.append(_conformed(frame[column], kind, rows.place(column)))
        except DataError as error:
            faults += error.faults
    if faults:
        raise DataError(*faults)
    return pl.DataFrame(found) if found else frame.select([])


def _conformed(values: pl.Series, kind: str, where: str) -> pl.Series:
    wanted, listed = KINDS.get(kind.removeprefix("List(").removesuffix(")")), kind.startswith("List(")
    if wanted is None:
        return values
    within = isinstance(values.dtype, (pl.List, pl.Array))
    if listed and not within and values.dtype != pl.Null:
        lists(values, where)
    inner = values.dtype.inner if within and listed else values.dtype
    held = pl.Boolean if inner == pl.Boolean else plain(pl.Series([], dtype=inner), where).dtype
    if inner != pl.Null and held == wanted:
        return values
    target = pl.List(wanted) if listed else wanted()
    if inner == pl.Null or (held, wanted) in ((pl.Int64, pl.Float64), (pl.Boolean, pl.Float64)):
        return values.cast(target)
    if (held, wanted) == (pl.Float64, pl.Int64):
        whole = values.cast(target, strict=False)
        meant = _flat(values).cast(pl.Float64).fill_nan(None)
        if _flat(whole).cast(pl.Float64).eq_missing(meant).all() and exact(meant.fill_null(0.0).to_numpy()).all():
            return whole
    what = f"holds {describe(values.dtype)}, but held {describe(target)} when the ranker was trained."
    raise DataError(Fault(where, what, "Give values of the kind that it knows."))


def _flat(values: pl.Series) -> pl.Series:
    """All values, those of lists one after the other."""
    return values.explode() if isinstance(values.dtype, (pl.List, pl.Array)) else values
