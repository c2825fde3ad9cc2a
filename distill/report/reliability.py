"""Reliability: predicted beside observed click rates, over all students of an arm together."""

from collections.abc import Sequence

import numpy as np

from distill.metrics import reliability
from distill.report.exam import Exam

BINS = 16
"""Of equal weight."""


def together(exams: Sequence[Exam]) -> dict[str, list[list[float]]]:
    """Who -> predicted rate, observed rate and share of the weight of each bin; empty for who has no scores."""
    logit: dict[str, list[np.ndarray]] = {"distilled": [], "control": [], "teacher": []}
    rows: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {arm: [] for arm in logit}
    for exam in exams:
        said = [(exam.entries[member].arm, scores) for member, scores in exam.logit.items()]
        said += [("teacher", exam.teacher)] if exam.teacher is not None else []
        for arm, scores in said:
            logit[arm].append(scores)
            rows[arm].append((exam.label, exam.weight))
    return {arm: _bins(logit[arm], rows[arm]) for arm in logit}


def _bins(logit: Sequence[np.ndarray], rows: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[list[float]]:
    if not logit:
        return []
    label, weight = (np.concatenate(column) for column in zip(*rows, strict=True))
    found = reliability(np.concatenate(logit), label, weight, BINS)
    shares = found.weight / found.weight.sum() if len(found.weight) else found.weight
    return np.stack([found.predicted, found.observed, shares], axis=1).tolist()
