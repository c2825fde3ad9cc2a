"""Whether the lines of a published file are as its publisher writes them, before anything is made of them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from distill.data.csv_rows import LISTED, bad_lines, raw_lines
from distill.errors import Fault, listed

AS_PUBLISHED = "Is it the file as published?"
"""What to do about a file that is not."""

LONGEST = 40
"""Most characters of a value that a message shows."""


class Form(NamedTuple):
    """How the values of a column are written: in the words of a user, and as a regular expression."""

    words: str
    pattern: str


WHOLE = Form("whole numbers", r"^\s*-?\d+\s*$")
NUMBER = Form("numbers", r"^\s*[-+]?\d+(\.\d*)?([eE][-+]?\d+)?\s*$")


def fields(path: Path | Sequence[Path], columns: Sequence[str], separator: str) -> pl.LazyFrame:
    """The fields of each line as text, where a separator is longer than those of CSV."""
    parts = pl.col("line").str.split_exact(separator, len(columns) - 1).struct.rename_fields(list(columns))
    return raw_lines(path).select(parts.alias("fields")).unnest("fields")


@dataclass(frozen=True)
class Lines:
    """How the lines of a set's files are written.

    Attributes:
        separator: what stands between fields; None where each line is an object of JSON.
        header: whether the first line names the columns.
        forms: how columns are written whose values are no mere names; in every file that has them. Only in JSON must
            each line have all of them.
        keys: file -> the column of which no value may come twice.
    """

    separator: str | None = ","
    header: bool = True
    forms: Mapping[str, Form] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)

    def faults(self, path: Path, columns: Sequence[str], name: str) -> list[Fault]:
        """What is wrong with a file, told by its lines as far as they are known; of many, the first few.

        Args:
            path: the file.
            columns: those that it must have; without a header, all of them in their order.
            name: of the set.
        """
        try:
            return self._shape(path, columns, name) or list(self._values(path, columns))
        except pl.exceptions.NoDataError:
            return [Fault(str(path), "is empty.", AS_PUBLISHED)]
        except (OSError, pl.exceptions.PolarsError) as error:
            reason = str(error).splitlines()[0].rstrip(".")
            return [Fault(str(path), f"cannot be read: {reason}.", AS_PUBLISHED)]

    def _shape(self, path: Path, columns: Sequence[str], name: str) -> list[Fault]:
        """Lines, columns and fields that are too few or too many."""
        first = raw_lines(path).head(2).collect()["line"].fill_null("")
        if self.header and len(first) < 2:
            return [Fault(str(path), "holds no rows.", AS_PUBLISHED)]
        if self.separator is None:
            return []
        held = [column.strip() for column in pl.scan_csv(path).collect_schema()] if self.header else []
        lacking = [column for column in columns if column not in held] if self.header else []
        if lacking:
            what = f"has no column {listed(lacking)}, which {name} is published with."
            return [Fault(str(path), what, AS_PUBLISHED)]
        count = first[0].count(self.separator) + 1
        if not self.header and count != len(columns):
            what = f"has {count} fields, where {name} is published with {len(columns)}."
            return [Fault(f"{path}, line 1", what, AS_PUBLISHED)]
        lines = (bad for bad in bad_lines(path, self.separator) if bad.what)
        return [Fault(f"{path}, line {bad.line}", f"{bad.what}.", AS_PUBLISHED) for bad in islice(lines, LISTED)]

    def _values(self, path: Path, columns: Sequence[str]) -> Iterator[Fault]:
        """Values that are not written as they should be, or stand in a second line."""
        rows = self._text(path, columns).with_row_index("\x00line", offset=2 if self.header else 1)
        forms = {column: form for column, form in self.forms.items() if column in columns}
        if forms:
            lost = self.separator is None
            odd = [~pl.col(column).str.contains(form.pattern).fill_null(not lost) for column, form in forms.items()]
            found = rows.filter(pl.any_horizontal(odd)).select("\x00line", *forms).head(LISTED)
            for line, *values in found.collect(engine="streaming").iter_rows():
                yield Fault(f"{path}, line {line}", _odd(dict(zip(forms, values, strict=True)), forms), AS_PUBLISHED)
        if path.name in self.keys:
            key = self.keys[path.name]
            again = rows.filter(~pl.col(key).is_first_distinct()).select("\x00line", key).head(LISTED)
            for line, value in again.collect().iter_rows():
                yield Fault(f"{path}, line {line}", f"names `{key}` {value} a second time.", AS_PUBLISHED)

    def _text(self, path: Path, columns: Sequence[str]) -> pl.LazyFrame:
        """All rows, every field as text."""
        if self.separator is None:
            parts = (pl.col("line").str.json_path_match(f"$.{column}").alias(column) for column in columns)
            return raw_lines(path).select(*parts)
        if len(self.separator) > 1:
            return fields(path, columns, self.separator)
        names = None if self.header else list(columns)
        kind: dict[str, Any] = {"infer_schema": False, "encoding": "utf8-lossy"}
        rows = pl.scan_csv(path, separator=self.separator, has_header=self.header, new_columns=names, **kind)
        return rows.rename(str.strip)


def _odd(values: Mapping[str, str | None], forms: Mapping[str, Form]) -> str:
    """What is wrong with a line: its first value that is not written as it should be."""
    for column, form in forms.items():
        value = values[column]
        if value is not None and not re.search(form.pattern, value):
            return f'holds "{value[:LONGEST]}" in column `{column}`, where {form.words} are meant.'
    return f"has no `{next(column for column in forms if values[column] is None)}`."
