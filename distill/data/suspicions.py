"""What is allowed in impressions but probably not meant, as warnings."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from distill.data.csv_rows import LISTED
from distill.data.leakage import Every, Sample, alone, late_events, one_sided, own_history, tells, turned
from distill.data.novelty import untaught
from distill.data.settings import Bucketised, Categorical, Cross, DataSettings, MultiValued, Numeric
from distill.data.settings import Sequence as History
from distill.data.shards import Shard
from distill.data.split import NAMES, TEST, TRAIN, VALID
from distill.data.vocabulary import MISSING
from distill.errors import listed

CROWDED = 0.05
"""Share of values that share a bucket with others from which on a hash is said to be too small."""

FAR = 1e11
"""Seconds, some 3,000 years, from which on a bare number is no time of an impression."""

CELLS = 1 << 22
"""Most cells in which values are counted."""


def suspicions(settings: DataSettings, shards: Sequence[Shard], base: Path, manifest: dict[str, Any]) -> list[str]:
    """What is odd about encoded rows.

    Args:
        settings: what they mean.
        shards: the rows.
        base: folder of what every row has.
        manifest: what is known of all of them.
    """
    every = Every(settings, base, list(manifest["domains"]))
    found = [*_of_splits(every), *_of_verticals(every)]
    found += _of_times(every, settings, manifest["times"])
    found += _of_users(every, settings)
    found += _of_skipped(manifest["skipped"])
    sample = Sample(every, shards)
    for number, (name, feature) in enumerate(settings.features.items()):
        if isinstance(feature, Categorical | Cross | Numeric | Bucketised):
            values = sample.values(f"f{number}")
            found += _of_feature(name, values, sample, ordered=isinstance(feature, Numeric | Bucketised))
        if isinstance(feature, Categorical | Cross) and feature.hash:
            found += _of_hash(name, crowding(shards, f"f{number}", feature.hash), feature.hash)
        if isinstance(feature, History | MultiValued):
            found += _of_nulls(name, feature, f"f{number}", shards)
        if isinstance(feature, History):
            found += [*late_events(name, f"f{number}", shards), *own_history(settings, name, feature, shards)]
            found += turned(name, feature, f"f{number}", shards)
    return [*found, *untaught(settings, shards, every.split)]


class Crowd(NamedTuple):
    """How crowded the buckets of a hash are.

    Attributes:
        values: how many values were hashed, or a lower bound of it.
        share: of them that share their bucket with another.
        sure: whether `values` is an estimate, and no bound.
    """

    values: int
    share: float
    sure: bool


def crowding(shards: Sequence[Shard], key: str, buckets: int) -> Crowd:
    """About how many values were hashed, and the share of them that share their bucket with another.

    The number is estimated from the empty buckets (K. Whang, B. Vander-Zanden, H. Taylor, A Linear-Time Probabilistic
    Counting Algorithm for Database Applications, 1990). Few empty ones say little of it: where the standard error that
    the authors give is above a tenth, what is said is a lower bound, by the number of empty ones that two standard
    deviations more would have left.
    """
    room = buckets - 1  # Bucket 0 is for the unseen.
    cells = min(room, CELLS)
    filled = np.zeros(cells, dtype=bool)
    for shard in shards:
        filled[shard.column(key) % cells] = True
    empty = cells - int(filled.sum())
    load = np.log(cells / max(empty, 1))  # values a cell
    sure = empty > 0 and (load < 1 or np.sqrt((np.exp(load) - load - 1) / cells) / load < 0.1)
    values = max(1.0, cells * (load if sure else np.log(cells / min(cells, empty + 2 * np.sqrt(empty) + 3))))
    share = 1 - (1 - 1 / room) ** (values - 1) if room > 1 else 1.0
    return Crowd(round(values), float(share), bool(sure))


def _of_hash(name: str, crowd: Crowd, buckets: int) -> list[str]:
    if crowd.share <= CROWDED:
        return []
    about = "about" if crowd.sure else "at least"
    what = f"of {about} {crowd.values:,} values in {buckets:,} buckets, {crowd.share:.0%} share one with another value"
    return [f"Feature `{name}`: {what}; a larger `hash` tells more of them apart."]


def _of_feature(name: str, values: NDArray, sample: Sample, ordered: bool) -> list[str]:
    codes = np.unique(values, return_inverse=True)[1]
    found = []
    if _one_to_one(codes, sample.vertical):
        found.append(f"Feature `{name}` repeats the vertical one to one: to a student it is a constant.")
    for task, column in enumerate(sample.tasks):
        valid = sample.valid[:, task]
        shown, label = codes[valid], sample.label[valid, task]
        if tells(shown, label, ordered):
            found.append(
                f"Feature `{name}` all but determines the label of `{column}`; "
                "if it is known only after the click, leave it out."
            )
        else:
            found += alone(name, column, shown, label, ordered)
            found += [] if ordered else one_sided(name, column, shown, label)
    return found


def _one_to_one(one: NDArray, other: NDArray) -> bool:
    """Whether each number of `one` always meets the same of `other`, and the other way round; both are 0, 1, 2, ..."""
    values = one.max() + 1
    pairs = len(np.unique(other.astype(np.int64) * values + one))
    return pairs == values == other.max() + 1 > 1


def _of_splits(every: Every) -> list[str]:
    found = [f"No row is in the split `{NAMES[code]}`." for code in (VALID, TEST) if not (every.split == code).any()]
    if every.time is not None and (every.split == TEST).any() and (every.split == TRAIN).any():
        early = (every.split == TEST) & (every.time < every.time[every.split == TRAIN].max())
        if early.any():
            found.append(f"{early.sum()} test rows are earlier than the last training row: the split looks ahead.")
    return found


def _of_times(every: Every, settings: DataSettings, kind: str | None) -> list[str]:
    """Bare numbers are seconds wherever a length of time matters: gaps of histories, days, ages."""
    if every.time is None or kind not in ("Int64", "Float64") or not len(every.time):
        return []
    latest = float(np.abs(every.time).max())
    if latest < FAR:
        return []
    return [f"Times of `{settings.time}` reach {latest:.3g}, which in seconds is no date: are they milliseconds?"]


def _of_users(every: Every, settings: DataSettings) -> list[str]:
    """Rows of nobody."""
    if every.user is None:
        return []
    nobody = np.flatnonzero(every.user == MISSING)
    if not len(nobody):
        return []
    what = f"The user `{settings.user}` is null in {len(nobody):,} rows (first in row {nobody[0]})"
    return [f"{what}: they count as one user. Name the session there, or leave them out."]


def _of_nulls(name: str, feature: History | MultiValued, key: str, shards: Sequence[Shard]) -> Iterator[str]:
    """Entries of lists that are null."""
    noted = [shard.manifest["notes"].get("nulls", {}).get(key, {}) for shard in shards]
    events = sum(shard.manifest["events"][key] for shard in shards)
    kind = "history" if isinstance(feature, History) else "set"
    for column in dict.fromkeys(column for one in noted for column in one):
        counts = [one[column] for one in noted if column in one]
        what = f"{sum(count for count, _ in counts):,} of {events:,} entries of `{column}` in the {kind} `{name}`"
        yield f"{what} are null (first in row {counts[0][1]}): null counts as one more id."


def _of_skipped(skipped: Sequence[tuple[str, int, Sequence[str]]]) -> Iterator[str]:
    """Rows of CSV that were left out, file by file."""
    for file, count, lines in skipped[:LISTED]:
        more = f"; and {count - len(lines):,} more" if count > len(lines) else ""
        yield f"{file}: {count:,} rows could not be read and were left out: {'; '.join(lines)}{more}."
    rest = [count for _, count, _ in skipped[LISTED:]]
    if rest:
        yield f"{len(rest):,} more files of CSV lack {sum(rest):,} rows that could not be read."


def _of_verticals(every: Every) -> list[str]:
    """Verticals that get no student, or one that nothing can be said of."""
    count = len(every.verticals)
    clicks = (every.label > 0) & every.valid
    lacking = {
        "no training rows; they get no student": every.split == TRAIN,
        "no positives in their training rows": (every.split == TRAIN) & clicks.any(axis=1),
        "no test rows; their ratios do not exist": every.split == TEST,
    }
    found = []
    for what, rows in lacking.items():
        names = [every.verticals[i] for i in np.flatnonzero(np.bincount(every.vertical[rows], minlength=count) == 0)]
        if names:
            found.append(f"{len(names)} of {count} verticals have {what}: {listed(names, 5)}.")
    return found
