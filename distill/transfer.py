"""Transfer: everything that a recipe moves from the teacher to the students, made or found before they train."""

from collections.abc import Callable

from distill.cohort import Course
from distill.data.impressions import Impressions
from distill.errors import Fault, KnowledgeMismatch
from distill.inputs import Inputs
from distill.knowledge import Knowledge
from distill.recipe import Recipe
from distill.recipe.sections import TrainedTeacher
from distill.representing import tables_of, vectors_of
from distill.scoring import Lesson
from distill.sharing import widest
from distill.store import Store


def lesson_of(recipe: Recipe, impressions: Impressions, tell: Callable[[int], None] = lambda _: None) -> Lesson:
    """What the teacher of a recipe is trained with.

    Args:
        recipe: one whose teacher is trained here.
        impressions: the rows.
        tell: called with the rows of each step.
    """
    teacher = recipe.teacher
    assert isinstance(teacher, TrainedTeacher), "a teacher from outside has no lesson"
    view = impressions.view(teacher.features, "all")
    return Lesson(teacher, impressions, view, recipe.seed, tell, recipe.trainer)


def course_of(
    recipe: Recipe, impressions: Impressions, knowledge: Knowledge, store: Store, tell: Callable[[int], None]
) -> Course:
    """What the students of a recipe are trained with.

    Args:
        recipe: theirs.
        impressions: the rows.
        knowledge: the teacher's marks.
        store: where vectors of the teacher are found or made.
        tell: called with the rows of each step.

    Raises:
        KnowledgeMismatch: representations are to be matched, and the table has none.
        RecipeError: embeddings are to be shared, and one of the rankers has none.
    """
    students = recipe.students
    distill, view = students.distill, impressions.view(students.features, "vertical")
    course = Course(students, impressions, view, knowledge, tell, recipe.trainer)
    if distill.representation.weight > 0 and not knowledge.manifest.width:
        what = f"there is nothing to match: {knowledge.manifest.teacher} has left no representations."
        remedy = "Add them to its table (docs/knowledge.md), or leave this channel out."
        raise KnowledgeMismatch(Fault("students.distill.representation", what, remedy))
    if distill.input is not None:
        lesson = lesson_of(recipe, impressions)
        vectors = vectors_of(lesson, knowledge, distill.input.features, store.knowledge)
        course = course._replace(inputs=Inputs(view, vectors))
    if distill.sharing is not None:
        some = students.model.build(view.schema(impressions.verticals[0]))
        width = widest(some)[1].weight.shape[-1]
        course = course._replace(tables=tables_of(lesson_of(recipe, impressions), knowledge, width))
    return course
