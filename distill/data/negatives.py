"""Down-sampling of rows without a click, and the shift of log-odds that makes up for it.

Of the rows without a positive label a share r is trained on, of the others all. A model of what is left says
z' = z - log r where z is the truth, so z = z' + log r (O. Chapelle, E. Manavoglu, R. Rosales, Simple and Scalable
Response Prediction for Display Advertising, 2014, section on subsampling; X. He et al., Practical Lessons from
Predicting Clicks on Ads at Facebook, 2014, section 6.3). Knowledge of a teacher with share t is heard by a student with
share s as z_t + log t - log s. Metrics are taken on all rows, of corrected log-odds.
"""

import math

import numpy as np
from numpy.typing import NDArray

from distill.data.hashing import mixed
from distill.data.settings import Negatives
from distill.fingerprint import derived_seed


def kept(rows: NDArray[np.int64], positive: NDArray[np.bool_], share: float, seed: int) -> NDArray[np.int64]:
    """The rows to train on: all positives, and about this share of the others.

    Whether a row is kept depends on its number and the seed alone: never on the rows beside it, so that a smaller share
    keeps a subset of a larger one, and rows that are appended move no other.

    Args:
        rows: row numbers, [rows].
        positive: whether any of a row's labels is 1, [rows].
        share: of the negatives, in (0, 1].
        seed: of the draw.

    Example:
        >>> len(kept(np.arange(10_000), np.zeros(10_000, dtype=bool), 0.1, seed=0))
        947
    """
    if share == 1:
        return rows
    salt = np.uint64(derived_seed(seed, "negatives"))
    luck = mixed(mixed(rows.astype(np.uint64)) ^ salt) / 2.0**64
    return rows[positive | (luck < share)]


def correction(share: float) -> float:
    """What is added to the log-odds of a model that was trained on this share of the negatives.

    >>> round(1 / (1 + math.exp(-(0.0 + correction(0.1)))), 4)  # one in two of what was kept is one in eleven of all
    0.0909
    """
    return math.log(share)


def heard(teacher: float, student: float) -> float:
    """What is added to a teacher's log-odds before a student with another share of the negatives learns from them."""
    return correction(teacher) - correction(student)


def shares(settings: Negatives) -> dict[str, float]:
    """Role -> share of all negatives of the log that it trains on, the thinning of the files included."""
    return {"teacher": settings.source * settings.teacher, "students": settings.source * settings.students}
