"""Labels that have leaked into what rankers see, as warnings: each with the figure that makes it suspicious."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from distill.data.sealed import opened
from distill.data.settings import DataSettings
from distill.data.settings import Sequence as History
from distill.data.shards import Shard

SAMPLE = 100_000
"""Rows, spread evenly, in which a feature is compared with labels and verticals."""

GIVEN_AWAY = 0.99
"""A feature whose values tell this share of the clicks, and of the non-clicks, knows the label."""

SUSPICIOUS = 0.95
"""AUC of one feature alone from which on it is told."""

FEWEST = 10
"""Clicks, and non-clicks, below which nothing is said of a feature."""

OFTEN = 20
"""Rows from which on an id is expected to have met both labels."""

ALWAYS = 0.9
"""Share of rows whose history holds their own item from which on that is no habit ..."""

VARIED = 1000
"""... of items of which there are so many. A user's own country is in every history of it."""

MOSTLY = 0.8
"""Share of the steps through a history that lead to newer events from which on it stands the other way round."""

SHARDS = 8
"""Most blocks of rows, spread evenly, in which histories are compared with their impressions."""


class Every:
    """What every row has."""

    def __init__(self, settings: DataSettings, base: Path, verticals: Sequence[str]) -> None:
        self.tasks, self.verticals = list(settings.tasks), verticals
        names = ("vertical", "split", "label", "valid")
        self.vertical, self.split, self.label, self.valid = (opened(base / f"{name}.npy") for name in names)
        self.time = opened(base / "time.npy") if settings.time else None
        self.user = opened(base / "user.npy") if settings.user else None


class Sample:
    """Rows that stand for all."""

    def __init__(self, every: Every, shards: Sequence[Shard]) -> None:
        self.shards, self.tasks = shards, every.tasks
        self.rows = np.arange(0, len(every.vertical), -(-len(every.vertical) // SAMPLE))
        self.label, self.valid = every.label[self.rows] > 0, every.valid[self.rows]
        self.vertical = np.unique(every.vertical[self.rows], return_inverse=True)[1]

    def values(self, key: str) -> NDArray:
        """A column of the sampled rows."""
        found, first = [], 0
        for shard in self.shards:
            ours = self.rows[(self.rows >= first) & (self.rows < first + shard.rows)] - first
            found.append(shard.column(key)[ours])
            first += shard.rows
        return np.concatenate(found)


def tells(codes: NDArray, label: NDArray[np.bool_], ordered: bool) -> bool:
    """Whether values tell labels: by what most rows of a value have, or, ordered, because the labels lie apart."""
    positive, rows = np.bincount(codes, weights=label), np.bincount(codes)
    negative = rows - positive
    if min(positive.sum(), negative.sum()) < FEWEST:
        return False
    if ordered:
        below = np.cumsum(negative) - negative
        area = (positive * (below + negative / 2)).sum() / (positive.sum() * negative.sum())
        if max(area, 1 - area) > 1 - (1 - GIVEN_AWAY) / 10:
            return True
    again = rows > 1  # a value shown once tells its label whatever it is
    told = [(count[again & (2 * count > rows)].sum(), count[again].sum()) for count in (positive, negative)]
    return all(right > GIVEN_AWAY * of and of >= FEWEST for right, of in told)


def alone(name: str, column: str, codes: NDArray, label: NDArray[np.bool_], ordered: bool) -> list[str]:
    """A feature that ranks clicks above the others nearly always: values by their size, ids by their rate elsewhere."""
    half = np.arange(len(codes)) % 2 == 0
    score = codes[~half].astype(np.float64)
    if not ordered:
        known = int(codes.max(initial=0)) + 1
        rows = np.bincount(codes[half], minlength=known)
        clicks = np.bincount(codes[half], weights=label[half], minlength=known)
        score = ((clicks + label.mean()) / (rows + 1))[codes[~half]]
    area = _area(score, label[~half])
    if area is None or max(area, 1 - area) < SUSPICIOUS:
        return []
    return [f"Feature `{name}` alone ranks the label of `{column}` with an AUC of {max(area, 1 - area):.3f}: a leak?"]


def one_sided(name: str, column: str, codes: NDArray, label: NDArray[np.bool_]) -> list[str]:
    """Ids that appear with one label only, far more than chance makes of ids with the same clicks."""
    rows, clicks = np.bincount(codes), np.bincount(codes, weights=label)
    often = rows >= OFTEN
    if not often.any() or min(label.sum(), (~label).sum()) < FEWEST:
        return []
    rate = label.mean()
    for what, pure, chance in (("with", clicks == rows, rate), ("without", clicks == 0, 1 - rate)):
        found, expected = rows[often & pure].sum(), (rows[often] * chance ** rows[often]).sum()
        if found > rows.sum() / 20 and found > 5 * expected:
            ids = f"{(often & pure).sum():,} of {often.sum():,} ids of `{name}` with {OFTEN} rows or more"
            return [f"{ids} appear only {what} a positive label of `{column}` ({found / rows.sum():.0%} of the rows)."]
    return []


def late_events(name: str, key: str, shards: Sequence[Shard]) -> list[str]:
    """Histories with events that are not earlier than their impression."""
    late = [shard.manifest["notes"].get("late", {}).get(key, [0, 0]) for shard in shards]
    count = sum(rows for rows, _ in late)
    if not count:
        return []
    first = next(row for rows, row in late if rows)
    what = f"in {count:,} rows the history `{name}` holds events that are not earlier than the impression"
    return [f"{what[0].upper()}{what[1:]} (first in row {first}): it looks ahead."]


def own_history(settings: DataSettings, name: str, feature: History, shards: Sequence[Shard]) -> Iterator[str]:
    """Histories that hold the item of their own impression: nearly always, or in clicks far more often."""
    keys = {feature: f"f{number}" for number, feature in enumerate(settings.features)}
    for place, shared in enumerate(feature.columns.values()):
        if shared is None:
            continue
        inside, label = _inside(keys[name], place, keys[shared], shards)
        if min(label.sum(), (~label).sum()) < FEWEST:
            continue
        among, beside = inside[label].mean(), inside[~label].mean()
        values = sum(len(shard.words.get(f"table:{shared}", ())) for shard in shards)
        always = values >= VARIED and min(among, beside) > ALWAYS
        if always or (among > 0.5 and among > 2 * beside):
            what = f"The history `{name}` holds the `{shared}` of its own impression in {among:.0%} of the clicks"
            yield f"{what} and {beside:.0%} of the others: it looks ahead."


def turned(name: str, feature: History, key: str, shards: Sequence[Shard]) -> list[str]:
    """A history whose times say that the newest event stands at the other end."""
    if feature.times is None:
        return []
    nearer = farther = 0
    for shard in shards[:: -(-len(shards) // SHARDS)]:
        gaps, row = shard.events(key)[:, -1], np.repeat(np.arange(shard.rows), shard.column(key))
        step = np.diff(gaps)[row[1:] == row[:-1]]
        nearer, farther = nearer + int((step < 0).sum()), farther + int((step > 0).sum())
    if nearer < FEWEST or nearer < MOSTLY * (nearer + farther):
        return []
    other = {"first": "last", "last": "first"}[feature.newest]
    what = f"The history `{name}` says newest: {feature.newest}, and its times `{feature.times}` say newest: {other}"
    return [f"{what} ({nearer / (nearer + farther):.0%} of the steps): the oldest events would be kept."]


def _inside(key: str, place: int, item: str, shards: Sequence[Shard]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether each row's history holds its own item, and its first label; of some shards."""
    inside, label = [], []
    for shard in shards[:: -(-len(shards) // SHARDS)]:
        lengths = shard.column(key)
        row = np.repeat(np.arange(shard.rows), lengths)
        same = shard.events(key)[:, place] == shard.column(item)[row]
        inside.append(np.bincount(row[same], minlength=shard.rows) > 0)
        label.append(shard.column("label-0") > 0)
    return np.concatenate(inside), np.concatenate(label)


def _area(score: NDArray, label: NDArray[np.bool_]) -> float | None:
    """AUC, ties counting half; None where it does not exist."""
    positives, negatives = int(label.sum()), int((~label).sum())
    if min(positives, negatives) < FEWEST:
        return None
    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[place]
    return float((rank[label].sum() - positives * (positives + 1) / 2) / (positives * negatives))
