"""The exam of one vertical and task: its test rows, and what everybody said of them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from distill import metrics
from distill.evidence import Sums, paired
from distill.report.results import Entry, Outcomes, Results


class Exam(NamedTuple):
    """The test rows of one vertical that have a label for one task, and what everybody said of them.

    Attributes:
        label: 0 or 1.
        weight: above 0.
        cluster: code of the user.
        lacks: what the rows lack to have an NE; empty where nothing.
        teacher: the teacher's log-odds; None unless it scored every row.
        uncovered: why it is None.
        entries: the students of the vertical by name.
        logit: their log-odds, where all are finite.
        slices: name of a slicing -> the slice of each row.
    """

    label: Float[np.ndarray, " rows"]
    weight: Float[np.ndarray, " rows"]
    cluster: Int[np.ndarray, " rows"]
    lacks: str
    teacher: Float[np.ndarray, " rows"] | None
    uncovered: str
    entries: dict[str, Entry]
    logit: dict[str, Float[np.ndarray, " rows"]]
    slices: Mapping[str, Int[np.ndarray, " rows"]]

    @property
    def twins(self) -> dict[str, str]:
        """Student -> control, where both have scores."""
        return {
            member: entry.control
            for member, entry in self.entries.items()
            if entry.control is not None and member in self.logit and entry.control in self.logit
        }


def exam(outcomes: Outcomes, column: int, entries: Sequence[Entry]) -> Exam:
    """The exam of the students of one vertical in the task of one column."""
    rows = np.flatnonzero(outcomes.valid[:, column] & (outcomes.weight > 0))
    label, weight = outcomes.label[rows, column].astype(np.float64), outcomes.weight[rows].astype(np.float64)
    why = metrics.why_undefined(label, weight)
    teacher, uncovered = _teacher(outcomes, rows, column)
    logit = {one.member: one.logit[rows, column].astype(np.float64) for one in entries if one.logit is not None}
    return Exam(
        label=label,
        weight=weight,
        cluster=outcomes.cluster[rows],
        lacks="no test rows" if not len(rows) else f"{why} (test rows: {len(rows)})" if why else "",
        teacher=teacher,
        uncovered=uncovered,
        entries={one.member: one for one in entries},
        logit={member: one for member, one in logit.items() if np.isfinite(one).all()},
        slices={name: codes[rows] for name, codes in outcomes.slices.items()},
    )


def exams(results: Results) -> Iterator[tuple[str, Exam]]:
    """The exam of every vertical in every task, beside the name of the task."""
    for vertical, outcomes in results.outcomes.items():
        entries = [entry for entry in results.entries if entry.vertical == vertical]
        for column, task in enumerate(results.tasks):
            yield task, exam(outcomes, column, entries)


def sums(found: Exam, resamples: int, seed: int) -> dict[str, Sums]:
    """What every student and its control sum up to, where both have scores."""
    if not found.twins or not len(found.label):
        return {}
    control, student = (
        np.stack([found.logit[name] for name in names]) for names in (found.twins.values(), found.twins)
    )
    rows = found.cluster, found.label, found.weight
    pairs = paired(*rows, control, student, found.teacher, resamples=resamples, seed=seed)
    return dict(zip(found.twins, pairs, strict=True))


def _teacher(
    outcomes: Outcomes, rows: Int[np.ndarray, " kept"], column: int
) -> tuple[Float[np.ndarray, " kept"] | None, str]:
    """The teacher's log-odds, if it scored every row; else why it has no NE on them."""
    if outcomes.teacher is None:
        return None, "the teacher scored none of the test rows"
    logit = outcomes.teacher[rows, column].astype(np.float64)
    scored = outcomes.covered[rows] & np.isfinite(logit)
    return (logit, "") if scored.all() else (None, f"the teacher scored {scored.sum()} of {len(rows)} test rows")
