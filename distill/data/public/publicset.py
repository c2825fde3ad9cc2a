"""What is said of every public set: how to get it, who may use it, how it is split, and what others reached on it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from distill.data.public.lines import Lines
from distill.errors import DataError, Fault, StoreError


@dataclass(frozen=True)
class PublicSet:
    """A set of impressions that others publish. Nothing is downloaded: a user has the files, as published.

    Attributes:
        name: what it is called here.
        files: name pattern of each file that is needed -> the columns it must have; without a header, all of them in
            their order.
        read: from the files that match each pattern to impressions in our format.
        rows: how many impressions are published; None where that depends on the part.
        licence: who may use it, as stated at the source; read that before use.
        citation: what to cite.
        split: how others split it.
        published: what others reached, to compare with.
        lines: how the lines of its files are written.
        data: the `data:` section that fits what is written.
    """

    name: str
    files: Mapping[str, tuple[str, ...]]
    read: Callable[[Mapping[str, list[Path]]], pl.LazyFrame]
    rows: int | None
    licence: str
    citation: str
    split: str
    published: str
    lines: Lines
    data: dict[str, Any]

    def convert(self, folder: Path, to: Path) -> int:
        """Writes the impressions as Parquet, without holding them all; returns how many they are.

        Raises:
            DataError: a file is missing, empty, has not the published columns, or has lines that are not written as
                published; all such files are named, each with its first such lines.
            StoreError: the disk has no room for the Parquet.
        """
        found = {pattern: sorted(folder.glob(pattern)) for pattern in self.files}
        faults = [
            Fault(str(folder / pattern), f"does not exist; {self.name} is published with it.", "Name its folder.")
            for pattern, paths in found.items()
            if not paths
        ]
        for pattern, paths in found.items():
            faults += [fault for path in paths for fault in self.lines.faults(path, self.files[pattern], self.name)]
        if faults:
            raise DataError(*faults)
        draft = to.with_name(f"{to.name}.draft")
        try:
            self.read(found).sink_parquet(draft)
            draft.replace(to)
        except pl.exceptions.PolarsError as error:
            if "No space left" in str(error):
                raise StoreError(
                    Fault(str(to), "the disk has no room for it.", "Free some, or name another.")
                ) from None
            reason = str(error).splitlines()[0].rstrip(".")
            raise DataError(Fault(str(folder), f"is not {self.name} as published: {reason}.")) from None
        finally:
            draft.unlink(missing_ok=True)
        return pl.scan_parquet(to).select(pl.len()).collect().item()
