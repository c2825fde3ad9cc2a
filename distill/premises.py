"""Premises: what recipes need of the data beyond their section `data`, looked for before a teacher trains for hours."""

from collections.abc import Sequence
from dataclasses import replace

from distill.data.impressions import TRAIN, Impressions
from distill.data.slicing import require as require_slices
from distill.errors import DataError, DistillError, Fault, RecipeError
from distill.inputs import HISTORY, NAME
from distill.lesson import manifest_of
from distill.low_rank import lowered
from distill.panel import lesson_of
from distill.ranker import Ranker
from distill.recipe import Recipe
from distill.sharing import widest
from distill.types import FeatureSchema


def require(recipes: Sequence[Recipe], impressions: Impressions) -> None:
    """Looks for all that the stages after the teacher would find missing.

    Args:
        recipes: that have these rows in common: those of the points of a sweep, with settings by vertical.
        impressions: the rows.

    Raises:
        RecipeError: with every fault of every recipe, each once.
    """
    faults: dict[Fault, None] = {}
    for recipe in recipes:
        for look in (_slices, _group, _clusters, _student):
            try:
                look(recipe, impressions)
            except DistillError as error:
                faults |= dict.fromkeys(error.faults)
    most = max((len(impressions.select(TRAIN, vertical)) for vertical in impressions.verticals), default=0)
    fewest = min((recipe.students.min_rows for recipe in recipes), default=0)
    if fewest > most:  # Where one recipe of a sweep has students, others may have none.
        what = f"no vertical has {fewest} training rows."
        faults[Fault("students.min_rows", what, f"Lower it: the largest has {most}.")] = None
    if faults:
        raise RecipeError(*faults)


def _slices(recipe: Recipe, impressions: Impressions) -> None:
    require_slices(impressions, recipe.evidence.slices)


def _group(recipe: Recipe, impressions: Impressions) -> None:
    """The column of those whose rows are ranked."""
    ranking = recipe.students.distill.ranking
    if ranking.weight == 0 or ranking.group is None:
        return
    try:
        impressions.source.kinds(ranking.group)
    except DataError as error:
        where = "students.distill.ranking.group"
        raise RecipeError(*(Fault(where, f"{one.where}: {one.what}", one.remedy) for one in error.faults)) from None


def _clusters(recipe: Recipe, impressions: Impressions) -> None:
    """Fewer clusters than verticals; the teacher may have scored fewer still, which is found when they are made."""
    count = recipe.domains.clusters if recipe.domains is not None else None
    there = sum(len(impressions.select(TRAIN, vertical)) > 0 for vertical in impressions.verticals)
    if count is not None and count > there:
        what = f"{count} clusters of {there} verticals with training rows."
        raise RecipeError(Fault("domains.clusters", what, f"Ask for {there} at most."))


def _student(recipe: Recipe, impressions: Impressions) -> None:
    """A student that can be made, and that has what is to be shared with it."""
    sharing = recipe.students.distill.sharing
    student = _made(recipe, impressions)
    if sharing is not None and sharing.source == "teacher":
        widest(student)
    if sharing is not None and sharing.rank is not None:
        lowered(student, sharing.rank)


def _made(recipe: Recipe, impressions: Impressions) -> Ranker:
    """A student; what its class refuses is told by the place in the recipe, where it names one of its own settings."""
    model = recipe.students.model
    try:
        return model.build(_seen(recipe, impressions))
    except RecipeError as error:
        own = type(model.config).model_fields
        told = [one._replace(where=f"students.model.{one.where}") if one.where in own else one for one in error.faults]
        raise RecipeError(*told) from None


def _seen(recipe: Recipe, impressions: Impressions) -> FeatureSchema:
    """What a student sees of some vertical, with vectors of its teacher. That of a history is taken as wide as
    it can be, so that nothing is refused that would do."""
    distill = recipe.students.distill
    schema = impressions.view(recipe.students.features, "vertical").schema(impressions.verticals[0])
    widths = dict(schema.vectors or {})
    if distill.input is not None:
        widths[NAME] = manifest_of(lesson_of(recipe, impressions)).width
    if distill.history is not None:
        widths[HISTORY] = distill.history.width
    return replace(schema, vectors=widths)
