"""The `data:` section of a recipe: where the impressions are, and what their columns mean."""

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, model_validator

from distill.data.world import World
from distill.types import Settings

MOST = 1 << 31
"""Most buckets of a hash: ids have 32 bits."""


class Categorical(Settings):
    """Ids or names, each with an embedding of its own. Null counts as a value."""

    kind: Literal["categorical"] = "categorical"
    column: str | None = None
    """Column of the source; the feature's own name where none is given."""
    hash: int | None = Field(default=None, ge=2, le=MOST)
    """Number of buckets to hash into; without it a vocabulary is built from the training rows."""
    min_count: int = Field(default=1, ge=1)
    """Values with fewer training rows in their scope share the id of the unseen."""
    hide: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Share of training rows whose id is hidden as if unseen, so that the embedding of the unseen learns."""

    @model_validator(mode="after")
    def _one_rule(self) -> "Categorical":
        if self.hash is not None and self.min_count > 1:
            raise ValueError("`hash` and `min_count` exclude each other: a hash keeps no counts.")
        return self


class Numeric(Settings):
    """One number, transformed in the order given; constants are fitted on training rows only."""

    kind: Literal["numeric"] = "numeric"
    column: str | None = None
    """Column of the source; the feature's own name where none is given."""
    transform: tuple[Literal["log1p", "standardise"], ...] = ("standardise",)
    """Steps applied in order. `log1p` is sign(x) log(1 + |x|)."""
    missing: Literal["refuse", "mean", "zero", "indicator"] = "refuse"
    """What null and NaN become: an error, the training mean, zero (before the transforms), or the mean and a second
    column that says so."""


class Bucketised(Settings):
    """One number as an id: the bucket that it falls into. Null and NaN have a bucket of their own, the last."""

    kind: Literal["bucketised"] = "bucketised"
    column: str | None = None
    """Column of the source; the feature's own name where none is given."""
    boundaries: tuple[float, ...] = ()
    """Where one bucket ends and the next begins, growing; a boundary belongs to the upper one."""
    buckets: int | None = Field(default=None, ge=2, le=10_000)
    """Instead of boundaries: number of buckets of about equal numbers of training rows."""

    @model_validator(mode="after")
    def _one_way(self) -> "Bucketised":
        if bool(self.boundaries) == (self.buckets is not None):
            raise ValueError("give either `boundaries` or `buckets`.")
        if any(low >= high for low, high in pairwise(self.boundaries)):
            raise ValueError("`boundaries` must grow.")
        return self


class Cross(Settings):
    """Several columns as one id: their values hashed together."""

    kind: Literal["cross"] = "cross"
    columns: tuple[str, ...] = Field(min_length=2)
    """Columns of the source, one value a row each."""
    hash: int = Field(ge=2, le=MOST)
    """Number of buckets to hash into."""


class MultiValued(Settings):
    """A set of ids, in no order; pooled into one vector."""

    kind: Literal["multi_valued"] = "multi_valued"
    column: str | None = None
    """Column of the source (lists); the feature's own name where none is given."""
    shares: str | None = None
    """Categorical feature whose ids and embeddings it uses; its own where none is given."""
    length: int = Field(default=10, ge=1, le=65_535)
    """Most values kept."""
    pool: Literal["mean", "sum"] = "mean"
    """How the embeddings become one."""


class Sequence(Settings):
    """A history: aligned lists, one entry an event, strictly earlier than the impression."""

    kind: Literal["sequence"] = "sequence"
    columns: dict[str, str | None] = Field(min_length=1)
    """List column -> categorical feature whose ids and embeddings it uses (null: its own)."""
    newest: Literal["first", "last"]
    """At which end the newest event stands, for all columns."""
    times: str | None = None
    """List column of the events' times, in the type of `data.time`. It becomes one more aligned column, the gap between
    event and impression as an id: 1 + floor(log2(1 + seconds)), 1 where the event is not earlier."""
    length: int = Field(default=10, ge=1, le=65_535)
    """Most events kept, the newest ones."""
    hide: dict[str, Annotated[float, Field(ge=0.0, lt=1.0)]] = Field(default={}, exclude_if=lambda hide: not hide)
    """Column -> share of the events of training rows whose id is hidden as if unseen: what is new when a model
    serves is soon in histories too, where training rows never show it."""


class Vector(Settings):
    """A fixed vector, such as a text embedding."""

    kind: Literal["vector"] = "vector"
    column: str | None = None
    """Column of the source (lists of one length); the feature's own name where none is given."""
    width: int = Field(ge=1)
    """Its length."""
    missing: Literal["refuse", "zero"] = "refuse"
    """What a row without a vector gets: an error, or zeros."""


def _spelled_out(value: Any) -> Any:
    """`age: numeric` is short for `age: {kind: numeric}`."""
    return {"kind": value} if isinstance(value, str) else value


Feature = Annotated[
    Categorical | Numeric | Bucketised | Cross | MultiValued | Sequence | Vector,
    Discriminator("kind"),
    BeforeValidator(_spelled_out),
]


class SplitByColumn(Settings):
    """A column says of each row where it belongs: `train`, `valid` or `test`."""

    by: Literal["column"] = "column"
    column: str
    """The column's name."""


class SplitByTime(Settings):
    """Rows before `valid` train, rows from `test` on test. Needs `data.time`."""

    by: Literal["time"] = "time"
    valid: float | str
    """First time of the validation rows, as a number or an ISO date."""
    test: float | str
    """First time of the test rows."""
    gap: float | str = 0
    """Rows this shortly before `valid` do not train, and before `test` do not validate, because their labels were not
    known yet: a number in the unit of the times, or for dates and times a duration such as `36h` or `2d`."""


class SplitByHash(Settings):
    """Rows are dealt out by a hash of a key, so that rows of one key stay together."""

    by: Literal["hash"] = "hash"
    column: str
    """The key, for example the user."""
    valid: float = Field(default=0.1, gt=0, lt=1)
    """Share of the keys that validate."""
    test: float = Field(default=0.2, gt=0, lt=1)
    """Share of the keys that test."""


Split = Annotated[SplitByColumn | SplitByTime | SplitByHash, Discriminator("by")]


class Negatives(Settings):
    """Which share of the rows without a click is trained on; the rest of the settings never change with it.

    Training on a share r of the negatives shifts every log-odds by -log r; what was learned so is shifted back by
    log r (`distill.data.negatives`).
    """

    source: float = Field(default=1.0, gt=0, le=1)
    """Share that is still in the files, where they were thinned before."""
    teacher: float = Field(default=1.0, gt=0, le=1)
    """Share of those in the files that the teacher trains on."""
    students: float = Field(default=1.0, gt=0, le=1)
    """Share of those in the files that students train on."""


class DataSettings(Settings):
    """Where the impressions are, and what their columns mean."""

    path: Path | None = None
    """Parquet or CSV: a file, a glob or a folder. Relative to the recipe, or to the current folder in an override."""
    world: World | None = None
    """A generated world instead of a file."""
    label: str | dict[str, str] = "label"
    """Column of 0 and 1; or task -> column, in which null says that a row has no label: it is learnt from by the
    teacher's marks alone."""
    vertical: str = "vertical"
    """Column that names the vertical."""
    domain: str | None = None
    """Column that names the domain of a vertical."""
    row_id: str | None = None
    """Column that identifies a row; without it the file's fingerprint and the position do."""
    time: str | None = None
    """Column of times: numbers, dates or datetimes. Rows of one time are never split by time-ahead scoring."""
    user: str | None = None
    """Column that names the user or session: groups of GAUC, clusters of the bootstrap. Null is one user, too."""
    weight: str | None = None
    """Column of row weights."""
    split: Split
    """Which rows train, validate and test."""
    features: dict[str, Feature] = Field(min_length=1)
    """What rankers may see."""
    negatives: Negatives = Negatives()
    """Down-sampling of rows without a click."""
    on_bad_rows: Literal["error", "skip"] = "error"
    """What a row of CSV that cannot be read costs: all of it, or that row, told in a warning with its line."""
    block: int = Field(default=131_072, ge=1)
    """Rows that are encoded at once. Memory grows with them and not with the log; an interrupted encoding goes on from
    the last whole block."""

    @property
    def tasks(self) -> dict[str, str]:
        """Task -> label column."""
        return {"click": self.label} if isinstance(self.label, str) else self.label
