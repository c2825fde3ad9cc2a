"""From codes of values to the ids of a scope: a ranker knows the values that its own training rows show, and no others.

Ids are numbered from 1 in the order of the values (numbers by size, text by its bytes, null last), so they depend
neither on the order of the rows nor on anything that validation or test rows hold. `UNSEEN` is 0.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from distill.data.columns import feature_file, table_file
from distill.data.hashing import hashes
from distill.data.layout import layout, of_kind
from distill.data.sealed import create, opened, read_values
from distill.data.settings import Categorical, DataSettings, Numeric
from distill.data.tables import Use, by_table
from distill.types import PAD, UNSEEN

BLOCK = 1 << 17
"""Rows that are worked on at once."""

Rows = NDArray[np.int64]
Ids = NDArray[np.int32]


class Encoder:
    """Writes the records of all rows, with ids numbered in each group of rows on its own.

    Args:
        base: folder of the columns (`columns.Columns`).
        settings: what they mean.
        features: names of the features seen.
        groups: the rows of each group; together, all rows.
        train: which rows train, [rows].
    """

    def __init__(
        self,
        base: Path,
        settings: DataSettings,
        features: Sequence[str],
        groups: Sequence[Rows],
        train: NDArray[np.bool_],
    ) -> None:
        self.base, self.settings, self.groups, self.train = base, settings, groups, train
        self.features = {name: settings.features[name] for name in features}
        self.layout = layout(self.features, len(settings.tasks))
        self.tables = by_table(self.features)
        self.outcome = {name: opened(base / f"{name}.npy") for name in ("vertical", "label", "valid", "weight")}
        self.columns = {name: opened(feature_file(base, settings, name)) for name in features}
        self.values = {table: known_values(base, settings, table) for table in self.tables}
        self.hashed = {
            table: hashed(self.values[table], table, rule.hash) for table, rule in self._rules() if rule.hash
        }

    def write(self, folder: Path) -> dict[str, list[int]]:
        """Writes records and vocabularies below `folder`; returns the height of each table, group by group."""
        record = create(folder / "record.npy", np.int32, len(self.train), self.layout.width)
        vocabularies: dict[str, list[Ids]] = {table: [] for table, rule in self._rules() if not rule.hash}
        for rows in self.groups:
            ids = dict(self.hashed)
            for table, groups in vocabularies.items():
                groups.append(self._shown(table, rows[self.train[rows]]))
                ids[table] = numbered(groups[-1], len(self.values[table]))
            for block in _blocks(rows):
                record[block] = self._records(block, ids)
        for table, groups in vocabularies.items():
            np.save(table_file(folder, self.settings, table).with_suffix(".npy"), np.concatenate(groups))
        return {
            table: [rule.hash] * len(self.groups) if rule.hash else [len(codes) + 1 for codes in vocabularies[table]]
            for table, rule in self._rules()
        }

    def _rules(self) -> Iterator[tuple[str, Categorical]]:
        """Each table, and the feature that says how its values become ids."""
        for table in self.tables:
            feature = self.settings.features.get(table)
            yield table, feature if isinstance(feature, Categorical) else Categorical()

    def _shown(self, table: str, rows: Rows) -> Ids:
        fewest = dict(self._rules())[table].min_count
        return shown([self._codes(use) for use in self.tables[table]], rows, fewest)

    def _codes(self, use: Use) -> Ids:
        return self.columns[use.feature][..., use.place]

    def _records(self, rows: Rows, ids: dict[str, Ids]) -> Ids:
        at, record = self.layout, np.empty((len(rows), self.layout.width), dtype=np.int32)
        numbers = record.view(np.float32)
        record[:, at.vertical] = self.outcome["vertical"][rows, None]
        record[:, at.valid] = self.outcome["valid"][rows]
        numbers[:, at.label] = self.outcome["label"][rows]
        numbers[:, at.weight] = self.outcome["weight"][rows, None]
        numeric = of_kind(self.features, Numeric)
        if numeric:
            numbers[:, at.numeric] = np.concatenate([self.columns[name][rows] for name in numeric], axis=1)
        categorical = of_kind(self.features, Categorical)
        for table, uses in self.tables.items():
            for use in uses:
                found = ids[table][self._codes(use)[rows]]
                if use.feature in at.sequences:
                    slot = at.sequences[use.feature]
                    record[:, slot.start + use.place : slot.stop : at.shapes[use.feature][1]] = found
                else:
                    record[:, at.categorical.start + categorical.index(use.feature)] = found
        return record


def known_values(base: Path, settings: DataSettings, table: str) -> pl.Series:
    """The value of each code of a table, in the order of the codes; null is the last."""
    return read_values(table_file(base, settings, table).with_suffix(".arrow")).extend_constant(None, 1)


def shown(columns: Sequence[Ids], rows: Rows, fewest: int) -> Ids:
    """The codes that `rows` show at least `fewest` times in all columns together, sorted; each event counts."""
    counted = [np.unique(codes[block], return_counts=True) for codes in columns for block in _blocks(rows)]
    if not counted:
        return np.zeros(0, dtype=np.int32)
    codes, place = np.unique(np.concatenate([codes for codes, _ in counted]), return_inverse=True)
    counts = np.bincount(place, weights=np.concatenate([count for _, count in counted]))
    return codes[(counts >= fewest) & (codes != PAD)]


def numbered(known: Ids, codes: int) -> Ids:
    """The id of each of so many codes, and of PAD as the last: 1, 2, ... for the known ones, in their order."""
    ids = np.full(codes + 1, UNSEEN, dtype=np.int32)
    ids[known] = np.arange(1, len(known) + 1)
    ids[PAD] = PAD
    return ids


def hashed(values: pl.Series, table: str, buckets: int) -> Ids:
    """The id of each value, and of PAD as the last, by hash: another hash for each table, the same for all groups."""
    ids = 1 + hashes(values, table) % np.uint64(buckets - 1)
    return np.append(ids.astype(np.int32), np.int32(PAD))


def _blocks(rows: Rows) -> Iterator[Rows]:
    for first in range(0, len(rows), BLOCK):
        yield rows[first : first + BLOCK]
