"""Job: students to be trained, the same for whoever trains them, and how this toolkit does it."""

from pathlib import Path
from typing import NamedTuple

import torch

from distill.bench.impressions import Shape, generated
from distill.data.impressions import TRAIN, Impressions, View
from distill.feed import Feed
from distill.fleet import Fleet, seeded
from distill.learner import Learner, Pace, train
from distill.objective import Distillation, Objective
from distill.optimizer import Rates
from distill.ranker import Ranker
from distill.recipe.sections import Model, Train
from distill.sampling import Shuffled

LEARNING_RATE = 1e-3


class Job(NamedTuple):
    """One student for each vertical, one pass over its rows.

    Attributes:
        student: class path.
        shape: of impressions and students.
        impressions: the rows.
        batch: rows of a step.
        epochs: passes over the rows.
    """

    student: str
    shape: Shape
    impressions: Impressions
    batch: int
    epochs: int = 1

    @property
    def view(self) -> View:
        """The features, with ids numbered within each vertical."""
        return self.impressions.view(None, "vertical")

    @property
    def model(self) -> Model:
        """The student, as a recipe would name it."""
        return Model(path=self.student, embedding=self.shape.embedding, hidden=self.shape.hidden)

    def alone(self) -> Ranker:
        """One student, of the first vertical."""
        return self.model.build(self.view.schema(self.impressions.verticals[0]))

    @property
    def members(self) -> int:
        """Number of students."""
        return len(self.impressions.verticals)

    @property
    def rows(self) -> int:
        """Rows of all students together, counted once a pass."""
        return self.epochs * len(self.impressions.select(TRAIN))


def job(student: str, shape: Shape, batch: int, members: int, rows: int, folder: Path) -> Job:
    """A job on impressions that are generated for it.

    Args:
        student: class path.
        shape: of impressions and students.
        batch: rows of a step.
        members: number of students.
        rows: training rows of each.
        folder: for the impressions; they are read from there while training.
    """
    return Job(student, shape, generated(shape, members, rows, folder), batch)


def train_together(job: Job, knowledge: object = None) -> Learner:
    """Our side: all students as one stack, rows gathered from memory-mapped records as the pipeline does.

    Args:
        job: whom to train.
        knowledge: what the students distil from, half of the blend; labels alone where there is none.

    Returns:
        The learner, with the trained fleet.
    """
    verticals, view, members = job.impressions.verticals, job.view, job.members
    seeds = range(members)
    rows = [job.impressions.select(TRAIN, vertical) for vertical in verticals]
    steps = Shuffled(rows, seeds, job.batch, [job.epochs] * members)
    settings = Train(learning_rate=LEARNING_RATE, batch=job.batch)
    rule = settings.rule(view.schema(verticals[0]), job.batch)
    pace = Pace(Rates.of([settings.rates] * members), steps.steps, tuple(seeds), "constant", rule)
    half = Distillation({"teacher": 1.0}, torch.full((members,), 0.5), torch.ones(members), "serving")
    fleet = lambda: Fleet(seeded(lambda place: job.model.build(view.schema(verticals[place])), seeds))  # noqa: E731
    learner = Learner(fleet, Objective(half if knowledge else None), pace)
    train(learner, Feed(view, steps, seeds, {"teacher": knowledge} if knowledge else {}), [])
    return learner
