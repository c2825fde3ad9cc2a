"""Finding: the students of a recipe that has been run, with all that an export says of them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor

from distill.cohort import find
from distill.data.impressions import Impressions, View, load
from distill.errors import Fault, RecipeError, suggestion
from distill.knowledge import Manifest as Knowledge
from distill.knowledge import import_table
from distill.member import Arm, Member, roster
from distill.pipeline import compare
from distill.recipe import Recipe
from distill.recipe.sections import OutsideTeacher
from distill.scoring import manifest_of
from distill.serving.manifest import Lineage
from distill.store import Store
from distill.transfer import heard_fingerprint, lesson_of


class Wanted(NamedTuple):
    """Which students of a recipe.

    Attributes:
        vertical: whose student; those of all verticals where None.
        arm: taught, or not.
        seed: number of the seed.
    """

    vertical: str | None = None
    arm: Arm = "distilled"
    seed: int = 0


class Found(NamedTuple):
    """A student that has been trained and judged.

    Attributes:
        member: which one.
        lineage: where it comes from.
        weights: what it is served with.
        logit: what it said of the test rows of its vertical, [rows, tasks].
    """

    member: Member
    lineage: Lineage
    weights: dict[str, Tensor]
    logit: np.ndarray


class Run(NamedTuple):
    """The students of a recipe, and what they see.

    Attributes:
        recipe: what was run.
        impressions: the rows.
        view: their features.
        students: those that are wanted.
    """

    recipe: Recipe
    impressions: Impressions
    view: View
    students: list[Found]


def found(recipe: Recipe, wanted: Wanted) -> Run:
    """The students of a recipe that are wanted.

    Raises:
        RecipeError: the recipe has not been run, has no such student, or the student has failed.
    """
    key = compare(recipe)["fingerprint"]
    store = Store(recipe.store)
    impressions = load(recipe.data, store.data)
    knowledge = _knowledge(recipe, impressions, store)
    view = impressions.view(recipe.students.features, "vertical")
    _whole(recipe)
    heard = heard_fingerprint(recipe, impressions, knowledge.fingerprint)
    members = roster(recipe.students, impressions, view, heard, recipe.seed)
    chosen = _chosen(members, wanted)
    lineages = [_lineage(recipe, key, impressions, knowledge, member) for member in chosen]
    return Run(recipe, impressions, view, _with_weights(chosen, lineages, store, wanted))


def _whole(recipe: Recipe) -> None:
    """Refuses recipes whose students need more than their own weights and columns."""
    distill, path = recipe.students.distill, "students.distill"
    if distill.input is not None:
        what = "the students read a vector of the teacher, which an export does not carry."
        raise RecipeError(Fault(f"{path}.input", what, "Export the controls of a recipe without it, or serve both."))
    if distill.fallback is not None:
        what = "some students fall back on their controls, and an export does not say which."
        raise RecipeError(Fault(f"{path}.fallback", what, "Export a recipe without it."))


def _knowledge(recipe: Recipe, impressions: Impressions, store: Store) -> Knowledge:
    """What the knowledge of the recipe says of itself."""
    if isinstance(recipe.teacher, OutsideTeacher):
        return import_table(recipe.teacher.knowledge, impressions, store.knowledge).manifest
    return manifest_of(lesson_of(recipe, impressions))


def _chosen(members: Sequence[Member], wanted: Wanted) -> list[Member]:
    verticals = list(dict.fromkeys(member.vertical for member in members))
    if wanted.vertical is not None and wanted.vertical not in verticals:
        what = "is no vertical with a student."
        raise RecipeError(Fault(f'"{wanted.vertical}"', what, suggestion(wanted.vertical, verticals)))
    chosen = [
        member
        for member in members
        if wanted.vertical in (None, member.vertical) and (member.arm, member.seed) == (wanted.arm, wanted.seed)
    ]
    if not chosen:
        raise RecipeError(Fault("seed", f"there is no seed number {wanted.seed}.", "They count from 0."))
    return chosen


def _lineage(recipe: Recipe, key: str, impressions: Impressions, knowledge: Knowledge, member: Member) -> Lineage:
    return Lineage(
        recipe=recipe.name,
        fingerprint=key,
        member=member.name,
        student=member.fingerprint,
        vertical=member.vertical,
        domain=member.domain,
        arm=member.arm,
        teacher=knowledge.teacher,
        knowledge=knowledge.fingerprint,
        knowledge_kind=knowledge.kind,
        data=impressions.fingerprint,
    )


def _with_weights(chosen: Sequence[Member], lineages: Sequence[Lineage], store: Store, wanted: Wanted) -> list[Found]:
    """The students that are there; those that failed are an error where they are wanted by name."""
    places = {
        member.fingerprint: (cohort, place)
        for cohort in find(store.cohorts)
        if cohort.judged
        for place, member in enumerate(cohort.members)
    }
    lost = [member.name for member in chosen if member.fingerprint not in places]
    if lost:
        raise RecipeError(Fault(", ".join(lost), "has not been trained.", "Run the recipe first: distill run."))
    scores = {cohort.folder: cohort.scores() for cohort, _ in (places[member.fingerprint] for member in chosen)}
    students = []
    for member, lineage in zip(chosen, lineages, strict=True):
        cohort, place = places[member.fingerprint]
        if place in scores[cohort.folder]:
            students.append(Found(member, lineage, cohort.weights(place), scores[cohort.folder][place]))
    if not students:
        raise RecipeError(Fault(chosen[0].name, "has failed, so there is nothing to export."))
    return students
