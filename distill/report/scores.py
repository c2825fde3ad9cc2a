"""Scores: every metric of one student on its exam, and why it lacks those that it lacks."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from distill import metrics
from distill.report.exam import Exam

BINS = 20
"""Of the calibration errors: at some hundred rows a bin, a hundred bins would hold chance alone."""

ALONE = (
    "ne",
    "auc",
    "logloss",
    "calibration",
    "calibration_se",
    "rce",
    "ne_free",
    "pr_auc",
    "gauc",
    "gauc_kept",
    "avg_auc",
    "ece",
    "ece_debiased",
)
"""Metrics of a student by itself."""

BESIDE = ("kl_teacher", "rank_teacher")
"""Metrics of a student beside its teacher."""


def scores(logit: Float[np.ndarray, " rows"] | None, exam: Exam) -> dict[str, float | None]:
    """Every metric of one student; None where it does not exist."""
    if logit is None or not len(exam.label):
        return dict.fromkeys((*ALONE, *BESIDE))
    rows = logit, exam.label, exam.weight
    calibration = metrics.calibration(*rows)
    grouped = metrics.gauc(logit, exam.label, exam.cluster, exam.weight)
    entropy = metrics.normalized_entropy(*rows)
    found = {
        "ne": entropy,
        "auc": metrics.auc(*rows),
        "logloss": metrics.log_loss(*rows),
        "calibration": calibration.ratio,
        "calibration_se": calibration.standard_error,
        "rce": 100 * (1 - entropy),
        "ne_free": metrics.calibration_free_entropy(*rows),
        "pr_auc": metrics.average_precision(*rows),
        "gauc": grouped.value,
        "gauc_kept": grouped.kept,
        "avg_auc": grouped.mean,
        "ece": metrics.expected_calibration_error(*rows, bins=BINS),
        "ece_debiased": metrics.debiased_calibration_error(*rows, bins=BINS),
        **_agreement(logit, exam),
    }
    return {name: number(value) for name, value in found.items()}


def entropy(logit: Float[np.ndarray, " rows"] | None, exam: Exam) -> float | None:
    """NE of whoever gave these log-odds."""
    return None if logit is None else number(metrics.normalized_entropy(logit, exam.label, exam.weight))


def undefined(row: Mapping[str, Any], exam: Exam, why: Mapping[str, str]) -> dict[str, str]:
    """The metrics that a student with scores has not, each with its reason.

    Args:
        row: of the leaderboard.
        exam: what it was made from.
        why: reasons that are known already.
    """
    teacher = exam.uncovered or "all scores of one of the two are equal"
    reasons = dict.fromkeys(("ne_teacher", *BESIDE), teacher)
    reasons |= dict.fromkeys(("gauc", "avg_auc"), "no user has both a click and a non-click among the test rows")
    reasons |= {name: text for name, text in why.items() if text}
    plain = exam.lacks or "the scores are not all finite"
    names = (*ALONE, *BESIDE, "ne_teacher", *why)
    return {name: reasons.get(name, plain) for name in dict.fromkeys(names) if row[name] is None}


def number(value: float | np.ndarray) -> float | None:
    """A number that JSON can hold; None for one that does not exist."""
    return float(value) if math.isfinite(value) else None


def _agreement(logit: Float[np.ndarray, " rows"], exam: Exam) -> dict[str, float]:
    if exam.teacher is None:
        return dict.fromkeys(BESIDE, math.nan)
    return {
        "kl_teacher": float(metrics.divergence(exam.teacher, logit, exam.weight)),
        "rank_teacher": metrics.rank_correlation(exam.teacher, logit),
    }
