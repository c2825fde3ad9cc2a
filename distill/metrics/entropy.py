"""What a prediction costs: cross entropy, LogLoss and normalized entropy, from log-odds and in float64."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from distill.metrics.numbers import Values, float64, ratio, sigmoid

_STEPS, _TOLERANCE = 100, 1e-10
"""Of the search for a level; it takes about eight."""


def why_undefined(label: Values, weight: Values = 1.0) -> str:
    """What rows lack to have a normalized entropy or an AUC; empty where they lack nothing.

    >>> why_undefined([0, 0, 0])
    'no positives'
    """
    label, weight = np.broadcast_arrays(float64(label), float64(weight))
    clicks, total = (label * weight).sum(), weight.sum()
    if not total > 0:
        return "no rows"
    if not clicks > 0:
        return "no positives"
    return "" if clicks < total else "no negatives"


def cross_entropy(logit: Values, label: Values, weight: Values = 1.0) -> Float[np.ndarray, "*members rows"]:
    """Weighted cross entropy of each row, in nats; a label may be a probability.

    Log-odds of a student that diverged are not finite, and neither is what they cost: infinite, or NaN.

    >>> cross_entropy([0.0, 1000.0, 1000.0], [1, 1, 0]).round(3).tolist()
    [0.693, 0.0, 1000.0]
    """
    logit, label = float64(logit), float64(label)
    with np.errstate(invalid="ignore"):  # 0 times infinity; of finite numbers nothing here is invalid
        distance = label * np.maximum(-logit, 0.0) + (1 - label) * np.maximum(logit, 0.0)
        return float64(weight) * (np.log1p(np.exp(-np.abs(logit))) + distance)  # half of logaddexp's time


def entropy(clicks: Values, total: Values) -> Float[np.ndarray, "..."]:
    """Cross entropy, summed over a weight of `total`, of the constant that predicts the base rate `clicks / total`.

    >>> entropy([1.0, 0.0], [2.0, 5.0]).round(3).tolist()
    [1.386, 0.0]
    """
    clicks, total = float64(clicks), float64(total)
    return np.asarray(_surprise(clicks, total) + _surprise(total - clicks, total))


def base_entropy(label: Values, weight: Values = 1.0) -> float:
    """Cross entropy, summed over rows, of the constant that predicts their own base rate."""
    label, weight = np.broadcast_arrays(float64(label), float64(weight))
    return float(entropy((label * weight).sum(), weight.sum()))


def log_loss(logit: Values, label: Values, weight: Values = 1.0) -> Float[np.ndarray, "*members"]:
    """Mean cross entropy by weight, in nats; NaN without rows."""
    rows = cross_entropy(logit, label, weight)
    return ratio(rows.sum(-1), np.broadcast_to(float64(weight), rows.shape).sum(-1))


class Tally(NamedTuple):
    """The sums behind LogLoss and normalized entropy. Slices pool by adding them (`pool`), never by averaging ratios.

    Attributes:
        rows: number of rows with a positive weight.
        positives: sum of their labels, unweighted.
        weight: sum of the weights.
        clicks: sum of the labels by weight.
        cross_entropy: numerator, in nats.
        base_entropy: denominator, each slice by its own base rate, in nats.
    """

    rows: int
    positives: float
    weight: float
    clicks: float
    cross_entropy: float
    base_entropy: float

    @property
    def normalized_entropy(self) -> float:
        """Cross entropy over base entropy; NaN where the labels are of one class."""
        return float(ratio(self.cross_entropy, self.base_entropy))

    @property
    def log_loss(self) -> float:
        """Mean cross entropy by weight, in nats."""
        return float(ratio(self.cross_entropy, self.weight))


def tally(logit: Values, label: Values, weight: Values = 1.0) -> Tally:
    """The sums of one ranker over the rows of one slice."""
    logit, label, weight = np.broadcast_arrays(float64(logit), float64(label), float64(weight))
    return Tally(
        rows=int((weight > 0).sum()),
        positives=float(label[weight > 0].sum()),
        weight=float(weight.sum()),
        clicks=float((label * weight).sum()),
        cross_entropy=float(cross_entropy(logit, label, weight).sum()),
        base_entropy=base_entropy(label, weight),
    )


def pool(tallies: Iterable[Tally]) -> Tally:
    """The tally of several slices together; every slice keeps the base rate that is its own."""
    return Tally(*(sum(sums) for sums in zip(Tally(0, 0.0, 0.0, 0.0, 0.0, 0.0), *tallies, strict=True)))


def tally_by(group: Int[np.ndarray, " rows"], logit: Values, label: Values, weight: Values = 1.0) -> Tally:
    """The tally of all rows, those of each group (a vertical) being a slice of its own."""
    order = np.argsort(group, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(np.asarray(group)[order])) + 1)
    logit, label, weight = np.broadcast_arrays(float64(logit), float64(label), float64(weight))
    return pool(tally(logit[part], label[part], weight[part]) for part in parts)


def normalized_entropy(logit: Values, label: Values, weight: Values = 1.0) -> Float[np.ndarray, "*members"]:
    """Cross entropy over that of the rows' own base rate; 1 is a constant, NaN where the labels are of one class.

    Source: Practical Lessons from Predicting Clicks on Ads at Facebook, He et al., 2014.
    """
    return ratio(cross_entropy(logit, label, weight).sum(-1), base_entropy(label, weight))


def relative_cross_entropy(logit: Values, label: Values, weight: Values = 1.0) -> Float[np.ndarray, "*members"]:
    """How many per cent better than the rows' own base rate: 100 (1 - NE); 0 is a constant.

    Source: Privacy-Aware Recommender Systems Challenge on Twitter's Home Timeline, Belli et al., 2020.
    """
    return 100.0 * (1.0 - normalized_entropy(logit, label, weight))


def calibration_free_entropy(logit: Values, label: Values, weight: Values = 1.0) -> Float[np.ndarray, "*members"]:
    """NE after the one shift of all log-odds that makes the mean prediction the base rate; at most NE itself.

    What remains is what a recalibration of the level can't mend. Not TorchRec's number of a like name, which divides NE
    by the entropy of the mean prediction. NaN where the labels are of one class.
    """
    if why_undefined(label, weight):
        return np.full(np.shape(logit)[:-1], np.nan)
    logit = float64(logit)
    shift = _level(logit, np.broadcast_to(float64(label), logit.shape), np.broadcast_to(float64(weight), logit.shape))
    return normalized_entropy(logit + shift[..., None], label, weight)


def _level(
    logit: Float[np.ndarray, "*members rows"],
    label: Float[np.ndarray, "*members rows"],
    weight: Float[np.ndarray, "*members rows"],
) -> Float[np.ndarray, "*members"]:
    """The shift at which predicted and observed clicks are equal: Newton's steps, halved brackets where they leave."""
    clicks, total = (weight * label).sum(-1), weight.sum(-1)
    base = np.log(clicks) - np.log(total - clicks)
    low, high = base - logit.max(-1), base - logit.min(-1)
    shift = (low + high) / 2
    for _ in range(_STEPS):
        chance = sigmoid(logit + shift[..., None])
        excess = (weight * chance).sum(-1) - clicks
        low, high = np.where(excess < 0, shift, low), np.where(excess < 0, high, shift)
        slope = (weight * chance * (1 - chance)).sum(-1)
        step = shift - excess / np.where(slope > 0, slope, 1.0)
        before, shift = shift, np.where((slope > 0) & (step > low) & (step < high), step, (low + high) / 2)
        if np.abs(shift - before).max(initial=0.0) < _TOLERANCE:
            break
    return shift


def _surprise(clicks: Values, total: Values) -> Float[np.ndarray, "..."]:
    """clicks log(total / clicks), 0 for no clicks."""
    some = np.asarray(clicks > 0)
    return np.where(some, clicks * np.log(np.where(some, total, 1.0) / np.where(some, clicks, 1.0)), 0.0)
