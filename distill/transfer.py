"""Transfer: everything that a recipe moves from the teacher to the students, made or found before they train."""

import hashlib
from collections.abc import Callable
from functools import cache, lru_cache, partial
from pathlib import Path

import torch

from distill.course import Course
from distill.data.impressions import TRAIN, Impressions, View
from distill.domains import domain_manifest, domains_of
from distill.errors import Fault, KnowledgeMismatch
from distill.fingerprint import fingerprint
from distill.history import histories_of
from distill.inputs import HISTORY, Inputs, cached
from distill.knowledge import Knowledge, KnowledgeStore
from distill.member import DOMAIN, Member, roster
from distill.panel import fingerprints, lesson_of, said_by_all, seats, standing_of, weights_of
from distill.ranker import Ranker
from distill.recipe import Recipe
from distill.recipe.moves import Distill
from distill.recipe.sections import TrainedTeacher
from distill.representing import domain_models, tables_of, vectors_of
from distill.sharing import TeacherTables, widest
from distill.store import Store


def hears(recipe: Recipe) -> dict[str, float]:
    """Name of a source of marks -> its weight in the mean of log-odds, where the recipe does not set any."""
    names = [seat.name for seat in seats(recipe)] if recipe.source != "domain" else []
    weights = weights_of([*names, *([DOMAIN] if recipe.source != "teacher" else [])], {})
    return {name: weight / sum(weights.values()) for name, weight in weights.items()}


def heard_fingerprint(recipe: Recipe, impressions: Impressions, teacher: str) -> str:
    """The fingerprint of all that students hear: of the teacher's table, where they learn from it alone.

    Args:
        recipe: theirs.
        impressions: the rows.
        teacher: fingerprint of the first teacher's table.
    """
    others = [fingerprints(recipe, impressions)] if len(seats(recipe)) > 1 else []
    if recipe.transfer == "direct":
        return fingerprint("panel", teacher, *others) if others else teacher
    domain = domain_manifest(recipe, impressions, "unknown", teacher).fingerprint
    return fingerprint(hears(recipe), domain, *others)


def members_of(recipe: Recipe, impressions: Impressions, teacher: str, store: KnowledgeStore) -> list[Member]:
    """Every student of a recipe, with its twin.

    One that learns from marks alone is known by those of its own training rows: a table that has grown by the rows of
    other verticals, or by later ones, teaches it nothing new. Where the table is not there yet, by the table's name.

    Args:
        recipe: theirs.
        impressions: the rows.
        teacher: fingerprint of the first teacher's table.
        store: where the table may be.
    """
    view = impressions.view(recipe.students.features, "vertical")
    heard = heard_fingerprint(recipe, impressions, teacher)
    knowledge = store.find(teacher) if _marks_alone(recipe) else None
    marks = {} if knowledge is None else _marks(knowledge.folder, impressions)
    return roster(recipe.students, impressions, view, heard, recipe.seed, marks)


def _marks_alone(recipe: Recipe) -> bool:
    """Whether students learn from the log-odds of one table, and from nothing else of their teacher."""
    distill = recipe.students.distill
    more = distill.widens or distill.sharing is not None or distill.representation.weight > 0
    return recipe.transfer == "direct" and len(seats(recipe)) == 1 and not more


@lru_cache(maxsize=8)
def _marks(folder: Path, impressions: Impressions) -> dict[str, str]:
    """Vertical -> digest of the marks of its training rows, and of which of them have any."""
    knowledge, found = Knowledge(folder), {}
    for vertical in impressions.verticals:
        rows = torch.from_numpy(impressions.select(TRAIN, vertical))
        said, covered = knowledge.take(rows, representation=False)
        marks = hashlib.blake2b(said.logit.numpy().data, digest_size=8)
        marks.update(covered.numpy().data)
        found[vertical] = marks.hexdigest()
    return found


def inputs_of(recipe: Recipe, impressions: Impressions, knowledge: Knowledge, store: Store) -> Inputs:
    """What the students of a recipe see that has vectors of the teacher among its features.

    Args:
        recipe: theirs.
        impressions: the rows.
        knowledge: the teacher's marks.
        store: where the vectors are found or made.
    """
    inputs = widened(impressions.view(recipe.students.features, "vertical"), recipe, impressions, knowledge, store)
    assert isinstance(inputs, Inputs), "the recipe has no such channel"
    return inputs


def widened(view: View, recipe: Recipe, impressions: Impressions, knowledge: Knowledge, store: Store) -> View:
    """A view with the vectors of the teacher that a recipe asks for; the other arguments are those of `inputs_of`."""
    distill = recipe.students.distill
    _require_representations(distill, knowledge)
    if distill.input is not None:
        vectors = vectors_of(lesson_of(recipe, impressions), knowledge, distill.input.features, store.knowledge)
        view = Inputs(view, vectors, cached(impressions, distill.input))
    if distill.history is not None:
        said = histories_of(distill.history, impressions, knowledge, store.knowledge)
        view = Inputs(view, said, feature=HISTORY)
    return view


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
    see = partial(widened, recipe=recipe, impressions=impressions, knowledge=knowledge, store=store)
    return domains_of(recipe, impressions, knowledge, store.knowledge, tell, see if recipe.domain_input else None)


def course_of(
    recipe: Recipe,
    impressions: Impressions,
    knowledge: Knowledge,
    store: Store,
    tell: Callable[[int], None],
    tell_domains: Callable[[int], None] = lambda rows: None,
) -> Course:
    """What the students of a recipe are trained with.

    Args:
        recipe: theirs.
        impressions: the rows.
        knowledge: the first teacher's marks.
        store: where the marks of others and of domain models, and vectors of the teacher, are found or made.
        tell: called with the rows of each step.
        tell_domains: called with the rows of each step of a domain model that is not there yet.

    Raises:
        KnowledgeMismatch: representations are to be matched, and the table has none.
        RecipeError: embeddings are to be shared, and one of the rankers has none.
    """
    students = recipe.students
    _require_representations(students.distill, knowledge)
    distill, view = students.distill, impressions.view(students.features, "vertical")
    course = Course(students, impressions, view, knowledge, tell, recipe.trainer, hears=hears(recipe))
    if recipe.transfer == "hierarchical":
        domain = domains_table(recipe, impressions, knowledge, store, tell_domains)
        course = course._replace(domain=domain)
    if len(course.hears) > 1:
        course = _with_others(recipe, course, store)
    if distill.ranking.weight > 0:
        column = distill.ranking.group
        course = course._replace(group=impressions.user if column is None else impressions.key(column))
    if distill.widens:
        course = course._replace(inputs=inputs_of(recipe, impressions, knowledge, store))
    if distill.copies:
        return course._replace(tables=cache(partial(domain_models, recipe, impressions, domain)))
    some = students.model.build(view.schema(impressions.verticals[0]))
    if distill.sharing is not None:
        widest(some)
    if isinstance(recipe.teacher, TrainedTeacher):
        # Whether this recipe shares tables or not: members of one that does may stand in the same stack.
        course = course._replace(tables=cache(partial(_tables, recipe, impressions, knowledge, some)))
    return course


def _require_representations(distill: Distill, knowledge: Knowledge) -> None:
    """Refuses channels that need what the table does not have."""
    channels = {"representation": distill.representation.weight > 0, "history": distill.history is not None}
    what = f"there is nothing to learn from: {knowledge.manifest.teacher} has left no representations."
    remedy = "Add them to its table (docs/knowledge.md), or leave this channel out."
    asked = [name for name, used in channels.items() if used]
    if asked and not knowledge.manifest.width:
        raise KnowledgeMismatch(*(Fault(f"students.distill.{name}", what, remedy) for name in asked))


def _tables(recipe: Recipe, impressions: Impressions, knowledge: Knowledge, some: Ranker) -> TeacherTables:
    """The teacher's tables, as wide as those of some student."""
    return tables_of(lesson_of(recipe, impressions), knowledge, widest(some)[1].weight.shape[-1])


def _with_others(recipe: Recipe, course: Course, store: Store) -> Course:
    """The same, with what the other teachers say, and with how all sources stood where it matters."""
    tables = said_by_all(recipe, course.impressions, store.knowledge, first=course.knowledge)
    course = course._replace(others={name: table for name, table in tables.items() if name in course.hears})
    combine = recipe.students.distill.logit.combine
    heard = {name: course.sources[name] for name in course.hears}
    return course._replace(standing=standing_of(heard, combine, course.impressions))
