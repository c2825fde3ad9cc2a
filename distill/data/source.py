"""What impressions come from: the rows of some files, as if they were one table, read a block at a time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import polars as pl

from distill.data.checks import SHOWN
from distill.data.csv_rows import Converted, converted, raw_lines
from distill.data.finding import SUFFIXES
from distill.data.kinds import compatible, describe
from distill.errors import DataError, Fault, StoreError, listed, suggestion
from distill.fingerprint import fingerprint

AHEAD = 2
"""Cuts that are read at once: a reader that runs ahead by itself holds all that it has read."""

LONGEST = 60
"""Most characters of a line that a message shows."""


class Cut(NamedTuple):
    """Some rows of one file.

    Attributes:
        file: its number.
        first: the first of them in the file.
        start: the first of them in all files.
        rows: how many they are.
    """

    file: int
    first: int
    start: int
    rows: int


class Source:
    """The rows of some files of one kind, one file after the other.

    Args:
        files: their names, as users know them.
        digests: the hash of what each holds.
        folder: where CSV is kept as Parquet.
        numbers: columns that must hold numbers.
        skip: whether rows of CSV that cannot be read are left out.
    """

    def __init__(
        self,
        files: Sequence[Path],
        digests: Sequence[str] = (),
        folder: Path | None = None,
        numbers: Sequence[str] = (),
        skip: bool = False,
    ) -> None:
        self.files, self.digests = tuple(files), tuple(digests)
        self.folder, self.numbers, self.skip = folder, tuple(numbers), skip

    @cached_property
    def tables(self) -> tuple[Converted, ...]:
        """The Parquet of each file, and how many rows it lost on the way.

        Raises:
            DataError: a file cannot be read; all such files are named.
        """
        found, faults = [], []
        for number, file in enumerate(self.files):
            try:
                with reading(file):
                    found.append(self._parquet(number, file))
            except DataError as error:
                faults += error.faults
        if faults:
            raise DataError(*faults)
        return tuple(found)

    def _parquet(self, number: int, file: Path) -> Converted:
        if file.suffix.lower() != ".csv":
            return Converted(file)
        assert self.folder is not None, "CSV needs a place"
        name = fingerprint(self.digests[number], sorted(self.numbers), self.skip)
        return converted(file, self.numbers, self.skip, self.folder / f"csv-{name}")

    @cached_property
    def frames(self) -> tuple[pl.LazyFrame, ...]:
        """What the files hold; nothing is read yet."""
        return tuple(pl.scan_parquet(table.path, glob=False, hive_partitioning=False) for table in self.tables)

    @cached_property
    def schemas(self) -> tuple[pl.Schema, ...]:
        """Columns of each file.

        Raises:
            DataError: a file cannot be read; all such files are named.
        """
        found, faults = [], []
        for file, frame in zip(self.files, self.frames, strict=True):
            try:
                with reading(file):
                    found.append(frame.collect_schema())
            except DataError as error:
                faults += error.faults
        if faults:
            raise DataError(*faults)
        return tuple(found)

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """Rows of each file."""
        counts = []
        for file, frame in zip(self.files, self.frames, strict=True):
            with reading(file):
                counts.append(frame.select(pl.len()).collect().item())
        return tuple(counts)

    @property
    def rows(self) -> int:
        """Rows in all."""
        return sum(self.counts)

    @property
    def name(self) -> str:
        """The file, or the first of several and how many there are."""
        others = len(self.files) - 1
        return f"{self.files[0]} (and {others} more)" if others else str(self.files[0])

    def cuts(self, size: int) -> list[Cut]:
        """All rows, file by file, in blocks of at most `size`."""
        found, start = [], 0
        for file, count in enumerate(self.counts):
            for first in range(0, count, size):
                found.append(Cut(file, first, start + first, min(size, count - first)))
            start += count
        return found

    def read(self, columns: Sequence[str], cuts: Sequence[Cut]) -> Iterator[pl.DataFrame]:
        """The rows of each cut; only a few cuts are in memory at once.

        Args:
            columns: names of columns that every file has.
            cuts: some that follow each other.

        Raises:
            DataError: a file is damaged.
        """
        wanted = list(dict.fromkeys(columns))
        for file in dict.fromkeys(cut.file for cut in cuts):
            ours = [cut for cut in cuts if cut.file == file]
            for number in range(0, len(ours), AHEAD):
                span = ours[number : number + AHEAD]
                rows = sum(cut.rows for cut in span)
                with reading(self.files[file]):
                    frame = self.frames[file].select(wanted).slice(span[0].first, rows).collect(engine="streaming")
                for cut in span:
                    yield frame[cut.first - span[0].first :][: cut.rows]

    def place(self, column: str, row: int | None = None) -> str:
        """How a fault names a column or, with `row`, one of its values; rows count from 0 in each file."""
        if row is None:
            return f"{self.name}: column `{column}`"
        for file, count in zip(self.files, self.counts, strict=True):
            if row < count:
                return f"{file}: column `{column}`, row {row}"
            row -= count
        raise IndexError(row)

    def kinds(self, column: str) -> list[pl.DataType]:
        """The type of a column in each file.

        Raises:
            DataError: a file has no such column, or holds something else in it than the other files.
        """
        held = [(file, schema.get(column)) for file, schema in zip(self.files, self.schemas, strict=True)]
        typed = [(file, kind) for file, kind in held if kind is not None]
        if not typed:
            raise DataError(Fault(self.place(column), "does not exist.", suggestion(column, list(self.schemas[0]))))
        first, meant = next((pair for pair in typed if pair[1] != pl.Null), typed[0])
        odd = [(file, kind) for file, kind in held if kind is None or not compatible(kind, meant)]
        if odd:
            raise DataError(
                *(
                    Fault(f"{file}: column `{column}`", f"holds {describe(kind)}, but {describe(meant)} in {first}.")
                    if kind is not None
                    else Fault(f"{file}: column `{column}`", f"does not exist, but does in {first}.")
                    for file, kind in odd
                )
            )
        return [kind for _, kind in typed]

    def recognise(self, columns: Sequence[str]) -> None:
        """Tells files that have none of the columns in one sentence each: of CSV, such a first line is hardly a header.

        Raises:
            DataError: there are such files.
        """
        strange = [
            (file, list(schema))
            for file, schema in zip(self.files, self.schemas, strict=True)
            if not any(column in schema for column in columns)
        ]
        if strange:
            raise DataError(*(_strange(file, held, listed(columns, SHOWN)) for file, held in strange))


def _strange(file: Path, held: Sequence[str], wanted: str) -> Fault:
    if file.suffix.lower() != ".csv":
        return Fault(
            str(file), f"has the columns {listed(held, SHOWN)}, and none of {wanted}.", "Name those that it has."
        )
    text = raw_lines(file).head(1).collect().item() or ""
    shown = text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
    what = f"the first line, `{shown}`, names none of the columns {wanted}: is the header missing?"
    return Fault(f"{file}, line 1", what, "Write the names of the columns there, or correct those of the recipe.")


@contextmanager
def reading(file: Path) -> Iterator[None]:
    """Whatever a damaged file makes of its reader, said in one sentence."""
    kind = SUFFIXES[file.suffix.lower()]
    try:
        yield
    except OSError as error:
        raise DataError(Fault(str(file), f"cannot be read: {error.strerror or error}.")) from None
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        if "No space left" in str(error):
            raise StoreError(Fault(str(file), "the disk has no room for a copy as Parquet.", "Free some.")) from None
        empty = file.stat().st_size == 0
        reason = "it is empty" if empty else str(error).splitlines()[0].rstrip(".")
        raise DataError(Fault(str(file), f"cannot be read as {kind}: {reason}.", "Write it again.")) from None
