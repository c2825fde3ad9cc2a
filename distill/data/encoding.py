"""From shards to the records of a view: codes of values become the ids of a scope, numbers what networks want.

Every shard is read twice: once for what its training rows show, once to write its records. Neither takes more memory
than a shard and the values that are known.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill.data import numeric
from distill.data.known import Ids, Known
from distill.data.layout import EVENTS, IDS, LENGTH_BITS, layout, of_kind
from distill.data.sealed import opened, rows
from distill.data.settings import Bucketised, DataSettings, Numeric
from distill.data.shards import Shard
from distill.data.split import TRAIN
from distill.data.tables import Use, by_table, given, rule


def sequence_file(folder: Path, settings: DataSettings, feature: str) -> Path:
    """Where the events of a history or set are; names may hold what file names may not."""
    return folder / f"sequence-{list(settings.features).index(feature)}.npy"


def table_file(folder: Path, settings: DataSettings, table: str) -> Path:
    """Where the codes that a table knows are."""
    return folder / f"table-{list(by_table(settings.features)).index(table)}.npy"


class Encoder:
    """Writes the records of all rows, with ids numbered in each group of rows on its own.

    Args:
        base: folder of what every row has (`assembly.Assembly`).
        shards: the encoded rows.
        settings: what they mean.
        features: names of the features seen.
        constants: what numbers were fitted to.
        groups: number of verticals, each a group; None where all rows are one.
    """

    def __init__(
        self,
        base: Path,
        shards: Sequence[Shard],
        settings: DataSettings,
        features: Sequence[str],
        constants: dict[str, Any],
        groups: int | None,
    ) -> None:
        self.base, self.shards, self.settings, self.constants, self.groups = base, shards, settings, constants, groups
        self.features = {name: settings.features[name] for name in features}
        self.keys = {name: f"f{number}" for number, name in enumerate(settings.features)}
        self.layout = layout(self.features, len(settings.tasks))
        self.tables = by_table(self.features)
        self.outcome = {name: opened(base / f"{name}.npy") for name in ("vertical", "label", "valid", "weight")}
        self.train = opened(base / "split.npy") == TRAIN

    def write(self, folder: Path) -> dict[str, list[int]]:
        """Writes records, events and vocabularies below `folder`; returns the height of each table, group by group."""
        known = self._known()
        with rows(folder / "record.npy", np.int32, len(self.train), self.layout.width) as record:
            for block, shard, starts in zip(self._blocks(), self.shards, self._event_starts(), strict=True):
                record.add(self._records(block, shard, known, starts))
        for name in self.layout.shapes:
            self._write_events(name, known, folder)
        for table, found in known.items():
            np.save(table_file(folder, self.settings, table), found.values)
        return {table: self._heights(table, known) for table in self.tables}

    def _known(self) -> dict[str, Known]:
        """What training rows show of each table whose ids depend on it."""
        found = {table: self._empty(table) for table in self.tables if not self._fixed(table)}
        for block, shard in zip(self._blocks(), self.shards, strict=True):
            train, group = self.train[block], self._group(block)
            for table, known in found.items():
                row, codes = self._shown(shard, self.tables[table])
                seen = train[row]
                known.show(group[row[seen]], codes[seen])
        for known in found.values():
            known.close()
        return found

    def _empty(self, table: str) -> Known:
        codes = 1 + sum(len(shard.words.get(f"table:{table}", ())) for shard in self.shards)
        return Known(self.groups or 1, codes, rule(self.settings.features, table).min_count)

    def _fixed(self, table: str) -> bool:
        return given(self.settings.features, table) is not None or table in self.constants

    def _heights(self, table: str, known: dict[str, Known]) -> list[int]:
        if table in known:
            return known[table].heights.tolist()
        fitted = self.constants.get(table)
        height = len(fitted["boundaries"]) + 3 if fitted else given(self.settings.features, table)
        return [height] * (self.groups or 1)

    def _shown(self, shard: Shard, uses: Sequence[Use]) -> tuple[NDArray[np.int64], Ids]:
        """Every code of a table that the rows of a shard hold, and its row; in the order of rows, columns and steps."""
        row, codes = [], []
        for use in uses:
            if use.feature in self.layout.shapes:
                lengths = shard.column(self.keys[use.feature])
                row.append(np.repeat(np.arange(shard.rows), lengths))
                codes.append(shard.events(self.keys[use.feature])[:, use.place])
            else:
                row.append(np.arange(shard.rows))
                codes.append(shard.column(self.keys[use.feature]))
        if len(uses) == 1:
            return row[0], codes[0]
        order = np.argsort(np.concatenate(row), kind="stable")
        return np.concatenate(row)[order], np.concatenate(codes)[order]

    def _records(self, block: slice, shard: Shard, known: dict[str, Known], starts: dict[str, int]) -> Ids:
        at = self.layout
        record = np.zeros((shard.rows, at.width), dtype=np.int32)
        numbers, words = record.view(np.float32), record.view(np.int64)
        record[:, at.vertical] = self.outcome["vertical"][block, None]
        record[:, at.valid] = self.outcome["valid"][block]
        numbers[:, at.label] = self.outcome["label"][block]
        numbers[:, at.weight] = self.outcome["weight"][block, None]
        for place, name in enumerate(at.shapes):
            lengths = shard.column(self.keys[name]).astype(np.int64)
            words[:, place] = (starts[name] + np.cumsum(lengths) - lengths) << LENGTH_BITS | lengths
        group = self._group(block)
        for place, name in enumerate(of_kind(self.features, *IDS), at.categorical.start):
            record[:, place] = self._ids(name, shard, known, group)
        numbers[:, at.numeric] = self._numbers(shard)
        return record

    def _ids(self, name: str, shard: Shard, known: dict[str, Known], group: NDArray[np.int64]) -> Ids:
        column = shard.column(self.keys[name])
        if isinstance(self.features[name], Bucketised):
            return numeric.bucket(column, self.constants[name]["boundaries"])
        return known[name].ids(group, column) if name in known else column

    def _numbers(self, shard: Shard) -> NDArray[np.float64]:
        columns = [
            numeric.apply(shard.column(self.keys[name]), self.constants[name], self.features[name])
            for name in of_kind(self.features, Numeric)
        ]
        return np.concatenate(columns, axis=1) if columns else np.zeros((shard.rows, 0))

    def _write_events(self, name: str, known: dict[str, Known], folder: Path) -> None:
        """The ids of all events, and room behind the last for one window of the longest."""
        length, columns = self.layout.shapes[name]
        key = self.keys[name]
        count = sum(shard.manifest["events"][key] for shard in self.shards)
        with rows(sequence_file(folder, self.settings, name), np.int32, count + length, columns) as target:
            for block, shard in zip(self._blocks(), self.shards, strict=True):
                events = shard.events(key)
                group = np.repeat(self._group(block), shard.column(key))
                for use in self._uses(name):
                    if use.table in known:
                        events[:, use.place] = known[use.table].ids(group, events[:, use.place])
                target.add(events)
            target.add(np.zeros((length, columns)))

    def _uses(self, name: str) -> Iterator[Use]:
        return (use for uses in self.tables.values() for use in uses if use.feature == name)

    def _group(self, block: slice) -> NDArray[np.int64]:
        if self.groups is None:
            return np.zeros(block.stop - block.start, dtype=np.int64)
        return self.outcome["vertical"][block].astype(np.int64)

    def _blocks(self) -> Iterator[slice]:
        ends = list(accumulate((shard.rows for shard in self.shards), initial=0))
        return (slice(*pair) for pair in pairwise(ends))

    def _event_starts(self) -> Iterator[dict[str, int]]:
        """For each shard, how many events of each history and set stand before it."""
        before = dict.fromkeys(of_kind(self.features, *EVENTS), 0)
        for shard in self.shards:
            yield dict(before)
            for name in before:
                before[name] += shard.manifest["events"][self.keys[name]]
