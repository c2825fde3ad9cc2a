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
    rows is judged mostly by the others, one with many by itself. That the mean is not sure itself makes every judgement
    less sure (Morris, Parametric Empirical Bayes Inference, 1983). Without a trial it is 0.
    """
    gain, error = (np.array([getattr(one, name) for one in trials], dtype=float) for name in ("gain", "error"))
    usable = np.isfinite(gain) & (error > 0)
    found, gain, error = np.zeros(len(trials)), gain[usable], error[usable]
    if len(gain):
        mean, spread = _prior(gain, error)
        apart = spread**2 + error**2
        own = spread**2 / apart
        width = np.sqrt(own * error**2 + (1 - own) ** 2 / (1 / apart).sum())
        centre = own * gain + (1 - own) * mean
        found[usable] = [NormalDist(*one).cdf(0) for one in zip(centre, width, strict=True)]
    return found


def _prior(gain: np.ndarray, error: np.ndarray) -> tuple[float, float]:
    """Mean and spread of the gains themselves, without the errors of their trials."""
    weight = error**-2
    mean = float(np.average(gain, weights=weight))
    excess = (weight * (gain - mean) ** 2).sum() - (len(gain) - 1)
    scale = weight.sum() - (weight**2).sum() / weight.sum()
    spread = float(np.sqrt(max(0.0, excess / scale))) if scale > 0 else 0.0
    own = 1 / (error**2 + spread**2)
    return float(np.average(gain, weights=own)), spread
