"""Choosing: which point is best for a vertical, by validation rows alone."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from distill.training import Student
from distill.traits import Arm


class Choice(NamedTuple):
    """The best point of one vertical and arm.

    Attributes:
        vertical: which one.
        arm: the control has a best point of its own, or a gain might only be that of better settings.
        point: its number.
        ne_valid: mean NE of its seeds on validation rows; NaN where the vertical's own rows could not decide.
    """

    vertical: str
    arm: Arm
    point: int
    ne_valid: float


def choices(points: Sequence[Sequence[Student]]) -> list[Choice]:
    """The best point of each vertical and arm; where its own validation rows cannot tell, the best point of all.

    Points in which one of its seeds failed are left out as long as there are others. Of equals the first is taken.

    Args:
        points: students of each.
    """
    found = []
    for arm in ("distilled", "control"):
        own = [_by_vertical(students, arm) for students in points]
        whole = [pooled(students, arm) for students in points]
        for vertical in dict.fromkeys(name for students in own for name in students):
            there = [number for number, students in enumerate(own) if vertical in students]
            sound = [number for number in there if all(one.logit is not None for one in own[number][vertical])]
            values = {number: _mean(own[number][vertical]) for number in sound or there}
            told = {number: value for number, value in values.items() if math.isfinite(value)}
            best = min(told or values, key=lambda number: (told or whole)[number])
            found.append(Choice(vertical, arm, best, told.get(best, math.nan)))
    return found


def overall(points: Sequence[Sequence[Student]]) -> list[Choice]:
    """The same point for all verticals, for each arm: the one whose pooled validation NE is least.

    Args:
        points: students of each.
    """
    found = []
    for arm in ("distilled", "control"):
        best = min(range(len(points)), key=lambda place: pooled(points[place], arm))
        found += [Choice(vertical, arm, best, value) for vertical, value in means(points[best], arm).items()]
    return found


def means(students: Sequence[Student], arm: Arm) -> dict[str, float]:
    """Vertical -> mean validation NE of its students of an arm; NaN where one of them has none."""
    return {vertical: _mean(own) for vertical, own in _by_vertical(students, arm).items()}


def chosen(points: Sequence[Sequence[Student]], choices: Sequence[Choice]) -> list[Student]:
    """The students of the chosen points: of each vertical its distilled ones, then its controls."""
    ordered = sorted(choices, key=lambda one: one.vertical)
    return [
        student
        for choice in ordered
        for student in points[choice.point]
        if (student.member.vertical, student.member.arm) == (choice.vertical, choice.arm)
    ]


def pooled(students: Sequence[Student], arm: Arm) -> float:
    """NE of all students of an arm on the validation rows, sums divided by sums; infinite where there is none."""
    sound = [
        one for one in students if one.member.arm == arm and one.logit is not None and math.isfinite(ne_valid(one))
    ]
    base = math.fsum(one.base_entropy for one in sound)
    return math.fsum(ne_valid(one) * one.base_entropy for one in sound) / base if base > 0 else math.inf


def ne_valid(student: Student) -> float:
    """NE of a student on its validation rows, after the pass that it was taken at."""
    return student.validation[student.taken - 1] if student.logit is not None else math.nan


def _by_vertical(students: Sequence[Student], arm: Arm) -> dict[str, list[Student]]:
    found: dict[str, list[Student]] = {}
    for student in students:
        if student.member.arm == arm:
            found.setdefault(student.member.vertical, []).append(student)
    return found


def _mean(students: Sequence[Student]) -> float:
    values = [ne_valid(student) for student in students]
    return math.fsum(values) / len(values)
