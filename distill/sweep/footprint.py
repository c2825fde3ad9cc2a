"""What the students of each point take: weights, and time to be trained as one stack."""

from collections.abc import Mapping, Sequence
from typing import Any

from distill.cost import cost
from distill.sweep.pool import Taught
from distill.training import Student


def footprints(
    points: Sequence[Taught], students: Sequence[Sequence[Student]], paces: Mapping[str, float | None]
) -> list[dict[str, Any]]:
    """A line for each point.

    Args:
        points: those of a sweep.
        students: of each, both arms.
        paces: point -> rows a second at which students of its shape are trained.

    Returns:
        `parameters` of the student of the largest vertical, its tables among them, and `train_seconds` of all students,
        as if every pass had been taken; None where nobody knows how fast they are.
    """
    return [
        {"parameters": _parameters(one), "train_seconds": _seconds(one, own, paces[one.point.name])}
        for one, own in zip(points, students, strict=True)
    ]


def _parameters(taught: Taught) -> int:
    settings, rows = taught.point.recipe.students, taught.impressions
    largest = max(rows.verticals, key=lambda vertical: len(rows.training_rows(vertical, "students", 0)))
    schema = rows.view(settings.features, "vertical").schema(largest)
    size = cost(lambda: settings.model.build(schema), schema)
    return size.dense + size.sparse


def _seconds(taught: Taught, students: Sequence[Student], pace: float | None) -> float | None:
    learnt = sum(student.member.rows for student in students) * taught.point.recipe.students.train.epochs
    return learnt / pace if pace else None
