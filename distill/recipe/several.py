"""The sections of a recipe that say how the marks of several teachers become one."""

from typing import Literal

from pydantic import Field

from distill.types import Settings


class Recent(Settings):
    """Who did better shortly before counts for more: weights fall with exp(-NE / temperature). NE is that of the latest
    block of labelled training rows that lies strictly before the row's own time, so that nothing leaks."""

    temperature: float = Field(default=0.01, gt=0)
    """How far NE may lie apart before it matters: a teacher that is worse by this much has 37 % of the weight."""
    rows: int = Field(default=10_000, ge=1)
    """Fewest rows of a block."""
    by: Literal["all", "vertical"] = "all"
    """Whether blocks are of all rows, or of each vertical's; one that has no block yet goes by `weights`."""


class Combine(Settings):
    """How the log-odds of several teachers become one: their mean by weight. What is set is multiplied."""

    weights: dict[str, float] | None = None
    """Name of a teacher -> its weight, 1 for those that are left out; the seeds of one teacher share it."""
    recent: Recent | None = None
    """Weights by NE shortly before each row."""
    gate: bool = False
    """Whether each student learns, by labels, which teacher to believe about which rows."""
