"""The exam: what contenders said of rows that none has learnt from, in figures and side by side."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int

from distill.data.impressions import Impressions
from distill.evidence import Sums, paired, pool
from distill.judging import clusters_of
from distill.knowledge import Knowledge
from distill.metrics import Tally, auc, tally
from distill.metrics import pool as pooled

LEAST_ROWS, LEAST_EACH = 50, 10
"""Rows, and among them clicks and non-clicks, of a vertical that counts in a mean over verticals."""

ARMS = ("control", "student")

Marks = Float[np.ndarray, "contenders rows"]


class Exam(NamedTuple):
    """The rows of one split and task that have a label, in the order of their verticals.

    Attributes:
        rows: their numbers.
        label: 0 or 1.
        weight: what they are worth.
        cluster: whose they are.
        parts: place of each vertical's rows.
    """

    rows: Int[np.ndarray, " rows"]
    label: Float[np.ndarray, " rows"]
    weight: Float[np.ndarray, " rows"]
    cluster: Int[np.ndarray, " rows"]
    parts: tuple[slice, ...]

    def counts(self, part: slice) -> bool:
        """Whether a vertical is large enough to count in a mean over verticals."""
        clicks = int(self.label[part].sum())
        size = part.stop - part.start
        return size >= LEAST_ROWS and LEAST_EACH <= clicks <= size - LEAST_EACH

    def marks(self, knowledge: Knowledge, task: int) -> Float[np.ndarray, " rows"]:
        """What a contender said of them."""
        said, _ = knowledge.take(torch.from_numpy(self.rows), representation=False)
        return said.logit[:, task].numpy().astype(np.float64)


class Figures(NamedTuple):
    """How good one contender's marks are.

    Attributes:
        ne: normalized entropy, cross entropies of all verticals over the sum of what their own base rates cost.
        auc: over all rows.
        ne_mean: mean NE of the verticals that count, each once.
        auc_mean: their mean AUC.
    """

    ne: float
    auc: float
    ne_mean: float
    auc_mean: float


def exam_of(impressions: Impressions, split: int, task: int) -> Exam:
    """The rows of a split that have a label of a task."""
    rows = impressions.select(split)
    rows = rows[impressions.valid[rows, task]]
    rows = rows[np.argsort(impressions.vertical[rows], kind="stable")]
    ends = np.searchsorted(impressions.vertical[rows], np.arange(len(impressions.verticals) + 1))
    return Exam(
        rows=rows,
        label=np.asarray(impressions.label[rows, task], dtype=np.float64),
        weight=np.asarray(impressions.worth(rows), dtype=np.float64),
        cluster=clusters_of(impressions)[rows],
        parts=tuple(slice(int(start), int(end)) for start, end in pairwise(ends) if end > start),
    )


def figures(exam: Exam, marks: Float[np.ndarray, " rows"]) -> Figures:
    """How good a contender's marks are; NaN where the rows allow no number."""
    each = [tally(marks[part], exam.label[part], exam.weight[part]) for part in exam.parts]
    whole: Tally = pooled(each)
    counted = [place for place, part in enumerate(exam.parts) if exam.counts(part)]
    ranked = [auc(marks[part], exam.label[part], exam.weight[part]) for part in map(exam.parts.__getitem__, counted)]
    return Figures(
        ne=whole.normalized_entropy,
        auc=auc(marks, exam.label, exam.weight),
        ne_mean=float(np.mean([each[place].normalized_entropy for place in counted])) if counted else math.nan,
        auc_mean=float(np.mean(ranked)) if counted else math.nan,
    )


class Sides(NamedTuple):
    """Two contenders on the same rows, in the resamples of their users.

    Attributes:
        whole: all verticals pooled.
        mean: the mean over the verticals that count, as sums whose base entropy is 1.
    """

    whole: Sums
    mean: Sums | None


def sides(exam: Exam, first: Float[np.ndarray, " rows"], others: Marks, resamples: int, seed: int) -> list[Sides]:
    """The first contender against each of the others, by the paired bootstrap of `distill.evidence`.

    Args:
        exam: the rows.
        first: what the first said: the `control` of the sums.
        others: what the others said, each the `student` of its own.
        resamples: how many.
        seed: of the resamples.
    """
    found = [_paired(exam, part, first, others, resamples, seed) for part in exam.parts]
    counted = [place for place, part in enumerate(exam.parts) if exam.counts(part)]
    return [
        Sides(pool(each[number] for each in found), _mean([found[place][number] for place in counted]))
        for number in range(len(others))
    ]


def _paired(
    exam: Exam, part: slice, first: Float[np.ndarray, " rows"], others: Marks, resamples: int, seed: int
) -> list[Sums]:
    same = np.broadcast_to(first[part], others[:, part].shape)
    label, weight = exam.label[part], exam.weight[part]
    return paired(exam.cluster[part], label, weight, same, others[:, part], resamples=resamples, seed=seed)


def _mean(each: Sequence[Sums]) -> Sums | None:
    """Verticals as one, each counting once: the mean of their NE, in every resample."""
    if not each:
        return None
    control, student = (np.mean([getattr(one, arm) / one.base_entropy for one in each], axis=0) for arm in ARMS)
    clicked, unclicked = min(one.clicked for one in each), min(one.unclicked for one in each)
    base = np.where(np.isfinite(control + student), 1.0, np.nan)
    return Sums(base, control, student, np.full(len(base), np.nan), clicked, unclicked)
