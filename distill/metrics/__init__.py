"""How good scores are: pure functions in float64. The last axis is `rows`; axes before it stand for several rankers.

Every function takes log-odds (natural logarithm), labels and weights, in this order. Probabilities are never clipped:
cross entropies come from log-odds, so that a sure and right score costs exp(-|logit|) and a sure and wrong one |logit|.
A number that does not exist is NaN, and `why_undefined` says why. As `torchmetrics.Metric`s: `distill.metrics.modules`.
"""

from distill.metrics.agreement import divergence, rank_correlation
from distill.metrics.calibration import (
    Calibration,
    FieldCalibration,
    Platt,
    Reliability,
    calibration,
    debiased_calibration_error,
    expected_calibration_error,
    field_calibration,
    platt,
    reliability,
)
from distill.metrics.entropy import (
    Tally,
    base_entropy,
    calibration_free_entropy,
    cross_entropy,
    entropy,
    log_loss,
    normalized_entropy,
    pool,
    relative_cross_entropy,
    tally,
    tally_by,
    why_undefined,
)
from distill.metrics.numbers import Values
from distill.metrics.ranking import GroupedAUC, auc, average_precision, avg_auc, gauc
from distill.metrics.streaming import LogitHistogram, StreamedAUC, quantile_edges

__all__ = [
    "Calibration",
    "FieldCalibration",
    "GroupedAUC",
    "LogitHistogram",
    "Platt",
    "Reliability",
    "StreamedAUC",
    "Tally",
    "Values",
    "auc",
    "average_precision",
    "avg_auc",
    "base_entropy",
    "calibration",
    "calibration_free_entropy",
    "cross_entropy",
    "debiased_calibration_error",
    "divergence",
    "entropy",
    "expected_calibration_error",
    "field_calibration",
    "gauc",
    "log_loss",
    "normalized_entropy",
    "platt",
    "pool",
    "quantile_edges",
    "rank_correlation",
    "relative_cross_entropy",
    "reliability",
    "tally",
    "tally_by",
    "why_undefined",
]
