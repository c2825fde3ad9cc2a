"""Fallback: which students go without their teacher after all, decided on validation rows."""

from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int


class Trial(NamedTuple):
    """What validation rows show of one student and its control.

    Attributes:
        gain: NE of the control minus NE of the student.
        error: standard error of the gain; NaN where the rows cannot tell.
    """

    gain: float
    error: float


def trial(
    student: Float[np.ndarray, " rows"],
    control: Float[np.ndarray, " rows"],
    cluster: Int[np.ndarray, " rows"],
    base_entropy: float,
) -> Trial:
    """Compares cross-entropies of the same rows; rows of one cluster count as one observation.

    Args:
        student: weighted cross-entropy of each row, in nats.
        control: the same of its twin.
        cluster: number of the user, or of the row.
        base_entropy: the sum for a constant prediction at the rows' own click rate.
    """
    _, place = np.unique(cluster, return_inverse=True)
    gains = np.bincount(place, control - student) / base_entropy if base_entropy > 0 else np.zeros(0)
    if len(gains) < 2:
        return Trial(float("nan"), float("nan"))
    centred = gains - gains.mean()
    return Trial(float(gains.sum()), float(np.sqrt(len(gains) / (len(gains) - 1) * (centred**2).sum())))


def harmed(trials: Sequence[Trial]) -> Float[np.ndarray, " students"]:
    """The probability that each student is worse than its control, in the light of all of them.

    Gains are taken to be drawn from one normal distribution, whose mean and spread are estimated from all trials
    (DerSimonian and Laird, Meta-Analysis in Clinical Trials, 1986), and each trial to err normally: a student with few
    rows is judged mostly by the others, one with many by itself. Without a trial it is 0.
    """
    gain, error = (np.array([getattr(one, name) for one in trials], dtype=float) for name in ("gain", "error"))
    usable = np.isfinite(gain) & (error > 0)
    mean, spread = _prior(gain[usable], error[usable])
    found = np.zeros(len(trials))
    for place in np.flatnonzero(usable):
        own, common = error[place] ** -2, (1 / spread**2 if spread > 0 else np.inf)
        share = own / (own + common) if np.isfinite(common) else 0.0
        centre = share * gain[place] + (1 - share) * mean
        width = (own + common) ** -0.5 if np.isfinite(common) else 0.0
        found[place] = NormalDist(centre, width).cdf(0) if width else float(centre < 0)
    return found


def _prior(gain: np.ndarray, error: np.ndarray) -> tuple[float, float]:
    """Mean and spread of the gains themselves, without the errors of their trials."""
    if not len(gain):
        return 0.0, 0.0
    weight = error**-2
    mean = float(np.average(gain, weights=weight))
    excess = (weight * (gain - mean) ** 2).sum() - (len(gain) - 1)
    scale = weight.sum() - (weight**2).sum() / weight.sum()
    spread = float(np.sqrt(max(0.0, excess / scale))) if scale > 0 else 0.0
    own = 1 / (error**2 + spread**2)
    return float(np.average(gain, weights=own)), spread
