"""Arithmetic that the metrics share: everything in float64, and NaN for what does not exist."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Shaped

Values = np.ndarray | Sequence[float] | float
"""Numbers, or labels, one a row; one number stands for every row."""


def float64(values: Values) -> Float[np.ndarray, "..."]:
    """The numbers in double precision."""
    return np.asarray(values, dtype=np.float64)


def ratio(numerator: Values, denominator: Values) -> Float[np.ndarray, "..."]:
    """The quotient, NaN where the denominator is not above 0."""
    denominator = float64(denominator)
    return np.where(denominator > 0, float64(numerator) / np.where(denominator > 0, denominator, 1.0), np.nan)


def sigmoid(logit: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Probabilities of log-odds; small ones are as exact as large ones."""
    small = np.exp(-np.abs(logit))
    return np.where(logit >= 0, 1.0, small) / (1.0 + small)


def changes(values: Shaped[np.ndarray, " rows"]) -> Shaped[np.ndarray, " rows"]:
    """True where a run of equal values starts."""
    return np.concatenate([np.ones(min(len(values), 1), dtype=bool), values[1:] != values[:-1]])


def run_sums(values: Float[np.ndarray, " rows"], starts: Shaped[np.ndarray, " runs"]) -> Float[np.ndarray, " runs"]:
    """The sum of each run, by where it starts."""
    return np.add.reduceat(values, starts) if len(starts) else np.zeros(0)
