"""Histories and sets of a block: aligned lists, as long as they are, row by row."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from distill.data.block import Block, Coder, Desk, Plain
from distill.data.hashing import of_lists, of_numbers
from distill.data.ids import Ids
from distill.data.kinds import lists
from distill.data.moments import physical, times
from distill.data.settings import MultiValued, Sequence
from distill.data.tables import uses
from distill.errors import DataError, Fault
from distill.types import GAPS

SECONDS = {"Date": 86_400.0, "Datetime": 1e-6, "Int64": 1.0, "Float64": 1.0}
"""Seconds in the unit in which times of a type are compared; bare numbers are taken for seconds."""


class Events(Coder):
    """The codes of the events of each row, newest first."""

    def __init__(self, desk: Desk, name: str, key: str, feature: MultiValued | Sequence) -> None:
        self.desk, self.name, self.key, self.feature = desk, name, key, feature
        self.times = feature.times if isinstance(feature, Sequence) else None
        self.uses = [use for use in uses({name: feature}) if use.column != self.times]
        self.columns = tuple(use.column for use in self.uses) + ((self.times,) if self.times else ())
        self.plains, self.ids = {}, {}
        faults = []
        for column in self.columns:
            try:
                self._prepare(column)
            except DataError as error:
                faults += error.faults
        if faults:
            raise DataError(*faults)

    def _prepare(self, column: str) -> None:
        if column == self.times:
            self._check_times(column)
            return
        table = next(use.table for use in self.uses if use.column == column)
        self.plains[column] = Plain(self.desk, column, inner=True)
        self.plains[column].share(table)
        self.ids[column] = Ids(self.desk, table)

    def _check_times(self, column: str) -> None:
        where = self.desk.source.place(column)
        if self.desk.settings.time is None:
            raise DataError(Fault(where, "holds times of events, but data.time is not named.", "Name it."))
        for kind in self.desk.source.kinds(column):
            times(pl.Series([], dtype=lists(pl.Series([], dtype=kind), where).dtype.inner), where)

    def code(self, block: Block) -> None:
        raw = {column: lists(block.frame[column], self.desk.source.place(column)) for column in self.columns}
        lengths = {column: values.list.len().fill_null(0).to_numpy() for column, values in raw.items()}
        first = lengths[self.columns[0]]
        what = f"is longer or shorter than the other columns of `{self.name}`"
        apart = {column: found != first for column, found in lengths.items()}
        for column, wrong in apart.items():
            self.desk.faults.refuse(wrong, column, block.first, what, "One event, one entry each.")
        if any(wrong.any() for wrong in apart.values()):
            return
        kept = np.minimum(first, self.feature.length).astype(np.int32)
        flat = {column: self._flat(values) for column, values in raw.items()}
        codes = []
        for use in self.uses:
            values = self.plains[use.column].ids(flat[use.column], block)
            found, marks = self.ids[use.column].codes(values)
            block.digest.add(of_lists(marks, kept))
            codes.append(found)
            self._note_nulls(use.column, values, kept, block)
        if self.times:
            codes.append(self._gaps(flat[self.times], kept, block))
        block.rows[self.key] = kept
        block.events[self.key] = np.stack(codes, axis=1)

    def _flat(self, values: pl.Series) -> pl.Series:
        """The events that are kept, newest first."""
        length = self.feature.length
        last = isinstance(self.feature, Sequence) and self.feature.newest == "last"
        kept = values.list.tail(length).list.reverse() if last else values.list.head(length)
        return kept.explode(empty_as_null=False, keep_nulls=False)

    def _gaps(self, values: pl.Series, kept: NDArray[np.int32], block: Block) -> NDArray[np.int32]:
        """The ids of the gaps between events and their impressions; events that are not earlier are counted."""
        where = self.desk.source.place(self.times)
        moments = times(values, where)
        self.desk.faults.missing(self._rows(moments.is_null().to_numpy(), kept), self.times, block.first)
        now, kind = block.rows.get("time"), block.notes.get("time")
        if now is None or kind is None:
            return np.zeros(len(values), dtype=np.int32)  # The times of the impressions are at fault: that is noted.
        if str(moments.dtype) != kind and {str(moments.dtype), kind} != {"Int64", "Float64"}:
            what = f"holds times of type {moments.dtype}, but data.time is of type {kind}."
            raise DataError(Fault(where, what, "Write both in one type."))
        then = physical(moments)
        block.digest.add(of_lists(of_numbers(then), kept))
        seconds = (np.repeat(now, kept) - then) * SECONDS[kind.partition("(")[0]]
        late = self._rows(seconds <= 0, kept)
        block.notes.setdefault("late", {})[self.key] = [int(late.sum()), block.first + int(late.argmax())]
        return (1 + np.floor(np.log2(1 + np.clip(seconds, 0, 2.0 ** (GAPS - 3))))).astype(np.int32)

    def _note_nulls(self, column: str, values: pl.Series, kept: NDArray[np.int32], block: Block) -> None:
        """How many entries are null, and in which row the first; what is stored of a hashed one does not tell."""
        if values.null_count():
            first = block.first + int(self._rows(values.is_null().to_numpy(), kept).argmax())
            block.notes.setdefault("nulls", {}).setdefault(self.key, {})[column] = [values.null_count(), first]

    def _rows(self, events: NDArray[np.bool_], kept: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Which rows have such an event."""
        found = np.zeros(len(kept), dtype=bool)
        found[np.repeat(np.arange(len(kept)), kept)[events]] = True
        return found
