"""CSV as Parquet: once for each content, with rows that are none found by their lines, and refused or left out.

A row is bad where it has more or fewer fields than the header, bytes that are no UTF-8, or text where a number is
declared. Blank lines are no rows.
"""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from distill.data.sealed import seal, unsealed
from distill.errors import DataError, Fault
from distill.files import whole_folder

LISTED = 5
"""Most bad lines that a message names."""


class Bad(NamedTuple):
    """What is wrong with one line, counted from 1; the header is a line, too."""

    line: int
    what: str


class Converted(NamedTuple):
    """A CSV file as Parquet.

    Attributes:
        path: the Parquet file.
        skipped: how many rows were left out.
        lines: the first of them, and what is wrong with them.
    """

    path: Path
    skipped: int = 0
    lines: Sequence[str] = ()


def converted(file: Path, numbers: Sequence[str], skip: bool, folder: Path) -> Converted:
    """The Parquet of a CSV file, made below `folder` at the first call.

    Args:
        file: the CSV.
        numbers: columns that must hold numbers, if they are there.
        skip: whether bad rows are left out; otherwise they are refused.
        folder: a place that belongs to this content and these settings.

    Raises:
        DataError: there are bad rows; the first few lines are named.
    """
    manifest = unsealed(folder)
    if manifest is None:
        with whole_folder(folder) as draft:
            bad = _convert(file, numbers, skip, draft)
            manifest = {
                "skipped": len(bad),
                "lines": [f"line {entry.line} {entry.what}" for entry in bad[:LISTED]],
            }
            seal(draft, manifest)
    return Converted(folder / "rows.parquet", manifest["skipped"], manifest.get("lines", ()))


def _convert(file: Path, numbers: Sequence[str], skip: bool, folder: Path) -> list[Bad]:
    """Writes the Parquet; returns the rows that were left out, in their order."""
    clean, bad = file, list(bad_lines(file))
    if bad:  # Those that are refused, too, so that a row of another fault is told in the same breath.
        clean = folder / "clean.csv"
        _without(file, {entry.line for entry in bad}, clean)
    frame = pl.scan_csv(clean, infer_schema_length=None, glob=False)
    frame, odd = _numbered(frame, numbers)
    said = sorted([entry for entry in bad if entry.what] + _odd_lines(odd, [entry.line for entry in bad]))
    if said and not skip:
        raise DataError(*_told(file, said))
    frame.sink_parquet(folder / "rows.parquet")
    if clean != file:
        clean.unlink()
    return said


def raw_lines(file: Path | Sequence[Path]) -> pl.LazyFrame:
    """Each line as one text in the column `line`, null where it is blank; bytes that are no UTF-8 are replaced."""
    return pl.scan_csv(
        file,
        has_header=False,
        separator="\x1e",
        quote_char=None,
        new_columns=["line"],
        infer_schema=False,
        encoding="utf8-lossy",
    )


def bad_lines(file: Path, separator: str = ",") -> Iterator[Bad]:
    """Lines that are no rows, in their order; blank ones say nothing.

    Args:
        file: in which the first line has as many fields as all.
        separator: what stands between fields. Between others than commas no field is quoted, and bytes that are no
            UTF-8 are nobody's fault.
    """
    lines = raw_lines(file).with_row_index("number", offset=1)
    quoted = separator == ","
    bare = pl.col("line").str.replace_all(r'"[^"]*"', "", literal=False) if quoted else pl.col("line")
    if quoted and lines.select(bare.str.contains('"', literal=True).any()).collect(engine="streaming").item():
        yield from _bad_records(file)
        return
    fields = bare.str.count_matches(separator, literal=True) + 1
    wanted = lines.filter(pl.col("line").is_not_null()).select(fields).head(1).collect().item()
    broken = pl.col("line").str.contains("\ufffd", literal=True) & quoted
    odd = lines.with_columns(fields=fields, broken=broken).filter(
        pl.col("line").is_null() | (pl.col("fields") != wanted) | pl.col("broken")
    )
    for number, text, found, rotten in odd.collect(engine="streaming").sort("number").iter_rows():
        yield Bad(number, "" if text is None else _what(found, wanted, rotten))


def _bad_records(file: Path) -> Iterator[Bad]:
    """The same, row by row, for files whose quoted fields reach over several lines."""
    with open(file, newline="", encoding="utf-8", errors="replace") as text:
        reader = csv.reader(text)
        wanted = len(next(reader))
        line = reader.line_num
        for record in reader:
            rotten = any("\ufffd" in field for field in record)
            if len(record) != wanted or rotten:
                yield Bad(line + 1, _what(len(record), wanted, rotten) if record else "")
            line = reader.line_num


def _what(found: int, wanted: int, rotten: bool) -> str:
    return "holds bytes that are no UTF-8" if rotten else f"has {found} fields, where the first line has {wanted}"


def _without(file: Path, lines: set[int], target: Path) -> None:
    """Copies a file but for the records that begin on some lines."""
    with (
        open(file, newline="", encoding="utf-8", errors="replace") as text,
        open(target, "w", newline="", encoding="utf-8") as clean,
    ):
        reader, writer = csv.reader(text), csv.writer(clean)
        first = 1
        for record in reader:
            if first not in lines:
                writer.writerow(record)
            first = reader.line_num + 1


def _numbered(frame: pl.LazyFrame, numbers: Sequence[str]) -> tuple[pl.LazyFrame, pl.DataFrame]:
    """A frame whose number columns hold numbers, and the rows that had to go: row, column, value."""
    schema = frame.collect_schema()
    text = [column for column in dict.fromkeys(numbers) if schema.get(column) == pl.String]
    lost = {
        column: pl.col(column).is_not_null() & pl.col(column).cast(pl.Float64, strict=False).is_null()
        for column in text
        if column in schema
    }
    if not lost:
        return frame, pl.DataFrame()
    indexed = frame.with_row_index("\x00row")
    odd = pl.concat(
        indexed.filter(bad).select(pl.col("\x00row").alias("row"), pl.lit(column).alias("column"), value=column)
        for column, bad in lost.items()
    )
    odd = odd.collect(engine="streaming").sort("row").unique("row", keep="first", maintain_order=True)
    if len(odd) == frame.select(pl.len()).collect().item():
        return frame, pl.DataFrame()  # A column of names, not a bad row: that is said of the column.
    kept = frame.filter(~pl.any_horizontal(bad.fill_null(False) for bad in lost.values()))
    return kept.with_columns(pl.col(column).cast(pl.Float64) for column in text), odd


def _odd_lines(odd: pl.DataFrame, gone: Sequence[int]) -> list[Bad]:
    """The lines of rows, counting in the header and the lines that had gone before."""
    found = []
    for row, column, value in odd.iter_rows():
        line = row + 2
        for lost in sorted(gone):
            line += lost <= line
        found.append(Bad(line, f'holds "{value}" in column `{column}`, where numbers are meant'))
    return found


def _told(file: Path, bad: Sequence[Bad]) -> list[Fault]:
    remedy = "Mend it, or leave such rows out with data.on_bad_rows=skip."
    told = [Fault(f"{file}, line {entry.line}", f"{entry.what}.", remedy) for entry in bad[:LISTED]]
    more = len(bad) - LISTED
    return [*told, Fault(str(file), f"has {more} more bad rows.", "")] if more > 0 else told
