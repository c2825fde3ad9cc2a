"""Numbers with their intervals: gains, and shares of what there was to gain."""

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from distill.evidence.resampling import Sums


class Estimate(NamedTuple):
    """A number with its interval; NaN where it does not exist, and then `reason` says why."""

    value: float
    low: float
    high: float
    reason: str = ""


NOTHING = Estimate(math.nan, math.nan, math.nan)
"""What is known of a number that was never asked for."""


def ne_gain(sums: Sums, level: float = 0.95) -> Estimate:
    """NE of the control minus NE of the student, with its interval."""
    if not sums.base_entropy[0] > 0:
        return undefined("the labels are of one class")
    return ratio(sums.control - sums.student, sums.base_entropy, sums, level)


def gap_closed(sums: Sums, level: float = 0.95, leader: str = "teacher") -> Estimate:
    """Share of the teacher's lead over the control that the student has gained.

    Undefined where the teacher does not lead; without an interval where it may not, since a share of what may be
    nothing can be anything.

    Args:
        sums: of the pair, with the teacher's.
        level: coverage of the interval.
        leader: what reasons call the one that stands in the teacher's place.
    """
    if math.isnan(sums.teacher[0]):
        return undefined(f"the {leader} did not score every test row")
    lead = ne_gain(sums._replace(student=sums.teacher), level)
    if math.isnan(lead.value):
        return lead
    if lead.value <= 0:
        return undefined(f"the {leader} is not better than the control")
    gap = ratio(sums.control - sums.student, sums.control - sums.teacher, sums, level)
    return gap if lead.low > 0 else unsure(gap.value, f"the {leader}'s lead over the control is not sure")


def ratio(
    numerator: Float[np.ndarray, " draws"], denominator: Float[np.ndarray, " draws"], sums: Sums, level: float
) -> Estimate:
    """The observed ratio, and on each side the wider of the expanded percentile bound and Fieller's.

    Fieller's interval holds the ratios r for which numerator - r * denominator is within t standard errors of 0. It
    has an end where the denominator is t standard errors above 0.
    """
    value = float(numerator[0] / denominator[0])
    clusters = max(min(sums.clicked, sums.unclicked), 2)
    t = t_quantile((1 + level) / 2, clusters - 1)
    (above, both), (_, below) = t**2 * np.cov(numerator[1:], denominator[1:])
    square, product = denominator[0] ** 2 - below, numerator[0] * denominator[0] - both
    if not square > 0:
        return unsure(value, "too few clicks or non-clicks for an interval")
    reach = math.sqrt(max(product**2 - square * (numerator[0] ** 2 - above), 0.0))
    tail = NormalDist().cdf(-t * math.sqrt(clusters / (clusters - 1)))
    usable = denominator[1:] > 0
    low, high = np.quantile(numerator[1:][usable] / denominator[1:][usable], [tail, 1 - tail])
    return Estimate(value, float(min(low, (product - reach) / square)), float(max(high, (product + reach) / square)))


def p_value(sums: Sums) -> float:
    """Chance of a gain as far from 0 as this one, to either side, where there is none; NaN where it has no interval.

    By Student's t with the bootstrap's standard error, which goes on where a thousand resamples end; where the
    resamples themselves say more than that, they count, as they do for the interval.
    """
    gains = sums.control - sums.student
    clusters = min(sums.clicked, sums.unclicked)
    spread = float(np.std(gains[1:], ddof=1))
    if clusters < 2 or not sums.base_entropy[0] > 0 or not math.isfinite(spread):
        return math.nan
    if spread == 0.0:
        return 1.0 if gains[0] == 0 else math.nan
    by_spread = 2 * _t_chance(-abs(float(gains[0])) / spread, clusters - 1)
    beyond = float(min((gains[1:] <= 0).mean(), (gains[1:] >= 0).mean()))
    return min(1.0, max(by_spread, 2 * beyond))


def detectable(sums: Sums, level: float = 0.95, power: float = 0.8) -> float:
    """The true gain in NE that these rows would call sure with probability `power`; NaN where there is no interval."""
    clusters = min(sums.clicked, sums.unclicked)
    if clusters < 2 or not sums.base_entropy[0] > 0:
        return math.nan
    gain = (sums.control - sums.student)[0] / sums.base_entropy[0]
    residuals = (sums.control - sums.student - gain * sums.base_entropy)[1:]
    error = float(np.std(residuals, ddof=1)) / float(sums.base_entropy[0])
    return (t_quantile((1 + level) / 2, clusters - 1) + NormalDist().inv_cdf(power)) * error


def t_quantile(probability: float, freedom: int) -> float:
    """Quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, probability))


def _t_chance(value: float, freedom: int) -> float:
    from scipy.special import stdtr

    return float(stdtr(freedom, value))


def undefined(reason: str) -> Estimate:
    """No number, and why."""
    return Estimate(math.nan, math.nan, math.nan, reason)


def unsure(value: float, reason: str) -> Estimate:
    """A number without an interval, and why."""
    return Estimate(value, math.nan, math.nan, reason)
