"""Slices: how students do on new users, new items, at each hour, and wherever else the recipe looks."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from distill import metrics
from distill.evidence import ne_gain, paired, verdict
from distill.recipe.outcome import Evidence
from distill.report.exam import Exam
from distill.report.scores import number


class _Together(NamedTuple):
    """The rows of all verticals, as often as they have students; all seeds of a row are one cluster."""

    cluster: Int[np.ndarray, " rows"]
    label: Float[np.ndarray, " rows"]
    weight: Float[np.ndarray, " rows"]
    control: Float[np.ndarray, " rows"]
    student: Float[np.ndarray, " rows"]


def slices(
    exams: Sequence[tuple[str, Exam]], names: Mapping[str, Sequence[str]], settings: Evidence, seed: int
) -> list[dict[str, Any]]:
    """A row for each slice and task, over all verticals; NE is relative to the base rate of the slice.

    Args:
        exams: task and exam of each vertical.
        names: slicing -> the names of its slices.
        settings: how sure a verdict must be.
        seed: of the bootstrap.
    """
    found = []
    for task in dict.fromkeys(task for task, _ in exams):
        ours = [exam for other, exam in exams if other == task and exam.twins and len(exam.label)]
        if not names or not ours:
            continue
        together = _together(ours)
        for slicing, values in names.items():
            codes = _repeated([exam.slices[slicing] for exam in ours], ours)
            chosen = {value: codes == place for place, value in enumerate(values)}
            found += [
                {"slice": slicing, "value": value, "task": task, **_slice(together, rows, settings, seed)}
                for value, rows in chosen.items()
                if rows.any()
            ]
    return found


def _together(exams: Sequence[Exam]) -> _Together:
    columns = ([getattr(exam, name) for exam in exams] for name in ("cluster", "label", "weight"))
    control = [exam.logit[control] for exam in exams for control in exam.twins.values()]
    student = [exam.logit[student] for exam in exams for student in exam.twins]
    return _Together(*(_repeated(one, exams) for one in columns), np.concatenate(control), np.concatenate(student))


def _repeated(columns: Sequence[np.ndarray], exams: Sequence[Exam]) -> np.ndarray:
    """The rows of each exam, once for each of its students."""
    return np.concatenate([np.tile(column, len(exam.twins)) for column, exam in zip(columns, exams, strict=True)])


def _slice(together: _Together, rows: Bool[np.ndarray, " all"], settings: Evidence, seed: int) -> dict[str, Any]:
    cluster, label, weight, control, student = (column[rows] for column in together)
    sums = paired(cluster, label, weight, control[None], student[None], resamples=settings.resamples, seed=seed)[0]
    gain = ne_gain(sums, settings.level)
    word, reason = verdict(gain, sums, negligible=settings.negligible, min_positives=settings.min_positives)
    calibration = metrics.calibration(student, label, weight)
    return {
        "rows": int(rows.sum()),
        "positives": float(label.sum()),
        "ne": number(metrics.normalized_entropy(student, label, weight)),
        "ne_control": number(metrics.normalized_entropy(control, label, weight)),
        "auc": number(metrics.auc(student, label, weight)),
        "calibration": number(calibration.ratio),
        "calibration_se": number(calibration.standard_error),
        "ne_gain": number(gain.value),
        "ne_gain_low": number(gain.low),
        "ne_gain_high": number(gain.high),
        "verdict": word,
        "reason": reason,
    }
