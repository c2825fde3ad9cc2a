"""The settings of a generated world of impressions (`distill.data.synthetic`)."""

from typing import Any

from pydantic import Field, model_validator

from distill.types import Settings


class World(Settings):
    """A generated world of impressions whose true click probabilities are known."""

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
    position_bias: float = Field(default=0.0, ge=0)
    """Log-odds that the last position loses against the first; above 0 there is a column `position`."""
    conversion_delay: float = Field(default=0.0, ge=0)
    """Mean hours from a click to its conversion; above 0 there are the columns `converted` (null where the log ends
    before it is known), `conversion_time` and `p_conversion`."""
    teacher_delay: float | None = Field(default=None, ge=0)
    """Days by which a teacher's picture of tastes is old; where given there is a column `p_teacher`."""

    @property
    def data(self) -> dict[str, Any]:
        """The `data:` section that fits what is generated (`synthetic.generate`), but for its path."""
        features: dict[str, Any] = {"item_id": {"kind": "categorical", "hide": 0.1}}  # One item in ten is new each day.
        features |= dict.fromkeys(["hour", "device"], "categorical")
        features |= {"user_activity": {"kind": "numeric", "transform": ["log1p", "standardise"]}}
        features |= {"item_age": {"kind": "numeric", "transform": ["standardise"]}}
        columns = {"hist_items": "item_id", "hist_verticals": None}
        features |= {"clicked": {"kind": "sequence", "columns": columns, "newest": "first", "length": 10}}
        if self.position_bias:
            features["position"] = "categorical"
        label = {"click": "label", "conversion": "converted"} if self.conversion_delay else "label"
        roles = {"label": label, "vertical": "vertical", "domain": "domain", "row_id": "row_id", "time": "time"}
        return roles | {"user": "user_id", "split": {"by": "column", "column": "split"}, "features": features}

    @model_validator(mode="after")
    def _large_enough(self) -> "World":
        if self.domains > self.verticals:
            raise ValueError(f"{self.domains} domains need at least as many verticals; there are {self.verticals}.")
        if self.items < self.verticals:
            raise ValueError(f"{self.verticals} verticals need at least as many items; there are {self.items}.")
        if self.rows < 4 * self.days:  # an impression has four rows
            raise ValueError(f"{self.days} days need at least {4 * self.days} rows; there are {self.rows}.")
        return self
