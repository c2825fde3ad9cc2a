"""Training: from the students that are wanted to the students that are there."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from distill.cohort import Cohort, find
from distill.course import Course
from distill.data.impressions import VALID, Impressions
from distill.fallback import Trial, harmed, trial
from distill.files import read_json, write_json
from distill.learner import accelerator
from distill.member import Member, cohorts
from distill.metrics import base_entropy, cross_entropy
from distill.recipe.sections import Stopping
from distill.stopping import decide

STEP_ROWS = 16_384
"""Rows of a step of one stack; measured, 8,000 and 32,000 are as good."""


ACCELERATOR_STEP_ROWS = 16 * STEP_ROWS
"""The same on an accelerator, which has no cache to fill but calls to make worth while; not measured. A cohort that
exceeds its memory is halved."""


Courses = Mapping[str, Course]
"""`Member.stack` -> what such members are trained with."""


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
        base_entropy: what that NE is divided by: the cross-entropy of a constant on these rows; 0 where there are none.
        cosines: of the gradients of its labels and of its teacher, after each pass; empty where
            there is no teacher.
        refined: what its adapter made of the marks of its test rows, and what two numbers would have.
    """

    member: Member
    logit: np.ndarray | None
    reason: str
    valid: np.ndarray | None
    fell_back: bool
    taken: int
    losses: list[float]
    validation: list[float]
    base_entropy: float = 0.0
    cosines: Sequence[float | None] = ()
    refined: Mapping[str, np.ndarray] = {}


def train_students(
    members: Sequence[Member],
    course: Course,
    folder: Path,
    stopping: Path,
    train: Callable[[Sequence[Cohort], Courses], None] | None = None,
) -> list[Student]:
    """The students of `members`: found where they are, trained where they are not.

    Args:
        members: who is wanted.
        course: what they are trained with.
        folder: of the cohorts.
        stopping: of what groups have settled.
        train: trains cohorts; one after another, in this process, where none is given.
    """
    courses = {member.stack: course for member in members}
    return fallen_back(pooled_students(members, courses, folder, stopping, train), course)


def pooled_students(
    members: Sequence[Member],
    courses: Courses,
    folder: Path,
    stopping: Path,
    train: Callable[[Sequence[Cohort], Courses], None] | None = None,
) -> list[Student]:
    """The students of several recipes, each with what it has learned; whoever is named twice is trained once.

    Args:
        members: who is wanted.
        courses: what they are trained with, by their stack.
        folder: of the cohorts.
        stopping: of what groups have settled.
        train: trains cohorts; one after another, in this process, where none is given.
    """
    device = next(iter(courses.values())).trainer.device
    (train or train_in_turn)(wanting(members, folder, device), courses)
    stacks = {member.fingerprint: member.stack for member in members}
    ours = {cohort: stack for cohort in find(folder) if (stack := _stack(cohort, stacks))}
    undecided = [(cohort, courses[stack]) for cohort, stack in ours.items() if not cohort.judged]
    for rule in dict.fromkeys(course.students.stopping for _, course in undecided):
        _judge([pair for pair in undecided if pair[1].students.stopping == rule], rule, stopping)
    found = {
        student.member.fingerprint: student
        for cohort in ours
        for student in _students(cohort)
        if student.member.fingerprint in cohort.present
    }
    return [found[member.fingerprint]._replace(member=member) for member in members]


def _stack(cohort: Cohort, stacks: Mapping[str, str]) -> str | None:
    """The stack of those members of a cohort that are wanted; None if none is. Its own may be of another run."""
    return next((stacks[one.fingerprint] for one in cohort.members if one.fingerprint in stacks), None)


def forget_failed(members: Iterable[Member], folder: Path) -> int:
    """Lets go of those of `members` that failed, that they may be trained again; how many there were."""
    wanted, count = {member.fingerprint for member in members}, 0
    for cohort in find(folder):
        places = cohort.result().failed
        failed = {cohort.members[place].fingerprint for place in places} & cohort.present & wanted
        if failed:
            cohort.forget(failed)
        count += len(failed)
    return count


def train_in_turn(cohorts: Sequence[Cohort], courses: Courses) -> None:
    """Trains one cohort after another."""
    for cohort in cohorts:
        train_whole(cohort, courses[cohort.stack])


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
    there = {fingerprint for cohort in find(folder) for fingerprint in cohort.present}
    new: dict[str, Member] = {}
    for member in members:
        if member.fingerprint not in there:
            new.setdefault(member.fingerprint, member)
    return [Cohort(folder, group) for group in cohorts(new.values(), rows)]


def _judge(undecided: Sequence[tuple[Cohort, Course]], rule: Stopping, stopping: Path) -> None:
    """Decides after which pass each member is taken, over all cohorts at once, since a group may stand in several."""
    members = [member for cohort, _ in undecided for member in cohort.members]
    validations = [one for cohort, _ in undecided for one in cohort.result().validations]
    settled = _settled({member.group for member in members}, stopping)
    passes, now = decide(members, validations, rule, settled)
    for group in now.keys() - settled.keys():
        write_json(stopping / f"{group}.json", now[group])
    for cohort, course in undecided:
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
            result.validations[place].base_entropy,
            result.cosines[place],
            cohort.refined(place),
        )
        for place, member in enumerate(cohort.members)
    ]


def fallen_back(students: list[Student], course: Course) -> list[Student]:
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
        twin._replace(member=one.member, fell_back=True, refined=one.refined) if place in left else one
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
