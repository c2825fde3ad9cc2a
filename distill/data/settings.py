"""The `data:` section of a recipe: where the impressions are, and what their columns mean."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, model_validator

from distill.types import Settings


class Categorical(Settings):
    """Ids or names, each with an embedding of its own. Null counts as a value."""

    kind: Literal["categorical"] = "categorical"
    column: str | None = None
    """Column of the source; the feature's own name where none is given."""
    hash: int | None = Field(default=None, ge=2)
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


class MultiValued(Settings):
    """A set of ids, in no order; pooled into one vector."""

    kind: Literal["multi_valued"] = "multi_valued"
    column: str | None = None
    """Column of the source (lists); the feature's own name where none is given."""
    shares: str | None = None
    """Categorical feature whose ids and embeddings it uses; its own where none is given."""
    length: int = Field(default=10, ge=1)
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
    length: int = Field(default=10, ge=1)
    """Most events kept, the newest ones."""


class Vector(Settings):
    """A fixed vector, such as a text embedding."""

    kind: Literal["vector"] = "vector"
    column: str | None = None
    """Column of the source (lists of one length); the feature's own name where none is given."""
    width: int = Field(ge=1)
    """Its length."""


def _spelled_out(value: Any) -> Any:
    """`age: numeric` is short for `age: {kind: numeric}`."""
    return {"kind": value} if isinstance(value, str) else value


Feature = Annotated[
    Categorical | Numeric | MultiValued | Sequence | Vector, Discriminator("kind"), BeforeValidator(_spelled_out)
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


class World(Settings):
    """A generated world of impressions whose true click probabilities are known (`distill.data.synthetic`)."""

    seed: int = Field(default=0, ge=0)
    """Same seed, same bytes."""
    verticals: int = Field(default=12, ge=1)
    """Number of verticals; their sizes follow a power law."""
    domains: int = Field(default=3, ge=1)
    """Number of domains, each with verticals that share tastes."""
    users: int = Field(default=2_000, ge=1)
    """Number of users, who return across verticals."""
    items: int = Field(default=600, ge=1)
    """Number of items in all verticals together."""
    rows: int = Field(default=60_000, ge=100)
    """Number of impressions."""
    days: int = Field(default=10, ge=3)
    """Days that the log spans; the last but one validates, the last tests."""
    drift: float = Field(default=0.3, ge=0)
    """How far tastes move over the whole log, in log-odds."""
    size_exponent: float = Field(default=1.0, ge=0)
    """Exponent of the power law of vertical sizes; 0 makes them equal."""

    @model_validator(mode="after")
    def _large_enough(self) -> "World":
        if self.domains > self.verticals:
            raise ValueError(f"{self.domains} domains need at least as many verticals; there are {self.verticals}.")
        if self.items < self.verticals:
            raise ValueError(f"{self.verticals} verticals need at least as many items; there are {self.items}.")
        if self.rows < 4 * self.days:  # an impression has four rows
            raise ValueError(f"{self.days} days need at least {4 * self.days} rows; there are {self.rows}.")
        return self


class DataSettings(Settings):
    """Where the impressions are, and what their columns mean."""

    path: Path | None = None
    """Parquet or CSV: a file, a glob or a folder. Relative to the recipe, or to the current folder in an override."""
    world: World | None = None
    """A generated world instead of a file."""
    label: str | dict[str, str] = "label"
    """Column of 0 and 1; or task -> column. Null where a task has no label."""
    vertical: str = "vertical"
    """Column that names the vertical."""
    domain: str | None = None
    """Column that names the domain of a vertical."""
    row_id: str | None = None
    """Column that identifies a row; without it the file's fingerprint and the position do."""
    time: str | None = None
    """Column of times: numbers, dates or datetimes. Rows of one time are never split by time-ahead scoring."""
    user: str | None = None
    """Column that names the user or session: groups of GAUC, clusters of the bootstrap."""
    weight: str | None = None
    """Column of row weights."""
    split: Split
    """Which rows train, validate and test."""
    features: dict[str, Feature] = Field(min_length=1)
    """What rankers may see."""

    @property
    def tasks(self) -> dict[str, str]:
        """Task -> label column."""
        return {"click": self.label} if isinstance(self.label, str) else self.label
