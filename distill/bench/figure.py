"""Figure: one number of the benchmark, with its range and what it should be."""

from collections.abc import Sequence
from statistics import median
from typing import Any, Literal, NamedTuple


class Figure(NamedTuple):
    """A measured number.

    Attributes:
        name: the benchmark, a slash, and which of its figures.
        values: one for each round; none where it could not be measured.
        unit: what the numbers are; `x` for a ratio.
        target: what the median should reach, if anything.
        bound: from which side.
        reason: why it could not be measured.
    """

    name: str
    values: Sequence[float]
    unit: str = "x"
    target: float | None = None
    bound: Literal["at least", "at most"] = "at least"
    reason: str = ""

    @property
    def value(self) -> float | None:
        """The median of the rounds."""
        return median(self.values) if self.values else None

    @property
    def short(self) -> bool | None:
        """Whether the median misses the target; None where either does not exist.

        Example:
            >>> Figure("speed", [1.0, 4.0, 2.0], target=3).short, Figure("wait", [2.0], "s", 3, "at most").short
            (True, False)
        """
        if self.value is None or self.target is None:
            return None
        return self.value < self.target if self.bound == "at least" else self.value > self.target

    def __str__(self) -> str:
        """One line, for whoever is waiting.

        Example:
            >>> str(Figure("speed", [1.0, 4.0, 2.0], target=3))
            'speed: 2 x [1, 4], short of 3'
        """
        if self.value is None:
            return f"{self.name}: {self.reason}"
        verdict = "" if self.short is None else f", {'short of' if self.short else self.bound} {self.target:g}"
        return f"{self.name}: {self.value:.3g} {self.unit} [{min(self.values):.3g}, {max(self.values):.3g}]{verdict}"

    def row(self) -> dict[str, Any]:
        """The figure as plain values; what does not exist is None."""
        return {
            "name": self.name,
            "value": self.value,
            "low": min(self.values, default=None),
            "high": max(self.values, default=None),
            "target": self.target,
            "bound": self.bound,
            "unit": self.unit,
            "short": self.short,
            "reason": self.reason or None,
        }
