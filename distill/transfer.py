"""Transfer: everything that a recipe moves from the teacher to the students, made or found before they train."""

from collections.abc import Callable

from distill.course import Course
from distill.data.impressions import Impressions
from distill.domains import domain_manifest, domains_of
from distill.errors import Fault, KnowledgeMismatch
from distill.fingerprint import fingerprint
from distill.inputs import Inputs
from distill.knowledge import Knowledge
from distill.member import DOMAIN, SOURCE
from distill.recipe import Recipe
from distill.recipe.sections import TrainedTeacher
from distill.representing import domain_models, tables_of, vectors_of
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


def hears(recipe: Recipe) -> dict[str, float]:
    """Name of a source of marks -> its weight in the mean of log-odds that students learn from."""
    names = {"teacher": (SOURCE,), "domain": (DOMAIN,), "both": (SOURCE, DOMAIN)}[recipe.source]
    return dict.fromkeys(names, 1 / len(names))


def heard_fingerprint(recipe: Recipe, impressions: Impressions, teacher: str) -> str:
    """The fingerprint of all that students hear: of the teacher's table, where they learn from it alone.

    Args:
        recipe: theirs.
        impressions: the rows.
        teacher: fingerprint of its table.
    """
    if recipe.transfer == "direct":
        return teacher
    return fingerprint(hears(recipe), domain_manifest(recipe, impressions, "unknown", teacher).fingerprint)


def inputs_of(recipe: Recipe, impressions: Impressions, knowledge: Knowledge, store: Store) -> Inputs:
    """What the students of a recipe see that has the teacher's vector among its features.

    Args:
        recipe: theirs.
        impressions: the rows.
        knowledge: the teacher's marks.
        store: where the vectors are found or made.
    """
    shown = recipe.students.distill.input
    assert shown is not None, "the recipe has no such channel"
    view = impressions.view(recipe.students.features, "vertical")
    lesson = lesson_of(recipe, impressions)
    return Inputs(view, vectors_of(lesson, knowledge, shown.features, store.knowledge))


def domains_table(
    recipe: Recipe, impressions: Impressions, knowledge: Knowledge, store: Store, tell: Callable[[int], None]
) -> Knowledge:
    """What the domain models of a recipe said: found, or made.

    Args:
        recipe: one that has the section `domains`.
        impressions: the rows.
        knowledge: the teacher's marks.
        store: where tables are.
        tell: called with the rows of each step.
    """
    vectors = inputs_of(recipe, impressions, knowledge, store).vectors if recipe.domain_input else None
    return domains_of(recipe, impressions, knowledge, store.knowledge, tell, vectors)


def course_of(
    recipe: Recipe, impressions: Impressions, knowledge: Knowledge, store: Store, tell: Callable[[int], None]
) -> Course:
    """What the students of a recipe are trained with.

    Args:
        recipe: theirs.
        impressions: the rows.
        knowledge: the teacher's marks.
        store: where the marks of domain models and vectors of the teacher are found or made.
        tell: called with the rows of each step.

    Raises:
        KnowledgeMismatch: representations are to be matched, and the table has none.
        RecipeError: embeddings are to be shared, and one of the rankers has none.
    """
    students = recipe.students
    distill, view = students.distill, impressions.view(students.features, "vertical")
    course = Course(students, impressions, view, knowledge, tell, recipe.trainer, hears=hears(recipe))
    if recipe.transfer == "hierarchical":
        domain = domains_table(recipe, impressions, knowledge, store, tell=lambda _: None)
        course = course._replace(domain=domain)
    if distill.representation.weight > 0 and not knowledge.manifest.width:
        what = f"there is nothing to match: {knowledge.manifest.teacher} has left no representations."
        remedy = "Add them to its table (docs/knowledge.md), or leave this channel out."
        raise KnowledgeMismatch(Fault("students.distill.representation", what, remedy))
    if distill.input is not None:
        course = course._replace(inputs=inputs_of(recipe, impressions, knowledge, store))
    if distill.sharing is not None and distill.sharing.source == "domain":
        course = course._replace(tables=domain_models(recipe, impressions, domain))
    elif distill.sharing is not None:
        some = students.model.build(view.schema(impressions.verticals[0]))
        width = widest(some)[1].weight.shape[-1]
        course = course._replace(tables=tables_of(lesson_of(recipe, impressions), knowledge, width))
    return course
