"""Refining: what a student's adapter makes of its teacher's marks in the end, beside what two numbers would make."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from distill import metrics
from distill.adapter import Adapter
from distill.course import Course
from distill.data.impressions import TEST, TRAIN
from distill.ensemble import heard
from distill.feed import predictions
from distill.member import Member
from distill.panel import weights_of
from distill.ranker import Ranker


def refined(course: Course, member: Member, ranker: Ranker, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Log-odds for the test rows of a member's vertical, `[rows, tasks]`; NaN where the teacher has not scored a row.

    Args:
        course: what it was trained with.
        member: one that is taught through an adapter.
        ranker: as it was taken, in evaluation mode.
        weights: of its adapter, at the same moment.

    Returns:
        `adapter`, what that says; and `platt`, the teacher's log-odds with a slope and a shift that suit the labels of
        all training rows that it has scored, which is the least that an adapter has to beat.
    """
    channel, impressions = course.students.distill.logit.adapter, course.impressions
    assert channel is not None, "the recipe has no adapter"
    rows = impressions.select(TEST, member.vertical)
    marks, seen = _marks(course, member, rows), [own for _, own in predictions(ranker, course.seen(member), rows)]
    if not seen:
        return {"adapter": marks, "platt": marks}
    hidden = torch.cat([own.representation for own in seen])
    adapter = Adapter(channel.form, marks.shape[1], hidden.shape[1], channel.rate)
    adapter.load_state_dict(dict(weights))
    with torch.no_grad():
        said = adapter(marks + impressions.heard, hidden) + impressions.correction("students")
    return {"adapter": said, "platt": _platt(course, member, marks)}


def _platt(course: Course, member: Member, marks: Tensor) -> Tensor:
    """The teacher's log-odds of test rows, task by task with the slope and the shift of the training rows."""
    impressions = course.impressions
    rows = impressions.select(TRAIN, member.vertical)
    known, worth = _marks(course, member, rows).numpy(), impressions.worth(rows)
    tasks = []
    for task in range(known.shape[1]):
        there = np.isfinite(known[:, task]) & impressions.valid[rows, task]
        line = metrics.platt(known[there, task], impressions.label[rows[there], task], worth[there])
        tasks.append(line.slope * marks[:, task] + line.shift)
    return torch.stack(tasks, 1)


def _marks(course: Course, member: Member, rows: np.ndarray) -> Tensor:
    """What a member's teachers say of rows together, by its weights of them; NaN where none has scored a row."""
    weights = weights_of(course.hears, member.settings)
    numbers = torch.from_numpy(rows)[None]
    signals = {name: course.sources[name].take(numbers, representation=False) for name in course.hears}
    said = heard(signals, {name: torch.tensor([weights[name]]) for name in course.hears})
    return said.logit[0].where(said.covered[0][:, None], torch.nan)
