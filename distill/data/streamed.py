"""Raw rows block by block from a Parquet file, and scores block by block into another."""

import glob
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from distill.data.finding import SUFFIXES
from distill.data.kinds import named
from distill.data.source import reading
from distill.errors import DataError, Fault, suggestion
from distill.files import absent, making, refuse_parquet

POSITION = "row_id"
"""Column of the ids of rows, as tables of knowledge have it; the position where the data name no id."""


class RawRows:
    """The rows of a Parquet file.

    Args:
        path: the file.

    Attributes:
        none: its columns in their types, without a row.

    Raises:
        DataError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.is_dir() or (glob.has_magic(str(path)) and not path.exists()):
            raise DataError(Fault(str(path), "names more than one file.", "Give one Parquet file at a time."))
        if not path.exists():
            raise DataError(absent(path, "Give a Parquet file."))
        if path.suffix.lower() not in SUFFIXES or path.suffix.lower() == ".csv":
            raise DataError(Fault(str(path), "is no Parquet file.", "Give one that ends in .parquet."))
        with reading(path), _arrow(path):
            self._file = pq.ParquetFile(path)
            self.none = pl.DataFrame(pl.from_arrow(self._file.schema_arrow.empty_table()))
        self.rows: int = self._file.metadata.num_rows
        self.columns = self.none.columns

    def require(self, columns: Sequence[str]) -> None:
        """Refuses a file without these columns.

        Raises:
            DataError: it lacks some; all of them are named.
        """
        lacking = [column for column in columns if column not in self.columns]
        if lacking:
            places = [(f"{self.path}: column `{column}`", suggestion(column, self.columns)) for column in lacking]
            raise DataError(*(Fault(where, "does not exist.", nearest) for where, nearest in places))

    def blocks(self, columns: Sequence[str], size: int) -> Iterator[pl.DataFrame]:
        """The rows in their order, at most `size` at once; one block without rows where there are none."""
        if not self.rows:
            yield self.none.select(columns)
        with reading(self.path), _arrow(self.path):
            for batch in self._file.iter_batches(size, columns=list(columns)):
                yield pl.DataFrame(pl.from_arrow(batch))


def from_pandas(frame: Any) -> pl.DataFrame:
    """The rows of a frame of pandas, which is what MLflow's servers hand over; NaN is null.

    Raises:
        DataError: a column holds values of several kinds.
    """
    try:
        found = pl.from_pandas(frame)
    except (pa.ArrowException, TypeError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise DataError(Fault("rows", f"a column holds values of several kinds: {reason}.")) from None
    # Of objects that are all None, Polars makes text.
    return found.with_columns(pl.lit(None).alias(one.name) for one in found if one.null_count() == len(found))


def names(frame: pl.DataFrame, column: str) -> pl.Series:
    """A column of names, as text."""
    return named(frame[column], f"column `{column}`")


def ids(frame: pl.DataFrame, column: str | None, first: int) -> pl.Series:
    """The id of each row: a column, or the position, counted from `first`."""
    if column is not None:
        return frame[column].rename(POSITION)
    return pl.int_range(first, first + len(frame), eager=True).rename(POSITION)


class Scores:
    """A Parquet file of scores that is written block by block."""

    def __init__(self, path: Path, tasks: Sequence[str]) -> None:
        self.path, self.tasks, self._writer = path, tasks, None

    def add(self, row_ids: pl.Series, logit: NDArray[np.float32], probability: NDArray[np.float32]) -> None:
        """Writes the next rows, `[rows, tasks]`; what is NaN becomes null."""
        ends = [""] if len(self.tasks) == 1 else [f"_{task}" for task in self.tasks]
        columns = [
            pl.Series(f"{name}{end}", values[:, task], nan_to_null=True)
            for name, values in (("logit", logit), ("probability", probability))
            for task, end in enumerate(ends)
        ]
        table = pl.DataFrame([row_ids, *columns]).to_arrow(compat_level=pl.CompatLevel.oldest())
        if self._writer is None:
            self._writer = pq.ParquetWriter(self.path, table.schema, compression="zstd", compression_level=1)
        self._writer.write_table(table)

    def close(self) -> None:
        """Ends the file."""
        if self._writer is not None:
            self._writer.close()


@contextmanager
def scores(path: Path, tasks: Sequence[str]) -> Iterator[Scores]:
    """A file of scores, which is there when the block has ended well, and not before; it has at least one block.

    Raises:
        RecipeError: it is there already, or is not named as Parquet is.
        StoreError: it cannot be made.
    """
    refuse_parquet(path)
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
    with making(path):  # Before anything is scored.
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.touch()
    found = Scores(draft, tasks)
    try:
        yield found
        found.close()
        draft.rename(path)
    finally:
        found.close()
        draft.unlink(missing_ok=True)


@contextmanager
def _arrow(path: Path) -> Iterator[None]:
    """What a damaged file makes of Arrow, said in one sentence."""
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise DataError(Fault(str(path), f"cannot be read as Parquet: {reason}.", "Write it again.")) from None
