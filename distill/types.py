"""The values that travel through the toolkit, and the names of their axes.

Axes, everywhere: `members` (rankers of a fleet), `rows` (impressions), `tasks` (click, conversion),
`steps` (events of a history), `fields` (features of one kind), `width` (numbers of one vector).
`*members` reads "with or without a fleet".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from jaxtyping import Bool, Float, Int
from pydantic import BaseModel, ConfigDict
from torch import Tensor

PAD = -1
"""Marks the steps that a shorter history does not have."""

UNSEEN = 0
"""The id of every value that the training rows of a scope do not show."""

GAPS = 64
"""Height of a table of gaps in time: the logarithms of 2^62 seconds, and `UNSEEN`."""


class Settings(BaseModel):
    """What a user may set. Unknown keys and infinite numbers are refused, nothing changes afterwards."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


@dataclass(frozen=True)
class SequenceField:
    """One history, or one set of values.

    Attributes:
        name: name of the feature.
        length: most steps kept; shorter ones are filled up with `PAD`, newest first.
        tables: the embedding table of each aligned column.
        ordered: False for a multi-valued feature, whose steps have no order.
        pool: how a multi-valued feature becomes one vector.
        times: whether the last column reads a table of `GAPS`, and says how long before the impression each event was:
            id g is 2^(g-1) - 1 up to 2^g - 1 seconds.
    """

    name: str
    length: int
    tables: tuple[str, ...]
    ordered: bool = True
    pool: str = "mean"
    times: bool = False


@dataclass(frozen=True)
class FeatureSchema:
    """What a ranker sees: the names, kinds and sizes of its inputs, in the order of the columns of `Features`.

    Attributes:
        tasks: names of the tasks, in the order of the `tasks` axis.
        verticals: number of verticals that the ranker serves; 1 for a student.
        tables: name of an embedding table -> number of ids, `UNSEEN` among them.
        categorical: names of the categorical features; each reads the table of its own name.
        numeric: names of the numeric columns.
        sequences: the histories and multi-valued features.
        vectors: name of a fixed vector -> its width.
    """

    tasks: tuple[str, ...]
    verticals: int
    tables: dict[str, int]
    categorical: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()
    sequences: tuple[SequenceField, ...] = ()
    vectors: dict[str, int] | None = None

    @property
    def height(self) -> int:
        """Rows of all tables together."""
        return sum(self.tables.values())

    @property
    def reads(self) -> int:
        """Ids of one impression, those of its histories counted at full length."""
        return len(self.categorical) + sum(field.length * len(field.tables) for field in self.sequences)


class Features(NamedTuple):
    """What a ranker may see of its impressions. Neither labels nor knowledge are in here, so it cannot peek.

    Ids are numbered within the scope of the ranker: a student's ids are those of its vertical.
    """

    vertical: Int[Tensor, "*members rows"]
    categorical: Int[Tensor, "*members rows fields"]
    numeric: Float[Tensor, "*members rows fields"]
    sequences: dict[str, Int[Tensor, "*members rows steps columns"]]
    vectors: dict[str, Float[Tensor, "*members rows width"]]


class Prediction(NamedTuple):
    """What a ranker says: log-odds (natural logarithm) for each task, and the last hidden layer before them."""

    logit: Float[Tensor, "*members rows tasks"]
    representation: Float[Tensor, "*members rows width"]


class Taught(NamedTuple):
    """What the teacher marks, where there is more of it than a prediction.

    `gate` says, in natural logarithms, how far each source of knowledge is believed about each row, and `second` is
    what the word of an adapter marks; each is without numbers where nobody asks for it.
    """

    logit: Float[Tensor, "*members rows tasks"]
    representation: Float[Tensor, "*members rows width"]
    gate: Float[Tensor, "*members rows sources"]
    second: Float[Tensor, "*members rows marked"]


class Signal(NamedTuple):
    """What one source of knowledge says of a batch; rows it never scored are not covered."""

    prediction: Prediction
    covered: Bool[Tensor, "*members rows"]


class Batch(NamedTuple):
    """Impressions as a learner sees them.

    `valid` masks labels that do not exist; `weight` is 0 for rows that only fill up a batch;
    `knowledge` maps the name of a source to what it says; `standing`, where somebody asks for it, to its normalized
    entropy shortly before each row; `group` numbers the user or session of each row, where a loss compares rows of one.
    """

    features: Features
    label: Float[Tensor, "*members rows tasks"]
    valid: Bool[Tensor, "*members rows tasks"]
    weight: Float[Tensor, "*members rows"]
    knowledge: dict[str, Signal]
    standing: Mapping[str, Float[Tensor, "*members rows tasks"]] = {}
    group: Int[Tensor, "*members rows"] | None = None
