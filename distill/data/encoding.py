"""From shards to the records of a view: codes of values become the ids of a scope, numbers what networks want.

Tables come one after the other: what training rows show of a table is known before its first id is written, and is
forgotten behind its last, so that no more than a shard and the values of one table are in memory at once.
"""

import shutil
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill.data import numeric
from distill.data.known import Ids, Known
from distill.data.layout import EVENTS, IDS, LENGTH_BITS, Heights, Layout, event_shapes, id_type, layout, of_kind
from distill.data.sealed import opened, read_rows, rows
from distill.data.settings import DataSettings, Feature, Numeric
from distill.data.shards import Shard
from distill.data.split import TRAIN
from distill.data.tables import Use, by_table, given, rule, uses
from distill.fingerprint import fingerprint

BLOCK = 1 << 20
"""Events that are copied at once."""


def sequence_file(folder: Path, settings: DataSettings, feature: str) -> Path:
    """Where the events of a history or set are; names may hold what file names may not."""
    return folder / f"sequence-{list(settings.features).index(feature)}.npy"


def table_file(folder: Path, settings: DataSettings, table: str) -> Path:
    """Where the codes that a table knows are."""
    return folder / f"table-{list(by_table(settings.features)).index(table)}.npy"


def _column_file(scratch: Path, use: Use) -> Path:
    """Where the ids of a column wait for those beside them."""
    return scratch / f"{fingerprint(use)}.npy"


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
        self.shapes = event_shapes(self.features)
        self.tables = by_table(self.features)
        self.train = opened(base / "split.npy") == TRAIN

    def write(self, folder: Path) -> dict[str, list[int]]:
        """Writes records, events and vocabularies below `folder`; returns the height of each table, group by group."""
        scratch = folder / "scratch"
        scratch.mkdir()
        heights = {table: self._write_table(table, uses, folder) for table, uses in self.tables.items()}
        at = layout(self.features, len(self.settings.tasks), heights)
        with rows(folder / "record.npy", np.int32, len(self.train), at.width) as record:
            for block, shard, starts in zip(self._blocks(), self.shards, self._event_starts(), strict=True):
                record.add(self._records(at, block, shard, starts, scratch))
        for name in self.shapes:
            self._write_events(name, folder, heights)
        shutil.rmtree(scratch)
        return heights

    def _write_table(self, table: str, uses: Sequence[Use], folder: Path) -> list[int]:
        """Writes the ids of the columns that read a table, each into a file of its own; returns the table's heights."""
        fixed = self._fixed(table)
        known = None if fixed else self._known(table, uses)
        for use in uses:
            with rows(_column_file(folder / "scratch", use), np.int32, self._entries(use)) as target:
                for block, shard in zip(self._blocks(), self.shards, strict=True):
                    row, codes = self._held(shard, use)
                    target.add(
                        self._fixed_ids(use, codes) if known is None else known.ids(self._group(block)[row], codes)
                    )
        if known is None:
            return [fixed] * (self.groups or 1)
        np.save(table_file(folder, self.settings, table), known.values())
        return known.heights.tolist()

    def _fixed(self, table: str) -> int | None:
        """The height of a table whose ids do not depend on what training rows show."""
        fitted = self.constants.get(table)
        return len(fitted["boundaries"]) + 3 if fitted else given(self.settings.features, table)

    def _fixed_ids(self, use: Use, codes: NDArray) -> Ids:
        fitted = self.constants.get(use.table)
        return numeric.bucket(codes, fitted["boundaries"]) if fitted else codes

    def _entries(self, use: Use) -> int:
        if use.feature not in self.shapes:
            return len(self.train)
        return sum(shard.manifest["events"][self.keys[use.feature]] for shard in self.shards)

    def _known(self, table: str, uses: Sequence[Use]) -> Known:
        codes = 1 + sum(len(shard.words.get(f"table:{table}", ())) for shard in self.shards)
        known = Known(self.groups or 1, codes, rule(self.settings.features, table).min_count)
        for block, shard in zip(self._blocks(), self.shards, strict=True):
            row, shown = self._shown(shard, uses)
            seen = self.train[block][row]
            known.show(self._group(block)[row[seen]], shown[seen])
        return known

    def _shown(self, shard: Shard, uses: Sequence[Use]) -> tuple[NDArray[np.int64], Ids]:
        """Every code of a table that the rows of a shard hold, and its row; in the order of rows, columns and steps."""
        held = [self._held(shard, use) for use in uses]
        if len(held) == 1:
            return held[0]
        row, codes = (np.concatenate(parts) for parts in zip(*held, strict=True))
        order = np.argsort(row, kind="stable")
        return row[order], codes[order]

    def _held(self, shard: Shard, use: Use) -> tuple[NDArray[np.int64], NDArray]:
        """The codes, or numbers, of one column of ids, and the row of each."""
        key = self.keys[use.feature]
        if use.feature in self.shapes:
            return np.repeat(np.arange(shard.rows), shard.column(key)), shard.events(key)[:, use.place]
        return np.arange(shard.rows), shard.column(key)

    def _records(self, at: Layout, block: slice, shard: Shard, starts: dict[str, int], scratch: Path) -> Ids:
        record = np.zeros((shard.rows, at.width), dtype=np.int32)
        numbers, words, ids = record.view(np.float32), record.view(np.int64), record.view(at.ids)
        record[:, at.vertical] = self._every("vertical", block)[:, None]
        record[:, at.valid] = self._every("valid", block)
        numbers[:, at.label] = self._every("label", block)
        numbers[:, at.weight] = self._every("weight", block)[:, None]
        numbers[:, at.numeric] = self._numbers(shard)
        for place, name in enumerate(at.shapes):
            lengths = shard.column(self.keys[name]).astype(np.int64)
            words[:, place] = (starts[name] + np.cumsum(lengths) - lengths) << LENGTH_BITS | lengths
        for place, use in enumerate(self._uses(*IDS), at.categorical.start):
            ids[:, place] = read_rows(_column_file(scratch, use), block)
        return record

    def _numbers(self, shard: Shard) -> NDArray[np.float64]:
        columns = [
            numeric.apply(shard.column(self.keys[name]), self.constants[name], self.features[name])
            for name in of_kind(self.features, Numeric)
        ]
        return np.concatenate(columns, axis=1) if columns else np.zeros((shard.rows, 0))

    def _write_events(self, name: str, folder: Path, heights: Heights) -> None:
        """The ids of all events, and room behind the last for one window of the longest."""
        (length, columns), feature = self.shapes[name], {name: self.features[name]}
        files = [_column_file(folder / "scratch", use) for use in uses(feature)]
        count = sum(shard.manifest["events"][self.keys[name]] for shard in self.shards)
        kind = id_type(feature, EVENTS, heights)
        with rows(sequence_file(folder, self.settings, name), kind, count + length, columns) as target:
            for first in range(0, count, BLOCK):
                target.add(np.stack([read_rows(file, slice(first, first + BLOCK)) for file in files], axis=1))
            target.add(np.zeros((length, columns)))

    def _every(self, name: str, block: slice) -> NDArray:
        """What every row of a block has."""
        return read_rows(self.base / f"{name}.npy", block)

    def _uses(self, *kinds: type[Feature]) -> Iterator[Use]:
        return uses({name: self.features[name] for name in of_kind(self.features, *kinds)})

    def _group(self, block: slice) -> NDArray[np.int64]:
        if self.groups is None:
            return np.zeros(block.stop - block.start, dtype=np.int64)
        return self._every("vertical", block).astype(np.int64)

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
