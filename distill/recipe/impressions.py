"""What must hold between the settings of the `data:` section, beyond what each says of itself."""

import math
import re
from collections.abc import Iterator
from datetime import datetime

from distill.data.settings import Categorical, DataSettings, MultiValued, SplitByColumn, SplitByHash, SplitByTime
from distill.data.settings import Sequence as History
from distill.data.split import DURATION
from distill.data.tables import columns
from distill.errors import suggestion
from distill.recipe.finding import Finding
from distill.recipe.tree import KeyPath

TIME: KeyPath = ("data", "time")
FEATURES: KeyPath = ("data", "features")


def section_findings(data: DataSettings) -> Iterator[Finding]:
    """Every relation that does not hold."""
    yield from _source(data)
    yield from _label(data)
    yield from _split(data)
    yield from _shared_tables(data)
    yield from _hidden(data)
    yield from _event_times(data)
    yield from _negatives(data)
    yield from _columns_that_tell(data)


def _source(data: DataSettings) -> Iterator[Finding]:
    path, world = ("data", "path"), ("data", "world")
    if data.path is None and data.world is None:
        what = 'the impressions are missing: neither "path" nor "world" is given.'
        yield Finding(("data",), what, "Name a file: data.path=FILE.", (path, world))
    if data.path is not None and data.world is not None:
        yield Finding(world, 'does not go with "path".', "Keep one; take the other away with null.", (path, world))


def _label(data: DataSettings) -> Iterator[Finding]:
    if not data.tasks:
        yield Finding(("data", "label"), "names no task.", "Give a column, or task: column.")


def _split(data: DataSettings) -> Iterator[Finding]:
    split, path = data.split, ("data", "split")
    if isinstance(split, SplitByTime):
        if data.time is None:
            yield Finding((*path, "by"), "a split by time needs data.time.", "Name the column of times.", (path, TIME))
        yield from _split_times(split)
        yield from _gap(split)
    if isinstance(split, SplitByHash) and split.valid + split.test >= 1:
        what = f"valid and test take {split.valid + split.test:g} of the keys; nothing is left to train on."
        yield Finding(path, what, "Lower one of them.", ((*path, "valid"), (*path, "test")))


def _gap(split: SplitByTime) -> Iterator[Finding]:
    """A gap is a number where the times are, a duration where they are dates."""
    path, bound = ("data", "split", "gap"), ("data", "split", "valid")
    dated = isinstance(_moment(split.valid), datetime)
    if dated and split.gap != 0 and not re.fullmatch(DURATION, str(split.gap)):
        yield Finding(path, f'"{split.gap}" is no duration.', "Write it as 36h or 2d.", (path, bound))
    elif not dated and (isinstance(split.gap, str) or not 0 <= split.gap < math.inf):
        yield Finding(path, f'"{split.gap}" is no number, as the times are.', "Write 0 or more.", (path, bound))


def _split_times(split: SplitByTime) -> Iterator[Finding]:
    places = {"valid": ("data", "split", "valid"), "test": ("data", "split", "test")}
    times = {key: _moment(getattr(split, key)) for key in places}
    for key in (key for key, time in times.items() if time is None):
        yield Finding(places[key], f'"{getattr(split, key)}" is no time.', "Write a number or a date: 2024-05-31.")
    if None in times.values():
        return
    if type(times["valid"]) is not type(times["test"]):
        yield Finding(places["test"], "valid and test must both be numbers, or both dates.", "", tuple(places.values()))
    elif times["valid"] >= times["test"]:
        what = "test must begin after valid."
        yield Finding(places["test"], what, f"valid is {split.valid}.", tuple(places.values()))


def _moment(time: float | str) -> float | datetime | None:
    if not isinstance(time, str):
        return float(time) if math.isfinite(time) else None
    try:
        return datetime.fromisoformat(time).replace(tzinfo=None)
    except ValueError:
        return None


def _shared_tables(data: DataSettings) -> Iterator[Finding]:
    """Histories and sets may share the ids of categorical features only."""
    for name, feature in data.features.items():
        if isinstance(feature, MultiValued) and feature.shares is not None:
            yield from _categorical(data, feature.shares, (*FEATURES, name, "shares"))
        if isinstance(feature, History):
            for column, shared in feature.columns.items():
                if shared is not None:
                    yield from _categorical(data, shared, (*FEATURES, name, "columns", column))


def _hidden(data: DataSettings) -> Iterator[Finding]:
    """Only ids that may be new can be hidden: every value has a bucket of a hash."""
    hashed = {name for name, one in data.features.items() if isinstance(one, Categorical) and one.hash is not None}
    for name, feature in data.features.items():
        path = (*FEATURES, name, "hide")
        if name in hashed and feature.hide:
            what = "hides ids of a hash, in which none is ever unseen."
            yield Finding(path, what, "Leave it out.", (path, (*FEATURES, name, "hash")))
        for column in feature.hide if isinstance(feature, History) else ():
            place, columns = (*path, column), (*FEATURES, name, "columns")
            if column not in feature.columns:
                what = f'"{column}" is no column of this history.'
                yield Finding(place, what, suggestion(column, list(feature.columns)), (place, columns))
            elif feature.columns[column] in hashed:
                what = f'hides ids of "{feature.columns[column]}", which is a hash, in which none is ever unseen.'
                yield Finding(place, what, "Leave it out.", (place, columns))


def _event_times(data: DataSettings) -> Iterator[Finding]:
    for name, feature in data.features.items():
        if isinstance(feature, History) and feature.times is not None and data.time is None:
            place = (*FEATURES, name, "times")
            yield Finding(place, "gaps to the impression need data.time.", "Name the column of times.", (place, TIME))


def _negatives(data: DataSettings) -> Iterator[Finding]:
    """One constant corrects the log-odds of one task; of several, rows that another task keeps are not thinned."""
    for role, share in data.negatives:
        if share != 1 and len(data.tasks) > 1:
            place = ("data", "negatives", role)
            what = f"no constant corrects the log-odds of {len(data.tasks)} tasks at once."
            yield Finding(place, what, "Leave it out, or name one task.", (place, ("data", "label")))


def _categorical(data: DataSettings, name: str, path: KeyPath) -> Iterator[Finding]:
    feature = data.features.get(name)
    if isinstance(feature, Categorical):
        return
    valid = [key for key, other in data.features.items() if isinstance(other, Categorical)]
    reads = (path, FEATURES, (*FEATURES, name), (*FEATURES, name, "kind"))
    what = f'there is no feature "{name}".' if feature is None else f'"{name}" is {feature.kind}, not categorical.'
    yield Finding(path, what, suggestion(name, valid) if valid else "There is no categorical feature to share.", reads)


def _columns_that_tell(data: DataSettings) -> Iterator[Finding]:
    """Columns that say what is to be predicted, or where a row stands, are no features."""
    told = dict.fromkeys(data.tasks.values(), ("the label", ("data", "label")))
    if data.row_id is not None:
        told[data.row_id] = ("the row id", ("data", "row_id"))
    if isinstance(data.split, SplitByColumn):
        told[data.split.column] = ("the split", ("data", "split", "column"))
    for name, feature in data.features.items():
        for column in columns(name, feature):
            if column in told:
                role, home = told[column]
                what = f'column "{column}" is {role}; a ranker must not see it.'
                yield Finding((*FEATURES, name), what, "Remove this feature.", (home, (*FEATURES, name, "column")))
