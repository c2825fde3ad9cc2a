"""Features of every row as plain arrays, the same for whoever reads them: values by their codes, numbers transformed.

Each feature becomes one file with one entry a row:

    categorical   int32 [rows, 1]                code of the value among all values of its table, null the highest
    sequence      int32 [rows, steps, columns]   codes, newest first; PAD where a history is shorter
    multi_valued  int32 [rows, steps, 1]         codes, in the order of the list; PAD where a set is smaller
    numeric       float32 [rows, 1 or 2]         transformed; the second says where it was missing
    vector        float32 [rows, width]

Codes number every value, those of test rows too; what a ranker may know of them is decided in `encoding`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from distill.data import checks, kinds, numeric, tables
from distill.data.checks import Faults
from distill.data.hashing import NULL, Hashes, RowDigest, hashes, mixed, of_numbers
from distill.data.sealed import create, write_values
from distill.data.settings import Categorical, DataSettings, Feature, MultiValued, Numeric, Sequence, Vector
from distill.data.source import Source
from distill.data.suspicions import Suspicions
from distill.data.tables import Use
from distill.errors import DataError, Fault
from distill.types import PAD

BLOCK = 1 << 18
"""Rows of fixed vectors that are held in memory at once."""


def feature_file(folder: Path, settings: DataSettings, feature: str) -> Path:
    """Where a feature is written; names may hold what file names may not."""
    return folder / f"feature-{list(settings.features).index(feature)}.npy"


def table_file(folder: Path, settings: DataSettings, table: str) -> Path:
    """Where the values of a table are written; without a suffix."""
    return folder / f"table-{list(tables.by_table(settings.features)).index(table)}"


class Columns:
    """Writes the features of a source, one table of ids or one column at a time.

    Args:
        source: where the columns are.
        settings: what they mean.
        folder: where they go.
        train: which rows train, [rows].
        faults: takes up whatever is wrong.
        digest: takes up the content of every row.
        suspicions: is shown every feature.

    Attributes:
        sizes: number of codes of each table, null among them.
        constants: of each numeric feature, what its transforms were fitted to.
    """

    def __init__(
        self,
        source: Source,
        settings: DataSettings,
        folder: Path,
        train: NDArray[np.bool_],
        faults: Faults,
        digest: RowDigest,
        suspicions: Suspicions,
    ) -> None:
        self.source, self.settings, self.folder, self.train = source, settings, folder, train
        self.faults, self.digest, self.suspicions = faults, digest, suspicions
        self.sizes: dict[str, int] = {}
        self.constants: dict[str, dict[str, Any]] = {}

    def write(self) -> None:
        """Writes all features."""
        features = self.settings.features
        self.ids = {name: self._blank(name, feature) for name, feature in features.items() if _of_ids(feature)}
        self.lengths: dict[str, NDArray[np.int64]] = {}
        for table, uses in tables.by_table(features).items():
            with self.faults.gathering():
                self._table(table, uses)
        for name, feature in features.items():
            with self.faults.gathering():
                if isinstance(feature, Numeric):
                    self._numeric(name, feature)
                elif isinstance(feature, Vector):
                    self._vector(name, feature)

    def _blank(self, name: str, feature: Categorical | MultiValued | Sequence) -> np.memmap:
        if isinstance(feature, Categorical):
            return self._create(name, np.int32, 1)
        return self._create(
            name, np.int32, feature.length, len(feature.columns) if isinstance(feature, Sequence) else 1
        )

    def _create(self, name: str, dtype: type, *shape: int) -> np.memmap:
        return create(feature_file(self.folder, self.settings, name), dtype, self.source.rows, *shape)

    def _table(self, table: str, uses: list[Use]) -> None:
        read = []
        for use in uses:
            with self.faults.gathering():
                read.append((use, self._raw(use)))
        if not read:
            return
        known = tables.distinct((values, self.source.place(use.column)) for use, values in read)
        write_values(table_file(self.folder, self.settings, table).with_suffix(".arrow"), known)
        self.sizes[table] = len(known) + 1
        marks = np.append(hashes(known), [NULL, mixed(NULL[None])[0]])  # behind the values: null, and PAD as the last
        for use, values in read:
            with self.faults.gathering():
                self._write_ids(use, values, known, marks)

    def _raw(self, use: Use) -> pl.Series:
        where = self.source.place(use.column)
        values = self.source.read(use.column)
        if isinstance(self.settings.features[use.feature], Categorical):
            return kinds.plain(values, where, 'Declare it "multi_valued" or "sequence".')
        return kinds.lists(values, where)

    def _write_ids(self, use: Use, values: pl.Series, known: pl.Series, marks: Hashes) -> None:
        feature, target = self.settings.features[use.feature], self.ids[use.feature]
        if isinstance(feature, Categorical):
            found = tables.codes(values, known)
            self.suspicions.categorical(use.feature, found)
            self.digest.add(marks[found])
            target[:, 0] = found
            return
        self._align(use, values)
        for step, found in enumerate(self._steps(values, feature, known)):
            self.digest.add(marks[found])
            target[:, step, use.place] = found

    def _steps(self, values: pl.Series, feature: Feature, known: pl.Series) -> Iterator[NDArray[np.int32]]:
        """The codes of each step, newest first."""
        lengths = values.list.len().fill_null(0).to_numpy()
        last = isinstance(feature, Sequence) and feature.newest == "last"
        for step in range(feature.length):
            entry = values.list.get(-1 - step if last else step, null_on_oob=True)
            yield np.where(lengths > step, tables.codes(kinds.plain(entry, ""), known), np.int32(PAD))

    def _align(self, use: Use, values: pl.Series) -> None:
        """The columns of a history have an entry for each event, all of them."""
        lengths = values.list.len().fill_null(0).to_numpy()
        first = self.lengths.setdefault(use.feature, lengths)
        what = f"is longer or shorter than the other columns of `{use.feature}`"
        checks.refuse(lengths != first, self._place(use.column), what, "One event, one entry each.")

    def _numeric(self, name: str, feature: Numeric) -> None:
        column = feature.column or name
        where, place = self.source.place(column), self._place(column)
        values = kinds.numbers(self.source.read(column), where, 'Declare it "categorical", or give numbers.')
        self.digest.add(of_numbers(values))
        self.suspicions.numeric(name, values)
        checks.finite(values, place)
        missing = np.isnan(values)
        if feature.missing == "refuse":
            remedy = "Say what a missing value becomes: `missing: mean`, `zero` or `indicator`."
            checks.refuse(missing, place, "is null or NaN", remedy)
        if feature.missing != "zero" and missing[self.train].all():
            raise DataError(Fault(where, "has no number in any training row.", "Leave the feature out."))
        self.constants[name] = numeric.fit(values, self.train, feature)
        with np.errstate(over="ignore"):  # asked about next
            found = numeric.apply(values, self.constants[name], feature).astype(np.float32)
        checks.refuse(~np.isfinite(found).all(axis=1), place, "is too large for 32 bits", "Take its logarithm.")
        self._create(name, np.float32, found.shape[1])[:] = found

    def _vector(self, name: str, feature: Vector) -> None:
        column = feature.column or name
        where = self.source.place(column)
        target = self._create(name, np.float32, feature.width)
        odd = mixed(np.arange(feature.width, dtype=np.uint64)) | np.uint64(1)
        found = np.zeros(self.source.rows, dtype=np.uint64)
        for first in range(0, self.source.rows, BLOCK):
            values = kinds.lists(self.source.read(column, first, BLOCK), where)
            rows = slice(first, first + len(values))
            place = lambda row, first=first: self.source.place(column, first + row)  # noqa: E731
            wrong = (values.list.len() != feature.width).fill_null(True).to_numpy()
            checks.refuse(wrong, place, f"has not {feature.width} numbers")
            flat = kinds.numbers(values.explode(), where).reshape(-1, feature.width)
            checks.refuse(~np.isfinite(flat).all(axis=1), place, "holds null, NaN or an infinite number")
            target[rows] = flat
            found[rows] = (of_numbers(flat) * odd).sum(axis=1)
        self.digest.add(found)

    def _place(self, column: str) -> checks.Place:
        return lambda row: self.source.place(column, row)


def _of_ids(feature: Feature) -> bool:
    return isinstance(feature, (Categorical, MultiValued, Sequence))
