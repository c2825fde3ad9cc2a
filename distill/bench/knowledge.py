"""knowledge: a stored teacher against one that scores every batch again."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from distill.bench.figure import Figure
from distill.bench.impressions import SMALL
from distill.bench.job import Job, job, train_together
from distill.bench.rounds import Scale, in_turn, ratios
from distill.bench.sizes import multiplications
from distill.data.impressions import TRAIN, View
from distill.feed import predictions
from distill.knowledge import Knowledge, KnowledgeStore, Manifest
from distill.ranker import Ranker, resolve
from distill.types import Prediction, Signal

MEMBERS, ROWS, BATCH, EPOCHS = 16, 8_192, 1024, 3
TEACHER = {"embedding": 16, "hidden": (704, 480, 64)}
"""About 60 times the student's multiplications, as `knowledge/teacher-size` says."""

TABLE = "teacher"
"""Fingerprint of the stored table."""


class Live:
    """A teacher that stands where the stored table stands, and scores whatever rows it is asked for."""

    def __init__(self, teacher: Ranker, view: View) -> None:
        self.teacher, self.view = teacher, view

    @torch.no_grad()
    def take(self, rows: Tensor, *, representation: bool = True) -> Signal:
        """As `Knowledge.take`; all members' rows go through the teacher at once."""
        logit = self.teacher(self.view.take(rows.flatten()).features).logit
        empty = logit.new_empty(*rows.shape, 0)
        return Signal(Prediction(logit.view(*rows.shape, -1), empty), rows >= 0)


def measure(scale: Scale) -> Iterator[Figure]:
    """CPU seconds of three passes, each row read by one student: the least favourable case for a store."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        shape = SMALL.at(scale)
        work = job("students.DeepFM", shape, scale.of(BATCH, 8), scale.of(MEMBERS, 2), scale.of(ROWS, 32), folder)
        yield from _compared(work._replace(epochs=EPOCHS), KnowledgeStore(folder / "knowledge"), scale)


def _compared(job: Job, store: KnowledgeStore, scale: Scale) -> Iterator[Figure]:
    view = job.impressions.view(None, "all")
    teacher = teacher_of(view)
    first, later, live = in_turn(
        scale,
        lambda: train_together(job, _stored(job, teacher, view, store)),
        lambda: train_together(job, store.find(TABLE)),
        lambda: train_together(job, Live(teacher, view)),
    )
    yield Figure("knowledge/first-run", ratios(live, first), target=2.2)
    yield Figure("knowledge/later-run", ratios(live, later), target=5)
    yield Figure("knowledge/teacher-size", [multiplications(teacher) / multiplications(job.alone())])


def teacher_of(view: View) -> Ranker:
    """A teacher with random weights, which cost as much as any."""
    ranker = resolve("students.DNN")
    return ranker(view.schema(None), ranker.Config.model_validate(TEACHER)).eval()


def _stored(job: Job, teacher: Ranker, view: View, store: KnowledgeStore) -> Knowledge:
    """Scores every row once, as the pipeline does: logits and representations, in chunks, to a new table."""
    shutil.rmtree(store.folder, ignore_errors=True)
    rows = job.impressions.select(TRAIN)
    writer = store.writer(_manifest(job, view))
    for chunk, prediction in predictions(teacher, view, rows):
        writer.add(chunk, prediction)
    writer.commit()
    return writer.finish({})


def _manifest(job: Job, view: View) -> Manifest:
    return Manifest(
        fingerprint=TABLE,
        teacher="students.DNN",
        data=job.impressions.fingerprint,
        view=view.fingerprint,
        row_id="position",
        rows=job.impressions.rows,
        tasks=job.impressions.tasks,
        width=TEACHER["hidden"][-1],
        kind="in_sample",
        cut_off=None,
    )
