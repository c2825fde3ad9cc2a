"""Impressions: the rows of one data set, encoded once into memory-mapped columns and found again by fingerprint."""

import shutil
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from distill.data import roles
from distill.data.checks import Faults
from distill.data.columns import Columns
from distill.data.encoding import Encoder
from distill.data.hashing import RowDigest
from distill.data.kinds import describe, plain
from distill.data.sealed import create, opened, read_values, seal, unsealed, write_values
from distill.data.settings import DataSettings
from distill.data.source import Source, digest, locate
from distill.data.split import TEST, TRAIN, VALID
from distill.data.suspicions import Suspicions
from distill.data.tables import codes, uses
from distill.data.view import Scope, View
from distill.errors import DataError, Fault, StoreError, suggestion
from distill.files import whole_folder
from distill.fingerprint import fingerprint as short_name

__all__ = ["TEST", "TRAIN", "VALID", "Impressions", "View", "fingerprint", "load"]

FORMAT = 1
"""Goes up when the same source and settings are encoded into other columns."""


def load(settings: DataSettings, folder: Path) -> "Impressions":
    """The impressions of a data section; encoded at the first call, found at the later ones.

    Args:
        settings: where they are and what they mean.
        folder: the store's folder for data. What is damaged or unfinished in it is made again.

    Raises:
        DataError: everything that is wrong with them, all at once.
        StoreError: `folder` cannot be written.
    """
    files = locate(settings, folder)
    try:
        target = folder / _name(settings, files, folder)
        if unsealed(target) is None:
            shutil.rmtree(target, ignore_errors=True)
            with whole_folder(target) as draft:
                _encode(Source(files), settings, draft)
        return Impressions(settings, Source(files), target)
    except OSError as error:
        raise StoreError(Fault(str(folder), f"cannot be used: {error.strerror or error}.")) from error


def fingerprint(settings: DataSettings, folder: Path) -> str:
    """The fingerprint that `load` gives: of the files' content and the data section, wherever the files are."""
    return _name(settings, locate(settings, folder), folder)


def _name(settings: DataSettings, files: Sequence[Path], folder: Path) -> str:
    # As text, because the order of features and of the columns of a history counts.
    return short_name(FORMAT, settings.model_dump_json(exclude={"path", "world"}), digest(files, folder))


def _encode(source: Source, settings: DataSettings, folder: Path) -> None:
    """Reads, checks and writes every column that the settings name."""
    scratch = folder / "scratch"
    scratch.mkdir()
    source = source.as_parquet(scratch)
    if not source.rows:
        raise DataError(Fault(source.name, "holds no rows.", "Give another data.path."))
    faults, rows = Faults(), RowDigest(source.rows)
    found = roles.read(source, settings, faults, rows)
    suspicions = Suspicions(found, list(settings.tasks))
    columns = Columns(source, settings, folder, found.split == TRAIN, faults, rows, suspicions)
    columns.write()
    faults.tell()
    shutil.rmtree(scratch)
    for name, array in found.arrays().items():
        create(folder / f"{name}.npy", array.dtype, *array.shape)[:] = array
    if found.row_id is not None:
        write_values(folder / "row_id.arrow", found.row_id)
    groups = dict(zip(found.verticals, _groups(found.vertical, len(found.verticals)), strict=True))
    manifest = {
        "rows": source.rows,
        "domains": found.domains,
        "parts": {vertical: rows.part(members) for vertical, members in groups.items()},
        "constants": columns.constants,
        "warnings": suspicions.found,
    }
    seal(folder, manifest)


def _groups(vertical: NDArray[np.int32], count: int) -> list[NDArray[np.int64]]:
    """The rows of each vertical, in row order."""
    ends = np.bincount(vertical, minlength=count).cumsum()
    return np.split(np.argsort(vertical, kind="stable"), ends[:-1])


class Impressions:
    """The rows of one data set, memory-mapped.

    Attributes:
        fingerprint: of the source's content and the data section; the same for the same files in another place.
        parts: vertical -> fingerprint of the content of its rows, which rows of other verticals do not change.
        tasks: names of the tasks.
        verticals: names of the verticals, sorted.
        domains: vertical -> its domain, or None.
        row_id: column that identifies a row; None where the position does.
        rows: number of rows.
        split: `TRAIN`, `VALID` or `TEST`, [rows].
        vertical: index into `verticals`, [rows].
        time: in the order of time, [rows], or None.
        user: a number for each user, [rows], or None.
        label: 0 or 1, [rows, tasks].
        valid: False where a label does not exist, [rows, tasks].
        weight: [rows].
        warnings: what is odd about the data.
    """

    def __init__(self, settings: DataSettings, source: Source, folder: Path) -> None:
        manifest = unsealed(folder)
        assert manifest is not None, "made by `load`"
        self.settings, self.source, self.folder = settings, source, folder
        self.fingerprint = folder.name
        self.tasks = tuple(settings.tasks)
        self.row_id = settings.row_id
        self.rows: int = manifest["rows"]
        self.domains: dict[str, str | None] = manifest["domains"]
        self.verticals = tuple(self.domains)
        self.parts: dict[str, str] = manifest["parts"]
        self.warnings: list[str] = manifest["warnings"]
        self._constants: dict[str, Any] = manifest["constants"]
        self.split, self.vertical = self._array("split"), self._array("vertical")
        self.label, self.valid, self.weight = self._array("label"), self._array("valid"), self._array("weight")
        self.time = self._array("time") if settings.time else None
        self.user = self._array("user") if settings.user else None

    def select(self, split: int, vertical: str | None = None) -> NDArray[np.int64]:
        """Row numbers of a split, of one vertical or of all, in row order."""
        if vertical is None:
            return np.flatnonzero(self.split == split)
        rows = self._groups[self.verticals.index(vertical)]
        return rows[self.split[rows] == split]

    def key(self, column: str) -> NDArray[np.int64]:
        """A number for each value of any column of the source, [rows]; values count up in their order, null last.

        Raises:
            DataError: there is no such column, it holds lists, or the source has changed since it was encoded.
        """
        where = self.source.place(column)
        values = plain(self.source.read(column), where)
        if len(values) != self.rows:
            raise DataError(Fault(where, f"has {len(values)} rows, where {self.rows} were encoded.", "Run again."))
        return codes(values, values.drop_nulls().unique().sort()).astype(np.int64)

    def locate(self, row_ids: pl.Series) -> NDArray[np.int64]:
        """The row number of each row id, -1 where there is no such row.

        Without `data.row_id`, the id of a row is its position, counted through the files sorted by name.

        Raises:
            DataError: the ids are text where ours are numbers, or the other way round.
        """
        ids = roles.row_ids(row_ids, "row ids")
        if self.row_id is None:
            known = pl.int_range(self.rows, dtype=pl.Int64, eager=True)
        else:
            known = read_values(self.folder / "row_id.arrow")
        if ids.dtype != known.dtype and len(ids):
            what = f"are {describe(ids.dtype)}, where `{self.row_id or 'position'}` holds {describe(known.dtype)}."
            raise DataError(Fault("row ids", what))
        table = pl.DataFrame({"id": known}).with_row_index("row")
        found = pl.DataFrame({"id": ids.cast(known.dtype)}).join(table, on="id", how="left", maintain_order="left")
        return found["row"].cast(pl.Int64).fill_null(-1).to_numpy()

    def view(self, features: Sequence[str] | None, scope: Scope) -> View:
        """The features that rankers of a scope may see; encoded at the first call.

        Its fingerprint says what it shows, and how. In scope `all` that includes every row; in scope `vertical` it does
        not, since `parts` says that of each vertical: only the constants of its numbers come from other verticals.

        Args:
            features: their names; all of them where None.
            scope: whose ids (see `View`).

        Raises:
            DataError: there is no such feature.
        """
        names = self._names(features)
        name = self._view_name(names, scope)
        folder = self.folder / f"view-{name}"
        if unsealed(folder) is None:
            shutil.rmtree(folder, ignore_errors=True)
            groups = [np.arange(self.rows)] if scope == "all" else self._groups
            encoder = Encoder(self.folder, self.settings, names, groups, self.split == TRAIN)
            with whole_folder(folder) as draft:
                seal(draft, {"heights": encoder.write(draft)})
        return View(name, scope, names, self.settings, self.verticals, self.folder, folder)

    def _names(self, features: Sequence[str] | None) -> list[str]:
        known = list(self.settings.features)
        unknown = [name for name in features or () if name not in known]
        if unknown:
            raise DataError(
                *(Fault(f'feature "{name}"', "does not exist.", suggestion(name, known)) for name in unknown)
            )
        return [name for name in known if features is None or name in features]

    def _view_name(self, names: Sequence[str], scope: Scope) -> str:
        ours = self.settings.features
        seen = {name: ours[name] for name in names}
        shared = {use.table: ours[use.table].model_dump_json() for use in uses(seen) if use.table in ours}
        shown = [(name, feature.model_dump_json(), self._constants.get(name)) for name, feature in seen.items()]
        return short_name(FORMAT, scope, shown, shared, self.tasks, self.fingerprint if scope == "all" else None)

    def _array(self, name: str) -> NDArray:
        return opened(self.folder / f"{name}.npy")

    @cached_property
    def _groups(self) -> list[NDArray[np.int64]]:
        return _groups(self.vertical, len(self.verticals))
