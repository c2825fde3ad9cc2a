"""What impressions look like: rows, verticals with their rates, columns, and what changes from training to test."""

import math
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill.data.days import DAY, FEW, MANY
from distill.data.events import SECONDS
from distill.data.impressions import Impressions
from distill.data.leakage import Every, Sample
from distill.data.novelty import novelty
from distill.data.settings import Bucketised, Feature, MultiValued, Numeric, Vector
from distill.data.settings import Sequence as History
from distill.data.split import NAMES, TEST, TRAIN
from distill.data.suspicions import crowding
from distill.data.tables import uses

Table = dict[str, Any]

Z = 1.959964
"""Standard deviations of a normal distribution on either side that hold 95 % of it."""

BINS = 10
"""Bins of training rows by which drift is measured; of ids, as many of the most frequent."""

BARS = 24
"""Bars of a histogram."""


def describe(impressions: Impressions) -> Table:
    """The figures of a data set; those that do not exist are None.

    Returns:
        `rows`; `splits`: rows of each; `verticals`, the largest first: rows of each split, positives, and the rate of
        positives with its 95 % interval (E. Wilson, Probable Inference, 1927); `columns`: for each feature the share
        of missing values, the distinct values (of a crossed or hashed feature estimated, and where nearly every bucket
        is taken a lower bound), the share of test rows, or of the events of their histories, whose ids no training
        row knows, the mean and longest history, the drift from training to test (population stability index), and a
        histogram; `days`: rows and rate along the time; `changes` since the log was last encoded
        (`distill.data.days`); `warnings`.
    """
    every = Every(impressions.settings, impressions.folder, impressions.verticals)
    sample = Sample(every, impressions.shards)
    features = impressions.settings.features.items()
    unseen = _unseen(impressions, every)
    return {
        "rows": impressions.rows,
        "fingerprint": impressions.fingerprint,
        "splits": {name: int((every.split == code).sum()) for code, name in enumerate((*NAMES, "unused"))},
        "verticals": _verticals(impressions),
        "columns": [
            _column(impressions, sample, number, *pair) | {"unseen": unseen.get(pair[0])}
            for number, pair in enumerate(features)
        ],
        "days": _days(impressions),
        "changes": impressions.changes,
        "warnings": list(impressions.warnings),
    }


def interval(positives: float, rows: float) -> tuple[float | None, float | None]:
    """The 95 % interval of a rate, which stays within 0 and 1 (E. Wilson, 1927).

    >>> [round(end, 3) for end in interval(0, 10)]
    [0.0, 0.278]
    """
    if not rows:
        return None, None
    rate, spread = positives / rows, Z**2 / rows
    middle = (rate + spread / 2) / (1 + spread)
    reach = Z / (1 + spread) * math.sqrt(rate * (1 - rate) / rows + spread / (4 * rows))
    return max(0.0, middle - reach), min(1.0, middle + reach)


def drift(one: NDArray, other: NDArray) -> float | None:
    """The population stability index of two columns of bins; half a row is added to each bin, so that none is empty."""
    if not len(one) or not len(other):
        return None
    bins = int(max(one.max(), other.max())) + 1
    shares = [np.bincount(column, minlength=bins) + 0.5 for column in (one, other)]
    first, second = (share / share.sum() for share in shares)
    return float(((second - first) * np.log(second / first)).sum())


def _verticals(impressions: Impressions) -> list[Table]:
    count = len(impressions.verticals)
    by_split = np.bincount(impressions.vertical * 4 + impressions.split, minlength=4 * count).reshape(count, 4)
    rated = impressions.valid[:, 0]
    positives = np.bincount(impressions.vertical, weights=impressions.label[:, 0] * rated, minlength=count)
    valid = np.bincount(impressions.vertical, weights=rated, minlength=count)
    found = []
    for place, name in enumerate(impressions.verticals):
        low, high = interval(positives[place], valid[place])
        rows = {split: int(by_split[place, code]) for code, split in enumerate(NAMES)}
        rate = positives[place] / valid[place] if valid[place] else None
        found.append(
            {"vertical": name, "domain": impressions.domains[name], "rows": int(by_split[place].sum())}
            | rows
            | {"positives": int(positives[place]), "rate": rate, "rate_low": low, "rate_high": high}
        )
    return sorted(found, key=lambda entry: (-entry["rows"], entry["vertical"]))


def _days(impressions: Impressions) -> list[Table]:
    """Rows and rate at each time, or in equal steps where times are many; none where no time is named."""
    if impressions.time is None or not impressions.rows:
        return []
    values = np.unique(impressions.time)
    if len(values) > BARS:
        values = values[0] + (values[-1] - values[0]) / BARS * np.arange(BARS)
    step = np.searchsorted(values, impressions.time, side="right") - 1
    rows = np.bincount(step, minlength=len(values))
    clicks = np.bincount(step, weights=impressions.label[:, 0], minlength=len(values))
    rates = [click / count if count else None for click, count in zip(clicks, rows.tolist(), strict=True)]
    pairs = zip(values.tolist(), rows.tolist(), rates, strict=True)
    return [{"start": _moment(start, impressions.times), "rows": count, "rate": rate} for start, count, rate in pairs]


def _moment(value: float, kind: str | None) -> float | str:
    """A time as ISO, where it is a date or a moment or may be seconds from 1970; else as the number that it is."""
    if kind is None:
        return value
    seconds = value * SECONDS[kind.partition("(")[0]]
    if not kind.startswith("Date") and not FEW <= seconds / DAY < MANY:
        return value
    moment = datetime(1970, 1, 1) + timedelta(seconds=seconds)
    return moment.date().isoformat() if kind == "Date" else moment.isoformat(timespec="minutes")


def _column(impressions: Impressions, sample: Sample, number: int, name: str, feature: Feature) -> Table:
    key = f"f{number}"
    table: Table = {"column": name, "kind": feature.kind}
    table |= dict.fromkeys(("missing", "distinct", "length", "longest", "drift", "sharing"))
    table["histogram"] = []
    if isinstance(feature, Numeric | Bucketised):
        return table | _of_numbers(impressions, sample, key)
    if isinstance(feature, Vector):
        return table | {"missing": _noted(impressions, key)}
    if isinstance(feature, History | MultiValued):
        return table | _of_events(impressions, name, feature, key)
    return table | _of_ids(impressions, sample, name, feature, key)


def _of_numbers(impressions: Impressions, sample: Sample, key: str) -> Table:
    missing = sum(int(np.isnan(shard.column(key)).sum()) for shard in impressions.shards)
    values = sample.values(key)
    train, test = (values[impressions.split[sample.rows] == code] for code in (TRAIN, TEST))
    shown = train[~np.isnan(train)]
    edges = np.unique(np.quantile(shown, np.arange(1, BINS) / BINS)) if len(shown) else np.zeros(0)
    binned = [np.where(np.isnan(part), len(edges) + 1, np.searchsorted(edges, part)) for part in (train, test)]
    finite = values[~np.isnan(values)]
    ends = np.quantile(finite, [0.01, 0.99]) if len(finite) else [0, 0]
    histogram, _ = np.histogram(np.clip(finite, *ends), bins=BARS)
    return {"missing": missing / impressions.rows, "drift": drift(*binned), "histogram": histogram.tolist()}


def _of_ids(impressions: Impressions, sample: Sample, name: str, feature: Feature, key: str) -> Table:
    shards = impressions.shards
    found: Table = {}
    if getattr(feature, "hash", None):
        values, shared, _ = crowding(shards, key, feature.hash)
        found = {"missing": _noted(impressions, key), "distinct": values, "sharing": shared}
    else:
        missing = sum(int((shard.column(key) == 0).sum()) for shard in shards)
        found = {"missing": missing / impressions.rows, "distinct": _distinct(impressions, name)}
    values = sample.values(key)
    train, test = (values[impressions.split[sample.rows] == code] for code in (TRAIN, TEST))
    counts = np.bincount(train)
    often = np.argsort(-counts, kind="stable")[:BINS]
    rank = np.full(max(int(values.max(initial=0)) + 1, len(counts)), BINS)
    rank[often] = np.arange(len(often))
    return found | {
        "drift": drift(rank[train], rank[test]),
        "histogram": np.sort(counts[counts > 0])[::-1][:BARS].tolist(),
    }


def _noted(impressions: Impressions, key: str) -> float | None:
    """The share of missing values that was noted while rows were encoded; None where an earlier version did that."""
    noted = [shard.manifest["notes"].get("missing", {}).get(key) for shard in impressions.shards]
    return None if None in noted else sum(noted) / impressions.rows


def _of_events(impressions: Impressions, name: str, feature: History | MultiValued, key: str) -> Table:
    lengths = [shard.column(key) for shard in impressions.shards]
    counts = np.bincount(np.concatenate(lengths), minlength=feature.length + 1)
    events = int((counts * np.arange(len(counts))).sum())
    tables = [use.table for use in uses({name: feature})]
    return {
        "missing": counts[0] / impressions.rows,
        "distinct": _distinct(impressions, tables[0]),
        "length": events / impressions.rows,
        "longest": int(np.flatnonzero(counts).max()),
        "histogram": _folded(counts),
    }


def _folded(counts: NDArray) -> list[int]:
    """Counts of lengths, in at most as many bars as a histogram has."""
    width = -(-len(counts) // BARS)
    return np.add.reduceat(counts, np.arange(0, len(counts), width)).tolist()


def _unseen(impressions: Impressions, every: Every) -> dict[str, float | None]:
    """The share of test rows, or events, that no training row knows: of the first column of a feature."""
    found = novelty(impressions.settings, impressions.shards, every.split).items()
    return {use.feature: None if math.isnan(one.test) else one.test for use, one in found if not use.place}


def _distinct(impressions: Impressions, table: str) -> int:
    return sum(len(shard.words.get(f"table:{table}", ())) for shard in impressions.shards)
