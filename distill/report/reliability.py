"""Reliability: predicted beside observed clicks, over all students of an arm together and vertical by vertical."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from distill.metrics import field_calibration, reliability
from distill.report.exam import Exam
from distill.report.scores import number

BINS = 16
"""Of equal weight."""

ARMS = ("distilled", "control", "teacher")


class _Said(NamedTuple):
    """What one arm said of all test rows; the rows of a vertical come once for each of its students."""

    logit: Float[np.ndarray, " rows"]
    label: Float[np.ndarray, " rows"]
    weight: Float[np.ndarray, " rows"]
    field: Int[np.ndarray, " rows"]


def together(exams: Sequence[Exam]) -> dict[str, list[list[float]]]:
    """Who -> predicted rate, observed rate and share of the weight of each bin; empty for who has no scores."""
    return {arm: _bins(_said(exams, arm)) for arm in ARMS}


def by_vertical(exams: Sequence[Exam]) -> dict[str, dict[str, float | None]]:
    """Who -> calibration within verticals, where errors of opposite sign do not cancel (`metrics.FieldCalibration`)."""
    found = {arm: _said(exams, arm) for arm in ARMS}
    calibrations = {arm: field_calibration(one.logit, one.label, one.field, one.weight) for arm, one in found.items()}
    return {arm: {name: number(value) for name, value in one._asdict().items()} for arm, one in calibrations.items()}


def _said(exams: Sequence[Exam], arm: str) -> _Said:
    parts = [
        _Said(scores, exam.label, exam.weight, np.full(len(scores), place))
        for place, exam in enumerate(exams)
        for scores in _scores(exam, arm)
    ]
    empty = _Said(*(np.zeros(0) for _ in range(3)), np.zeros(0, dtype=np.int64))
    return _Said(*map(np.concatenate, zip(empty, *parts, strict=True)))


def _scores(exam: Exam, arm: str) -> list[Any]:
    if arm == "teacher":
        return [] if exam.teacher is None else [exam.teacher]
    return [scores for member, scores in exam.logit.items() if exam.entries[member].arm == arm]


def _bins(said: _Said) -> list[list[float]]:
    if not len(said.logit):
        return []
    found = reliability(said.logit, said.label, said.weight, BINS)
    return np.stack([found.predicted, found.observed, found.weight / found.weight.sum()], axis=1).tolist()
