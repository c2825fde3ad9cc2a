"""Where impressions come from: Parquet or CSV by Polars, found as a file, a glob or a folder, read column by column."""

import glob
import hashlib
import itertools
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path

import polars as pl

from distill.data import synthetic
from distill.data.kinds import compatible, describe
from distill.data.settings import DataSettings
from distill.errors import DataError, Fault, StoreError, nearest, suggestion
from distill.files import read_json, write_json

SUFFIXES = {".parquet": "Parquet", ".csv": "CSV"}

SETTLED = 2.0
"""Seconds for which a file must have lain still before its size and time may stand for its content."""


def locate(settings: DataSettings, folder: Path) -> tuple[Path, ...]:
    """The files of a data section; a generated world is written below `folder` first.

    Raises:
        DataError: nothing is named, or nothing is there.
    """
    if settings.world is not None and settings.path is not None:
        raise DataError(Fault("data", "`path` and `world` exclude each other.", "Set one of them to null."))
    if settings.world is not None:
        return (synthetic.write(settings.world, folder / "worlds"),)
    if settings.path is None:
        remedy = "Give a Parquet or CSV file, a glob or a folder; on the command line: data.path=FILE."
        raise DataError(Fault("data.path", "no impressions are named.", remedy))
    return find(settings.path.expanduser())


def find(path: Path) -> tuple[Path, ...]:
    """The Parquet or CSV files that `path` means, sorted by name; the rows of the first come first.

    Raises:
        DataError: there are none, or of both kinds.
    """
    if path.is_file():
        files = [path]
    elif path.is_dir():
        files = [file for file in sorted(path.rglob("*")) if _belongs(file, path)]
    else:
        files = [Path(name) for name in sorted(glob.glob(str(path), recursive=True)) if Path(name).is_file()]
    if not files:
        raise DataError(_absent(path))
    kinds = {file.suffix.lower() for file in files}
    if not kinds <= SUFFIXES.keys():
        odd = next(file for file in files if file.suffix.lower() not in SUFFIXES)
        raise DataError(Fault(str(odd), "is neither Parquet nor CSV.", "Its name must end with .parquet or .csv."))
    if len(kinds) > 1:
        raise DataError(Fault(str(path), "holds Parquet and CSV files.", 'Name one kind, for example "*.parquet".'))
    return tuple(files)


def _belongs(file: Path, folder: Path) -> bool:
    hidden = any(part.startswith((".", "_")) for part in file.relative_to(folder).parts)
    return file.suffix.lower() in SUFFIXES and file.is_file() and not hidden


def _absent(path: Path) -> Fault:
    if path.is_dir():
        return Fault(str(path), "holds no Parquet or CSV file.", "Give another data.path.")
    if glob.has_magic(str(path)):
        return Fault(str(path), "matches no file.", "Give another data.path.")
    if not path.parent.is_dir():
        return Fault(str(path), f"does not exist, nor does the folder {path.parent}.", "Give another data.path.")
    near = nearest(path.name, [entry.name for entry in path.parent.iterdir()])
    remedy = f'Did you mean "{path.parent / near}"?' if near else "Give data.path: a file, a glob or a folder."
    return Fault(str(path), "does not exist.", remedy)


def digest(files: Sequence[Path], folder: Path) -> list[str]:
    """The hash of each file's content, kept below `folder`, so that a file is read again only if it changed."""
    memory = folder / "sources.json"
    known: dict[str, list] = {}
    with suppress(OSError, ValueError):
        known = read_json(memory)
    before = dict(known)
    found = [_digest(file.resolve(), known) for file in files]
    if known != before:
        write_json(memory, known)
    return found


def _digest(file: Path, known: dict[str, list]) -> str:
    state = file.stat()
    entry = known.get(str(file))
    if entry and entry[:2] == [state.st_size, state.st_mtime_ns]:
        return entry[2]
    with _reading(file), open(file, "rb") as content:
        found = hashlib.file_digest(content, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    if time.time() - state.st_mtime > SETTLED:
        known[str(file)] = [state.st_size, state.st_mtime_ns, found]
    return found


class Source:
    """The rows of some files of one kind, one file after the other.

    Args:
        files: their names, as users know them.
        frames: what they hold, where it was read already.
    """

    def __init__(self, files: Sequence[Path], frames: Sequence[pl.LazyFrame] = ()) -> None:
        self.files = tuple(files)
        self.frames = tuple(frames) or tuple(map(_scan, self.files))

    @cached_property
    def schemas(self) -> tuple[pl.Schema, ...]:
        """Columns of each file.

        Raises:
            DataError: a file cannot be read; all such files are named.
        """
        found, faults = [], []
        for file, frame in zip(self.files, self.frames, strict=True):
            try:
                with _reading(file):
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
            with _reading(file):
                counts.append(frame.select(pl.len()).collect().item())
        return tuple(counts)

    @property
    def rows(self) -> int:
        """Rows in all."""
        return sum(self.counts)

    def read(self, column: str, first: int = 0, rows: int | None = None) -> pl.Series:
        """A column, or `rows` of it from row `first` of the source, as one series.

        Raises:
            DataError: a file has no such column, or holds something else in it than the other files.
        """
        self._agree(column)
        last = self.rows if rows is None else min(self.rows, first + rows)
        starts = itertools.accumulate(self.counts, initial=0)
        pieces = []
        for file, frame, start, count in zip(self.files, self.frames, starts, self.counts, strict=False):
            low, high = max(first - start, 0), min(last - start, count)
            if low < high:
                with _reading(file):
                    pieces.append(frame.select(column).slice(low, high - low).collect())
        return pl.concat(pieces, how="vertical_relaxed", rechunk=True).to_series()

    def place(self, column: str, row: int | None = None) -> str:
        """How a fault names a column or, with `row`, one of its values; rows count from 0 in each file."""
        if row is None:
            return f"{self.name}: column `{column}`"
        for file, count in zip(self.files, self.counts, strict=True):
            if row < count:
                return f"{file}: column `{column}`, row {row}"
            row -= count
        raise IndexError(row)

    @property
    def name(self) -> str:
        """The file, or the first of several and how many there are."""
        others = len(self.files) - 1
        return f"{self.files[0]} (and {others} more)" if others else str(self.files[0])

    def as_parquet(self, folder: Path) -> "Source":
        """The same rows in a form that is read column by column: CSV is converted, once, below `folder`."""
        if self.files[0].suffix.lower() != ".csv":
            return self
        targets = [folder / f"source-{number}.parquet" for number in range(len(self.files))]
        for file, frame, target in zip(self.files, self.frames, targets, strict=True):
            with _reading(file):
                frame.sink_parquet(target)
        return Source(self.files, [pl.scan_parquet(target) for target in targets])

    def _agree(self, column: str) -> None:
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


def _scan(file: Path) -> pl.LazyFrame:
    """Every value of a CSV file has a say in the types of its columns, however far down it stands."""
    if file.suffix.lower() == ".csv":
        return pl.scan_csv(file, infer_schema_length=None, glob=False)
    return pl.scan_parquet(file, glob=False, hive_partitioning=False)


@contextmanager
def _reading(file: Path) -> Iterator[None]:
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
