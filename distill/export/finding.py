"""Finding: the students of a recipe that has been run, with all that an export says of them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from distill.cohort import find
from distill.data.impressions import Impressions, View, load
from distill.errors import Fault, RecipeError, suggestion
from distill.knowledge import Manifest as Knowledge
from distill.knowledge import import_table
from distill.latest import compare
from distill.lesson import manifest_of
from distill.member import Member
from distill.recipe import Recipe
from distill.recipe.sections import OutsideTeacher
from distill.serving.manifest import Lineage
from distill.store import Store
from distill.traits import Arm
from distill.transfer import inputs_of, lesson_of, members_of


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
        member: which one; the control of one that fell back on it.
        lineage: where it comes from.
        view: what it sees.
        weights: what it is served with.
        logit: what it said of the test rows of its vertical, [rows, tasks].
    """

    member: Member
    lineage: Lineage
    view: View
    weights: dict[str, Tensor]
    logit: np.ndarray


class Run(NamedTuple):
    """The students of a recipe, and what they see.

    Attributes:
        recipe: what was run.
        impressions: the rows.
        students: those that are wanted.
    """

    recipe: Recipe
    impressions: Impressions
    students: list[Found]


def found(recipe: Recipe, wanted: Wanted) -> Run:
    """The students of a recipe that are wanted.

    Raises:
        RecipeError: the recipe has not been run, has no such student, or the student has failed.
    """
    table = compare(recipe)
    store = Store(recipe.store)
    impressions = load(recipe.data, store.data)
    knowledge = _knowledge(recipe, impressions, store)
    view = impressions.view(recipe.students.features, "vertical")
    view = impressions.view(recipe.students.features, "vertical")
    members = members_of(recipe, impressions, knowledge.fingerprint, store.knowledge)
    chosen = _chosen(members, wanted)
    served = _served(chosen, members, table)
    lineages = [
        _lineage(recipe, table["fingerprint"], impressions, knowledge, *pair)
        for pair in zip(chosen, served, strict=True)
    ]
    views = _views(recipe, served, view, impressions, knowledge, store)
    return Run(recipe, impressions, _with_weights(served, lineages, views, store))


def _served(chosen: Sequence[Member], members: Sequence[Member], table: dict[str, Any]) -> list[Member]:
    """Who serves for each student: itself, or its control, on which the leaderboard says that it fell back."""
    fell_back = {row["member"] for row in table["students"] if "fell_back" in row["settings"]}
    controls = {(one.vertical, one.seed): one for one in members if one.arm == "control"}
    return [controls[one.vertical, one.seed] if one.name in fell_back else one for one in chosen]


def _views(
    recipe: Recipe, served: Sequence[Member], view: View, impressions: Impressions, said: Knowledge, store: Store
) -> list[View]:
    """What each student sees: the teacher's vector too, where it is a feature."""
    if not any(member.inputs for member in served):
        return [view] * len(served)
    knowledge = store.knowledge.find(said.fingerprint)
    if knowledge is None:
        what = f"the teacher's knowledge is not in {store.root}, or was made by another version."
        raise RecipeError(Fault(recipe.name, what, "Run the recipe again: distill run."))
    inputs = inputs_of(recipe, impressions, knowledge, store)
    return [inputs if member.inputs else view for member in served]


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


def _lineage(
    recipe: Recipe, key: str, impressions: Impressions, knowledge: Knowledge, member: Member, served: Member
) -> Lineage:
    return Lineage(
        recipe=recipe.name,
        fingerprint=key,
        member=member.name,
        student=served.fingerprint,
        fell_back=served != member,
        vertical=member.vertical,
        domain=member.domain,
        arm=member.arm,
        teacher=knowledge.teacher,
        knowledge=knowledge.fingerprint,
        knowledge_kind=knowledge.kind,
        data=impressions.fingerprint,
    )


def _with_weights(
    served: Sequence[Member], lineages: Sequence[Lineage], views: Sequence[View], store: Store
) -> list[Found]:
    """The students that are there; those that failed are an error where nobody else is left."""
    places = {
        member.fingerprint: (cohort, place)
        for cohort in find(store.cohorts)
        if cohort.judged
        for place, member in enumerate(cohort.members)
    }
    lost = [member.name for member in served if member.fingerprint not in places]
    if lost:
        raise RecipeError(Fault(", ".join(lost), "has not been trained.", "Run the recipe first: distill run."))
    scores = {cohort.folder: cohort.scores() for cohort, _ in (places[member.fingerprint] for member in served)}
    students = []
    for member, lineage, view in zip(served, lineages, views, strict=True):
        cohort, place = places[member.fingerprint]
        if place in scores[cohort.folder]:
            students.append(Found(member, lineage, view, cohort.weights(place), scores[cohort.folder][place]))
    if not students:
        raise RecipeError(Fault(served[0].name, "has failed, so there is nothing to export."))
    return students
