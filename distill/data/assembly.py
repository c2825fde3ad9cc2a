"""From shards to one data set: what every row has, in one array each, and what is fitted to training rows."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from distill.data import numeric
from distill.data.days import DAYS, merged
from distill.data.hashing import Part
from distill.data.leftovers import SHARDS
from distill.data.sealed import opened, rows
from distill.data.settings import Bucketised, DataSettings, Numeric, SplitByTime, Vector
from distill.data.shards import Shard
from distill.data.source import Source
from distill.data.split import TRAIN, ByTime
from distill.errors import DataError, Fault
from distill.files import write_json

FIT = 1 << 20
"""Training rows to which numbers are fitted, the first that have one: more rows behind them change no number."""

BUCKET = 1 << 22
"""Hashes of row ids that are compared with each other at once."""


class Assembly:
    """Writes what every row has, and finds what is to be known of all of them.

    Args:
        source: the rows, to name them.
        settings: what their columns mean.
        shards: the encoded rows.
        folder: where the arrays go.
    """

    def __init__(self, source: Source, settings: DataSettings, shards: Sequence[Shard], folder: Path) -> None:
        self.source, self.settings, self.shards, self.folder = source, settings, shards, folder
        self.rows = sum(shard.rows for shard in shards)
        self.verticals = sorted(self._words("role:vertical"))

    def write(self) -> dict[str, Any]:
        """Writes the arrays; returns what the manifest says.

        Raises:
            DataError: a row id names several rows, no row trains, or a number cannot be fitted.
        """
        if self.settings.row_id is not None:
            self._unique()
        self._arrays()
        if not (opened(self.folder / "split.npy") == TRAIN).any():
            raise DataError(Fault("data.split", f"leaves no row of {self.source.name} to train on."))
        write_json(self.folder / SHARDS, [shard.folder.name for shard in self.shards])
        domains = dict(pair for shard in self.shards for pair in shard.manifest["notes"].get("domains", ()))
        return {
            "rows": self.rows,
            "domains": {vertical: domains.get(vertical) for vertical in self.verticals},
            "parts": self._parts(),
            "constants": self._constants(),
            "times": self.shards[0].manifest["notes"].get("time"),
            "skipped": self._skipped(),
        }

    def _skipped(self) -> list[tuple[str, int, list[str]]]:
        """The files that lost rows: how many, and the first of them."""
        tables = zip(self.source.files, self.source.tables, strict=True)
        return [(str(file), table.skipped, list(table.lines)) for file, table in tables if table.skipped]

    def _words(self, name: str) -> list[str]:
        return [word for shard in self.shards for word in shard.words.get(name, ())]

    def _arrays(self) -> None:
        tasks = [f"label-{task}" for task in range(len(self.settings.tasks))]
        label = lambda shard: shard.columns(tasks).to_numpy()  # noqa: E731
        self._write("label", np.float32, lambda shard: np.nan_to_num(label(shard)), len(tasks))
        self._write("valid", bool, lambda shard: ~np.isnan(label(shard)), len(tasks))
        place = np.empty(len(self.verticals) + 1, dtype=np.int32)
        place[1:] = [self.verticals.index(name) for name in self._words("role:vertical")]
        self._write("vertical", np.int32, lambda shard: place[shard.column("vertical")])
        found = np.concatenate([shard.days() for shard in self.shards])
        found[:, 0] = place[found[:, 0]]
        np.save(self.folder / DAYS, merged(found))
        self._write("split", np.int8, self._splitting())
        ones = lambda shard: np.ones(shard.rows)  # noqa: E731
        weights = (lambda shard: shard.column("weight")) if self.settings.weight else ones
        self._write("weight", np.float32, weights)
        if self.settings.time:
            kinds = {self.shards[0].column("time").dtype, self.shards[-1].column("time").dtype}
            kind = np.float64 if np.dtype(np.float64) in kinds else np.int64
            self._write("time", kind, lambda shard: shard.column("time"))
        if self.settings.user:
            self._write("user", np.int64, lambda shard: shard.column("user"))
        for number, feature in enumerate(self.settings.features.values()):
            if isinstance(feature, Vector):
                key = f"f{number}"
                stacked = lambda shard, key=key: shard.columns([key]).to_series().to_numpy()  # noqa: E731
                self._write(f"vector-{number}", np.float32, stacked, feature.width)

    def _write(self, name: str, kind: Any, column: Any, *shape: int) -> None:
        with rows(self.folder / f"{name}.npy", kind, self.rows, *shape) as target:
            for shard in self.shards:
                target.add(column(shard))

    def _splitting(self) -> Any:
        settings = self.settings.split
        if not isinstance(settings, SplitByTime):
            return lambda shard: shard.column("split")
        kind = self.shards[0].manifest["notes"]["time"]
        by_time = ByTime(settings, kind, self.source.place(self.settings.time))
        return lambda shard: by_time.split(shard.column("time"))

    def _parts(self) -> dict[str, str]:
        """The digest of the rows of each vertical, whichever files and shards they are in."""
        names = ["", *self._words("role:vertical")]
        split = opened(self.folder / "split.npy") if isinstance(self.settings.split, SplitByTime) else None
        found: dict[str, Part] = {}
        for shard in self.shards:
            for code, part in shard.manifest["parts"].items():
                name = names[int(code)]
                found[name] = found.get(name, Part(0, 0)).then(Part(*part))
        dealt = self._dealt(split) if split is not None else {}
        return {name: f"{found[name].value ^ dealt.get(name, 0):016x}" for name in self.verticals}

    def _dealt(self, split: NDArray[np.int8]) -> dict[str, int]:
        """A number for each vertical that changes when a bound of the split moves one of its rows."""
        vertical = opened(self.folder / "vertical.npy")
        counts = np.zeros((len(self.verticals), 4), dtype=np.int64)
        for first in range(0, self.rows, BUCKET):
            block = slice(first, first + BUCKET)
            pairs = vertical[block].astype(np.int64) * 4 + split[block]
            counts += np.bincount(pairs, minlength=counts.size).reshape(counts.shape)
        return {name: Part.of(row.astype(np.uint64)).value for name, row in zip(self.verticals, counts, strict=True)}

    def _unique(self) -> None:
        """A row id names one row: ids whose hashes agree are compared, as many hashes at once as there is room for."""
        passes = -(-self.rows // BUCKET)
        for number in range(passes):
            held = [self._hashes(shard, number, passes) for shard in self.shards]
            hashes, places = (np.concatenate(column) for column in zip(*held, strict=True))
            order = np.argsort(hashes, kind="stable")
            again = hashes[order[1:]] == hashes[order[:-1]]
            if again.any():
                suspects = np.unique(np.concatenate([order[1:][again], order[:-1][again]]))
                self._compare(places[suspects])

    def _hashes(self, shard: Shard, number: int, passes: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        start = sum(other.rows for other in self.shards[: self.shards.index(shard)])
        hashes = shard.column("row_hash")
        ours = np.flatnonzero(hashes % np.uint64(passes) == number)
        return hashes[ours], ours + start

    def _compare(self, places: NDArray[np.int64]) -> None:
        """Raises if some of these rows have one id."""
        ids, start = [], 0
        for shard in self.shards:
            ours = places[(places >= start) & (places < start + shard.rows)] - start
            ids.append(shard.columns(["row_id"]).to_series().gather(ours))
            start += shard.rows
        values = pl.concat(ids, how="vertical")
        repeated = values.filter(values.is_duplicated())
        if len(repeated):
            shown = ", ".join(map(str, repeated.unique().sort().head(5).to_list()))
            what = f"names several rows with one id ({len(repeated)} rows; {shown})."
            remedy = "Leave the repeats out, or name another column."
            raise DataError(Fault(self.source.place(self.settings.row_id), what, remedy))

    def _constants(self) -> dict[str, dict[str, Any]]:
        faults, found = [], {}
        for number, (name, feature) in enumerate(self.settings.features.items()):
            if isinstance(feature, Numeric | Bucketised):
                try:
                    found[name] = self._fitted(f"f{number}", feature, self.source.place(feature.column or name))
                    self._bounded(f"f{number}", feature, found[name], feature.column or name)
                except DataError as error:
                    faults += error.faults
        if faults:
            raise DataError(*faults)
        return found

    def _fitted(self, key: str, feature: Numeric | Bucketised, where: str) -> dict[str, Any]:
        if isinstance(feature, Bucketised) and feature.boundaries:
            return {"boundaries": list(feature.boundaries)}
        keep_missing = isinstance(feature, Numeric) and feature.missing == "zero"
        values = self._first(key, keep_missing)
        if not len(values):
            raise DataError(Fault(where, "has no number in any training row.", "Leave the feature out."))
        if isinstance(feature, Bucketised):
            return {"boundaries": numeric.quantiles(values, feature.buckets)}
        return numeric.fit(values, feature)

    def _first(self, key: str, keep_missing: bool) -> NDArray[np.float64]:
        """The numbers of the first training rows that have one."""
        split, held, count = opened(self.folder / "split.npy"), [], 0
        for shard, first in self._starts():
            values = shard.column(key)[split[first : first + shard.rows] == TRAIN]
            held.append(values if keep_missing else values[~np.isnan(values)])
            count += len(held[-1])
            if count >= FIT:
                break
        return np.concatenate(held)[:FIT]

    def _starts(self) -> Iterator[tuple[Shard, int]]:
        first = 0
        for shard in self.shards:
            yield shard, first
            first += shard.rows

    def _bounded(self, key: str, feature: Numeric | Bucketised, constants: dict[str, Any], column: str) -> None:
        """Every number must fit into 32 bits; transforms are monotonic, so the smallest and the largest tell."""
        if isinstance(feature, Bucketised):
            return
        ends = [end for shard in self.shards for end in shard.manifest["notes"].get("ends", {}).get(key, ())]
        for value, row in ends:
            with np.errstate(over="ignore"):
                found = numeric.apply(np.array([value]), constants, feature).astype(np.float32)
            if not np.isfinite(found).all():
                remedy = "Take its logarithm."
                raise DataError(Fault(self.source.place(column, row), "is too large for 32 bits.", remedy))
