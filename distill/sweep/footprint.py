"""What the students of each point take: weights, and time to be trained as one stack."""

from collections.abc import Sequence

from distill.cost import cost
from distill.sweep.pool import Taught
from distill.training import Student


def parameters(taught: Taught) -> int:
    """Of the student of the largest vertical of a point, its tables among them."""
    settings, rows = taught.point.recipe.students, taught.impressions
    largest = max(rows.verticals, key=lambda vertical: len(rows.training_rows(vertical, "students", 0)))
    schema = rows.view(settings.features, "vertical").schema(largest)
    size = cost(lambda: settings.model.build(schema), schema)
    return size.dense + size.sparse


def seconds(taught: Taught, students: Sequence[Student], pace: float | None) -> float | None:
    """To train all students of a point, as if every pass had been taken; None where nobody knows how fast they are.

    Args:
        taught: the point.
        students: of both arms.
        pace: rows a second at which students of its shape are trained.
    """
    learnt = sum(student.member.rows for student in students) * taught.point.recipe.students.train.epochs
    return learnt / pace if pace else None
