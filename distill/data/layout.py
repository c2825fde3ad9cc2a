"""Layout: where everything stands in the record of an impression.

A record holds all that a ranker and its loss read of a row, as 32-bit numbers side by side: one gather of whole rows is
more than twice as fast as one for each kind of feature, since nearly all of its time goes into waiting for memory.
Fixed vectors may be long and are the same for everybody, so they stay apart.
"""

from collections.abc import Mapping
from itertools import accumulate, pairwise
from typing import NamedTuple

from distill.data.settings import Categorical, Feature, MultiValued, Numeric, Sequence


class Layout(NamedTuple):
    """The columns of a record: `vertical`, `categorical` and `sequences` are int32, `valid` 0 or 1, the others float32.

    Attributes:
        sequences: columns of each sequence and set; the columns of the first step come first.
        shapes: steps and columns of each.
        width: number of columns.
    """

    vertical: slice
    label: slice
    valid: slice
    weight: slice
    categorical: slice
    numeric: slice
    sequences: dict[str, slice]
    shapes: dict[str, tuple[int, int]]
    width: int


def layout(features: Mapping[str, Feature], tasks: int) -> Layout:
    """The layout of the records that show these features."""
    shapes = {
        name: (feature.length, len(feature.columns) if isinstance(feature, Sequence) else 1)
        for name, feature in features.items()
        if isinstance(feature, (Sequence, MultiValued))
    }
    fixed = [1, tasks, tasks, 1, len(of_kind(features, Categorical)), len(numeric_columns(features))]
    ends = list(accumulate(fixed + [steps * columns for steps, columns in shapes.values()], initial=0))
    slots = [slice(*pair) for pair in pairwise(ends)]
    return Layout(*slots[:6], sequences=dict(zip(shapes, slots[6:], strict=True)), shapes=shapes, width=ends[-1])


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
