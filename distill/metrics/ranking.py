"""How well scores are ordered: AUC over all rows and within groups, exact, with ties one half."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Shaped

from distill.metrics.numbers import Values, changes, float64, ratio, run_sums


class GroupedAUC(NamedTuple):
    """AUC within groups.

    Attributes:
        value: mean of the groups' AUC by their weight; NaN where every group is of one class.
        kept: share of the weight in groups that have both classes, and so count.
        mean: of the groups' AUC, each group once, whatever its weight.
    """

    value: float
    kept: float
    mean: float


def auc(logit: Values, label: Values, weight: Values = 1.0) -> float:
    """Chance that a click is scored above a non-click, ties one half; exact. NaN where the labels are of one class.

    >>> auc([0.1, 0.4, 0.4, 0.9], [0, 1, 0, 1])
    0.875
    """
    return gauc(logit, label, np.zeros(np.shape(logit), dtype=np.int8), weight).value


def gauc(logit: Values, label: Values, group: Shaped[np.ndarray, " rows"], weight: Values = 1.0) -> GroupedAUC:
    """AUC within groups (users, sessions), averaged by weight; groups of one class are left out.

    `value` is what FuxiCTR calls gAUC, `mean` what MIND and TorchRec report; they differ where users differ in size.

    Source: Deep Interest Network for Click-Through Rate Prediction, Zhou et al., 2018 (impression-weighted).
    """
    logit, label, weight = np.broadcast_arrays(float64(logit), float64(label), float64(weight))
    order = np.lexsort((logit, group))
    logit, group, weight, clicks = logit[order], group[order], weight[order], (label * weight)[order]
    new_group = changes(group)
    ties = np.flatnonzero(new_group | changes(logit))
    starts = np.searchsorted(ties, np.flatnonzero(new_group))
    positive, negative = run_sums(clicks, ties), run_sums(weight - clicks, ties)
    within = np.cumsum(new_group[ties]) - 1
    below = np.cumsum(negative) - negative
    ranked = positive * (below - below[starts][within] + negative / 2)
    positives, negatives = run_sums(positive, starts), run_sums(negative, starts)
    size = np.where((positives > 0) & (negatives > 0), positives + negatives, 0.0)
    each = np.nan_to_num(ratio(run_sums(ranked, starts), positives * negatives))
    return GroupedAUC(
        value=float(ratio((size * each).sum(), size.sum())),
        kept=float(ratio(size.sum(), weight.sum())),
        mean=float(ratio(each[size > 0].sum(), (size > 0).sum())),
    )


def avg_auc(logit: Values, label: Values, group: Shaped[np.ndarray, " rows"], weight: Values = 1.0) -> float:
    """Mean AUC of the groups that have both classes, each group once; NaN where there is none.

    >>> avg_auc([0.1, 0.4, 0.3, 0.2, 0.1], [0, 1, 0, 1, 1], np.array([1, 1, 2, 2, 2]))
    0.5
    """
    return gauc(logit, label, group, weight).mean


def average_precision(logit: Values, label: Values, weight: Values = 1.0) -> float:
    """Area under precision over recall, by steps: the mean precision at each click. NaN without clicks.

    Equal scores come in together. A ranker that knows nothing gets the base rate, so only values of the same rows
    compare. Interpolating between the steps would promise too much: The Relationship Between Precision-Recall and
    ROC Curves, Davis and Goadrich, 2006.

    >>> average_precision([0.9, 0.4, 0.2], [1, 0, 1]).__round__(4)
    0.8333
    """
    logit, label, weight = np.broadcast_arrays(float64(logit), float64(label), float64(weight))
    order = np.argsort(-logit, kind="stable")
    starts = np.flatnonzero(changes(logit[order]))
    clicks, shown = run_sums((label * weight)[order], starts), run_sums(weight[order], starts)
    precision = np.nan_to_num(ratio(np.cumsum(clicks), np.cumsum(shown)))
    return float(ratio((clicks * precision).sum(), clicks.sum()))
