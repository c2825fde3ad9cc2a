"""Lesson: what a teacher is trained with, and what its table of knowledge is called."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import torch

from distill.data.impressions import TEST, TRAIN, VALID, Impressions, View
from distill.fingerprint import derived_seed, fingerprint
from distill.knowledge import Knowledge, Manifest
from distill.objective import Distillation
from distill.recipe.sections import TrainedTeacher
from distill.recipe.trainer import Trainer


class Above(NamedTuple):
    """What a teacher learns from beside labels: the marks of one above it.

    Attributes:
        knowledge: its tables, by name of the source.
        distillation: how they are learnt from.
    """

    knowledge: Mapping[str, Knowledge]
    distillation: Distillation


class Lesson(NamedTuple):
    """What a teacher is trained with.

    Attributes:
        teacher: its section of the recipe.
        impressions: the rows.
        view: its features.
        seed: the recipe's seed.
        tell: called with the rows of each step.
        trainer: on what.
        own: whether each row of the data is its own; all are where None.
        group: number of that group of rows, where one table of knowledge has several.
        above: what else it learns from; labels alone where None.
    """

    teacher: TrainedTeacher
    impressions: Impressions
    view: View
    seed: int
    tell: Callable[[int], None]
    trainer: Trainer = Trainer()
    own: np.ndarray | None = None
    group: int = 0
    above: Above | None = None

    @property
    def train_rows(self) -> np.ndarray:
        """Rows that it labels for its students: all training rows."""
        return self._own(self.impressions.select(TRAIN))

    @property
    def learnt_rows(self) -> np.ndarray:
        """Those of them that it learns from."""
        rows = self._own(self.impressions.training_rows(None, "teacher", derived_seed(self.seed, "teacher")))
        return newest(rows, self.impressions.time, self.teacher.train.share)

    @property
    def later_rows(self) -> np.ndarray:
        """Rows it may only score."""
        return self._own(np.concatenate([self.impressions.select(VALID), self.impressions.select(TEST)]))

    def _own(self, rows: np.ndarray) -> np.ndarray:
        return rows if self.own is None else rows[self.own[rows]]


def newest(rows: np.ndarray, time: np.ndarray | None, share: float) -> np.ndarray:
    """A share of some rows, the latest; where there is no time, the last. In the order in which they came.

    >>> newest(np.array([3, 5, 8, 9]), np.array([0, 0, 0, 7, 0, 1, 0, 0, 6, 2]), 0.5)
    array([3, 8])
    """
    if share == 1:
        return rows
    order = np.arange(len(rows)) if time is None else np.argsort(time[rows], kind="stable")
    return rows[np.sort(order[len(rows) - max(1, round(share * len(rows))) :])]


def lesson_fingerprint(lesson: Lesson) -> str:
    """What decides what a teacher says; how many others of its kind there are does not."""
    teacher = lesson.teacher.model_dump(mode="json", by_alias=True, exclude={"seeds"})
    share = lesson.impressions.share("teacher")
    thinned = [share] if share != 1 else []
    apart = [lesson.trainer.copies] if lesson.trainer.copies else []
    return fingerprint(teacher, lesson.teacher.model.config, lesson.view.fingerprint, lesson.seed, *thinned, *apart)


def manifest_of(lesson: Lesson) -> Manifest:
    """What the table of this lesson is called, before anything is trained."""
    impressions, teacher = lesson.impressions, lesson.teacher
    model = teacher.model.build(lesson.view.schema(None))
    width = model(lesson.view.take(torch.arange(1)).features).representation.shape[-1]
    latest = impressions.time[lesson.train_rows].max() if impressions.time is not None else None
    return Manifest(
        fingerprint=lesson_fingerprint(lesson),
        teacher=teacher.model.path,
        data=impressions.fingerprint,
        view=lesson.view.fingerprint,
        row_id=impressions.row_id or "position",
        rows=impressions.rows,
        tasks=impressions.tasks,
        width=width,
        kind=teacher.score.kind,
        cut_off=None if latest is None else float(latest),
        unseen=model.unseen_at_scoring,
        negatives=impressions.share("teacher"),
    )
