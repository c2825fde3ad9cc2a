"""Numbers as a network wants them; what is fitted is fitted on training rows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill.data.settings import Numeric

Numbers = NDArray[np.float64]


def fit(values: Numbers, train: NDArray[np.bool_], settings: Numeric) -> dict[str, Any]:
    """The constants of a numeric feature, from its training rows alone.

    Args:
        values: the raw numbers, NaN where they are missing, [rows].
        train: which rows train, [rows]; at least one of them has a number.
        settings: the transforms, and what a missing number becomes.

    Returns:
        `steps`: the transforms in their order, `standardise` with its mean and scale (1 for a constant);
        `fill`: what a missing number becomes behind the transforms, the mean of the training rows there.
    """
    shown = _present(values[train], settings)
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


def _present(values: Numbers, settings: Numeric) -> Numbers:
    return np.nan_to_num(values, nan=0.0) if settings.missing == "zero" else values


def _step(values: Numbers, step: list[Any]) -> Numbers:
    if step[0] == "log1p":
        return np.sign(values) * np.log1p(np.abs(values))
    _, mean, scale = step
    return (values - mean) / scale
