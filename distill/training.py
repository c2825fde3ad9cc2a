"""Training: from the students that are wanted to the students that are there."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from distill.cohort import Cohort, Course, find
from distill.data.impressions import VALID, Impressions
from distill.fallback import Trial, harmed, trial
from distill.files import read_json, write_json
from distill.learner import accelerator
from distill.member import Member, cohorts
from distill.metrics import base_entropy, cross_entropy
from distill.stopping import decide

STEP_ROWS = 16_384
"""Rows of a step of one stack; measured, 8,000 and 32,000 are as good."""


ACCELERATOR_STEP_ROWS = 16 * STEP_ROWS
"""The same on an accelerator, which has no cache to fill but calls to make worth while; not measured. A cohort that
exceeds its memory is halved."""


class Student(NamedTuple):
    """A member that has been trained.

    Attributes:
        member: which one.
        logit: its log-odds on the test rows of its vertical, `[rows, tasks]`; None if it failed.
        reason: why it failed.
        valid: its log-odds on the validation rows; None if it failed.
        fell_back: whether it goes without its teacher: log-odds, passes and curves are then those of its control.
        taken: after which of its passes it was taken.
        losses: its mean training loss in each pass, in nats.
        validation: its NE on its own validation rows after each pass; NaN where it has none.
    """

    member: Member
    logit: np.ndarray | None
    reason: str
    valid: np.ndarray | None
    fell_back: bool
    taken: int
    losses: list[float]
    validation: list[float]


def train_students(
    members: Sequence[Member],
    course: Course,
    folder: Path,
    stopping: Path,
    train: Callable[[Sequence[Cohort], Course], None] | None = None,
) -> list[Student]:
    """The students of `members`: found where they are, trained where they are not.

    Args:
        members: who is wanted.
        course: what they are trained with.
        folder: of the cohorts.
        stopping: of what groups have settled.
        train: trains cohorts; one after another, in this process, where none is given.
    """
    (train or train_in_turn)(wanting(members, folder, course.trainer.device), course)
    wanted = {member.fingerprint for member in members}
    ours = [cohort for cohort in find(folder) if any(one.fingerprint in wanted for one in cohort.members)]
    _judge([cohort for cohort in ours if not cohort.judged], course, stopping)
    found = {student.member.fingerprint: student for cohort in ours for student in _students(cohort)}
    return _fallen_back([found[member.fingerprint]._replace(member=member) for member in members], course)


def train_in_turn(cohorts: Sequence[Cohort], course: Course) -> None:
    """Trains one cohort after another."""
    for cohort in cohorts:
        train_whole(cohort, course)


def train_whole(cohort: Cohort, course: Course) -> None:
    """Trains a cohort; one that is too large for the memory in two halves, and those likewise."""
    try:
        cohort.train(course)
    except (MemoryError, RuntimeError) as error:
        if not _out_of_memory(error) or len(cohort.members) <= 2:
            raise
        for half in halves(cohort):
            train_whole(half, course)


def halves(cohort: Cohort) -> list[Cohort]:
    """Two cohorts of a cohort's members; twins, who stand side by side, stay together."""
    middle = len(cohort.members) // 4 * 2
    return [Cohort(cohort.folder.parent, part) for part in (cohort.members[:middle], cohort.members[middle:])]


def _out_of_memory(error: BaseException) -> bool:
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(error)


def wanting(members: Iterable[Member], folder: Path, device: str = "cpu") -> list[Cohort]:
    """The cohorts that have to be trained, on a device, before every member is there."""
    rows = STEP_ROWS if accelerator(device) == "cpu" else ACCELERATOR_STEP_ROWS
    there = {member.fingerprint for cohort in find(folder) for member in cohort.members}
    new = [member for member in members if member.fingerprint not in there]
    return [Cohort(folder, group) for group in cohorts(new, rows)]


def _judge(undecided: Sequence[Cohort], course: Course, stopping: Path) -> None:
    """Decides after which pass each member is taken, over all cohorts at once, since a group may stand in several."""
    members = [member for cohort in undecided for member in cohort.members]
    validations = [one for cohort in undecided for one in cohort.result().validations]
    settled = _settled({member.group for member in members}, stopping)
    passes, now = decide(members, validations, course.students.stopping.own_positives, settled)
    for group in now.keys() - settled.keys():
        write_json(stopping / f"{group}.json", now[group])
    for cohort in undecided:
        cohort.judge(course, passes[: len(cohort.members)])
        passes = passes[len(cohort.members) :]


def _settled(groups: Iterable[str], stopping: Path) -> Mapping[str, int]:
    paths = {group: stopping / f"{group}.json" for group in groups}
    return {group: read_json(path) for group, path in paths.items() if path.exists()}


def _students(cohort: Cohort) -> list[Student]:
    result, scores, valid, passes = cohort.result(), cohort.scores(), cohort.scores("valid"), cohort.passes()
    return [
        Student(
            member,
            scores.get(place),
            result.failed.get(place, ""),
            valid.get(place),
            False,
            passes[place],
            result.curves[place],
            _entropies(result.validations[place].cross_entropy, result.validations[place].base_entropy),
        )
        for place, member in enumerate(cohort.members)
    ]


def _fallen_back(students: list[Student], course: Course) -> list[Student]:
    """The same students, those that their teacher harms with all that their control has."""
    fallback = course.students.distill.fallback
    if fallback is None:
        return students
    controls = {(one.member.vertical, one.member.seed): one for one in students if one.member.arm == "control"}
    pairs = [(one, controls.get((one.member.vertical, one.member.seed))) for one in students]
    tried = [
        place
        for place, (one, twin) in enumerate(pairs)
        if one.member.arm == "distilled" and one.valid is not None and twin is not None and twin.valid is not None
    ]
    harm = harmed([_trial(*pairs[place], course.impressions) for place in tried])
    left = {place for place, probability in zip(tried, harm, strict=True) if probability > fallback.level}
    return [
        twin._replace(member=one.member, fell_back=True) if place in left else one
        for place, (one, twin) in enumerate(pairs)
    ]


def _trial(student: Student, control: Student, impressions: Impressions) -> Trial:
    """On validation rows, all tasks together."""
    rows = impressions.select(VALID, student.member.vertical)
    label, weight = impressions.label[rows], impressions.worth(rows)[:, None] * impressions.valid[rows]
    costs = [cross_entropy(one.valid, label, weight).sum(-1) for one in (student, control)]
    base = sum(base_entropy(*columns) for columns in zip(label.T, weight.T, strict=True))
    cluster = rows if impressions.user is None else np.asarray(impressions.user[rows])
    return trial(*costs, cluster, float(base))


def _entropies(cross_entropy: np.ndarray, base: float) -> list[float]:
    return (cross_entropy / base).tolist() if base > 0 else [float("nan")] * len(cross_entropy)
