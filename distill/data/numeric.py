"""Numbers as a network wants them; what is fitted is fitted on training rows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill.data.settings import Numeric

Numbers = NDArray[np.float64]


def fit(values: Numbers, settings: Numeric) -> dict[str, Any]:
    """The constants of a numeric feature, from training rows alone.

    Args:
        values: their raw numbers, NaN where they are missing, [rows]; at least one is there.
        settings: the transforms, and what a missing number becomes.

    Returns:
        `steps`: the transforms in their order, `standardise` with its mean and scale (1 for a constant);
        `fill`: what a missing number becomes behind the transforms, the mean of the training rows there.
    """
    shown = _present(values, settings)
    shown = shown[~np.isnan(shown)]
    steps: list[list[Any]] = []
    for transform in settings.transform:
        if transform == "standardise":
            mean, spread = float(shown.mean()), float(shown.std())
            steps.append([transform, mean, spread if spread > 0 else 1.0])
        else:
            steps.append([transform])
        shown = _step(shown, steps[-1])
    return {"steps": steps, "fill": float(shown.mean())}


def apply(values: Numbers, constants: dict[str, Any], settings: Numeric) -> Numbers:
    """The numeric columns of a feature, [rows, 1], or [rows, 2] where a second one says what was missing."""
    missing = np.isnan(values)
    values = _present(values, settings)
    for step in constants["steps"]:
        values = _step(values, step)
    filled = np.where(np.isnan(values), constants["fill"], values)
    return np.stack([filled, missing] if settings.missing == "indicator" else [filled], axis=1)


def quantiles(values: Numbers, buckets: int) -> list[float]:
    """Boundaries of buckets of about as many `values` each; fewer where many values are equal."""
    inner = np.quantile(values, np.arange(1, buckets) / buckets, method="inverted_cdf")
    return np.unique(inner[inner > values.min()]).tolist()


def bucket(values: Numbers, boundaries: list[float]) -> NDArray[np.int32]:
    """The id of each number's bucket, from 1 up; missing numbers have the last."""
    ids = 1 + np.searchsorted(np.array(boundaries), values, side="right")
    return np.where(np.isnan(values), len(boundaries) + 2, ids).astype(np.int32)


def _present(values: Numbers, settings: Numeric) -> Numbers:
    return np.nan_to_num(values, nan=0.0) if settings.missing == "zero" else values


def _step(values: Numbers, step: list[Any]) -> Numbers:
    if step[0] == "log1p":
        return np.sign(values) * np.log1p(np.abs(values))
    _, mean, scale = step
    return (values - mean) / scale
