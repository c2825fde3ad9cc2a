"""Scaling: a power law through the losses of rankers of different size, or of different amounts of data."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from distill.evidence import Estimate

LEAST = 4
"""Points that a law of three numbers takes, so that one is left to say how far off it is."""
FLOORS = 400
"""Values of the floor that are tried."""


class PowerLaw(NamedTuple):
    """`loss = floor + scale * size ** -exponent`.

    Attributes:
        exponent: how fast more helps; 0 not at all.
        floor: what no size goes below.
        scale: the loss above the floor at size 1.
        residual: root of the mean squared error of the points, in the unit of the loss.
        reason: why there is none, where there is none.
    """

    exponent: Estimate
    floor: Estimate
    scale: float
    residual: float
    reason: str = ""

    def at(self, size: float) -> float:
        """The loss that it foresees."""
        return self.floor.value + self.scale * size**-self.exponent.value


def power_law(sizes: Sequence[float], draws: Float[np.ndarray, "draws points"], level: float = 0.95) -> PowerLaw:
    """The law of least squares, with percentile intervals over resamples of the rows that the losses are means of.

    Kaplan et al., Scaling Laws for Neural Language Models, 2020, for the form; Hoffmann et al., Training
    Compute-Optimal Large Language Models, 2022, for the floor. For a given floor, scale and exponent are those of
    the line through the logarithms; the floor is the one among `FLOORS` whose law then has the least squared error in
    the loss itself. Each resample of the rows, the same for all points, is fitted again. The intervals know of the rows
    and not of other seeds, nor that another form might fit.

    Args:
        sizes: parameters, operations or rows.
        draws: the losses as observed, then in each resample.
        level: coverage of the intervals.

    Example:
        >>> sizes = np.array([1e3, 1e4, 1e5, 1e6, 1e7])
        >>> law = power_law(sizes, (0.7 + 2 * sizes**-0.3)[None])
        >>> round(law.exponent.value, 2), round(law.floor.value, 3)
        (0.3, 0.7)
    """
    x = np.log(np.asarray(sizes, dtype=np.float64))
    if len(set(x.tolist())) < LEAST:
        return _nothing(f"a law takes {LEAST} different sizes")
    fits = np.array([_fit(x, losses) for losses in draws])
    if not math.isfinite(fits[0, 0]):
        return _nothing("the losses do not fall")
    return PowerLaw(_estimate(fits[:, 0], level), _estimate(fits[:, 1], level), *map(float, fits[0, 2:]))


def _fit(x: Float[np.ndarray, " points"], losses: Float[np.ndarray, " points"]) -> tuple[float, ...]:
    """Exponent, floor, scale, residual; NaN where no floor leaves a loss that falls."""
    least, spread = float(losses.min()), float(np.ptp(losses))
    if not spread > 0:
        return (math.nan,) * 4
    # From just below the best loss to far below it, where the law is nearly a straight line in log size.
    floors = least - spread * np.geomspace(1e-5, 1e2, FLOORS)
    floors = np.append(floors[floors > 0], 0.0) if least > 0 else floors
    y = np.log(losses - floors[:, None])
    middle = x - x.mean()
    slope = y @ middle / (middle @ middle)
    height = y.mean(axis=1) - slope * x.mean()
    error = np.sqrt(((floors[:, None] + np.exp(height[:, None] + slope[:, None] * x) - losses) ** 2).mean(axis=1))
    best = int(np.argmin(np.where(slope < 0, error, np.inf)))
    if not slope[best] < 0:
        return (math.nan,) * 4
    return float(-slope[best]), float(floors[best]), float(np.exp(height[best])), float(error[best])


def _estimate(values: Float[np.ndarray, " draws"], level: float) -> Estimate:
    """The observed number, and the range of its resamples; no interval where some of them have no law."""
    value, draws = float(values[0]), values[1:]
    if not len(draws):
        return Estimate(value, math.nan, math.nan, "no resamples")
    if not np.isfinite(draws).all():
        return Estimate(value, math.nan, math.nan, "in some resamples the losses do not fall")
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value, float(low), float(high))


def _nothing(reason: str) -> PowerLaw:
    missing = Estimate(math.nan, math.nan, math.nan, reason)
    return PowerLaw(missing, missing, math.nan, math.nan, reason)
