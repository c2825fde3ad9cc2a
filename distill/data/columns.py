"""Features of a block as plain columns, the same for whoever reads them later.

    categorical, hashed, cross   int32     code of the value in the vocabulary of its table; or its bucket
    numeric, bucketised          float64   the raw number, null where it is missing
    vector                       float32   [rows, width]
    multi_valued, sequence       int32     [events, columns], row by row, newest first; and how many events a row has

Codes number every value, those of test rows too; what a ranker may know of them is decided in `encoding`.
"""

from collections.abc import Container, Iterator, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from distill.data import kinds
from distill.data.block import Block, Coder, Desk, Numbers, Plain
from distill.data.events import Events
from distill.data.hashing import STEP, Hashes, mixed, of_numbers
from distill.data.ids import Ids, bucket, hashes_of
from distill.data.settings import Bucketised, Categorical, Cross, Numeric, Vector
from distill.data.tables import columns

POLICY = "Say what a missing value becomes: `missing: mean`, `zero` or `indicator`."
NO_VECTOR = "Say what a missing vector becomes, `missing: zero`, or leave such rows out."
NO_RULE = (
    'The student of "{student}" was trained without a rule for missing values: leave such rows out, or train it with '
    "`missing:` in the recipe."
)
"""To whoever serves a student, in the place of both."""


def coders(desk: Desk, names: Container[str] | None = None) -> Iterator[Coder]:
    """A coder for each feature, or for some; what is wrong with a column is noted, and the feature has none."""
    for number, (name, feature) in enumerate(desk.settings.features.items()):
        if names is not None and name not in names:
            continue
        key = f"f{number}"
        with desk.faults.gathering(*columns(name, feature)):
            if isinstance(feature, Categorical):
                yield Category(desk, name, key, feature)
            elif isinstance(feature, Cross):
                yield Crossed(desk, name, key, feature)
            elif isinstance(feature, Numeric | Bucketised):
                yield Number(desk, name, key, feature)
            elif isinstance(feature, Vector):
                yield Fixed(desk, name, key, feature)
            else:
                yield Events(desk, name, key, feature)


class Category(Coder):
    """One id a row."""

    def __init__(self, desk: Desk, name: str, key: str, feature: Categorical) -> None:
        self.key, self.columns = key, (feature.column or name,)
        self.plain = Plain(desk, *self.columns, 'Declare it "multi_valued" or "sequence".')
        self.plain.share(name)
        self.ids = Ids(desk, name)

    def code(self, block: Block) -> None:
        values = self.plain.ids(block.frame[self.columns[0]], block)
        block.rows[self.key], marks = self.ids.codes(values)
        block.digest.add(marks)
        if self.ids.buckets:  # Whose bucket does not tell.
            note_missing(block, self.key, values.is_null().to_numpy())


class Crossed(Coder):
    """One bucket a row, by the values of several columns."""

    def __init__(self, desk: Desk, name: str, key: str, feature: Cross) -> None:
        self.name, self.key, self.columns, self.buckets = name, key, feature.columns, feature.hash
        self.plains = [Plain(desk, column) for column in feature.columns]

    def code(self, block: Block) -> None:
        parts = [plain.ids(block.frame[plain.column], block) for plain in self.plains]
        marks = self._marks(parts)
        block.digest.add(marks)
        block.rows[self.key] = bucket(marks, self.name, self.buckets)
        note_missing(block, self.key, np.logical_or.reduce([part.is_null().to_numpy() for part in parts]))

    def _marks(self, parts: Sequence[pl.Series]) -> Hashes:
        """The hash of all values together: order counts."""
        found = np.zeros(len(parts[0]), dtype=np.uint64)
        for part in parts:
            found = mixed(found * STEP + hashes_of(part))
        return found


class Number(Coder):
    """One number a row, as it is."""

    def __init__(self, desk: Desk, name: str, key: str, feature: Numeric | Bucketised) -> None:
        self.desk, self.key, self.columns = desk, key, (feature.column or name,)
        self.refuses = isinstance(feature, Numeric) and feature.missing == "refuse"
        self.numbers = Numbers(desk, *self.columns, 'Declare it "categorical", or give numbers.')

    def code(self, block: Block) -> None:
        (column,) = self.columns
        values = self.numbers.values(block.frame[column])
        block.digest.add(of_numbers(values))
        missing = np.isnan(values)
        refuse = self.desk.faults.refuse
        refuse(np.isinf(values), column, block.first, "is infinite", "Clip it at the source.")
        if self.refuses:
            refuse(missing, column, block.first, "is null or NaN", unruled(self.desk, POLICY))
        if not missing.all():
            ends = [int(np.nanargmin(values)), int(np.nanargmax(values))]
            block.notes.setdefault("ends", {})[self.key] = [[values[at], block.first + at] for at in ends]
        block.rows[self.key] = values


class Fixed(Coder):
    """One vector a row."""

    def __init__(self, desk: Desk, name: str, key: str, feature: Vector) -> None:
        self.desk, self.key, self.feature, self.columns = desk, key, feature, (feature.column or name,)
        self.where = desk.source.place(*self.columns)
        for frame, kind in zip(desk.source.frames, desk.source.kinds(*self.columns), strict=True):
            inner = kinds.lists(pl.Series([], dtype=kind), self.where).dtype.inner
            text = kinds.describe(inner) == "text"
            held = (
                frame.select(self.columns).head(1).collect().to_series().explode()
                if text
                else pl.Series([], dtype=inner)
            )
            kinds.numbers(held, self.where)
        self.odd = mixed(np.arange(feature.width, dtype=np.uint64)) | np.uint64(1)

    def code(self, block: Block) -> None:
        (column,), width = self.columns, self.feature.width
        raw = block.frame[column]
        absent = raw.is_null().to_numpy()
        values = kinds.lists(raw, self.where)
        lengths = values.list.len().fill_null(0).to_numpy().astype(np.float64)
        whole = ~absent & (lengths == width)
        found = np.zeros((len(raw), width), dtype=np.float64)
        found[whole] = kinds.numbers(values.filter(whole).explode(), self.where).reshape(-1, width)
        refuse = self.desk.faults.refuse
        if self.feature.missing == "refuse":
            refuse(absent, column, block.first, "is null", unruled(self.desk, NO_VECTOR))
        what = f"has not {width} numbers (its `width`), but {{odd}}"
        remedy = "Mend such rows, or give the `width` that all have."
        refuse(~(whole | absent), column, block.first, what, remedy, odd=lengths)
        holes = ~np.isfinite(found).all(axis=1)
        remedy = "Mend such rows, or make the whole vector null and say `missing: zero`."
        refuse(holes, column, block.first, "holds a vector with null, NaN or an infinite number in it", remedy)
        block.digest.add((of_numbers(found) * self.odd).sum(axis=1))
        block.rows[self.key] = found.astype(np.float32)
        note_missing(block, self.key, absent)


def unruled(desk: Desk, remedy: str) -> str:
    """What to do about a missing value without a rule: `remedy` for those who have the recipe."""
    return NO_RULE.format(student=desk.student) if desk.student else remedy


def note_missing(block: Block, key: str, missing: NDArray[np.bool_]) -> None:
    """Keeps how many rows of a column lack a value, where what is stored of it does not tell any more."""
    block.notes.setdefault("missing", {})[key] = int(missing.sum())
