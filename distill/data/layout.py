"""Layout: where everything stands in the record of an impression.

A record holds all that a ranker and its loss read of a row, as 32-bit numbers side by side: one gather of whole rows is
more than twice as fast as one for each kind of feature, since nearly all of its time goes into waiting for memory.
Histories and sets are as long as they are: the record says where the first event of a row stands, and how many follow.
Fixed vectors may be long and are the same for everybody, so they stay apart.
Ids of small tables are 16-bit numbers, since a gather takes as long as there are lines of memory to wait for.
"""

from collections.abc import Mapping
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np

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
from distill.data.tables import uses

LENGTH_BITS = 16
"""Lower bits of the word that places a history, which say its length; the others say where it starts."""

IDS = (Categorical, Bucketised, Cross)
"""The kinds of features that are one id a row."""

NARROW = 1 << 15
"""Most rows of a table whose ids fit into 16 bits, beside `PAD`."""

EVENTS = (MultiValued, Sequence)
"""The kinds of features that are a list of ids a row."""


Heights = Mapping[str, list[int]]
"""Name of an embedding table -> its number of ids, group by group."""


class Layout(NamedTuple):
    """The columns of a record, counted in numbers of their own type: `places` are 64-bit words, `vertical` is int32,
    `valid` 0 or 1 in as many bits, `categorical` of the type `ids`; the others are float32.

    Attributes:
        places: one word a history or set; they come first, so that they are aligned.
        shapes: steps and columns of each history and set, in their order.
        ids: type of the categorical columns.
        width: 32-bit numbers of a record; even.
    """

    places: slice
    vertical: slice
    label: slice
    valid: slice
    weight: slice
    numeric: slice
    categorical: slice
    shapes: dict[str, tuple[int, int]]
    ids: np.dtype
    width: int


def layout(features: Mapping[str, Feature], tasks: int, heights: Heights) -> Layout:
    """The layout of the records that show these features, whose tables are so high."""
    shapes, names, ids = event_shapes(features), of_kind(features, *IDS), id_type(features, IDS, heights)
    words, of_four = len(shapes), 4 // ids.itemsize
    ends = list(accumulate([1, tasks, tasks, 1, len(numeric_columns(features))], initial=2 * words))
    first = ends[-1] * of_four
    width = ends[-1] - -len(names) // of_four
    columns = [slice(0, words), *(slice(*pair) for pair in pairwise(ends)), slice(first, first + len(names))]
    return Layout(*columns, shapes=shapes, ids=ids, width=width + width % 2)


def id_type(features: Mapping[str, Feature], kinds: tuple[type[Feature], ...], heights: Heights) -> np.dtype:
    """The smaller type that holds every id of the features of some kinds."""
    read = (max(heights[use.table]) for use in uses({name: features[name] for name in of_kind(features, *kinds)}))
    return np.dtype(np.int16 if max(read, default=0) <= NARROW else np.int32)


def event_shapes(features: Mapping[str, Feature]) -> dict[str, tuple[int, int]]:
    """Steps and columns of each history and set."""
    lists = ((name, feature) for name, feature in features.items() if isinstance(feature, EVENTS))
    return {name: (feature.length, event_columns(feature)) for name, feature in lists}


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
