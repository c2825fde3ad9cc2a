"""Whether scores promise what happens: ratios and distances of predicted and observed clicks."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from distill.metrics.numbers import Values, float64, ratio, sigmoid

HAIR, STEPS, ENOUGH = 1e-3, 50, 1e-9
"""Of Newton's steps in `platt`: how strongly they are drawn back, how many they are, and the one that is the last."""


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
    label, weight = np.broadcast_arrays(float64(label), float64(weight))
    clicks = (label * weight).sum(-1)
    found = ratio((sigmoid(float64(logit)) * weight).sum(-1), clicks)
    return Calibration(found, np.asarray(found * ratio(np.sqrt((label * weight**2).sum(-1)), clicks)))


def expected_calibration_error(logit: Values, label: Values, weight: Values = 1.0, bins: int = 100) -> float:
    """Mean distance of predicted and observed rate over bins of equal weight; NaN without rows.

    Never below 0, so that a perfect ranker gets what chance alone makes, about sqrt(bins / rows). Where rows are few,
    `debiased_calibration_error` is the number to read.
    """
    found = reliability(logit, label, weight, bins)
    return float(ratio((found.weight * np.abs(found.predicted - found.observed)).sum(), found.weight.sum()))


def debiased_calibration_error(logit: Values, label: Values, weight: Values = 1.0, bins: int = 100) -> float:
    """Root mean square distance of predicted and observed rate over bins of equal weight, less what chance makes of it.

    Its square is free of bias before it is cut off at 0. NaN without a bin of two rows.
    Source: Verified Uncertainty Calibration, Kumar, Liang and Ma, 2019.
    """
    found = reliability(logit, label, weight, bins)
    there = found.rows > 1
    noise = ratio(found.observed * (1 - found.observed), found.rows - 1)
    square = (found.predicted - found.observed) ** 2 - noise
    mean = float(ratio((found.weight * np.nan_to_num(square))[there].sum(), found.weight[there].sum()))
    return math.sqrt(max(mean, 0.0)) if math.isfinite(mean) else math.nan


class Platt(NamedTuple):
    """Log-odds z become slope z + shift."""

    slope: float
    shift: float


def platt(logit: Values, label: Values, weight: Values = 1.0) -> Platt:
    """The slope and shift under which the labels are likeliest, by Newton's steps; the identity where nothing tells.

    Drawn to the identity by a hair (`HAIR` of a row), so that there is an answer where scores part the labels.
    Source: Probabilistic Outputs for Support Vector Machines, Platt, 1999.

    >>> line = platt([0.0, 0.0, 0.0, 0.0], [1, 1, 1, 0])
    >>> round(line.slope, 3), round(line.shift, 2)  # log(3)
    (1.0, 1.1)
    """
    inputs = np.stack([float64(logit), np.ones(np.shape(logit))], -1)
    label, weight = np.broadcast_to(float64(label), len(inputs)), np.broadcast_to(float64(weight), len(inputs))
    start = found = np.array([1.0, 0.0])

    def cost(line: np.ndarray) -> float:
        said = inputs @ line
        return (weight * (np.logaddexp(0, said) - label * said)).sum() + HAIR / 2 * ((line - start) ** 2).sum()

    for _ in range(STEPS):
        chance = sigmoid(inputs @ found)
        slope = inputs.T @ (weight * (chance - label)) + HAIR * (found - start)
        curve = (inputs.T * (weight * chance * (1 - chance))) @ inputs + HAIR * np.eye(2)
        step = np.linalg.solve(curve, slope)
        while cost(found - step) > cost(found) and np.abs(step).max() > ENOUGH:
            step /= 2
        found = found - step
        if np.abs(step).max() <= ENOUGH:
            break
    return Platt(float(found[0]), float(found[1]))


class Reliability(NamedTuple):
    """Bins of a reliability diagram, from the lowest scores to the highest; empty ones are left out.

    Attributes:
        predicted: mean probability.
        observed: click rate.
        weight: of the rows in it.
        rows: how many rows that is, by effective size where weights differ.
    """

    predicted: Float[np.ndarray, " bins"]
    observed: Float[np.ndarray, " bins"]
    weight: Float[np.ndarray, " bins"]
    rows: Float[np.ndarray, " bins"]


def reliability(logit: Values, label: Values, weight: Values = 1.0, bins: int = 100) -> Reliability:
    """Predicted and observed rates over bins of equal weight. Equal scores share a bin, so that the order of rows does
    not matter."""
    logit, label, weight = np.broadcast_arrays(float64(logit), float64(label), float64(weight))
    if not weight.sum() > 0:
        return Reliability(*np.zeros((4, 0)))
    scores, position = np.unique(logit, return_inverse=True)
    mass = np.bincount(position, weight, len(scores))
    middle = np.cumsum(mass) - mass / 2
    place = np.minimum(middle / mass.sum() * bins, bins - 1).astype(np.int64)[position]
    sums = [np.bincount(place, column, bins) for column in (weight * sigmoid(logit), weight * label, weight, weight**2)]
    predicted, observed, total, squares = (column[sums[2] > 0] for column in sums)
    return Reliability(predicted / total, observed / total, total, total**2 / squares)


class FieldCalibration(NamedTuple):
    """Calibration within the values of a field (verticals, advertisers), where errors of opposite sign do not cancel.

    Attributes:
        error: Field-ECE, the sum of the fields' distances over the weight of all rows.
        relative: Field-RCE, distances over the clicks of each field, averaged by weight, over fields with clicks.
        kept: share of the weight in fields with clicks.
    """

    error: float
    relative: float
    kept: float


def field_calibration(
    logit: Values, label: Values, field: Shaped[np.ndarray, " rows"], weight: Values = 1.0
) -> FieldCalibration:
    """How far predicted and observed clicks are apart in each value of a field; NaN without rows.

    Source: Field-aware Calibration: A Simple and Empirically Strong Method for Reliable Probabilistic Predictions,
    Pan et al., 2020; a field without clicks has no relative error, where they divide by a small number.
    """
    logit, label, weight = np.broadcast_arrays(float64(logit), float64(label), float64(weight))
    _, position = np.unique(field, return_inverse=True)
    columns = (weight * (label - sigmoid(logit)), weight * label, weight)
    distance, clicks, total = (np.bincount(position, column) for column in columns)
    clicked = clicks > 0
    relative = (total * np.nan_to_num(ratio(np.abs(distance), clicks)))[clicked].sum()
    return FieldCalibration(
        error=float(ratio(np.abs(distance).sum(), total.sum())),
        relative=float(ratio(relative, total[clicked].sum())),
        kept=float(ratio(total[clicked].sum(), total.sum())),
    )
