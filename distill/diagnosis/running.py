"""Running: the teacher of a recipe looked into, on rows that it has not learnt from."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from distill.data.impressions import VALID, Impressions
from distill.diagnosis.drawing import figures, page
from distill.diagnosis.measures import (
    gradient_correlation,
    importance_by_age,
    layer,
    permutation_importance,
    some_rows,
)
from distill.errors import Fault, RecipeError
from distill.files import write_json
from distill.fingerprint import derived_seed, fingerprint
from distill.learner import accelerator
from distill.lesson import Lesson
from distill.pipeline import experiment, read, teach
from distill.progress import Progress
from distill.ranker import Ranker
from distill.recipe import Recipe
from distill.recipe.sections import TrainedTeacher
from distill.recording import started
from distill.representing import trained
from distill.store import Store
from distill.tracking import RunRecord, open_tracker
from distill.transfer import lesson_of
from distill.types import Batch

CHUNK = 4_096
"""Rows whose gradients are taken at once."""

Table = dict[str, Any]


def run(recipe: Recipe, progress: Progress, verticals: int = 8, rows: int = 20_000) -> Table:
    """What the teacher of a recipe leans on, and whom it serves at whose cost; it is trained if it is not there.

    Args:
        recipe: one whose teacher is trained here.
        progress: told of every stage.
        verticals: how many are compared: those with most validation rows.
        rows: most validation rows that are looked at.

    Returns:
        Correlations, importances and ages, as `distill diagnose --json` writes them.

    Raises:
        DistillError: the data or the store are not what the recipe says, or the teacher lives elsewhere.
    """
    torch.set_num_threads(1)  # A second thread waits for the first more often than it helps.
    if not isinstance(recipe.teacher, TrainedTeacher):
        raise RecipeError(Fault("teacher", "is a table of scores: there is nothing to look into.", "Name a class."))
    accelerator(recipe.trainer.device)
    store = Store(recipe.store)
    with store.alone(lambda: progress.note(f"Another run is using {store.root}; waiting for it.")):
        impressions = read(recipe, store, progress)
        knowledge = teach(recipe, impressions, store, progress)
        lesson = lesson_of(recipe, impressions)
        key = fingerprint("diagnosis", knowledge.manifest.fingerprint, verticals, rows)
        with progress.stage("diagnosis"):
            found = {"recipe": recipe.name, "teacher": knowledge.manifest.teacher, "fingerprint": key}
            found |= diagnosed(lesson, trained(lesson, knowledge.folder), verticals, rows)
        write_json(store.latest / f"diagnosis-{key}.json", found)
        with progress.stage("tracking"), open_tracker(recipe.tracking.uri, experiment(recipe), recipe.store) as tracker:
            tracker.record(_record(recipe, found, impressions.fingerprint))
    return found


def diagnosed(lesson: Lesson, ranker: Ranker, verticals: int, rows: int) -> Table:
    """The measures of one ranker in evaluation mode, on a sample of validation rows."""
    impressions, seed = lesson.impressions, derived_seed(lesson.seed, "diagnosis")
    names = _largest(impressions, verticals)
    chosen = _sample(impressions.select(VALID), rows, seed)
    batch, codes = lesson.view.take(torch.from_numpy(chosen)), [impressions.verticals.index(name) for name in names]
    schema = lesson.view.schema(None)
    own = {name: some_rows(batch, batch.features.vertical == code) for name, code in zip(names, codes, strict=True)}
    importance = {"all": permutation_importance(ranker, schema, batch, seed)}
    importance |= {name: permutation_importance(ranker, schema, part, seed) for name, part in own.items()}
    ages = {
        field.name: importance_by_age(ranker, batch, field.name, seed) for field in schema.sequences if field.ordered
    }
    return {
        "rows": len(chosen),
        "verticals": names,
        "correlation": _correlations(ranker, batch, codes),
        "importance": importance,
        "importance_by_age": ages,
    }


def _largest(impressions: Impressions, count: int) -> list[str]:
    sizes = np.bincount(impressions.vertical[impressions.select(VALID)], minlength=len(impressions.verticals))
    order = np.argsort(-sizes, kind="stable")[:count]
    return [impressions.verticals[place] for place in order if sizes[place] > 1]


def _sample(rows: np.ndarray, most: int, seed: int) -> np.ndarray:
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def _correlations(ranker: Ranker, batch: Batch, verticals: Sequence[int]) -> dict[str, list[list[float | None]]]:
    """Layer -> correlations between verticals; `all` are all shared parameters as one."""
    batches = [some_rows(batch, part) for part in torch.arange(len(batch.label)).split(CHUNK)]
    found = gradient_correlation(ranker, batches, verticals, lambda _: "all")
    found |= gradient_correlation(ranker, batches, verticals, layer)
    return {name: _plain(matrix) for name, matrix in found.items() if not matrix.isnan().all()}


def _plain(matrix: Tensor) -> list[list[float | None]]:
    return [[None if math.isnan(value) else value for value in row] for row in matrix.tolist()]


def _record(recipe: Recipe, found: Table, data: str) -> RunRecord:
    begun = started(recipe, found["fingerprint"], data)
    worth = {f"importance/{name}": value for name, value in found["importance"]["all"].items()}
    return RunRecord(
        key=found["fingerprint"],
        parent=None,
        name=f"{recipe.name} diagnosis",
        tags=dict(begun.tags) | {"distill.role": "diagnosis"},
        params=begun.params,
        metrics=worth,
        artifacts={"diagnosis.html": page(found), **figures(found)},
        datasets=begun.datasets,
    )
