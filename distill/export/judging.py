"""Judging: the normalized entropy of what an export says, where that is not what was evaluated."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from distill.data.impressions import Impressions
from distill.metrics import base_entropy, cross_entropy


def entropy_of(impressions: Impressions, rows: NDArray[np.int64], logit: Tensor) -> float | None:
    """NE of all tasks together; None where the labels are of one class.

    Args:
        impressions: the rows of the data.
        rows: which of them were scored.
        logit: log-odds of each, [rows, tasks].
    """
    weight = impressions.valid[rows] * impressions.worth(rows)[:, None]
    label = impressions.label[rows]
    base = sum(base_entropy(label[:, task], weight[:, task]) for task in range(label.shape[1]))
    return float(cross_entropy(logit.numpy(), label, weight).sum() / base) if base > 0 else None
