"""Layout: where everything stands in the record of an impression.

A record holds all that a ranker and its loss read of a row, as 32-bit numbers side by side: one gather of whole rows is
more than twice as fast as one for each kind of feature, since nearly all of its time goes into waiting for memory.
Histories and sets are as long as they are: the record says where the first event of a row stands, and how many follow.
Fixed vectors may be long and are the same for everybody, so they stay apart.
"""

from collections.abc import Mapping
from itertools import accumulate, pairwise
from typing import NamedTuple

from distill.data.settings import (
    Bucketised,
    Categorical,
    Cross,
    DataSettings,
    Feature,
    MultiValued,
    Numeric,
    Sequence,
)

LENGTH_BITS = 16
"""Lower bits of the word that places a history, which say its length; the others say where it starts."""

IDS = (Categorical, Bucketised, Cross)
"""The kinds of features that are one id a row."""

EVENTS = (MultiValued, Sequence)
"""The kinds of features that are a list of ids a row."""


class Layout(NamedTuple):
    """The columns of a record: `vertical` and `categorical` are int32, `valid` 0 or 1, the others but `places` float32.

    Attributes:
        places: two columns a history or set, one 64-bit word; they come first, so that words are aligned.
        shapes: steps and columns of each history and set, in their order.
        width: number of columns; even.
    """

    places: slice
    vertical: slice
    label: slice
    valid: slice
    weight: slice
    categorical: slice
    numeric: slice
    shapes: dict[str, tuple[int, int]]
    width: int


def layout(features: Mapping[str, Feature], tasks: int) -> Layout:
    """The layout of the records that show these features."""
    shapes = {
        name: (feature.length, event_columns(feature))
        for name, feature in features.items()
        if isinstance(feature, EVENTS)
    }
    widths = [2 * len(shapes), 1, tasks, tasks, 1, len(of_kind(features, *IDS)), len(numeric_columns(features))]
    ends = list(accumulate(widths, initial=0))
    return Layout(*(slice(*pair) for pair in pairwise(ends)), shapes=shapes, width=ends[-1] + ends[-1] % 2)


def event_columns(feature: MultiValued | Sequence) -> int:
    """How many ids an event has."""
    return 1 if isinstance(feature, MultiValued) else len(feature.columns) + (feature.times is not None)


def of_kind(features: Mapping[str, Feature], *kinds: type[Feature]) -> list[str]:
    """Names of the features of some kinds, in their order."""
    return [name for name, feature in features.items() if isinstance(feature, kinds)]


def numeric_columns(features: Mapping[str, Feature]) -> list[str]:
    """Names of the numeric columns: one a feature, and a second one where that says what was missing."""
    columns = []
    for name, feature in features.items():
        if isinstance(feature, Numeric):
            columns += [name, f"{name}_missing"] if feature.missing == "indicator" else [name]
    return columns


def columns_of_numbers(settings: DataSettings) -> list[str]:
    """The columns of the source that must hold numbers."""
    roles = [*settings.tasks.values(), *([settings.weight] if settings.weight else [])]
    features = settings.features.items()
    return roles + [one.column or name for name, one in features if isinstance(one, Numeric | Bucketised)]
