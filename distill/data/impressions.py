"""Impressions: the rows of one data set, encoded once into memory-mapped columns and found again by fingerprint."""

import shutil
import weakref
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from distill.data import roles
from distill.data.encoding import Encoder
from distill.data.finding import digest, locate
from distill.data.kinds import describe, plain, widened
from distill.data.layout import columns_of_numbers
from distill.data.leftovers import SHARDS, hold
from distill.data.making import make, set_name
from distill.data.negatives import correction, heard, kept, shares
from distill.data.preprocessing import Preprocessing, fitted
from distill.data.sealed import opened, seal, unsealed
from distill.data.settings import DataSettings
from distill.data.shards import FORMAT, Shard
from distill.data.source import Source
from distill.data.split import TEST, TRAIN, UNUSED, VALID
from distill.data.tables import given, uses
from distill.data.view import Scope, View
from distill.data.vocabulary import Vocabulary
from distill.errors import DataError, Fault, StoreError, suggestion
from distill.files import read_json, whole_folder
from distill.fingerprint import fingerprint as short_name
from distill.progress import Progress

__all__ = ["TEST", "TRAIN", "UNUSED", "VALID", "Impressions", "View", "fingerprint", "load"]


def load(settings: DataSettings, folder: Path, progress: Progress | None = None) -> "Impressions":
    """The impressions of a data section; encoded at the first call, found at the later ones.

    Args:
        settings: where they are and what they mean.
        folder: the store's folder for data. What is damaged or unfinished in it is made again.
        progress: is told how many rows are encoded.

    Raises:
        DataError: everything that is wrong with them, all at once.
        StoreError: `folder` cannot be written.
    """
    files = locate(settings, folder)
    try:
        source = _source(files, settings, folder)
        target = folder / set_name(settings, source.digests)
        manifest = unsealed(target)
        shards = _kept(target, folder) if manifest else None
        if manifest is None or shards is None:
            shards = make(source, settings, target, progress)
        return Impressions(settings, source, target, shards)
    except OSError as error:
        raise StoreError(Fault(str(folder), f"cannot be used: {error.strerror or error}.")) from error


def fingerprint(settings: DataSettings, folder: Path) -> str:
    """The fingerprint that `load` gives: of the files' content and the data section, wherever the files are."""
    return set_name(settings, digest(locate(settings, folder), folder))


def _source(files: Sequence[Path], settings: DataSettings, folder: Path) -> Source:
    numbers = columns_of_numbers(settings)
    return Source(files, digest(files, folder), folder / "sources", numbers, settings.on_bad_rows == "skip")


def _kept(target: Path, folder: Path) -> list[Shard] | None:
    """The shards of a data set, or None where one of them is damaged or gone."""
    found = []
    for name in read_json(target / SHARDS):
        manifest = unsealed(folder / "shards" / name)
        if manifest is None:
            return None
        found.append(Shard(folder / "shards" / name, manifest))
    return found


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
        times: type of the times, or None.
        changes: what differs from the state in which the same files were encoded before (`days.changes`), or None.
    """

    def __init__(self, settings: DataSettings, source: Source, folder: Path, shards: Sequence[Shard]) -> None:
        weakref.finalize(self, hold(folder).close)
        manifest = read_json(folder / "manifest.json")
        self.settings, self.source, self.folder, self.shards = settings, source, folder, tuple(shards)
        self.fingerprint = folder.name
        self.tasks = tuple(settings.tasks)
        self.row_id = settings.row_id
        self.rows: int = manifest["rows"]
        self.domains: dict[str, str | None] = manifest["domains"]
        self.verticals = tuple(self.domains)
        self.parts: dict[str, str] = manifest["parts"]
        self.warnings: list[str] = manifest["warnings"]
        self.times: str | None = manifest["times"]
        self.changes: dict[str, Any] | None = manifest["changes"]
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

    def training_rows(self, vertical: str | None, role: Literal["teacher", "students"], seed: int) -> NDArray[np.int64]:
        """The training rows that a role trains on: all, but for the negatives that `data.negatives` leaves out."""
        rows, share = self.select(TRAIN, vertical), getattr(self.settings.negatives, role)
        found = rows if share == 1 else kept(rows, self._positive(rows), share, seed)
        if vertical is None and not len(found):
            raise DataError(Fault(f"data.negatives.{role}", "leaves no row to train on.", "Raise it."))
        return found

    def share(self, role: Literal["teacher", "students"]) -> float:
        """Of all rows without a click, the share that a role trains on."""
        return shares(self.settings.negatives)[role]

    def correction(self, role: Literal["teacher", "students"]) -> float:
        """What is added to the log-odds of a role, for they speak of the rows that it trained on and not of all."""
        return correction(self.share(role))

    @property
    def heard(self) -> float:
        """What is added to knowledge, which speaks of all rows, before students learn from it."""
        return heard(1.0, self.share("students"))

    def worth(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The weights with which rows are judged: one without a click stands for those that the files leave out."""
        weight, source = self.weight[rows], self.settings.negatives.source
        return weight if source == 1 else np.where(self._positive(rows), weight, weight / np.float32(source))

    def _positive(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which rows have a label that is 1."""
        return (self.label[rows] * self.valid[rows]).any(axis=1)

    def key(self, column: str) -> NDArray[np.int64]:
        """A number for each value of any column of the source, [rows]; values count up in their order, null last.

        Raises:
            DataError: there is no such column, it holds lists, or the source has changed since it was encoded.
        """
        where = self.source.place(column)
        kinds = self.source.kinds(column)
        for kind in kinds:
            plain(pl.Series([], dtype=kind), where)
        if self.source.rows != self.rows:
            raise DataError(Fault(where, f"has {self.source.rows} rows, where {self.rows} were encoded.", "Run again."))
        wide, words, found = widened(kinds), Vocabulary(), []
        for frame in self.source.read([column], self.source.cuts(self.settings.block)):
            values = plain(frame.to_series(), where)
            found.append(words.codes(values.cast(pl.Float64) if wide else values)[0])
        values = words.committed()
        order = [] if values is None else values.arg_sort().to_numpy()
        place = np.full(words.size, words.size - 1, dtype=np.int64)
        place[1 + np.asarray(order, dtype=np.int64)] = np.arange(words.size - 1)
        return place[np.concatenate(found)]

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
            known = pl.concat([shard.columns(["row_id"]).to_series() for shard in self.shards])
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
            groups = None if scope == "all" else len(self.verticals)
            encoder = Encoder(self.folder, self.shards, self.settings, names, self._constants, groups)
            with whole_folder(folder) as draft:
                seal(draft, {"heights": encoder.write(draft)})
        return View(name, scope, names, self.settings, self.verticals, self._words(names), self.folder, folder)

    def preprocessing(self, view: View, vertical: str | None) -> tuple[Preprocessing, dict[str, list[Any]]]:
        """What a ranker of a vertical needs to read raw columns as a view shows them, and the values with an id."""
        return fitted(self.source, self._constants, view, vertical)

    def _words(self, names: Sequence[str]) -> dict[str, Callable[[], pl.Series]]:
        """How to read the values of each table with a vocabulary, in the order of their codes, null first."""
        tables = {use.table for use in uses({name: self.settings.features[name] for name in names})}
        named = {table: f"table:{table}" for table in tables if self._is_vocabulary(table)}
        return {table: lambda name=name: self._values(name) for table, name in named.items()}

    def _is_vocabulary(self, table: str) -> bool:
        return given(self.settings.features, table) is None and table not in self._constants

    def _values(self, name: str) -> pl.Series:
        found = [shard.words[name] for shard in self.shards if name in shard.words]
        known = pl.concat(found) if found else pl.Series("value", [], dtype=pl.String)
        return pl.concat([pl.Series("value", [None], dtype=known.dtype), known.rename("value")])

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
        """The rows of each vertical, in row order."""
        ends = np.bincount(self.vertical, minlength=len(self.verticals)).cumsum()
        return np.split(np.argsort(self.vertical, kind="stable"), ends[:-1])
