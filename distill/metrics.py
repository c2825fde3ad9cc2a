"""How good scores are: pure functions in float64. The last axis is `rows`; axes before it stand for several rankers.

Every function takes log-odds (natural logarithm), labels and weights, in this order. Probabilities are never clipped:
cross entropies come from log-odds, so that a sure and right score costs exp(-|logit|) and a sure and wrong one |logit|.
A number that does not exist is NaN, and `why_undefined` says why.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

Values = np.ndarray | Sequence[float] | float
"""Numbers, or labels, one a row; one number stands for every row."""


def why_undefined(label: Values, weight: Values = 1.0) -> str:
    """What rows lack to have a normalized entropy or an AUC; empty where they lack nothing.

    >>> why_undefined([0, 0, 0])
    'no positives'
    """
    label, weight = np.broadcast_arrays(_float64(label), _float64(weight))
    clicks, total = (label * weight).sum(), weight.sum()
    if not total > 0:
        return "no rows"
    if not clicks > 0:
        return "no positives"
    return "" if clicks < total else "no negatives"


def cross_entropy(logit: Values, label: Values, weight: Values = 1.0) -> Float[np.ndarray, "*members rows"]:
    """Weighted cross entropy of each row, in nats; a label may be a probability.

    >>> cross_entropy([0.0, 1000.0, 1000.0], [1, 1, 0]).round(3).tolist()
    [0.693, 0.0, 1000.0]
    """
    logit, label = _float64(logit), _float64(label)
    return _float64(weight) * (label * np.logaddexp(0, -logit) + (1 - label) * np.logaddexp(0, logit))


def entropy(clicks: Values, total: Values) -> Float[np.ndarray, "..."]:
    """Cross entropy, summed over a weight of `total`, of the constant that predicts the base rate `clicks / total`.

    >>> entropy([1.0, 0.0], [2.0, 5.0]).round(3).tolist()
    [1.386, 0.0]
    """
    clicks, total = _float64(clicks), _float64(total)
    return np.asarray(_surprise(clicks, total) + _surprise(total - clicks, total))


def base_entropy(label: Values, weight: Values = 1.0) -> float:
    """Cross entropy, summed over rows, of the constant that predicts their own base rate."""
    label, weight = np.broadcast_arrays(_float64(label), _float64(weight))
    return float(entropy((label * weight).sum(), weight.sum()))


def log_loss(logit: Values, label: Values, weight: Values = 1.0) -> Float[np.ndarray, "*members"]:
    """Mean cross entropy by weight, in nats; NaN without rows."""
    rows = cross_entropy(logit, label, weight)
    return _ratio(rows.sum(-1), np.broadcast_to(_float64(weight), rows.shape).sum(-1))


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
        return float(_ratio(self.cross_entropy, self.base_entropy))

    @property
    def log_loss(self) -> float:
        """Mean cross entropy by weight, in nats."""
        return float(_ratio(self.cross_entropy, self.weight))


def tally(logit: Values, label: Values, weight: Values = 1.0) -> Tally:
    """The sums of one ranker over the rows of one slice."""
    logit, label, weight = np.broadcast_arrays(_float64(logit), _float64(label), _float64(weight))
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


def normalized_entropy(logit: Values, label: Values, weight: Values = 1.0) -> Float[np.ndarray, "*members"]:
    """Cross entropy over that of the rows' own base rate; 1 is a constant, NaN where the labels are of one class.

    Source: Practical Lessons from Predicting Clicks on Ads at Facebook, He et al., 2014.
    """
    return _ratio(cross_entropy(logit, label, weight).sum(-1), base_entropy(label, weight))


class GroupedAUC(NamedTuple):
    """AUC within groups.

    Attributes:
        value: mean of the groups' AUC by their weight; NaN where every group is of one class.
        kept: share of the weight in groups that have both classes, and so count.
    """

    value: float
    kept: float


def auc(logit: Values, label: Values, weight: Values = 1.0) -> float:
    """Chance that a click is scored above a non-click, ties one half; exact. NaN where the labels are of one class.

    >>> auc([0.1, 0.4, 0.4, 0.9], [0, 1, 0, 1])
    0.875
    """
    return gauc(logit, label, np.zeros(np.shape(logit), dtype=np.int8), weight).value


def gauc(logit: Values, label: Values, group: Shaped[np.ndarray, " rows"], weight: Values = 1.0) -> GroupedAUC:
    """AUC within groups (users, sessions), averaged by weight; groups of one class are left out.

    Source: Deep Interest Network for Click-Through Rate Prediction, Zhou et al., 2018 (impression-weighted).
    """
    logit, label, weight = np.broadcast_arrays(_float64(logit), _float64(label), _float64(weight))
    order = np.lexsort((logit, group))
    logit, group, weight, clicks = logit[order], group[order], weight[order], (label * weight)[order]
    new_group = _changes(group)
    ties = np.flatnonzero(new_group | _changes(logit))
    starts = np.searchsorted(ties, np.flatnonzero(new_group))
    positive, negative = _run_sums(clicks, ties), _run_sums(weight - clicks, ties)
    within = np.cumsum(new_group[ties]) - 1
    below = np.cumsum(negative) - negative
    ranked = positive * (below - below[starts][within] + negative / 2)
    positives, negatives = _run_sums(positive, starts), _run_sums(negative, starts)
    size = np.where((positives > 0) & (negatives > 0), positives + negatives, 0.0)
    each = _ratio(_run_sums(ranked, starts), positives * negatives)
    return GroupedAUC(
        float(_ratio((size * np.nan_to_num(each)).sum(), size.sum())), float(_ratio(size.sum(), weight.sum()))
    )


class Calibration(NamedTuple):
    """Predicted over observed clicks.

    Attributes:
        ratio: above 1 the scores promise too much; NaN without positives.
        standard_error: of the ratio, where clicks are rare; an upper bound by 1 / sqrt(1 - base rate) where not.
    """

    ratio: Float[np.ndarray, "*members"]
    standard_error: Float[np.ndarray, "*members"]


def calibration(logit: Values, label: Values, weight: Values = 1.0) -> Calibration:
    """Sum of predicted clicks over sum of clicks. Some 400 positives make it sure to 5 %.

    >>> float(calibration([0.0, 0.0], [1, 0]).ratio)
    1.0
    """
    label, weight = np.broadcast_arrays(_float64(label), _float64(weight))
    clicks = (label * weight).sum(-1)
    ratio = _ratio((_sigmoid(_float64(logit)) * weight).sum(-1), clicks)
    return Calibration(ratio, np.asarray(ratio * _ratio(np.sqrt((label * weight**2).sum(-1)), clicks)))


def expected_calibration_error(logit: Values, label: Values, weight: Values = 1.0, bins: int = 100) -> float:
    """Mean distance of predicted and observed rate over bins of equal weight. Equal scores share a bin, so that the
    order of rows does not matter; NaN without rows."""
    logit, label, weight = np.broadcast_arrays(_float64(logit), _float64(label), _float64(weight))
    if not weight.sum() > 0:
        return math.nan
    scores, position = np.unique(logit, return_inverse=True)
    mass = np.bincount(position, weight, len(scores))
    middle = np.cumsum(mass) - mass / 2
    bin_of = np.minimum(middle / mass.sum() * bins, bins - 1).astype(np.int64)[position]
    distance = np.bincount(bin_of, weight * (_sigmoid(logit) - label), bins)
    return float(np.abs(distance).sum() / weight.sum())


def _float64(values: Values) -> Float[np.ndarray, "..."]:
    return np.asarray(values, dtype=np.float64)


def _ratio(numerator: Values, denominator: Values) -> Float[np.ndarray, "..."]:
    """The quotient, NaN where the denominator is not above 0."""
    denominator = _float64(denominator)
    return np.where(denominator > 0, _float64(numerator) / np.where(denominator > 0, denominator, 1.0), np.nan)


def _surprise(clicks: Values, total: Values) -> Float[np.ndarray, "..."]:
    """clicks log(total / clicks), 0 for no clicks."""
    some = np.asarray(clicks > 0)
    return np.where(some, clicks * np.log(np.where(some, total, 1.0) / np.where(some, clicks, 1.0)), 0.0)


def _sigmoid(logit: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    return np.exp(-np.logaddexp(0, -logit))


def _changes(values: Shaped[np.ndarray, " rows"]) -> Shaped[np.ndarray, " rows"]:
    """True where a run of equal values starts."""
    return np.concatenate([np.ones(min(len(values), 1), dtype=bool), values[1:] != values[:-1]])


def _run_sums(values: Float[np.ndarray, " rows"], starts: Shaped[np.ndarray, " runs"]) -> Float[np.ndarray, " runs"]:
    return np.add.reduceat(values, starts) if len(starts) else np.zeros(0)
