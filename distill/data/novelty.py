"""Novelty: ids that no training row knows, of which rankers see no more than that they are new."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from distill.data.layout import EVENTS
from distill.data.settings import Bucketised, DataSettings, MultiValued
from distill.data.settings import Sequence as History
from distill.data.shards import Shard
from distill.data.split import TEST, TRAIN
from distill.data.tables import Use, by_table, given, rule

UNTAUGHT = 0.1
"""How much larger the share of new ids may be among test rows than what training shows of it, until that is told."""

MOST_HIDDEN = 0.5
"""Largest share that is proposed to be hidden: the known ids have to be learnt too."""


class Novelty(NamedTuple):
    """The share of new ids in a column, all verticals together; NaN where there is nothing to take it of.

    Attributes:
        train: among training rows, or the events of their histories: values rarer there than `min_count`.
        test: among test rows, or the events of their histories.
    """

    train: float
    test: float


def novelty(settings: DataSettings, shards: Sequence[Shard], split: NDArray[np.int8]) -> dict[Use, Novelty]:
    """Of each column of ids that has a vocabulary.

    Args:
        settings: what the columns mean.
        shards: the rows.
        split: which part each of them belongs to.
    """
    features, found = settings.features, {}
    entries = Entries(settings, shards, split)
    for table, uses in by_table(features).items():
        if given(features, table) is None and not isinstance(features.get(table), Bucketised):
            fewest = rule(features, table).min_count
            known = _known(entries, table, uses, fewest)
            for use in uses:
                train = _share(known, entries.of(use, TRAIN)) if fewest > 1 else 0.0
                found[use] = Novelty(train, _share(known, entries.of(use, TEST)))
    return found


def untaught(settings: DataSettings, shards: Sequence[Shard], split: NDArray[np.int8]) -> Iterator[str]:
    """Columns whose test rows show far more new ids than training does, with what is hidden there."""
    for use, share in novelty(settings, shards, split).items():
        feature = settings.features[use.feature]
        hides = feature.hide.get(use.column, 0.0) if isinstance(feature, History) else getattr(feature, "hide", 0.0)
        taught, rate = 1 - (1 - share.train) * (1 - hides), min(MOST_HIDDEN, round(share.test, 1))
        if isinstance(feature, MultiValued) or hides >= rate or not share.test - taught > UNTAUGHT:
            continue
        if isinstance(feature, History):
            what, remedy = f"events of `{use.column}` in the history `{use.feature}`", f"hide: {{{use.column}: {rate}}}"
        else:
            what, remedy = f"ids of `{use.feature}`", f"hide: {rate}"
        shown = f"{share.test:.0%} of the {what} are new in test rows, and {taught:.0%} while training"
        yield f"{shown}: what stands for the new is hardly learnt. With `{remedy}` it is."


class Entries:
    """The codes of columns, shard by shard: one a row, or one an event."""

    def __init__(self, settings: DataSettings, shards: Sequence[Shard], split: NDArray[np.int8]) -> None:
        self.settings, self.shards, self.split = settings, shards, split
        self.keys = {name: f"f{number}" for number, name in enumerate(settings.features)}

    def codes(self, table: str) -> int:
        """How many codes a table has."""
        return 1 + sum(len(shard.words.get(f"table:{table}", ())) for shard in self.shards)

    def of(self, use: Use, code: int) -> Iterator[NDArray[np.int32]]:
        """Those of the rows of one part."""
        key, first = self.keys[use.feature], 0
        for shard in self.shards:
            ours = self.split[first : first + shard.rows] == code
            first += shard.rows
            if not ours.any():
                continue
            if isinstance(self.settings.features[use.feature], EVENTS):
                yield shard.events(key)[np.repeat(ours, shard.column(key)), use.place]
            else:
                yield shard.column(key)[ours]


def _known(entries: Entries, table: str, uses: Sequence[Use], fewest: int) -> NDArray[np.bool_]:
    """Of each code, whether training rows show it often enough to have an id of its own."""
    size = entries.codes(table)
    shown = np.zeros(size, dtype=np.int32 if fewest > 1 else bool)
    for codes in (codes for use in uses for codes in entries.of(use, TRAIN)):
        if fewest > 1:
            shown += np.bincount(codes, minlength=size).astype(np.int32)
        else:
            shown[codes] = True
    return shown >= fewest


def _share(known: NDArray[np.bool_], entries: Iterator[NDArray[np.int32]]) -> float:
    """The share that is not known; NaN of nothing."""
    new = count = 0
    for codes in entries:
        new += int((~known[codes]).sum())
        count += len(codes)
    return new / count if count else math.nan
