"""Probing: how fast students train on this machine, from earlier cohorts or from a few steps."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from time import monotonic

from distill.callbacks import Advance
from distill.cohort import Measured, learner_of, rows_of
from distill.course import Course
from distill.feed import Feed
from distill.files import read_json
from distill.fingerprint import fingerprint
from distill.learner import train
from distill.member import Member
from distill.objective import Objective
from distill.recipe.sections import Distill
from distill.sampling import FILL, Shuffled

PROBED = 12
"""Steps of a probe: enough to tell a minute from an hour."""


def paces(folder: Path) -> list[Measured]:
    """How fast the cohorts below a folder were trained, as far as they say so."""
    return [Measured(**read_json(path)) for path in sorted(folder.glob("*/trained/pace.json"))]


def pace_of(shape: str, measured: Sequence[Measured]) -> float | None:
    """Rows a second of all that was measured of one shape; None where nothing was."""
    alike = [one for one in measured if one.shape == shape]
    seconds = sum(one.seconds for one in alike)
    return sum(one.rows for one in alike) / seconds if seconds > 0 else None


def probe(members: Sequence[Member], course: Course, count: int = PROBED) -> Measured:
    """How fast members train: some of their first steps, without a teacher, which are then forgotten.

    Args:
        members: those of a cohort.
        course: what they are trained with; its knowledge may be None.
        count: steps; the first of them is not timed.
    """
    course = course._replace(students=course.students.model_copy(update={"distill": Distill()}), tables=None)
    members = [member._replace(inputs="") for member in members]
    settings, seeds = course.students.train, [member.random_seed for member in members]
    rows = rows_of(members, course)
    steps = Shuffled(rows, seeds, settings.batch, [settings.epochs] * len(members), settings.least_steps)
    learner = learner_of(members, course, steps.steps)
    learner.objective = Objective()
    clock: list[float] = []
    few = list(islice(steps, count))
    told = Advance(lambda _: clock.append(monotonic()))
    train(learner, Feed(course.view, few, seeds), [told], course.trainer.device, settings.precision)
    timed = sum(int((rows != FILL).sum()) for rows in few[1:])
    return Measured(fingerprint(course.students.model.shape), timed, clock[-1] - clock[0])
