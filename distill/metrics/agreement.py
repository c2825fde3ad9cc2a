"""How far a student says what its teacher says, whatever happened."""

import numpy as np
from jaxtyping import Float

from distill.metrics.entropy import cross_entropy, log_loss
from distill.metrics.numbers import Values, changes, float64, ratio, run_sums, sigmoid


def divergence(teacher: Values, student: Values, weight: Values = 1.0) -> Float[np.ndarray, "*members"]:
    """Mean Kullback-Leibler divergence of the student's click probability from the teacher's, in nats; 0 is agreement.

    >>> float(divergence([0.0, 2.0], [0.0, 2.0]))
    0.0
    """
    chance = sigmoid(float64(teacher))
    own = cross_entropy(teacher, chance, weight)
    total = np.broadcast_to(float64(weight), own.shape).sum(-1)
    return np.maximum(log_loss(student, chance, weight) - ratio(own.sum(-1), total), 0.0)


def rank_correlation(teacher: Values, student: Values) -> float:
    """Spearman's correlation of two scores of the same rows, ties at their mean rank; NaN where one is constant.

    >>> rank_correlation([1.0, 2.0, 3.0], [-5.0, 0.0, 90.0])
    1.0
    """
    first, second = (_centred(_ranks(float64(scores))) for scores in (teacher, student))
    return float(ratio((first * second).sum(), np.sqrt((first**2).sum() * (second**2).sum())))


def _centred(ranks: Float[np.ndarray, " rows"]) -> Float[np.ndarray, " rows"]:
    return ranks - ranks.mean() if len(ranks) else ranks


def _ranks(scores: Float[np.ndarray, " rows"]) -> Float[np.ndarray, " rows"]:
    """Twice the mean rank of each score, from 0: whole numbers, so that sums of them are exact."""
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(changes(scores[order]))
    sizes = run_sums(np.ones(len(scores)), starts)
    ranks = np.empty(len(scores))
    ranks[order] = np.repeat(2 * np.cumsum(sizes) - sizes, sizes.astype(np.int64))
    return ranks
