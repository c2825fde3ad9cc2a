"""What is said of every public set: how to get it, who may use it, how it is split, and what others reached on it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from distill.data.csv_rows import LISTED, bad_lines
from distill.errors import DataError, Fault

AS_PUBLISHED = "Is it the file as published?"
"""What to do about a file that is not."""


@dataclass(frozen=True)
class PublicSet:
    """A set of impressions that others publish. Nothing is downloaded: a user has the files, as published.

    Attributes:
        name: what it is called here.
        files: name pattern of each file that is needed -> the columns it must have; none where it has no header.
        read: from the files that match each pattern to impressions in our format.
        rows: how many impressions are published; None where that depends on the part.
        licence: who may use it, as stated at the source; read that before use.
        citation: what to cite.
        split: how others split it.
        published: what others reached, to compare with.
        data: the `data:` section that fits what is written.
        separator: what stands between the fields of a line; None where lines have none.
    """

    name: str
    files: Mapping[str, tuple[str, ...]]
    read: Callable[[Mapping[str, list[Path]]], pl.LazyFrame]
    rows: int | None
    licence: str
    citation: str
    split: str
    published: str
    data: dict[str, Any] = field(default_factory=dict)
    separator: str | None = ","

    def convert(self, folder: Path, to: Path) -> int:
        """Writes the impressions as Parquet, without holding them all; returns how many they are.

        Raises:
            DataError: a file is missing, has not the published columns, or lines of fewer or more fields than the
                first; all such files are named.
        """
        found = {pattern: sorted(folder.glob(pattern)) for pattern in self.files}
        faults = [
            Fault(str(folder / pattern), f"does not exist; {self.name} is published with it.", "Name its folder.")
            for pattern, paths in found.items()
            if not paths
        ]
        faults += [fault for pattern, paths in found.items() for path in paths for fault in self._odd(path, pattern)]
        if faults:
            raise DataError(*faults)
        draft = to.with_name(f"{to.name}.draft")
        try:
            self.read(found).sink_parquet(draft)
            draft.replace(to)
        except pl.exceptions.PolarsError as error:
            reason = str(error).splitlines()[0].rstrip(".")
            raise DataError(Fault(str(folder), f"is not {self.name} as published: {reason}.")) from None
        finally:
            draft.unlink(missing_ok=True)
        return pl.scan_parquet(to).select(pl.len()).collect().item()

    def _odd(self, path: Path, pattern: str) -> list[Fault]:
        """What a file lacks."""
        wanted = self.files[pattern]
        held = [column.strip() for column in pl.scan_csv(path).collect_schema().names()] if wanted else []
        lacking = [column for column in wanted if column not in held]
        what = f"has no column {', '.join(lacking)}, which {self.name} is published with."
        odd = [Fault(str(path), what, AS_PUBLISHED)] if lacking else []
        lines = (bad for bad in bad_lines(path, self.separator) if bad.what) if self.separator else iter(())
        return odd + [Fault(f"{path}, line {bad.line}", f"{bad.what}.", AS_PUBLISHED) for bad in islice(lines, LISTED)]
