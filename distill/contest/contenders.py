"""Contenders: the teachers of a sweep, each with the marks that it gives and with what they took."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from distill.contest.titles import titles
from distill.contest.trees import trees_of
from distill.cost import Cost, cost
from distill.data.impressions import Impressions
from distill.errors import Fault, RecipeError
from distill.files import read_json, write_json
from distill.fingerprint import fingerprint
from distill.knowledge import Knowledge
from distill.lesson import Lesson, manifest_of
from distill.pipeline import read, teach
from distill.progress import Progress
from distill.recipe import Recipe
from distill.recipe.sections import TrainedTeacher
from distill.store import Store
from distill.sweep import Sweep
from distill.transfer import lesson_of

TREES = "gradient-boosted trees"
"""What the table calls them."""


class Contender(NamedTuple):
    """One teacher of one seed, trained.

    Attributes:
        name: of its point, which all its seeds share.
        recipe: by which it was trained.
        impressions: the rows.
        knowledge: what it says of them.
        seconds: of this machine's processors that training and scoring took; None where nobody counted them.
        cost: its size; None for trees.
        rows: how many it learnt from.
    """

    name: str
    recipe: Recipe
    impressions: Impressions
    knowledge: Knowledge
    seconds: float | None
    cost: Cost | None
    rows: int


def contenders(sweep: Sweep, seeds: int, store: Store, progress: Progress, *, trees: bool) -> list[Contender]:
    """Every point of a sweep with each seed, and perhaps trees on what its first teacher sees; found or made.

    Args:
        sweep: whose points are the teachers.
        seeds: teachers a point, which differ in their seed: those from the recipe's own on.
        store: where rows and marks are found, or kept.
        progress: told of every stage.
        trees: whether gradient-boosted trees take part.
    """
    _refuse(sweep)
    named, found = titles([point.changes for point in sweep.points]), []
    impressions = read(sweep.base, store, progress)
    for number in range(seeds):
        recipes = [(name, _reseeded(point.recipe, number)) for name, point in zip(named, sweep.points, strict=True)]
        for name, recipe in recipes:
            progress.note(f"{name}, seed {recipe.seed}")
            found.append(_taught(name, recipe, impressions, store, progress))
        if trees:
            found.append(_grown(recipes[0][1], impressions, store, progress))
    return found


def _reseeded(recipe: Recipe, number: int) -> Recipe:
    return recipe.model_copy(update={"seed": recipe.seed + number})


def _refuse(sweep: Sweep) -> None:
    """Teachers that live elsewhere, and those that would be judged on other rows than the first."""
    data, faults = fingerprint(sweep.base.data), []
    for point in sweep.points:
        if not isinstance(point.recipe.teacher, TrainedTeacher):
            faults.append(Fault(point.name, "names a table of scores, and no teacher to train.", "Name a class."))
        elif point.recipe.teachers or point.recipe.teacher.seeds > 1:
            what = "has several teachers, where a contest is between single ones."
            faults.append(Fault(point.name, what, "Leave `teachers` and `teacher.seeds` out; --seeds trains several."))
        elif fingerprint(point.recipe.data) != data:
            faults.append(Fault(point.name, "has other data than the first teacher.", "Vary teacher.* alone."))
    if faults:
        raise RecipeError(*faults)


def _taught(name: str, recipe: Recipe, impressions: Impressions, store: Store, progress: Progress) -> Contender:
    lesson = lesson_of(recipe, impressions)
    manifest = manifest_of(lesson)
    knowledge, seconds = _timed(
        lambda: teach(recipe, impressions, store, progress),
        store,
        manifest.fingerprint,
        there=store.knowledge.find(manifest.fingerprint) is not None,
    )
    return Contender(name, recipe, impressions, knowledge, seconds, size_of(lesson), len(lesson.learnt_rows))


def size_of(lesson: Lesson) -> Cost:
    """The size of the ranker that a lesson trains."""
    schema = lesson.view.schema(None)
    return cost(lambda: lesson.teacher.model.build(schema), schema)


def _grown(recipe: Recipe, impressions: Impressions, store: Store, progress: Progress) -> Contender:
    lesson = lesson_of(recipe, impressions)
    grow = trees_of(lesson)
    progress.note(f"{TREES}, seed {recipe.seed}")
    there = store.knowledge.find(grow.manifest.fingerprint) is not None
    with progress.stage("trees"):
        knowledge, seconds = _timed(
            lambda: grow.knowledge(store.knowledge, progress.note), store, grow.manifest.fingerprint, there=there
        )
    return Contender(TREES, recipe, impressions, knowledge, seconds, None, len(lesson.learnt_rows))


def _timed(make: Callable[[], Knowledge], store: Store, key: str, *, there: bool) -> tuple[Knowledge, float | None]:
    """What is made, and the processor seconds that it took, now or when it was made; those of an interrupted attempt
    count as well. None for what was made by a run, which does not count them."""
    path = store.tables / f"seconds-{key}.json"
    if not there:
        before, start = _seconds(path) or 0.0, time.process_time()
        try:
            knowledge = make()
        finally:
            store.tables.mkdir(parents=True, exist_ok=True)
            write_json(path, {"seconds": before + time.process_time() - start})
        return knowledge, _seconds(path)
    return make(), _seconds(path)


def _seconds(path: Path) -> float | None:
    return read_json(path)["seconds"] if path.exists() else None
